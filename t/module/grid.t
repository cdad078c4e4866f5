# The module's memcached client with real ones: one pipelined connection a worker, several servers,
# and what it does when they die or freeze.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Digest::MD5 qw(md5);
use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket::INET;
use Socket qw(SO_LINGER SOL_SOCKET);
use Time::HiRes qw(time sleep);

use Punit::File qw(slurp);
use Punit::Grid;
use Punit::GridUnit qw(doc_key document route);
use Punit::Server qw(free_port);
use Punit::Tries;
use Punit::Wait qw(patience wait_until);

$SIG{PIPE} = 'IGNORE';

my $g = Punit::GridUnit->new;
my $timeout = 0.1;    # NGX_HTTP_PUNIT_GRID_TIMEOUT, s

sub timed { my $t = time; my $a = $g->get(@_); return ($a, time - $t) }

sub median {
    my @t = sort { $a <=> $b } @_; return $t[@t / 2]
}

# ---- a real memcached

my $socket = $g->dir . "/grid.sock";
my $grid = Punit::Grid->new($socket);
my $idle = 0;
wait_until(
    sub {
        my $n = $grid->stat('curr_connections'); my $same = $n == $idle; $idle = $n;
        return $same
    });
$grid->raise(training => $g->{gen});

$g->start("unix:$socket");
my $pid = $g->get('/pid')->{body};

# memcached counts a connection until it has seen its end
sub connections {
    my ($n) = @_;
    return wait_until(sub { $grid->stat('curr_connections') == $n })
        || !diag('connections: ' . $grid->stat('curr_connections') . ", expected $n");
}

subtest 'a document of the current generation is answered from memcached' => sub {
    $g->publish($grid, '/training/one', 'the first');
    my $a = $g->get('/training/one');
    is $a->{status}, 200;
    is route($a), 'grid';
    is $a->{body}, 'the first';
    is $a->{headers}{'content-type'}, 'text/plain';
    is $a->{headers}{etag}, '"etag-' . sha256_hex('the first') . '"';
};

subtest 'HEAD and If-None-Match are answered from memcached too' => sub {
    my $a = $g->get('/training/one', method => 'HEAD');
    is "$a->{status} $a->{headers}{'content-length'} " . route($a), '200 9 grid';
    $a = $g->get('/training/one', 'If-None-Match' => $a->{headers}{etag});
    is "$a->{status} $a->{body}", '304 ';
};

subtest 'what is not there, or of another generation, goes to the worker' => sub {
    is route($g->get('/training/none')), 'local';
    $g->publish($grid, '/training/old', 'old', $g->{gen} - 1);
    is route($g->get('/training/old')), 'local';
};

subtest 'an empty document and one of every size around the buffers arrive whole' => sub {
    for my $n (0, 1, 1000, 8190, 8191, 8192, 8193, 16380, 16384, 16400, 32768, 65536, 100_000,
        900_000)
    {
        my $text = join '', map { chr(33 + ($_ * 7 + $n) % 90) } 1 .. $n;
        $g->publish($grid, "/training/size-$n", $text);
        my $a = $g->get("/training/size-$n");
        ok $a->{body} eq $text && route($a) eq 'grid', "$n octets";
    }
};

subtest 'hundreds of requests at once share one connection, and none gets the answer of another' =>
    sub {
    $g->publish($grid, "/training/n$_", "document $_ " . 'x' x ($_ * 37 % 3000)) for 1 .. 150;
    my $wrong = 0;
    for my $round (1 .. 3) {
        my $all = some_try(
            sub {
                my @s = map { $g->ask("/training/n$_") } 1 .. 150;
                my $from_grid = 0;
                for (1 .. 150) {
                    my $a = $s[$_ - 1]->receive('GET');
                    my $its = "document $_ " . 'x' x ($_ * 37 % 3000);
                    $wrong++ if $a->{body} ne (route($a) eq 'grid' ? $its : 'local');
                    $from_grid++ if route($a) eq 'grid';
                }
                return $from_grid == 150;
            });
        ok $all, "round $round: all from the grid";
    }
    is $wrong, 0;
    ok connections($idle + 1), 'one connection';
    };

