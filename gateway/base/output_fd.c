/* Called once at start for the program's log, and by the access log for standard output. */
#include "base/output_fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int output_fd_unblocked(int fd)
{
    struct stat info;
    char path[32];
    if (fstat(fd, &info) < 0 || !S_ISFIFO(info.st_mode)) {
        return fd;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int unblocked = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    return unblocked >= 0 ? unblocked : fd;
}
