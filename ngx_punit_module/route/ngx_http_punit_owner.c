
/*
 * The owner cache: user -> unit and epoch.  It is a hint: a unit that is not
 * the owner names the owner.  The places are made with the zone.  A new user
 * takes the place of the least recently used one.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


/* The wait for a worker that died with a user in its queue ends after that. */

#define NGX_HTTP_PUNIT_QUEUED_EXTRA  2000


static ngx_http_punit_owner_t *ngx_http_punit_owner_find(
    ngx_http_punit_owner_cache_t *owners, ngx_str_t *user);
static ngx_http_punit_owner_t *ngx_http_punit_owner_place(
    ngx_http_punit_owner_cache_t *owners, ngx_str_t *user);


ngx_http_punit_owner_cache_t *
ngx_http_punit_owner_init(ngx_slab_pool_t *shpool, size_t limit)
{
    ngx_uint_t                     i, n;
    ngx_http_punit_owner_t        *owner;
    ngx_http_punit_owner_cache_t  *owners;

    owners = ngx_slab_calloc(shpool, sizeof(ngx_http_punit_owner_cache_t));
    if (owners == NULL) {
        return NULL;
    }

    n = limit / sizeof(ngx_http_punit_owner_t);

    owner = ngx_slab_calloc(shpool, n * sizeof(ngx_http_punit_owner_t));
    if (owner == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&owners->rbtree, &owners->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&owners->queue);
    ngx_queue_init(&owners->free);

    for (i = 0; i < n; i++) {
        ngx_queue_insert_tail(&owners->free, &owner[i].queue);
    }

    return owners;
}