subtest 'pipelined requests of one client are answered in order' => sub {
    my $s = $g->client;
    $s->send(GET => "/training/n$_") for 1 .. 30;
    my @got = map { $s->receive('GET')->{body} =~ /^document (\d+)/ ? $1 : '-' } 1 .. 30;
    is_deeply \@got, [1 .. 30];
};

subtest 'clients that go away leave nothing behind' => sub {
    for (1 .. 200) {
        my $s = $g->ask('/training/size-900000');
        setsockopt $s->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        $s->close;
    }
    is route($g->get('/training/one')), 'grid';
    is $g->get('/pid')->{body}, $pid, 'the worker lives';
};

subtest 'a memcached that died costs nothing but the hit, and is used again when it is back' =>
    sub {
    $grid->stop('KILL');
    my ($wrong, @t) = (0);
    my $served = sub {
        @t = ();
        for (1 .. 20) {
            my ($a, $t) = timed('/training/one');
            $wrong++ unless $a->{status} == 200 && route($a) eq 'local';
            push @t, $t;
        }
        return median(@t);
    };
    ok once_within($timeout / 2, $served), 'and do not wait';
    is $wrong, 0, 'all are answered by the worker';
    unlink $socket;
    $grid->start;
    $grid->raise(training => $g->{gen});
    $g->publish($grid, '/training/one', 'the first');
    ok wait_until(sub { route($g->get('/training/one')) eq 'grid' }), 'used again';
    };

# stopped it is when all of its threads are
sub freeze {
    $grid->signal('STOP');
    $grid->until(
        sub {
            !grep { slurp($_, absent => '') !~ /\) T/ } glob "/proc/$grid->{pid}/task/*/stat"
        },
        'is frozen'
    );
    return;
}

subtest 'a memcached that is frozen costs one timeout per back-off' => sub {
    my ($wrong, $n) = (0, 0);
    my $try = sub {
        my $before = () = $g->nginx->log_text =~ /left alone/g;
        freeze();
        my ($end, @t) = (time + 2);
        while (time < $end) {
            my ($a, $t) = timed('/training/one');
            $wrong++ unless $a->{status} == 200 && route($a) eq 'local';
            $n++;
            push @t, $t;
        }
        my $after = () = $g->nginx->log_text =~ /left alone/g;
        my $tried = $after - $before;
        $grid->signal('CONT');
        ok wait_until(sub { route($g->get('/training/one')) eq 'grid' }), 'used again';
        note sprintf 'tried %d times, median %.4f s', $tried, median(@t);
        return $tried >= 1 && $tried <= 5 && median(@t) < $timeout / 2;
    };
    ok some_try($try),
        'hardly one waits: it was tried at 0, after 250 ms, 500 ms, 1 s';
    is $wrong, 0, "$n requests, none wrong";
};

# how long 30 requests wait that come together when a frozen memcached may be tried again
sub together {
    my $start = time;
    my %s = map { my $s = $g->ask('/training/one'); ($s->{socket} => $s) } 1 .. 30;
    my $on = IO::Select->new(map { $_->{socket} } values %s);
    my @t;
    while (my @ready = $on->can_read(patience(10))) {
        for my $s (@ready) {
            $s{$s}->receive('GET');
            push @t, time - $start;
            $on->remove($s);
        }
        last unless $on->count;
    }
    return @t;
}

subtest 'one request tries a frozen memcached again, not all of them' => sub {
    freeze();
    $g->get('/training/one');
    my @t;
    ok wait_until(
        sub {    # a machine that is slow for once may make all of them wait
            sleep 0.6;
            @t = together();
            return @t == 30 && $t[-1] >= $timeout && median(@t) < $t[-1] - $timeout / 2;
        },
        40
        ),
        'the others do not wait'
        or diag "@t";
    $grid->signal('CONT');
    ok wait_until(sub { route($g->get('/training/one')) eq 'grid' }), 'used again';
};

