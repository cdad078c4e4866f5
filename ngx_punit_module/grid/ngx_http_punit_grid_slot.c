
/* Places in the pipelines.  One that is given back is used again. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_http_punit_grid_slot.h>


/* Of this process: free places. */

static ngx_queue_t  ngx_http_punit_grid_slots;


ngx_http_punit_grid_slot_t *
ngx_http_punit_grid_slot_take(void)
{
    ngx_queue_t  *q;

    if (ngx_http_punit_grid_slots.next == NULL) {
        ngx_queue_init(&ngx_http_punit_grid_slots);
    }

    if (ngx_queue_empty(&ngx_http_punit_grid_slots)) {
        return ngx_alloc(sizeof(ngx_http_punit_grid_slot_t), ngx_cycle->log);
    }

    q = ngx_queue_head(&ngx_http_punit_grid_slots);
    ngx_queue_remove(q);

    return ngx_queue_data(q, ngx_http_punit_grid_slot_t, queue);
}


void
ngx_http_punit_grid_slot_free(ngx_http_punit_grid_slot_t *slot)
{
    ngx_queue_insert_head(&ngx_http_punit_grid_slots, &slot->queue);
}
