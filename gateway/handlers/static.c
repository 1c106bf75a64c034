/* The static handler: a request's path becomes a path in the folder, the folder opens it, and
 * static_reply sends it. The process part is the open folder and the settings, which never change;
 * the worker part is one buffer to read into.
 * Called through its ops by the chain, as the last of a route. It keeps nothing about files between
 * requests: the kernel's caches do that better, and a change shows at once. It blocks its worker
 * while the kernel opens and reads a file (see static_reply.c). */
#include "handlers/static.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "base/log.h"
#include "base/settings.h"
#include "handlers/mime.h"
#include "handlers/static_path.h"
#include "handlers/static_plugin.h"
#include "handlers/static_reply.h"
#include "proto/http_accept.h"
#include "proto/http_chars.h"
#include "session/request.h"

enum {
    PLUGIN_MAGIC = 0x73746174,
    WORKER_MAGIC = 0x73747771
};

#define ALLOWED_METHODS SPAN("GET, HEAD, OPTIONS")

/* --- the process part --- */

static struct static_plugin *plugin_of(void *plugin)
{
    struct static_plugin *p = plugin;
    WEIR_CHECK(p->magic == PLUGIN_MAGIC);
    return p;
}

static void unload(void *plugin)
{
    struct static_plugin *p = plugin_of(plugin);
    static_root_close(&p->root);
    free(p->index);
    free(p->cache_control);
    p->magic = 0;
    free(p);
}

/* An index with a slash would be another folder's file, and one with a dot in front is not public.
 */
static bool is_file_name(const char *text)
{
    return text[0] != '.' && strchr(text, '/') == NULL;
}

static enum weir_err copy_text(const struct settings *settings, const char *key,
                               const char *fallback, char *error, size_t error_size, char **copy)
{
    const char *text = NULL;
    enum weir_err err = settings_text(settings, key, fallback, error, error_size, &text);
    if (err == WEIR_OK) {
        *copy = strdup(text);
        err = *copy != NULL ? WEIR_OK : WEIR_ENOMEM;
    }
    return err;
}

static enum weir_err check_settings(const struct static_plugin *p, char *error, size_t error_size)
{
    if (!is_file_name(p->index)) {
        snprintf(error, error_size, "`index` is not a file name");
        return WEIR_EINVAL;
    }
    if (!http_chars_all(span_of(p->cache_control), HTTP_CHAR_VALUE)) {
        snprintf(error, error_size, "`cache_control` cannot stand in a header");
        return WEIR_EINVAL;
    }
    return WEIR_OK;
}

static enum weir_err read_settings(struct static_plugin *p, const struct settings *settings,
                                   char *error, size_t error_size)
{
    static const char *const KEYS[] = {"index", "cache_control", "precompressed"};
    enum weir_err err =
        settings_allow(settings, KEYS, sizeof(KEYS) / sizeof(KEYS[0]), error, error_size);
    if (err == WEIR_OK) {
        err = copy_text(settings, "index", "index.html", error, error_size, &p->index);
    }
    if (err == WEIR_OK) {
        err =
            copy_text(settings, "cache_control", "no-cache", error, error_size, &p->cache_control);
    }
    if (err == WEIR_OK) {
        err =
            settings_switch(settings, "precompressed", true, error, error_size, &p->precompressed);
    }
    return err == WEIR_OK ? check_settings(p, error, error_size) : err;
}

static enum weir_err fill(struct static_plugin *p, const struct weir_plugin_config *config,
                          char *error, size_t error_size)
{
    struct settings *settings = NULL;
    enum weir_err err = settings_open(config->settings_json, error, error_size, &settings);
    if (err != WEIR_OK) {
        return err;
    }
    err = read_settings(p, settings, error, error_size);
    settings_close(&settings);
    if (err == WEIR_OK && static_root_open(config->file, &p->root) != WEIR_OK) {
        snprintf(error, error_size, "cannot open the folder `%s`: %s", config->file,
                 strerror(errno));
        return WEIR_EIO;
    }
    return err;
}

static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct static_plugin *p = calloc(1, sizeof(*p));
    snprintf(error, error_size, "out of memory");
    if (p == NULL) {
        return -1;
    }
    p->magic = PLUGIN_MAGIC;
    p->root.fd = -1;
    if (fill(p, config, error, error_size) != WEIR_OK) {
        unload(p);
        return -1;
    }
    if (!p->root.has_openat2) {
        log_info("static", "this system has no openat2: links in `%s` are not followed",
                 config->file);
    }
    *plugin = p;
    return 0;
}

/* --- the worker part --- */

static struct static_worker *worker_of(void *self)
{
    struct static_worker *worker = self;
    WEIR_CHECK(worker->magic == WORKER_MAGIC);
    return worker;
}

static int worker_start(void *plugin, struct weir_worker *host, void **self, char *error,
                        size_t error_size)
{
    struct static_worker *worker = malloc(sizeof(*worker));
    if (worker == NULL) {
        snprintf(error, error_size, "out of memory");
        return -1;
    }
    worker->magic = WORKER_MAGIC;
    worker->plugin = plugin_of(plugin);
    worker->host = host;
    *self = worker;
    return 0;
}

static void worker_stop(void *self)
{
    struct static_worker *worker = worker_of(self);
    worker->magic = 0;
    free(worker);
}

