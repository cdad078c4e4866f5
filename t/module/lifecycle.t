# The life of its processes: reload under load, binary upgrade, graceful quit, crashed workers. No
# request fails, nothing is left behind, and what was marked stays marked.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

use Punit::Backend;
use Punit::Client;
use Punit::File qw(slurp);
use Punit::Nginx;
use Punit::Token;
use Punit::Tree qw(root);

my $worker = Punit::Backend->new(sub { [200, ['Punit-Owner' => 'eu; epoch=1'], 'eu'] });
my $us = Punit::Backend->new(sub { [200, ['Punit-Owner' => 'us; epoch=1'], 'us'] });
my $slow = Punit::Backend->new(sub { sleep 1; [200, [], 'slow'] });

# nginx with its tokens
sub unit {
    my (%o) = @_;
    my $n = Punit::Nginx->new(workers => 2, %o);
    $n->{tokens} = Punit::Token->new($n->dir . '/keys');
    $n->{tokens}->hs256($_) for qw(eu-1 us-1);
    return $n->http(conf($n));
}

sub conf {
    my ($n, %o) = @_;
    return <<"EOF_CONF";
    punit_zone z @{[$o{zone} // '1m']};
    punit_unit eu;
    punit_peer us;
    punit_peer ap;
    punit_state state;
    punit_keys keys;
    punit_token_check off;
    punit_move unix:@{[$n->dir]}/mover.sock;
    upstream us { server 127.0.0.1:@{[$us->port]}; keepalive 4; }
    upstream ap { server 127.0.0.1:@{[$us->port]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@forward;
        location / { punit_scope user; }
        location /slow { punit_scope public; punit_local \@slow; }
        location /status { punit_status write=127.0.0.1; }
        location \@local { proxy_pass http://127.0.0.1:@{[$worker->port]}; }
        location \@slow { proxy_pass http://127.0.0.1:@{[$slow->port]}; }
        location \@forward { proxy_pass http://\$punit_owner; proxy_http_version 1.1;
            proxy_set_header Connection ""; }
    }
EOF_CONF
}

sub ask {
    my ($n, $method, $path, %o) = @_;
    return $n->ask($method, $path, %o);
}

sub peer {
    my ($n, $id) = @_;
    my ($p) =
        grep { $_->{id} eq $id } @{ (ask($n, GET => '/status')->{json} // {})->{peers} // [] };
    return $p // {};
}

# Clients that ask without a pause until they are told to end: (how many requests, what was wrong
# with some)
sub load {
    my ($n, $clients) = @_;
    my $enough = $n->dir . '/enough';
    unlink $enough;
    my @tokens = map { $n->{tokens}->token(unit => $_) } qw(eu us);
    my @pipes;
    for (1 .. $clients) {
        pipe my $read, my $write or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my ($count, @wrong) = (0);
            my $parent = getppid;
            while (!-e $enough && getppid == $parent) {
                my $which = $count++ % 3;
                my $a = ask($n, GET => '/x',
                    headers => [Authorization => 'Bearer ' . ($tokens[$which] // 'bad')]);
                my $got = "$a->{status} " . ($a->{status} == 200 ? $a->{body} : '');
                push @wrong, $got . ($a->{error} // '')
                    if $got ne ('200 eu', '200 us', '401 ')[$which];
            }
            print $write "$count @wrong\n";
            close $write;
            POSIX::_exit(0);
        }
        push @pipes, [$read, $pid];
    }
    return sub {
        open my $f, '>', $enough or die "$enough: $!";
        my ($sum, $wrong) = (0, '');
        for my $p (@pipes) {
            my $line = readline $p->[0];
            waitpid $p->[1], 0;
            my ($count, $of) = $line =~ /^(\d+) (.*)$/;
            $sum += $count;
            $wrong .= $of;
        }
        return ($sum, $wrong);
    };
}

# the shared memory of a process, in KiB: ngx_shm.c maps it anonymously
sub shared {
    my ($pid) = @_;
    no warnings "portable";    # 64-bit addresses
    open my $f, '<', "/proc/$pid/maps" or die "maps: $!";
    my $sum = 0;
    while (<$f>) {
        $sum += (hex($2) - hex $1) / 1024 if m{^([0-9a-f]+)-([0-9a-f]+) rw-s .*/dev/zero};
    }
    return $sum;
}

# True if a worker process ends gracefully.
sub ending {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/cmdline" or return 0;
    return (readline($f) // '') =~ /shutting down/;
}

my $n = unit(daemon => 1)->start;

subtest 'a reload under load fails no request and leaks no shared memory' => sub {
    my $before = shared($n->master);
    cmp_ok $before, '>=', 1024, 'there is some';
    my $end = load($n, 2);
    $n->reload for 1 .. 4;
    my ($count, $wrong) = $end->();
    is $wrong, '', "$count requests";
    is shared($n->master), $before, 'as much shared memory as before';
};

subtest
    'while two keys are there, tokens of both are good under load'
    => sub {
    my $end = load($n, 2);
    $n->{tokens}->hs256('eu-2');
    $n->reload;
    my ($old, $new) = map { $n->{tokens}->token(kid => $_) } qw(eu-1 eu-2);
    is ask($n, GET => '/x', token => $_)->{body}, 'eu' for $old, $new;
    my ($count, $wrong) = $end->();
    is $wrong, '', "$count requests";
    unlink $n->dir . '/keys/eu-2.HS256.secret' or die $!;
    $n->reload;
    is ask($n, GET => '/x', headers => [Authorization => "Bearer $_->[0]"])->{status}, $_->[1]
        for [$old, 200], [$new, 401];
    };

subtest 'nor does one that changes the size of the zone' => sub {
    my $before = shared($n->master);
    my $end = load($n, 2);
    $n->http(conf($n, zone => '3m'))->reload;
    is shared($n->master), $before + 2048, 'the new zone is there, the old one is not';
    $n->http(conf($n))->reload;
    my ($count, $wrong) = $end->();
    is $wrong, '', "$count requests";
    is shared($n->master), $before, 'as much shared memory as before';
};

subtest 'a binary upgrade under load fails no request, and a peer marked down stays so' => sub {
    is ask($n, PUT => '/status/peers/ap', body => '{"state":"down"}')->{status}, 200,
        'ap is marked down';
    my $since = peer($n, 'ap')->{since};
    my $old = $n->master;
    my @workers = $n->pids;
    my $end = load($n, 2);
    my $flight = Punit::Client->new($n->port('http'))->send(GET => '/slow');
    $n->until(sub { $slow->requests }, 'has passed the slow request on');

    $n->signal('USR2');
    $n->until(sub { ($n->current // $old) != $old && $n->pids == 2 },
        'has a new master with workers');
    ok !$n->gone($old), 'old and new serve side by side';
    kill 'QUIT', $old;
    is $flight->receive('GET')->{body}, 'slow', 'a request that the old one had begun is answered';
    $n->until(
        sub {
            !grep { !$n->gone($_) } $old, @workers
        },
        'has none of the old processes',
        30
    );

    my ($count, $wrong) = $end->();
    is $wrong, '', "$count requests";
    is peer($n, 'ap')->{state}, 'down', 'what was marked is in the new shared memory';
    is peer($n, 'ap')->{since}, $since, 'since when it was';
    is peer($n, 'us')->{state}, 'up', 'the others are not marked';
    is ask($n, PUT => '/status/peers/ap', body => '{"state":"up"}')->{status}, 200,
        'it can be marked again';
    $n->reload;
    is peer($n, 'ap')->{state}, 'up', 'and a reload of the new binary keeps that';
};

subtest 'a kept connection of a worker that ends gets a last answer' => sub {
    my @old = $n->pids;
    my @kept = map { Punit::Client->new($n->port('http')) } 1 .. 4;
    is $_->request(GET => '/status')->{status}, 200, 'a connection is kept' for @kept;
    $n->signal('HUP');
    $n->until(
        sub {
            !grep { !ending($_) && !$n->gone($_) } @old
        },
        'has told its old workers to end'
    );
    for my $client (@kept[0 .. 2]) {
        my $answer = $client->request(POST => '/x', body => '{}');
        is "$answer->{status} $answer->{headers}{connection}", '401 close',
            'a request that comes meanwhile is answered, as the last one';
    }
    $n->until(
        sub {
            !grep { !$n->gone($_) } @old
        },
        'has none of the old workers'
    );
    is sysread($kept[3]{socket}, my $end, 1), 0, 'a connection without a request is closed later';
};

subtest 'a request that came before a worker closes its connection is answered' => sub {
    my @old = $n->pids;
    my $kept = Punit::Client->new($n->port('http'));
    is $kept->request(GET => '/status')->{status}, 200, 'a connection is kept';
    $n->signal('HUP');
    $n->until(
        sub {
            !grep { !ending($_) && !$n->gone($_) } @old
        },
        'has told its old workers to end'
    );

    # The worker stands still, as on a busy machine, until its time for the connection is over.
    kill STOP => @old;
    $n->until(
        sub {
            !grep { slurp("/proc/$_/stat", absent => ') T') !~ /\) T/ } @old
        },
        'stands still'
    );
    $kept->send(POST => '/x', body => '{}');
    sleep 2;
    kill CONT => @old;
    my $answer = $kept->receive('POST');
    is "$answer->{status} $answer->{headers}{connection}", '401 close', 'by the old worker';
    $n->until(
        sub {
            !grep { !$n->gone($_) } @old
        },
        'has none of the old workers'
    );
};

subtest 'a worker that quits gracefully answers what has begun, then is gone' => sub {
    $slow->forget;
    my $flight = Punit::Client->new($n->port('http'))->send(GET => '/slow');
    my $idle = Punit::Client->new($n->port('http'));
    is $idle->request(GET => '/status')->{status}, 200, 'a connection that is kept';
    $n->until(sub { $slow->requests }, 'has passed the slow request on');
    my @all = ($n->master, $n->pids);
    $n->signal('QUIT');
    is $flight->receive('GET')->{body}, 'slow', 'a request that had begun is answered';
    $n->until(
        sub {
            !grep { !$n->gone($_) } @all
        },
        'is gone'
    );
    is ask($n, GET => '/status')->{status}, 0, 'nobody listens any more';
    is $n->stop, '', 'the log has no alert: no open socket was left';
};

subtest 'with a socket of a supervisor, a restart under load fails no request' => sub {
    like slurp(root() . '/conf/systemd/punit-nginx.service'), qr/^NonBlocking=yes$/m,
        'systemd gives one that does not block, as NGINX expects';
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 511, Blocking => 0)
        or die "no port: $!";
    my $s = unit(input => $socket, ports => { http => $socket->sockport })->start;
    my $end = load($s, 3);
    for (1 .. 3) {
        $s->end;
        $s->start;
    }
    my ($count, $wrong) = $end->();
    is $wrong, '', "$count requests";
    is $s->stop, '', 'the log is clean';
};

my $c = unit()->start;

subtest 'a worker that dies while it writes the state leaves no lock behind' => sub {
    my @fifos =
        map { $c->dir . "/state.$_" } $c->pids; # where each would write; opening waits for a reader
    for (@fifos) { POSIX::mkfifo($_, 0666) or die "$_: $!"; chmod 0666, $_ }
    my $put = Punit::Client->new($c->port('http'))
        ->send(PUT => '/status/peers/ap', body => '{"state":"down"}');
    my $stuck;
    $c->until(
        sub {
            ($stuck) = grep { wchan($_) =~ /fifo|wait_for_partner/ } $c->pids;
            return $stuck;
        },
        'hangs in a worker'
    );
    unlink @fifos;
    my $a = ask($c, PUT => '/status/peers/ap', body => '{"state":"down"}');
    is "$a->{status} $a->{json}{type}", '503 urn:punit:state-busy',
        'meanwhile it is locked for others';
    kill 'KILL', $stuck;
    $c->until(
        sub {
            my @now = $c->pids; @now == 2 && !grep { $_ == $stuck } @now
        },
        'has another worker'
    );
    is ask($c, PUT => '/status/peers/ap', body => '{"state":"down"}')->{status}, 200,
        'then it is not';
    is peer($c, 'ap')->{state}, 'down', 'and the peer is marked';
};

sub wchan {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/wchan" or return '';
    return <$f> // '';
}

subtest 'workers that are killed under load leave nothing locked' => sub {
    my $end = load($c, 3);
    for (1 .. 12) {
        my ($victim) = $c->pids;
        sleep 0.02 + rand 0.03;    # at any point of its work
        kill 'KILL', $victim;
        $c->until(
            sub {
                my @now = $c->pids; @now == 2 && !grep { $_ == $victim } @now
            },
            'has another worker'
        );
    }
    my ($count) = $end->();
    my %token = map { $_ => $c->{tokens}->token(unit => $_) } qw(eu us);
    for my $unit (('eu', 'us') x 4) {
        my $a = ask($c, GET => '/x', headers => [Authorization => "Bearer $token{$unit}"]);
        is "$a->{status} $a->{body}", "200 $unit", "$unit is served, after $count requests";
    }
    is peer($c, 'ap')->{state}, 'down', 'the zone is as it was';
    $c->reload;
    is ask($c, PUT => '/status/peers/ap', body => '{"state":"up"}')->{status}, 200,
        'and can be changed';
};

my $bad = $c->stop;
$bad =~ s/.*worker process \d+ exited on signal 9\n//g;
# NGINX frees a lock that a killed worker held.
$bad =~ s/.*shared memory zone "z" was locked by \d+\n//g;
is $bad, '', 'the log tells of the killed workers and of nothing else';

done_testing;
