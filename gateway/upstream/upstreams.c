/* Puts an upstream's shared parts together: the group, its lineup, TLS, keys, learned ids; and
 * starts what keeps them up to date on the control thread.
 * Called by worker/ when a configuration is loaded, and by the admin handler on any worker, which
 * reads rosters and sets atomics only. */
#include "upstream/upstreams.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/resolver.h"
#include "net/tls_client.h"
#include "upstream/group.h"
#include "upstream/health.h"
#include "upstream/learned.h"
#include "upstream/lineup.h"
#include "upstream/names.h"
#include "upstream/server_address.h"

enum {
    WHY_BYTES = 512
};

struct upstreams {
    struct config *config; /* shared */
    size_t count;
    struct upstream_group **groups;
    struct lineup **lineups;

    /* From upstreams_start to upstreams_stop; the control thread's. */
    struct resolver *resolver;
    struct names *names;
    struct health *health;
};

/* Where problems go while upstreams are made. */
struct making {
    const char *file;
    struct buffer *errors;
};

static enum weir_err problem(const struct making *making, unsigned line,
                             const struct config_upstream *config, const char *what,
                             const char *why)
{
    enum weir_err err = buffer_printf(making->errors, "%s:%u: upstreams.%s.%s: %s\n", making->file,
                                      line, config->name, what, why);
    return err == WEIR_OK ? WEIR_EINVAL : err;
}

/* --- one upstream's parts --- */

static enum weir_err make_tls(const struct making *making, struct upstream_group *group)
{
    const struct config_upstream_tls *tls = group->config->tls;
    char why[WHY_BYTES] = "";
    if (tls == NULL) {
        return WEIR_OK;
    }
    struct tls_client_settings settings = {
        .verify = tls->verify,
        .ca = tls->ca,
        .certificate = tls->certificate,
        .private_key = tls->private_key,
    };
    enum weir_err err = tls_client_new(&settings, why, sizeof why, &group->tls);
    return err == WEIR_EINVAL ? problem(making, group->config->line, group->config, "tls", why)
                              : err;
}

static enum weir_err make_cookie_key(const struct making *making, struct upstream_group *group)
{
    const struct config_sticky *sticky = group->config->sticky;
    if (sticky == NULL || sticky->cookie == NULL) {
        return WEIR_OK;
    }
    if (sticky->secret != NULL) {
        return sticky_cookie_key(sticky->secret, group->cookie_key);
    }
    ssize_t got = getrandom(group->cookie_key, sizeof group->cookie_key, 0);
    return got == (ssize_t)sizeof group->cookie_key
               ? WEIR_OK
               : problem(making, group->config->line, group->config, "sticky",
                         "the system has no random bytes");
}

static enum weir_err make_learned(struct upstream_group *group)
{
    const struct config_sticky *sticky = group->config->sticky;
    if (sticky == NULL || sticky->learn == CONFIG_LEARN_NOTHING) {
        return WEIR_OK;
    }
    group->learned = learned_ids_new(sticky->learn_ttl_ms, sticky->learn_max_ids);
    return group->learned != NULL ? WEIR_OK : WEIR_ENOMEM;
}

/* What is an address serves at once; a name waits for upstreams_start. */
static enum weir_err make_server(const struct making *making, struct lineup *lineup, size_t index)
{
    const struct config_upstream *config = lineup_group(lineup)->config;
    const struct config_server *server = &config->servers[index];
    struct server_address address;
    const char *why = "";
    if (server_address_parse(server->address, &address, &why) != WEIR_OK) {
        return problem(making, server->line, config, server->address, why);
    }
    if (address.is_name) {
        return WEIR_OK;
    }
    struct resolver_address fixed = {.address = address.address, .size = address.address_size};
    return lineup_set(lineup, index, &fixed, 1, clock_monotonic_ms());
}

/* Goes on after a problem, so that all are told; the worst result counts. */
static void note(enum weir_err *result, enum weir_err err)
{
    if (err != WEIR_OK && *result != WEIR_ENOMEM) {
        *result = err;
    }
}

