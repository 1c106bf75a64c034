/* What the command line asks for. */
#ifndef WEIR_LOAD_OPTIONS_H
#define WEIR_LOAD_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct options {
    struct sockaddr_in address;
    const char *address_text; /* as written, for the Host field */
    const char *path;
    const char *publish_path; /* fanout: the publisher is one more session there; NULL: it is the
                                 first subscriber */
    uint32_t connections;
    uint32_t depth; /* messages in flight on a connection; on all together in fanout */
    uint32_t parallel;
    uint32_t rounds;
    size_t size; /* payload bytes of a message */
    double seconds;
    double warmup_seconds;
    double stall_seconds; /* without any answer for so long the run fails */
    bool raw;             /* echo: plain TCP, the same bytes per message as a masked frame */
    bool text;
    bool echo_once;
    pid_t pid; /* the server's, for its CPU clock and its memory; 0: not measured */
};

/* Reads the arguments behind the mode's name. Fails the program for an unknown or a wrong one.
 * Strings are borrowed from `argv`. */
void options_read(int argc, char **argv, struct options *out);

#endif
