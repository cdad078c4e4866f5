
/*
 * punit_status: counters, peers and servers of grids as JSON, or with
 * ?format=prometheus as text (exposition format 0.0.4).
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_counter.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_owner.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_route.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_status.h>


typedef struct {
    const char                     *name;
    const char                     *help;
    size_t                          offset;    /* in counters */
} ngx_http_punit_status_counter_t;


static ngx_int_t ngx_http_punit_status_get(ngx_http_request_t *r,
    ngx_http_punit_main_conf_t *pmcf);
static json_t *ngx_http_punit_status_json(ngx_http_punit_main_conf_t *pmcf);
static u_char *ngx_http_punit_status_text(ngx_http_punit_main_conf_t *pmcf,
    u_char *p, u_char *last);
static ngx_int_t ngx_http_punit_status_send(ngx_http_request_t *r,
    u_char *data, size_t len, const char *type);


static const char  *ngx_http_punit_status_verdicts[] = {
    "none", "ok", "refused", "expired", "revoked", "unknown"
};

/* Milliseconds; the last bucket is for all above. */

static const ngx_uint_t  ngx_http_punit_status_bounds[] = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000
};

static const ngx_http_punit_status_counter_t
    ngx_http_punit_status_counters[] =
{
    { "followed", "421s that were followed",
      offsetof(ngx_http_punit_counters_t, followed) },
    { "looped", "requests that no unit took",
      offsetof(ngx_http_punit_counters_t, looped) },
    { "outrun", "requests whose user was handed over faster than followed",
      offsetof(ngx_http_punit_counters_t, outrun) },
    { "grid_hits", "documents served from the grid",
      offsetof(ngx_http_punit_counters_t, grid_hits) },
    { "grid_near", "documents served from the near cache",
      offsetof(ngx_http_punit_counters_t, grid_near) },
    { "grid_misses", "documents not found in the grid",
      offsetof(ngx_http_punit_counters_t, grid_misses) },
    { "grid_stale", "documents served while they were refilled",
      offsetof(ngx_http_punit_counters_t, grid_stale) },
    { "grid_waited", "waits for a document that another request refilled",
      offsetof(ngx_http_punit_counters_t, grid_waited) },
    { "grid_failed", "questions the grid did not answer",
      offsetof(ngx_http_punit_counters_t, grid_failed) },
    { "introspected", "tokens the auth worker was asked about",
      offsetof(ngx_http_punit_counters_t, introspected) },
    { "reissued", "tokens made anew",
      offsetof(ngx_http_punit_counters_t, reissued) },
    { "moves_sent", "datagrams sent to the mover",
      offsetof(ngx_http_punit_counters_t, moves_sent) },
    { "moves_failed", "datagrams the mover did not take",
      offsetof(ngx_http_punit_counters_t, moves_failed) },
    { NULL, NULL, 0 }
};


#define ngx_http_punit_status_counter(counters, i)                            \
    (*(ngx_atomic_t *) ((u_char *) (counters)                                 \
                        + ngx_http_punit_status_counters[i].offset))


/* The LOG phase. */

void
ngx_http_punit_status_count(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_uint_t                  i, verdict;
    ngx_time_t                 *tp;
    ngx_msec_int_t              ms;
    ngx_http_punit_counters_t  *counters;

    counters = ngx_http_punit_counters((ngx_http_punit_main_conf_t *)
                  ngx_http_get_module_main_conf(r, ngx_http_punit_module));

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));
    ms = ngx_max(ms, 0);

    for (i = 0; i < NGX_HTTP_PUNIT_BUCKETS - 1; i++) {
        if ((ngx_uint_t) ms <= ngx_http_punit_status_bounds[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&counters->routes[ctx->route.type], 1);
    (void) ngx_atomic_fetch_add(&counters->latency[ctx->route.type][i], 1);
    (void) ngx_atomic_fetch_add(&counters->latency_sum[ctx->route.type], ms);

    verdict = NGX_HTTP_PUNIT_VERDICT_REFUSED;

    for (i = 0; i < NGX_HTTP_PUNIT_VERDICTS; i++) {
        if (ngx_strcmp(ctx->token.verdict,
                       ngx_http_punit_status_verdicts[i]) == 0) {
            verdict = i;
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&counters->verdicts[verdict], 1);
}


ngx_int_t
ngx_http_punit_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    allow = ngx_string("GET, HEAD, PUT");
    ngx_http_punit_ctx_t        *ctx;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);
    ctx = ngx_http_punit_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_punit_ctx_create(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        ctx->plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);
    }

    if (r->method == NGX_HTTP_PUT) {
        return ngx_http_punit_status_put(r, ctx);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_punit_header_add(r, "Allow", sizeof("Allow") - 1, &allow)
            != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_METHOD, NULL);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_punit_status_get(r, pmcf);
}


