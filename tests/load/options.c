/* The command line of weir-load as one table: a name, a kind of value, and where it goes. main.c
 * calls it once. It never guesses: an unknown option, a missing value or a number with a tail ends
 * the run. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

enum option_kind {
    OPTION_TEXT,
    OPTION_COUNT,
    OPTION_SIZE,
    OPTION_SECONDS,
    OPTION_SET,
    OPTION_CLEAR,
    OPTION_PID
};

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
};

#define ROW(name, kind, field)                                                                     \
    {                                                                                              \
        name, kind, offsetof(struct options, field)                                                \
    }

static const struct option_row option_table[] = {
    ROW("--address", OPTION_TEXT, address_text),
    ROW("--path", OPTION_TEXT, path),
    ROW("--publish-path", OPTION_TEXT, publish_path),
    ROW("--connections", OPTION_COUNT, connections),
    ROW("--depth", OPTION_COUNT, depth),
    ROW("--parallel", OPTION_COUNT, parallel),
    ROW("--rounds", OPTION_COUNT, rounds),
    ROW("--size", OPTION_SIZE, size),
    ROW("--seconds", OPTION_SECONDS, seconds),
    ROW("--warmup", OPTION_SECONDS, warmup_seconds),
    ROW("--stall", OPTION_SECONDS, stall_seconds),
    ROW("--raw", OPTION_SET, raw),
    ROW("--text", OPTION_SET, text),
    ROW("--binary", OPTION_CLEAR, text),
    ROW("--echo-once", OPTION_SET, echo_once),
    ROW("--pid", OPTION_PID, pid),
};

static const struct option_row *option_find(const char *name)
{
    for (size_t i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++) {
        if (strcmp(option_table[i].name, name) == 0) {
            return &option_table[i];
        }
    }
    fail("unknown option '%s'", name);
}

static uint64_t option_number(const char *name, const char *text, bool is_size, uint64_t limit)
{
    char *end = NULL;
    uint64_t factor = 1;
    uint64_t number = strtoull(text, &end, 10);
    if (is_size && strcmp(end, "KiB") == 0) {
        factor = 1024;
    } else if (is_size && strcmp(end, "MiB") == 0) {
        factor = 1024 * 1024;
    } else if (*end != '\0') {
        end = NULL;
    }
    if (text[0] < '0' || text[0] > '9' || end == NULL || number > limit / factor) {
        fail("%s: '%s' is not a number that fits here", name, text);
    }
    return number * factor;
}

static double option_seconds(const char *name, const char *text)
{
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= 0.0 && seconds <= 86400.0)) {
        fail("%s: '%s' is not a number of seconds", name, text);
    }
    return seconds;
}

static void option_store(const struct option_row *row, const char *value, struct options *out)
{
    void *field = (char *)out + row->offset;
    switch (row->kind) {
    case OPTION_TEXT:
        *(const char **)field = value;
        break;
    case OPTION_COUNT:
        *(uint32_t *)field = (uint32_t)option_number(row->name, value, false, 1000000);
        break;
    case OPTION_SIZE:
        *(size_t *)field = option_number(row->name, value, true, (uint64_t)1 << 30);
        break;
    case OPTION_SECONDS:
        *(double *)field = option_seconds(row->name, value);
        break;
    case OPTION_PID:
        *(pid_t *)field = (pid_t)option_number(row->name, value, false, INT32_MAX);
        break;
    case OPTION_SET:
    case OPTION_CLEAR:
        *(bool *)field = row->kind == OPTION_SET;
        break;
    }
}

void options_read(int argc, char **argv, struct options *out)
{
    *out = (struct options){.address_text = "127.0.0.1:5000",
                            .path = "/ws",
                            .connections = 100,
                            .depth = 1,
                            .parallel = 50,
                            .rounds = 1,
                            .size = 64,
                            .seconds = 5.0,
                            .warmup_seconds = 1.0,
                            .stall_seconds = 10.0};
    for (int i = 0; i < argc; i++) {
        const struct option_row *row = option_find(argv[i]);
        bool takes_value = row->kind != OPTION_SET && row->kind != OPTION_CLEAR;
        if (takes_value && ++i == argc) {
            fail("%s needs a value", row->name);
        }
        option_store(row, argv[i], out);
    }
    if (out->connections == 0 || out->depth == 0 || out->parallel == 0 || out->rounds == 0) {
        fail("--connections, --depth, --parallel and --rounds are at least 1");
    }
    out->address = fail_unless_address(out->address_text);
}
