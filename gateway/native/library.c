/* The only file that knows dlopen. A shared object is opened with all its symbols resolved at once
 * and none given to others, so what is missing shows before anything is served, and two plugins may
 * use the same names. Called by host.c; it never calls a plugin's callbacks. */
#include "native/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "native/table.h"

enum {
    SPELLING_BITS = 24
};

static const char *const ENTRY = "weir_plugin";

typedef const struct weir_plugin_ops *(*entry_fn)(const struct weir_host *host);

/* dlopen says "invalid ELF header" or "file too short", which is not everybody's language. */
static bool is_shared_object(const char *file, char *error, size_t error_size)
{
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F'};
    uint8_t start[sizeof magic] = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(error, error_size, "cannot open %s: %s", file, strerror(errno));
        return false;
    }
    ssize_t got = read(fd, start, sizeof start);
    (void)close(fd);
    if (got != (ssize_t)sizeof start || memcmp(start, magic, sizeof magic) != 0) {
        snprintf(error, error_size, "%s is not a shared object", file);
        return false;
    }
    return true;
}

/* The loader takes a name that it has seen for the file that it was, even when another file lies
 * there now. So each opening spells the name anew, with `/` and `./` in place of its last slash;
 * then it looks at the file itself, and a file that is still the same is shared. */
static bool spell_anew(const char *file, char *spelled, size_t size)
{
    static unsigned count;
    const char *slash = strrchr(file, '/');
    if (slash == NULL) {
        return false;
    }
    size_t used = (size_t)(slash + 1 - file);
    if (strlen(file) + 2 * SPELLING_BITS >= size) {
        return false;
    }
    memcpy(spelled, file, used);
    for (unsigned bits = count++ % (1u << SPELLING_BITS); bits != 0; bits >>= 1) {
        if ((bits & 1) != 0) {
            spelled[used++] = '.';
        }
        spelled[used++] = '/';
    }
    memcpy(spelled + used, slash + 1, strlen(slash + 1) + 1);
    return true;
}

static void *open_object(const char *file, char *error, size_t error_size)
{
    char spelled[PATH_MAX];
    if (!spell_anew(file, spelled, sizeof spelled)) {
        snprintf(error, error_size, "%s: the path has no slash, or is too long", file);
        return NULL;
    }
    void *handle = dlopen(spelled, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        size_t length = strlen(spelled);
        why = why == NULL ? "no reason given" : why;
        if (strncmp(why, spelled, length) == 0 && strncmp(why + length, ": ", 2) == 0) {
            why += length + 2; /* it begins with the name, in that spelling */
        }
        snprintf(error, error_size, "%s cannot be loaded: %s", file, why);
    }
    return handle;
}

/* The first three members are the same in every version; the others only once the version is known
 * to be ours. */
static bool take_ops(const char *file, const struct weir_plugin_ops *given,
                     struct weir_plugin_ops *ops, char *error, size_t error_size)
{
    if (given == NULL) {
        snprintf(error, error_size,
                 "%s gives no callbacks: it cannot work with version %d.%d of the plugin interface",
                 file, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
        return false;
    }
    if (given->struct_size < offsetof(struct weir_plugin_ops, load)) {
        snprintf(error, error_size,
                 "%s: struct_size of its callbacks is %zu; it has to be sizeof(struct "
                 "weir_plugin_ops)",
                 file, given->struct_size);
        return false;
    }
    if (given->major != WEIR_ABI_MAJOR) {
        snprintf(error, error_size,
                 "%s was built for version %u.%u of the plugin interface, and this is %d.%d: build "
                 "it with this gateway's weir/plugin.h",
                 file, (unsigned)given->major, (unsigned)given->minor, WEIR_ABI_MAJOR,
                 WEIR_ABI_MINOR);
        return false;
    }
    size_t size = given->struct_size < sizeof *ops ? given->struct_size : sizeof *ops;
    memset(ops, 0, sizeof *ops);
    memcpy(ops, given, size);
    ops->struct_size = sizeof *ops;
    return true;
}

bool native_library_open(const char *file, struct native_library *library, char *error,
                         size_t error_size)
{
    if (!is_shared_object(file, error, error_size)) {
        return false;
    }
    library->handle = open_object(file, error, error_size);
    if (library->handle == NULL) {
        return false;
    }
    void *symbol = dlsym(library->handle, ENTRY);
    if (symbol == NULL) {
        snprintf(error, error_size, "%s is not a plugin: it has no function %s", file, ENTRY);
        native_library_close(library);
        return false;
    }
    entry_fn entry;
    memcpy(&entry, &symbol, sizeof entry); /* C knows no cast between these, POSIX vouches for it */
    if (!take_ops(file, entry(native_table()), &library->ops, error, error_size)) {
        native_library_close(library);
        return false;
    }
    return true;
}

void native_library_close(struct native_library *library)
{
    if (library->handle != NULL) {
        (void)dlclose(library->handle);
    }
    library->handle = NULL;
}
