
/*
 * Datagrams to the mover:
 *
 *     f <user> <unit> <epoch> <count>     asked for here, owned elsewhere
 *     l <user> <count>                    served here, forwarded here by peers
 *
 * The zone counts, and limits reports of a user to one per interval.  A worker
 * process queues the users that it has to report, and a short timer sends
 * them.  Nothing waits for the mover.  What the mover does not take is sent
 * again for a short time, then with the next request of the user.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_report.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


#define NGX_HTTP_PUNIT_REPORT_DELAY    10      /* ms that lines are gathered */
#define NGX_HTTP_PUNIT_REPORT_BACKOFF  200     /* ms, after a failed send */
#define NGX_HTTP_PUNIT_REPORT_TRIES    10
#define NGX_HTTP_PUNIT_REPORT_PENDING  4096    /* users of a worker */
#define NGX_HTTP_PUNIT_REPORT_SIZE     8192    /* bytes of a datagram */

#define NGX_HTTP_PUNIT_REPORT_LINE                                            \
    (2 * (sizeof("f     \n") + NGX_HTTP_PUNIT_USER_MAX)                       \
     + NGX_HTTP_PUNIT_UNIT_MAX + NGX_INT64_LEN + 2 * NGX_INT32_LEN)


typedef struct {
    ngx_queue_t                     queue;
    ngx_msec_t                      due;
    ngx_uint_t                      tries;
    size_t                          len;
    u_char                          user[NGX_HTTP_PUNIT_USER_MAX];
} ngx_http_punit_report_user_t;


/* What one datagram holds; it is given back if the datagram is not sent. */

typedef struct {
    ngx_http_punit_report_user_t   *pending;
    ngx_http_punit_tally_t          tally;
} ngx_http_punit_report_told_t;


/* A mover, as this process sees it. */

typedef struct {
    ngx_socket_t                    fd;
    ngx_event_t                     timer;
    ngx_connection_t                dummy;     /* cancelable timers need one */
    ngx_queue_t                     queue;     /* in the order of their due */
    ngx_queue_t                     free;
    ngx_http_punit_report_user_t   *places;
    ngx_http_punit_mover_t         *mover;
    ngx_http_punit_zone_t          *zone;
    ngx_log_t                      *log;
    unsigned                        failed:1;  /* and said so */
    unsigned                        backoff:1; /* the timer is for that */
} ngx_http_punit_report_t;


static void ngx_http_punit_report_timer(ngx_event_t *ev);
static void ngx_http_punit_report_flush(ngx_http_punit_report_t *move,
    ngx_uint_t all);
static u_char *ngx_http_punit_report_line(u_char *p,
    ngx_http_punit_report_user_t *pending, ngx_http_punit_tally_t *tally);
static ngx_int_t ngx_http_punit_report_send(ngx_http_punit_report_t *move,
    u_char *data, size_t len);
static ngx_uint_t ngx_http_punit_report_plain(ngx_str_t *user);


static ngx_http_punit_report_t  *ngx_http_punit_reports;
static ngx_uint_t                ngx_http_punit_nreports;


