/* The ops of every Lua plugin. Each entry looks whether the plugin has the callback, takes a
 * runner, and leaves the rest to settle.c. Called by the chain in session/; never touches the Lua
 * stack. */
#include "lua/host.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/plugin.h>

#include "base/buffer.h"
#include "lua/api_body.h"
#include "lua/api_conn.h"
#include "lua/api_request.h"
#include "lua/call.h"
#include "lua/guard.h"
#include "lua/instance.h"
#include "lua/limits.h"
#include "lua/settle.h"
#include "session/request.h"
#include "session/session.h"

static struct lua_terms terms = {.limits = {.cpu_limit_ms = 100,
                                            .memory_limit_bytes = 64 << 20,
                                            .max_timers = 10000,
                                            .max_parked = 10000,
                                            .max_http_requests = 1000}};

void lua_host_set_terms(const struct lua_terms *wanted)
{
    terms = *wanted;
}

static void free_plugin(struct lua_plugin *plugin)
{
    free(plugin->name);
    free(plugin->file);
    free(plugin->settings_json);
    free(plugin->module_path);
    limits_watch_free(&plugin->watch);
    free(plugin);
}

static enum weir_err add_folder(struct buffer *path, const char *folder, int size)
{
    const char *separator = path->size > 0 ? ";" : "";
    return buffer_printf(path, "%s%.*s?.lua;%.*s?/init.lua", separator, size, folder, size, folder);
}

/* Where `require` looks for modules in Lua: in the plugin's own folder, and along plugin_path. */
static char *write_module_path(const char *file)
{
    struct buffer path = {0};
    const char *slash = strrchr(file, '/');
    int own = slash == NULL ? 0 : (int)(slash - file) + 1;
    enum weir_err err = add_folder(&path, file, own);
    for (size_t i = 0; i < terms.folder_count && err == WEIR_OK; i++) {
        char folder[PATH_MAX];
        int size = snprintf(folder, sizeof folder, "%s/", terms.folders[i]);
        bool is_own = size == own && strncmp(folder, file, (size_t)own) == 0;
        if (!is_own && (size_t)size < sizeof folder) {
            err = add_folder(&path, folder, size);
        }
    }
    char *text = err == WEIR_OK ? strndup((const char *)path.data, path.size) : NULL;
    buffer_free(&path);
    return text;
}

static struct lua_plugin *copy_plugin(const struct weir_plugin_config *config)
{
    struct lua_plugin *plugin = calloc(1, sizeof *plugin);
    if (plugin == NULL) {
        return NULL;
    }
    plugin->name = strdup(config->name);
    plugin->file = strdup(config->file);
    plugin->settings_json = strdup(config->settings_json == NULL ? "{}" : config->settings_json);
    plugin->module_path = write_module_path(config->file);
    plugin->limits = terms.limits;
    plugin->is_trusted = terms.is_trusted;
    plugin->watch = limits_watch_new(config->name);
    if (plugin->name == NULL || plugin->file == NULL || plugin->settings_json == NULL ||
        plugin->module_path == NULL || plugin->watch == NULL) {
        free_plugin(plugin);
        return NULL;
    }
    return plugin;
}

static int host_load(const struct weir_plugin_config *config, void **plugin, char *error,
                     size_t error_size)
{
    struct lua_plugin *copy = copy_plugin(config);
    if (copy == NULL) {
        snprintf(error, error_size, "no memory");
        return -1;
    }
    struct lua_instance *trial = instance_new(copy, NULL, error, error_size);
    if (trial == NULL) {
        free_plugin(copy);
        return -1;
    }
    instance_free(&trial);
    *plugin = copy;
    return 0;
}

static void host_unload(void *plugin)
{
    free_plugin(plugin);
}

static int host_worker_start(void *plugin, struct weir_worker *worker, void **self, char *error,
                             size_t error_size)
{
    *self = instance_new(plugin, worker, error, error_size);
    return *self == NULL ? -1 : 0;
}

static void host_worker_stop(void *self)
{
    struct lua_instance *instance = self;
    instance_free(&instance);
}

static enum weir_verdict host_on_request(void *self, struct weir_request *request, unsigned seat)
{
    struct lua_instance *instance = self;
    if (!instance_has(instance, CALLBACK_ON_REQUEST)) {
        return WEIR_NEXT;
    }
    struct lua_runner *runner = call_take(instance, CALLBACK_ON_REQUEST, seat);
    if (runner == NULL) {
        return WEIR_DROP;
    }
    runner->request = request;
    return settle_now(runner);
}

static void host_on_body(void *self, struct weir_request *request, unsigned seat,
                         struct weir_bytes piece, int last)
{
    (void)self;
    struct api_request *req = api_request_of(request, seat);
    if (req != NULL) {
        api_body_take(req, (struct span){piece.data, piece.size}, last != 0);
    }
}

static void host_on_done(void *self, struct weir_request *request, unsigned seat,
                         const struct weir_ending *ending)
{
    struct lua_instance *instance = self;
    struct lua_runner *runner = NULL;
    if (instance_has(instance, CALLBACK_ON_DONE)) {
        runner = call_take(instance, CALLBACK_ON_DONE, seat);
    }
    if (runner != NULL) {
        runner->request = request;
        runner->req = api_request_of(request, seat);
        runner->ending = ending;
        (void)settle_now(runner);
    }
    struct api_request *req = api_request_of(request, seat);
    if (req != NULL) {
        api_request_end(instance, req);
    }
}

