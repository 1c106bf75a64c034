/* The clients that a handler for operators answers, by the address that a request has come from
 * (behind trusted proxies, the one that they name). Called by upstream_admin.c and metrics.c. It
 * looks no names up. */
#include "handlers/allow_list.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/settings.h"
#include "session/request.h"

static enum weir_err take_blocks(struct allow_list *list, const char *const *texts, size_t count,
                                 char *error, size_t error_size)
{
    static const char *const local[] = {"127.0.0.0/8", "::1"};
    if (count == 0) {
        texts = local;
        count = sizeof local / sizeof local[0];
    }
    list->blocks = calloc(count, sizeof(list->blocks[0]));
    if (list->blocks == NULL) {
        snprintf(error, error_size, "no memory");
        return WEIR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        if (ip_block_parse(span_of(texts[i]), &list->blocks[i]) != WEIR_OK) {
            snprintf(error, error_size, "`allow`: %s is neither an address nor a block", texts[i]);
            return WEIR_EINVAL;
        }
    }
    list->count = count;
    return WEIR_OK;
}

static enum weir_err take_settings(struct allow_list *list, const struct settings *settings,
                                   char *error, size_t error_size)
{
    const char **texts = NULL;
    size_t count = 0;
    enum weir_err err = settings_texts(settings, "allow", error, error_size, &texts, &count);
    if (err == WEIR_OK) {
        err = take_blocks(list, texts, count, error, error_size);
    }
    free(texts);
    return err;
}

enum weir_err allow_list_read(const char *json, char *error, size_t error_size,
                              struct allow_list *list)
{
    static const char *const keys[] = {"allow"};
    struct settings *settings = NULL;
    enum weir_err err = settings_open(json, error, error_size, &settings);
    if (err != WEIR_OK) {
        return err;
    }
    err = settings_allow(settings, keys, sizeof keys / sizeof keys[0], error, error_size);
    if (err == WEIR_OK) {
        err = take_settings(list, settings, error, error_size);
    }
    settings_close(&settings);
    return err;
}

void allow_list_free(struct allow_list *list)
{
    free(list->blocks);
    *list = (struct allow_list){0};
}

bool allow_list_has(const struct allow_list *list, const struct weir_request *request)
{
    struct ip_address remote;
    return ip_address_parse(span_of(request_remote(request)), &remote) == WEIR_OK &&
           ip_block_any_contains(list->blocks, list->count, &remote);
}
