/* weir/plugin.h: what Weir and its plugins promise each other.
 *
 * A plugin is a table of callbacks. A route names plugins in order; the last one is its handler. A
 * request walks them first to last. A handler accepts the upgrade, and then the session's messages
 * walk the same way inwards (on_message), what is sent to the client walks outwards, last to first
 * (on_send), and the end unwinds last to first (on_close).
 *
 * A native plugin is a shared object that exports one function, weir_plugin (at the end of this
 * file). It gets the host's functions as a table and gives its callbacks as a table, so it links
 * against nothing of Weir's:
 *
 *     cc -shared -fPIC -O2 -I /usr/local/include -o mine.so mine.c
 *
 * This header needs stdint.h and stddef.h alone, and compiles as C11 and C++17.
 *
 * Threads: load runs on the control thread, before anything is served; unload on whichever thread
 * was the last to need the plugin. Everything else runs on one worker: a request or session never
 * changes worker, so a plugin's worker part needs no locks. Host functions are for the thread of
 * the callback that they are called from; `log` and `worker_post` are for any thread.
 *
 * Ownership: what a callback is given is borrowed for that call, what a host function is given is
 * borrowed for that call too, and whoever needs bytes longer copies them. No side frees what the
 * other has made.
 *
 * Versions: a plugin built for another major version is refused. Minor versions only append to
 * structs; each side reads no more of a struct than its `struct_size` says. So an older plugin runs
 * on a newer host, and a newer plugin on an older host as long as it asks WEIR_HAS for what came
 * later.
 *
 * Changelog
 *   1.0  first version
 *   1.1  on_piece; "backend" as closed_by
 *   1.2  the first version for shared objects: weir_plugin, struct weir_host, enum weir_status;
 *        weir_plugin_ops says which version it was built for
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
    WEIR_ABI_MINOR = 2
};

/* Whether the other side's struct is new enough to have this member. */
#define WEIR_HAS(pointer, member)                                                                  \
    ((pointer)->struct_size >=                                                                     \
     (size_t)((const char *)&(pointer)->member - (const char *)(pointer)) +                        \
         sizeof((pointer)->member))

struct weir_request; /* one HTTP request; ends when its response is done, or with its session */
struct weir_session; /* an accepted WebSocket */
struct weir_worker;  /* one thread of the gateway, as one plugin sees it */
struct weir_timer;   /* what timer_start has made */

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

/* The callbacks. Any may be NULL. `self` is the worker part (without worker_start, the process
 * part, which all workers then share); `seat` is the plugin's place in the chain of this request or
 * session, which host functions ask for. The first three members stay as they are in every version.
 */
struct weir_plugin_ops {
    size_t struct_size; /* sizeof(struct weir_plugin_ops) */
    uint32_t major;     /* a shared object's: WEIR_ABI_MAJOR and WEIR_ABI_MINOR of this header */
    uint32_t minor;

    /* The process part, once for each configuration that names the plugin. Returns 0 and sets
     * `*plugin`, or writes a terminated reason into `error` and returns -1: a configuration error.
     * `weir -t` calls it too. Control thread. */
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

/* --- what the host offers (1.2) --- */

/* What a host function has to say. */
enum weir_status {
    WEIR_STATUS_OK = 0,
    WEIR_STATUS_FULL,     /* the client reads too slowly: nothing was queued, on_drain will come */
    WEIR_STATUS_CLOSED,   /* it is closing, or gone */
    WEIR_STATUS_INVALID,  /* the arguments cannot be, here or at all */
    WEIR_STATUS_NO_MEMORY /* nothing was done */
};

/* What a plugin does to a field that is not its own: SET puts it in the place of all of that name.
 */
enum weir_change {
    WEIR_CHANGE_ADD,
    WEIR_CHANGE_SET,
    WEIR_CHANGE_REMOVE /* the value is not looked at */
};

enum weir_log_level {
    WEIR_LOG_DEBUG,
    WEIR_LOG_INFO,
    WEIR_LOG_WARN,
    WEIR_LOG_ERROR
};

/* A field of an HTTP message. */
struct weir_field {
    struct weir_bytes name;
    struct weir_bytes value;
};

enum {
    WEIR_FIELDS_MAX = 64 /* that one call takes */
};

/* A length of a response's body that is not known beforehand. */
#define WEIR_LENGTH_UNKNOWN UINT64_MAX

/* What is called later, with what it was given for that. */
typedef void (*weir_task_fn)(void *context);

/* The host's functions: one table for the life of the process, the same for all plugins. Bytes that
 * come from a request are borrowed for its life; absent ones have size 0. */
struct weir_host {
    size_t struct_size;
    uint32_t major; /* of the gateway, which may be newer or older than this header */
    uint32_t minor;