static ngx_int_t
ngx_http_punit_status_get(ngx_http_request_t *r,
    ngx_http_punit_main_conf_t *pmcf)
{
    u_char     *data, *p;
    size_t      size;
    ngx_str_t   format;

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK
        && format.len == sizeof("prometheus") - 1
        && ngx_strncmp(format.data, "prometheus", format.len) == 0)
    {
        /* Lines of at most 256 bytes, and more lines than there can be. */

        size = 256 * (64 + NGX_HTTP_PUNIT_ROUTES * (NGX_HTTP_PUNIT_BUCKETS + 4)
                      + NGX_HTTP_PUNIT_VERDICTS + 8 * pmcf->peers.nelts)
               + ngx_http_punit_status_grid_room(pmcf);

        data = ngx_pnalloc(r->pool, size);
        if (data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        p = ngx_http_punit_status_text(pmcf, data, data + size);

        return ngx_http_punit_status_send(r, data, p - data,
                                          "text/plain; version=0.0.4");
    }

    return ngx_http_punit_status_send_json(r,
                                           ngx_http_punit_status_json(pmcf));
}


/* NULL without memory: the setters of jansson fail for NULL. */

static json_t *
ngx_http_punit_status_json(ngx_http_punit_main_conf_t *pmcf)
{
    int                         bad;
    json_t                     *top, *routes, *verdicts, *peers, *buckets, *o;
    ngx_uint_t                  i, n;
    ngx_http_punit_shm_t       *sh;
    ngx_http_punit_peer_t      *peer;
    ngx_http_punit_counters_t  *counters;

    sh = ngx_http_punit_zone(pmcf)->sh;
    counters = &sh->counters;
    peer = pmcf->peers.elts;

    bad = 0;
    top = json_object();
    routes = json_object();
    verdicts = json_object();
    peers = json_array();

    for (i = 1; i < NGX_HTTP_PUNIT_ROUTES; i++) {
        buckets = json_array();

        for (n = 0; n < NGX_HTTP_PUNIT_BUCKETS; n++) {
            bad |= json_array_append_new(buckets,
                             json_integer((json_int_t)
                                          counters->latency[i][n]));
        }

        o = json_pack("{s:I, s:I, s:o}",
                      "requests", (json_int_t) counters->routes[i],
                      "ms", (json_int_t) counters->latency_sum[i],
                      "buckets", buckets);

        bad |= json_object_set_new(routes,
                        (char *) ngx_http_punit_route_names[i].data, o);
    }

    for (i = 0; i < NGX_HTTP_PUNIT_VERDICTS; i++) {
        bad |= json_object_set_new(verdicts, ngx_http_punit_status_verdicts[i],
                                   json_integer((json_int_t)
                                                counters->verdicts[i]));
    }

    for (i = 0; i < pmcf->peers.nelts; i++) {
        bad |= json_array_append_new(peers,
                                     ngx_http_punit_status_peer(&peer[i]));
    }

    bad |= json_object_set_new(top, "unit",
                               json_stringn((char *) pmcf->unit.data,
                                            pmcf->unit.len));
    bad |= json_object_set_new(top, "since", json_integer(sh->start));
    bad |= json_object_set_new(top, "peers", peers);
    bad |= json_object_set_new(top, "grids",
                               ngx_http_punit_status_grid_json(pmcf));
    bad |= json_object_set_new(top, "routes", routes);

    buckets = json_array();

    for (n = 0; n < NGX_HTTP_PUNIT_BUCKETS - 1; n++) {
        bad |= json_array_append_new(buckets,
                             json_integer((json_int_t)
                                          ngx_http_punit_status_bounds[n]));
    }

    bad |= json_object_set_new(top, "bounds", buckets);
    bad |= json_object_set_new(top, "verdicts", verdicts);

    for (i = 0; ngx_http_punit_status_counters[i].name; i++) {
        bad |= json_object_set_new(top, ngx_http_punit_status_counters[i].name,
                        json_integer((json_int_t)
                                     ngx_http_punit_status_counter(counters,
                                                                   i)));
    }

    bad |= json_object_set_new(top, "cache",
               json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}",
                         "verdicts", (json_int_t) sh->verdict_cache->count,
                         "verdict_hits", (json_int_t) sh->verdict_cache->hits,
                         "verdict_misses",
                         (json_int_t) sh->verdict_cache->misses,
                         "verdicts_evicted",
                         (json_int_t) sh->verdict_cache->evicted,
                         "owners", (json_int_t) sh->owners->count,
                         "owners_evicted", (json_int_t) sh->owners->evicted));

    if (bad) {
        json_decref(top);
        return NULL;
    }

    return top;
}


