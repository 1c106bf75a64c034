/* The life of a native plugin: its process part, its worker parts, their timers, and the end. */
#include "native_fixture.h"

#include <pthread.h>

#include "native/host.h"
#include "native/table.h"
#include "net/loop.h"
#include "net/mail_room.h"
#include "session/worker_state.h"

/* What the plugins of this file report, through the environment of the process. */
static const char *told(const char *what)
{
    const char *text = getenv(what);
    return text == NULL ? "" : text;
}

static int load(const char *name, const char *settings, void **plugin, char why[WHY_BYTES])
{
    char file[64];
    snprintf(file, sizeof file, "./%s.so", name);
    struct weir_plugin_config config = {
        .struct_size = sizeof config, .name = name, .file = file, .settings_json = settings};
    strcpy(why, "left from before");
    return native_host_ops()->load(&config, plugin, why, WHY_BYTES);
}

static void test_load_fails_with_the_plugins_words(void **state)
{
    (void)state;
    void *plugin = NULL;
    char why[WHY_BYTES];
    build("picky",
          "static int load(const struct weir_plugin_config *c, void **p, char *e, size_t n)\n"
          "{ (void)p; snprintf(e, n, \"no good: %s\", c->settings_json); return -1; }\n" HEAD
          ".load = load};\n" ENTRY);
    assert_int_equal(load("picky", "{\"a\":1}", &plugin, why), -1);
    assert_string_equal(why, "no good: {\"a\":1}");
    assert_null(plugin);
    build("mute",
          "static int load(const struct weir_plugin_config *c, void **p, char *e, size_t n)\n"
          "{ (void)c; (void)p; (void)e; (void)n; return -1; }\n" HEAD ".load = load};\n" ENTRY);
    assert_int_equal(load("mute", "{}", &plugin, why), -1);
    assert_string_equal(why, "it does not say why");
}

static void test_without_worker_start_the_process_part_serves_all_workers(void **state)
{
    (void)state;
    void *plugin = NULL;
    void *part = NULL;
    void *self = NULL;
    char why[WHY_BYTES];
    struct weir_worker worker = {.count = 1};
    build("plain",
          "static int load(const struct weir_plugin_config *c, void **p, char *e, size_t n)\n"
          "{ (void)c; (void)e; (void)n; *p = (void *)1234; return 0; }\n"
          "static void unload(void *p)\n"
          "{ setenv(\"UNLOADED\", p == (void *)1234 ? \"right\" : \"wrong\", 1); }\n" HEAD
          ".load = load, .unload = unload};\n" ENTRY);
    assert_int_equal(load("plain", "{}", &plugin, why), 0);
    const struct weir_plugin_ops *host = native_host_ops();
    assert_int_equal(host->worker_start(plugin, &worker, &part, why, sizeof why), 0);
    const struct weir_plugin_ops *own = native_host_ops_of(part, &self);
    assert_ptr_equal(self, (void *)1234);
    assert_non_null(own->load);
    assert_null(own->on_message); /* so that the chain passes it over */
    host->worker_stop(part);
    assert_string_equal(told("UNLOADED"), "");
    host->unload(plugin);
    assert_string_equal(told("UNLOADED"), "right");
}

/* Counts in a file-wide number, which on_open gives. */
#define TIMERS                                                                                     \
    "static const struct weir_host *host;\n"                                                       \
    "static int ticks;\n"                                                                          \
    "static struct weir_timer *timer;\n"                                                           \
    "static void tick(void *c) { if (++ticks == 3 && c != NULL) host->timer_cancel(timer); }\n"    \
    "static enum weir_verdict on_open(void *self, struct weir_session *s, unsigned seat)\n"        \
    "{ (void)self; (void)s; (void)seat; return (enum weir_verdict)ticks; }\n"                      \
    "static int start(void *p, struct weir_worker *w, void **self, char *e, size_t n)\n"           \
    "{ (void)p; (void)self; (void)e; (void)n;\n"                                                   \
    "  if (host->worker_id(w) != 2 || host->worker_count(w) != 5) return -1;\n"                    \
    "  if (host->timer_start(w, 0, 1, tick, NULL) != NULL) return -1;\n"
