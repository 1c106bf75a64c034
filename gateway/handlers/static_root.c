/* The kernel keeps us inside: openat2 with RESOLVE_BENEATH fails for every way out, links included,
 * without a window between check and use. Kernels before 5.6 and old container filters do not have
 * it; there each segment is opened by itself, without following any link.
 * Called by handlers/static, with paths that static_path has checked. It never blocks on a FIFO and
 * never reads a file. */
#include "handlers/static_root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/span.h"

enum {
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    FILE_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC,
    /* openat2 gives up with EAGAIN when something was renamed meanwhile; that does not go on. */
    RACE_RETRIES = 8
};

static int open_beneath(int root_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (__u64)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1;
    int tries = 0;
    do {
        fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
        tries++;
    } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && tries < RACE_RETRIES)));
    return fd;
}

/* Opens one segment without following it; takes `folder_fd` unless it is the root's. */
static int step(int root_fd, int folder_fd, const char *segment, int flags)
{
    int fd = openat(folder_fd, segment, flags | O_NOFOLLOW);
    int reason = errno;
    if (folder_fd != root_fd) {
        close(folder_fd);
    }
    errno = reason;
    return fd;
}

/* Takes the next segment off `*rest` as a terminated text. */
static bool next_segment(struct span *rest, char segment[NAME_MAX + 1])
{
    size_t end = span_find(*rest, '/');
    if (end > NAME_MAX) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(segment, rest->data, end);
    segment[end] = '\0';
    if (end == 0 || strcmp(segment, "..") == 0) {
        errno = EXDEV;
        return false;
    }
    *rest = span_from(*rest, end + 1);
    return true;
}

static int open_by_segments(int root_fd, const char *path)
{
    struct span rest = span_of(path);
    char segment[NAME_MAX + 1];
    int folder_fd = root_fd;
    do {
        if (!next_segment(&rest, segment)) {
            if (folder_fd != root_fd) {
                int reason = errno;
                close(folder_fd);
                errno = reason;
            }
            return -1;
        }
        folder_fd = step(root_fd, folder_fd, segment, rest.size > 0 ? FOLDER_FLAGS : FILE_FLAGS);
    } while (folder_fd >= 0 && rest.size > 0);
    return folder_fd;
}

enum weir_err static_root_open(const char *folder, struct static_root *root)
{
    int fd = open(folder, FOLDER_FLAGS);
    if (fd < 0) {
        return WEIR_EIO;
    }
    int probe = open_beneath(fd, ".", FOLDER_FLAGS);
    if (probe >= 0) {
        close(probe);
    }
    *root = (struct static_root){.fd = fd, .has_openat2 = probe >= 0};
    return WEIR_OK;
}

void static_root_close(struct static_root *root)
{
    if (root->fd >= 0) {
        close(root->fd);
        root->fd = -1;
    }
}

static enum static_found found_nothing(void)
{
    switch (errno) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EIO:
    case EAGAIN:
        return STATIC_FOUND_BUSY;
    default:
        return STATIC_FOUND_NOTHING;
    }
}

static enum static_found judge(struct static_file *file)
{
    if (fstat(file->fd, &file->info) != 0) {
        return STATIC_FOUND_BUSY;
    }
    if (S_ISDIR(file->info.st_mode)) {
        return STATIC_FOUND_FOLDER;
    }
    /* FIFOs and devices have no size, and reading them may block or never end. */
    return S_ISREG(file->info.st_mode) ? STATIC_FOUND_FILE : STATIC_FOUND_NOTHING;
}

enum static_found static_root_find(const struct static_root *root, const char *path,
                                   struct static_file *file)
{
    struct static_file opened = {
        .fd = root->has_openat2 ? open_beneath(root->fd, path, FILE_FLAGS)
                                : open_by_segments(root->fd, path),
    };
    if (opened.fd < 0) {
        return found_nothing();
    }
    enum static_found found = judge(&opened);
    if (found == STATIC_FOUND_FILE) {
        *file = opened;
    } else {
        static_root_close_file(&opened);
    }
    return found;
}

void static_root_close_file(struct static_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
}
