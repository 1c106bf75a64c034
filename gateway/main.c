/* The command line: what was asked for, and the exit code. 0: done; 1: it could not serve; 2: wrong
 * arguments or a wrong configuration. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "config/config.h"
#include "tool/plugin_test.h"
#include "tool/script.h"
#include "worker/registry.h"
#include "worker/server.h"

enum {
    EXIT_WRONG_INPUT = 2
};

static const char usage[] =
    "usage: weir [-c FILE]          serve with this configuration (default conf/weir.yaml)\n"
    "       weir -t [-c FILE]       check the configuration and exit\n"
    "       weir -V | --version     print the version\n"
    "       weir -h | --help        print this\n"
    "       weir --reference        print the reference of all configuration keys (Markdown)\n"
    "       weir --schema           print a JSON Schema of the configuration\n"
    "       weir lua [--config JSON] [--shared NAME] FILE [ARGS]\n"
    "                               run a Lua script with the API of plugins\n"
    "       weir test-plugin [--config JSON] [--shared NAME] FILE [TESTFILE]\n"
    "                               run the tests of a Lua plugin\n"
    "\n"
    "Signals: SIGTERM and SIGINT stop gracefully, a second one at once.\n"
    "Exit status: 0 done, 1 could not serve, 2 wrong arguments or configuration.\n";

enum action {
    ACTION_SERVE,
    ACTION_CHECK,
    ACTION_VERSION,
    ACTION_HELP,
    ACTION_REFERENCE,
    ACTION_SCHEMA,
    ACTION_WRONG
};

static enum action parse_arguments(int argc, char **argv, const char **file)
{
    enum {
        LONG_REFERENCE = 256,
        LONG_SCHEMA
    };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {"reference", no_argument, NULL, LONG_REFERENCE},
        {"schema", no_argument, NULL, LONG_SCHEMA},
        {NULL, 0, NULL, 0},
    };
    enum action action = ACTION_SERVE;
    int option;
    while ((option = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            *file = optarg;
            break;
        case 't':
            action = ACTION_CHECK;
            break;
        case 'V':
            return ACTION_VERSION;
        case 'h':
            return ACTION_HELP;
        case LONG_REFERENCE:
            return ACTION_REFERENCE;
        case LONG_SCHEMA:
            return ACTION_SCHEMA;
        default:
            return ACTION_WRONG;
        }
    }
    return optind == argc ? action : ACTION_WRONG;
}

/* What was asked for and could not be written, on a full disk say, is no success. */
static int printed(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_generated(enum weir_err (*make)(struct buffer *out))
{
    struct buffer text = {0};
    enum weir_err err = make(&text);
    if (err == WEIR_OK) {
        fwrite(text.data, 1, text.size, stdout);
    }
    buffer_free(&text);
    return err == WEIR_OK ? printed() : EXIT_FAILURE;
}

/* Loads all that the configuration names, so that -t finds what a start would find. */
static enum weir_err load(const char *file, struct registry **registry)
{
    struct buffer errors = {0};
    struct config *config = NULL;
    enum weir_err err = config_load(file, &errors, &config);
    if (err == WEIR_OK) {
        log_set_level((enum log_level)config->log_level);
        err = registry_load(config, file, &errors, registry);
        config_release(&config);
    }
    if (errors.size > 0) {
        fwrite(errors.data, 1, errors.size, stderr);
    }
    if (err != WEIR_OK && errors.size == 0) {
        fprintf(stderr, "weir: %s: %s\n", file, weir_err_name(err));
    }
    buffer_free(&errors);
    return err;
}

static int serve(const char *file, bool only_check)
{
    struct registry *registry = NULL;
    if (load(file, &registry) != WEIR_OK) {
        return EXIT_WRONG_INPUT;
    }
    int status = EXIT_SUCCESS;
    if (only_check) {
        printf("%s: the configuration is fine\n", file);
    } else if (server_run(registry) != WEIR_OK) {
        status = EXIT_FAILURE;
    }
    registry_release(&registry);
    return status;
}

int main(int argc, char **argv)
{
    const char *file = "conf/weir.yaml";
    log_start();
    if (argc > 1 && strcmp(argv[1], "lua") == 0) {
        return script_main(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "test-plugin") == 0) {
        return plugin_test_main(argc - 1, argv + 1);
    }
    switch (parse_arguments(argc, argv, &file)) {
    case ACTION_SERVE:
        return serve(file, false);
    case ACTION_CHECK:
        return serve(file, true);
    case ACTION_VERSION:
        printf("weir %s\n", WEIR_VERSION);
        return printed();
    case ACTION_HELP:
        fputs(usage, stdout);
        return printed();
    case ACTION_REFERENCE:
        return print_generated(config_reference);
    case ACTION_SCHEMA:
        return print_generated(config_schema);
    case ACTION_WRONG:
        break;
    }
    fputs(usage, stderr);
    return EXIT_WRONG_INPUT;
}
