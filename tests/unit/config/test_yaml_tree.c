/* Trees of nodes from YAML text: places, aliases, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "config/arena.h"
#include "config/problems.h"
#include "config/yaml_tree.h"

struct reading {
    struct arena arena;
    struct problems problems;
    struct yaml_node *root;
    char said[4096];
};

static void read_bytes(struct reading *r, const char *text, size_t size)
{
    struct buffer out = {0};
    memset(r, 0, sizeof(*r));
    r->problems.file = "t";
    r->root = yaml_tree_read(text, size, &r->arena, &r->problems);
    assert_int_equal(problems_print(&r->problems, &out), WEIR_OK);
    assert_true(out.size < sizeof(r->said));
    if (out.size > 0) {
        memcpy(r->said, out.data, out.size);
    }
    assert_false(r->arena.exhausted);
    buffer_free(&out);
}

static void finish(struct reading *r)
{
    problems_free(&r->problems);
    arena_free(&r->arena);
}

static void expect(const char *yaml, const char *said)
{
    struct reading r;
    read_bytes(&r, yaml, strlen(yaml));
    assert_string_equal(r.said, said);
    finish(&r);
}

static void test_nodes_know_line_and_column(void **state)
{
    (void)state;
    struct reading r;
    const char *yaml = "a: 1\nb:\n  - x\n  - {c: \"é\", d: y}\n";
    read_bytes(&r, yaml, strlen(yaml));
    assert_non_null(r.root);
    const struct yaml_node *b = yaml_tree_get(r.root, "b");
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->count, 2);
    const struct yaml_node *map = b->children->next->value;
    const struct yaml_node *d = yaml_tree_get(map, "d");
    assert_int_equal(d->line, 4);
    assert_int_equal(d->column, 17); /* characters, not bytes */
    assert_int_equal(yaml_tree_get_key(map, "d")->column, 14);
    assert_true(yaml_tree_get(map, "c")->quoted);
    assert_false(d->quoted);
    assert_null(yaml_tree_get(map, "e"));
    assert_null(yaml_tree_get(d, "e"));
    assert_null(yaml_tree_get(NULL, "e"));
    finish(&r);
}

static void test_alias_is_the_anchors_node(void **state)
{
    (void)state;
    struct reading r;
    const char *yaml = "a: &x {k: v}\nb: *x\nc: &x z\nd: *x\n";
    read_bytes(&r, yaml, strlen(yaml));
    assert_ptr_equal(yaml_tree_get(r.root, "a"), yaml_tree_get(r.root, "b"));
    assert_string_equal(yaml_tree_get(r.root, "d")->text, "z");
    finish(&r);
}

static void test_refuses_alias_without_anchor(void **state)
{
    (void)state;
    expect("a: *x\nb: &x 1\n", "t:1:4: a: alias `*x` has no anchor before it\n");
}

static void test_refuses_alias_inside_its_own_anchor(void **state)
{
    (void)state;
    expect("a: &x [1, *x]\n", "t:1:11: a[1]: alias `*x` stands inside its own anchor\n");
}

