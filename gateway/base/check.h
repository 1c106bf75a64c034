/* Checks for our own bugs; never for what a peer sent. They stay on in release builds. */
#ifndef WEIR_BASE_CHECK_H
#define WEIR_BASE_CHECK_H

/* Aborts with file and line when `expression` is false. */
#define WEIR_CHECK(expression)                                                                     \
    ((expression) ? (void)0 : weir_check_failed(#expression, __FILE__, __LINE__))

/* Prints what failed on standard error and aborts. Any thread. */
_Noreturn void weir_check_failed(const char *expression, const char *file, int line);

#endif
