
/*
 * Refills.  Of all requests that miss the same document one asks the worker,
 * which fills the grid before it answers.  The others wait.  Shared memory
 * notes each refill.  The answer wakes requests of the same process.  Other
 * processes look at the note every few milliseconds.
 *
 * No request waits longer than NGX_HTTP_PUNIT_REFILL_LAST in all.  After that
 * time the note of a refill no longer counts.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_refill.h>
#include <ngx_http_punit_shm.h>


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


static void ngx_http_punit_refill_release(ngx_http_punit_ctx_t *ctx);
static ngx_http_punit_refill_t *ngx_http_punit_refill_find(
    ngx_http_punit_zone_t *zone, uint32_t hash);
static ngx_uint_t ngx_http_punit_refill_runs(ngx_http_punit_refill_t *refill);
static ngx_msec_t ngx_http_punit_refill_age(ngx_http_punit_refill_t *refill);
static ngx_int_t ngx_http_punit_refill_look(ngx_http_punit_zone_t *zone,
    uint32_t hash);
static void ngx_http_punit_refill_event(ngx_event_t *ev);
static void ngx_http_punit_refill_detach(void *data);


/* Requests that wait in this process. */

static ngx_queue_t  ngx_http_punit_refill_waits[NGX_HTTP_PUNIT_REFILL_QUEUES];


ngx_http_punit_refill_t *
ngx_http_punit_refill_init(ngx_slab_pool_t *shpool)
{
    return ngx_slab_calloc(shpool, NGX_HTTP_PUNIT_REFILLS
                                   * sizeof(ngx_http_punit_refill_t));
}


ngx_int_t
ngx_http_punit_refill_begin(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    uint32_t hash, ngx_msec_t *since)
{
    ngx_int_t                    rc;
    ngx_http_punit_zone_t       *zone;
    ngx_http_punit_refill_t     *refill;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    zone = ngx_http_punit_zone(pmcf);

    rc = NGX_OK;

    ngx_shmtx_lock(&zone->shpool->mutex);

    refill = ngx_http_punit_refill_find(zone, hash);

    if (refill->hash == hash && ngx_http_punit_refill_runs(refill)) {
        *since = ngx_http_punit_refill_age(refill);
        rc = NGX_BUSY;

    } else if (refill->hash == hash
               && refill->state == NGX_HTTP_PUNIT_REFILL_ANSWERED
               && (ngx_msec_int_t) (refill->done - ctx->grid.asked) >= 0)
    {
        rc = NGX_AGAIN;

    } else {
        refill->hash = hash;
        refill->state = NGX_HTTP_PUNIT_REFILL_RUNS;
        refill->since = ngx_current_msec;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (rc == NGX_OK) {
        ctx->grid.refill = hash;
        ctx->grid.release = ngx_http_punit_refill_release;
    }

    return rc;
}


/* The request ends without an answer: another one has to refill. */

static void
ngx_http_punit_refill_release(ngx_http_punit_ctx_t *ctx)
{
    ngx_http_punit_refill_end(ctx, 0);
}


void
ngx_http_punit_refill_end(ngx_http_punit_ctx_t *ctx, ngx_uint_t answered)
{
    uint32_t                       hash;
    ngx_queue_t                   *q, *queue;
    ngx_http_punit_zone_t         *zone;
    ngx_http_punit_refill_t       *refill;
    ngx_http_punit_main_conf_t    *pmcf;
    ngx_http_punit_refill_wait_t  *wait;

    hash = ctx->grid.refill;

    if (hash == 0) {
        return;
    }

    ctx->grid.refill = 0;
    ctx->grid.release = NULL;

    pmcf = ngx_http_get_module_main_conf(ctx->request, ngx_http_punit_module);
    zone = ngx_http_punit_zone(pmcf);

    /*
     * The clock of this turn of the event loop may be older than the answer.
     */

    ngx_time_update();

    ngx_shmtx_lock(&zone->shpool->mutex);

    refill = ngx_http_punit_refill_find(zone, hash);

    if (refill->hash == hash) {
        refill->done = ngx_current_msec;
        refill->state = answered ? NGX_HTTP_PUNIT_REFILL_ANSWERED
                                 : NGX_HTTP_PUNIT_REFILL_GONE;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    queue = &ngx_http_punit_refill_waits[hash % NGX_HTTP_PUNIT_REFILL_QUEUES];

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


/*
 * A document has a few places.  Its own comes first, then one without a
 * running refill, then that of the oldest refill.  An overwritten refill is
 * forgotten: two requests may then refill the same document, which does no
 * harm.
 */

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


/*
 * The clock of this process may be older than the clock of the process that
 * began the refill.
 */

static ngx_msec_t
ngx_http_punit_refill_age(ngx_http_punit_refill_t *refill)
{
    ngx_msec_int_t  age;

    age = (ngx_msec_int_t) (ngx_current_msec - refill->since);

    return ngx_max(age, 0);
}


/* NGX_BUSY: it runs; NGX_OK: answered; NGX_DECLINED: gone. */

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

    if (ctx->grid.wait_end == 0) {
        ctx->grid.wait_end = ngx_current_msec + NGX_HTTP_PUNIT_REFILL_LAST;
        ctx->grid.wait_end += (ctx->grid.wait_end == 0);
    }

    if ((ngx_msec_int_t) (ctx->grid.wait_end - ngx_current_msec) <= 0) {
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

    queue = &ngx_http_punit_refill_waits[hash % NGX_HTTP_PUNIT_REFILL_QUEUES];

    if (queue->next == NULL) {
        ngx_queue_init(queue);
    }

    ngx_queue_insert_tail(queue, &wait->queue);

    ngx_add_timer(&wait->event, NGX_HTTP_PUNIT_REFILL_LOOK);

    return NGX_AGAIN;
}


/* The timer has expired, or a refill of this process has an answer. */

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
        && (ngx_msec_int_t) (wait->ctx->grid.wait_end - ngx_current_msec) > 0)
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


/* The wait is over, or the request ends. */

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
