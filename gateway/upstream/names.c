/* One small clock for each name: a question, its answer to the lineup, a pause, the next question.
 * Called by upstreams.c when the control thread starts and stops. It never forgets an answer
 * because a later question fails: servers that were there are better than none. */
#include "upstream/names.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"

enum {
    RETRY_MS = 1000 /* while there has been no answer at all, and requests may wait for one */
};

struct names {
    struct loop *loop;
    struct resolver *resolver;
    uint64_t timeout_ms;
    struct list_node all; /* struct name */
};

struct name {
    struct list_node node;
    struct names *names;
    struct lineup *lineup;
    size_t index;
    char host[SERVER_HOST_BYTES];
    uint16_t port;
    struct resolver_query *query; /* under way, or NULL */
    struct loop_timer *timer;     /* else until the next one */
    bool known;                   /* there has been an answer */
    bool failing;                 /* the last question failed, and the log says so */
};

static void ask_later(struct name *name);

static void failed(struct name *name, const char *why)
{
    if (!name->failing) {
        log_warn("upstream", "%s: %s cannot be resolved: %s%s",
                 lineup_group(name->lineup)->config->name, name->host, why,
                 name->known ? "; its servers stay as they are" : "");
    }
    name->failing = true;
}

static void succeeded(struct name *name)
{
    if (name->failing) {
        log_info("upstream", "%s: %s is resolved again", lineup_group(name->lineup)->config->name,
                 name->host);
    }
    name->failing = false;
    name->known = true;
}

static void answered(void *context, const struct resolver_address *addresses, size_t count,
                     const char *why)
{
    struct name *name = context;
    name->query = NULL;
    if (count == 0) {
        failed(name, why);
    } else if (lineup_set(name->lineup, name->index, addresses, count,
                          loop_now_ms(name->names->loop)) != WEIR_OK) {
        failed(name, "no memory");
    } else {
        succeeded(name);
    }
    ask_later(name);
}

static void ask(void *context)
{
    struct name *name = context;
    struct names *names = name->names;
    loop_timer_free(&name->timer);
    name->query =
        resolver_ask(names->resolver, name->host, name->port, names->timeout_ms, answered, name);
    if (name->query == NULL) {
        failed(name, "no memory");
        ask_later(name);
    }
}

static void ask_later(struct name *name)
{
    uint64_t pause_ms = lineup_group(name->lineup)->config->resolve_interval_ms;
    if (!name->known && pause_ms > RETRY_MS) {
        pause_ms = RETRY_MS;
    }
    name->timer = loop_timer_new(name->names->loop, pause_ms, false, ask, name);
    if (name->timer == NULL) {
        log_error("upstream", "%s is not asked for again: no memory", name->host);
    }
}

struct names *names_new(struct loop *loop, struct resolver *resolver, uint64_t timeout_ms)
{
    struct names *names = calloc(1, sizeof *names);
    if (names != NULL) {
        names->loop = loop;
        names->resolver = resolver;
        names->timeout_ms = timeout_ms;
        list_init(&names->all);
    }
    return names;
}

static void name_free(struct name *name)
{
    if (name->query != NULL) {
        resolver_cancel(&name->query);
    }
    loop_timer_free(&name->timer);
    list_remove(&name->node);
    free(name);
}

void names_free(struct names **names)
{
    struct names *mine = *names;
    *names = NULL;
    if (mine == NULL) {
        return;
    }
    while (!list_is_empty(&mine->all)) {
        name_free(list_item(mine->all.next, struct name, node));
    }
    free(mine);
}

enum weir_err names_add(struct names *names, struct lineup *lineup, size_t index, const char *host,
                        uint16_t port)
{
    struct name *name = calloc(1, sizeof *name);
    if (name == NULL) {
        return WEIR_ENOMEM;
    }
    name->names = names;
    name->lineup = lineup;
    name->index = index;
    name->port = port;
    snprintf(name->host, sizeof name->host, "%s", host);
    list_append(&names->all, &name->node);
    ask(name);
    return WEIR_OK;
}
