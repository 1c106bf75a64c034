/* Tells what all threads see of the upstreams, as JSON. Called for operators, seldom; each figure
 * is read once and relaxed, so two of them may be of different moments. */
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "upstream/group.h"
#include "upstream/upstreams.h"

static const char *state_word(unsigned state)
{
    switch (state) {
    case CONFIG_SERVER_UP:
        return "up";
    case CONFIG_SERVER_DRAINING:
        return "draining";
    default:
        return "down";
    }
}

/* Never above what JSON numbers of jansson hold. */
static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* Sets a member; NULL values (no memory) make the result false. Takes `value`. */
static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static bool put_settings(json_t *object, const struct upstream_server *server)
{
    char id[17];
    snprintf(id, sizeof id, "%016llx", (unsigned long long)server->id);
    return put(object, "address", json_string(server->text)) &&
           put(object, "configured", json_string(server->config->address)) &&
           put(object, "id", json_string(id)) &&
           put(object, "backup", json_boolean(server->config->backup)) &&
           put(object, "weight", number(server->config->weight)) &&
           put(object, "max_connections", number(server->config->max_connections));
}

static bool put_life(json_t *object, const struct upstream_server *server, uint64_t now_ms)
{
    uint64_t until_ms = atomic_load_explicit(&server->ejected_until_ms, memory_order_relaxed);
    unsigned state = atomic_load_explicit(&server->state, memory_order_relaxed);
    return put(object, "state", json_string(state_word(state))) &&
           put(object, "healthy", json_boolean(atomic_load(&server->healthy))) &&
           put(object, "takes_new", json_boolean(server_takes_new(server, now_ms))) &&
           put(object, "ejected_for_ms", number(until_ms > now_ms ? until_ms - now_ms : 0)) &&
           put(object, "ejections", number(atomic_load(&server->ejections))) &&
           put(object, "failures", number(atomic_load(&server->failures))) &&
           put(object, "active", number(atomic_load(&server->active))) &&
           put(object, "requests", number(atomic_load(&server->requests))) &&
           put(object, "errors", number(atomic_load(&server->errors)));
}

static json_t *servers_of(const struct roster *roster, uint64_t now_ms)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < roster->count; i++) {
        json_t *object = json_object();
        bool done = object != NULL && put_settings(object, roster->servers[i]) &&
                    put_life(object, roster->servers[i], now_ms);
        if (!done || json_array_append(list, object) != 0) {
            json_decref(list);
            list = NULL;
        }
        json_decref(object);
    }
    return list;
}

static json_t *upstream_of(struct upstream_group *group, uint64_t now_ms)
{
    struct roster *roster = group_roster(group);
    json_t *object = json_object();
    if (object == NULL || !put(object, "name", json_string(group->config->name)) ||
        !put(object, "pending", json_boolean(roster->pending)) ||
        !put(object, "waiting", number(atomic_load(&group->waiting))) ||
        !put(object, "servers", servers_of(roster, now_ms))) {
        json_decref(object);
        object = NULL;
    }
    roster_release(&roster);
    return object;
}

static json_t *all_of(struct upstreams *upstreams, struct span upstream)
{
    uint64_t now_ms = clock_monotonic_ms();
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < upstreams_count(upstreams); i++) {
        struct upstream_group *group = upstreams_at(upstreams, i);
        bool wanted = upstream.size == 0 || span_equal(upstream, span_of(group->config->name));
        if (wanted && json_array_append_new(list, upstream_of(group, now_ms)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    json_t *object = json_object();
    if (!put(object, "upstreams", list)) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static int append(const char *bytes, size_t size, void *context)
{
    return buffer_append(context, (struct span){(const uint8_t *)bytes, size}) == WEIR_OK ? 0 : -1;
}

enum weir_err upstreams_report(struct upstreams *upstreams, struct span upstream,
                               struct buffer *out)
{
    size_t size = out->size;
    json_t *object = all_of(upstreams, upstream);
    if (object == NULL) {
        return WEIR_ENOMEM;
    }
    int failed = json_dump_callback(object, append, out, JSON_COMPACT);
    json_decref(object);
    if (failed != 0) {
        out->size = size; /* whole or not at all */
        return WEIR_ENOMEM;
    }
    return WEIR_OK;
}
