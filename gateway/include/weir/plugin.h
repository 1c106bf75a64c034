/* weir/plugin.h: what Weir and its plugins promise each other.
 *
 * A plugin is a table of callbacks. A route names plugins in order; the last one is its handler. A
 * request walks them first to last. A handler accepts the upgrade, and then the session's messages
 * walk the same way inwards (on_message), what is sent to the client walks outwards, last to first
 * (on_send), and the end unwinds last to first (on_close).
 *
 * This header needs stdint.h and stddef.h alone, and compiles as C11 and C++17.
 *
 * Threads: load and unload run on the control thread. Everything else runs on one worker: a request
 * or session never changes worker, so a plugin's worker part needs no locks.
 *
 * Versions: a plugin built for another major version is refused. Minor versions only append to
 * structs; each side reads no more of a struct than its `struct_size` says.
 *
 * Changelog
 *   1.0  first version
 *   1.1  on_piece; "backend" as closed_by
 */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    WEIR_ABI_MAJOR = 1,
    WEIR_ABI_MINOR = 1
};

struct weir_request; /* one HTTP request; ends when its response is done, or with its session */
struct weir_session; /* an accepted WebSocket */
struct weir_worker;  /* one thread of the gateway */

/* Borrowed bytes: valid for the call they are given to or come from, unless a comment says longer.
 */
struct weir_bytes {
    const uint8_t *data;
    size_t size;
};

enum weir_verdict {
    WEIR_NEXT,   /* pass it on */
    WEIR_REPLY,  /* on_request: this plugin has answered, or will, with the reply functions */
    WEIR_ACCEPT, /* on_request: accept the upgrade (the request must ask for one) */
    WEIR_DROP,   /* on_request: cut the connection; on_message, on_send: swallow the message */
    WEIR_CLOSE,  /* on_open, on_message: close the session: 1000, or what session_close was told */
    WEIR_WAIT    /* park it until request_resume or session_resume; reading pauses meanwhile */
};

enum weir_kind {
    WEIR_TEXT = 1, /* UTF-8, checked on the way in */
    WEIR_BINARY = 2
};

struct weir_message {
    enum weir_kind kind;
    struct weir_bytes payload;
};

/* A part of a message, as it comes: at least one byte, unless it is the last. */
struct weir_piece {
    enum weir_kind kind;
    uint8_t *data; /* the receiver may change the bytes */
    size_t size;
    int first; /* of its message */
    int last;
};

/* How a session or a plain HTTP request ended. */
struct weir_ending {
    size_t struct_size;
    uint16_t code; /* session: the close code (1005 and 1006 as RFC 6455, section 7.1.5 has them);
                      else 0 */
    struct weir_bytes reason; /* session: the close reason */
    unsigned status;          /* the HTTP status that was sent; 101 for a session, 0 for none */
    const char *closed_by;    /* "client", "gateway", or (1.1) "backend" */
    const char *words;        /* why, for people */
    uint64_t duration_us;     /* since the request's head was complete */
    uint64_t messages_in;     /* from the client */
    uint64_t messages_out;    /* to the client */
    uint64_t bytes_in;        /* payload of messages, or of the request's body */
    uint64_t bytes_out;       /* payload of messages, or of the response's body */
};

/* A plugin as the configuration names it. Terminated strings, borrowed for the plugin's whole life.
 */
struct weir_plugin_config {
    size_t struct_size;
    const char *name;
    const char *file;
    const char *settings_json; /* an object */
};

/* The callbacks. Any may be NULL. `self` is the worker part; `seat` is the plugin's place in the
 * chain of this request or session, which host functions ask for. */
struct weir_plugin_ops {
    size_t struct_size;

    /* The process part, once for each configuration that names the plugin. Returns 0 and sets
     * `*plugin`, or writes a terminated reason into `error` and returns -1: a configuration error.
     * Control thread. */
    int (*load)(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size);
    void (*unload)(void *plugin);

    /* The worker part, once on each worker. As load; it is called before the worker serves with it.
     */
    int (*worker_start)(void *plugin, struct weir_worker *worker, void **self, char *error,
                        size_t error_size);
    void (*worker_stop)(void *self); /* what worker_start made; not called without one */

    /* A request has come: NEXT, REPLY, ACCEPT, DROP or WAIT. */
    enum weir_verdict (*on_request)(void *self, struct weir_request *request, unsigned seat);
    /* A piece of the request's body, after request_want_body; `last` with the final piece, which
     * may be empty. It is called only after on_request of this plugin has returned REPLY or WAIT.
     */
    void (*on_body)(void *self, struct weir_request *request, unsigned seat,
                    struct weir_bytes piece, int last);
    /* Room for more response body after reply_body said "full". */
    void (*on_reply_drain)(void *self, struct weir_request *request, unsigned seat);
    /* A plain HTTP request is done, or was cut; last to first. Not called for a request that became
     * a session. */
    void (*on_done)(void *self, struct weir_request *request, unsigned seat,
                    const struct weir_ending *ending);

    /* The session is open: NEXT, CLOSE or WAIT. */
    enum weir_verdict (*on_open)(void *self, struct weir_session *session, unsigned seat);
    /* A whole message from the client: NEXT, DROP, CLOSE or WAIT. A changed message is passed on
     * with session_pass and the verdict DROP. What the handler returns NEXT for ends there. */
    enum weir_verdict (*on_message)(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message);
    /* A message to the client: NEXT or DROP. A changed message is sent with session_send and the
     * verdict DROP. */
    enum weir_verdict (*on_send)(void *self, struct weir_session *session, unsigned seat,
                                 const struct weir_message *message);
    /* The client has caught up after session_send said "full". */
    void (*on_drain)(void *self, struct weir_session *session, unsigned seat);
    /* The session is over; last to first. The session is gone when the last one returns. */
    void (*on_close)(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending);

    /* --- 1.1 --- */

    /* A piece of a message from the client, for a handler that passes messages on without putting
     * them together: NEXT or CLOSE. It is called in place of on_message where no other plugin of
     * the chain has on_message; where one has, the handler gets whole messages, by on_message.
     * Pieces of a text are checked as UTF-8, but may begin or end within a character. */
    enum weir_verdict (*on_piece)(void *self, struct weir_session *session, unsigned seat,
                                  const struct weir_piece *piece);
};

#ifdef __cplusplus
}
#endif

#endif