#define TIMERS_END                                                                                 \
    "  return 0; }\n" HEAD ".worker_start = start, .on_open = on_open};\n"                         \
    "const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)\n"                   \
    "{ host = table; return &ops; }\n"

struct running {
    struct weir_worker worker;
    void *plugin;
    void *part;
    const struct weir_plugin_ops *own;
};

static void start(struct running *r, const char *name)
{
    char why[WHY_BYTES];
    void *self;
    r->worker = (struct weir_worker){.loop = loop_new(), .id = 2, .count = 5};
    assert_non_null(r->worker.loop);
    assert_int_equal(load(name, "{}", &r->plugin, why), 0);
    assert_int_equal(
        native_host_ops()->worker_start(r->plugin, &r->worker, &r->part, why, sizeof why), 0);
    r->own = native_host_ops_of(r->part, &self);
}

static int ticks(const struct running *r)
{
    return (int)r->own->on_open(NULL, NULL, 0);
}

static void stop(struct running *r)
{
    native_host_ops()->worker_stop(r->part);
    /* The plugin's code may be gone from here on; a timer that were left would call it. */
    native_host_ops()->unload(r->plugin);
    for (int i = 0; i < 3; i++) {
        assert_true(loop_turn(r->worker.loop, false));
    }
    loop_free(&r->worker.loop);
}

static void test_timers_fire_and_end_with_their_worker(void **state)
{
    (void)state;
    struct running r;
    build("timers", TIMERS "timer = host->timer_start(w, 1, 1, tick, NULL);\n"
                           "host->timer_start(w, 60000, 0, tick, NULL);\n" TIMERS_END);
    start(&r, "timers");
    while (ticks(&r) < 5) {
        assert_true(loop_turn(r.worker.loop, true));
    }
    stop(&r);
}

static void test_a_timer_may_cancel_itself(void **state)
{
    (void)state;
    struct running r;
    build("cancels", TIMERS "timer = host->timer_start(w, 1, 1, tick, &ticks);\n"
                            "host->timer_start(w, 60000, 0, tick, NULL);\n" TIMERS_END);
    start(&r, "cancels");
    while (ticks(&r) < 3) {
        assert_true(loop_turn(r.worker.loop, true));
    }
    loop_skip_ms(r.worker.loop, 100);
    for (int i = 0; i < 5; i++) {
        assert_true(loop_turn(r.worker.loop, false));
    }
    assert_int_equal(ticks(&r), 3);
    stop(&r);
}

static void test_a_timer_fires_once_unless_it_repeats(void **state)
{
    (void)state;
    struct running r;
    build("once", TIMERS "host->timer_start(w, 0, 0, tick, NULL);\n"
                         "host->timer_start(w, 1, 0, tick, NULL);\n"
                         "timer = host->timer_start(w, 1, 0, tick, NULL);\n"
                         "host->timer_cancel(timer); host->timer_cancel(NULL);\n" TIMERS_END);
    start(&r, "once");
    while (ticks(&r) < 2) {
        assert_true(loop_turn(r.worker.loop, true));
    }
    for (int i = 0; i < 5; i++) {
        assert_true(loop_turn(r.worker.loop, false));
    }
    assert_int_equal(ticks(&r), 2);
    stop(&r);
}

static void test_a_worker_part_that_does_not_start_says_why(void **state)
{
    (void)state;
    void *plugin = NULL;
    void *part = NULL;
    char why[WHY_BYTES];
    struct weir_worker worker = {.count = 1};
    build("lazy",
          "static int start(void *p, struct weir_worker *w, void **self, char *e, size_t n)\n"
          "{ (void)p; (void)w; (void)self; snprintf(e, n, \"not today\"); return -1; }\n"
          "static void stop(void *self) { (void)self; abort(); }\n" HEAD
          ".worker_start = start, .worker_stop = stop};\n" ENTRY);
    assert_int_equal(load("lazy", "{}", &plugin, why), 0);
    assert_int_equal(native_host_ops()->worker_start(plugin, &worker, &part, why, sizeof why), -1);
    assert_string_equal(why, "not today");
    native_host_ops()->unload(plugin);
}

/* Posts from a thread of its own, which worker_start begins and worker_stop awaits; on_open tells
 * how many of the calls have come. */