subtest 'a reload under load fails no request and leaves no connection behind' => sub {
    my $connections = $idle + 1;
    ok connections($connections), 'one connection before';
    my ($n, $wrong) = (0, 0);
    my $reload = sub {
        my $old = $g->get('/pid')->{body};
        my $local = 0;
        $g->nginx->signal('HUP');
        my $start = time;
        while (time - $start < patience(20)) {
            my $a = $g->get('/training/one');
            $n++;
            $wrong++ unless $a->{status} == 200;
            $local++ unless route($a) eq 'grid';
            last if !kill(0, $old) && $g->get('/pid')->{body} ne $old;
        }
        ok !kill(0, $old), 'the old worker is gone';
        return !$local;
    };
    ok some_try($reload), 'all are answered from memcached' for 1 .. 3;
    is $wrong, 0, "$n requests";
    ok connections($connections), 'as many connections as before';
};

# ---- several servers: the same choice as libmemcached's (t/unit/ketama_test.c), here with the
# servers' text

sub ring {
    my @servers = @_;    # [host, port, weight]
    my ($total, @points) = (0);
    $total += $_->[2] for @servers;
    for my $i (0 .. $#servers) {
        my ($host, $port, $weight) = @{ $servers[$i] };
        for my $k (0 .. int($weight / $total * 40 * @servers + 1e-10) - 1) {
            push @points, map { [$_, $i] } unpack 'V4', md5("$host:$port-$k");
        }
    }
    return sort { $a->[0] <=> $b->[0] } @points;
}

sub chosen {
    my ($key, @points) = @_;
    my $hash = unpack 'V', md5($key);
    for (@points) { return $_->[1] if $_->[0] >= $hash }
    return $points[0][1];
}

subtest 'several servers: each key is read where libmemcached would have put it' => sub {
    my @ports = map { free_port() } 1 .. 3;
    my @m = map { Punit::Grid->new("127.0.0.1:$_", log => $g->dir . "/memcached-$_.log") } @ports;
    for my $i (0 .. 2) {
        $m[$i]->raise(training => $g->{gen});
        $g->publish($m[$i], "/training/k$_", "server $i") for 1 .. 60;
    }
    my $servers = join ' ', map { "server 127.0.0.1:$ports[$_] weight=" . ($_ + 1) . ';' } 0 .. 2;
    $g->start('grid', upstreams => "upstream grid { $servers }");
    my @ring = ring(map { ['127.0.0.1', $ports[$_], $_ + 1] } 0 .. 2);
    my ($wrong, %seen) = (0);
    for (1 .. 60) {
        my $body = $g->get("/training/k$_")->{body};
        $seen{$body}++;
        $wrong++ if $body ne 'server ' . chosen(doc_key("/training/k$_"), @ring);
    }
    is $wrong, 0, 'as computed';
    is scalar(keys %seen), 3, 'all of them are used';

    # the generation has a server too; a dead one takes only its keys along
    my $gen_at = chosen('punit:gen:training', @ring);
    my $dead = ($gen_at + 1) % 3;
    $m[$dead]->stop('KILL');
    $wrong = 0;
    for (1 .. 60) {
        my $at = chosen(doc_key("/training/k$_"), @ring);
        my $a = $g->get("/training/k$_");
        $wrong++ if $a->{status} != 200 || route($a) ne ($at == $dead ? 'local' : 'grid');
    }
    is $wrong, 0, 'a dead server takes only its keys along';
    $_->stop for @m;
};

is $g->stop, '', 'the log is clean';

# ---- mistakes of configuration

my $only_weight = qr/expected only "weight"/;

sub config_error {
    my ($ok, $said) = $g->nginx->check($g->conf(@_)); return $ok ? 'accepted' : $said
}

subtest 'a grid that cannot be one fails nginx -t with the value and what was expected' => sub {
    like config_error('grid', upstreams => 'upstream grid { server 127.0.0.1; }'),
        qr/server "127\.0\.0\.1" of upstream "grid".*no port, expected "HOST:PORT" or "unix:PATH"/;
    like config_error('grid',
        upstreams => 'upstream grid { server 127.0.0.1:1; server 127.0.0.1:2 down; }'),
        qr/server "127\.0\.0\.1:2" of upstream "grid", which is a grid, is "down", $only_weight/;
    like config_error('grid',
        upstreams => 'upstream grid { server 127.0.0.1:1; server 127.0.0.1:2 backup; }'),
        qr/is "backup", expected only "weight"/;
    like config_error('nowhere.invalid'), qr/\[emerg\].*"?nowhere\.invalid/;
};
done_testing;