static void test_refuses_billion_laughs(void **state)
{
    (void)state;
    struct buffer yaml = {0};
    assert_int_equal(buffer_printf(&yaml, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"), WEIR_OK);
    for (int i = 1; i <= 9; i++) {
        assert_int_equal(buffer_printf(&yaml,
                                       "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, "
                                       "*a%d, *a%d, *a%d]\n",
                                       i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
                                       i - 1, i - 1),
                         WEIR_OK);
    }
    struct reading r;
    read_bytes(&r, (const char *)yaml.data, yaml.size);
    assert_null(r.root);
    assert_string_equal(r.said, "t:6:55: a5: the aliases unfold into too much\n");
    finish(&r);
    buffer_free(&yaml);
}

static void test_refuses_every_duplicate_key(void **state)
{
    (void)state;
    expect("a: 1\nb: {c: 1, c: 2}\na: 2\na: 3\n", "t:2:11: b.c: duplicate key, first on line 2\n"
                                                  "t:3:1: a: duplicate key, first on line 1\n"
                                                  "t:4:1: a: duplicate key, first on line 1\n");
}

static void test_refuses_keys_that_are_no_words(void **state)
{
    (void)state;
    expect("? [a]\n: 1\n", "t:1:3: a key must be a plain word\n");
    expect("a: &m {x: 1}\n*m : 2\n", "t:2:1: a key must be a plain word\n");
}

static void test_refuses_tags_but_takes_the_bare_one(void **state)
{
    (void)state;
    struct reading r;
    expect(
        "a: !!str 5\n",
        "t:1:4: a: tags like `tag:yaml.org,2002:str` are not supported; put a string in quotes\n");
    expect("a: !!python/object {}\n",
           "t:1:4: a: tags like `tag:yaml.org,2002:python/object` are not "
           "supported; put a string in quotes\n");
    read_bytes(&r, "a: ! 5\n", 7);
    assert_true(yaml_tree_get(r.root, "a")->quoted);
    finish(&r);
}

static void test_refuses_second_document(void **state)
{
    (void)state;
    expect("a: 1\n---\nb: 2\n", "t:2:1: a second document; the configuration is one\n");
}

static void test_refuses_nul_in_a_string(void **state)
{
    (void)state;
    expect("a: \"x\\0y\"\n", "t:1:4: a: a string cannot hold a NUL character\n");
}

static void test_syntax_error_has_its_place(void **state)
{
    (void)state;
    expect("a: 1\nb: [1, 2\nc: 3\n",
           "t:3:2: YAML: did not find expected ',' or ']' (while parsing a flow sequence)\n");
    expect("a: \"\xff\"\n", "t:1:1: YAML: invalid leading UTF-8 octet\n");
}

/* `count` nested lists, as deep as the file says. */
static void read_nested(struct reading *r, size_t count)
{
    char yaml[128];
    memset(yaml, '[', count);
    memset(yaml + count, ']', count);
    read_bytes(r, yaml, count * 2);
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    struct reading r;
    read_nested(&r, YAML_TREE_MAX_DEPTH);
    assert_non_null(r.root);
    finish(&r);
    read_nested(&r, YAML_TREE_MAX_DEPTH + 1);
    assert_null(r.root);
    assert_non_null(strstr(r.said, "t:1:33: [0][0]"));
    assert_non_null(strstr(r.said, "nested too deeply\n"));
    finish(&r);
}

/* A list of `count` items, each `item`. */
static void read_items(struct reading *r, const char *item, size_t count)
{
    struct buffer yaml = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(buffer_printf(&yaml, "%s%s", i == 0 ? "[" : ",", item), WEIR_OK);
    }
    assert_int_equal(buffer_append(&yaml, SPAN("]")), WEIR_OK);
    read_bytes(r, (const char *)yaml.data, yaml.size);
    buffer_free(&yaml);
}

static void test_items_are_limited(void **state)
{
    (void)state;
    struct reading r;
    read_items(&r, "1", YAML_TREE_MAX_ITEMS);
    assert_non_null(r.root);
    finish(&r);
    read_items(&r, "1", YAML_TREE_MAX_ITEMS + 1);
    assert_null(r.root);
    assert_non_null(strstr(r.said, "a list or mapping has too many items\n"));
    finish(&r);
}

static void test_nodes_are_limited(void **state)
{
    (void)state;
    struct reading r;
    read_items(&r, "[1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 4096); /* 15 nodes each, and the list */
    assert_non_null(r.root);
    finish(&r);
    read_items(&r, "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", 4096);
    assert_null(r.root);
    assert_non_null(strstr(r.said, "the file has too many values\n"));
    finish(&r);
}

static void test_anchors_are_limited(void **state)
{
    (void)state;
    struct reading r;
    read_items(&r, "&a 1", YAML_TREE_MAX_ANCHORS);
    assert_non_null(r.root);
    finish(&r);
    read_items(&r, "&a 1", YAML_TREE_MAX_ANCHORS + 1);
    assert_null(r.root);
    assert_non_null(strstr(r.said, "the file has too many anchors\n"));
    finish(&r);
}

static void test_size_is_limited(void **state)
{
    (void)state;
    struct reading r;
    char *yaml = malloc(YAML_TREE_MAX_BYTES + 1);
    assert_non_null(yaml);
    memset(yaml, ' ', YAML_TREE_MAX_BYTES + 1);
    yaml[0] = 'x';
    read_bytes(&r, yaml, YAML_TREE_MAX_BYTES);
    assert_non_null(r.root);
    finish(&r);
    read_bytes(&r, yaml, YAML_TREE_MAX_BYTES + 1);
    assert_null(r.root);
    assert_string_equal(r.said, "t:1:1: the file is larger than 1MiB\n");
    finish(&r);
    free(yaml);
}

/* Whatever the file is cut to, reading ends and nothing is lost (the sanitizers watch). */
static void test_survives_every_cut(void **state)
{
    (void)state;
    const char *yaml =
        "a: &x {k: [1, 'two', \"th\\x41ree\"]}\nb: *x\n? c\n: |\n  text\n  more\nd: !t >-\n"
        "  folded\n";
    for (size_t size = 0; size <= strlen(yaml); size++) {
        struct reading r;
        read_bytes(&r, yaml, size);
        assert_true(r.root != NULL || r.problems.count > 0 || size == 0);
        finish(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_know_line_and_column),
        cmocka_unit_test(test_alias_is_the_anchors_node),
        cmocka_unit_test(test_refuses_alias_without_anchor),
        cmocka_unit_test(test_refuses_alias_inside_its_own_anchor),
        cmocka_unit_test(test_refuses_billion_laughs),
        cmocka_unit_test(test_refuses_every_duplicate_key),
        cmocka_unit_test(test_refuses_keys_that_are_no_words),
        cmocka_unit_test(test_refuses_tags_but_takes_the_bare_one),
        cmocka_unit_test(test_refuses_second_document),
        cmocka_unit_test(test_refuses_nul_in_a_string),
        cmocka_unit_test(test_syntax_error_has_its_place),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_items_are_limited),
        cmocka_unit_test(test_nodes_are_limited),
        cmocka_unit_test(test_anchors_are_limited),
        cmocka_unit_test(test_size_is_limited),
        cmocka_unit_test(test_survives_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
