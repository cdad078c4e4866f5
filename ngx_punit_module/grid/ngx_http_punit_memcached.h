
/*
 * The meta get of memcached (doc/protocol.txt, "Meta Get", memcached 1.6):
 * commands and answers.  Nothing here uses a connection.
 */


#ifndef _NGX_HTTP_PUNIT_MEMCACHED_H_INCLUDED_
#define _NGX_HTTP_PUNIT_MEMCACHED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_HTTP_PUNIT_MEMCACHED_KEY_MAX    250
#define NGX_HTTP_PUNIT_MEMCACHED_LINE_MAX   1024
#define NGX_HTTP_PUNIT_MEMCACHED_VALUE_MAX  (128 * 1024 * 1024)

/* Bytes of a command beside its key. */

#define NGX_HTTP_PUNIT_MEMCACHED_GET_LEN    (sizeof("mg  f v" CRLF) - 1)


typedef enum {
    NGX_HTTP_PUNIT_MEMCACHED_HIT = 0,
    NGX_HTTP_PUNIT_MEMCACHED_MISS,
    NGX_HTTP_PUNIT_MEMCACHED_TROUBLE           /* SERVER_ERROR: this answer */
} ngx_http_punit_memcached_e;


typedef struct {
    ngx_http_punit_memcached_e      kind;
    uint32_t                        flags;     /* client flags of a hit */
    size_t                          size;      /* octets of the value, which
                                                  CR LF follows */
    size_t                          head;      /* octets before the value */
} ngx_http_punit_memcached_answer_t;


/* Is it a valid key: 1..250 octets of 0x21..0x7e? */

ngx_uint_t ngx_http_punit_memcached_key(const ngx_str_t *key);

/* Writes the command at p; gives its end. */

u_char *ngx_http_punit_memcached_get(u_char *p, const ngx_str_t *key);

/*
 * Reads the first line of an answer.  NGX_OK: answer is filled; NGX_AGAIN: the
 * line is not complete; NGX_ERROR: this is no answer to a meta get, so the
 * rest of the stream cannot be trusted.
 */

ngx_int_t ngx_http_punit_memcached_parse(
    ngx_http_punit_memcached_answer_t *answer, const u_char *p, size_t len);


#endif /* _NGX_HTTP_PUNIT_MEMCACHED_H_INCLUDED_ */
