# The module's memcached client and a server that does what memcached does not, or does it slowly:
# the test itself. And the two questions in one round trip, cut answers, large values.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(sleep);

use Punit::GridUnit qw(doc_key document route);
use Punit::Tries;
use Punit::Wait qw(patience wait_until);

$SIG{PIPE} = 'IGNORE';

my $g = Punit::GridUnit->new;

# ---- a server that does what memcached does not: the test itself. The module waits 100 ms for an
# answer and goes on without it, so a subtest is repeated when the test was not quick enough.

my $fake_path = $g->dir . "/fake.sock";
my $fake = IO::Socket::UNIX->new(Local => $fake_path, Listen => 8) or die $!;
chmod 0777, $fake_path;

# the next connection, and the commands that come on it
sub accepted {
    IO::Select->new($fake)->can_read(patience(10)) or return;
    my $c = $fake->accept;
    $c->autoflush(1);
    return $c;
}

sub commands {
    my ($c, $n) = @_;
    my ($text, @keys) = ('');
    while (@keys < $n) {
        IO::Select->new($c)->can_read(patience(10)) or last;
        sysread($c, $text, 1, length $text) or last;
        push @keys, $text =~ /^mg (\S+) f v\r\n$/ ? $1 : "?$text" and $text = '' if $text =~ /\n$/;
    }
    return @keys;
}

# waits until the worker has read all that was written to it (unix(7), SIOCOUTQ)
sub taken {
    my ($c) = @_;
    return wait_until(
        sub {
            my $left = pack 'i', 0; ioctl($c, 0x5411, $left)
                or die "ioctl: $!"; return !unpack 'i', $left
        });
}

# a generation is kept for 10 ms: only after that is it asked for again
sub generation_forgotten { sleep 0.03; return }

sub hit { my ($flags, $value) = @_; return 'VA ' . length($value) . " f$flags\r\n$value\r\n" }

some_subtest 'generation and document are asked for in one round trip' => sub {
    $g->start("unix:$fake_path");
    my $s = $g->ask('/training/x');
    my $c = accepted();
    is_deeply [commands($c, 2)], ['punit:gen:training', doc_key('/training/x')];
    print $c hit(0, $g->{gen}), hit($g->{gen}, document('from the fake'));
    my $a = $s->receive('GET');
    is "$a->{body} " . route($a), 'from the fake grid';
};

some_subtest 'an answer in single octets is put together' => sub {
    $g->start("unix:$fake_path");
    my $s = $g->ask('/training/x');
    my $c = accepted();
    commands($c, 2);
    for (split //, hit(0, $g->{gen}) . hit($g->{gen}, document('bit by bit'))) {
        syswrite $c, $_; sleep 0.001
    }
    is $s->receive('GET')->{body}, 'bit by bit';
};

some_subtest 'a small document overtakes a large one that is on its way' => sub {
    $g->start("unix:$fake_path");
    my $large = $g->ask('/training/large');
    my $c = accepted();
    commands($c, 2);
    my $text = hit($g->{gen}, document('L' x 200_000));
    syswrite $c, hit(0, $g->{gen}) . substr($text, 0, 50_000, '');
    taken($c);
    generation_forgotten();
    my $small = $g->ask('/training/small');
    my $c2 = accepted();
    ok $c2, 'on a second connection';
    commands($c2, 2);
    print $c2 hit(0, $g->{gen}), hit($g->{gen}, document('S'));
    is $small->receive('GET')->{body}, 'S', 'the small one is here';
    syswrite $c, substr($text, 0, 10_000, ''), while length $text && (sleep(0.005) || 1);
    is length($large->receive('GET')->{body}), 200_000, 'and the large one later';
};

some_subtest 'a value for a client that went away is passed over' => sub {
    $g->start("unix:$fake_path");
    my $s = $g->ask('/training/x');
    my $c = accepted();
    commands($c, 2);
    my $text = hit($g->{gen}, document('L' x 100_000));
    syswrite $c, hit(0, $g->{gen}) . substr($text, 0, 30_000, '');
    taken($c);
    $s->close;
    generation_forgotten();
    my $s2 = $g->ask('/training/y');
    syswrite $c, $text;
    my $on = IO::Select->new($c, $fake);
    my ($ready) = $on->can_read(patience(10));
    my $c2 = $ready && $ready == $fake ? accepted() : $c;
    commands($c2, 2);
    print $c2 hit(0, $g->{gen}), hit($g->{gen}, document('Y'));
    is $s2->receive('GET')->{body}, 'Y';
};

some_subtest 'what is no answer ends the connection, and the request goes on without' => sub {
    for my $text (
        "ERROR\r\n", "CLIENT_ERROR bad\r\n", "VALUE x 0 1\r\n1\r\nEND\r\n", "\r\n", 'x' x 2000,
        "VA 5 f1\r\nhelloXX",
        "VA 999999999999 f1\r\n", "EN\r\nEN\r\nEN\r\nEN\r\n"
        )
    {
        $g->start("unix:$fake_path");
        my $s = $g->ask('/training/x');
        my $c = accepted();
        commands($c, 2);
        print $c $text;
        my $a = $s->receive('GET');
        is "$a->{status} " . route($a), '200 local', substr($text =~ s/\r\n/|/gr, 0, 30);
    }
};

some_subtest 'a server error is the trouble of one key, not of the connection' => sub {
    $g->start("unix:$fake_path");
    my $s = $g->ask('/training/x');
    my $c = accepted();
    commands($c, 2);
    print $c "SERVER_ERROR out of memory writing get response\r\n", hit($g->{gen}, document('x'));
    is route($s->receive('GET')), 'local';
    $s->send(GET => '/training/x');
    is scalar(commands($c, 2)), 2, 'the next ones come on the same connection';
    print $c hit(0, $g->{gen}), hit($g->{gen}, document('x'));
    is route($s->receive('GET')), 'grid';
};

some_subtest 'a server that closes the kept connection is connected again' => sub {
    $g->start("unix:$fake_path");
    for (1 .. 3) {
        my $s = $g->ask('/training/x');
        my $c = accepted();
        commands($c, 2);
        print $c hit(0, $g->{gen}), hit($g->{gen}, document("turn $_"));
        is $s->receive('GET')->{body}, "turn $_";
        shutdown $c, 1;
        is sysread($c, my $rest, 1), 0, 'the worker closes it, too';
        close $c;
        generation_forgotten();
    }
};

some_subtest
    'a worker that quits answers the requests that wait, then closes its connections' => sub {
    $g->start("unix:$fake_path");
    my $s = $g->ask('/training/x');
    my $c = accepted();
    commands($c, 2);
    $g->nginx->signal('QUIT');
    sleep 0.03;
    print $c hit(0, $g->{gen}), hit($g->{gen}, document('to the last'));
    is $s->receive('GET')->{body}, 'to the last';
    ok wait_until(sub { !$g->nginx->alive }), 'it is gone';
    is $g->stop, '', 'and left nothing open';
};

done_testing;
