/* From the JSON that the configuration gives to the struct that the proxy works by. The
 * configuration has checked every value where a user could see it; what is checked again here is
 * what would let a header break its message.
 *
 * Called by proxy.c in its load callback; nothing reads settings while requests run. The defaults
 * are those of config/keys_proxy.c, and a test compares them. */
#include "handlers/proxy/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/settings.h"
#include "proto/http_chars.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    KIB = 1024,
    MIB = 1024 * KIB
};

/* What a `struct proxy_settings *` that we gave points into. */
struct owned {
    struct proxy_settings settings;   /* first, so that the pointers are the same */
    struct settings *request_headers; /* lend the texts of the changes; NULL before they are read */
    struct settings *response_headers; /* likewise */
};

/* One reading; after the first failure nothing more is read. */
struct reader {
    const struct settings *from;
    char *error;
    size_t error_size;
    enum weir_err err;
};

struct word {
    const char *name;
    unsigned value;
};

static void refuse(struct reader *r, const char *key, const char *why)
{
    snprintf(r->error, r->error_size, "`%s` %s", key, why);
    r->err = WEIR_EINVAL;
}

static void read_number(struct reader *r, const char *key, uint64_t fallback, uint64_t *out)
{
    if (r->err == WEIR_OK) {
        r->err = settings_number(r->from, key, fallback, r->error, r->error_size, out);
    }
}

static const char *read_text(struct reader *r, const char *key, const char *fallback)
{
    const char *text = NULL;
    if (r->err == WEIR_OK) {
        r->err = settings_text(r->from, key, fallback, r->error, r->error_size, &text);
    }
    return text;
}

/* NULL where the reading has failed. */
static char *copy_text(struct reader *r, const char *key, const char *fallback)
{
    const char *text = read_text(r, key, fallback);
    char *copy = r->err == WEIR_OK ? strdup(text) : NULL;
    if (r->err == WEIR_OK && copy == NULL) {
        r->err = WEIR_ENOMEM;
    }
    return copy;
}

/* The first word is the default. */
static unsigned read_word(struct reader *r, const char *key, const struct word *words)
{
    const char *text = read_text(r, key, words->name);
    if (r->err != WEIR_OK) {
        return words->value;
    }
    for (const struct word *word = words; word->name != NULL; word++) {
        if (strcmp(word->name, text) == 0) {
            return word->value;
        }
    }
    refuse(r, key, "is not one of its words");
    return words->value;
}

static void read_host(struct reader *r, struct proxy_settings *settings)
{
    char *host = copy_text(r, "host", "pass");
    settings->host = PROXY_HOST_PASS;
    if (r->err != WEIR_OK) {
        return;
    }
    if (strcmp(host, "pass") == 0 || strcmp(host, "server") == 0) {
        settings->host = host[0] == 's' ? PROXY_HOST_SERVER : PROXY_HOST_PASS;
        free(host);
        return;
    }
    settings->host = PROXY_HOST_TEXT;
    settings->host_text = host;
    if (!http_chars_all(span_of(host), HTTP_CHAR_VALUE)) {
        refuse(r, "host", "cannot stand in a header");
    }
}

/* The three keys of one direction. */
struct change_lists {
    const char **removed;
    size_t removed_count;
    struct settings_pair *set;
    size_t set_count;
    struct settings_pair *added;
    size_t added_count;
};

static enum weir_err read_lists(struct reader *r, const struct settings *from,
                                struct change_lists *lists)
{
    static const char *const KEYS[] = {"remove", "set", "add"};
    enum weir_err err = settings_allow(from, KEYS, 3, r->error, r->error_size);
    if (err == WEIR_OK) {
        err = settings_texts(from, "remove", r->error, r->error_size, &lists->removed,
                             &lists->removed_count);
    }
    if (err == WEIR_OK) {
        err = settings_pairs(from, "set", r->error, r->error_size, &lists->set, &lists->set_count);
    }
    if (err == WEIR_OK) {
        err = settings_pairs(from, "add", r->error, r->error_size, &lists->added,
                             &lists->added_count);
    }
    return err;
}

static void append_change(struct reader *r, struct header_changes *out,
                          enum header_change_kind kind, const char *name, const char *value)
{
    struct header_change change = {kind, span_of(name), span_of(value)};
    if (!http_chars_is_token(change.name) || !http_chars_all(change.value, HTTP_CHAR_VALUE)) {
        snprintf(r->error, r->error_size, "`%s` cannot stand in a header", name);
        r->err = WEIR_EINVAL;
        return;
    }
    out->items[out->count++] = change;
}

