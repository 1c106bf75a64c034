/* Which route a request gets, and when a generation ends. */
#include "client_fixture.h"

/* --- routes --- */

enum {
    ROUTES_MAX = 8
};

/* A route of the table under test; `hosts` is up to two, NULL for any. */
struct wanted {
    const char *path;
    const char *hosts[2];
};

struct table {
    struct config_route configs[ROUTES_MAX];
    struct route routes[ROUTES_MAX];
    struct generation generation;
};

static void table_make(struct table *table, const struct wanted *wanted, size_t count)
{
    memset(table, 0, sizeof *table);
    for (size_t i = 0; i < count; i++) {
        table->configs[i].path = (char *)(uintptr_t)wanted[i].path;
        table->configs[i].hosts.items = (char **)(uintptr_t)wanted[i].hosts;
        table->configs[i].hosts.count =
            (wanted[i].hosts[0] != NULL) + (size_t)(wanted[i].hosts[1] != NULL);
        table->routes[i].config = &table->configs[i];
    }
    table->generation.routes = table->routes;
    table->generation.route_count = count;
}

/* The number of the route for `host` and `path`; -1 for none. */
static int find(const struct table *table, const char *host, const char *path)
{
    const struct route *route = generation_route(&table->generation, span_of(host), span_of(path));
    return route != NULL ? (int)(route - table->routes) : -1;
}

static void test_longest_path_wins_wherever_it_stands(void **state)
{
    static const struct wanted wanted[] = {{.path = "/a"}, {.path = "/"}, {.path = "/a/b"}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 3);
    assert_int_equal(find(&table, "x", "/"), 1);
    assert_int_equal(find(&table, "x", "/z"), 1);
    assert_int_equal(find(&table, "x", "/a"), 0);
    assert_int_equal(find(&table, "x", "/a/"), 0);
    assert_int_equal(find(&table, "x", "/a/b"), 2);
    assert_int_equal(find(&table, "x", "/a/b/c"), 2);
}

static void test_path_matches_whole_segments_only(void **state)
{
    static const struct wanted wanted[] = {{.path = "/ws"}, {.path = "/files/"}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 2);
    assert_int_equal(find(&table, "x", "/ws"), 0);
    assert_int_equal(find(&table, "x", "/ws/"), 0);
    assert_int_equal(find(&table, "x", "/ws/a"), 0);
    assert_int_equal(find(&table, "x", "/wsx"), -1);
    assert_int_equal(find(&table, "x", "/w"), -1);
    assert_int_equal(find(&table, "x", "/WS"), -1);
    assert_int_equal(find(&table, "x", "/files"), -1);
    assert_int_equal(find(&table, "x", "/files/"), 1);
    assert_int_equal(find(&table, "x", "/files/a"), 1);
    assert_int_equal(find(&table, "x", ""), -1);
}

static void test_hosts_match_without_case_and_port(void **state)
{
    static const struct wanted wanted[] = {{.path = "/", .hosts = {"Example.com", "b.test"}}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 1);
    assert_int_equal(find(&table, "example.COM", "/"), 0);
    assert_int_equal(find(&table, "example.com:5000", "/"), 0);
    assert_int_equal(find(&table, "b.test", "/"), 0);
    assert_int_equal(find(&table, "example.com.", "/"), -1);
    assert_int_equal(find(&table, "www.example.com", "/"), -1);
    assert_int_equal(find(&table, "example.comm", "/"), -1);
    assert_int_equal(find(&table, "", "/"), -1);
    assert_int_equal(find(&table, ":80", "/"), -1);
}

static void test_patterns_match_names_below_and_not_the_name_itself(void **state)
{
    static const struct wanted wanted[] = {{.path = "/", .hosts = {"*.example.com"}}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 1);
    assert_int_equal(find(&table, "a.example.com", "/"), 0);
    assert_int_equal(find(&table, "a.B.eXample.com:80", "/"), 0);
    assert_int_equal(find(&table, "example.com", "/"), -1);
    assert_int_equal(find(&table, ".example.com", "/"), -1);
    assert_int_equal(find(&table, "badexample.com", "/"), -1);
    assert_int_equal(find(&table, "a.example.com.evil", "/"), -1);
}

static void test_ipv6_hosts_keep_their_colons(void **state)
{
    static const struct wanted wanted[] = {{.path = "/", .hosts = {"[::1]"}}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 1);
    assert_int_equal(find(&table, "[::1]", "/"), 0);
    assert_int_equal(find(&table, "[::1]:5000", "/"), 0);
    assert_int_equal(find(&table, "[::2]:5000", "/"), -1);
    assert_int_equal(find(&table, "[::1", "/"), -1);
    assert_int_equal(find(&table, "[", "/"), -1);
}

static void test_nearer_host_wins_on_equal_paths_only(void **state)
{
    static const struct wanted wanted[] = {{.path = "/"},
                                           {.path = "/", .hosts = {"*.example.com"}},
                                           {.path = "/", .hosts = {"a.example.com"}},
                                           {.path = "/deep"}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 4);
    assert_int_equal(find(&table, "a.example.com", "/"), 2);
    assert_int_equal(find(&table, "b.example.com", "/"), 1);
    assert_int_equal(find(&table, "example.com", "/"), 0);
    assert_int_equal(find(&table, "a.example.com", "/deep"), 3);
}

static void test_first_of_equal_routes_wins(void **state)
{
    static const struct wanted wanted[] = {{.path = "/"}, {.path = "/"}};
    struct table table;
    (void)state;
    table_make(&table, wanted, 2);
    assert_int_equal(find(&table, "x", "/"), 0);
}

/* --- users --- */

static void test_generation_ends_once_when_its_last_connection_does(void **state)
{
    struct fixture *f = *state;
    struct generation next = f->generation;
    next.users = 0;
    next.owner = f;
    struct client *one = open_session_at(f, 0);
    struct client *two = connect_client(f, 1);
    assert_int_equal(f->generation.users, 3);

    /* A new generation: what is connected stays with the old one. */
    f->worker.generation = generation_join(&next);
    generation_leave(&f->held);
    assert_null(f->held);
    struct client *three = connect_client(f, 2);
    assert_int_equal(f->generation.users, 2);
    assert_int_equal(next.users, 2);

    client_closes(f, one);
    assert_int_equal(f->times_left, 0);
    client_says(f, two, GET_HEAD);
    assert_int_equal(f->times_left, 0);
    client_closes(f, two);
    assert_int_equal(f->times_left, 1);
    client_closes(f, three);
    assert_int_equal(f->times_left, 1);

    /* Back to where the fixture began. */
    generation_leave(&f->worker.generation);
    assert_int_equal(f->times_left, 2);
    f->times_left = 0;
    f->held = generation_join(&f->generation);
    f->worker.generation = f->held;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_path_wins_wherever_it_stands),
        cmocka_unit_test(test_path_matches_whole_segments_only),
        cmocka_unit_test(test_hosts_match_without_case_and_port),
        cmocka_unit_test(test_patterns_match_names_below_and_not_the_name_itself),
        cmocka_unit_test(test_ipv6_hosts_keep_their_colons),
        cmocka_unit_test(test_nearer_host_wins_on_equal_paths_only),
        cmocka_unit_test(test_first_of_equal_routes_wins),
        TEST(test_generation_ends_once_when_its_last_connection_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
