
/*
 * The state file: peers that are marked down, one line "<id> down <since>"
 * each.  It is read when the zone is new (start, binary upgrade).  Each mark
 * writes a whole new file and renames it.
 */


#include <ngx_http_punit.h>
#include <ngx_http_punit_peer.h>
#include <ngx_http_punit_peer_state.h>
#include <ngx_http_punit_shm.h>
#include <ngx_http_punit_syntax.h>


#define NGX_HTTP_PUNIT_PEER_STATE_MAX                                         \
    (NGX_HTTP_PUNIT_PEERS_MAX                                                 \
     * (NGX_HTTP_PUNIT_UNIT_MAX + sizeof(" down \n") + NGX_TIME_T_LEN))


static ngx_int_t ngx_http_punit_peer_state_line(
    ngx_http_punit_main_conf_t *pmcf, u_char *p, u_char *last);
static ngx_int_t ngx_http_punit_peer_state_write(
    ngx_http_punit_main_conf_t *pmcf, ngx_http_punit_peer_t *peer,
    ngx_uint_t state, time_t since, ngx_log_t *log);
static ngx_int_t ngx_http_punit_peer_state_lock(ngx_http_punit_shm_t *sh);


ngx_int_t
ngx_http_punit_peer_state_load(ngx_http_punit_main_conf_t *pmcf,
    ngx_log_t *log)
{
    u_char     *p, *q, *last;
    ssize_t     n;
    ngx_err_t   err;
    ngx_file_t  file;
    ngx_uint_t  line;
    u_char      buf[NGX_HTTP_PUNIT_PEER_STATE_MAX];

    if (pmcf->state.len == 0) {
        return NGX_OK;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = pmcf->state;
    file.log = log;

    file.fd = ngx_open_file(pmcf->state.data, NGX_FILE_RDONLY, NGX_FILE_OPEN,
                            0);

    if (file.fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        if (err == NGX_ENOENT) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_EMERG, log, err,
                      ngx_open_file_n " punit_state \"%V\" failed",
                      &pmcf->state);
        return NGX_ERROR;
    }

    n = ngx_read_file(&file, buf, sizeof(buf), 0);

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &pmcf->state);
    }

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    line = 1;
    last = buf + n;

    for (p = buf; p < last; p = q + 1, line++) {

        q = ngx_strlchr(p, last, LF);
        if (q == NULL) {
            q = last;
        }

        if (ngx_http_punit_peer_state_line(pmcf, p, q) != NGX_OK) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "line %ui of punit_state \"%V\" is ignored, "
                          "expected \"<peer> down <seconds>\"",
                          line, &pmcf->state);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_punit_peer_state_line(ngx_http_punit_main_conf_t *pmcf, u_char *p,
    u_char *last)
{
    time_t                  since;
    u_char                 *q;
    ngx_str_t               id;
    ngx_http_punit_peer_t  *peer;

    q = ngx_strlchr(p, last, ' ');
    if (q == NULL) {
        return NGX_DECLINED;
    }

    id.data = p;
    id.len = q - p;

    if (last - q < 7 || ngx_strncmp(q, " down ", 6) != 0) {
        return NGX_DECLINED;
    }

    q += 6;

    since = ngx_atotm(q, last - q);
    if (since == (time_t) NGX_ERROR) {
        return NGX_DECLINED;
    }

    peer = ngx_http_punit_peer(pmcf, &id);
    if (peer == NULL) {
        return NGX_DECLINED;
    }

    peer->node->down = 1;
    peer->node->since = since;

    return NGX_OK;
}


/* The file comes first, so that what is answered holds. */

ngx_int_t
ngx_http_punit_peer_state_set(ngx_http_punit_main_conf_t *pmcf,
    ngx_http_punit_peer_t *peer, ngx_uint_t state, ngx_log_t *log)
{
    time_t                 since;
    ngx_int_t              rc;
    ngx_uint_t             down;
    ngx_http_punit_shm_t  *sh;

    sh = ngx_http_punit_zone(pmcf)->sh;

    if (ngx_http_punit_peer_state_lock(sh) != NGX_OK) {
        return NGX_BUSY;
    }

    down = (state == NGX_HTTP_PUNIT_PEER_DOWN);
    since = (peer->node->down == down) ? peer->node->since : ngx_time();

    rc = NGX_OK;

    if (pmcf->state.len) {
        rc = ngx_http_punit_peer_state_write(pmcf, peer, state, since, log);
    }

    if (rc == NGX_OK) {

        if (peer->node->down != down) {
            ngx_log_error(NGX_LOG_NOTICE, log, 0, "peer \"%V\" marked %s",
                          &peer->id, down ? "down" : "up");
        }

        peer->node->since = since;
        peer->node->down = down;
    }

    (void) ngx_atomic_cmp_set(&sh->writer, (ngx_atomic_uint_t) ngx_pid, 0);

    return rc;
}


static ngx_int_t
ngx_http_punit_peer_state_write(ngx_http_punit_main_conf_t *pmcf,
    ngx_http_punit_peer_t *peer, ngx_uint_t state, time_t since,
    ngx_log_t *log)
{
    u_char                 *p, *name;
    size_t                  len;
    ngx_fd_t                fd;
    ngx_uint_t              i, down;
    ngx_http_punit_peer_t  *peers;
    u_char                  buf[NGX_HTTP_PUNIT_PEER_STATE_MAX];

    p = buf;
    peers = pmcf->peers.elts;

    for (i = 0; i < pmcf->peers.nelts; i++) {

        down = (&peers[i] == peer) ? state == NGX_HTTP_PUNIT_PEER_DOWN
                                   : peers[i].node->down;
        if (!down) {
            continue;
        }

        p = ngx_sprintf(p, "%V down %T\n", &peers[i].id,
                        &peers[i] == peer ? since : peers[i].node->since);
    }

    len = p - buf;

    name = ngx_alloc(pmcf->state.len + sizeof(".") + NGX_INT64_LEN, log);
    if (name == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(name, "%V.%P%Z", &pmcf->state, ngx_pid);

    fd = ngx_open_file(name, NGX_FILE_WRONLY, NGX_FILE_TRUNCATE, 0644);

    if (fd == NGX_INVALID_FILE) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      ngx_open_file_n " \"%s\" failed", name);
        ngx_free(name);
        return NGX_ERROR;
    }

    if (ngx_write_fd(fd, buf, len) != (ssize_t) len || fsync(fd) == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      "writing \"%s\" failed", name);
        (void) ngx_close_file(fd);
        goto failed;
    }

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      ngx_close_file_n " \"%s\" failed", name);
        goto failed;
    }

    if (ngx_rename_file(name, pmcf->state.data) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_errno,
                      ngx_rename_file_n " \"%s\" to \"%V\" failed",
                      name, &pmcf->state);
        goto failed;
    }

    ngx_free(name);

    return NGX_OK;

failed:

    (void) ngx_delete_file(name);
    ngx_free(name);

    return NGX_ERROR;
}


/* The lock holds a pid, so that a dead worker leaves no lock behind. */

static ngx_int_t
ngx_http_punit_peer_state_lock(ngx_http_punit_shm_t *sh)
{
    ngx_atomic_uint_t  pid;

    pid = sh->writer;

    if (pid && (ngx_pid_t) pid != ngx_pid
        && !(kill((ngx_pid_t) pid, 0) == -1 && ngx_errno == ESRCH))
    {
        return NGX_BUSY;
    }

    if (!ngx_atomic_cmp_set(&sh->writer, pid, (ngx_atomic_uint_t) ngx_pid)) {
        return NGX_BUSY;
    }

    return NGX_OK;
}
