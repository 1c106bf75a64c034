/* The life of a check: connect, TLS, the kind's own exchange, a verdict; one timer over all of it.
 * Whatever ends it goes through `finish`, so that no descriptor is left. Called by health.c; it
 * neither counts verdicts nor touches the server's state, and takes no lease: a check must get
 * through to a server that is full. */
#include "upstream/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/http_write.h"
#include "upstream/probe_internal.h"

enum {
    READ_BYTES = 4096
};

/* --- the end --- */

static void free_retired(struct loop_retired *retired)
{
    free((char *)retired - offsetof(struct probe, retired));
}

/* What calls us may still look at the stream, so the memory goes at the end of the turn. */
static void dismantle(struct probe *probe)
{
    probe->stage = PROBE_OVER;
    stream_close(&probe->stream);
    loop_timer_free(&probe->timer);
    server_release(&probe->server);
    buffer_free(&probe->in);
    loop_retire(probe->loop, &probe->retired, free_retired);
}

static void finish(struct probe *probe, bool good)
{
    if (probe->stage == PROBE_OVER) {
        return;
    }
    probe_fn fn = probe->fn;
    void *context = probe->context;
    dismantle(probe);
    fn(context, good, probe->why); /* the memory lives until the turn is over */
}

void probe_good(struct probe *probe)
{
    finish(probe, true);
}

void probe_bad(struct probe *probe, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(probe->why, sizeof probe->why, format, arguments);
    va_end(arguments);
    finish(probe, false);
}

void probe_cancel(struct probe **probe)
{
    if (*probe != NULL) {
        dismantle(*probe);
        *probe = NULL;
    }
}

/* --- for the kinds --- */

bool probe_send(struct probe *probe, struct span bytes)
{
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.size};
    if (stream_write(&probe->stream, &piece, 1) != WEIR_OK) {
        probe_bad(probe, "the connection broke while asking");
        return false;
    }
    return true;
}

static struct span host_field(const struct probe *probe)
{
    if (probe->config->host != NULL) {
        return span_of(probe->config->host);
    }
    const struct upstream_server *server = probe->server;
    bool has_port = server->address.ss_family != AF_UNIX;
    return span_of(has_port ? server->config->address : server->host);
}

enum weir_err probe_write_request(const struct probe *probe, struct buffer *out)
{
    enum weir_err err = http_write_request(out, SPAN("GET"), span_of(probe->config->path));
    if (err == WEIR_OK) {
        err = http_write_field(out, SPAN("Host"), host_field(probe));
    }
    if (err == WEIR_OK) {
        err = http_write_field(out, SPAN("User-Agent"), SPAN("weir"));
    }
    return err;
}

enum weir_err probe_parse(struct probe *probe, struct http_response *response, size_t *consumed)
{
    for (;;) {
        const char *why = "";
        enum weir_err err = http_response_parse(buffer_span(&probe->in), false, PROBE_HEAD_BYTES,
                                                &probe->scanned, response, consumed, &why);
        if (err == WEIR_AGAIN) {
            return err;
        }
        if (err != WEIR_OK) {
            probe_bad(probe, "the answer is no HTTP: %s", why);
            return err;
        }
        /* RFC 9110, section 15.2: any number of interim answers; 101 is a final one. */
        if (response->status >= 200 || response->status == 101) {
            return WEIR_OK;
        }
        buffer_drop(&probe->in, *consumed);
    }
}

/* --- the stream --- */

static void begin(struct probe *probe)
{
    probe->stage = PROBE_OPEN;
    stream_set_reading(&probe->stream, true);
    if (probe->kind == NULL) {
        probe_good(probe); /* TCP: it can be reached */
        return;
    }
    probe->kind->begin(probe);
}

static void shake_hands(struct probe *probe)
{
    char why[256] = "";
    enum weir_err err = stream_handshake(&probe->stream, why, sizeof why);
    if (err == WEIR_OK) {
        begin(probe);
    } else if (err == WEIR_EPROTO) {
        probe_bad(probe, "TLS: %s", why);
    } else if (err != WEIR_AGAIN) {
        probe_bad(probe, "the connection ended within the TLS handshake");
    }
}

