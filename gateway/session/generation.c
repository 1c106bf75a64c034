/* Counts who uses a generation, and finds routes in it. There are few routes; a walk over them
 * beats a clever index. */
#include "session/generation.h"

#include <string.h>

#include "base/check.h"

struct generation *generation_join(struct generation *generation)
{
    generation->users++;
    return generation;
}

void generation_leave(struct generation **generation)
{
    struct generation *left = *generation;
    *generation = NULL;
    WEIR_CHECK(left->users > 0);
    left->users--;
    if (left->users == 0) {
        left->last_user_left(left);
    }
}

/* `/ws` matches itself and `/ws/...`, not `/wsx`; a path that ends with a slash matches what is
 * below it. */
static bool path_matches(struct span path, struct span configured)
{
    if (!span_starts_with(path, configured)) {
        return false;
    }
    return path.size == configured.size || configured.data[configured.size - 1] == '/' ||
           path.data[configured.size] == '/';
}

static struct span without_port(struct span host)
{
    if (host.size > 0 && host.data[0] == '[') {
        size_t end = span_find(host, ']');
        return end < host.size ? (struct span){host.data, end + 1} : host;
    }
    return (struct span){host.data, span_find(host, ':')};
}

enum host_match {
    HOST_NONE,
    HOST_ANY,
    HOST_PATTERN,
    HOST_EXACT
};

static enum host_match match_one(struct span host, struct span configured)
{
    if (span_equal_nocase(host, configured)) {
        return HOST_EXACT;
    }
    if (span_starts_with(configured, SPAN("*."))) {
        struct span suffix = span_from(configured, 1);
        if (host.size > suffix.size &&
            span_equal_nocase(span_from(host, host.size - suffix.size), suffix)) {
            return HOST_PATTERN;
        }
    }
    return HOST_NONE;
}

static enum host_match host_matches(struct span host, const struct config_strings *hosts)
{
    enum host_match best = hosts->count == 0 ? HOST_ANY : HOST_NONE;
    for (size_t i = 0; i < hosts->count; i++) {
        enum host_match match = match_one(host, span_of(hosts->items[i]));
        best = match > best ? match : best;
    }
    return best;
}

const struct route *generation_route(const struct generation *generation, struct span host,
                                     struct span path)
{
    const struct route *best = NULL;
    enum host_match best_host = HOST_NONE;
    size_t best_size = 0;
    host = without_port(host);
    for (size_t i = 0; i < generation->route_count; i++) {
        const struct route *route = &generation->routes[i];
        struct span configured = span_of(route->config->path);
        enum host_match match = host_matches(host, &route->config->hosts);
        if (match == HOST_NONE || !path_matches(path, configured)) {
            continue;
        }
        if (best == NULL || configured.size > best_size ||
            (configured.size == best_size && match > best_host)) {
            best = route;
            best_host = match;
            best_size = configured.size;
        }
    }
    return best;
}
