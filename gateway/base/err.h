/* The one error enum of the program. Fallible functions return it; outputs are filled only on
 * WEIR_OK. */
#ifndef WEIR_BASE_ERR_H
#define WEIR_BASE_ERR_H

#define WEIR_MUST __attribute__((warn_unused_result))

enum weir_err {
    WEIR_OK = 0,
    WEIR_AGAIN,   /* not an error: more bytes, or another turn of the loop, are needed */
    WEIR_EPROTO,  /* the peer broke the protocol */
    WEIR_EINVAL,  /* we were called wrongly, or the user configured something wrong */
    WEIR_ENOMEM,  /* an allocation failed */
    WEIR_ELIMIT,  /* a configured limit was passed */
    WEIR_ECLOSED, /* the other side has gone */
    WEIR_EIO,     /* the operating system said no; errno tells why */
};

/* The constant's name without its prefix, e.g. "EPROTO"; static storage. Any thread. */
const char *weir_err_name(enum weir_err err);

#endif
