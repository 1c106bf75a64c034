/* Ends the program when a measurement cannot be believed any more, and reads IPv4 addresses. */
#ifndef WEIR_LOAD_FAIL_H
#define WEIR_LOAD_FAIL_H

#include <netinet/in.h>

/* Prints the program's name and the words on standard error and exits with status 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, with the words of errno behind it. */
_Noreturn void fail_errno(const char *what);

/* Reads `A.B.C.D:PORT`; fails the program when it is anything else. */
struct sockaddr_in fail_unless_address(const char *text);

#endif
