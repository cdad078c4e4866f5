# 421 and what comes after it: replayed where the user is, bounded, and never a way round.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Select;
use IO::Socket::INET;

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Token;
use Punit::Wait qw(patience);

my $n = Punit::Nginx->new;
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1 ap-1 zz-1 mute-1 dead-1 xx-1);

# as many tries as there are units, and eight more for hand-overs meanwhile
my $most = 6 + 8;

# every unit answers what the path tells it to: /user/<case>; %s is the unit
my %cases = (
    here => { eu => 200, us => ['Punit-Owner' => 'eu; epoch=2'], ap => 200 },
    us => { eu => ['Punit-Owner' => 'us; epoch=2'], us => 200 },
    round => {
        eu => ['Punit-Owner' => 'us; epoch=2'], us => ['Punit-Owner' => 'ap; epoch=3'], ap => 200
    },
    circle => { eu => ['Punit-Owner' => 'us; epoch=2'], us => ['Punit-Owner' => 'eu; epoch=2'] },
    # with an epoch one higher than the one it is asked with
    endless => { eu => 'us', us => 'ap', ap => 'eu' },
    given => { eu => 'us', us => 'eu' },    # hand-overs given up: there and back, until epoch 9
    # the same, but the last names a unit and epoch of before
    turn => { eu => 'us', us => 'ap', ap => 'eu' },
    itself => { us => ['Punit-Owner' => 'us; epoch=1'], eu => ['Punit-Owner' => 'us; epoch=2'] },
    higher => { us => ['Punit-Owner' => 'eu; epoch=4'], eu => ['Punit-Owner' => 'us; epoch=5'] },
    nobody => { eu => [], us => [] },
    stranger =>
        { eu => ['Punit-Owner' => 'mars; epoch=2'], us => ['Punit-Owner' => 'mars; epoch=2'] },
    garbage => { us => ['Punit-Owner' => 'eu epoch=2'] },
    down => { eu => ['Punit-Owner' => 'xx; epoch=2'] },
    author => { eu => ['Punit-Author' => 'us'], us => 200 },
    gone => { eu => ['Punit-Owner' => 'dead; epoch=7'] },
    status => { eu => ['Punit-Owner' => 'us; epoch=2'], us => 502 },
    x => { eu => ['Punit-Owner' => 'mute; epoch=2'] },
    mine => { eu => 200, us => 502 },                 # of the others, tokens or the cache speak
    unknown => { eu => 401 },
    last => { us => 'ap', ap => 'us', eu => 200 },    # 421 but for the last, when us is away
    behind => { us => ['Punit-Owner' => 'dead; epoch=7'], eu => ['Punit-Owner' => 'us; epoch=1'] },
    moved => { eu => ['Punit-Owner' => 'us; epoch=9'], us => 200 },
    broken => { eu => ['Punit-Owner' => 'us; epoch=2'], us => 'broken' },
    silent => { eu => ['Punit-Owner' => 'mute; epoch=2'] },
    authored => { eu => ['Punit-Author' => 'xx'] },
    busy => { us => 503 },
);

