# The mover is told by datagrams: batched, each user at most once an interval, never waited for.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Select;
use IO::Socket::UNIX;
use Socket;
use Time::HiRes qw(sleep time);

use Punit::Backend;
use Punit::Client;
use Punit::Nginx;
use Punit::Token;
use Punit::Tries;
use Punit::Wait qw(patience wait_until);

my $n = Punit::Nginx->new(workers => 2);
my $keys = Punit::Token->new($n->dir . '/keys');
$keys->es256($_) for qw(eu-1 us-1);

my $path = $n->dir . '/mover.sock';
my $worker = Punit::Backend->new(sub { [200, ['Punit-Owner' => 'eu; epoch=2']] });
my $us = Punit::Backend->new(
    sub {
        $_[0]{uri} =~ /moved/
            ? [421, ['Punit-Owner' => 'eu; epoch=2']]
            : [200, ['Punit-Owner' => 'us; epoch=4']]
    });

$n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_peer us;
    punit_keys keys;
    punit_token_check off;
    punit_move unix:$path;
    punit_move_interval 500ms;
    upstream us { server 127.0.0.1:@{[$us->port]}; }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        punit_forward \@forward;
        location / { punit_scope user; }
        location /off { punit_scope user; punit_move off; }
        location /reference { punit_scope reference; }
        location \@local { proxy_pass http://127.0.0.1:@{[$worker->port]}; }
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
    my ($token, $path) = @_;
    return $n->ask('GET', $path // '/x', token => $token)->{status};
}

my $mover;

sub mover_up {
    $mover = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "mover: $!";
    chmod 0777, $path;
    return;
}

sub mover_down { close $mover; unlink $path; return }

# the lines of what comes within so many seconds
sub told {
    my ($seconds) = @_;
    my ($end, @lines) = (time + $seconds);
    while ((my $left = $end - time) > 0) {
        next unless IO::Select->new($mover)->can_read($left);
        $mover->recv(my $data, 65536);
        push @lines, split /\n/, $data;
    }
    return @lines;
}

mover_up();
some_subtest 'a user owned elsewhere' => sub {
    my $user = Punit::Token::uuid();
    my $token = $keys->token(unit => 'us', epoch => 3, sub => $user);
    is(ask($token), 200, 'a request of a user owned elsewhere');
    my @first = told(0.2);
    is(join('|', @first), "f $user us 4 1", 'is told at once: user, owner, epoch, count');

    ask($token) for 1 .. 5;
    my @next = told(1.0);
    is(join('|', @next), "f $user us 4 5", 'more of them once after the interval, counted');
    is(join('|', told(0.6)), '', 'and nothing more');
};

my @users = map { Punit::Token::uuid() } 1 .. 100;
my @tokens = map { $keys->token(unit => 'us', epoch => 1, sub => $_) } @users;
ask($_) for @tokens;
my %seen = map { /^f (\S+) us 4 1$/ ? ($1 => 1) : ($_ => 1) } told(patience(1.5));
is(join(' ', sort keys %seen), join(' ', sort @users),
    'every user is told, whichever worker process served the requests');

my $mine = $keys->token(unit => 'eu', epoch => 2);
is(ask($mine), 200, 'a request of a user owned here');
is(ask($keys->token(unit => 'us'), '/off'), 200, 'one with punit_move off');
is(ask($keys->token(unit => 'us'), '/reference'), 200, 'one for reference data');
is(ask($keys->token(unit => 'us'), '/moved'), 200, 'one that ends up here after a 421');
is(join('|', told(0.3)), '', 'are not told');

mover_down();
my $other = Punit::Token::uuid();
my $late = $keys->token(unit => 'us', epoch => 1, sub => $other);
my $asked = 0;
my $served = sub {
    is(ask($late), 200, 'the mover is down: served all the same') for 1 .. 3;
    $asked += 3;
};
ok(once_within(0.5, sub { took($served) }), 'at once');
wait_until(sub { $n->log_text =~ /cannot be told/ }, 5);
like($n->log_text, qr/mover at unix:\S+ cannot be told/, 'and logged');
mover_up();
ask($late);
$asked++;
my $count = 0;
for (told(patience(1))) {
    /^f $other us 4 (\d+)$/ ? ($count += $1) : fail("told: $_");
}
is($count, $asked, 'a failed send uses no interval up and loses no count');

# nobody reads: the socket is full
for my $i (1 .. 600) {
    ask($keys->token(unit => 'us', epoch => 1, sub => "u-$i"));
    sleep 0.012 if $i % 20 == 0;
}
$served = sub {
    is(ask($keys->token(unit => 'us')), 200, 'a mover that reads nothing holds nobody up');
};
ok(once_within(0.5, sub { took($served) }), 'at all');

is($n->stop, '', 'the log is clean');
mover_down();
done_testing;
