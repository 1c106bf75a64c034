/* Opening files beneath a folder: with openat2, and by segments where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "handlers/static_root.h"

/* BASE/secret lies outside of BASE/root, which has the files below. */
static char base[64];
static struct static_root root;

static void at_base(const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", base, name);
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    at_base(name, path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_folder(const char *name)
{
    char path[256];
    at_base(name, path);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
    char path[256];
    at_base(name, path);
    assert_int_equal(symlink(target, path), 0);
}

static void make_socket(const char *name)
{
    char path[256];
    at_base(name, path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(close(fd), 0);
}

static int set_up(void **state)
{
    (void)state;
    char path[256];
    strcpy(base, "/tmp/weir-root-XXXXXX");
    assert_non_null(mkdtemp(base));
    write_file("secret", "secret");
    make_folder("root");
    make_folder("root/folder");
    write_file("root/file", "file");
    write_file("root/folder/inner", "inner");
    make_link("folder/inner", "root/link_in");
    make_link("../file", "root/folder/link_up_in");
    make_link("folder", "root/link_folder");
    make_link("../secret", "root/link_out");
    make_link("..", "root/link_parent");
    at_base("secret", path);
    make_link(path, "root/link_absolute");
    at_base("root/file", path);
    make_link(path, "root/link_absolute_in");
    make_link("loop", "root/loop");
    make_link("/proc/self/root", "root/link_proc");
    at_base("root/fifo", path);
    assert_int_equal(mkfifo(path, 0644), 0);
    make_socket("root/socket");
    at_base("root", path);
    assert_int_equal(static_root_open(path, &root), WEIR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    static_root_close(&root);
    assert_int_equal(root.fd, -1);
    snprintf(command, sizeof(command), "rm -r '%s'", base);
    return system(command);
}

static void expect_text(const char *path, const char *text)
{
    struct static_file file = {.fd = -1};
    char got[32] = "";
    if (static_root_find(&root, path, &file) != STATIC_FOUND_FILE) {
        fail_msg("%s was not found: %s", path, strerror(errno));
    }
    assert_int_equal(read(file.fd, got, sizeof(got) - 1), strlen(text));
    assert_string_equal(got, text);
    assert_int_equal(file.info.st_size, strlen(text));
    static_root_close_file(&file);
    assert_int_equal(file.fd, -1);
}

static void expect_found(enum static_found wanted, const char *path)
{
    struct static_file file = {.fd = -1};
    enum static_found found = static_root_find(&root, path, &file);
    if (found != wanted) {
        fail_msg("%s gave %d, not %d", path, (int)found, (int)wanted);
    }
    assert_int_equal(file.fd, -1);
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* What holds whichever way the kernel offers. */
static void expect_common(void)
{
    int before = count_descriptors();
    expect_text("file", "file");
    expect_text("folder/inner", "inner");
    expect_found(STATIC_FOUND_FOLDER, "folder");
    expect_found(STATIC_FOUND_NOTHING, "missing");
    expect_found(STATIC_FOUND_NOTHING, "missing/file");
    expect_found(STATIC_FOUND_NOTHING, "file/inner");
    expect_found(STATIC_FOUND_NOTHING, "");
    expect_found(STATIC_FOUND_NOTHING, "fifo");
    expect_found(STATIC_FOUND_NOTHING, "socket");
    expect_found(STATIC_FOUND_NOTHING, "..");
    expect_found(STATIC_FOUND_NOTHING, "../secret");
    expect_found(STATIC_FOUND_NOTHING, "folder/../../secret");
    expect_found(STATIC_FOUND_NOTHING, "/etc/passwd");
    expect_found(STATIC_FOUND_NOTHING, "link_out");
    expect_found(STATIC_FOUND_NOTHING, "link_parent/secret");
    expect_found(STATIC_FOUND_NOTHING, "link_absolute");
    expect_found(STATIC_FOUND_NOTHING, "link_absolute_in");
    expect_found(STATIC_FOUND_NOTHING, "link_proc/etc/passwd");
    expect_found(STATIC_FOUND_NOTHING, "loop");
    assert_int_equal(count_descriptors(), before);
}

static void test_openat2_stays_beneath_and_follows_links_inside(void **state)
{
    (void)state;
    if (!root.has_openat2) {
        skip();
    }
    expect_common();
    expect_text("link_in", "inner");
    expect_text("link_folder/inner", "inner");
    expect_text("folder/link_up_in", "file");
}

static void test_segments_stay_beneath_and_follow_no_link(void **state)
{
    (void)state;
    bool has_openat2 = root.has_openat2;
    root.has_openat2 = false;
    expect_common();
    expect_found(STATIC_FOUND_NOTHING, "link_in");
    expect_found(STATIC_FOUND_NOTHING, "link_folder/inner");
    expect_found(STATIC_FOUND_NOTHING, "folder/link_up_in");
    root.has_openat2 = has_openat2;
}

static void test_names_that_are_too_long_are_not_there(void **state)
{
    (void)state;
    char name[NAME_MAX + 2];
    bool has_openat2 = root.has_openat2;
    memset(name, 'a', sizeof(name));
    for (int round = 0; round < 2; round++) {
        name[NAME_MAX] = '\0';
        expect_found(STATIC_FOUND_NOTHING, name);
        name[NAME_MAX] = 'a';
        name[NAME_MAX + 1] = '\0';
        expect_found(STATIC_FOUND_NOTHING, name);
        root.has_openat2 = false;
    }
    root.has_openat2 = has_openat2;
}

static void test_unreadable_files_are_not_there(void **state)
{
    (void)state;
    char path[256];
    if (geteuid() == 0) {
        skip(); /* root may read everything */
    }
    at_base("root/file", path);
    assert_int_equal(chmod(path, 0), 0);
    expect_found(STATIC_FOUND_NOTHING, "file");
    assert_int_equal(chmod(path, 0644), 0);
}

static void test_running_out_of_descriptors_is_not_missing(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    struct rlimit none = {0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct static_file file = {.fd = -1};
    enum static_found found = static_root_find(&root, "file", &file);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(found, STATIC_FOUND_BUSY);
}

static void test_the_folder_may_be_relative(void **state)
{
    (void)state;
    struct static_root absolute = root;
    int here = open(".", O_RDONLY | O_DIRECTORY);
    assert_int_equal(chdir(base), 0);
    assert_int_equal(static_root_open("root", &root), WEIR_OK);
    assert_int_equal(fchdir(here), 0);
    assert_int_equal(close(here), 0);
    expect_text("file", "file");
    static_root_close(&root);
    root = absolute;
}

static void test_opens_no_file_and_nothing_missing_as_folder(void **state)
{
    (void)state;
    char path[256];
    struct static_root other = {.fd = -2};
    at_base("secret", path);
    assert_int_equal(static_root_open(path, &other), WEIR_EIO);
    assert_int_equal(errno, ENOTDIR);
    at_base("missing", path);
    assert_int_equal(static_root_open(path, &other), WEIR_EIO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(other.fd, -2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openat2_stays_beneath_and_follows_links_inside),
        cmocka_unit_test(test_segments_stay_beneath_and_follow_no_link),
        cmocka_unit_test(test_names_that_are_too_long_are_not_there),
        cmocka_unit_test(test_unreadable_files_are_not_there),
        cmocka_unit_test(test_running_out_of_descriptors_is_not_missing),
        cmocka_unit_test(test_the_folder_may_be_relative),
        cmocka_unit_test(test_opens_no_file_and_nothing_missing_as_folder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