ngx_int_t
ngx_http_punit_owner_get(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_str_t *unit, uint64_t *epoch)
{
    ngx_int_t                rc;
    ngx_http_punit_owner_t  *owner;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    owner = ngx_http_punit_owner_find(zone->sh->owners, user);

    if (owner && owner->unit_len) {
        unit->len = owner->unit_len;
        ngx_memcpy(unit->data, owner->unit, owner->unit_len);
        *epoch = owner->epoch;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_punit_owner_learn(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_str_t *unit, uint64_t epoch, ngx_uint_t force)
{
    ngx_http_punit_owner_t  *owner;

    if (user->len == 0 || user->len > NGX_HTTP_PUNIT_USER_MAX
        || unit->len == 0 || unit->len > NGX_HTTP_PUNIT_UNIT_MAX)
    {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    owner = ngx_http_punit_owner_place(zone->sh->owners, user);

    if (owner && (owner->unit_len == 0 || epoch >= owner->epoch || force)) {
        owner->epoch = epoch;
        owner->unit_len = (u_char) unit->len;
        ngx_memcpy(owner->unit, unit->data, unit->len);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


void
ngx_http_punit_owner_forwarded(ngx_http_punit_zone_t *zone, ngx_str_t *user)
{
    ngx_http_punit_owner_t  *owner;

    if (user->len == 0 || user->len > NGX_HTTP_PUNIT_USER_MAX) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    owner = ngx_http_punit_owner_place(zone->sh->owners, user);

    if (owner) {
        owner->forwarded = ngx_time() + NGX_HTTP_PUNIT_FORWARDED;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


ngx_int_t
ngx_http_punit_owner_count(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_uint_t foreign, ngx_msec_t interval, ngx_msec_t delay,
    ngx_msec_t *due)
{
    ngx_int_t                rc;
    ngx_msec_t               now;
    ngx_http_punit_owner_t  *owner;

    if (user->len == 0 || user->len > NGX_HTTP_PUNIT_USER_MAX) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;
    now = ngx_current_msec;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (foreign) {
        owner = ngx_http_punit_owner_place(zone->sh->owners, user);

        if (owner == NULL) {
            goto done;
        }

        owner->foreign++;

    } else {
        owner = ngx_http_punit_owner_find(zone->sh->owners, user);

        if (owner == NULL || owner->forwarded <= ngx_time()) {
            goto done;
        }

        owner->local++;
    }

    if (owner->is_queued && (ngx_msec_int_t) (owner->queued - now) > 0) {
        goto done;
    }

    *due = now + delay;

    if (owner->was_told
        && (ngx_msec_int_t) (owner->told + interval - *due) > 0
        && owner->told + interval - *due <= interval)
    {
        *due = owner->told + interval;
    }

    owner->is_queued = 1;
    owner->queued = *due + NGX_HTTP_PUNIT_QUEUED_EXTRA;

    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


ngx_int_t
ngx_http_punit_owner_take(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_http_punit_tally_t *tally)
{
    ngx_int_t                rc;
    ngx_http_punit_owner_t  *owner;

    rc = NGX_DECLINED;

    ngx_shmtx_lock(&zone->shpool->mutex);

    owner = ngx_http_punit_owner_find(zone->sh->owners, user);

    if (owner) {
        owner->is_queued = 0;

        tally->epoch = owner->epoch;
        tally->foreign = owner->foreign;
        tally->local = owner->local;
        tally->unit_len = owner->unit_len;
        ngx_memcpy(tally->unit, owner->unit, owner->unit_len);

        if (owner->foreign || owner->local) {
            owner->foreign = 0;
            owner->local = 0;
            owner->told = ngx_current_msec;
            owner->was_told = 1;

            rc = NGX_OK;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_punit_owner_give_back(ngx_http_punit_zone_t *zone, ngx_str_t *user,
    ngx_http_punit_tally_t *tally, ngx_msec_t again)
{
    ngx_http_punit_owner_t  *owner;

    ngx_shmtx_lock(&zone->shpool->mutex);

    owner = ngx_http_punit_owner_find(zone->sh->owners, user);

    if (owner) {
        owner->foreign += tally->foreign;
        owner->local += tally->local;
        owner->was_told = 0;

        if (again) {
            owner->is_queued = 1;
            owner->queued = ngx_current_msec + again
                            + NGX_HTTP_PUNIT_QUEUED_EXTRA;
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static ngx_http_punit_owner_t *
ngx_http_punit_owner_find(ngx_http_punit_owner_cache_t *owners,
    ngx_str_t *user)
{
    ngx_str_node_t          *node;
    ngx_http_punit_owner_t  *owner;

    node = ngx_str_rbtree_lookup(&owners->rbtree, user,
                                 ngx_murmur_hash2(user->data, user->len));
    if (node == NULL) {
        return NULL;
    }

    owner = (ngx_http_punit_owner_t *) node;

    ngx_queue_remove(&owner->queue);
    ngx_queue_insert_head(&owners->queue, &owner->queue);

    return owner;
}


/* Finds the user, or makes a place. */

static ngx_http_punit_owner_t *
ngx_http_punit_owner_place(ngx_http_punit_owner_cache_t *owners,
    ngx_str_t *user)
{
    ngx_queue_t             *q;
    ngx_http_punit_owner_t  *owner;

    owner = ngx_http_punit_owner_find(owners, user);
    if (owner) {
        return owner;
    }

    if (!ngx_queue_empty(&owners->free)) {
        q = ngx_queue_head(&owners->free);
        ngx_queue_remove(q);
        owners->count++;

    } else if (!ngx_queue_empty(&owners->queue)) {
        q = ngx_queue_last(&owners->queue);
        ngx_queue_remove(q);

        owner = ngx_queue_data(q, ngx_http_punit_owner_t, queue);
        ngx_rbtree_delete(&owners->rbtree, &owner->user.node);
        owners->evicted++;

    } else {
        return NULL;
    }

    owner = ngx_queue_data(q, ngx_http_punit_owner_t, queue);

    ngx_memzero(owner, sizeof(ngx_http_punit_owner_t));

    owner->user.node.key = ngx_murmur_hash2(user->data, user->len);
    owner->user.str.data = owner->name;
    owner->user.str.len = user->len;
    ngx_memcpy(owner->name, user->data, user->len);

    ngx_rbtree_insert(&owners->rbtree, &owner->user.node);
    ngx_queue_insert_head(&owners->queue, &owner->queue);

    return owner;
}
