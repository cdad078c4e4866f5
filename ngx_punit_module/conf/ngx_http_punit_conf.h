
/* Setters of directives and what they share; creating and merging. */


#ifndef _NGX_HTTP_PUNIT_CONF_H_INCLUDED_
#define _NGX_HTTP_PUNIT_CONF_H_INCLUDED_


#include <ngx_http_punit.h>


/* Logs a wrong value and what was expected; gives NGX_CONF_ERROR. */

char *ngx_http_punit_conf_expected(ngx_conf_t *cf, ngx_str_t *value,
    const char *what);


/* Is the only argument "off"? */

ngx_uint_t ngx_http_punit_conf_is_off(ngx_conf_t *cf);


/* Is it a name of a header, cookie, claim or argument?  NGX_OK or
   NGX_DECLINED. */

ngx_int_t ngx_http_punit_conf_name(u_char *p, size_t len);


/* The arguments of a directive, which were checked; NULL without memory. */

ngx_array_t *ngx_http_punit_conf_words(ngx_conf_t *cf);


/* ngx_http_punit_conf.c: setters of fields of a location */

char *ngx_http_punit_conf_text(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_uuid_claims(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_audience(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_time(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_named(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_choice(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_uri(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* ngx_http_punit_conf_unit.c: what a unit has once */

char *ngx_http_punit_conf_unit_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_unit_state(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_unit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_unit_peer(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_unit_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_unit_listener(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_unit_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* ngx_http_punit_conf_token_source.c, _access.c, _grid.c and _move.c */

char *ngx_http_punit_conf_token_source(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_access_scope(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_access_require(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_grid(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_punit_conf_grid_args(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_grid_near(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_punit_conf_move(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* ngx_http_punit_merge.c */

void *ngx_http_punit_merge_create_main(ngx_conf_t *cf);
char *ngx_http_punit_merge_init_main(ngx_conf_t *cf, void *conf);
void *ngx_http_punit_merge_create_srv(ngx_conf_t *cf);
char *ngx_http_punit_merge_srv(ngx_conf_t *cf, void *parent, void *child);
void *ngx_http_punit_merge_create_loc(ngx_conf_t *cf);
char *ngx_http_punit_merge_loc(ngx_conf_t *cf, void *parent, void *child);


#endif /* _NGX_HTTP_PUNIT_CONF_H_INCLUDED_ */
