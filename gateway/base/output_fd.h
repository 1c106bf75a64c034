/* Standard output and error without waiting for their readers. */
#ifndef WEIR_BASE_OUTPUT_FD_H
#define WEIR_BASE_OUTPUT_FD_H

/* A descriptor for what `fd`, standard output or error, leads to, on which a write never waits: a
 * pipe whose reader sleeps would hold up every worker. `fd` itself is shared with whoever started
 * us and must stay as it is for them, so a pipe is opened once more (given: close it). Where it is
 * no pipe, or cannot be opened, `fd`. Any thread. */
int output_fd_unblocked(int fd);

#endif
