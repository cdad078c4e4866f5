#!/usr/bin/perl
# The module's memcached client: one pipelined connection a worker, and what it does when servers die, freeze, lie
# or are slow.

use strict;
use warnings;
use lib 't/lib';
use Cwd qw(abs_path);
use Digest::MD5 qw(md5);
use Digest::SHA qw(sha256_hex);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SO_LINGER SOL_SOCKET);
use Test::More;
use Time::HiRes qw(time sleep);
use Punit::Process;

$SIG{PIPE} = 'IGNORE';

my $dir = tempdir('punit-grid-XXXXXX', TMPDIR => 1);
chmod 0755, $dir;
chown((getpwnam('punit'))[ 2, 3 ], $dir) if $> == 0;
my $module = abs_path($ENV{PUNIT_MODULE} // 'build/ngx_http_punit_module.so');
my $gen    = '41';
my $port   = free_port();
my $timeout = 0.1;    # NGX_HTTP_PUNIT_GRID_TIMEOUT, s
my $nginx;

mkdir "$dir/keys";
spew("$dir/keys/k.HS256.secret", '0123456789abcdef0123456789abcdef');

# ---- servers of this test

sub free_port {
    my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    return $s->sockport;
}

sub spew { my ($file, $text) = @_; open my $f, '>', $file or die "$file: $!"; print $f $text; close $f }

sub slurp { my ($file) = @_; open my $f, '<', $file or return ''; local $/; return scalar <$f> // '' }

sub conf {
    my ($grid, %o) = @_;
    my $user = $> == 0 ? 'user punit;' : '';
    my $workers = $o{workers} // 1;
    my $upstreams = $o{upstreams} // '';
    return <<"CONF";
load_module $module;
pid $dir/nginx.pid;
error_log $dir/error.log info;
daemon off;
$user
worker_processes $workers;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
    uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
    punit_zone punit 4m;
    punit_unit eu;
    punit_keys $dir/keys;
    punit_grid_near off;
    punit_token_check off;
    $upstreams
    server {
        listen 127.0.0.1:$port reuseport;
        location /training/ {
            punit_scope reference optional;
            punit_grid $grid;
            punit_local \@local;
        }
        location = /pid { return 200 \$pid; }
        location \@local { return 200 local; }
    }
}
CONF
}

sub start {
    my ($grid, %o) = @_;
    $nginx->stop('QUIT') if $nginx;
    spew("$dir/nginx.conf", conf($grid, %o));
    $nginx = Punit::Process->start(
        cmd => [ split(' ', $ENV{PUNIT_NGINX_UNDER} // ''), 'nginx', '-p', $dir, '-e', "$dir/error.log", '-c', "$dir/nginx.conf" ], log => "$dir/stderr.log");
    $nginx->until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }, 'listens', 60);
}

sub config_error {
    my ($grid, %o) = @_;
    spew("$dir/bad.conf", conf($grid, %o));
    my $out = qx(nginx -t -p $dir -e $dir/bad.log -c $dir/bad.conf 2>&1);
    return $? ? $out : "accepted";
}

# ---- memcached, by hand

sub memcached {
    my ($address) = @_;
    return $address =~ m{^/} ? IO::Socket::UNIX->new(Peer => $address) : IO::Socket::INET->new(PeerAddr => $address);
}

sub put {
    my ($address, $key, $flags, $value) = @_;
    my $s = memcached($address) or die "$address: $!";
    print $s "set $key $flags 0 " . length($value) . "\r\n$value\r\n";
    my $line = <$s>;
    $line eq "STORED\r\n" or die "set $key: $line";
}

sub stat_of {
    my ($address, $name) = @_;
    my $s = memcached($address) or die "$address: $!";
    print $s "stats\r\n";
    while (defined(my $line = <$s>)) {
        return $1 if $line =~ /^STAT \Q$name\E (\S+)/;
        last if $line eq "END\r\n";
    }
    die "no stat $name";
}

sub doc_key  { return 'punit:doc:training:' . sha256_hex("GET\n$_[0]\n") }
sub document { my ($text) = @_; return qq("etag-) . sha256_hex($text) . qq(" text/plain\n$text) }

sub publish {
    my ($address, $path, $text, $flags) = @_;
    put($address, doc_key($path), $flags // $gen, document($text));
}

# ---- HTTP, by hand: several requests on the way at once

sub connection { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) || die "nginx: $!" }

sub ask {
    my ($s, $path, %h) = @_;
    my $method = delete $h{method} // 'GET';
    print $s "$method $path HTTP/1.1\r\nHost: x\r\n", (map { "$_: $h{$_}\r\n" } keys %h), "\r\n";
}

sub answer {
    my ($s, $head) = @_;
    my %a = (body => '');
    local $/ = "\r\n";
    my $line = <$s>;
    return { status => 0 } unless defined $line;
    ($a{status}) = $line =~ m{^HTTP/1.1 (\d+)};
    while (defined($line = <$s>) && $line ne "\r\n") { $a{ lc $1 } = $2 if $line =~ /^([^:]+): (.*)\r\n/ }
    if (!$head && $a{'content-length'}) {
        my $n = read $s, $a{body}, $a{'content-length'};
        $a{status} = 0 if ($n // 0) != $a{'content-length'};
    }
    return \%a;
}

sub get {
    my ($path, %h) = @_;
    my $s = connection();
    ask($s, $path, %h);
    return answer($s, ($h{method} // '') eq 'HEAD');
}

sub timed { my $t = time; my $a = get(@_); return ($a, time - $t) }
sub route { my ($a) = @_; return $a->{'punit-route'} // '-' }

sub median { my @t = sort { $a <=> $b } @_; return $t[ @t / 2 ] }

sub until_true {
    my ($condition, $seconds) = @_;
    my $end = time + ($seconds // 15);
    while (time < $end) {
        return 1 if $condition->();
        sleep 0.02;
    }
    return 0;
}

# ---- a real memcached

my $socket = "$dir/grid.sock";
my $grid   = Punit::Process->memcached($socket);
my $idle   = 0;
until_true(sub { my $n = stat_of($socket, 'curr_connections'); my $same = $n == $idle; $idle = $n; return $same });
put($socket, 'punit:gen:training', 0, $gen);

start("unix:$socket");
my $pid = get('/pid')->{body};

# memcached counts a connection until it has seen its end
sub connections {
    my ($n) = @_;
    return until_true(sub { stat_of($socket, 'curr_connections') == $n })
        || !diag('connections: ' . stat_of($socket, 'curr_connections') . ", expected $n");
}

subtest 'a document of the current generation is answered from memcached' => sub {
    publish($socket, '/training/one', 'the first');
    my $a = get('/training/one');
    is $a->{status}, 200;
    is route($a), 'grid';
    is $a->{body}, 'the first';
    is $a->{'content-type'}, 'text/plain';
    is $a->{etag}, '"etag-' . sha256_hex('the first') . '"';
};

subtest 'HEAD and If-None-Match are answered from memcached too' => sub {
    my $a = get('/training/one', method => 'HEAD');
    is "$a->{status} $a->{'content-length'} " . route($a), '200 9 grid';
    $a = get('/training/one', 'If-None-Match' => $a->{etag});
    is "$a->{status} $a->{body}", '304 ';
};

subtest 'what is not there, or of another generation, goes to the worker' => sub {
    is route(get('/training/none')), 'local';
    publish($socket, '/training/old', 'old', $gen - 1);
    is route(get('/training/old')), 'local';
};

subtest 'an empty document and one of every size around the buffers arrive whole' => sub {
    for my $n (0, 1, 1000, 8190, 8191, 8192, 8193, 16380, 16384, 16400, 32768, 65536, 100_000, 900_000) {
        my $text = join '', map { chr(33 + ($_ * 7 + $n) % 90) } 1 .. $n;
        publish($socket, "/training/size-$n", $text);
        my $a = get("/training/size-$n");
        ok $a->{body} eq $text && route($a) eq 'grid', "$n octets";
    }
};

subtest 'hundreds of requests at once share one connection, and none gets the answer of another' => sub {
    publish($socket, "/training/n$_", "document $_ " . 'x' x ($_ * 37 % 3000)) for 1 .. 150;
    my $wrong = 0;
    for my $round (1 .. 3) {
        my @s = map { my $s = connection(); ask($s, "/training/n$_"); $s } 1 .. 150;
        for (1 .. 150) {
            my $a = answer($s[ $_ - 1 ]);
            $wrong++ if $a->{body} ne "document $_ " . 'x' x ($_ * 37 % 3000) || route($a) ne 'grid';
        }
    }
    is $wrong, 0;
    ok connections($idle + 1), 'one connection';
};

subtest 'pipelined requests of one client are answered in order' => sub {
    my $s = connection();
    ask($s, "/training/n$_") for 1 .. 30;
    my @got = map { answer($s)->{body} =~ /^document (\d+)/ ? $1 : '-' } 1 .. 30;
    is_deeply \@got, [ 1 .. 30 ];
};

subtest 'clients that go away leave nothing behind' => sub {
    for (1 .. 200) {
        my $s = connection();
        ask($s, '/training/size-900000');
        setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        close $s;
    }
    is route(get('/training/one')), 'grid';
    is get('/pid')->{body}, $pid, 'the worker lives';
};

subtest 'a memcached that died costs nothing but the hit, and is used again when it is back' => sub {
    $grid->stop('KILL');
    my ($wrong, @t) = (0);
    for (1 .. 20) {
        my ($a, $t) = timed('/training/one');
        $wrong++ unless $a->{status} == 200 && route($a) eq 'local';
        push @t, $t;
    }
    is $wrong, 0, 'all are answered by the worker';
    cmp_ok median(@t), '<', $timeout / 2, 'and do not wait';
    unlink $socket;
    $grid->again->listening($socket);
    put($socket, 'punit:gen:training', 0, $gen);
    publish($socket, '/training/one', 'the first');
    ok until_true(sub { route(get('/training/one')) eq 'grid' }), 'used again';
};

# stopped it is when all of its threads are
sub freeze {
    $grid->signal('STOP');
    $grid->until(sub { !grep { slurp($_) !~ /\) T/ } glob "/proc/$grid->{pid}/task/*/stat" }, 'is frozen');
    return;
}

subtest 'a memcached that is frozen costs one timeout per back-off' => sub {
    my $before = () = slurp("$dir/error.log") =~ /left alone/g;
    freeze();
    my ($wrong, $end, @t) = (0, time + 2);
    while (time < $end) {
        my ($a, $t) = timed('/training/one');
        $wrong++ unless $a->{status} == 200 && route($a) eq 'local';
        push @t, $t;
    }
    is $wrong, 0, @t . ' requests, none wrong';
    cmp_ok median(@t), '<', $timeout / 2, 'hardly one waits';
    my $after = () = slurp("$dir/error.log") =~ /left alone/g;
    my $tried = $after - $before;
    ok $tried >= 1 && $tried <= 5, "$tried times it was tried: at 0, after 250 ms, 500 ms, 1 s";
    $grid->signal('CONT');
    ok until_true(sub { route(get('/training/one')) eq 'grid' }), 'used again';
};

# how long 30 requests wait that come together when a frozen memcached may be tried again
sub together {
    my $start = time;
    my @s = map { my $s = connection(); ask($s, '/training/one'); $s } 1 .. 30;
    my $on = IO::Select->new(@s);
    my @t;
    while (my @ready = $on->can_read(10)) {
        for my $s (@ready) {
            answer($s);
            push @t, time - $start;
            $on->remove($s);
        }
        last unless $on->count;
    }
    return @t;
}

subtest 'one request tries a frozen memcached again, not all of them' => sub {
    freeze();
    get('/training/one');
    my @t;
    ok until_true(
        sub {    # a machine that is slow for once may make all of them wait
            sleep 0.6;
            @t = together();
            return @t == 30 && $t[-1] >= $timeout && median(@t) < $t[-1] - $timeout / 2;
        },
        40
    ), 'the others do not wait' or diag "@t";
    $grid->signal('CONT');
    ok until_true(sub { route(get('/training/one')) eq 'grid' }), 'used again';
};

subtest 'a reload under load fails no request and leaves no connection behind' => sub {
    my $connections = $idle + 1;
    ok connections($connections), 'one connection before';
    my ($n, $wrong) = (0, 0);
    for my $round (1 .. 3) {
        my $old = get('/pid')->{body};
        $nginx->signal('HUP');
        my $end = time + 20;
        while (time < $end) {
            my $a = get('/training/one');
            $n++;
            $wrong++ unless $a->{status} == 200 && route($a) eq 'grid';
            last if !kill(0, $old) && get('/pid')->{body} ne $old;
        }
        ok !kill(0, $old), 'the old worker is gone';
    }
    is $wrong, 0, "$n requests";
    ok connections($connections), 'as many connections as before';
};

# ---- several servers: the same choice as libmemcached's (t/unit/ketama_test.c), here with the servers' text

sub ring {
    my @servers = @_;    # [host, port, weight]
    my ($total, @points) = (0);
    $total += $_->[2] for @servers;
    for my $i (0 .. $#servers) {
        my ($host, $port, $weight) = @{ $servers[$i] };
        for my $k (0 .. int($weight / $total * 40 * @servers + 1e-10) - 1) {
            push @points, map { [ $_, $i ] } unpack 'V4', md5("$host:$port-$k");
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
    my @m = map {
        my $p = $_;
        my $m = Punit::Process->start(cmd => [ 'memcached', '-l', '127.0.0.1', '-p', $p, '-m', '16',
            $> == 0 ? ('-u', 'punit') : () ], log => "$dir/memcached-$p.log");
        $m->until(sub { memcached("127.0.0.1:$p") }, 'listens');
    } @ports;
    for my $i (0 .. 2) {
        put("127.0.0.1:$ports[$i]", 'punit:gen:training', 0, $gen);
        publish("127.0.0.1:$ports[$i]", "/training/k$_", "server $i") for 1 .. 60;
    }
    my $servers = join ' ', map { "server 127.0.0.1:$ports[$_] weight=" . ($_ + 1) . ';' } 0 .. 2;
    start('grid', upstreams => "upstream grid { $servers }");
    my @ring = ring(map { [ '127.0.0.1', $ports[$_], $_ + 1 ] } 0 .. 2);
    my ($wrong, %seen) = (0);
    for (1 .. 60) {
        my $body = get("/training/k$_")->{body};
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
        my $a = get("/training/k$_");
        $wrong++ if $a->{status} != 200 || route($a) ne ($at == $dead ? 'local' : 'grid');
    }
    is $wrong, 0, 'a dead server takes only its keys along';
    $_->stop for @m;
};

# ---- a server that does what memcached does not: the test itself

my $fake_path = "$dir/fake.sock";
my $fake = IO::Socket::UNIX->new(Local => $fake_path, Listen => 8) or die $!;
chmod 0777, $fake_path;

# the next connection, and the commands that come on it
sub accepted {
    IO::Select->new($fake)->can_read(10) or return;
    my $c = $fake->accept;
    $c->autoflush(1);
    return $c;
}

sub commands {
    my ($c, $n) = @_;
    my ($text, @keys) = ('');
    while (@keys < $n) {
        IO::Select->new($c)->can_read(10) or last;
        sysread($c, $text, 1, length $text) or last;
        push @keys, $text =~ /^mg (\S+) f v\r\n$/ ? $1 : "?$text" and $text = '' if $text =~ /\n$/;
    }
    return @keys;
}

# waits until the worker has read all that was written to it (unix(7), SIOCOUTQ)
sub taken {
    my ($c) = @_;
    return until_true(sub { my $left = pack 'i', 0; ioctl($c, 0x5411, $left) or die "ioctl: $!"; return !unpack 'i', $left });
}

# a generation is kept for 10 ms: only after that is it asked for again
sub generation_forgotten { sleep 0.03; return }

sub hit { my ($flags, $value) = @_; return 'VA ' . length($value) . " f$flags\r\n$value\r\n" }

subtest 'generation and document are asked for in one round trip' => sub {
    start("unix:$fake_path");
    my $s = connection();
    ask($s, '/training/x');
    my $c = accepted();
    is_deeply [ commands($c, 2) ], [ 'punit:gen:training', doc_key('/training/x') ];
    print $c hit(0, $gen), hit($gen, document('from the fake'));
    my $a = answer($s);
    is "$a->{body} " . route($a), 'from the fake grid';
};

subtest 'an answer in single octets is put together' => sub {
    start("unix:$fake_path");
    my $s = connection();
    ask($s, '/training/x');
    my $c = accepted();
    commands($c, 2);
    for (split //, hit(0, $gen) . hit($gen, document('bit by bit'))) { syswrite $c, $_; sleep 0.001 }
    is answer($s)->{body}, 'bit by bit';
};

subtest 'a small document overtakes a large one that is on its way' => sub {
    start("unix:$fake_path");
    my $large = connection();
    ask($large, '/training/large');
    my $c = accepted();
    commands($c, 2);
    my $text = hit($gen, document('L' x 200_000));
    syswrite $c, hit(0, $gen) . substr($text, 0, 50_000, '');
    taken($c);
    generation_forgotten();
    my $small = connection();
    ask($small, '/training/small');
    my $c2 = accepted();
    ok $c2, 'on a second connection';
    commands($c2, 2);
    print $c2 hit(0, $gen), hit($gen, document('S'));
    is answer($small)->{body}, 'S', 'the small one is here';
    syswrite $c, substr($text, 0, 10_000, ''), while length $text && (sleep(0.005) || 1);
    is length(answer($large)->{body}), 200_000, 'and the large one later';
};

subtest 'a value for a client that went away is passed over' => sub {
    start("unix:$fake_path");
    my $s = connection();
    ask($s, '/training/x');
    my $c = accepted();
    commands($c, 2);
    my $text = hit($gen, document('L' x 100_000));
    syswrite $c, hit(0, $gen) . substr($text, 0, 30_000, '');
    taken($c);
    close $s;
    generation_forgotten();
    my $s2 = connection();
    ask($s2, '/training/y');
    syswrite $c, $text;
    my $on = IO::Select->new($c, $fake);
    my ($ready) = $on->can_read(10);
    my $c2 = $ready && $ready == $fake ? accepted() : $c;
    commands($c2, 2);
    print $c2 hit(0, $gen), hit($gen, document('Y'));
    is answer($s2)->{body}, 'Y';
};

subtest 'what is no answer ends the connection, and the request goes on without' => sub {
    for my $text ("ERROR\r\n", "CLIENT_ERROR bad\r\n", "VALUE x 0 1\r\n1\r\nEND\r\n", "\r\n", 'x' x 2000, "VA 5 f1\r\nhelloXX",
        "VA 999999999999 f1\r\n", "EN\r\nEN\r\nEN\r\nEN\r\n")
    {
        start("unix:$fake_path");
        my $s = connection();
        ask($s, '/training/x');
        my $c = accepted();
        commands($c, 2);
        print $c $text;
        my $a = answer($s);
        is "$a->{status} " . route($a), '200 local', substr($text =~ s/\r\n/|/gr, 0, 30);
    }
};

subtest 'a server error is the trouble of one key, not of the connection' => sub {
    start("unix:$fake_path");
    my $s = connection();
    ask($s, '/training/x');
    my $c = accepted();
    commands($c, 2);
    print $c "SERVER_ERROR out of memory writing get response\r\n", hit($gen, document('x'));
    is route(answer($s)), 'local';
    ask($s, '/training/x');
    is scalar(commands($c, 2)), 2, 'the next ones come on the same connection';
    print $c hit(0, $gen), hit($gen, document('x'));
    is route(answer($s)), 'grid';
};

subtest 'a server that closes the kept connection is connected again' => sub {
    start("unix:$fake_path");
    for (1 .. 3) {
        my $s = connection();
        ask($s, '/training/x');
        my $c = accepted();
        commands($c, 2);
        print $c hit(0, $gen), hit($gen, document("turn $_"));
        is answer($s)->{body}, "turn $_";
        shutdown $c, 1;
        is sysread($c, my $rest, 1), 0, 'the worker closes it, too';
        close $c;
        generation_forgotten();
    }
};

subtest 'a worker that quits answers who waits, then closes its connections' => sub {
    start("unix:$fake_path");
    my $s = connection();
    ask($s, '/training/x');
    my $c = accepted();
    commands($c, 2);
    $nginx->signal('QUIT');
    sleep 0.03;
    print $c hit(0, $gen), hit($gen, document('to the last'));
    is answer($s)->{body}, 'to the last';
    ok until_true(sub { !$nginx->alive }), 'it is gone';
    is $nginx->stop, 0;
    undef $nginx;
};

# ---- mistakes of configuration

subtest 'a grid that cannot be one fails nginx -t with the value and what was expected' => sub {
    like config_error('grid', upstreams => 'upstream grid { server 127.0.0.1; }'),
        qr/server "127\.0\.0\.1" of upstream "grid".*no port, expected "HOST:PORT" or "unix:PATH"/;
    like config_error('grid', upstreams => 'upstream grid { server 127.0.0.1:1; server 127.0.0.1:2 down; }'),
        qr/server "127\.0\.0\.1:2" of upstream "grid", which is a grid, is "down", expected only "weight"/;
    like config_error('grid', upstreams => 'upstream grid { server 127.0.0.1:1; server 127.0.0.1:2 backup; }'),
        qr/is "backup", expected only "weight"/;
    like config_error('nowhere.invalid'), qr/\[emerg\].*"?nowhere\.invalid/;
};

my $log = slurp("$dir/error.log");
unlike $log, qr/\[(?:alert|emerg|crit)\](?!.*connect\(\) to unix)/, 'nothing worse in the log'
    or diag join "\n", grep { /\[(?:alert|emerg|crit)\]/ } split /\n/, $log;
unlike $log, qr/open socket/, 'no socket was left open';

done_testing;
if (Test::More->builder->is_passing) {
    $nginx->stop if $nginx;
    $grid->stop;
    system 'rm', '-rf', $dir;
} else {
    diag "logs in $dir";
}
