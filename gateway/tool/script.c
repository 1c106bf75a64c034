/* `weir lua [--config JSON] [--shared NAME] FILE [ARGS]`. The script runs as a plugin whose `init`
 * spawns it: so it may wait, and ends when neither it nor a timer or coroutine that it has begun is
 * left. That plugin is a small file of our own, gone before the script begins. Called by main.c. */
#include "tool/script.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "lua/host.h"
#include "tool/stand.h"

enum {
    EXIT_WRONG_ARGUMENTS = 2
};

static const char usage[] = "usage: weir lua [--config JSON] [--shared NAME] FILE [ARGS]\n";

/* What the plugin's file says before and after the arguments' list. `print` is for the script's
 * output, and the log for weir.log. */
static const char wrapper[] =
    "local script, why = loadfile(arg[0], 't')\n"
    "if not script then error(why, 0) end\n"
    "function print(...)\n"
    "    local words = table.pack(...)\n"
    "    for i = 1, words.n do words[i] = tostring(words[i]) end\n"
    "    io.write(table.concat(words, '\\t'), '\\n')\n"
    "end\n"
    "return {init = function() weir.spawn(script, table.unpack(arg)) end}\n";

struct script {
    const char *settings; /* JSON */
    const char *shared;   /* a dictionary's name, NULL for none */
    const char *file;
    char **args;
    char folder[64]; /* of the plugin's file, "" while there is none */
    char plugin[80];
};

static enum weir_err write_wrapper(const struct script *script, struct buffer *out)
{
    enum weir_err err = buffer_append(out, SPAN("arg = {[0] = "));
    if (err == WEIR_OK) {
        err = stand_quote(out, script->file);
    }
    for (char **arg = script->args; *arg != NULL && err == WEIR_OK; arg++) {
        err = buffer_append(out, SPAN(", "));
        if (err == WEIR_OK) {
            err = stand_quote(out, *arg);
        }
    }
    return err == WEIR_OK ? buffer_printf(out, "}\n%s", wrapper) : err;
}

static enum weir_err make_plugin(struct script *script)
{
    char folder[] = "/tmp/weir-lua-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        perror("weir: /tmp");
        return WEIR_EIO;
    }
    snprintf(script->folder, sizeof script->folder, "%s", folder);
    snprintf(script->plugin, sizeof script->plugin, "%s/script.lua", folder);
    struct buffer text = {0};
    enum weir_err err = write_wrapper(script, &text);
    FILE *file = err == WEIR_OK ? fopen(script->plugin, "we") : NULL;
    if (err == WEIR_OK && (file == NULL || fwrite(text.data, 1, text.size, file) != text.size)) {
        perror("weir: /tmp");
        err = WEIR_EIO;
    }
    if (file != NULL && fclose(file) != 0) {
        err = WEIR_EIO;
    }
    buffer_free(&text);
    return err;
}

static void remove_plugin(const struct script *script)
{
    if (script->folder[0] != '\0') {
        unlink(script->plugin);
        rmdir(script->folder);
    }
}

/* The listener is only there because a configuration has one; nothing binds it. */
static enum weir_err write_config(const struct script *script, struct buffer *out)
{
    char *own = stand_folder(script->file);
    enum weir_err err = own == NULL ? WEIR_ENOMEM : WEIR_OK;
    if (err == WEIR_OK) {
        err = buffer_printf(out,
                            "workers: 1\nlisten: [{address: \"127.0.0.1:1\"}]\nplugin_path: [%s, ",
                            script->folder);
    }
    if (err == WEIR_OK) {
        err = stand_quote(out, own);
    }
    if (err == WEIR_OK) {
        err = buffer_printf(out,
                            "]\nroutes:\n  - path: /\n    handler: {lua: script, trusted: on, "
                            "cpu_limit: 1m, memory_limit: 1GiB, config: %s}\n",
                            script->settings);
    }
    if (err == WEIR_OK && script->shared != NULL) {
        err = stand_share(out, script->shared);
    }
    free(own);
    return err;
}

static int run(struct script *script)
{
    struct stand stand = {0};
    struct buffer yaml = {0};
    enum weir_err err = make_plugin(script);
    if (err == WEIR_OK) {
        err = write_config(script, &yaml);
    }
    if (err == WEIR_OK) {
        err = stand_open(&stand, &yaml);
    }
    remove_plugin(script);
    bool failed = err != WEIR_OK;
    if (!failed) {
        const void *self = stand_handler(&stand);
        while (!lua_host_is_idle(self) && loop_turn(stand.worker.loop, true)) {
            /* until nothing is left that could run */
        }
        failed = lua_host_failures(self) > 0;
    }
    stand_close(&stand);
    buffer_free(&yaml);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Reads the options; the place of the script's name, or 0 where something is wrong. */
static int parse_options(int argc, char **argv, struct script *script)
{
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        const char *value = argv[at + 1];
        if (strcmp(argv[at], "--config") == 0 && value[0] == '{') {
            script->settings = value;
        } else if (strcmp(argv[at], "--shared") == 0 && stand_is_name(value)) {
            script->shared = value;
        } else {
            return 0;
        }
    }
    return at < argc && argv[at][0] != '-' ? at : 0;
}

int script_main(int argc, char **argv)
{
    struct script script = {.settings = "{}"};
    int at = parse_options(argc, argv, &script);
    if (at == 0) {
        fputs(usage, stderr);
        return EXIT_WRONG_ARGUMENTS;
    }
    script.file = argv[at];
    script.args = &argv[at + 1];
    return run(&script);
}
