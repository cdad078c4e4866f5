#!/usr/bin/perl
# Many who miss the same document at once: one of them asks the worker, the others wait for what it
# fills in.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Socket::INET;
use JSON::PP qw(decode_json);
use Time::HiRes qw(sleep time);

use Punit::Backend;
use Punit::Client;
use Punit::Grid;
use Punit::Nginx;
use Punit::Token;
use Punit::Tries;
use Punit::Wait qw(patience wait_until);

my $n = Punit::Nginx->new(workers => 2);
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256('eu-1');
my $token = $keys->token(unit => 'eu');

my $socket = $n->dir . '/grid.sock';
my $grid = Punit::Grid->new($socket);

sub key { my ($path) = @_; return $grid->key('sports', $path) }

# As a worker does it: generation and document are in the grid before the answer.
my $worker = Punit::Backend->new(sub {
    my ($req) = @_;
    my $path = $req->{uri};
    sleep $path =~ /slow/ ? 0.2 : 0.05;
    return [404, [], 'none'] if $path =~ /none/;
    $grid->raise(sports => 7);
    $grid->put(key($path), 7, 'new', "filled $path");
    return [200, ['Content-Type' => 'text/plain', ETag => '"new"'], "filled $path"];
});

# takes connections and never answers
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die $!;

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_keys keys;
    punit_token_check off;
    punit_grid unix:$socket;
    map \$http_x_silent \$worker {
        default 127.0.0.1:@{[$worker->port]};
        1 127.0.0.1:@{[$silent->sockport]};
    }
    server {
        listen 127.0.0.1:@{[$n->port('http')]} reuseport;
        punit_local \@local;
        location / { punit_scope reference; }
        location = /pid { return 200 \$pid; }
        location = /status { punit_status; }
        location \@local { proxy_pass http://\$worker; }
    }
EOF_CONF
$n->start;

sub client { return Punit::Client->new($n->port('http')) }

sub start {
    my ($path, @headers) = @_;
    return client()->send(GET => $path, token => $token, headers => \@headers)
}
sub end { my ($client) = @_; return $client->receive('GET') }
sub ask { return end(start(@_)) }
sub route { my ($a) = @_; return $a->{headers}{'punit-route'} // '-' }
sub waited { return decode_json(client()->request(GET => '/status')->{body})->{grid_waited} }
sub asked {
    my ($path) = @_; return scalar grep { $_->{uri} eq $path } $worker->requests
}

# a generation is kept for 10 ms
sub flush { $worker->forget; $grid->command('flush_all'); sleep 0.03; return }

# Connections to each of the two processes, several each.
sub of_both {
    my ($each) = @_;
    my %of;
    my $start = time;
    while (time - $start < patience(15) && (keys %of < 2 || grep { @$_ < $each } values %of)) {
        my $c = client();
        push @{ $of{ $c->request(GET => '/pid')->{body} } }, $c;
    }
    return map {@$_} values %of;
}

some_subtest
    'after a flush of memcached each document is asked for once, however many clients want it'
    => sub {
    flush();
    my @paths = map {"/sports/slow-$_"} 1 .. 3;
    my @waiting = map { my $path = $paths[$_ % 3]; [$path, start($path)] } 1 .. 60;
    my (%wrong, %route);
    for (@waiting) {
        my ($path, $client) = @$_;
        my $a = end($client);
        $wrong{"$a->{status} $a->{body}"}++ if $a->{status} != 200 || $a->{body} ne "filled $path";
        $route{ route($a) }++;
    }
    is_deeply \%wrong, {}, 'all have it';
    is_deeply [map { asked($_) } @paths], [1, 1, 1];
    is_deeply \%route, { local => 3, grid => 57 };
    };

some_subtest 'those in another process wait, too' => sub {
    my @clients = of_both(5);
    flush();
    $_->send(GET => '/sports/slow-both', token => $token) for @clients;
    is_deeply [grep { $_ ne 'filled /sports/slow-both' } map { end($_)->{body} } @clients], [];
    is asked('/sports/slow-both'), 1;
};

# A woken request is counted before the process reads the next one. By its timer it would be counted
# later.
some_subtest 'those in the same process are woken by the answer itself' => sub {
    my ($first, $other, $look) = of_both(3);
    my $counted = sub { decode_json($look->request(GET => '/status')->{body})->{grid_waited} };
    my ($waited, $late) = (0, 0);
    for my $path (map {"/sports/slow-woken-$_"} 1 .. 8) {
        flush();
        my $before = $counted->();
        $first->send(GET => $path, token => $token);
        wait_until(sub { asked($path) }) or die 'not asked for';
        $other->send(GET => $path, token => $token);
        end($first);
        my $at_once = $counted->() - $before;
        is end($other)->{body}, "filled $path";
        my $all = $counted->() - $before;
        $waited += $all;
        $late += $all - $at_once;
    }
    cmp_ok $waited, '>', 0, 'some have waited';
    is $late, 0, 'none of them longer than the answer took';
};

some_subtest 'after a change, too, when the previous document is not for them' => sub {
    $worker->forget;
    $grid->raise(sports => 6);
    $grid->put(key('/sports/slow-changed'), 5, 'old', 'old');
    sleep 0.03;
    my $first = start('/sports/slow-changed');
    wait_until(sub { asked('/sports/slow-changed') }) or die 'not asked for';
    my @others = map { start('/sports/slow-changed', 'If-None-Match' => '"another"') } 1 .. 10;
    is_deeply [map { end($_)->{body} } $first, @others], [('filled /sports/slow-changed') x 11];
    is asked('/sports/slow-changed'), 1;
};

subtest 'a miss that nobody else has waits for nothing' => sub {
    flush();
    my $before = waited();
    ask("/sports/alone-$_") for 1 .. 3;
    ask('/sports/none') for 1 .. 3;
    is waited(), $before;
};

some_subtest 'when the request that refills goes away another one does it' => sub {
    flush();
    my $first = start('/sports/slow-left');
    wait_until(sub { asked('/sports/slow-left') }) or die 'not asked for';
    my $before = waited();
    my @others = map { start('/sports/slow-left') } 1 .. 10;
    $first->close;
    is_deeply [grep { $_ ne 'filled /sports/slow-left' } map { end($_)->{body} } @others], [],
        'all have it';
    cmp_ok asked('/sports/slow-left'), '<=', 2, 'one more is asked for';
    cmp_ok waited() - $before, '>=', 9, 'the others have waited';
};

subtest 'nobody waits for ever for a worker that does not answer' => sub {
    flush();
    my $first = start('/sports/hangs', 'X-Silent' => 1);
    my $taken = $silent->accept;
    my $start = time;
    my @others = map { start('/sports/hangs') } 1 .. 10;
    is_deeply [map { end($_)->{body} } @others], [('filled /sports/hangs') x 10];
    cmp_ok time - $start, '>', 0.5, 'they have waited';
    $first->close;
};

subtest 'what is not kept in the grid is waited for once, and then asked for by all' => sub {
    flush();
    my $before = waited();
    my @all = map { start('/sports/none') } 1 .. 10;
    is_deeply [map { end($_)->{status} } @all], [(404) x 10];
    cmp_ok waited() - $before, '<=', 9;
};

some_subtest 'clients that go away while they wait do no harm' => sub {
    flush();
    my $first = start('/sports/slow-gone');
    wait_until(sub { asked('/sports/slow-gone') }) or die 'not asked for';
    my @gone = map { start('/sports/slow-gone') } 1 .. 20;
    sleep 0.05;
    $_->close for @gone;
    is end($first)->{body}, 'filled /sports/slow-gone';
    is route(ask('/sports/slow-gone')), 'grid';
};

subtest 'a worker process that quits answers the requests that wait' => sub {
    flush();
    my $before = waited();
    my @all = map { start('/sports/slow-quit') } 1 .. 10;
    # A connection that is not accepted yet is no request.
    wait_until(sub { asked('/sports/slow-quit') && waited() - $before == 9 })
        or die 'not asked for';
    $n->signal('QUIT');
    is_deeply [grep { $_ ne 'filled /sports/slow-quit' } map { end($_)->{body} } @all], [];
};

is $n->stop, '', 'the log is clean';
done_testing;
