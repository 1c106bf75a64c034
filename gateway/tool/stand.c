/* A worker made by hand, as worker/worker.c makes one in a thread: loop, buffers, mail, topics and
 * the plugins of a configuration. Called by `weir lua` and `weir test-plugin`; never binds a
 * listener. */
#include "tool/stand.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "net/mail_room.h"
#include "net/mailbox.h"
#include "pubsub/broker.h"
#include "pubsub/bus.h"
#include "session/connection.h"
#include "upstream/worker_part.h"
#include "worker/registry.h"

static enum weir_err load(struct stand *stand, const struct buffer *yaml)
{
    struct buffer errors = {0};
    struct config *config = NULL;
    enum weir_err err =
        config_load_text("arguments", (const char *)yaml->data, yaml->size, &errors, &config);
    if (err == WEIR_OK) {
        err = registry_load(config, "arguments", &errors, &stand->registry);
        config_release(&config);
    }
    if (errors.size > 0) {
        fwrite(errors.data, 1, errors.size, stderr);
    } else if (err != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", weir_err_name(err));
    }
    buffer_free(&errors);
    return err;
}

static enum weir_err start(struct stand *stand)
{
    struct weir_worker *worker = &stand->worker;
    worker->count = 1;
    worker->loop = loop_new();
    if (worker->loop == NULL || worker_state_init(worker) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    loop_on_turn_end(worker->loop, worker_state_turn_end, worker);
    worker->mail_room = mail_room_new(1);
    stand->mailbox = mailbox_new(worker->loop, worker);
    stand->bus = bus_new(1);
    worker->upstreams = upstream_worker_new(registry_upstreams(stand->registry), worker->loop);
    if (worker->mail_room == NULL || stand->mailbox == NULL || stand->bus == NULL ||
        worker->upstreams == NULL || broker_start(worker, stand->bus) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    mail_room_enter(worker->mail_room, 0, stand->mailbox);
    return registry_start_worker(stand->registry, worker, &worker->generation);
}

enum weir_err stand_open(struct stand *stand, const struct buffer *yaml)
{
    *stand = (struct stand){0};
    signal(SIGPIPE, SIG_IGN); /* as the HTTP client demands */
    enum weir_err err = load(stand, yaml);
    return err == WEIR_OK ? start(stand) : err;
}

void stand_close(struct stand *stand)
{
    struct weir_worker *worker = &stand->worker;
    if (worker->loop != NULL) {
        connection_cut_all(worker);
        worker_state_turn_end(worker);
    }
    if (worker->generation != NULL) {
        generation_leave(&worker->generation);
    }
    if (worker->upstreams != NULL) {
        upstream_worker_free(&worker->upstreams);
    }
    if (worker->loop != NULL) {
        broker_stop(worker);
        if (worker->mail_room != NULL) {
            mail_room_leave(worker->mail_room, 0);
        }
        mailbox_free(&stand->mailbox);
        worker_state_destroy(worker);
        loop_free(&worker->loop);
    }
    mail_room_free(&worker->mail_room);
    bus_free(&stand->bus);
    registry_release(&stand->registry);
}

void *stand_handler(const struct stand *stand)
{
    const struct route *route = &stand->worker.generation->routes[0];
    return route->chain[route->chain_count - 1].self;
}

enum weir_err stand_quote(struct buffer *out, const char *text)
{
    enum weir_err err = buffer_append(out, SPAN("\""));
    for (; *text != '\0' && err == WEIR_OK; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == '"' || c == '\\') {
            err = buffer_printf(out, "\\x%02x", c);
        } else {
            err = buffer_append(out, (struct span){(const uint8_t *)text, 1});
        }
    }
    return err == WEIR_OK ? buffer_append(out, SPAN("\"")) : err;
}

char *stand_folder(const char *file)
{
    const char *slash = strrchr(file, '/');
    if (slash == NULL) {
        return strdup(".");
    }
    return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

bool stand_is_name(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

enum weir_err stand_share(struct buffer *out, const char *name)
{
    return buffer_printf(out, "shared: {%s: {size: 64MiB}}\n", name);
}