/* A runner for a callback of a session; NULL, and the session failed, when there is none. */
static struct lua_runner *take_for(struct lua_instance *instance, enum lua_callback callback,
                                   struct weir_session *session, unsigned seat)
{
    struct lua_runner *runner = call_take(instance, callback, seat);
    if (runner == NULL) {
        session_fail(session);
        return NULL;
    }
    runner->session = session;
    runner->conn = api_conn_of(session, seat);
    return runner;
}

static enum weir_verdict host_on_open(void *self, struct weir_session *session, unsigned seat)
{
    struct lua_instance *instance = self;
    enum weir_verdict verdict = WEIR_NEXT;
    if (instance_has(instance, CALLBACK_ON_OPEN)) {
        struct lua_runner *runner = take_for(instance, CALLBACK_ON_OPEN, session, seat);
        verdict = runner == NULL ? WEIR_CLOSE : settle_now(runner);
    }
    if (verdict == WEIR_NEXT && instance_has(instance, CALLBACK_SERVE)) {
        verdict = settle_serve(instance, session, seat);
    }
    return verdict;
}

static enum weir_verdict host_on_message(void *self, struct weir_session *session, unsigned seat,
                                         const struct weir_message *message)
{
    struct lua_instance *instance = self;
    if (instance_has(instance, CALLBACK_ON_MESSAGE)) {
        struct lua_runner *runner = take_for(instance, CALLBACK_ON_MESSAGE, session, seat);
        if (runner == NULL) {
            return WEIR_CLOSE;
        }
        runner->message = message;
        return settle_now(runner);
    }
    if (instance_has(instance, CALLBACK_SERVE)) {
        struct api_conn *conn = api_conn_of(session, seat);
        return conn == NULL ? WEIR_DROP : settle_serve_message(instance, conn, message);
    }
    return WEIR_NEXT;
}

static enum weir_verdict host_on_send(void *self, struct weir_session *session, unsigned seat,
                                      const struct weir_message *message)
{
    struct lua_instance *instance = self;
    if (!instance_has(instance, CALLBACK_ON_SEND)) {
        return WEIR_NEXT;
    }
    struct lua_runner *runner = take_for(instance, CALLBACK_ON_SEND, session, seat);
    if (runner == NULL) {
        return WEIR_DROP;
    }
    runner->message = message;
    return settle_now(runner);
}

static void host_on_drain(void *self, struct weir_session *session, unsigned seat)
{
    struct lua_instance *instance = self;
    if (!instance_has(instance, CALLBACK_ON_DRAIN)) {
        return;
    }
    struct lua_runner *runner = take_for(instance, CALLBACK_ON_DRAIN, session, seat);
    if (runner != NULL) {
        (void)settle_now(runner);
    }
}

/* serve hears of the end first, then on_close. */
static void run_close(struct lua_instance *instance, struct weir_session *session, unsigned seat,
                      const struct weir_ending *ending)
{
    struct api_conn *conn = api_conn_of(session, seat);
    if (conn != NULL) {
        conn->close_code = ending->code;
        instance->ending = ending;
        instance->ending_conn = conn;
        settle_serve_end(conn);
    }
    if (!instance_has(instance, CALLBACK_ON_CLOSE)) {
        return;
    }
    struct lua_runner *runner = call_take(instance, CALLBACK_ON_CLOSE, seat);
    if (runner != NULL) {
        runner->session = session;
        runner->conn = conn;
        runner->ending = ending;
        (void)settle_now(runner);
    }
}

static void host_on_close(void *self, struct weir_session *session, unsigned seat,
                          const struct weir_ending *ending)
{
    struct lua_instance *instance = self;
    run_close(instance, session, seat, ending);
    instance->ending = NULL;
    instance->ending_conn = NULL;
    struct api_conn *conn = api_conn_of(session, seat);
    if (conn != NULL) {
        api_conn_end(instance, conn, ending);
        return;
    }
    struct api_request *req = api_request_of(session_request(session), seat);
    if (req != NULL) {
        api_request_end(instance, req);
    }
}

/* A table with these two entries for messages, and all the others. */
#define HOST_OPS(message, send)                                                                    \
    {                                                                                              \
        .struct_size = sizeof(struct weir_plugin_ops), .load = host_load, .unload = host_unload,   \
        .worker_start = host_worker_start, .worker_stop = host_worker_stop,                        \
        .on_request = host_on_request, .on_body = host_on_body, .on_done = host_on_done,           \
        .on_open = host_on_open, .on_message = (message), .on_send = (send),                       \
        .on_drain = host_on_drain, .on_close = host_on_close                                       \
    }

const struct weir_plugin_ops *lua_host_ops(void)
{
    static const struct weir_plugin_ops ops = HOST_OPS(host_on_message, host_on_send);
    return &ops;
}

const struct weir_plugin_ops *lua_host_ops_of(const void *self)
{
    static const struct weir_plugin_ops silent = HOST_OPS(NULL, NULL);
    static const struct weir_plugin_ops reader = HOST_OPS(host_on_message, NULL);
    static const struct weir_plugin_ops sender = HOST_OPS(NULL, host_on_send);
    const struct lua_instance *instance = self;
    bool reads =
        instance_has(instance, CALLBACK_ON_MESSAGE) || instance_has(instance, CALLBACK_SERVE);
    if (!instance_has(instance, CALLBACK_ON_SEND)) {
        return reads ? &reader : &silent;
    }
    return reads ? lua_host_ops() : &sender;
}

bool lua_host_is_idle(const void *self)
{
    const struct lua_instance *instance = self;
    return instance->timer_count == 0 && instance->parked_count == 0 && instance->http_count == 0;
}

uint64_t lua_host_failures(const void *self)
{
    const struct lua_instance *instance = self;
    return instance->failures;
}
