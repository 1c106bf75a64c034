/* GET answers the report of upstream/ as it is; POST or PUT, with what to do in the query, sets the
 * state of servers. Only clients whose address is in `allow` get an answer; without that setting
 * those on this machine.
 * Called through its ops by the chain, as the last of a route, on any worker: what it reads and
 * sets is atomic. It writes nothing to disk: after a restart the configuration counts again. */
#include "handlers/upstream_admin.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/check.h"
#include "base/log.h"
#include "handlers/allow_list.h"
#include "handlers/json_line.h"
#include "session/request.h"
#include "upstream/upstreams.h"

enum {
    MAGIC = 0x75706164, /* "upad" */
    TEXT_LIMIT = 512    /* bytes of each text of an answer */
};

#define ALLOWED_METHODS SPAN("GET, HEAD, POST, PUT")

struct upstream_admin {
    uint32_t magic;
    struct upstreams *upstreams; /* borrowed */
    struct span upstream;        /* the only one that is shown; empty: all */
    struct allow_list allow;
};

static struct upstreams *to_use; /* of the control thread */

void upstream_admin_use(struct upstreams *upstreams)
{
    to_use = upstreams;
}

static struct upstream_admin *admin_of(void *self)
{
    struct upstream_admin *admin = self;
    WEIR_CHECK(admin->magic == MAGIC);
    return admin;
}

/* --- the process part --- */

static void unload(void *plugin)
{
    struct upstream_admin *admin = admin_of(plugin);
    admin->magic = 0;
    allow_list_free(&admin->allow);
    free(admin);
}

static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct upstream_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    snprintf(error, error_size, "no memory"); /* unless something else is wrong */
    admin->magic = MAGIC;
    admin->upstreams = to_use;
    admin->upstream = strcmp(config->name, "all") == 0 ? SPAN("") : span_of(config->name);
    WEIR_CHECK(admin->upstreams != NULL);
    if (allow_list_read(config->settings_json, error, error_size, &admin->allow) != WEIR_OK) {
        unload(admin);
        return -1;
    }
    *plugin = admin;
    return 0;
}

/* --- who may ask --- */

/* A page of another site could make the operator's own browser send a POST; a browser then says
 * whose page it is (RFC 6454, section 7). */
static bool is_from_elsewhere(const struct weir_request *request)
{
    struct span origin = request_header(request, SPAN("origin"));
    if (origin.data == NULL) {
        return false;
    }
    size_t colon = span_find(origin, ':');
    struct span rest = span_from(origin, colon);
    return !span_starts_with(rest, SPAN("://")) ||
           !span_equal_nocase(span_from(rest, 3), request_host(request));
}

/* --- answers --- */

/* Where an answer cannot be made, the request ends without one. */
static enum weir_verdict verdict(enum weir_err err)
{
    if (err != WEIR_OK) {
        log_warn("upstream_admin", "a request was cut: %s", weir_err_name(err));
        return WEIR_DROP;
    }
    return WEIR_REPLY;
}

static enum weir_verdict refuse(struct weir_request *request, unsigned status, const char *why)
{
    return verdict(request_reply_error(request, status, why));
}

static enum weir_verdict refuse_method(struct weir_request *request)
{
    const struct reply_field fields[] = {
        {SPAN("Allow"), ALLOWED_METHODS},
        {SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
    };
    return verdict(request_reply(request, 405, fields, sizeof fields / sizeof fields[0],
                                 SPAN("GET shows the upstreams, POST sets a server's state.\n")));
}

static enum weir_verdict answer(struct weir_request *request, struct span json)
{
    const struct reply_field fields[] = {
        {SPAN("Content-Type"), SPAN("application/json")},
        {SPAN("Cache-Control"), SPAN("no-store")},
    };
    return verdict(request_reply(request, 200, fields, sizeof fields / sizeof fields[0], json));
}

/* --- what is asked --- */

/* The query, decoded. All zero is a valid empty one. */
struct wish {
    struct buffer upstream;
    struct buffer server;
    struct buffer state;
};

static void wish_free(struct wish *wish)
{
    buffer_free(&wish->upstream);
    buffer_free(&wish->server);
    buffer_free(&wish->state);
}

static struct buffer *wish_member(struct wish *wish, struct span name)
{
    if (span_equal(name, SPAN("upstream"))) {
        return &wish->upstream;
    }
    if (span_equal(name, SPAN("server"))) {
        return &wish->server;
    }
    return span_equal(name, SPAN("state")) ? &wish->state : NULL;
}

/* NULL, or words for a 400. */
static const char *wish_read(const struct weir_request *request, struct wish *wish)
{
    struct span rest = request_query(request);
    struct buffer name = {0};
    struct buffer value = {0};
    const char *why = NULL;
    while (why == NULL && request_query_next(&rest, &name, &value)) {
        struct buffer *member = wish_member(wish, buffer_span(&name));
        if (member == NULL) {
            why = "The query has a name that is none of upstream, server and state.";
        } else if (member->size > 0) {
            why = "The query has a name twice.";
        } else {
            *member = value;
            value = (struct buffer){0};
        }
        buffer_drop(&name, name.size);
        buffer_drop(&value, value.size);
    }
    buffer_free(&name);
    buffer_free(&value);
    return why;
}

static bool state_of(struct span word, enum config_server_state *state)
{
    static const struct {
        const char *word;
        enum config_server_state state;
    } words[] = {
        {"up", CONFIG_SERVER_UP},
        {"draining", CONFIG_SERVER_DRAINING},
        {"down", CONFIG_SERVER_DOWN},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_equal(word, span_of(words[i].word))) {
            *state = words[i].state;
            return true;
        }
    }
    return false;
}

