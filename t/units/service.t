#!/usr/bin/perl
# A new service is a folder of workers/, a file of sql/ and a line of conf/services. A copy of the
# tree gets all three, and nothing else in it is changed.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Test::More;

use Punit::File qw(append);
use Punit::Server qw(directory);
use Punit::Tree qw(root);
use Punit::Units;
use Punit::Wait qw(wait_until);

my $source = root();
my $tree = directory('tree');

# With what was built already, so that only the new service is compiled.
my @parts = (
    qw(Makefile VERSION config conf debian/changelog demo doc/man guard),
    qw(ngx_punit_module punitctl sql workers),
    grep { -e "$source/$_" }
        map {"build/$_"} qw(bin guard lib obj nginx/.configured ngx_http_punit_module.so)
);
system("cd '$source' && tar -c @parts | tar -x -p -C '$tree'") == 0 or die "copy: $?";

sub write_file {
    my ($path, $content) = @_;
    make_path(dirname("$tree/$path"));
    return append("$tree/$path", $content);
}

write_file('conf/services', "trails    /trails /huts\n");
write_file('workers/trails/trails.c', <<'EOF_C');
/* Trails: the demonstration of a service. */
#include "lib/http/service.h"

static const punit_route_t routes[] = {
    { "GET", "/trails/{id:uuid}", PUNIT_REFERENCE,
      .sql = "select row_to_json(t) as body from (select id, name from trails.trail) t"
             " where t.id = $1",
      .bind = { PUNIT_P_PATH("id") } },
    { "GET", "/huts", PUNIT_PUBLIC, .sql = "select json_build_array('hut') as body" },
    { 0 },
};

static const punit_service_t service = { .name = "trails", .routes = routes };


int
main(int argc, char **argv)
{
    return punit_service_run(&service, argc, argv);
}
EOF_C
write_file('workers/trails/locations.conf', <<'EOF_CONF');
location /trails/ {
    punit_scope  reference;
    punit_grid   punit_grid;
}
location = /huts  { punit_scope  public; }
EOF_CONF
write_file('sql/tables/890-trails.sql', <<'EOF_SQL');
-- Trails: the demonstration of a service.
create schema trails;
create role punit_trails login;
grant punit_service to punit_trails;
grant usage on schema trails to punit_trails;
create table trails.trail (
    origin_unit text not null default punit.self(),
    id          uuid not null default gen_random_uuid(),
    name        text not null,
    primary key (origin_unit, id)
);
comment on table trails.trail is 'one trail, reference data';
insert into punit.reference_table (tab, service) values ('trails.trail', 'trails');
grant select on trails.trail to punit_trails;
EOF_SQL

is(system("'$source/t/lint/services' '$tree'"), 0, 'the list of services is in order');

my $units = Punit::Units->start(units => ['eu', 'us'], source => $tree);
is($units->admin('eu', '/trails/health')->{status}, 200,
    'NGINX knows the new service, and it answers');
is($units->http('eu', GET => '/huts')->{content}, '["hut"]', 'under its second path too');

my ($status, $state) = $units->punitctl('eu', 'status', '--json');
is_deeply(
    [map { $_->{state} } grep { $_->{name} eq 'trails' } @{ decode_json($state)->{processes} }],
    ['up'],
    'punitctl status lists its process'
);

my ($id) = $units->dbh('eu')
    ->selectrow_array(q{insert into trails.trail (name) values ('Karwendel') returning id});
my $token = $units->http(
    'eu', POST => '/auth/register', undef,
    { email => 'ada@example.org', password => 'correct horse battery', name => 'Ada' }
)->{json}{access_token};
is($units->http('eu', GET => "/trails/$id")->{status}, 401, 'its reference data needs a token');
is($units->http('eu', GET => "/trails/$id", $token)->{json}{name}, 'Karwendel', 'which a user has');
ok(
    wait_until(
        sub {
            ($units->http('us', GET => "/trails/$id", $token)->{headers}{'punit-route'} // '') eq
                'grid'
        },
        10
    ),
    'and the grid of the other unit answers too'
);

is(system("make -s -C '$tree' install prefix=/usr DESTDIR='$tree/root' >/dev/null"), 0,
    'it is installed');
like(
    scalar qx(cat '$tree/root/usr/share/punit/conf/systemd/punit.target'),
    qr/\bpunit\@trails\.service\b/,
    'and systemd starts it'
);

# ---- a service that is listed twice
write_file('conf/services', "trails    /paths\n");
my $said = qx('$source/t/lint/services' '$tree' 2>&1);
isnt($?, 0, 'make lint refuses a service that is listed twice');
like($said, qr/trails is listed twice/, 'and names it');
$said = qx(PUNIT_SHARE='$tree' '$tree/build/bin/punitctl' status --dir '$units->{dir}/eu' 2>&1);
like($said, qr/service trails is there twice/, 'so does punitctl');

done_testing;
