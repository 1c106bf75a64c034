/* A list with a lock: there are a few dictionaries, and plugins look one up when they first name
 * it. worker/ declares them before it loads plugins; Lua's weir.shared finds them. It never removes
 * one: plugins of a configuration that is on its way out may still use it. */
#include "base/shared_dicts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/shared_dict.h"

struct named {
    struct named *next;
    struct shared_dict *dict;
    size_t size_bytes;
    char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct named *all;

static struct named *find(struct span name)
{
    struct named *named = all;
    while (named != NULL && !span_equal(span_of(named->name), name)) {
        named = named->next;
    }
    return named;
}

static struct named *make(const char *name, size_t size_bytes)
{
    size_t size = strlen(name) + 1;
    struct named *named = malloc(sizeof *named + size);
    struct shared_dict *dict = shared_dict_new(size_bytes);
    if (named == NULL || dict == NULL) {
        free(named);
        shared_dict_free(&dict);
        return NULL;
    }
    *named = (struct named){.next = all, .dict = dict, .size_bytes = size_bytes};
    memcpy(named->name, name, size);
    all = named;
    return named;
}

enum weir_err shared_dicts_declare(const char *name, size_t size_bytes, size_t *kept_bytes)
{
    pthread_mutex_lock(&lock);
    const struct named *named = find(span_of(name));
    if (named == NULL) {
        named = make(name, size_bytes);
    }
    if (named != NULL) {
        *kept_bytes = named->size_bytes;
    }
    pthread_mutex_unlock(&lock);
    return named == NULL ? WEIR_ENOMEM : WEIR_OK;
}

struct shared_dict *shared_dicts_find(struct span name)
{
    pthread_mutex_lock(&lock);
    const struct named *named = find(name);
    pthread_mutex_unlock(&lock);
    return named == NULL ? NULL : named->dict;
}

void shared_dicts_reset(void)
{
    pthread_mutex_lock(&lock);
    while (all != NULL) {
        struct named *named = all;
        all = named->next;
        shared_dict_free(&named->dict);
        free(named);
    }
    pthread_mutex_unlock(&lock);
}