/* Which upstream the request is about, empty for all. False: one that this plugin does not show. */
static bool choose_upstream(const struct upstream_admin *admin, const struct wish *wish,
                            struct span *upstream)
{
    struct span wanted = buffer_span(&wish->upstream);
    *upstream = wanted.size > 0 ? wanted : admin->upstream;
    return wanted.size == 0 || admin->upstream.size == 0 || span_equal(wanted, admin->upstream);
}

static enum weir_verdict show(const struct upstream_admin *admin, struct weir_request *request,
                              const struct wish *wish)
{
    struct span upstream;
    struct buffer json = {0};
    if (wish->server.size > 0 || wish->state.size > 0) {
        return refuse(request, 400, "Only POST and PUT take server and state.");
    }
    if (!choose_upstream(admin, wish, &upstream) ||
        (upstream.size > 0 && !upstreams_has(admin->upstreams, upstream))) {
        return refuse(request, 404, "There is no such upstream here.");
    }
    enum weir_err err = upstreams_report(admin->upstreams, upstream, &json);
    enum weir_verdict result = err == WEIR_OK ? answer(request, buffer_span(&json))
                                              : refuse(request, 500, "There is no memory.");
    buffer_free(&json);
    return result;
}

static enum weir_verdict set(const struct upstream_admin *admin, struct weir_request *request,
                             const struct wish *wish)
{
    enum config_server_state state = CONFIG_SERVER_UP;
    struct span server = buffer_span(&wish->server);
    struct span word = buffer_span(&wish->state);
    struct span upstream;
    struct json_line line;
    if (server.size == 0) {
        return refuse(request, 400, "The query has no server.");
    }
    if (!state_of(word, &state)) {
        return refuse(request, 400, "The state is none of up, draining and down.");
    }
    size_t changed = choose_upstream(admin, wish, &upstream)
                         ? upstreams_set_state(admin->upstreams, upstream, server, state)
                         : 0;
    if (changed == 0) {
        return refuse(request, 404, "There is no such server here.");
    }
    log_info("upstream_admin", "%s sets %.*s to %.*s (changed: %zu)", request_remote(request),
             SPAN_ARGS(server), SPAN_ARGS(word), changed);
    json_line_begin(&line);
    if (upstream.size > 0) {
        json_line_text(&line, "upstream", upstream, TEXT_LIMIT);
    }
    json_line_text(&line, "server", server, TEXT_LIMIT);
    json_line_text(&line, "state", word, TEXT_LIMIT);
    json_line_number(&line, "changed", changed);
    return answer(request, json_line_end(&line));
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    const struct upstream_admin *admin = admin_of(self);
    struct span method = request_method(request);
    bool shows = span_equal(method, SPAN("GET")) || span_equal(method, SPAN("HEAD"));
    bool sets = span_equal(method, SPAN("POST")) || span_equal(method, SPAN("PUT"));
    struct wish wish = {0};
    (void)seat;
    if (!allow_list_has(&admin->allow, request) || (sets && is_from_elsewhere(request))) {
        return refuse(request, 403, "This is for operators.");
    }
    if (!shows && !sets) {
        return refuse_method(request);
    }
    const char *why = wish_read(request, &wish);
    enum weir_verdict result = WEIR_REPLY;
    if (why != NULL) {
        result = refuse(request, 400, why);
    } else {
        result = shows ? show(admin, request, &wish) : set(admin, request, &wish);
    }
    wish_free(&wish);
    return result;
}

const struct weir_plugin_ops *upstream_admin_ops(void)
{
    static const struct weir_plugin_ops ops = {
        .struct_size = sizeof ops, .load = load, .unload = unload, .on_request = on_request};
    return &ops;
}
