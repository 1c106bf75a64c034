/* Names for errors, used in log lines and test failures. */
#include "base/err.h"

const char *weir_err_name(enum weir_err err)
{
    static const char *const names[] = {
        [WEIR_OK] = "OK",           [WEIR_AGAIN] = "AGAIN",   [WEIR_EPROTO] = "EPROTO",
        [WEIR_EINVAL] = "EINVAL",   [WEIR_ENOMEM] = "ENOMEM", [WEIR_ELIMIT] = "ELIMIT",
        [WEIR_ECLOSED] = "ECLOSED", [WEIR_EIO] = "EIO",
    };
    return (unsigned)err < sizeof names / sizeof names[0] ? names[err] : "?";
}
