/* The intrusive ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct list_node node;
};

/* Compares the ring's numbers both ways with `wanted`. */
static void assert_ring(const struct list_node *head, const int *wanted, size_t count)
{
    const struct list_node *node = head->next;
    for (size_t i = 0; i < count; i++, node = node->next) {
        assert_int_equal(list_item(node, struct item, node)->number, wanted[i]);
        assert_ptr_equal(node->next->previous, node);
    }
    assert_ptr_equal(node, head);
}

static void test_a_new_head_is_empty(void **state)
{
    struct list_node head;
    (void)state;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_ptr_equal(head.next, &head);
    assert_ptr_equal(head.previous, &head);
}

static void test_appends_last_and_removes_anywhere(void **state)
{
    struct list_node head;
    struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    (void)state;
    list_init(&head);
    for (size_t i = 0; i < 3; i++) {
        list_init(&items[i].node);
        list_append(&head, &items[i].node);
    }
    assert_false(list_is_empty(&head));
    assert_ring(&head, (int[]){1, 2, 3}, 3);
    list_remove(&items[1].node);
    assert_ring(&head, (int[]){1, 3}, 2);
    assert_true(list_is_empty(&items[1].node));
    list_append(&head, &items[1].node);
    assert_ring(&head, (int[]){1, 3, 2}, 3);
    list_remove(&items[0].node);
    list_remove(&items[1].node);
    list_remove(&items[2].node);
    assert_true(list_is_empty(&head));
}

static void test_removing_a_lone_node_is_harmless(void **state)
{
    struct item item = {.number = 1};
    (void)state;
    list_init(&item.node);
    list_remove(&item.node);
    assert_true(list_is_empty(&item.node));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_head_is_empty),
        cmocka_unit_test(test_appends_last_and_removes_anywhere),
        cmocka_unit_test(test_removing_a_lone_node_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
