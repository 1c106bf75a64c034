/* `weir test-plugin [--config JSON] [--shared NAME] FILE [TESTFILE]`. The plugin is the handler of
 * a real worker, and the tests are its clients, over socket pairs: so what they see is what clients
 * would. They run in a Lua state of their own, whose calls turn the worker's loop. Called by
 * main.c. */
#include "tool/plugin_test.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/buffer.h"
#include "session/connection.h"
#include "tool/stand.h"
#include "worker/registry.h"

enum {
    EXIT_WRONG_ARGUMENTS = 2,
    QUIET_TURNS = 4 /* of a loop whose clients are silent: what hangs together has happened */
};

static const char usage[] =
    "usage: weir test-plugin [--config JSON] [--shared NAME] FILE [TESTFILE]\n";

struct plugin_test {
    const char *settings; /* JSON */
    const char *shared;   /* a dictionary's name, NULL for none */
    const char *file;
    char name[NAME_MAX]; /* the plugin's */
    char test_file[PATH_MAX];
};

/* --- what the harness has of the gateway: the table `wire` --- */

static struct stand *stand_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

static int wire_open(lua_State *L)
{
    struct stand *stand = stand_of(L);
    size_t count = 0;
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
        return luaL_error(L, "no socket: %s", strerror(errno));
    }
    connection_accept(&stand->worker, registry_listeners(stand->registry, &count), ends[1], &peer,
                      sizeof(sa_family_t));
    lua_pushinteger(L, ends[0]);
    return 1;
}

static int wire_write(lua_State *L)
{
    struct stand *stand = stand_of(L);
    int fd = (int)luaL_checkinteger(L, 1);
    size_t size = 0;
    const char *bytes = luaL_checklstring(L, 2, &size);
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        } else if (errno == EAGAIN) {
            (void)loop_turn(stand->worker.loop, true);
        } else if (errno != EINTR) {
            return 0; /* the gateway has closed it, which the next read tells */
        }
    }
    return 0;
}

static void ring(void *context)
{
    *(bool *)context = true;
}

static struct loop_timer *start_timer(lua_State *L, int index, bool *rang)
{
    double seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds >= 0 && seconds <= 3600, index, "0 to 3600 seconds");
    struct loop_timer *timer =
        loop_timer_new(stand_of(L)->worker.loop, (uint64_t)(seconds * 1000), false, ring, rang);
    if (timer == NULL) {
        luaL_error(L, "not enough memory");
    }
    return timer;
}

/* Turns the loop until bytes have come: these; nil, "closed" at the end; nil, "timeout". */
static int wire_read(lua_State *L)
{
    struct stand *stand = stand_of(L);
    int fd = (int)luaL_checkinteger(L, 1);
    char bytes[16384];
    bool rang = false;
    struct loop_timer *timer = start_timer(L, 2, &rang);
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, 0)) < 0 && (errno == EAGAIN || errno == EINTR) &&
           !rang) {
        (void)loop_turn(stand->worker.loop, true);
    }
    loop_timer_free(&timer);
    if (got > 0) {
        lua_pushlstring(L, bytes, (size_t)got);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, got < 0 && rang ? "timeout" : "closed");
    return 2;
}

