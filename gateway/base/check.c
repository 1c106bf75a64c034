/* The end of the line for a broken promise inside Weir. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void weir_check_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "weir: bug at %s:%d: %s does not hold\n", file, line, expression);
    abort();
}
