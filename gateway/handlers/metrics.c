/* GET answers with the workers' own counts, summed, and after them with all that base/metrics
 * holds, as Prometheus reads it ("Exposition formats", version 0.0.4, of its documentation). Only
 * clients whose address is in `allow` get an answer; without that setting those on this machine.
 * Called through its ops by the chain, as the last of a route, on any worker. It keeps nothing from
 * one request to the next. */
#include "handlers/metrics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/traffic.h"
#include "handlers/allow_list.h"
#include "session/request.h"

enum {
    MAGIC = 0x6d747263 /* "mtrc" */
};

struct metrics {
    uint32_t magic;
    struct allow_list allow;
};

/* A count of the gateway's own. What is there now is what was opened less what was closed. */
struct own_metric {
    const char *name;
    const char *help;
    const char *kind;
    const char *labels;
    enum traffic_count count;
    enum traffic_count less; /* TRAFFIC_COUNTS: nothing */
};

static const struct own_metric own_metrics[] = {
    {"weir_connections", "Connections of clients that are open.", "gauge", "",
     TRAFFIC_CONNECTIONS_OPENED, TRAFFIC_CONNECTIONS_CLOSED},
    {"weir_connections_total", "Connections of clients that were accepted.", "counter", "",
     TRAFFIC_CONNECTIONS_OPENED, TRAFFIC_COUNTS},
    {"weir_requests_total", "Requests with a whole head.", "counter", "", TRAFFIC_REQUESTS,
     TRAFFIC_COUNTS},
    {"weir_sessions", "WebSocket sessions that are open.", "gauge", "", TRAFFIC_SESSIONS_OPENED,
     TRAFFIC_SESSIONS_CLOSED},
    {"weir_sessions_total", "WebSocket sessions that were opened.", "counter", "",
     TRAFFIC_SESSIONS_OPENED, TRAFFIC_COUNTS},
    {"weir_messages_total", "WebSocket messages, from clients (in) and to them (out).", "counter",
     "{direction=\"in\"}", TRAFFIC_MESSAGES_IN, TRAFFIC_COUNTS},
    {"weir_messages_total", NULL, NULL, "{direction=\"out\"}", TRAFFIC_MESSAGES_OUT,
     TRAFFIC_COUNTS},
    {"weir_message_bytes_total", "Payload of these messages.", "counter", "{direction=\"in\"}",
     TRAFFIC_BYTES_IN, TRAFFIC_COUNTS},
    {"weir_message_bytes_total", NULL, NULL, "{direction=\"out\"}", TRAFFIC_BYTES_OUT,
     TRAFFIC_COUNTS},
    {"weir_published_missed_total",
     "Messages that sessions did not get, since their clients were too far behind, of those that "
     "were published to topics.",
     "counter", "", TRAFFIC_MESSAGES_MISSED, TRAFFIC_COUNTS},
};

static struct metrics *metrics_of(void *self)
{
    struct metrics *metrics = self;
    WEIR_CHECK(metrics->magic == MAGIC);
    return metrics;
}

/* --- the process part --- */

static void unload(void *plugin)
{
    struct metrics *metrics = metrics_of(plugin);
    metrics->magic = 0;
    allow_list_free(&metrics->allow);
    free(metrics);
}

static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    snprintf(error, error_size, "no memory"); /* unless something else is wrong */
    if (metrics == NULL) {
        return -1;
    }
    metrics->magic = MAGIC;
    if (strcmp(config->name, "prometheus") != 0) {
        snprintf(error, error_size, "there is no format `%s`; it is `prometheus`", config->name);
        unload(metrics);
        return -1;
    }
    if (allow_list_read(config->settings_json, error, error_size, &metrics->allow) != WEIR_OK) {
        unload(metrics);
        return -1;
    }
    *plugin = metrics;
    return 0;
}

/* --- answers --- */

static enum weir_err write_own(struct buffer *out)
{
    uint64_t sums[TRAFFIC_COUNTS + 1] = {0};
    enum weir_err err = WEIR_OK;
    traffic_sum(sums);
    for (size_t i = 0; err == WEIR_OK && i < sizeof own_metrics / sizeof own_metrics[0]; i++) {
        const struct own_metric *own = &own_metrics[i];
        if (own->help != NULL) {
            err = buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", own->name, own->help,
                                own->name, own->kind);
        }
        if (err == WEIR_OK) {
            /* Read one by one, so that for a moment more may seem closed than opened. */
            uint64_t value =
                sums[own->count] > sums[own->less] ? sums[own->count] - sums[own->less] : 0;
            err = buffer_printf(out, "%s%s %llu\n", own->name, own->labels,
                                (unsigned long long)value);
        }
    }
    return err;
}

/* Where an answer cannot be made, the request ends without one. */
static enum weir_verdict verdict(enum weir_err err)
{
    if (err != WEIR_OK) {
        log_warn("metrics", "a request was cut: %s", weir_err_name(err));
        return WEIR_DROP;
    }
    return WEIR_REPLY;
}

static enum weir_verdict refuse_method(struct weir_request *request)
{
    const struct reply_field fields[] = {
        {SPAN("Allow"), SPAN("GET, HEAD")},
        {SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
    };
    return verdict(request_reply(request, 405, fields, sizeof fields / sizeof fields[0],
                                 SPAN("GET shows the metrics.\n")));
}

static enum weir_verdict show(struct weir_request *request)
{
    const struct reply_field fields[] = {
        {SPAN("Content-Type"), SPAN("text/plain; version=0.0.4; charset=utf-8")},
        {SPAN("Cache-Control"), SPAN("no-store")},
    };
    struct buffer text = {0};
    enum weir_err err = write_own(&text);
    if (err == WEIR_OK) {
        err = metrics_text(&text);
    }
    if (err == WEIR_OK) {
        err = request_reply(request, 200, fields, sizeof fields / sizeof fields[0],
                            buffer_span(&text));
    }
    buffer_free(&text);
    return verdict(err);
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    const struct metrics *metrics = metrics_of(self);
    struct span method = request_method(request);
    (void)seat;
    if (!allow_list_has(&metrics->allow, request)) {
        return verdict(request_reply_error(request, 403, "This is for operators."));
    }
    if (!span_equal(method, SPAN("GET")) && !span_equal(method, SPAN("HEAD"))) {
        return refuse_method(request);
    }
    return show(request);
}

const struct weir_plugin_ops *metrics_ops(void)
{
    static const struct weir_plugin_ops ops = {
        .struct_size = sizeof ops, .load = load, .unload = unload, .on_request = on_request};
    return &ops;
}