static void connected(struct probe *probe)
{
    if (probe->group->tls == NULL) {
        begin(probe);
        return;
    }
    if (stream_start_tls_client(&probe->stream, probe->group->tls,
                                server_tls_name(probe->server)) != WEIR_OK) {
        probe_bad(probe, "no memory");
        return;
    }
    probe->stage = PROBE_HANDSHAKE;
    stream_set_reading(&probe->stream, true);
    shake_hands(probe);
}

static void lost(struct probe *probe)
{
    int error = stream_error(&probe->stream);
    if (probe->stage == PROBE_CLOSING) {
        probe_good(probe);
    } else if (probe->stage == PROBE_CONNECTING) {
        probe_bad(probe, "cannot connect: %s", strerror(error));
    } else if (error != 0) {
        probe_bad(probe, "the connection broke: %s", strerror(error));
    } else {
        probe_bad(probe, "the server closed the connection before it had answered");
    }
}

static bool is_listening(const struct probe *probe)
{
    return probe->stage == PROBE_OPEN || probe->stage == PROBE_CLOSING;
}

/* One read a turn: a server that never stops sending must not keep the control thread from its
 * timers and signals. */
static void take_input(struct probe *probe)
{
    size_t got = 0;
    if (buffer_reserve(&probe->in, READ_BYTES) != WEIR_OK) {
        probe_bad(probe, "no memory");
        return;
    }
    enum weir_err err =
        stream_read(&probe->stream, probe->in.data + probe->in.size, READ_BYTES, &got);
    if (err == WEIR_AGAIN) {
        return;
    }
    if (err != WEIR_OK) {
        lost(probe);
        return;
    }
    probe->in.size += got;
    probe->kind->input(probe);
    if (is_listening(probe) && stream_has_pending(&probe->stream)) {
        stream_wake(&probe->stream);
    }
}

static void ready(struct stream *stream, bool readable, bool writable)
{
    struct probe *probe = (struct probe *)(void *)stream;
    if (probe->stage == PROBE_OVER) {
        return;
    }
    if (!readable && !writable) {
        lost(probe);
    } else if (probe->stage == PROBE_CONNECTING) {
        connected(probe);
    } else if (probe->stage == PROBE_HANDSHAKE) {
        shake_hands(probe);
    } else if (readable && is_listening(probe)) {
        take_input(probe);
    }
}

/* --- the start --- */

static void timed_out(void *context)
{
    struct probe *probe = context;
    if (probe->stage == PROBE_CLOSING) {
        probe_good(probe);
        return;
    }
    probe_bad(probe, "no %s within %llu ms",
              probe->stage == PROBE_CONNECTING ? "connection" : "answer",
              (unsigned long long)probe->config->timeout_ms);
}

static void failed_at_once(void *context)
{
    finish(context, false);
}

static const struct probe_kind *kind_of(enum config_health_type type)
{
    switch (type) {
    case CONFIG_HEALTH_HTTP:
        return &probe_http;
    case CONFIG_HEALTH_WEBSOCKET:
        return &probe_websocket;
    case CONFIG_HEALTH_TCP:
        break;
    }
    return NULL;
}

static bool start(struct probe *probe)
{
    const struct upstream_server *server = probe->server;
    enum weir_err err = stream_connect(&probe->stream, probe->loop,
                                       (const struct sockaddr *)(const void *)&server->address,
                                       server->address_size, ready);
    uint64_t timeout_ms = probe->config->timeout_ms;
    loop_timer_fn at_end = timed_out;
    if (err != WEIR_OK) {
        /* A unix socket that nobody listens on; told like any other verdict, later. */
        snprintf(probe->why, sizeof probe->why, "cannot connect: %s", strerror(errno));
        timeout_ms = 0;
        at_end = failed_at_once;
    }
    probe->timer = loop_timer_new(probe->loop, timeout_ms, false, at_end, probe);
    return probe->timer != NULL;
}

struct probe *probe_start(struct loop *loop, const struct upstream_group *group,
                          struct upstream_server *server, probe_fn fn, void *context)
{
    struct probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL) {
        return NULL;
    }
    probe->loop = loop;
    probe->group = group;
    probe->server = server_share(server);
    probe->config = group->config->health_check;
    probe->kind = kind_of(probe->config->type);
    probe->fn = fn;
    probe->context = context;
    probe->stream.fd = -1;
    if (!start(probe)) {
        dismantle(probe);
        return NULL;
    }
    return probe;
}
