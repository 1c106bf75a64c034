/* Drives libcurl's multi interface from the loop: libcurl says which sockets and which moment it
 * waits for, and is told when they come. It never waits itself: names are resolved by threads of
 * its own. Used by Lua's weir.http; http_client_call.c is what one call consists of.
 *
 * Callbacks of libcurl change nothing but watches and the timer, as libcurl is not re-entrant; what
 * is done is picked up after libcurl has returned. */
#include "net/http_client.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "net/http_client_internal.h"

enum {
    KEPT_CONNECTIONS = 256 /* idle ones of a worker; beyond that the oldest go */
};

struct http_client {
    CURLM *multi;
    struct loop *loop; /* borrowed */
    struct event *timer;
    struct list_node calls;
    bool telling; /* within a call's `fn` */
};

/* A socket that libcurl waits for. */
struct watch {
    struct http_client *client;
    struct event *event;
};

static void set_up_libcurl(void)
{
    WEIR_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static void end_call(struct http_call *call)
{
    curl_multi_remove_handle(call->client->multi, call->easy);
    list_remove(&call->node);
    http_call_free(call);
}

static void finish(struct http_client *client, struct http_call *call, CURLcode code)
{
    /* Out of libcurl's hands first: `fn` may start a call that uses the connection again. */
    curl_multi_remove_handle(client->multi, call->easy);
    list_remove(&call->node);
    client->telling = true;
    http_call_tell(call, code);
    client->telling = false;
    http_call_free(call);
}

static void pick_up(struct http_client *client)
{
    int left = 0;
    for (CURLMsg *message = curl_multi_info_read(client->multi, &left); message != NULL;
         message = curl_multi_info_read(client->multi, &left)) {
        struct http_call *call = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        finish(client, call, message->data.result); /* the message is gone with the handle */
    }
}

/* --- what libcurl wants --- */

static void socket_ready(evutil_socket_t fd, short what, void *context)
{
    const struct watch *watch = context;
    struct http_client *client = watch->client; /* libcurl may end the watch meanwhile */
    int running = 0;
    int flags = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
                ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
    curl_multi_socket_action(client->multi, fd, flags, &running);
    pick_up(client);
}

static void watch_free(struct watch *watch)
{
    if (watch != NULL) {
        if (watch->event != NULL) {
            event_free(watch->event);
        }
        free(watch);
    }
}

/* A NULL where memory is out: libcurl would give up all calls if it were told; so one of them runs
 * into its timeout instead. */
static struct watch *watch_new(struct http_client *client, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch != NULL) {
        watch->client = client;
        watch->event = event_new(loop_base(client->loop), fd, 0, socket_ready, watch);
    }
    if (watch == NULL || watch->event == NULL) {
        log_error("http client", "no memory to wait for a socket");
        watch_free(watch);
        return NULL;
    }
    curl_multi_assign(client->multi, fd, watch);
    return watch;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct http_client *client = context;
    struct watch *watch = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        watch_free(watch);
        return 0;
    }
    if (watch == NULL) {
        watch = watch_new(client, fd);
        if (watch == NULL) {
            return 0;
        }
    }
    short events = EV_PERSIST;
    events = (short)(events | ((what & CURL_POLL_IN) != 0 ? EV_READ : 0));
    events = (short)(events | ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));
    event_del(watch->event);
    event_assign(watch->event, loop_base(client->loop), fd, events, socket_ready, watch);
    event_add(watch->event, NULL);
    return 0;
}

static void time_came(evutil_socket_t fd, short what, void *context)
{
    struct http_client *client = context;
    int running = 0;
    (void)fd;
    (void)what;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    pick_up(client);
}

static int want_time(CURLM *multi, long delay_ms, void *context)
{
    struct http_client *client = context;
    (void)multi;
    if (delay_ms < 0) {
        event_del(client->timer);
        return 0;
    }
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    event_add(client->timer, &delay);
    return 0;
}

/* --- the client --- */

struct http_client *http_client_new(struct loop *loop)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_libcurl);
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    list_init(&client->calls);
    client->loop = loop;
    client->timer = event_new(loop_base(loop), -1, 0, time_came, client);
    client->multi = curl_multi_init();
    if (client->timer == NULL || client->multi == NULL) {
        http_client_free(&client);
        return NULL;
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, want_time);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return client;
}

void http_client_free(struct http_client **pointer)
{
    struct http_client *client = *pointer;
    if (client == NULL) {
        return;
    }
    WEIR_CHECK(!client->telling);
    *pointer = NULL;
    while (!list_is_empty(&client->calls)) {
        end_call(list_item(client->calls.next, struct http_call, node));
    }
    if (client->multi != NULL) {
        curl_multi_cleanup(client->multi); /* ends the watches of kept connections */
    }
    if (client->timer != NULL) {
        event_free(client->timer);
    }
    free(client);
}

enum weir_err http_client_start(struct http_client *client, const struct http_call_wish *wish,
                                http_call_fn fn, void *context, char *why, struct http_call **out)
{
    struct http_call *call = NULL;
    enum weir_err err = http_call_new(wish, why, &call);
    if (err != WEIR_OK) {
        return err;
    }
    call->client = client;
    call->fn = fn;
    call->context = context;
    if (curl_multi_add_handle(client->multi, call->easy) != CURLM_OK) {
        http_call_free(call);
        return WEIR_ENOMEM;
    }
    list_append(&client->calls, &call->node);
    *out = call;
    return WEIR_OK;
}

void http_call_cancel(struct http_call **call)
{
    if (*call != NULL) {
        end_call(*call);
        *call = NULL;
    }
}
