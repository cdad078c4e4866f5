# Punit-Token: for who is served here and whose token names another unit or an older epoch.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Time::HiRes qw(sleep time);

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Token;
use Punit::Tries;

my $n = Punit::Nginx->new(workers => 2);
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1);

my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    return [$req->{uri} =~ /created/ ? 201 : 200,
        ['Punit-Owner' => 'eu; epoch=2', 'Punit-Token' => 'worker'], $req->{body}];
});
my $us = Punit::Backend->new(
    sub {
        $_[0]{uri} =~ /theirs[?](.*)/
            ? [200, ['Punit-Token' => $1, 'Cache-Control' => 'max-age=60']]
            : [421, ['Punit-Owner' => 'eu; epoch=2']]
    });
my $auth = Punit::Backend->new(sub {
    my $h = $_[0]{headers};
    return [421, ['Punit-Owner' => 'us; epoch=9']] if ($h->{'x-sid'} // '') =~ /moved/;
    return [200, [], "a token\nX: y"] if ($h->{'x-sid'} // '') =~ /garbage/;
    return [200, [], "new.$h->{'x-jti'}." . 'x' x 1000] if $h->{'x-jti'} =~ /^jti/;
    return [200, ['Content-Type' => 'application/jwt'], "new.$h->{'x-jti'}.$h->{'x-epoch'}"];
});

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_keys keys;
    punit_token_check off;
    punit_reissue /reissue;
    upstream us { server 127.0.0.1:@{[$us->port]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@forward;
        location / { punit_scope user; }
        location /reference { punit_scope reference; }
        location = /reissue {
            internal;
            proxy_pass http://127.0.0.1:@{[$auth->port]};
            proxy_set_header X-Sid \$punit_claim_sid;
            proxy_set_header X-Jti \$punit_jti;
            proxy_set_header X-Epoch \$punit_epoch;
        }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
        }
        location \@forward {
            proxy_pass http://\$punit_owner;
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 = \@follow;
        }
        location \@follow { punit_scope user; }
    }
EOF_CONF
$n->start;

sub ask {
    my ($token, %o) = @_;
    return $n->ask(
        $o{method} // 'GET', $o{path} // '/x',
        token => $token, body => $o{body});
}

my $jti = Punit::Token::uuid();
my $user = Punit::Token::uuid();
my $token = $keys->token(unit => 'us', epoch => 1, jti => $jti, sub => $user);
my $a = ask($token, method => 'POST', body => 'b' x 50_000);
is($a->{status}, 200, 'a user that has moved here is served here, after the 421 of the old unit');
is($a->{headers}{'punit-token'}, "new.$jti.2", 'and gets the token for this unit and epoch');
is($a->{headers}{'cache-control'}, 'no-store', 'which no cache may keep');
is(length $a->{body}, 50_000, 'the body came through');
is($a->{headers}{'punit-route'}, 'local', 'by the route local');

$a = ask($token) for 1 .. 5;
is($a->{headers}{'punit-token'}, "new.$jti.2",
    'repeated for a client that goes on with the old token');
is(scalar($auth->requests), 1, 'from the zone: the auth worker made it once');
is(scalar($us->requests), 1, 'and the old unit is not asked any more');
is(ask($keys->token(unit => 'eu', epoch => 2, sub => $user))->{headers}{'punit-token'}, undef,
    'with the new token there is none');
$a = ask($keys->token(unit => 'eu', epoch => 1, sub => $user));
like($a->{headers}{'punit-token'}, qr/^new\..*\.2$/, 'an older epoch of this unit gets one');
is(ask($token, path => '/reference')->{headers}{'punit-token'}, undef,
    'reference data brings none');

my $moved;
my $asked_once = sub {
    $auth->forget;
    $moved = $keys->token(unit => 'us', sid => 'moved');
    $a = ask($moved);
    is($a->{status}, 200, 'when none is made the request is served');
    is($a->{headers}{'punit-token'}, undef, 'without one');
    ask($moved) for 1 .. 5;
    return 1 == $auth->requests;
};
ok(some_try($asked_once), 'and it is not asked for again at once');
sleep 1.1;
ask($moved);
is(scalar($auth->requests), 2, 'but later');
is(ask($keys->token(unit => 'us', sid => 'garbage'))->{headers}{'punit-token'}, undef,
    'what is no token is not passed on');

# what a peer made
my $guest = Punit::Token::uuid();
my $good = $keys->token(unit => 'us', sub => $guest);
my ($part) = $good =~ /^(.*)[.]/;
for my $c (
    [$good, $good, 'no-store', 'the one that a peer made is passed on, and no cache may keep it'],
    [$keys->token(unit => 'us'), undef, 'max-age=60', "another user's is not"],
    [
        $keys->token(unit => 'us', sub => $guest, exp => time - 60),
        undef, 'max-age=60', 'nor an expired one'
    ],
    ["$part." . 'A' x 86, undef, 'max-age=60', 'nor one with another signature'],
    ['made.at.us', undef, 'max-age=60', 'nor what is no token'],
    )
{
    my ($theirs, $passed, $cache, $name) = @$c;
    $a = ask($keys->token(unit => 'us', sub => $guest), path => "/theirs?$theirs");
    is($a->{headers}{'punit-token'}, $passed, $name);
    is($a->{headers}{'cache-control'}, $cache, 'and Cache-Control is said once');
}

$auth->stop;
$a = ask($keys->token(unit => 'us'));
is("$a->{status} " . ($a->{headers}{'punit-token'} // 'none'), '200 none',
    'the auth worker down: served without one');
is(ask($token)->{headers}{'punit-token'}, "new.$jti.2", 'what was made is still there');

# so many tokens do not fit: the oldest go, nothing breaks
$auth->start;
my $failed = 0;
for my $i (1 .. 300) {
    my $t = $keys->token(unit => 'us', sub => $user, jti => "jti-$i-" . 'x' x 40);
    $failed++ if (ask($t)->{headers}{'punit-token'} // '') !~ /^new\.jti-$i-/;
}
is($failed, 0, 'a full zone makes room');

is($n->stop, '', 'the log is clean');
done_testing;
