/* links: workers/mover/queue/heap.c */

/* The mover's heap of users by due time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>


#include "mover/queue/heap.h"

#define NODES 500


/* Adds nodes with due times 0 .. 96, each several times, in no order. */
static void
fill(heap_t *heap, heap_node_t nodes[NODES])
{
    for (int i = 0; i < NODES; i++) {
        assert_true(heap_reserve(heap));
        heap_add(heap, &nodes[i], i * 61 % 97);
    }
}


/* Removes all nodes in the order in which they are due; gives how many there were. */
static int
empty(heap_t *heap)
{
    long last = 0;
    int  n = 0;

    for (heap_node_t *node; (node = heap_first(heap)) != NULL; n++) {
        assert_true(node->due >= last);
        assert_ptr_equal(node->heap, heap);
        last = node->due;
        heap_remove(node);
        assert_null(node->heap);
    }

    return n;
}


static void
the_first_node_is_due_first(void **state)
{
    static heap_node_t nodes[NODES];
    heap_t             heap = { .n = 0 };

    (void) state;
    assert_null(heap_first(&heap));
    fill(&heap, nodes);
    assert_int_equal(empty(&heap), NODES);
    free(heap.at);
}


static void
a_node_can_be_removed_from_any_place(void **state)
{
    static heap_node_t nodes[NODES];
    heap_t             heap = { .n = 0 };

    (void) state;
    fill(&heap, nodes);

    for (int i = 0; i < NODES; i += 3) {
        heap_remove(&nodes[i]);
    }

    assert_int_equal(empty(&heap), NODES - (NODES + 2) / 3);
    free(heap.at);
}


static void
a_node_can_be_added_again_with_another_due_time(void **state)
{
    static heap_node_t nodes[NODES];
    heap_t             heap = { .n = 0 };

    (void) state;
    fill(&heap, nodes);

    for (int i = 0; i < NODES; i++) {
        heap_remove(&nodes[i]);
        assert_true(heap_reserve(&heap));
        heap_add(&heap, &nodes[i], i * 17 % 53);
    }

    assert_int_equal(empty(&heap), NODES);
    free(heap.at);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_node_is_due_first),
        cmocka_unit_test(a_node_can_be_removed_from_any_place),
        cmocka_unit_test(a_node_can_be_added_again_with_another_due_time),
    };

    return cmocka_run_group_tests_name("mover_heap", tests, NULL, NULL);
}