    /* A line in the gateway's log. `who` is who speaks: config->name, say. Terminated texts;
     * control characters are escaped. Any thread. */
    void (*log)(enum weir_log_level level, const char *who, const char *text);

    /* --- a request --- */

    struct weir_bytes (*request_method)(const struct weir_request *request);
    struct weir_bytes (*request_target)(const struct weir_request *request); /* as sent */
    /* Decoded and normalised; what routes match. */
    struct weir_bytes (*request_path)(const struct weir_request *request);
    struct weir_bytes (*request_query)(const struct weir_request *request); /* raw, without "?" */
    struct weir_bytes (*request_host)(const struct weir_request *request);  /* as sent, with port */
    /* "http" or "https"; "ws" or "wss" once upgraded. */
    const char *(*request_scheme)(const struct weir_request *request);
    const char *(*request_route)(const struct weir_request *request); /* the route's path */
    /* The client's address without port, and its port; 0 where unknown. */
    const char *(*request_remote)(const struct weir_request *request);
    unsigned (*request_remote_port)(const struct weir_request *request);
    /* A number for the connection, unique in the process; a session's id. */
    uint64_t (*request_id)(const struct weir_request *request);
    /* Whether it asks for WebSocket and its route accepts that. */
    int (*request_wants_session)(const struct weir_request *request);
    /* What was agreed; from on_open on. */
    struct weir_bytes (*request_subprotocol)(const struct weir_request *request);

    /* Fields in the order they came. */
    size_t (*request_header_count)(const struct weir_request *request);
    struct weir_field (*request_header_at)(const struct weir_request *request, size_t index);
    /* The first value of that name (terminated), without regard to case; data NULL for none. */
    struct weir_bytes (*request_header)(const struct weir_request *request, const char *name);

    /* A pointer for the plugin's own use, NULL at first; the same through request and session. What
     * it points to is the plugin's to free, in on_done or on_close. */
    void **(*request_seat)(struct weir_request *request, unsigned seat);

    /* Answers with a whole body; return WEIR_REPLY. Date, Server, Content-Length and Connection are
     * added. `fields` may be NULL with count 0. INVALID: a second answer, or fields that cannot
     * stand in a response. */
    enum weir_status (*request_reply)(struct weir_request *request, unsigned status,
                                      const struct weir_field *fields, size_t count,
                                      struct weir_bytes body);

    /* Answers in parts: the head now, `length` bytes (or WEIR_LENGTH_UNKNOWN) with reply_body, then
     * reply_end. reply_body takes everything; `*full` tells to send no more until on_reply_drain.
     * CLOSED: the client has gone, on_done comes. Fewer bytes than promised cut the connection. */
    enum weir_status (*request_reply_start)(struct weir_request *request, unsigned status,
                                            const struct weir_field *fields, size_t count,
                                            uint64_t length);
    enum weir_status (*request_reply_body)(struct weir_request *request, struct weir_bytes bytes,
                                           int *full);
    void (*request_reply_end)(struct weir_request *request);

    /* on_body gets the request's body from now on; without this it is thrown away. `on` stops
     * reading it, 0 goes on. */
    void (*request_want_body)(struct weir_request *request, unsigned seat);
    void (*request_pause_body)(struct weir_request *request, int on);

    /* Ends the WEIR_WAIT of on_request with the verdict that it would have given. Not from within
     * the callback that waits, and not after on_done or on_close. */
    void (*request_resume)(struct weir_request *request, unsigned seat, enum weir_verdict verdict);

    /* What the 101 is to say, before the verdict WEIR_ACCEPT: a subprotocol (one that the client
     * has offered; size 0: none) in place of the route's choice, and fields. The last call counts.
     * INVALID: it was not offered, or a field is the gateway's to send. */
    enum weir_status (*request_prepare_accept)(struct weir_request *request,
                                               struct weir_bytes subprotocol,
                                               const struct weir_field *fields, size_t count);

    /* --- a session --- */

    struct weir_request *(*session_request)(struct weir_session *session);
    uint64_t (*session_id)(const struct weir_session *session);          /* unique in the process */
    void **(*session_seat)(struct weir_session *session, unsigned seat); /* as request_seat */

