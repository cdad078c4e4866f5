
/* The keys of a configuration, from a directory and from JWKS files. */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http_punit_jwks.h>
#include <ngx_http_punit_key_set.h>
#include <openssl/crypto.h>


#define NGX_HTTP_PUNIT_KEY_FILE_MAX   65536
#define NGX_HTTP_PUNIT_JWKS_FILE_MAX  1048576


static void ngx_http_punit_key_set_cleanup(void *data);
static ngx_int_t ngx_http_punit_key_set_entry(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys, ngx_str_t *dir, u_char *name, size_t len);
static ngx_int_t ngx_http_punit_key_set_file(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys, ngx_str_t *path, ngx_str_t *kid,
    const ngx_http_punit_alg_t *alg);
static ngx_int_t ngx_http_punit_key_set_read(ngx_conf_t *cf, ngx_str_t *path,
    size_t max, ngx_str_t *text);
static ngx_int_t ngx_http_punit_key_set_duplicate(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys, ngx_uint_t first, ngx_str_t *path);
static int ngx_libc_cdecl ngx_http_punit_key_set_cmp(const void *one,
    const void *two);


ngx_http_punit_key_set_t *
ngx_http_punit_key_set_create(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t        *cln;
    ngx_http_punit_key_set_t  *keys;

    keys = ngx_pcalloc(cf->pool, sizeof(ngx_http_punit_key_set_t));
    if (keys == NULL) {
        return NULL;
    }

    if (ngx_array_init(&keys->keys, cf->pool, 8, sizeof(ngx_http_punit_key_t))
        != NGX_OK)
    {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_punit_key_set_cleanup;
    cln->data = keys;

    return keys;
}


static void
ngx_http_punit_key_set_cleanup(void *data)
{
    ngx_http_punit_key_set_t  *keys = data;

    ngx_uint_t             i;
    ngx_http_punit_key_t  *key;

    key = keys->keys.elts;

    for (i = 0; i < keys->keys.nelts; i++) {
        ngx_http_punit_key_free(&key[i]);
    }

    keys->keys.nelts = 0;
}


ngx_int_t
ngx_http_punit_key_set_dir(ngx_conf_t *cf, ngx_http_punit_key_set_t *keys,
    ngx_str_t *dir)
{
    ngx_int_t    rc;
    ngx_dir_t    d;
    ngx_uint_t   n;

    if (ngx_open_dir(dir, &d) == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_dir_n " \"%V\" failed, expected a "
                           "directory of keys", dir);
        return NGX_ERROR;
    }

    rc = NGX_OK;
    n = keys->keys.nelts;

    while (rc == NGX_OK) {
        ngx_set_errno(0);

        if (ngx_read_dir(&d) == NGX_ERROR) {

            if (ngx_errno != NGX_ENOMOREFILES) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                                   ngx_read_dir_n " \"%V\" failed", dir);
                rc = NGX_ERROR;
            }

            break;
        }

        rc = ngx_http_punit_key_set_entry(cf, keys, dir, ngx_de_name(&d),
                                          ngx_de_namelen(&d));
    }

    if (ngx_close_dir(&d) == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_dir_n " \"%V\" failed", dir);
    }

    if (rc == NGX_OK && keys->keys.nelts == n) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no key in \"%V\", expected files named "
                           "<kid>.<alg>.pem or <kid>.HS256.secret", dir);
        rc = NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_punit_key_set_entry(ngx_conf_t *cf, ngx_http_punit_key_set_t *keys,
    ngx_str_t *dir, u_char *name, size_t len)
{
    u_char                      *p, *dot, *end;
    ngx_int_t                    rc;
    ngx_str_t                    path, kid;
    ngx_uint_t                   secret;
    const ngx_http_punit_alg_t  *alg;

    if (name[0] == '.') {
        /* The directory, its parent, and files that are being written. */
        return NGX_OK;
    }

    end = name + len;
    secret = 0;

    if (len > 4 && ngx_strncmp(end - 4, ".pem", 4) == 0) {
        end -= 4;

    } else if (len > 7 && ngx_strncmp(end - 7, ".secret", 7) == 0) {
        end -= 7;
        secret = 1;

    } else {
        ngx_conf_log_error(NGX_LOG_NOTICE, cf, 0,
                           "\"%V/%*s\" is no key by its name, ignored", dir,
                           len, name);
        return NGX_OK;
    }

    path.len = dir->len + 1 + len;
    path.data = ngx_pnalloc(cf->pool, path.len + 1);
    if (path.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(path.data, dir->data, dir->len);
    *p++ = '/';
    p = ngx_cpymem(p, name, len);
    *p = '\0';

    /* kid may contain dots. */

    for (dot = end - 1; dot > name && *dot != '.'; dot--) { /* void */ }

    alg = (dot > name) ? ngx_http_punit_key_alg(dot + 1, end - dot - 1) : NULL;

    if (alg == NULL
        || (alg->family == NGX_HTTP_PUNIT_HMAC) != (secret == 1))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of key \"%V\", expected "
                           "<kid>.<alg>.pem with alg one of ES256, ES384, "
                           "ES512, RS256, RS384, RS512, PS256, PS384, PS512, "
                           "EdDSA, or <kid>.HS256.secret", &path);
        return NGX_ERROR;
    }

    kid.len = dot - name;
    kid.data = path.data + dir->len + 1;

    rc = ngx_http_punit_key_set_file(cf, keys, &path, &kid, alg);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_punit_key_set_duplicate(cf, keys, keys->keys.nelts - 1,
                                            &path);
}