/* --- requests --- */

static enum weir_verdict refuse(struct weir_request *request, unsigned status, const char *why)
{
    return static_reply_verdict(request_reply_error(request, status, why));
}

static enum weir_verdict answer_options(struct weir_request *request)
{
    const struct reply_field field = {SPAN("Allow"), ALLOWED_METHODS};
    return static_reply_verdict(request_reply(request, 204, &field, 1, SPAN("")));
}

/* RFC 9110, section 15.5.6: a 405 must say what is allowed, so request_reply_error will not do. */
static enum weir_verdict refuse_method(struct weir_request *request)
{
    const struct reply_field fields[] = {
        {SPAN("Allow"), ALLOWED_METHODS},
        {SPAN("Content-Type"), SPAN("text/plain; charset=utf-8")},
    };
    return static_reply_verdict(
        request_reply(request, 405, fields, 2, SPAN("files can only be read\n")));
}

static enum weir_verdict redirect(struct weir_request *request)
{
    struct buffer location = {0};
    enum weir_err err =
        static_path_location(request_path(request), request_query(request), &location);
    if (err == WEIR_OK) {
        const struct reply_field field = {SPAN("Location"), buffer_span(&location)};
        err = request_reply(request, 301, &field, 1, SPAN(""));
    }
    buffer_free(&location);
    return static_reply_verdict(err);
}

static enum weir_verdict answer_missing(struct weir_request *request, enum static_found found)
{
    if (found == STATIC_FOUND_BUSY) {
        log_warn("static", "cannot open %.*s: %s", SPAN_ARGS(request_path(request)),
                 strerror(errno));
        return refuse(request, 503, "the file cannot be read now");
    }
    return refuse(request, 404, "there is no such file");
}

static bool prefers_gzip(const struct weir_request *request)
{
    struct http_accept_encoding accept = {0};
    for (size_t i = 0; i < request_header_count(request); i++) {
        if (span_equal_nocase(request_header_name(request, i), SPAN("Accept-Encoding"))) {
            http_accept_encoding_add(&accept, request_header_value(request, i));
        }
    }
    return http_accept_encoding_prefers_gzip(&accept);
}

/* Puts the compressed twin in the file's place where there is one that is not older, and the client
 * wants it. An older twin was forgotten when the file was edited. Appends to `path`. */
static void choose_coding(const struct static_plugin *p, const struct weir_request *request,
                          struct static_path *path, struct static_choice *choice)
{
    struct static_file twin;
    if (!p->precompressed || !static_path_extend(path, ".gz") ||
        static_root_find(&p->root, path->text, &twin) != STATIC_FOUND_FILE) {
        return;
    }
    choice->varies = twin.info.st_mtim.tv_sec >= choice->file.info.st_mtim.tv_sec;
    choice->is_gzip = choice->varies && prefers_gzip(request);
    if (choice->is_gzip) {
        struct static_file plain = choice->file;
        choice->file = twin;
        twin = plain;
    }
    static_root_close_file(&twin);
}

static enum weir_verdict serve(struct static_worker *worker, struct weir_request *request,
                               unsigned seat, struct static_path *path)
{
    const struct static_plugin *p = worker->plugin;
    struct static_choice choice = {0};
    if (path->size == 0) {
        return redirect(request); /* the route's own path without its slash */
    }
    enum static_found found = static_root_find(&p->root, path->text, &choice.file);
    if (found == STATIC_FOUND_FOLDER && !path->is_folder) {
        return redirect(request);
    }
    if (found != STATIC_FOUND_FILE) {
        return answer_missing(request, found);
    }
    choice.type = mime_type((struct span){(const uint8_t *)path->text, path->size});
    choose_coding(p, request, path, &choice);
    return static_reply_send(worker, request, seat, &choice);
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    struct static_worker *worker = worker_of(self);
    struct span method = request_method(request);
    struct static_path path;
    if (span_equal(method, SPAN("OPTIONS"))) {
        return answer_options(request);
    }
    if (!span_equal(method, SPAN("GET")) && !span_equal(method, SPAN("HEAD"))) {
        return refuse_method(request);
    }
    if (!static_path_make(request_path(request), request_route(request), &path)) {
        return answer_missing(request, STATIC_FOUND_NOTHING);
    }
    const char *index = worker->plugin->index;
    if (path.is_folder && (index[0] == '\0' || !static_path_enter(&path, index))) {
        return answer_missing(request, STATIC_FOUND_NOTHING);
    }
    return serve(worker, request, seat, &path);
}

static void on_reply_drain(void *self, struct weir_request *request, unsigned seat)
{
    (void)self;
    static_reply_drain(request, seat);
}

static void on_done(void *self, struct weir_request *request, unsigned seat,
                    const struct weir_ending *ending)
{
    (void)self;
    (void)ending;
    static_reply_done(request, seat);
}

const struct weir_plugin_ops *static_ops(void)
{
    static const struct weir_plugin_ops OPS = {
        .struct_size = sizeof(OPS),
        .load = load,
        .unload = unload,
        .worker_start = worker_start,
        .worker_stop = worker_stop,
        .on_request = on_request,
        .on_reply_drain = on_reply_drain,
        .on_done = on_done,
    };
    return &OPS;
}