ngx_int_t
ngx_http_punit_report_init_process(ngx_cycle_t *cycle,
    ngx_http_punit_main_conf_t *pmcf)
{
    ngx_uint_t                 i, n;
    ngx_http_punit_report_t   *move;
    ngx_http_punit_mover_t   **mover;

    ngx_http_punit_nreports = 0;

    if (pmcf->movers.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_punit_reports = ngx_pcalloc(cycle->pool, pmcf->movers.nelts
                                          * sizeof(ngx_http_punit_report_t));
    if (ngx_http_punit_reports == NULL) {
        return NGX_ERROR;
    }

    mover = pmcf->movers.elts;

    for (i = 0; i < pmcf->movers.nelts; i++) {
        move = &ngx_http_punit_reports[i];

        move->fd = (ngx_socket_t) -1;
        move->mover = mover[i];
        move->zone = ngx_http_punit_zone(pmcf);
        move->log = cycle->log;

        move->dummy.fd = (ngx_socket_t) -1;
        move->timer.handler = ngx_http_punit_report_timer;
        move->timer.data = &move->dummy;
        move->timer.log = cycle->log;
        move->timer.cancelable = 1;
        move->dummy.data = move;

        ngx_queue_init(&move->queue);
        ngx_queue_init(&move->free);

        move->places = ngx_palloc(cycle->pool,
                                  NGX_HTTP_PUNIT_REPORT_PENDING
                                  * sizeof(ngx_http_punit_report_user_t));
        if (move->places == NULL) {
            return NGX_ERROR;
        }

        for (n = 0; n < NGX_HTTP_PUNIT_REPORT_PENDING; n++) {
            ngx_queue_insert_tail(&move->free, &move->places[n].queue);
        }
    }

    ngx_http_punit_nreports = pmcf->movers.nelts;

    return NGX_OK;
}


void
ngx_http_punit_report_exit_process(void)
{
    ngx_uint_t                i;
    ngx_http_punit_report_t  *move;

    for (i = 0; i < ngx_http_punit_nreports; i++) {
        move = &ngx_http_punit_reports[i];

        ngx_http_punit_report_flush(move, 1);

        if (move->fd != (ngx_socket_t) -1) {
            (void) ngx_close_socket(move->fd);
            move->fd = (ngx_socket_t) -1;
        }
    }

    ngx_http_punit_nreports = 0;
}


/* The LOG phase: the final route is known here. */

ngx_int_t
ngx_http_punit_report_log_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_msec_t                      due;
    ngx_uint_t                      foreign;
    ngx_queue_t                    *q;
    ngx_http_punit_report_t        *move;
    ngx_http_punit_report_user_t   *pending, *other;
    ngx_http_punit_loc_conf_t      *plcf;

    plcf = ctx->plcf;

    if (plcf == NULL || plcf->move == NULL || ctx->peer || !ctx->token.user
        || plcf->scope != NGX_HTTP_PUNIT_SCOPE_USER
        || plcf->move->index >= ngx_http_punit_nreports
        || !ngx_http_punit_report_plain(&ctx->token.claims.user))
    {
        return NGX_OK;
    }

    switch (ctx->route.type) {

    case NGX_HTTP_PUNIT_ROUTE_FORWARD:
        foreign = 1;
        break;

    case NGX_HTTP_PUNIT_ROUTE_LOCAL:
        foreign = 0;
        break;

    default:
        return NGX_OK;
    }

    move = &ngx_http_punit_reports[plcf->move->index];

    if (ngx_queue_empty(&move->free)) {

        /* The queue is full: the next request of the user reports it. */

        return NGX_OK;
    }

    if (foreign) {
        ngx_http_punit_owner_learn(move->zone, &ctx->token.claims.user,
                                   &ctx->route.unit,
                                   ctx->route.epoch, 0);
    }

    if (ngx_http_punit_owner_count(move->zone, &ctx->token.claims.user,
                                   foreign,
                                   plcf->move_interval,
                                   NGX_HTTP_PUNIT_REPORT_DELAY, &due)
        != NGX_OK)
    {
        return NGX_OK;
    }

    q = ngx_queue_head(&move->free);
    ngx_queue_remove(q);

    pending = ngx_queue_data(q, ngx_http_punit_report_user_t, queue);

    pending->due = due;
    pending->tries = 0;
    pending->len = ctx->token.claims.user.len;
    ngx_memcpy(pending->user, ctx->token.claims.user.data, pending->len);

    /* Nearly always the last. */

    for (q = ngx_queue_last(&move->queue);
         q != ngx_queue_sentinel(&move->queue);
         q = ngx_queue_prev(q))
    {
        other = ngx_queue_data(q, ngx_http_punit_report_user_t, queue);

        if ((ngx_msec_int_t) (other->due - due) <= 0) {
            break;
        }
    }

    ngx_queue_insert_after(q, &pending->queue);

    if (move->backoff || ngx_queue_prev(&pending->queue)
                         != ngx_queue_sentinel(&move->queue))
    {
        return NGX_OK;
    }

    /* The new entry is the first: ngx_add_timer() alone would be lazy. */

    if (move->timer.timer_set) {
        ngx_del_timer(&move->timer);
    }

    ngx_add_timer(&move->timer, due - ngx_current_msec);

    return NGX_OK;
}


static void
ngx_http_punit_report_timer(ngx_event_t *ev)
{
    ngx_queue_t                    *q;
    ngx_connection_t               *c;
    ngx_msec_int_t                  left;
    ngx_http_punit_report_t        *move;
    ngx_http_punit_report_user_t   *pending;

    c = ev->data;
    move = c->data;

    move->backoff = 0;

    ngx_http_punit_report_flush(move, 0);

    if (ngx_exiting || ngx_queue_empty(&move->queue)
        || move->timer.timer_set)
    {
        return;
    }

    q = ngx_queue_head(&move->queue);
    pending = ngx_queue_data(q, ngx_http_punit_report_user_t, queue);

    left = (ngx_msec_int_t) (pending->due - ngx_current_msec);

    ngx_add_timer(&move->timer,
                  (ngx_msec_t) ngx_max(left, NGX_HTTP_PUNIT_REPORT_DELAY));
}


/*
 * Sends the users who are due, or all.  A datagram that is not sent does not
 * use up the interval of a user.
 */

