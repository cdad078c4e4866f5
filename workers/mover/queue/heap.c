#include "mover/queue/heap.h"

#include <stdlib.h>

#define ROOM_FIRST 64


bool
heap_reserve(heap_t *heap)
{
    if (heap->n < heap->room) {
        return true;
    }

    long          room = heap->room ? 2 * heap->room : ROOM_FIRST;
    heap_node_t **at = realloc(heap->at, (size_t) room * sizeof(*at));

    if (at == NULL) {
        return false;
    }

    heap->at = at;
    heap->room = room;
    return true;
}


static void
put(heap_t *heap, long place, heap_node_t *node)
{
    heap->at[place] = node;
    node->place = place;
}


/* Moves the node at `place` to where its due time belongs. */
static void
sift(heap_t *heap, long place)
{
    heap_node_t *node = heap->at[place];

    while (place > 0 && heap->at[(place - 1) / 2]->due > node->due) {
        put(heap, place, heap->at[(place - 1) / 2]);
        place = (place - 1) / 2;
    }

    for (;;) {
        long child = 2 * place + 1;

        if (child + 1 < heap->n && heap->at[child + 1]->due < heap->at[child]->due) {
            child++;
        }

        if (child >= heap->n || heap->at[child]->due >= node->due) {
            break;
        }

        put(heap, place, heap->at[child]);
        place = child;
    }

    put(heap, place, node);
}


void
heap_add(heap_t *heap, heap_node_t *node, long due)
{
    node->heap = heap;
    node->due = due;
    put(heap, heap->n++, node);
    sift(heap, node->place);
}


void
heap_remove(heap_node_t *node)
{
    heap_t      *heap = node->heap;
    heap_node_t *last = heap->at[--heap->n];

    node->heap = NULL;

    if (last != node) {
        put(heap, node->place, last);
        sift(heap, last->place);
    }
}


heap_node_t *
heap_first(const heap_t *heap)
{
    return heap->n > 0 ? heap->at[0] : NULL;
}
