/* Real shared objects, built from a few lines of C with the public header alone, in a folder that
 * goes with the test. */
#ifndef WEIR_TESTS_NATIVE_FIXTURE_H
#define WEIR_TESTS_NATIVE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/plugin.h>

enum {
    WHY_BYTES = 512
};

static char folder[] = "/tmp/weir-native-XXXXXX";

static int folder_make(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    return chdir(folder);
}

static int folder_remove(void **state)
{
    (void)state;
    char command[128];
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

/* Builds ./NAME.so from `source`; the file that was there is replaced, not written over. */
static void build(const char *name, const char *source)
{
    char text[4096];
    char command[512];
    snprintf(text, sizeof text,
             "#include <stdio.h>\n#include <stdlib.h>\n#include <weir/plugin.h>\n%s\n", source);
    write_file("source.c", text);
    snprintf(
        command, sizeof command,
        "cc -shared -fPIC -pthread -I '%s/gateway/include' -o new.so source.c && mv new.so %s.so",
        WEIR_SOURCE_DIR, name);
    assert_int_equal(system(command), 0);
}

/* The entry of a plugin whose table is called `ops`. */
#define ENTRY                                                                                      \
    "const struct weir_plugin_ops *weir_plugin(const struct weir_host *host)\n"                    \
    "{ (void)host; return (const void *)&ops; }\n"

/* The head of such a table. */
#define HEAD                                                                                       \
    "static const struct weir_plugin_ops ops = {.struct_size = sizeof ops, "                       \
    ".major = WEIR_ABI_MAJOR, .minor = WEIR_ABI_MINOR, "

#endif