static void
ngx_http_punit_report_flush(ngx_http_punit_report_t *move, ngx_uint_t all)
{
    u_char                         *p, *last;
    ngx_str_t                       user;
    ngx_uint_t                      again, i, n;
    ngx_queue_t                    *q;
    ngx_http_punit_report_told_t    told[NGX_HTTP_PUNIT_REPORT_SIZE / 40];
    ngx_http_punit_report_user_t   *pending;
    u_char                          buf[NGX_HTTP_PUNIT_REPORT_SIZE];

    last = buf + sizeof(buf) - NGX_HTTP_PUNIT_REPORT_LINE;

    for ( ;; ) {

        p = buf;
        n = 0;

        while (!ngx_queue_empty(&move->queue)
               && p <= last && n < sizeof(told) / sizeof(told[0]))
        {
            q = ngx_queue_head(&move->queue);
            pending = ngx_queue_data(q, ngx_http_punit_report_user_t, queue);

            if (!all
                && (ngx_msec_int_t) (pending->due - ngx_current_msec) > 0)
            {
                break;
            }

            ngx_queue_remove(q);

            user.data = pending->user;
            user.len = pending->len;

            if (ngx_http_punit_owner_take(move->zone, &user, &told[n].tally)
                != NGX_OK)
            {
                ngx_queue_insert_tail(&move->free, q);
                continue;
            }

            p = ngx_http_punit_report_line(p, pending, &told[n].tally);
            told[n++].pending = pending;
        }

        if (n == 0) {
            break;
        }

        if (p == buf
            || ngx_http_punit_report_send(move, buf, p - buf) == NGX_OK)
        {
            for (i = 0; i < n; i++) {
                ngx_queue_insert_tail(&move->free, &told[i].pending->queue);
            }

            continue;
        }

        /* Back to their places: at the head, and due. */

        for (i = n; i-- > 0; /* void */) {
            pending = told[i].pending;

            user.data = pending->user;
            user.len = pending->len;

            again = (!all && ++pending->tries < NGX_HTTP_PUNIT_REPORT_TRIES);

            ngx_http_punit_owner_give_back(move->zone, &user, &told[i].tally,
                               again ? 2 * NGX_HTTP_PUNIT_REPORT_BACKOFF : 0);

            ngx_queue_insert_head(again ? &move->queue : &move->free,
                                  &pending->queue);
        }

        if (!all && !ngx_exiting && !move->timer.timer_set) {
            move->backoff = 1;
            ngx_add_timer(&move->timer, NGX_HTTP_PUNIT_REPORT_BACKOFF);
        }

        break;
    }
}


static u_char *
ngx_http_punit_report_line(u_char *p, ngx_http_punit_report_user_t *pending,
    ngx_http_punit_tally_t *tally)
{
    if (tally->foreign && tally->unit_len) {
        p = ngx_sprintf(p, "f %*s %*s %uL %uD\n",
                        pending->len, pending->user,
                        tally->unit_len, tally->unit,
                        tally->epoch, tally->foreign);
    }

    if (tally->local) {
        p = ngx_sprintf(p, "l %*s %uD\n",
                        pending->len, pending->user, tally->local);
    }

    return p;
}


static ngx_int_t
ngx_http_punit_report_send(ngx_http_punit_report_t *move, u_char *data,
    size_t len)
{
    ssize_t     n;
    ngx_err_t   err;

    if (move->fd == (ngx_socket_t) -1) {

        move->fd = ngx_socket(AF_UNIX, SOCK_DGRAM, 0);

        if (move->fd == (ngx_socket_t) -1) {
            err = ngx_socket_errno;
            goto failed;
        }

        if (ngx_nonblocking(move->fd) == -1
            || fcntl(move->fd, F_SETFD, FD_CLOEXEC) == -1)
        {
            err = ngx_socket_errno;
            goto failed;
        }
    }

    /* By path each time: a restarted mover has a new socket. */

    n = sendto(move->fd, data, len, MSG_DONTWAIT, move->mover->addr.sockaddr,
               move->mover->addr.socklen);

    if (n == (ssize_t) len) {

        if (move->failed) {
            move->failed = 0;
            ngx_log_error(NGX_LOG_NOTICE, move->log, 0,
                          "mover at %V can be told again",
                          &move->mover->addr.name);
        }

        (void) ngx_atomic_fetch_add(&move->zone->sh->counters.moves_sent, 1);

        return NGX_OK;
    }

    err = ngx_socket_errno;

failed:

    (void) ngx_atomic_fetch_add(&move->zone->sh->counters.moves_failed, 1);

    if (!move->failed) {
        move->failed = 1;
        ngx_log_error(NGX_LOG_WARN, move->log, err,
                      "mover at %V cannot be told", &move->mover->addr.name);
    }

    return NGX_ERROR;
}


/* A line has no quoting; ids of users are uuids. */

static ngx_uint_t
ngx_http_punit_report_plain(ngx_str_t *user)
{
    u_char  ch;
    size_t  i;

    if (user->len > NGX_HTTP_PUNIT_USER_MAX) {
        return 0;
    }

    for (i = 0; i < user->len; i++) {
        ch = user->data[i] | 0x20;

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || user->data[i] == '-'))
        {
            return 0;
        }
    }

    return 1;
}
