
/*
 * Marks a peer: PUT .../peers/ID {"state": "up"|"down"} to punit_status, from
 * an address of write=.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_ctx.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_peer_state.h>
#include <ngx_http_punit_problem.h>
#include <ngx_http_punit_status.h>


#define NGX_HTTP_PUNIT_STATUS_BODY  4096       /* bytes */


static void ngx_http_punit_status_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_punit_status_mark(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);
static ngx_http_punit_peer_t *ngx_http_punit_status_target(
    ngx_http_request_t *r, ngx_http_punit_main_conf_t *pmcf);


ngx_int_t
ngx_http_punit_status_put(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_http_punit_main_conf_t  *pmcf;

    plcf = ngx_http_get_module_loc_conf(r, ngx_http_punit_module);
    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    if (plcf->status_write == NULL
        || ngx_cidr_match(r->connection->sockaddr, plcf->status_write)
           != NGX_OK)
    {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_FORBIDDEN, NULL);
    }

    if (ngx_http_punit_status_target(r, pmcf) == NULL) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_NOT_FOUND,
                                      "expected .../peers/ID of a peer");
    }

    if (r->headers_in.content_length_n > NGX_HTTP_PUNIT_STATUS_BODY) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_punit_status_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_punit_status_body(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r,
                    ngx_http_punit_status_mark(r, ngx_http_punit_ctx(r)));
}


static ngx_int_t
ngx_http_punit_status_mark(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    json_t                      *body;
    size_t                       len;
    ngx_buf_t                   *b;
    ngx_int_t                    rc;
    ngx_uint_t                   state;
    const char                  *text;
    ngx_http_punit_peer_t       *peer;
    ngx_http_punit_main_conf_t  *pmcf;

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    b = (r->request_body && r->request_body->bufs) ? r->request_body->bufs->buf
                                                   : NULL;

    if (b && b->in_file) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    len = (b && ngx_buf_in_memory(b)) ? b->last - b->pos : 0;

    body = len ? json_loadb((char *) b->pos, len, JSON_REJECT_DUPLICATES, NULL)
               : NULL;

    if (body == NULL) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_BAD_JSON, NULL);
    }

    state = NGX_HTTP_PUNIT_PEER_UNSET;
    text = json_string_value(json_object_get(body, "state"));

    if (text && json_object_size(body) == 1) {

        if (ngx_strcmp(text, "up") == 0) {
            state = NGX_HTTP_PUNIT_PEER_UP;

        } else if (ngx_strcmp(text, "down") == 0) {
            state = NGX_HTTP_PUNIT_PEER_DOWN;
        }
    }

    json_decref(body);

    if (state == NGX_HTTP_PUNIT_PEER_UNSET) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_INVALID,
                                      "expected state, up or down");
    }

    peer = ngx_http_punit_status_target(r, pmcf);

    rc = ngx_http_punit_peer_state_set(pmcf, peer, state, r->connection->log);

    if (rc == NGX_BUSY) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_STATE_BUSY, NULL);
    }

    if (rc != NGX_OK) {
        return ngx_http_punit_problem(r, ctx, NGX_HTTP_PUNIT_STATE_FAILED,
                                      NULL);
    }

    return ngx_http_punit_status_send_json(r,
                                           ngx_http_punit_status_peer(peer));
}


/* The ID of .../peers/ID. */

static ngx_http_punit_peer_t *
ngx_http_punit_status_target(ngx_http_request_t *r,
    ngx_http_punit_main_conf_t *pmcf)
{
    u_char     *p;
    ngx_str_t   id;

    p = r->uri.data + r->uri.len;

    while (p > r->uri.data && p[-1] != '/') {
        p--;
    }

    id.data = p;
    id.len = r->uri.data + r->uri.len - p;

    if (p - r->uri.data < (ssize_t) (sizeof("/peers/") - 1)
        || ngx_strncmp(p - (sizeof("/peers/") - 1), "/peers/",
                       sizeof("/peers/") - 1)
           != 0)
    {
        return NULL;
    }

    return ngx_http_punit_peer(pmcf, &id);
}