my (%unit, %count);
for my $unit (qw(eu us ap)) {
    $unit{$unit} = Punit::Backend->new(sub {
        my ($req) = @_;
        my ($case) = $req->{uri} =~ m{^/\w+/(\w+)} or return [404];
        my $a = $cases{$case}{$unit} // 500;
        my ($epoch) =
            ($req->{headers}{'punit-owner'} // $req->{headers}{'x-epoch'} // 0) =~ /(\d+)$/;
        my $on =
            [421, ['Punit-Owner' => "$a; epoch=" . (($epoch // 0) + 1)]]; # led on by a higher epoch
        return [200, ['Content-Length' => 100, 'Punit-Owner' => "$unit; epoch=8"], 'begun']
            if $a eq 'broken';
        return $on if $case eq 'endless';
        if ($case eq 'given') {
            return $on if $epoch < 9;
            $a = 200;
        }
        if ($case eq 'last' && $unit ne 'eu') {
            return $epoch < $most ? $on : [502];
        }
        if ($case eq 'turn') {
            return $epoch < $most ? $on : [421, ['Punit-Owner' => "$a; epoch=3"]];
        }
        $a = 200 if $case eq 'status' && ($req->{headers}{'x-route'} // '') eq 'stale';
        return [401, ['WWW-Authenticate' => 'Bearer error="invalid_token"'], 'unknown']
            if $a eq '401';
        $a = [200] if $case eq 'higher' && $unit eq 'us' && $count{ $req->{uri} }++;
        return [421, $a] if ref $a && (!@$a || $a->[0] ne '200');
        my $status = ref $a ? 200 : $a;
        return [$status, ['Punit-Owner' => "$unit; epoch=8"],
            "$unit:$req->{method}:" . length $req->{body}];
    });
}

my $dead = $n->foreign('dead');
my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16)
    or die "listen: $!";    # takes, and says nothing

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_peer ap;
    punit_peer xx down;
    punit_peer dead;
    punit_peer mute;
    punit_keys keys;
    punit_token_check off;
    client_max_body_size 1m;
    client_body_buffer_size 16k;
    upstream us { server 127.0.0.1:@{[$unit{us}->port]}; keepalive 4; }
    upstream ap { server 127.0.0.1:@{[$unit{ap}->port]}; keepalive 4; }
    upstream xx { server 127.0.0.1:$dead; }
    upstream dead { server 127.0.0.1:$dead; }
    upstream mute { server 127.0.0.1:@{[$mute->sockport]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@forward;
        location /public/ { punit_scope public; }
        location /reference/ { punit_scope reference; }
        location /user/ { punit_scope user; }
        location /copy/ { punit_scope user; punit_stale unreachable; }
        location /late/ { punit_scope user; punit_forward \@late; }
        location /fresh/ { punit_scope user; punit_stale off; }
        location /secret/ { punit_scope user; proxy_pass http://127.0.0.1:@{[$unit{eu}->port]};
            error_page 404 = \@inner; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$unit{eu}->port]};
            proxy_set_header X-Route \$punit_route;
            proxy_set_header X-Epoch \$punit_epoch;
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 \@follow;    # without "=" too, the status is that of the answer
        }
        location \@forward {
            proxy_pass http://\$punit_owner;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$punit_owner;
            proxy_set_header Punit-Owner \$punit_owner_hint;
            proxy_intercept_errors on;
            recursive_error_pages on;
            proxy_next_upstream off;
            error_page 421 502 504 = \@follow;
        }
        location \@late {
            proxy_pass http://\$punit_owner;
            proxy_read_timeout 300ms;
            proxy_intercept_errors on;
            recursive_error_pages on;
            error_page 421 502 504 = \@follow;
        }
        location \@follow { punit_scope user; }
        location \@inner { punit_scope user; proxy_pass http://127.0.0.1:@{[$unit{eu}->port]}; }
    }
    server {
        listen 127.0.0.1:@{[$n->port('lax')]};
        punit_local \@local;
        punit_forward \@local;
        location / { punit_scope user; }
        location \@local { proxy_pass http://127.0.0.1:@{[$unit{eu}->port]}; }
    }
EOF_CONF
$n->start;

sub ask {
    my ($method, $path, $unit, %o) = @_;
    my $token = $o{token} // $keys->token(unit => $unit, epoch => $o{epoch} // 1);
    return $n->ask(
        $method, $path,
        token => $token, headers => $o{headers}, body => $o{body}, port => $o{port} // 'http'
    );
}

sub tries {
    return map {
        my $u = $_; map {"$u $_->{method} $_->{uri}"} $unit{$u}->requests
    } qw(eu us ap)
}
sub forget { $_->forget for values %unit; return }

# the connection that waits at mute
sub taken {
    IO::Select->new($mute)->can_read(patience(10)) or die 'nobody asks';
    return $mute->accept;
}

my $a = ask(GET => '/user/us', 'eu');
is($a->{status}, 200, 'a 421 of the own worker is followed to the peer it names');
is($a->{headers}{'punit-route'}, 'forward', 'and the route is forward');
is($a->{headers}{'punit-unit'}, 'us', 'by that unit');
my ($req) = $unit{us}->requests;
is($req->{headers}{'punit-owner'}, 'us; epoch=2', 'which is told the epoch');

forget();
my $token = $keys->token(unit => 'eu');
ask(GET => '/user/us', 'eu', token => $token);
forget();
$a = ask(GET => '/user/us', 'eu', token => $token);
is(join(',', tries()), 'us GET /user/us',
    'what was learned is used: no second 421 for the same user');

forget();
$a = ask(GET => '/user/here', 'us');
is($a->{headers}{'punit-route'}, 'local', 'a 421 of a peer that names this unit leads here');
($req) = $unit{eu}->requests;
is($req->{headers}{'x-epoch'}, 2, 'with the epoch, so that the worker waits for it');

is(ask(GET => '/user/round', 'eu')->{body}, 'ap:GET:0', 'a second 421 is followed as well');

for my $size (10, 100_000, 900_000) {
    $a = ask(POST => '/user/round', 'eu', body => 'x' x $size);
    is($a->{body}, "ap:POST:$size", "a body of $size bytes is replayed whole");
}

forget();
$a = ask(POST => '/user/circle', 'eu', body => 'x');
is($a->{status}, 508, 'a unit that was tried is not tried again without a higher epoch');
is($a->{json}{type}, 'urn:punit:loop', 'the problem says so') or diag explain $a;
is(join(',', tries()), 'eu POST /user/circle,eu POST /user/circle,us POST /user/circle',
    'one more for the higher epoch');

is(ask(GET => '/user/higher', 'us')->{status}, 200,
    'one that is named with a higher epoch is tried again');
forget();
$a = ask(POST => '/user/given', 'eu', body => 'x' x 100_000);
is($a->{body}, 'eu:POST:100000',
    'hand-overs that are given up are followed there and back, with the body');
is(scalar(tries()), 9, 'with more tries than there are units: each named a higher epoch');
forget();
$a = ask(GET => '/user/endless', 'eu');
is(scalar(tries()), $most, 'but not without end');
is($a->{status}, 503, 'when each 421 led on, that is no circle: 503');
is($a->{json}{type}, 'urn:punit:moving', 'the problem says that the user moves');
is($a->{headers}{'retry-after'}, 1, 'with Retry-After');
is($a->{headers}{'punit-route'}, undef, 'and no route');
forget();
is(ask(GET => '/user/turn', 'eu')->{status}, 508, 'a circle that closes at the last try is one');
is(scalar(tries()), $most, 'after as many tries');
is(ask(GET => '/user/itself', 'us')->{status}, 508, 'a unit that names itself is not asked again');

$a = ask(GET => '/user/nobody', 'eu');
is($a->{status}, 502, 'a 421 without Punit-Owner is an error');
is($a->{json}{type}, 'urn:punit:bad-owner', 'and named');
is(ask(GET => '/user/nobody', 'us')->{status}, 502, 'also from a peer');
is(ask(GET => '/user/stranger', 'us')->{status}, 502, 'an owner that is no peer is an error');
is(ask(GET => '/user/garbage', 'us')->{status}, 502, 'an owner that cannot be read is an error');
is(ask(GET => '/user/busy', 'eu', port => 'lax')->{status}, 500, 'other errors pass');
is(ask(GET => '/user/us', 'eu', port => 'lax')->{json}{type}, 'urn:punit:bad-owner',
    'a 421 never reaches a client, even if nothing follows it');

$a = ask(GET => '/user/down', 'eu');
is($a->{status}, 503, 'followed to a peer that is down: 503, when the copy was refused');
is($a->{json}{type}, 'urn:punit:unit-down', 'unit-down');
is(ask(POST => '/user/down', 'eu')->{headers}{'retry-after'}, 10, 'with Retry-After');

$a = ask(POST => '/user/gone', 'eu', body => 'x');
is($a->{status}, 503, 'a peer that refuses the connection: 503');
is($a->{json}{type}, 'urn:punit:unit-unreachable', 'unit-unreachable');
is($a->{headers}{'retry-after'}, 1, 'with Retry-After');
is(ask(GET => '/user/status', 'us')->{json}{type}, 'urn:punit:unit-unreachable',
    'a 502 of a peer is the same');
is(ask(GET => '/user/busy', 'us')->{status}, 503, 'a 503 of a peer is its answer');
$a = ask(GET => '/late/x', 'mute');
is($a->{status}, 503, 'a peer that is silent: 503, when its time is up');
is($a->{json}{type}, 'urn:punit:unit-unreachable', 'unit-unreachable');
is($a->{headers}{'retry-after'}, 1, 'with Retry-After');
close taken();

# who is believed to be owned by a unit that cannot be asked: this unit is, which may know better
for my $unit ('dead', 'xx') {
    forget();
    for my $method (qw(GET POST)) {
        $a = ask($method => '/user/mine', $unit);
        is("$a->{status} $a->{headers}{'punit-route'} $a->{headers}{'punit-unit'}", '200 local eu',
            "$unit cannot be asked for a $method: this unit owns the user");
    }
    is(join(',', tries()), 'eu GET /user/mine,eu POST /user/mine', 'and is asked once each');
    is(ask(GET => '/user/moved', $unit)->{headers}{'punit-unit'}, 'us', 'or it names another one');
    $a = ask(GET => '/user/unknown', $unit);
    is($a->{status}, 503, 'a user unknown here is no stranger');
    like($a->{json}{type}, qr/^urn:punit:unit-(?:unreachable|down)$/,
        'the problem names the unit that is away');
    is($a->{headers}{'www-authenticate'}, undef, 'and nothing about the token');
}
forget();
is(ask(GET => '/user/behind', 'us')->{json}{type}, 'urn:punit:unit-unreachable',
    'a unit that knows less than the one asked before makes no circle');
is(scalar(tries()), 2, 'and that one is not asked again');
forget();
is(ask(GET => '/user/last', 'us')->{headers}{'punit-route'}, 'local',
    'this unit is asked, too, when the last of the tries meets one that is away');
is(scalar(tries()), $most + 1, 'as one more');
forget();
$a = ask(GET => '/user/mine', 'us');
is("$a->{status} $a->{headers}{'punit-route'}", '200 local', 'the same after a 502');
is(join(',', tries()), 'eu GET /user/mine,us GET /user/mine',
    'of a request that may be sent again');
forget();
is(ask(POST => '/user/mine', 'us')->{json}{type}, 'urn:punit:unit-unreachable',
    'but not of one that the unit may have done');
is(join(',', tries()), 'us POST /user/mine', 'which is not sent again');
is(ask(POST => '/user/mine', 'us', headers => ['Idempotency-Key' => 'k1'])->{status}, 200,
    'unless it has a key, by which it is done once');

forget();
$a = ask(GET => '/user/broken', 'eu');
is($a->{status}, 0, 'an answer that breaks off is broken for the client') or diag explain $a;
is(join(',', tries()), 'eu GET /user/broken,us GET /user/broken',
    'and never replayed, once a byte of it came');

# A client goes away while a peer works for it: at once, and after a 421.
for my $path ('/user/work', '/user/silent') {
    my $token = $keys->token(unit => $path =~ /silent/ ? 'eu' : 'mute');
    my $client =
        Punit::Client->new($n->port('http'))->send(POST => $path, token => $token, body => 'x');
    my $asked = taken();
    my $text = '';
    until ($text =~ /\r\n\r\nx\z/) {
        IO::Select->new($asked)->can_read(patience(10))
            && sysread $asked, $text, 65536, length $text
            or last
    }
    like($text, qr{^POST $path }, 'a peer works');
    $client->close;
    my $ended = IO::Select->new($asked)->can_read(patience(10)) && sysread $asked, $text, 65536;
    is($ended, 0, "$path: the client goes away, and the peer is told that nobody waits");
}

$a = ask(GET => '/copy/status', 'us');
is($a->{status}, 200, 'punit_stale unreachable: a read gets the copy');
is($a->{headers}{'punit-route'}, 'stale', 'by the route stale');
is(ask(POST => '/copy/status', 'us')->{status}, 503, 'a write does not');
is(ask(GET => '/user/status', 'us')->{status}, 503, 'and not with punit_stale down');

forget();
$a = ask(PUT => '/reference/author', 'eu', body => 'x');
is($a->{body}, 'us:PUT:1', 'Punit-Author is followed for reference rows');
($req) = $unit{us}->requests;
is($req->{headers}{'punit-owner'}, undef, 'which says nothing of the user');
forget();
my $coach = $keys->token(unit => 'eu');
ask(PUT => '/reference/author', 'eu', token => $coach);
forget();
ask(GET => '/user/here', 'eu', token => $coach);
is(join(',', tries()), 'eu GET /user/here', 'and is never learned as an owner');
$a = ask(PUT => '/reference/authored', 'eu', body => 'x');
is("$a->{status} $a->{json}{type}", '503 urn:punit:unit-down',
    'a row of an author that is marked down: 503');

is(ask(POST => '/public/us', 'eu')->{body}, 'us:POST:0', 'a 421 of a public location is followed');

like($n->log_text, qr/unit "dead" is unreachable/, 'the log names a peer that is unreachable');
is($n->stop, '', 'the log is clean');
done_testing;
