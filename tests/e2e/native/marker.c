/* For native.test.js: writes the `name` of its settings on every message that passes, both ways,
 * and logs what it hears, as the Lua plugin beside it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/plugin.h>

static const struct weir_host *host;

struct marker {
    char name[16];
};

/* settings_json is {"name":"X"}: a real plugin would use a JSON library. */
static int load(const struct weir_plugin_config *config, void **plugin, char *error,
                size_t error_size)
{
    struct marker *marker = calloc(1, sizeof *marker);
    if (marker == NULL ||
        sscanf(config->settings_json, "{\"name\":\"%15[^\"]", marker->name) != 1) {
        snprintf(error, error_size, "`name` is missing in %s", config->settings_json);
        free(marker);
        return -1;
    }
    *plugin = marker;
    return 0;
}

static void unload(void *plugin)
{
    struct marker *marker = plugin;
    host->log(WEIR_LOG_INFO, marker->name, "unload");
    free(marker);
}

static void say(const struct marker *marker, const char *what, struct weir_bytes bytes)
{
    char line[128];
    snprintf(line, sizeof line, "%s %.*s", what, (int)bytes.size, (const char *)bytes.data);
    host->log(WEIR_LOG_INFO, marker->name, line);
}

static enum weir_verdict on_request(void *self, struct weir_request *request, unsigned seat)
{
    (void)seat;
    say(self, "request", host->request_path(request));
    return WEIR_NEXT;
}

static enum weir_verdict on_open(void *self, struct weir_session *session, unsigned seat)
{
    struct marker *marker = self;
    char *kept = malloc(strlen(marker->name) + 1);
    strcpy(kept, marker->name);
    *host->session_seat(session, seat) = kept; /* freed in on_close, or the leak is found */
    host->log(WEIR_LOG_INFO, marker->name, "open");
    return WEIR_NEXT;
}

/* The message with the name and `arrow`, or `arrow` and the name, behind it. */
static struct weir_bytes marked(const struct weir_message *message, const char *first,
                                const char *second, uint8_t **text)
{
    size_t size = message->payload.size + strlen(first) + strlen(second);
    *text = malloc(size + 1);
    memcpy(*text, message->payload.data, message->payload.size);
    sprintf((char *)*text + message->payload.size, "%s%s", first, second);
    return (struct weir_bytes){*text, size};
}

static enum weir_verdict on_message(void *self, struct weir_session *session, unsigned seat,
                                    const struct weir_message *message)
{
    struct marker *marker = self;
    uint8_t *text;
    struct weir_message changed = {message->kind, marked(message, marker->name, ">", &text)};
    host->session_pass(session, seat, &changed);
    free(text);
    return WEIR_DROP; /* the changed one goes on in its place */
}

static enum weir_verdict on_send(void *self, struct weir_session *session, unsigned seat,
                                 const struct weir_message *message)
{
    struct marker *marker = self;
    uint8_t *text;
    struct weir_bytes changed = marked(message, "<", marker->name, &text);
    (void)host->session_send(session, seat, message->kind, changed);
    free(text);
    return WEIR_DROP;
}

static void on_close(void *self, struct weir_session *session, unsigned seat,
                     const struct weir_ending *ending)
{
    char line[64];
    snprintf(line, sizeof line, "close %u", ending->code);
    say(self, line, ending->reason);
    free(*host->session_seat(session, seat));
}

static const struct weir_plugin_ops ops = {
    .struct_size = sizeof(struct weir_plugin_ops),
    .major = WEIR_ABI_MAJOR,
    .minor = WEIR_ABI_MINOR,
    .load = load,
    .unload = unload,
    .on_request = on_request,
    .on_open = on_open,
    .on_message = on_message,
    .on_send = on_send,
    .on_close = on_close,
};

const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)
{
    host = table;
    return &ops;
}