    /* Sends a message to the client, as the plugin at `seat`: it walks on_send of the plugins
     * before that one. OK: sent or queued. FULL, CLOSED, NO_MEMORY; INVALID: text that is not
     * UTF-8. */
    enum weir_status (*session_send)(struct weir_session *session, unsigned seat,
                                     enum weir_kind kind, struct weir_bytes payload);

    /* Whether messages have to be sent whole: a plugin before `seat` has on_send, or they are
     * compressed. Where it says 0, session_send_piece sends a message in parts, each a frame; FULL:
     * another message is under way. It refuses nothing for a full queue: watch session_is_behind.
     * The plugin vouches for UTF-8. */
    int (*session_sends_whole)(const struct weir_session *session, unsigned seat);
    enum weir_status (*session_send_piece)(struct weir_session *session, enum weir_kind kind,
                                           struct weir_bytes bytes, int first, int last);

    /* Passes a message inwards in place of the one that on_message was given (which then returns
     * WEIR_DROP). */
    void (*session_pass)(struct weir_session *session, unsigned seat,
                         const struct weir_message *message);

    /* Up to 125 bytes of payload. */
    enum weir_status (*session_ping)(struct weir_session *session, struct weir_bytes payload);

    /* Starts the close handshake; the reason is cut to 123 bytes. INVALID: a code that may not be
     * sent. CLOSED: it is closing already. on_close comes later, never from within this call. */
    enum weir_status (*session_close)(struct weir_session *session, uint16_t code,
                                      struct weir_bytes reason);

    /* As request_resume, for on_open and on_message. */
    void (*session_resume)(struct weir_session *session, unsigned seat, enum weir_verdict verdict);

    size_t (*session_buffered)(
        const struct weir_session *session); /* bytes the client lags behind */
    int (*session_is_open)(
        const struct weir_session *session);                /* whether it can still be sent to */
    int (*session_is_behind)(struct weir_session *session); /* better not, until on_drain */
    void (*session_pause)(struct weir_session *session, int on); /* stops reading from the client */

    /* --- the worker, as worker_start was given it --- */

    unsigned (*worker_id)(const struct weir_worker *worker); /* 0 .. count-1 */
    unsigned (*worker_count)(const struct weir_worker *worker);
    uint64_t (*worker_now_ms)(const struct weir_worker *worker); /* monotonic, read once a turn */

    /* Calls `fn` on this worker, once after `delay_ms`, or every `delay_ms` (at least 1) when
     * `repeats`. NULL: no memory, or a repeated delay of 0. Timers that are left when worker_stop
     * returns are cancelled. */
    struct weir_timer *(*timer_start)(struct weir_worker *worker, uint64_t delay_ms, int repeats,
                                      weir_task_fn fn, void *context);
    /* Also from within its own function. A timer that was to fire once is over when its function
     * returns: forget it there. NULL does nothing. */
    void (*timer_cancel)(struct weir_timer *timer);

    /* Calls `fn` on this worker in its next turn: how a thread of the plugin's own hands something
     * over. CLOSED: the worker is stopping; NO_MEMORY; both call nothing. What has not been called
     * when worker_stop is called never will be, and nothing may be posted after worker_stop. Any
     * thread. */
    enum weir_status (*worker_post)(struct weir_worker *worker, weir_task_fn fn, void *context);

    /* --- fields of others --- */

    /* Changes a field of the request for whoever looks at it from now on: further plugins, and the
     * backend that it goes to. CLOSED: it has been answered; FULL: too many changes; INVALID: a
     * malformed field, or one that is the gateway's to send. */
    enum weir_status (*request_change_field)(struct weir_request *request, enum weir_change change,
                                             struct weir_field field);
    /* The same for the answer, whoever gives it; the 101 of an upgrade is one. */
    enum weir_status (*request_change_reply)(struct weir_request *request, enum weir_change change,
                                             struct weir_field field);
};

#if defined(__GNUC__)
#define WEIR_EXPORT __attribute__((visibility("default")))
#else
#define WEIR_EXPORT
#endif

/* The one function that a shared object has to have; the plugin defines it. It keeps `host` for its
 * callbacks and returns its table, which lives as long as the shared object; NULL: it cannot work
 * with this host. It is called before each load, so maybe more than once, always with the same
 * `host`. Control thread. */
WEIR_EXPORT const struct weir_plugin_ops *weir_plugin(const struct weir_host *host);

#ifdef __cplusplus
}
#endif

#endif
