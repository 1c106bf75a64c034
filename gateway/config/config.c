/* The life of a configuration: read, loaded, shared, released. Its structs and strings live in one
 * arena beside the reference count, so the last release frees them all.
 *
 * Called by main.c and by the reload. A configuration never changes after config_load has given it.
 */
#include "config/config.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/check.h"
#include "config/arena.h"
#include "config/env.h"
#include "config/keys.h"
#include "config/load.h"
#include "config/problems.h"
#include "config/yaml_tree.h"

/* What a `struct config *` that we gave points into. */
struct owned {
    struct config config; /* first, so that the pointers are the same */
    atomic_uint references;
    struct arena arena;
};

static struct owned *owner(struct config *config)
{
    return (struct owned *)(void *)config;
}

struct config *config_share(struct config *config)
{
    unsigned before =
        atomic_fetch_add_explicit(&owner(config)->references, 1, memory_order_relaxed);
    WEIR_CHECK(before > 0);
    return config;
}

void config_release(struct config **config)
{
    if (*config == NULL) {
        return;
    }
    struct owned *owned = owner(*config);
    *config = NULL;
    /* Release orders our reads before the free of whoever comes last; acquire is that one's. */
    if (atomic_fetch_sub_explicit(&owned->references, 1, memory_order_acq_rel) == 1) {
        arena_free(&owned->arena);
        free(owned);
    }
}

static bool is_empty(const struct yaml_node *root)
{
    return root == NULL || (root->kind == YAML_SCALAR && root->text[0] == '\0');
}

/* Fills `owned` from the text; the tree lives in `scratch`, which the caller frees. */
static void load_into(struct owned *owned, const char *text, size_t size, struct arena *scratch,
                      struct problems *problems)
{
    struct yaml_node *root = yaml_tree_read(text, size, scratch, problems);
    if (is_empty(root)) {
        if (problems->count == 0) {
            problems_add(problems, 1, 1, "the configuration is empty");
        }
        return;
    }
    env_expand(root, scratch, problems);
    struct loader loader = {.arena = &owned->arena, .problems = problems, .config = &owned->config};
    if (root->kind == YAML_MAP) {
        load_section(&loader, &keys_root, root, &owned->config);
    } else {
        load_refuse_kind(&loader, root, "a mapping of keys");
    }
}

enum weir_err config_load_text(const char *name, const char *text, size_t size,
                               struct buffer *errors, struct config **out)
{
    struct arena scratch = {0};
    struct problems problems = {.file = name};
    struct owned *owned = calloc(1, sizeof(*owned));
    if (owned == NULL) {
        return WEIR_ENOMEM;
    }
    atomic_init(&owned->references, 1);
    load_into(owned, text, size, &scratch, &problems);
    enum weir_err err = WEIR_OK;
    if (scratch.exhausted || owned->arena.exhausted || problems.exhausted) {
        err = WEIR_ENOMEM;
    } else if (problems.count > 0) {
        err = problems_print(&problems, errors) == WEIR_OK ? WEIR_EINVAL : WEIR_ENOMEM;
    }
    problems_free(&problems);
    arena_free(&scratch);
    struct config *config = &owned->config;
    if (err == WEIR_OK) {
        *out = config;
    } else {
        config_release(&config);
    }
    return err;
}

/* Appends the file, or one byte more than may be read, so that the reader refuses it. */
static enum weir_err read_file(FILE *file, struct buffer *out)
{
    size_t most = YAML_TREE_MAX_BYTES + 1;
    if (buffer_reserve(out, most) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    out->size = fread(out->data, 1, most, file);
    return ferror(file) != 0 ? WEIR_EIO : WEIR_OK;
}

enum weir_err config_load(const char *path, struct buffer *errors, struct config **out)
{
    struct buffer text = {0};
    FILE *file = fopen(path, "re");
    enum weir_err err = file != NULL ? read_file(file, &text) : WEIR_EIO;
    int error = errno;
    if (file != NULL) {
        fclose(file);
    }
    if (err == WEIR_OK) {
        err = config_load_text(path, (const char *)text.data, text.size, errors, out);
    } else if (err == WEIR_EIO) {
        err = buffer_printf(errors, "%s: cannot be read: %s\n", path, strerror(error));
        err = err == WEIR_OK ? WEIR_EINVAL : err;
    }
    buffer_free(&text);
    return err;
}
