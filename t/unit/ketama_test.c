/* links: ngx_punit_module/grid/ngx_http_punit_ketama.c t/unit/nginx_shim.c */
#include <libmemcached/memcached.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ngx_http_punit_ketama.h>

#include "nginx_shim.h"

struct server {
    const char *host;
    unsigned    port, weight;
};


/* the same choice for 20,000 keys as the library that fills the grid */
static void
compare(const struct server *s, size_t n)
{
    static ngx_http_punit_ketama_point_t points[ngx_http_punit_ketama_room(16)];
    ngx_http_punit_ketama_server_t       servers[16];
    memcached_st                        *m = memcached_create(NULL);
    size_t                               count[16] = { 0 }, differ = 0;
    ngx_uint_t                           npoints, i;
    char                                 text[128];

    assert_int_equal(memcached_behavior_set(m, MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1),
                     MEMCACHED_SUCCESS);
    for (i = 0; i < n; i++) {
        servers[i].host = shim_str(s[i].host);
        servers[i].port = s[i].port;
        servers[i].weight = s[i].weight;
        if (s[i].host[0] == '/') {
            memcached_server_add_unix_socket_with_weight(m, s[i].host, s[i].weight);
        } else {
            memcached_server_add_with_weight(m, s[i].host, s[i].port, s[i].weight);
        }
    }
    npoints = ngx_http_punit_ketama_build(points, servers, n);
    assert_in_range(npoints, 1, ngx_http_punit_ketama_room(n));
    for (i = 0; i < 20000; i++) {
        ngx_str_t key = { snprintf(text, sizeof(text), "punit:doc:training:%064lx", i * 2654435761),
                          (u_char *) text };
        ngx_uint_t ours = ngx_http_punit_ketama_find(points, npoints, &key);

        differ += ours != memcached_generate_hash(m, text, key.len);
        count[ours]++;
    }
    memcached_free(m);
    assert_int_equal(differ, 0);
    for (i = 0; i < n; i++) {
        assert_in_range(count[i], 1, 20000);
    }
}


static void
one_server_holds_every_key(void **state)
{
    compare((struct server[]){ { "127.0.0.1", 11211, 1 } }, 1);
}


static void
servers_on_ports_are_chosen_as_by_libmemcached(void **state)
{
    compare((struct server[]){ { "127.0.0.1", 11212, 1 },
                               { "127.0.0.1", 11213, 1 },
                               { "10.0.0.7", 11211, 1 },
                               { "cache.example.org", 11300, 1 } },
            4);
}


static void
the_default_port_is_left_out_as_by_libmemcached(void **state)
{
    compare((struct server[]){ { "10.0.0.1", 11211, 1 },
                               { "10.0.0.2", 11211, 1 },
                               { "10.0.0.3", 11211, 1 } },
            3);
}


static void
weights_share_the_keys_as_by_libmemcached(void **state)
{
    compare((struct server[]){ { "10.0.0.1", 11211, 1 },
                               { "10.0.0.2", 11211, 2 },
                               { "10.0.0.3", 11212, 5 },
                               { "10.0.0.4", 11212, 3 },
                               { "10.0.0.5", 11212, 7 } },
            5);
}


static void
unix_sockets_are_chosen_as_by_libmemcached(void **state)
{
    compare((struct server[]){ { "/run/punit/grid-0.sock", 0, 1 },
                               { "/run/punit/grid-1.sock", 0, 1 },
                               { "/run/punit/grid-2.sock", 0, 2 } },
            3);
}


static void
sixteen_servers_are_chosen_as_by_libmemcached(void **state)
{
    struct server s[16];
    char          hosts[16][32];

    for (int i = 0; i < 16; i++) {
        snprintf(hosts[i], sizeof(hosts[i]), "10.1.%d.%d", i, 200 - i);
        s[i] = (struct server){ hosts[i], 11211 + i % 3, 1 + i % 4 };
    }
    compare(s, 16);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_server_holds_every_key),
        cmocka_unit_test(servers_on_ports_are_chosen_as_by_libmemcached),
        cmocka_unit_test(the_default_port_is_left_out_as_by_libmemcached),
        cmocka_unit_test(weights_share_the_keys_as_by_libmemcached),
        cmocka_unit_test(unix_sockets_are_chosen_as_by_libmemcached),
        cmocka_unit_test(sixteen_servers_are_chosen_as_by_libmemcached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