/* In the order in which they are done: remove, set, add. */
static void join_lists(struct reader *r, const struct change_lists *lists,
                       struct header_changes *out)
{
    size_t most = lists->removed_count + lists->set_count + lists->added_count;
    out->items = most > 0 ? calloc(most, sizeof(out->items[0])) : NULL;
    if (most > 0 && out->items == NULL) {
        r->err = WEIR_ENOMEM;
        return;
    }
    for (size_t i = 0; i < lists->removed_count; i++) {
        append_change(r, out, HEADER_REMOVE, lists->removed[i], "");
    }
    for (size_t i = 0; i < lists->set_count; i++) {
        append_change(r, out, HEADER_SET, lists->set[i].name, lists->set[i].text);
    }
    for (size_t i = 0; i < lists->added_count; i++) {
        append_change(r, out, HEADER_ADD, lists->added[i].name, lists->added[i].text);
    }
}

/* `*kept` lends the texts to the changes. */
static void read_changes(struct reader *r, const char *key, struct settings **kept,
                         struct header_changes *out)
{
    struct change_lists lists = {0};
    if (r->err == WEIR_OK) {
        r->err = settings_inside(r->from, key, r->error, r->error_size, kept);
    }
    if (r->err == WEIR_OK) {
        r->err = read_lists(r, *kept, &lists);
    }
    if (r->err == WEIR_OK) {
        join_lists(r, &lists, out);
    }
    free(lists.removed);
    free(lists.set);
    free(lists.added);
}

static void read_limits(struct reader *r, struct proxy_settings *settings)
{
    static const struct word codes[] = {{"1014", 1014}, {"1012", 1012}, {NULL, 0}};
    read_number(r, "read_timeout", MINUTE, &settings->read_timeout_ms);
    read_number(r, "idle_timeout", 10 * MINUTE, &settings->idle_timeout_ms);
    read_number(r, "max_head_size", 64 * KIB, &settings->max_head_size);
    read_number(r, "max_message_size", 16 * MIB, &settings->max_message_size);
    read_number(r, "ping_interval", 30 * SECOND, &settings->ping_interval_ms);
    read_number(r, "ping_timeout", 15 * SECOND, &settings->ping_timeout_ms);
    read_number(r, "close_timeout", 5 * SECOND, &settings->close_timeout_ms);
    settings->lost_code = (uint16_t)read_word(r, "lost_code", codes);
    if (r->err == WEIR_OK) {
        r->err = settings_switch(r->from, "compression", false, r->error, r->error_size,
                                 &settings->compression);
    }
}

static void read_all(struct reader *r, struct owned *owned)
{
    static const char *const KEYS[] = {
        "host",         "strip_prefix",     "add_prefix",       "forwarded",   "request_headers",
        "read_timeout", "idle_timeout",     "response_headers", "lost_code",   "max_head_size",
        "ping_timeout", "max_message_size", "ping_interval",    "compression", "close_timeout"};
    static const struct word forwarded[] = {{"both", PROXY_FORWARDED_BOTH},
                                            {"off", PROXY_FORWARDED_OFF},
                                            {"x-forwarded", PROXY_FORWARDED_X},
                                            {"forwarded", PROXY_FORWARDED_RFC},
                                            {NULL, 0}};
    struct proxy_settings *settings = &owned->settings;
    r->err = settings_allow(r->from, KEYS, sizeof(KEYS) / sizeof(KEYS[0]), r->error, r->error_size);
    read_host(r, settings);
    settings->strip_prefix = copy_text(r, "strip_prefix", "");
    settings->add_prefix = copy_text(r, "add_prefix", "");
    settings->forwarded = (enum proxy_forwarded)read_word(r, "forwarded", forwarded);
    read_changes(r, "request_headers", &owned->request_headers, &settings->request_headers);
    read_changes(r, "response_headers", &owned->response_headers, &settings->response_headers);
    read_limits(r, settings);
}

enum weir_err proxy_settings_read(const char *name, const char *json, char *error,
                                  size_t error_size, struct proxy_settings **out)
{
    struct settings *from = NULL;
    enum weir_err err = settings_open(json, error, error_size, &from);
    if (err != WEIR_OK) {
        return err;
    }
    struct owned *owned = calloc(1, sizeof(*owned));
    struct proxy_settings *settings = owned != NULL ? &owned->settings : NULL;
    struct reader r = {from, error, error_size, WEIR_ENOMEM};
    if (owned != NULL) {
        read_all(&r, owned);
        settings->upstream = strdup(name);
        r.err = r.err == WEIR_OK && settings->upstream == NULL ? WEIR_ENOMEM : r.err;
    }
    settings_close(&from);
    if (r.err == WEIR_OK) {
        *out = settings;
    } else {
        proxy_settings_free(&settings);
    }
    return r.err;
}

void proxy_settings_free(struct proxy_settings **settings)
{
    struct owned *owned = (struct owned *)(void *)*settings;
    *settings = NULL;
    if (owned == NULL) {
        return;
    }
    free(owned->settings.upstream);
    free(owned->settings.host_text);
    free(owned->settings.strip_prefix);
    free(owned->settings.add_prefix);
    free(owned->settings.request_headers.items);
    free(owned->settings.response_headers.items);
    settings_close(&owned->request_headers);
    settings_close(&owned->response_headers);
    free(owned);
}
