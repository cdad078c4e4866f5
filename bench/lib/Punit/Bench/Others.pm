package Punit::Bench::Others;

# Other users, which do not move. At each unit a process of clients sends its own users' requests,
# at a fixed and modest rate, on a kept connection. Three reads come to a write, in turn. A write
# takes five times as long as a read. With as many writes as reads, the median would lie between the
# two, where hardly any request is.
#
#   my $others = Punit::Bench::Others->new($ground, rate => 50);
#   $others->begin(4);  ...;  my $seen = $others->end;
#   # { latencies => [ms], at => {eu => [ms]...}, failed => n, cpu => us a request }

use strict;
use warnings;
use Carp qw(croak);
use IO::Handle;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

use Punit::Client;
use Punit::Services qw(services);

use constant WRITE_EVERY => 4;

my $json = JSON::PP->new;
my @services = services();

# rate: requests a second at each unit
sub new {
    my ($class, $ground, %o) = @_;
    my $units = $ground->units;
    my $self = bless { units => $units, ground => $ground }, $class;
    for my $unit (@{ $units->{units} }) {
        my @users = map { $ground->register($unit) } 1 .. 8;
        pipe my $here, my $say or croak "pipe: $!";
        pipe my $listen, my $there or croak "pipe: $!";
        my $pid = fork // croak "fork: $!";
        if (!$pid) {
            $SIG{TERM} = 'DEFAULT';
            close $_ for $say, $listen;
            my $ok =
                eval {
                    _work($here, $there, $unit, $units->port($unit), $o{rate} // 50, @users);
                    1;
                };
            print STDERR $@ if !$ok;
            POSIX::_exit($ok ? 0 : 1);
        }
        close $_ for $here, $there;
        push @{ $self->{clients} }, { unit => $unit, pid => $pid, say => $say, listen => $listen };
    }
    return $self;
}

sub begin {
    my ($self, $seconds) = @_;
    $self->{cpu} = $self->_cpu;
    for my $c (@{ $self->{clients} }) {
        $c->{say}->print("$seconds\n");
        $c->{say}->flush;
    }
    return;
}

sub end {
    my ($self) = @_;
    my (@latencies, %at, $failed);
    for my $c (@{ $self->{clients} }) {
        my $seen = $json->decode(readline($c->{listen}) // croak 'a process of clients has ended');
        $at{ $c->{unit} } = $seen->{latencies};
        push @latencies, @{ $seen->{latencies} };
        $failed += $seen->{failed};
    }
    return { latencies => \@latencies, at => \%at, failed => $failed,
        cpu => ($self->_cpu - $self->{cpu}) / @latencies };
}

sub _work {
    my ($here, $there, $unit, $port, $rate, @users) = @_;
    # a request in one write: HTTP::Tiny's two wait 40 ms for each other's acknowledgement
    my $client = Punit::Client->new($port);
    my $number = 0;
    while (my $seconds = readline $here) {
        # as clients do before their tokens expire
        $_->renew($unit) for grep { $_->claims->{exp} < time + 300 } @users;
        my ($began, @latencies, $failed) = (time);
        for my $i (0 .. $rate * $seconds - 1) {
            my $wait = $began + $i / $rate - time;
            sleep $wait if $wait > 0;
            my @headers = (Authorization => 'Bearer ' . $users[$i / WRITE_EVERY % @users]->token);
            my $sent = time;
            my $answer = $i % WRITE_EVERY
                ? $client->request(GET => '/profile', headers => \@headers)
                : $client->request(
                POST => '/social/posts',
                headers => [@headers, 'Content-Type' => 'application/json'],
                body => $json->encode({ text => 'post ' . ++$number }));
            push @latencies, 1000 * (time - $sent);
            $failed++ if $answer->{status} !~ /^20[01]$/;
        }
        $there->print($json->encode({ latencies => \@latencies, failed => $failed // 0 }), "\n");
        $there->flush;
    }
    return;
}

# Microseconds on a processor of all that answers requests at both units: NGINX, the services, their
# database sessions.
sub _cpu {
    my ($self) = @_;
    my $sum = 0;
    for my $unit (@{ $self->{units}{units} }) {
        my $master = $self->{units}->pid($unit, 'nginx');
        open my $f, '<', "/proc/$master/task/$master/children" or croak "NGINX of $unit: $!";
        my @pids = split ' ', <$f> // '';
        push @pids, map { $self->{units}->pid($unit, $_) } @services;
        push @pids, @{
            $self->{units}->dbh($unit)->selectcol_arrayref(
                'select pid from pg_stat_activity where usename = any (?)', undef,
                [map {"punit_$_"} @services]) };
        for my $file (map { glob "/proc/$_/task/*/schedstat" } @pids) {
            open my $s, '<', $file or next;
            $sum += (split ' ', <$s>)[0] / 1e3;
        }
    }
    return $sum;
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $?);
    # by signal: those forked later hold the others' pipes open
    for my $c (@{ $self->{clients} }) {
        kill TERM => $c->{pid};
        waitpid $c->{pid}, 0;
    }
    return;
}

1;
