
/*
 * The grid route: reference data from memcached.  One round trip brings the
 * service's generation and the document; a document of another generation is a
 * miss.  After a change one request refills, others may get the previous
 * document while that refill runs, for punit_grid_stale at most.
 */


#include "ngx_http_punit_module.h"

#include <openssl/sha.h>


static ngx_int_t ngx_http_punit_grid_service(ngx_http_request_t *r,
    ngx_str_t *service);
static ngx_int_t ngx_http_punit_grid_args(ngx_http_request_t *r,
    ngx_array_t *names, ngx_str_t *values, ngx_uint_t *present);
static void ngx_http_punit_document_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc);
static ngx_int_t ngx_http_punit_document_parse(ngx_str_t *document,
    ngx_str_t *etag, ngx_str_t *type, ngx_str_t *body);
static ngx_int_t ngx_http_punit_document_previous(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *document);
static ngx_int_t ngx_http_punit_document_send(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx);


/*
 * ctx->grid_key = punit:doc:<service>:<SHA-256 of "GET\n" path "\n" and, for
 * each of punit_grid_args that is there, in that order, name "=" value "\n">.
 * NGX_OK; NGX_DECLINED: the answer must not be kept, the key is empty.
 */

ngx_int_t
ngx_http_punit_grid_key(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    u_char                      *p;
    size_t                       i;
    SHA256_CTX                   sha;
    ngx_str_t                   *name, service;
    ngx_uint_t                   present;
    ngx_http_punit_loc_conf_t   *plcf;
    ngx_str_t                    values[NGX_HTTP_PUNIT_ARGS_MAX];
    u_char                       digest[SHA256_DIGEST_LENGTH];

    plcf = ctx->plcf;
    present = 0;

    if (ngx_http_punit_grid_service(r, &service) != NGX_OK
        || ngx_http_punit_grid_args(r, plcf->grid_args, values, &present)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    SHA256_Init(&sha);
    SHA256_Update(&sha, "GET\n", 4);
    SHA256_Update(&sha, r->uri.data, r->uri.len);
    SHA256_Update(&sha, "\n", 1);

    for (i = 0; plcf->grid_args && i < plcf->grid_args->nelts; i++) {

        if (!(present & ((ngx_uint_t) 1 << i))) {
            continue;
        }

        name = plcf->grid_args->elts;

        SHA256_Update(&sha, name[i].data, name[i].len);
        SHA256_Update(&sha, "=", 1);
        SHA256_Update(&sha, values[i].data, values[i].len);
        SHA256_Update(&sha, "\n", 1);
    }

    SHA256_Final(digest, &sha);

    p = ngx_pnalloc(r->pool, sizeof("punit:doc::") - 1 + service.len
                             + 2 * SHA256_DIGEST_LENGTH);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->grid_key.data = p;
    ctx->service = service;

    p = ngx_cpymem(p, "punit:doc:", sizeof("punit:doc:") - 1);
    p = ngx_cpymem(p, service.data, service.len);
    *p++ = ':';
    p = ngx_hex_dump(p, digest, SHA256_DIGEST_LENGTH);

    ctx->grid_key.len = p - ctx->grid_key.data;

    return NGX_OK;
}


/* the first segment of the path.  No control characters in the rest: the path
   is decoded, and a line end in it would read like an argument of the key */

static ngx_int_t
ngx_http_punit_grid_service(ngx_http_request_t *r, ngx_str_t *service)
{
    u_char  *p, *last;

    p = r->uri.data;
    last = p + r->uri.len;

    if (p == last || *p != '/') {
        return NGX_DECLINED;
    }

    service->data = ++p;

    while (p < last && *p != '/') {

        if (!((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
              || *p == '-' || *p == '_'))
        {
            return NGX_DECLINED;
        }

        p++;
    }

    service->len = p - service->data;

    if (service->len == 0 || service->len > NGX_HTTP_PUNIT_ID_MAX) {
        return NGX_DECLINED;
    }

    for ( /* void */ ; p < last; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* takes the arguments apart as they came; one that is repeated, has no "=" or
   is not in the list makes the request one that is not cached */

static ngx_int_t
ngx_http_punit_grid_args(ngx_http_request_t *r, ngx_array_t *names,
    ngx_str_t *values, ngx_uint_t *present)
{
    u_char      *p, *end, *eq, *last;
    ngx_str_t   *name;
    ngx_uint_t   i, n;

    n = names ? names->nelts : 0;
    name = names ? names->elts : NULL;

    p = r->args.data;
    last = p + r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');
        if (eq == NULL) {
            return NGX_DECLINED;
        }

        for (i = 0; i < n; i++) {
            if (name[i].len == (size_t) (eq - p)
                && ngx_memcmp(name[i].data, p, name[i].len) == 0)
            {
                break;
            }
        }

        if (i == n || (*present & ((ngx_uint_t) 1 << i))) {
            return NGX_DECLINED;
        }

        *present |= (ngx_uint_t) 1 << i;

        values[i].data = eq + 1;
        values[i].len = end - (eq + 1);
    }

    return NGX_OK;
}


/* NGX_AGAIN: waits; NGX_DONE: answered; NGX_DECLINED: go on to the worker */

ngx_int_t
ngx_http_punit_document_handler(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx)
{
    ngx_str_t  keys[2];

    if (ctx->looked) {

        if (ctx->document.data == NULL) {
            return NGX_DECLINED;
        }

        return ngx_http_punit_document_send(r, ctx);
    }

    ctx->looked = 1;

    keys[0].len = sizeof("punit:gen:") - 1 + ctx->service.len;
    keys[0].data = ngx_pnalloc(r->pool, keys[0].len);
    if (keys[0].data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_sprintf(keys[0].data, "punit:gen:%V", &ctx->service);

    keys[1] = ctx->grid_key;

    if (ngx_http_punit_grid_get(ctx->plcf->grid, r, keys, 2,
                                ngx_http_punit_document_found, ctx)
        != NGX_AGAIN)
    {
        ngx_http_punit_count(r, grid_failed);
        return NGX_DECLINED;
    }

    ngx_http_punit_wait(r, ctx);

    return NGX_AGAIN;
}


static void
ngx_http_punit_document_found(ngx_http_request_t *r, void *data,
    ngx_http_punit_grid_value_t *values, ngx_uint_t n, ngx_int_t rc)
{
    ngx_http_punit_ctx_t  *ctx = data;

    u_char    *p;
    size_t     i;
    uint32_t   flags;

    if (!values[0].known || !values[1].known) {
        ngx_http_punit_count(r, grid_failed);
        goto done;
    }

    if (!values[0].found || values[0].data.len == 0) {
        goto miss;
    }

    /* client flags of a document: generation mod 2^32, and 0 is not used */

    flags = 0;
    p = values[0].data.data;

    for (i = 0; i < values[0].data.len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            goto miss;
        }

        flags = flags * 10 + (p[i] - '0');
    }

    if (flags == 0) {
        flags = 1;
    }

    if (values[1].found && values[1].flags == flags) {
        ctx->document = values[1].data;
        ngx_http_punit_count(r, grid_hits);
        goto done;
    }

    if (values[1].found
        && ngx_http_punit_document_previous(r, ctx, &values[1].data)
           == NGX_OK)
    {
        ctx->document = values[1].data;
        ngx_http_punit_count(r, grid_stale);
        goto done;
    }

miss:

    ngx_http_punit_count(r, grid_misses);

done:

    ngx_http_punit_resume(r, ctx);
}


/*
 * May the previous document be shown?  Only while another request refills, and
 * not to a client whose If-None-Match says that it has had another one.
 * NGX_OK, or NGX_DECLINED: this request goes to the worker.
 */

static ngx_int_t
ngx_http_punit_document_previous(ngx_http_request_t *r,
    ngx_http_punit_ctx_t *ctx, ngx_str_t *document)
{
    uint32_t                     hash;
    ngx_int_t                    rc;
    ngx_str_t                    etag, type, body, *match;
    ngx_http_punit_main_conf_t  *pmcf;

    if (ctx->plcf->grid_stale == 0) {
        return NGX_DECLINED;
    }

    pmcf = ngx_http_get_module_main_conf(r, ngx_http_punit_module);

    hash = ngx_crc32_short(ctx->grid_key.data, ctx->grid_key.len);

    rc = ngx_http_punit_refill_claim(ngx_http_punit_zone(pmcf), hash,
                                     ctx->plcf->grid_stale);

    if (rc == NGX_OK) {
        ctx->refill = hash ? hash : 1;
        return NGX_DECLINED;
    }

    if (ngx_http_punit_document_parse(document, &etag, &type, &body)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (r->headers_in.if_none_match) {
        match = &r->headers_in.if_none_match->value;

        /* a header's value ends with NUL, the grid's etag does not */

        if (ngx_strstrn(match->data, (char *) etag.data, etag.len - 1)
            == NULL)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/* "<etag>" <content type> LF body; etag keeps its quotes */

static ngx_int_t
ngx_http_punit_document_parse(ngx_str_t *document, ngx_str_t *etag,
    ngx_str_t *type, ngx_str_t *body)
{
    u_char  *p, *last, *lf;

    p = document->data;
    last = p + document->len;

    lf = ngx_strlchr(p, last, LF);

    if (lf == NULL || *p != '"') {
        return NGX_DECLINED;
    }

    etag->data = p;

    for (p++; p < lf && *p != '"'; p++) {
        if (*p <= 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    if (lf - p < 3 || p[1] != ' ') {
        return NGX_DECLINED;
    }

    etag->len = ++p - etag->data;

    type->data = ++p;
    type->len = lf - p;

    for ( /* void */ ; p < lf; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            return NGX_DECLINED;
        }
    }

    body->data = lf + 1;
    body->len = last - (lf + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_document_send(ngx_http_request_t *r, ngx_http_punit_ctx_t *ctx)
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    ngx_str_t         etag, body;
    ngx_chain_t       out;
    ngx_table_elt_t  *h;

    if (ngx_http_punit_document_parse(&ctx->document, &etag,
                                      &r->headers_out.content_type, &body)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "grid entry \"%V\" is not a document", &ctx->grid_key);
        ngx_str_null(&r->headers_out.content_type);
        return NGX_DECLINED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->route = NGX_HTTP_PUNIT_ROUTE_GRID;
    ctx->step = NGX_HTTP_PUNIT_STEP_SENT;

    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = body.len;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    ngx_str_set(&h->key, "ETag");
    h->value = etag;
    r->headers_out.etag = h;

    /* nginx's own filter answers If-None-Match with 304 */

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return NGX_DONE;
    }

    b->pos = body.data;
    b->last = body.data + body.len;
    b->memory = (body.len != 0);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;
    b->sync = (body.len == 0 && r != r->main);

    out.buf = b;
    out.next = NULL;

    ngx_http_finalize_request(r, ngx_http_output_filter(r, &out));

    return NGX_DONE;
}


/* a slot each, found by hash: another document's refill in the same slot means
   that this one is refilled by more than one request, no harm */

ngx_int_t
ngx_http_punit_refill_claim(ngx_http_punit_zone_t *zone, uint32_t hash,
    ngx_msec_t last)
{
    ngx_int_t                 rc;
    ngx_http_punit_refill_t  *refill;

    if (hash == 0) {
        hash = 1;
    }

    refill = &zone->sh->refills[hash % NGX_HTTP_PUNIT_REFILLS];
    rc = NGX_OK;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (refill->hash == hash
        && (ngx_msec_int_t) (refill->until - ngx_current_msec) > 0)
    {
        rc = NGX_BUSY;

    } else {
        refill->hash = hash;
        refill->until = ngx_current_msec + last;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}


void
ngx_http_punit_refill_done(ngx_http_punit_zone_t *zone, uint32_t hash)
{
    ngx_http_punit_refill_t  *refill;

    refill = &zone->sh->refills[hash % NGX_HTTP_PUNIT_REFILLS];

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (refill->hash == hash) {
        refill->hash = 0;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}
