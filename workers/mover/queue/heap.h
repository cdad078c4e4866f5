/* Heap: a binary heap of nodes by due time. A node lies inside the caller's own structure. */
#ifndef PUNIT_MOVER_QUEUE_HEAP_H
#define PUNIT_MOVER_QUEUE_HEAP_H

#include <stdbool.h>

typedef struct heap heap_t;

typedef struct {
    heap_t *heap;  /* NULL: in no heap */
    long    place; /* Index within the heap. */
    long    due;
} heap_node_t;

struct heap {
    heap_node_t **at;
    long          n, room;
};

/* Makes room for one node more; false without memory. */
bool heap_reserve(heap_t *heap);

/* Adds a node that is in no heap. heap_reserve must have been called for it. */
void heap_add(heap_t *heap, heap_node_t *node, long due);

/* Removes a node from its heap. */
void heap_remove(heap_node_t *node);

/* The node that is due first; NULL if the heap is empty. */
heap_node_t *heap_first(const heap_t *heap);

#endif
