
/*
 * Refills: of all who miss the same document one asks the worker, which fills
 * the grid before it answers, and the others wait.  Who refills is noted in
 * shared memory.  Those who wait in the same process are woken by the answer;
 * those in other processes look at the note every few milliseconds.  Nobody
 * waits longer than NGX_HTTP_PUNIT_REFILL_LAST in all, whatever became of the
 * refill, and after that time its note does not count any more.
 */


#include "ngx_http_punit_module.h"


#define NGX_HTTP_PUNIT_REFILL_LAST    1000     /* ms */
#define NGX_HTTP_PUNIT_REFILL_LOOK    10       /* ms */
#define NGX_HTTP_PUNIT_REFILL_PLACES  4        /* of a document, by its hash */
#define NGX_HTTP_PUNIT_REFILL_QUEUES  64


typedef enum {
    NGX_HTTP_PUNIT_REFILL_RUNS = 0,
    NGX_HTTP_PUNIT_REFILL_ANSWERED,
    NGX_HTTP_PUNIT_REFILL_GONE
} ngx_http_punit_refill_e;


typedef struct {
    ngx_queue_t                     queue;
    ngx_event_t                     event;     /* timer, and posted */
    ngx_http_request_t             *request;
    ngx_http_punit_ctx_t           *ctx;
    ngx_http_punit_refill_pt        handler;
    uint32_t                        hash;
} ngx_http_punit_refill_wait_t;


static ngx_http_punit_refill_t *ngx_http_punit_refill_find(
    ngx_http_punit_zone_t *zone, uint32_t hash);
static ngx_uint_t ngx_http_punit_refill_runs(ngx_http_punit_refill_t *refill);
static ngx_msec_t ngx_http_punit_refill_age(ngx_http_punit_refill_t *refill);
static ngx_int_t ngx_http_punit_refill_look(ngx_http_punit_zone_t *zone,
    uint32_t hash);
static void ngx_http_punit_refill_event(ngx_event_t *ev);
static void ngx_http_punit_refill_detach(void *data);


/* who waits in this process */

static ngx_queue_t  ngx_http_punit_waiting[NGX_HTTP_PUNIT_REFILL_QUEUES];


ngx_int_t
ngx_http_punit_refill_claim(ngx_http_punit_zone_t *zone, uint32_t hash,
    ngx_msec_t asked, ngx_msec_t *since)
{
    ngx_int_t                 rc;
    ngx_http_punit_refill_t  *refill;

    rc = NGX_OK;

    ngx_shmtx_lock(&zone->shpool->mutex);

    refill = ngx_http_punit_refill_find(zone, hash);

    if (refill->hash == hash && ngx_http_punit_refill_runs(refill)) {
        *since = ngx_http_punit_refill_age(refill);
        rc = NGX_BUSY;

    } else if (refill->hash == hash
               && refill->state == NGX_HTTP_PUNIT_REFILL_ANSWERED
               && (ngx_msec_int_t) (refill->done - asked) >= 0)
    {
        rc = NGX_AGAIN;

    } else {
        refill->hash = hash;
        refill->state = NGX_HTTP_PUNIT_REFILL_RUNS;
        refill->since = ngx_current_msec;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_punit_refill_done(ngx_http_punit_zone_t *zone, uint32_t hash,
    ngx_uint_t answered)
{
    ngx_queue_t                   *q, *queue;
    ngx_http_punit_refill_t       *refill;
    ngx_http_punit_refill_wait_t  *wait;

    /* the time of this turn of the event loop may be that before the answer */

    ngx_time_update();

    ngx_shmtx_lock(&zone->shpool->mutex);

    refill = ngx_http_punit_refill_find(zone, hash);

    if (refill->hash == hash) {
        refill->done = ngx_current_msec;
        refill->state = answered ? NGX_HTTP_PUNIT_REFILL_ANSWERED
                                 : NGX_HTTP_PUNIT_REFILL_GONE;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    queue = &ngx_http_punit_waiting[hash % NGX_HTTP_PUNIT_REFILL_QUEUES];

    if (queue->next == NULL) {
        return;
    }

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, ngx_http_punit_refill_wait_t, queue);

        if (wait->hash == hash) {
            ngx_post_event(&wait->event, &ngx_posted_events);
        }
    }
}


/* a document has a few places.  Its own; else one where nothing runs; else that
   of the oldest refill, which is then not known of any more: two requests may
   refill the same document, no harm */

static ngx_http_punit_refill_t *
ngx_http_punit_refill_find(ngx_http_punit_zone_t *zone, uint32_t hash)
{
    ngx_uint_t                i;
    ngx_http_punit_refill_t  *refill, *found;

    found = NULL;

    for (i = 0; i < NGX_HTTP_PUNIT_REFILL_PLACES; i++) {
        refill = &zone->sh->refills[(hash + i) % NGX_HTTP_PUNIT_REFILLS];

        if (refill->hash == hash) {
            return refill;
        }

        if (found == NULL
            || (ngx_http_punit_refill_runs(found)
                && (!ngx_http_punit_refill_runs(refill)
                    || (ngx_msec_int_t) (refill->since - found->since) < 0)))
        {
            found = refill;
        }
    }

    return found;
}


static ngx_uint_t
ngx_http_punit_refill_runs(ngx_http_punit_refill_t *refill)
{
    return refill->hash != 0
           && refill->state == NGX_HTTP_PUNIT_REFILL_RUNS
           && ngx_http_punit_refill_age(refill) < NGX_HTTP_PUNIT_REFILL_LAST;
}


/* this process may have looked at the clock before the one that claimed */

static ngx_msec_t
ngx_http_punit_refill_age(ngx_http_punit_refill_t *refill)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - refill->since);

    return ngx_max(age, 0);
}


