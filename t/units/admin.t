#!/usr/bin/perl
# The admin side of a unit: what is there and nowhere else, who may ask, and punitctl peer.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use POSIX ();
use Socket ();
use Test::More;

use Punit::Client;
use Punit::File qw(slurp);
use Punit::Services qw(services);
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);

my $units = Punit::Units->start(
    units => ['eu', 'us'], env => { PUNIT_ADMIN_HOSTS => 'ops.example [2001:db8::1]' });
my $dir = $units->dir;
my $port = $units->port('eu', 'admin');
my $socket = "$dir/eu/sock/admin.sock";
my @paths = ('/punit/status', '/ready', '/live', map {"/$_/health"} services());
my $down = '{"state":"down"}';

# One request on a connection of its own: by TCP, or through the socket of the unit.
sub ask {
    my ($method, $path, @with) = @_;
    return Punit::Client->once($port, $method, $path, @with);
}

sub ask_socket {
    my ($method, $path, @with) = @_;
    return Punit::Client->once($socket, $method, $path, @with);
}

# The mark of us, as eu has it.
sub mark {
    my ($us) = grep { $_->{id} eq 'us' } @{ ask_socket(GET => '/punit/status')->{json}{peers} };
    return $us->{state};
}

sub type { my ($answer) = @_; return "$answer->{status} " . ($answer->{json}{type} // '') }

sub reload {
    kill HUP => $units->pid('eu', 'nginx');
    return;
}

subtest 'what is there' => sub {
    is ask(GET => $_)->{status}, 200, "GET $_" for @paths;
    is_deeply ask(GET => '/live')->{json}, { status => 'live', unit => 'eu' }, 'eu lives';
    is_deeply ask(GET => '/ready')->{json}, { status => 'ready', unit => 'eu' }, 'and is ready';
    like ask(GET => '/punit/status?format=prometheus')->{body}, qr/^punit_peer_up\{/m,
        'the status is there for Prometheus too';
    is type(ask(GET => $_)), '404 urn:punit:not-found', "$_ is not there"
        for '/', '/nowhere', '/profile', '/auth/keys', '/auth/register', '/punit/introspect';
};

subtest 'nothing of it is on the public side' => sub {
    my $user = Punit::User->register($units, 'eu');
    # as a proxy on this host asks for a client: from a loopback address
    my @proxied = (headers => ['X-Forwarded-For' => '192.0.2.1', Host => 'punit.example']);
    my $public = $units->port('eu');
    for my $path (@paths) {
        is type(Punit::Client->once($public, GET => $path, @proxied, token => $_)),
            '404 urn:punit:not-found', "GET $path" . ($_ ? ' of a user' : '')
            for undef, $user->token;
    }
    my $answer =
        Punit::Client->once($public, PUT => '/punit/status/peers/us', @proxied, body => $down);
    is type($answer), '404 urn:punit:not-found', 'a peer cannot be marked there';
    is mark(), 'up', 'and is not';
};

subtest 'an answer is not for other sites' => sub {
    my @own = (headers => [Origin => "http://127.0.0.1:$port", Host => "127.0.0.1:$port"]);
    for my $answer (
        (map { ask(GET => $_, @own) } @paths, '/nowhere'),
        ask(GET => '/live', headers => [Host => 'evil.example']),
        ask(PUT => '/punit/status/peers/us', body => $down),
        ask_socket(GET => '/punit/status'),
        )
    {
        is_deeply [grep {/^access-control/} keys %{ $answer->{headers} }], [],
            "$answer->{status}: no CORS";
        is $answer->{headers}{'content-security-policy'},
            "default-src 'self'; frame-ancestors 'none'", 'Content-Security-Policy';
        is $answer->{headers}{'x-content-type-options'}, 'nosniff', 'X-Content-Type-Options';
        is $answer->{headers}{'referrer-policy'}, 'no-referrer', 'Referrer-Policy';
    }
};

subtest 'Host names this unit' => sub {
    my $status = sub {
        my ($host) = @_;
        return type(ask(GET => '/live', headers => [Host => $host]));
    };
    is $status->($_), '200 ', "$_ does"
        for 'localhost', 'LOCALHOST:8400', '127.0.0.1', '127.5.6.7:1', '[::1]:8400', 'ops.example',
        'ops.example:443', '[2001:db8::1]';
    is $status->($_), '421 urn:punit:misdirected', "$_ does not"
        for 'evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', 'xlocalhost',
        'opsxexample', '10.1.0.1', '[::2]';
    is type(ask(GET => $_, headers => [Host => 'evil.example'])), '421 urn:punit:misdirected',
        "at $_ too"
        for @paths;
    my $answer = ask(
        PUT => '/punit/status/peers/us', body => $down, headers => [Host => 'evil.example']);
    is type($answer), '421 urn:punit:misdirected', 'for a write as well';
    is mark(), 'up', 'which does nothing';
};

subtest 'a page of another site is refused' => sub {
    for my $headers (
        [Origin => 'https://evil.example'], [Origin => 'null'],
        [Origin => 'http://localhost:1'], [Origin => "http://localhost:$port"],
        ['Sec-Fetch-Site' => 'cross-site'], ['Sec-Fetch-Site' => 'same-site'],
        )
    {
        is type(ask($_ => '/punit/status', headers => $headers)),
            $_ eq 'HEAD' ? '403 ' : '403 urn:punit:forbidden', "$_ with @$headers"
            for qw(GET HEAD OPTIONS);
    }
    my @own = (Host => "localhost:$port");
    is ask(GET => '/punit/status', headers => [@own, @$_])->{status}, 200, "not with @$_"
        for [Origin => "http://localhost:$port"], ['Sec-Fetch-Site' => 'none'],
        ['Sec-Fetch-Site' => 'same-origin'],
        [Origin => "http://localhost:$port", 'Sec-Fetch-Site' => 'same-origin'];
    my $answer = ask_socket(
        PUT => '/punit/status/peers/us', body => $down,
        headers => [Origin => 'http://localhost', Host => 'localhost']);
    is type($answer), '403 urn:punit:forbidden', 'through the socket no page writes at all';
    is mark(), 'up', 'and the write does nothing';
};

subtest 'only the socket takes writes' => sub {
    is type(ask($_ => '/punit/status/peers/us', body => $down)), '403 urn:punit:forbidden',
        "$_ by TCP is refused"
        for qw(PUT POST DELETE PATCH);
    is type(ask(POST => '/ready')), '403 urn:punit:forbidden', 'elsewhere too';
    is mark(), 'up', 'us is up';
    is ask_socket(
        PUT => '/punit/status/peers/us', body => $down, headers => [Host => 'evil.example'])
        ->{status}, 200, 'the socket takes it, with any Host';
    is mark(), 'down', 'us is down';
    my $answer = ask_socket(PUT => '/punit/status/peers/us', body => '{"state":"up"}');
    is $answer->{status}, 200, 'and takes the other mark';
    is mark(), 'up', 'us is up again';
};

subtest 'the socket is for the user of the unit alone' => sub {
    is sprintf('%o', (stat "$dir/eu/sock")[2] & oct 7777), '750',
        'its directory is closed to others';
    plan skip_all => 'only root can become another user' if $> != 0;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        POSIX::setgid(65534);
        POSIX::setuid(65534);
        socket my $s, Socket::AF_UNIX(), Socket::SOCK_STREAM(), 0 or POSIX::_exit(1);
        POSIX::_exit(connect($s, Socket::pack_sockaddr_un($socket)) ? 2 : $!{EACCES} ? 0 : 3);
    }
    waitpid $pid, 0;
    is $?, 0, 'another user is refused';
};

subtest 'punitctl peer' => sub {
    my $peer = sub { my @arguments = @_; return $units->punitctl('eu', 'peer', @arguments) };
    my ($status, $said) = $peer->('us');
    is $status, 0, 'shows the mark';
    like $said, qr/^eu: us is up since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'in a line' or diag $said;
    ($status, $said) = $peer->('us', '--down');
    is $status, 0, 'marks a peer down';
    like $said, qr/^eu: us is down since /, 'and says so';
    is mark(), 'down', 'so it is';
    ($status, $said) = $peer->('us', '--json');
    my $json = decode_json($said);
    is "$status $json->{id} $json->{state}", '0 us down', 'JSON is for programs';
    ($status, $said) = $peer->('us', '--up', '--json');
    is "$status " . decode_json($said)->{state}, '0 up', 'marks it up';
    is mark(), 'up', 'so it is again';
    for my $case (
        [['xx'], 1, qr/^punitctl: eu: NGINX knows no peer xx\b.*\n\z/, 'an unknown peer'],
        [['xx', '--down'], 1, qr/^punitctl: eu: NGINX knows no peer xx\b.*\n\z/, 'one to mark'],
        [['eu', '--down'], 1, qr/^punitctl: eu: NGINX knows no peer eu\b.*\n\z/, 'the unit itself'],
        [['us', '--down', '--up'], 2, qr/exclude each other\n\z/, 'two marks'],
        [['../us'], 2, qr/^punitctl: a unit's id is .*\n\z/, 'what is no id'],
        )
    {
        my ($arguments, $want, $pattern, $what) = @$case;
        ($status, $said) = $peer->(@$arguments);
        ok $status == $want && $said =~ $pattern, "$what: exit code $want" or diag "$status $said";
    }
    is mark(), 'up', 'which changes nothing';
    $units->process('eu', 'nginx', 'down');
    ($status, $said) = $peer->('us', '--down');
    is $status, 1, 'without NGINX it fails';
    is $said, "punitctl: eu: NGINX does not answer at $dir/eu/sock/admin.sock; start it\n",
        'in a line';
    $units->process('eu', 'nginx', 'up');
    ok wait_until(sub { mark() // '' eq 'up' }, 15), 'NGINX is back';
};

subtest 'a socket that a killed NGINX left is no hindrance' => sub {
    my $old = $units->pid('eu', 'nginx');
    kill KILL => $old;
    ok wait_until(
        sub {
            # written after NGINX listens; the dead one's workers may answer for a moment
            my $new = slurp("$dir/eu/nginx/nginx.pid", absent => 0);
            $new != $old && kill(0 => $new) && ask_socket(GET => '/live')->{status} == 200;
        },
        15
        ),
        'the next one listens there';
};

subtest 'readiness' => sub {
    my $failing = sub {
        my $answer = ask(GET => '/ready');
        return "$answer->{status} " . join ',', @{ $answer->{json}{failing} // [] };
    };
    my ($status, $said) = $units->punitctl('eu', 'drain', 'eu', '--within', patience(30));
    is $status, 0, 'eu is drained' or diag $said;
    is $failing->(), '503 draining', 'then it is not ready';
    is ask(GET => '/ready')->{headers}{'content-type'}, 'application/problem+json',
        'as a problem says';
    is ask(HEAD => '/ready')->{status}, 503, 'to HEAD as well';
    is ask(GET => '/live')->{status}, 200, 'but it lives';
    is ask(GET => '/auth/health')->{status}, 200, 'and is healthy';
    ($status, $said) = $units->punitctl('eu', 'drain', 'eu', '--end');
    is $failing->(), '200 ', 'it is ready after the end of the drain' or diag $said;

    $units->process('eu', 'postgres', 'down');
    is $failing->(), '503 database', 'without its database it is not ready';
    is ask(GET => '/live')->{status}, 200, 'but it lives';
    $units->process('eu', 'postgres', 'up');
    ok wait_until(sub { $failing->() eq '200 ' }, 20), 'it is ready when that is back';

    $units->process('eu', 'auth', 'down');
    is $failing->(), '503 auth', 'without the service that knows it is not ready';
    $units->process('eu', 'auth', 'up');
    ok wait_until(sub { $failing->() eq '200 ' }, 20), 'it is ready when that is back';

    $units->dbh('us')->do('update punit.me set left_at = clock_timestamp()');
    my $us = Punit::Client->once($units->port('us', 'admin'), GET => '/ready');
    is type($us), '503 urn:punit:not-ready', 'a unit that takes leave is not ready';
    is_deeply $us->{json}{failing}, ['leaving'], 'and says why';
};

# A public address that is no loopback address, if this machine has one.
sub outside {
    my ($address) = map {/\binet ((?!127\.)[\d.]+)/} qx(ip -4 -o addr 2>/dev/null);
    return $address;
}

subtest 'the public address does not matter' => sub {
    my $address = outside() // plan skip_all => 'this machine has loopback addresses only';
    my $http = "$address:" . $units->port('eu');
    my ($status, $said) = $units->punitctl('eu', 'unit', 'init', 'eu', '--http', $http);
    is $status, 0, "eu serves at $http" or diag $said;
    reload();
    my $public = sub {
        my ($path) = @_;
        return $units->{http}->get("http://$http$path")->{status};
    };
    ok wait_until(sub { $public->('/auth/keys') == 200 }, 15), 'it is asked there';
    is $public->($_), 404, "$_ is not there" for @paths;
    is ask(GET => $_)->{status}, 200, "$_ answers on the admin side" for @paths;
    ($status, $said) = $units->punitctl('eu', 'peer', 'us', '--down');
    is mark(), 'down', 'a peer is marked from the host itself' or diag $said;
};

subtest 'it can be off' => sub {
    my ($status, $said) = $units->punitctl('eu', 'unit', 'init', 'eu', '--admin', 'off');
    is $status, 0, 'unit init --admin off' or diag $said;
    like slurp("$dir/eu/unit.env"), qr/^PUNIT_ADMIN=off$/m, 'is in unit.env';
    reload();
    ok wait_until(sub { ask(GET => '/live')->{status} == 0 }, 15), 'nothing listens';
    is ask_socket(GET => '/live')->{status}, 200, 'but at the socket';
};

done_testing;
