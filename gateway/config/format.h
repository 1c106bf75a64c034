/* The forms that a text value may have to take: addresses, CIDR blocks, paths, names. */
#ifndef WEIR_CONFIG_FORMAT_H
#define WEIR_CONFIG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FORMAT_WHY_BYTES = 160,
    FORMAT_ADDRESS_BYTES = 160
};

/* One form. Key tables point at these; a new form is a new constant here and its function. */
struct config_format {
    const char *name;    /* for the reference page, e.g. "address" */
    const char *pattern; /* a regular expression for the JSON Schema, or NULL */
    /* False, with words in `why` that follow "`TEXT` ", where `text` has not this form. May look at
     * the file system. Control thread. */
    bool (*check)(const char *text, char why[FORMAT_WHY_BYTES]);
    bool hidden; /* a secret: no message repeats it, and `why` stands alone */
};

/* What stands for every upstream where one could be named; no upstream is called so. */
#define FORMAT_ALL_UPSTREAMS "all"

extern const struct config_format format_address; /* HOST:PORT, [IPV6]:PORT, unix:PATH */
extern const struct config_format format_block;   /* an IP address or CIDR block */
extern const struct config_format format_file;    /* a regular file that can be read */
extern const struct config_format format_folder;  /* a folder that can be listed */
extern const struct config_format format_output;  /* "-" or a file that can be appended to */
extern const struct config_format format_host;    /* a host name, maybe `*.example.com` */
extern const struct config_format format_path;    /* the path of a URL */
extern const struct config_format format_origin;  /* scheme://host[:port] */
extern const struct config_format format_token;   /* a token, RFC 9110, section 5.6.2 */
extern const struct config_format format_name;    /* a plugin's name */
extern const struct config_format format_leaf;    /* a file name without folders or a leading dot */
extern const struct config_format format_header;  /* a field value, RFC 9110, section 5.5 */

/* Of upstreams and of what forwards to them; format_upstream.c. */
extern const struct config_format format_server;      /* HOST:PORT, [IPV6]:PORT, unix:PATH */
extern const struct config_format format_nameserver;  /* IP, IP:PORT, [IPV6]:PORT */
extern const struct config_format format_upstream;    /* an upstream's name */
extern const struct config_format format_upstreams;   /* the same, or `all` */
extern const struct config_format format_name_of_tls; /* a host name or IP address, no port */
extern const struct config_format format_secret;      /* at least 16 characters; hidden */
extern const struct config_format format_target;      /* the path of a request, maybe with query */
extern const struct config_format format_prefix;      /* whole segments of a path: `/api` */
extern const struct config_format format_authority;   /* HOST or HOST:PORT */
extern const struct config_format format_proxy_host;  /* the same, `pass` or `server` */
extern const struct config_format format_field;       /* a field's name that a proxy may change */

/* Writes a checked address in the one spelling that equal addresses share, terminated and cut to
 * fit. Any thread. */
void format_write_address(const char *address, char out[FORMAT_ADDRESS_BYTES]);

#endif