json_t *
ngx_http_punit_status_peer(ngx_http_punit_peer_t *peer)
{
    ngx_http_punit_peer_node_t  *node;

    node = peer->node;

    return json_pack("{s:s%, s:s, s:I, s:I, s:I, s:I, s:I}",
                     "id", (char *) peer->id.data, (size_t) peer->id.len,
                     "state", node->down ? "down" : "up",
                     "since", (json_int_t) node->since,
                     "forwarded", (json_int_t) node->forwarded,
                     "received", (json_int_t) node->received,
                     "refused", (json_int_t) node->refused,
                     "unreachable", (json_int_t) node->unreachable);
}


static u_char *
ngx_http_punit_status_text(ngx_http_punit_main_conf_t *pmcf, u_char *p,
    u_char *last)
{
    ngx_uint_t                   i, n;
    ngx_atomic_uint_t            sum;
    ngx_http_punit_shm_t        *sh;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_counters_t   *counters;

    sh = ngx_http_punit_zone(pmcf)->sh;
    counters = &sh->counters;
    peer = pmcf->peers.elts;

    p = ngx_slprintf(p, last,
                     "# HELP punit_request_seconds requests by route\n"
                     "# TYPE punit_request_seconds histogram\n");

    for (i = 1; i < NGX_HTTP_PUNIT_ROUTES; i++) {
        sum = 0;

        for (n = 0; n < NGX_HTTP_PUNIT_BUCKETS - 1; n++) {
            sum += counters->latency[i][n];
            p = ngx_slprintf(p, last,
                             "punit_request_seconds_bucket{unit=\"%V\","
                             "route=\"%V\",le=\"%ui.%03ui\"} %uA\n",
                             &pmcf->unit, &ngx_http_punit_route_names[i],
                             ngx_http_punit_status_bounds[n] / 1000,
                             ngx_http_punit_status_bounds[n] % 1000, sum);
        }

        sum += counters->latency[i][n];

        p = ngx_slprintf(p, last,
                         "punit_request_seconds_bucket{unit=\"%V\","
                         "route=\"%V\",le=\"+Inf\"} %uA\n"
                         "punit_request_seconds_sum{unit=\"%V\","
                         "route=\"%V\"} %uA.%03uA\n"
                         "punit_request_seconds_count{unit=\"%V\","
                         "route=\"%V\"} %uA\n",
                         &pmcf->unit, &ngx_http_punit_route_names[i], sum,
                         &pmcf->unit, &ngx_http_punit_route_names[i],
                         counters->latency_sum[i] / 1000,
                         counters->latency_sum[i] % 1000,
                         &pmcf->unit, &ngx_http_punit_route_names[i], sum);
    }

    p = ngx_slprintf(p, last,
                     "# HELP punit_verdicts_total what was thought of tokens\n"
                     "# TYPE punit_verdicts_total counter\n");

    for (i = 0; i < NGX_HTTP_PUNIT_VERDICTS; i++) {
        p = ngx_slprintf(p, last,
                         "punit_verdicts_total{unit=\"%V\",verdict=\"%s\"} "
                         "%uA\n",
                         &pmcf->unit, ngx_http_punit_status_verdicts[i],
                         counters->verdicts[i]);
    }

    for (i = 0; ngx_http_punit_status_counters[i].name; i++) {
        p = ngx_slprintf(p, last,
                         "# HELP punit_%s_total %s\n"
                         "# TYPE punit_%s_total counter\n"
                         "punit_%s_total{unit=\"%V\"} %uA\n",
                         ngx_http_punit_status_counters[i].name,
                         ngx_http_punit_status_counters[i].help,
                         ngx_http_punit_status_counters[i].name,
                         ngx_http_punit_status_counters[i].name, &pmcf->unit,
                         ngx_http_punit_status_counter(counters, i));
    }

    p = ngx_http_punit_status_grid_text(pmcf, p, last);

    if (pmcf->peers.nelts == 0) {
        return p;
    }

    p = ngx_slprintf(p, last,
                     "# HELP punit_peer_up 0: marked down\n"
                     "# TYPE punit_peer_up gauge\n");

    for (i = 0; i < pmcf->peers.nelts; i++) {
        p = ngx_slprintf(p, last,
                         "punit_peer_up{unit=\"%V\",peer=\"%V\"} %d\n",
                         &pmcf->unit, &peer[i].id, !peer[i].node->down);
    }

    p = ngx_slprintf(p, last,
                     "# HELP punit_peer_requests_total requests sent to and "
                     "had from peers\n"
                     "# TYPE punit_peer_requests_total counter\n");

    for (i = 0; i < pmcf->peers.nelts; i++) {
        p = ngx_slprintf(p, last,
                         "punit_peer_requests_total{unit=\"%V\",peer=\"%V\","
                         "what=\"forwarded\"} %uA\n"
                         "punit_peer_requests_total{unit=\"%V\",peer=\"%V\","
                         "what=\"received\"} %uA\n"
                         "punit_peer_requests_total{unit=\"%V\",peer=\"%V\","
                         "what=\"refused\"} %uA\n"
                         "punit_peer_requests_total{unit=\"%V\",peer=\"%V\","
                         "what=\"unreachable\"} %uA\n",
                         &pmcf->unit, &peer[i].id, peer[i].node->forwarded,
                         &pmcf->unit, &peer[i].id, peer[i].node->received,
                         &pmcf->unit, &peer[i].id, peer[i].node->refused,
                         &pmcf->unit, &peer[i].id, peer[i].node->unreachable);
    }

    return p;
}


ngx_int_t
ngx_http_punit_status_send_json(ngx_http_request_t *r, json_t *json)
{
    char    *text;
    u_char  *data;
    size_t   len;

    if (json == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text = json_dumps(json, JSON_COMPACT|JSON_PRESERVE_ORDER);

    json_decref(json);

    if (text == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    len = ngx_strlen(text);

    data = ngx_pnalloc(r->pool, len + 1);

    if (data) {
        ngx_memcpy(data, text, len);
        data[len++] = LF;
    }

    free(text);

    if (data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_punit_status_send(r, data, len, "application/json");
}


static ngx_int_t
ngx_http_punit_status_send(ngx_http_request_t *r, u_char *data, size_t len,
    const char *type)
{
    ngx_int_t     rc;
    ngx_str_t     cache = ngx_string("no-store");
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = len;

    if (ngx_http_punit_header_add(r, "Cache-Control",
                                  sizeof("Cache-Control") - 1, &cache)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = data;
    b->last = data + len;
    b->memory = 1;
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