static enum weir_err make_upstream(struct upstreams *upstreams, const struct making *making,
                                   size_t index)
{
    struct upstream_group *group = group_new(&upstreams->config->upstreams[index]);
    upstreams->groups[index] = group;
    struct lineup *lineup = group != NULL ? lineup_new(group) : NULL;
    upstreams->lineups[index] = lineup;
    if (lineup == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_err result = WEIR_OK;
    note(&result, make_tls(making, group));
    note(&result, make_cookie_key(making, group));
    note(&result, make_learned(group));
    for (size_t i = 0; i < group->config->server_count; i++) {
        note(&result, make_server(making, lineup, i));
    }
    return result;
}

/* --- all of them --- */

enum weir_err upstreams_new(struct config *config, const char *file, struct buffer *errors,
                            struct upstreams **out)
{
    struct making making = {.file = file, .errors = errors};
    size_t count = config->upstream_count;
    struct upstreams *upstreams = calloc(1, sizeof *upstreams);
    if (upstreams == NULL) {
        return WEIR_ENOMEM;
    }
    upstreams->config = config_share(config);
    upstreams->groups = calloc(count + 1, sizeof(upstreams->groups[0]));
    upstreams->lineups = calloc(count + 1, sizeof(upstreams->lineups[0]));
    enum weir_err result = WEIR_OK;
    if (upstreams->groups == NULL || upstreams->lineups == NULL) {
        result = WEIR_ENOMEM;
    } else {
        upstreams->count = count;
        for (size_t i = 0; i < count; i++) {
            note(&result, make_upstream(upstreams, &making, i));
        }
    }
    if (result != WEIR_OK) {
        upstreams_free(&upstreams);
        return result;
    }
    *out = upstreams;
    return WEIR_OK;
}

void upstreams_free(struct upstreams **upstreams)
{
    struct upstreams *mine = *upstreams;
    *upstreams = NULL;
    if (mine == NULL) {
        return;
    }
    for (size_t i = 0; i < mine->count; i++) {
        lineup_free(&mine->lineups[i]);
        if (mine->groups[i] != NULL) {
            tls_client_free(&mine->groups[i]->tls);
            learned_ids_free(&mine->groups[i]->learned);
        }
        group_free(&mine->groups[i]);
    }
    free(mine->groups);
    free(mine->lineups);
    config_release(&mine->config);
    free(mine);
}

size_t upstreams_count(const struct upstreams *upstreams)
{
    return upstreams->count;
}

struct upstream_group *upstreams_at(struct upstreams *upstreams, size_t index)
{
    return upstreams->groups[index];
}

static struct upstream_group *find(const struct upstreams *upstreams, struct span name)
{
    for (size_t i = 0; i < upstreams->count; i++) {
        if (span_equal(span_of(upstreams->groups[i]->config->name), name)) {
            return upstreams->groups[i];
        }
    }
    return NULL;
}

struct upstream_group *upstreams_group(struct upstreams *upstreams, const char *name)
{
    return find(upstreams, span_of(name));
}

bool upstreams_has(const struct upstreams *upstreams, struct span name)
{
    return find(upstreams, name) != NULL;
}

/* --- on the control thread --- */

/* The resolver is made with the first name: many configurations have none, and need no
 * resolv.conf. */
static enum weir_err need_names(struct upstreams *upstreams, struct loop *loop)
{
    const struct config_resolver *config = &upstreams->config->resolver;
    if (upstreams->names != NULL) {
        return WEIR_OK;
    }
    enum weir_err err = resolver_new(loop, config->nameservers.items, config->nameservers.count,
                                     &upstreams->resolver);
    if (err != WEIR_OK) {
        log_error("upstream", "the resolver does not start: %s", weir_err_name(err));
        return err;
    }
    upstreams->names = names_new(loop, upstreams->resolver, config->timeout_ms);
    return upstreams->names != NULL ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_err start_names(struct upstreams *upstreams, struct loop *loop,
                                 struct lineup *lineup)
{
    const struct config_upstream *config = lineup_group(lineup)->config;
    enum weir_err err = WEIR_OK;
    for (size_t i = 0; err == WEIR_OK && i < config->server_count; i++) {
        struct server_address address;
        const char *why = "";
        err = server_address_parse(config->servers[i].address, &address, &why);
        if (err == WEIR_OK && address.is_name) {
            err = need_names(upstreams, loop);
            if (err == WEIR_OK) {
                err = names_add(upstreams->names, lineup, i, address.host, address.port);
            }
        }
    }
    return err;
}

enum weir_err upstreams_start(struct upstreams *upstreams, struct loop *loop)
{
    upstreams->health = health_new(loop);
    enum weir_err err = upstreams->health != NULL ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; err == WEIR_OK && i < upstreams->count; i++) {
        err = health_add(upstreams->health, upstreams->lineups[i]);
        if (err == WEIR_OK) {
            err = start_names(upstreams, loop, upstreams->lineups[i]);
        }
    }
    if (err != WEIR_OK) {
        log_error("upstream", "the upstreams do not start: %s", weir_err_name(err));
        upstreams_stop(upstreams);
    }
    return err;
}

void upstreams_stop(struct upstreams *upstreams)
{
    names_free(&upstreams->names);
    health_free(&upstreams->health);
    resolver_free(&upstreams->resolver);
}

/* --- what the operator says --- */

static size_t set_state(struct upstream_group *group, struct span server,
                        enum config_server_state state)
{
    struct roster *roster = group_roster(group);
    size_t count = 0;
    for (size_t i = 0; i < roster->count; i++) {
        struct upstream_server *at = roster->servers[i];
        if (span_equal(server, span_of(at->text)) ||
            span_equal(server, span_of(at->config->address))) {
            server_set_state(at, state, clock_monotonic_ms());
            count++;
        }
    }
    roster_release(&roster);
    if (count > 0) {
        group_wake(group);
    }
    return count;
}

size_t upstreams_set_state(struct upstreams *upstreams, struct span upstream, struct span server,
                           enum config_server_state state)
{
    size_t count = 0;
    for (size_t i = 0; i < upstreams->count; i++) {
        struct upstream_group *group = upstreams->groups[i];
        if (upstream.size == 0 || span_equal(upstream, span_of(group->config->name))) {
            count += set_state(group, server, state);
        }
    }
    return count;
}