static ngx_int_t
ngx_http_punit_key_set_file(ngx_conf_t *cf, ngx_http_punit_key_set_t *keys,
    ngx_str_t *path, ngx_str_t *kid, const ngx_http_punit_alg_t *alg)
{
    ngx_int_t                    rc;
    ngx_str_t                    text;
    ngx_http_punit_key_t        *key;
    ngx_http_punit_key_error_t   err;

    if (ngx_http_punit_key_set_read(cf, path, NGX_HTTP_PUNIT_KEY_FILE_MAX,
                                    &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    key = ngx_array_push(&keys->keys);
    if (key == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(key, sizeof(ngx_http_punit_key_t));

    key->kid = *kid;
    key->alg = alg;

    if (alg->family == NGX_HTTP_PUNIT_HMAC) {
        rc = ngx_http_punit_key_secret(key, text.data, text.len, &err);

    } else {
        rc = ngx_http_punit_key_pem(key, text.data, text.len, &err);
    }

    OPENSSL_cleanse(text.data, text.len);

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "key \"%V\": %s", path,
                           err.text);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_punit_key_set_jwks(ngx_conf_t *cf, ngx_http_punit_key_set_t *keys,
    ngx_str_t *file)
{
    ngx_str_t                    text;
    ngx_uint_t                   i, n, skipped;
    ngx_array_t                  bad;
    ngx_http_punit_key_error_t   err, *fault;

    if (ngx_http_punit_key_set_read(cf, file, NGX_HTTP_PUNIT_JWKS_FILE_MAX,
                                    &text)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    n = keys->keys.nelts;

    if (ngx_array_init(&bad, cf->temp_pool, 4,
                       sizeof(ngx_http_punit_key_error_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_punit_jwks_parse(cf->pool, &keys->keys, text.data, text.len,
                                  &skipped, &bad, &err)
        != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "keys of \"%V\": %s", file,
                           err.text);
        return NGX_ERROR;
    }

    fault = bad.elts;

    for (i = 0; i < bad.nelts; i++) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "a key of \"%V\" is skipped: %s", file,
                           fault[i].text);
    }

    if (keys->keys.nelts == n) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no key in \"%V\" (%ui skipped), expected a JWK "
                           "Set with keys to verify signatures with",
                           file, skipped + bad.nelts);
        return NGX_ERROR;
    }

    if (skipped) {
        ngx_conf_log_error(NGX_LOG_NOTICE, cf, 0,
                           "%ui keys of \"%V\" skipped: they are for "
                           "something else, or of an algorithm that is not "
                           "supported", skipped, file);
    }

    return ngx_http_punit_key_set_duplicate(cf, keys, n, file);
}


static ngx_int_t
ngx_http_punit_key_set_read(ngx_conf_t *cf, ngx_str_t *path, size_t max,
    ngx_str_t *text)
{
    off_t            size;
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_int_t        rc;
    ngx_file_info_t  fi;

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", path);
        goto done;
    }

    size = ngx_file_size(&fi);

    if (!ngx_is_file(&fi) || size == 0 || size > (off_t) max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" expected to be a file of 1 to %uz bytes",
                           path, max);
        goto done;
    }

    text->len = (size_t) size;
    text->data = ngx_pnalloc(cf->temp_pool, text->len);
    if (text->data == NULL) {
        goto done;
    }

    n = ngx_read_fd(fd, text->data, text->len);

    if (n != (ssize_t) text->len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, (n == -1) ? ngx_errno : 0,
                           ngx_read_fd_n " \"%V\" failed", path);
        goto done;
    }

    rc = NGX_OK;

done:

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", path);
    }

    return rc;
}


/* Two keys of one kid: the choice between them would be random. */

static ngx_int_t
ngx_http_punit_key_set_duplicate(ngx_conf_t *cf,
    ngx_http_punit_key_set_t *keys,
    ngx_uint_t first, ngx_str_t *path)
{
    ngx_uint_t             i, k;
    ngx_http_punit_key_t  *key;

    key = keys->keys.elts;

    for (i = first; i < keys->keys.nelts; i++) {

        if (key[i].kid.len == 0) {
            continue;
        }

        for (k = 0; k < i; k++) {
            if (key[k].kid.len == key[i].kid.len
                && ngx_memcmp(key[k].kid.data, key[i].kid.data,
                              key[i].kid.len)
                   == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate key \"%V\" in \"%V\", expected "
                                   "each kid once", &key[i].kid, path);
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_punit_key_set_seal(ngx_conf_t *cf, ngx_http_punit_key_set_t *keys)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    EVP_MD_CTX            *ctx;
    ngx_http_punit_key_t  *key;

    if (keys->keys.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no keys, expected \"punit_keys\" or "
                           "\"punit_jwks\"");
        return NGX_ERROR;
    }

    /* A directory has no order, and the digest must not depend on it. */

    ngx_qsort(keys->keys.elts, keys->keys.nelts, sizeof(ngx_http_punit_key_t),
              ngx_http_punit_key_set_cmp);

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    key = keys->keys.elts;
    rc = EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);

    for (i = 0; rc == 1 && i < keys->keys.nelts; i++) {
        rc = EVP_DigestUpdate(ctx, key[i].digest, NGX_HTTP_PUNIT_DIGEST_LEN);
    }

    if (rc == 1) {
        rc = EVP_DigestFinal_ex(ctx, keys->digest, NULL);
    }

    EVP_MD_CTX_free(ctx);

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


static int ngx_libc_cdecl
ngx_http_punit_key_set_cmp(const void *one, const void *two)
{
    const ngx_http_punit_key_t  *first, *second;

    first = one;
    second = two;

    return ngx_memcmp(first->digest, second->digest,
                      NGX_HTTP_PUNIT_DIGEST_LEN);
}