static int wire_close(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

/* Lets the gateway run for so many seconds, and then until it is quiet. */
static int wire_turn(lua_State *L)
{
    struct stand *stand = stand_of(L);
    bool rang = false;
    struct loop_timer *timer = start_timer(L, 1, &rang);
    while (!rang && loop_turn(stand->worker.loop, true)) {
        /* until the timer rings */
    }
    loop_timer_free(&timer);
    for (unsigned i = 0; i < QUIET_TURNS; i++) {
        (void)loop_turn(stand->worker.loop, false);
    }
    return 0;
}

/* --- the run --- */

/* The module path of tests is the plugin's: its own folder first. */
static void set_path(lua_State *L, const char *folder)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s", folder, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

static bool run_tests(struct stand *stand, const char *file, const char *folder)
{
    static const luaL_Reg functions[] = {{"open", wire_open}, {"write", wire_write},
                                         {"read", wire_read}, {"close", wire_close},
                                         {"turn", wire_turn}, {NULL, NULL}};
    lua_State *L = luaL_newstate();
    if (L == NULL) {
        return false;
    }
    luaL_openlibs(L);
    set_path(L, folder);
    int status = luaL_loadbuffer(L, plugin_test_harness, strlen(plugin_test_harness), "=weir.test");
    if (status == LUA_OK) {
        luaL_newlibtable(L, functions);
        lua_pushlightuserdata(L, stand);
        luaL_setfuncs(L, functions, 1);
        status = lua_pcall(L, 1, 1, 0);
    }
    if (status == LUA_OK) {
        lua_pushstring(L, file);
        status = lua_pcall(L, 1, 1, 0);
    }
    if (status != LUA_OK) {
        fprintf(stderr, "weir: %s\n", luaL_tolstring(L, -1, NULL));
    }
    bool passed = status == LUA_OK && lua_toboolean(L, -1);
    lua_close(L);
    return passed;
}

/* One route with the plugin as handler. The listener is never bound. */
static enum weir_err write_config(const struct plugin_test *test, const char *folder,
                                  struct buffer *out)
{
    enum weir_err err = buffer_append(
        out, SPAN("workers: 1\nlisten: [{address: \"127.0.0.1:1\"}]\nplugin_path: ["));
    if (err == WEIR_OK) {
        err = stand_quote(out, folder);
    }
    if (err == WEIR_OK) {
        err = buffer_append(out, SPAN("]\nroutes:\n  - path: /\n    websocket: on\n"
                                      "    handler: {lua: "));
    }
    if (err == WEIR_OK) {
        err = stand_quote(out, test->name);
    }
    if (err == WEIR_OK) {
        err = buffer_printf(out, ", config: %s}\n", test->settings);
    }
    return err == WEIR_OK && test->shared != NULL ? stand_share(out, test->shared) : err;
}

static int run(const struct plugin_test *test)
{
    struct stand stand = {0};
    struct buffer yaml = {0};
    char *folder = stand_folder(test->file);
    enum weir_err err = folder == NULL ? WEIR_ENOMEM : write_config(test, folder, &yaml);
    if (err == WEIR_OK) {
        err = stand_open(&stand, &yaml);
    }
    bool passed = err == WEIR_OK && run_tests(&stand, test->test_file, folder);
    stand_close(&stand);
    buffer_free(&yaml);
    free(folder);
    return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A plugin is named by its stem; its tests are in STEM_test.lua beside it. */
static bool set_names(struct plugin_test *test, const char *test_file)
{
    static const char ending[] = ".lua";
    const char *slash = strrchr(test->file, '/');
    const char *base = slash == NULL ? test->file : slash + 1;
    size_t size = strlen(base);
    size_t stem = size - (sizeof ending - 1);
    if (size < sizeof ending || strcmp(base + stem, ending) != 0 || stem >= sizeof test->name) {
        return false;
    }
    snprintf(test->name, sizeof test->name, "%.*s", (int)stem, base);
    int written = test_file != NULL
                      ? snprintf(test->test_file, sizeof test->test_file, "%s", test_file)
                      : snprintf(test->test_file, sizeof test->test_file, "%.*s%s_test.lua",
                                 (int)(base - test->file), test->file, test->name);
    return written > 0 && (size_t)written < sizeof test->test_file;
}

/* Reads the options; the place of the plugin's name, or 0 where something is wrong. */
static int parse_options(int argc, char **argv, struct plugin_test *test)
{
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        const char *value = argv[at + 1];
        if (strcmp(argv[at], "--config") == 0 && value[0] == '{') {
            test->settings = value;
        } else if (strcmp(argv[at], "--shared") == 0 && stand_is_name(value)) {
            test->shared = value;
        } else {
            return 0;
        }
    }
    return at < argc && argv[at][0] != '-' && argc - at <= 2 ? at : 0;
}

int plugin_test_main(int argc, char **argv)
{
    struct plugin_test test = {.settings = "{}"};
    int at = parse_options(argc, argv, &test);
    if (at > 0) {
        test.file = argv[at];
        if (set_names(&test, argc - at == 2 ? argv[at + 1] : NULL)) {
            return run(&test);
        }
    }
    fputs(usage, stderr);
    return EXIT_WRONG_ARGUMENTS;
}
