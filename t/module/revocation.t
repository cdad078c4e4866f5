# Revocation: the token grid, the auth worker when that does not know, and what is refused when
# nobody does.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Socket::UNIX;
use Time::HiRes qw(sleep time);

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Grid;
use Punit::Token;
use Punit::Tries;
use Punit::Wait qw(patience);

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256('eu-1');

my $socket = $n->dir . '/tokens.sock';
my $memcached = Punit::Grid->new($socket);
my $worker = Punit::Backend->new(
    sub { [200, [], $_[0]{method} . ' ' . $_[0]{body} . ' ' . ($_[0]{headers}{'x-user'} // '')] });

# what the auth worker says is chosen by the token's sid
my $auth = Punit::Backend->new(sub {
    my $sid = $_[0]{headers}{'x-sid'} // '';
    return [200, ['Content-Type' => 'application/json'], '{"active":true,"x":1}'] if $sid =~ /good/;
    return [200, ['Content-Type' => 'application/json'], '{"active":false,"reason":"revoked"}']
        if $sid =~ /ended/;
    return [200, [], 'active'] if $sid =~ /garbage/;
    return [200, [], '{"active":1}'] if $sid =~ /number/;
    return [200, [], 'x' x 100_000] if $sid =~ /large/;
    return [200, ['Content-Length' => 99], '{"active":true}'] if $sid =~ /broken/;
    return if $sid =~ /silent/;
    return [503, [], '{}'];
});

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_keys keys;
    punit_token_grid unix:$socket;
    punit_token_recheck 300ms;
    punit_introspect /introspect;
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        location / { punit_scope user; }
        location /public { punit_scope public; }
        location /off { punit_scope user; punit_token_check off; }
        location = /introspect {
            internal;
            proxy_pass http://127.0.0.1:@{[$auth->port]};
            proxy_pass_request_body off;
            proxy_set_header X-Sid \$punit_claim_sid;
            proxy_set_header X-Jti \$punit_jti;
            proxy_read_timeout @{[patience(1)]}s;
        }
        location \@local { proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_set_header X-User \$punit_user; }
    }
    server {
        listen 127.0.0.1:@{[$n->port('alone')]};
        punit_introspect off;
        punit_local \@local;
        location / { punit_scope user; }
        location \@local { return 200 alone; }
    }
EOF_CONF
$n->start;

sub ask {
    my ($token, %o) = @_;
    return $n->ask(
        $o{method} // 'GET', $o{path} // '/x',
        token => $token, body => $o{body}, port => $o{port} // 'http'
    );
}

sub cache {
    my ($jti, $value) = @_;
    my $s = IO::Socket::UNIX->new(Peer => $socket) or die "memcached: $!";
    print $s "set punit:tok:$jti 0 0 " . length($value) . "\r\n$value\r\n";
    $s->flush;
    <$s>;
    return;
}

sub asked { return scalar $auth->requests }

my ($jti, $token);
my $kept = sub {
    $jti = Punit::Token::uuid();
    $token = $keys->token(jti => $jti, sid => 'bad');
    cache($jti, 'ok');
    is(ask($token)->{status}, 200, 'a token that the grid knows is good');
    is(asked(), 0, 'without asking the auth worker');
    cache($jti, 'revoked');
    return ask($token)->{status} == 200;
};
ok(some_try($kept), 'within punit_token_recheck nothing is asked again');
sleep 0.35;
my $a = ask($token);
is($a->{status}, 401, 'after it a revoked token is refused');
is($a->{json}{detail}, 'revoked', 'as revoked');
like($a->{headers}{'www-authenticate'}, qr/invalid_token/, 'RFC 6750');
is(ask($token)->{status}, 401, 'and stays so');
is(ask($token, path => '/off')->{status}, 200, 'punit_token_check off does not ask');
is(ask($token, path => '/public')->{body}, 'GET  ', 'public: goes on without a user');

my $good;
my $known = sub {
    $auth->forget;
    $good = $keys->token(sid => 'good', sub => 'a-user');
    is(ask($good)->{status}, 200, 'unknown in the grid: the auth worker is asked');
    is(asked(), 1, 'once');
    is(ask($good)->{status}, 200, 'and not again');
    return asked() == 1;
};
ok(some_try($known), 'within punit_token_recheck');
sleep 0.35;
$a = ask($good, method => 'POST', body => 'body' x 10_000);
is($a->{body}, 'POST ' . 'body' x 10_000 . ' a-user',
    'a request with a body is asked about and keeps it');
is(asked(), 2, 'again after it');
my ($req) = $auth->requests;
is($req->{method}, 'GET', 'with a GET');
is($req->{headers}{'content-length'}, undef, 'without a body');
is(ask($keys->token(sid => 'ended'))->{status}, 401, 'ended in the database: 401');
for my $sid (qw(garbage number large broken silent other)) {
    $a = ask($keys->token(sid => $sid));
    is($a->{status}, 503, "no answer to rely on ($sid): 503");
    is($a->{headers}{'retry-after'}, 1, 'with Retry-After');
}
is(ask($keys->token(sid => 'other'), path => '/public')->{status}, 200, 'public: without a user');
is(ask($keys->token(sid => 'other'), port => 'alone')->{status}, 200,
    'without punit_introspect: not knowing is no refusal');

cache('j' x 200, 'revoked');
is(ask($keys->token(jti => 'j' x 200, sid => 'good'))->{status}, 401,
    'the longest jti there may be is found');

$memcached->stop;
my $before = asked();
my $other = $keys->token(sid => 'good');
is(ask($other)->{status}, 200, 'memcached down: the auth worker is asked');
is(asked(), $before + 1, 'once');
sleep 0.4;
is(ask($other)->{status}, 200, 'then rarely');
is(asked(), $before + 1, 'not after punit_token_recheck already');
$auth->stop;
is(ask($keys->token(sid => 'good'))->{status}, 503, 'the auth worker down, too: 503');
is(ask($other)->{status}, 200, 'but not for a token that was found good');

is($n->stop, '', 'the log is clean');
done_testing;