#define POSTING                                                                                    \
    "#include <pthread.h>\n"                                                                       \
    "static const struct weir_host *host;\n"                                                       \
    "static int calls;\n"                                                                          \
    "static pthread_t thread;\n"                                                                   \
    "static void call(void *c) { if (c == &calls) calls++; }\n"                                    \
    "static void *post(void *w)\n"                                                                 \
    "{ for (int i = 0; i < 100; i++) (void)host->worker_post(w, call, &calls); return NULL; }\n"   \
    "static enum weir_verdict on_open(void *self, struct weir_session *s, unsigned seat)\n"        \
    "{ (void)self; (void)s; (void)seat; return (enum weir_verdict)calls; }\n"                      \
    "static int start(void *p, struct weir_worker *w, void **self, char *e, size_t n)\n"           \
    "{ (void)p; (void)self; (void)e; (void)n;\n"                                                   \
    "  return pthread_create(&thread, NULL, post, w); }\n"                                         \
    "static void stop(void *self) { (void)self; pthread_join(thread, NULL); }\n" HEAD              \
    ".worker_start = start, .worker_stop = stop, .on_open = on_open};\n"                           \
    "const struct weir_plugin_ops *weir_plugin(const struct weir_host *table)\n"                   \
    "{ host = table; return &ops; }\n"

/* A worker that can be written to; `turns` is how the test lets it live. */
static void run_posting(const char *name, void (*turns)(struct running *r))
{
    char why[WHY_BYTES];
    void *self;
    struct running r = {.worker = {.loop = loop_new(), .id = 2, .count = 5}};
    r.worker.mail_room = mail_room_new(5);
    struct mailbox *mailbox = mailbox_new(r.worker.loop, &r.worker);
    assert_non_null(r.worker.mail_room);
    assert_non_null(mailbox);
    mail_room_enter(r.worker.mail_room, 2, mailbox);
    build(name, POSTING);
    assert_int_equal(load(name, "{}", &r.plugin, why), 0);
    assert_int_equal(native_host_ops()->worker_start(r.plugin, &r.worker, &r.part, why, sizeof why),
                     0);
    r.own = native_host_ops_of(r.part, &self);
    turns(&r);
    native_host_ops()->worker_stop(r.part);
    native_host_ops()->unload(r.plugin);
    mail_room_leave(r.worker.mail_room, 2);
    mailbox_free(&mailbox); /* delivers what is still inside */
    mail_room_free(&r.worker.mail_room);
    loop_free(&r.worker.loop);
}

static void until_all_have_come(struct running *r)
{
    while (ticks(r) < 100) {
        assert_true(loop_turn(r->worker.loop, true));
    }
    assert_int_equal(ticks(r), 100);
}

static void no_turn(struct running *r)
{
    assert_int_equal(ticks(r), 0);
}

static void test_threads_of_the_plugin_post_to_the_worker(void **state)
{
    (void)state;
    run_posting("posts", until_all_have_come);
}

static void test_what_was_posted_to_a_worker_part_that_ended_is_dropped(void **state)
{
    (void)state;
    run_posting("late", no_turn); /* a call would go to code that is unmapped */
}

static void test_the_table_has_no_holes(void **state)
{
    (void)state;
    const struct weir_host *table = native_table();
    assert_int_equal(table->struct_size, sizeof *table);
    for (size_t at = offsetof(struct weir_host, log); at < sizeof *table; at += sizeof(void *)) {
        void *function;
        memcpy(&function, (const char *)table + at, sizeof function);
        assert_non_null(function);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_fails_with_the_plugins_words),
        cmocka_unit_test(test_without_worker_start_the_process_part_serves_all_workers),
        cmocka_unit_test(test_timers_fire_and_end_with_their_worker),
        cmocka_unit_test(test_a_timer_may_cancel_itself),
        cmocka_unit_test(test_a_timer_fires_once_unless_it_repeats),
        cmocka_unit_test(test_a_worker_part_that_does_not_start_says_why),
        cmocka_unit_test(test_threads_of_the_plugin_post_to_the_worker),
        cmocka_unit_test(test_what_was_posted_to_a_worker_part_that_ended_is_dropped),
        cmocka_unit_test(test_the_table_has_no_holes),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