/* NGX_BUSY: it runs; NGX_OK: answered; NGX_DECLINED: gone */

static ngx_int_t
ngx_http_punit_refill_look(ngx_http_punit_zone_t *zone, uint32_t hash)
{
    ngx_int_t                 rc;
    ngx_http_punit_refill_t  *refill;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    refill = ngx_http_punit_refill_find(zone, hash);

    if (refill->hash == hash) {

        if (ngx_http_punit_refill_runs(refill)) {
            rc = NGX_BUSY;

        } else if (refill->state == NGX_HTTP_PUNIT_REFILL_ANSWERED) {
            rc = NGX_OK;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_punit_refill_wait(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    uint32_t hash, ngx_http_punit_refill_pt handler)
{
    ngx_queue_t                   *queue;
    ngx_http_cleanup_t            *cln;
    ngx_http_punit_refill_wait_t  *wait;

    if (ctx->wait_end == 0) {
        ctx->wait_end = ngx_current_msec + NGX_HTTP_PUNIT_REFILL_LAST;
        ctx->wait_end += (ctx->wait_end == 0);
    }

    if ((ngx_msec_int_t) (ctx->wait_end - ngx_current_msec) <= 0) {
        return NGX_DECLINED;
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_punit_refill_wait_t));
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    wait = cln->data;

    ngx_memzero(wait, sizeof(ngx_http_punit_refill_wait_t));

    cln->handler = ngx_http_punit_refill_detach;

    wait->request = r;
    wait->ctx = ctx;
    wait->handler = handler;
    wait->hash = hash;

    wait->event.handler = ngx_http_punit_refill_event;
    wait->event.data = wait;
    wait->event.log = r->connection->log;

    queue = &ngx_http_punit_waiting[hash % NGX_HTTP_PUNIT_REFILL_QUEUES];

    if (queue->next == NULL) {
        ngx_queue_init(queue);
    }

    ngx_queue_insert_tail(queue, &wait->queue);

    ngx_add_timer(&wait->event, NGX_HTTP_PUNIT_REFILL_LOOK);

    return NGX_AGAIN;
}


/* the timer, or the answer of a refill in this process */

static void
ngx_http_punit_refill_event(ngx_event_t *ev)
{
    ngx_http_punit_refill_wait_t  *wait = ev->data;

    ngx_int_t                    rc;
    ngx_http_request_t          *r;
    ngx_http_punit_main_conf_t  *pmcf;

    r = wait->request;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    rc = ngx_http_punit_refill_look(ngx_http_punit_zone(pmcf), wait->hash);

    if (rc == NGX_BUSY
        && (ngx_msec_int_t) (wait->ctx->wait_end - ngx_current_msec) > 0)
    {
        if (!ev->timer_set) {
            ngx_add_timer(ev, NGX_HTTP_PUNIT_REFILL_LOOK);
        }

        return;
    }

    ngx_http_punit_refill_detach(wait);

    ngx_http_set_log_request(r->connection->log, r);

    wait->handler(r, wait->ctx, rc);
}


/* it is over, or the request ends */

static void
ngx_http_punit_refill_detach(void *data)
{
    ngx_http_punit_refill_wait_t  *wait = data;

    if (wait->request == NULL) {
        return;
    }

    if (wait->event.timer_set) {
        ngx_del_timer(&wait->event);
    }

    if (wait->event.posted) {
        ngx_delete_posted_event(&wait->event);
    }

    ngx_queue_remove(&wait->queue);
    wait->request = NULL;
}
