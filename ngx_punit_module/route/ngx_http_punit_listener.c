
/*
 * The peer listener.  The TLS session proves who asks.  Punit-From must name a
 * configured peer, and the subjectAltName of the client certificate (RFC 6125:
 * a DNS name) must be that peer.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_header.h>
#include <ngx_http_punit_listener.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_syntax.h>

#if (NGX_HTTP_SSL)
#include <openssl/x509v3.h>
#endif


#define NGX_HTTP_PUNIT_HOPS  1                 /* forwarding never nests */


/* Of a connection: the peer that its certificate shows. */

typedef struct {
    ngx_http_punit_peer_node_t     *node;
} ngx_http_punit_listener_shown_t;


static ngx_int_t ngx_http_punit_listener_cert(ngx_http_request_t *r,
    ngx_http_punit_peer_t *peer);
static void ngx_http_punit_listener_cleanup(void *data);
static ngx_int_t ngx_http_punit_listener_told(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_http_punit_main_conf_t *pmcf);


ngx_int_t
ngx_http_punit_listener_check(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_table_elt_t             *h;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    ctx->peer = 1;

    h = ngx_http_punit_header(&r->headers_in.headers, "punit-from",
                              sizeof("punit-from") - 1);
    if (h == NULL) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NOT_A_PEER,
                                      "there is not one Punit-From");
    }

    peer = ngx_http_punit_peer(pmcf, &h->value);

    if (peer == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "Punit-From \"%V\" is no peer", &h->value);

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NOT_A_PEER,
                                      "Punit-From names no peer");
    }

    if (ngx_http_punit_listener_cert(r, peer) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the client certificate does not show that this is "
                      "\"%V\"", &peer->id);

        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NOT_A_PEER,
                                  "the certificate does not show Punit-From");
    }

    ctx->from = peer->id;

    (void) ngx_atomic_fetch_add(&peer->node->received, 1);

    return ngx_http_punit_listener_told(r, ctx, pmcf);
}


/* nginx has verified the certificate (ssl_verify_client). */

static ngx_int_t
ngx_http_punit_listener_cert(ngx_http_request_t *r,
    ngx_http_punit_peer_t *peer)
{
#if (NGX_HTTP_SSL)

    int                               rc;
    X509                             *cert;
    ngx_connection_t                 *c;
    ngx_pool_cleanup_t               *cln;
    ngx_http_punit_listener_shown_t  *shown;

    c = r->connection;

#if (NGX_HTTP_V2)
    if (r->stream) {
        c = r->stream->connection->connection;
    }
#endif

    if (c->ssl == NULL) {
        return NGX_DECLINED;
    }

    /* Once a connection is enough: its certificate stays the same. */

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_punit_listener_cleanup) {
            shown = cln->data;

            if (shown->node == peer->node) {
                return NGX_OK;
            }
        }
    }

    if (SSL_get_verify_result(c->ssl->connection) != X509_V_OK) {
        return NGX_DECLINED;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return NGX_DECLINED;
    }

    rc = X509_check_host(cert, (char *) peer->id.data, peer->id.len,
                         X509_CHECK_FLAG_NO_WILDCARDS
                         |X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL);

    X509_free(cert);

    if (rc != 1) {
        ERR_clear_error();
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(c->pool,
                               sizeof(ngx_http_punit_listener_shown_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    shown = cln->data;
    shown->node = peer->node;
    cln->handler = ngx_http_punit_listener_cleanup;

    return NGX_OK;

#else

    return NGX_DECLINED;

#endif
}


/* It marks the entry; there is nothing to free. */

static void
ngx_http_punit_listener_cleanup(void *data)
{
}


/*
 * Reads what the peer says: the client, and since when this unit is the owner.
 */

static ngx_int_t
ngx_http_punit_listener_told(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx,
    ngx_http_punit_main_conf_t *pmcf)
{
    uint64_t          epoch;
    ngx_int_t         hops;
    ngx_str_t         unit;
    ngx_addr_t        addr;
    ngx_list_t       *headers;
    ngx_table_elt_t  *h;

    headers = &r->headers_in.headers;

    h = ngx_http_punit_header(headers, "punit-hops", sizeof("punit-hops") - 1);

    hops = h ? ngx_atoi(h->value.data, h->value.len) : NGX_ERROR;

    if (hops == NGX_ERROR || hops < 1) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_BAD_FORWARD,
                                      "there is no valid Punit-Hops");
    }

    if (hops > NGX_HTTP_PUNIT_HOPS) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_LOOP,
                                      "forwarded more than once");
    }

    h = ngx_http_punit_header(headers, "punit-client",
                              sizeof("punit-client") - 1);

    if (h && (ngx_parse_addr(r->pool, &addr, h->value.data, h->value.len)
              == NGX_OK
              || (h->value.len == sizeof("unix:") - 1
                  && ngx_strncmp(h->value.data, "unix:", 5) == 0)))
    {
        ctx->client = h->value;
    }

    h = ngx_http_punit_header(headers, "x-request-id",
                              sizeof("x-request-id") - 1);

    if (h && ngx_http_punit_syntax_request_id(&h->value)) {
        ctx->request_id = h->value;
    }

    h = ngx_http_punit_header(headers, "punit-owner",
                              sizeof("punit-owner") - 1);

    if (h && ngx_http_punit_syntax_owner(&h->value, &unit, &epoch) == NGX_OK
        && ngx_http_punit_peer_unit(pmcf, &unit) == &pmcf->unit)
    {
        ctx->route.epoch = epoch;
    }

    return NGX_OK;
}


/* A listener without verification would refuse every request. */

ngx_int_t
ngx_http_punit_listener_init(ngx_conf_t *cf)
{
    ngx_uint_t                   s;
    ngx_http_punit_srv_conf_t   *pscf;
    ngx_http_core_srv_conf_t   **cscfp;
    ngx_http_core_main_conf_t   *cmcf;
#if (NGX_HTTP_SSL)
    ngx_http_ssl_srv_conf_t     *sscf;
#endif

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    cscfp = cmcf->servers.elts;

    for (s = 0; s < cmcf->servers.nelts; s++) {

        pscf = cscfp[s]->ctx->srv_conf[ngx_http_punit_module.ctx_index];

        if (!pscf->listener) {
            continue;
        }

#if (NGX_HTTP_SSL)
        sscf = cscfp[s]->ctx->srv_conf[ngx_http_ssl_module.ctx_index];

        if (sscf->verify == 1) {
            continue;
        }
#endif

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"punit_peer_listener\" without client certificates, "
                      "expected \"ssl_verify_client on\" in the server "
                      "in %s:%ui",
                      pscf->file ? pscf->file : cscfp[s]->file_name,
                      pscf->file ? pscf->line : cscfp[s]->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}
