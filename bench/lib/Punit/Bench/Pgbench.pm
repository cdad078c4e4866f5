package Punit::Bench::Pgbench;

# One statement by pgbench, prepared, over the unix socket: what came of a burst.
#
#   Punit::Bench::Pgbench->new(what => ..., script => "\\set n :n + 1\nselect :p1;\n",
#       variables => { p1 => 'text' },
#       socket => directory, port => ..., dir => ...)
#   $load->burst(8, 2);         # { rate => 1/s, p50 => us, p99 => us }
#
# Variables are sent as parameters, as a service sends them. :n is another number in each session
# and burst, and counts on from there.

use strict;
use warnings;
use Carp qw(croak);

my $next = 0;

sub new { my ($class, %o) = @_; return bless {%o}, $class }

sub what { return $_[0]{what} }

sub burst {
    my ($self, $connections, $seconds) = @_;
    my $file = "$self->{dir}/pgbench.sql";
    $next++;
    open my $f, '>', $file or croak "$file: $!";
    # sessions begin apart; the first statement of each sets its n
    print $f
        "\\if :begun = 0\n\\set n ($next * 100 + :client_id) * 1000000 + :client_id * 5\n"
        . "\\set begun 1\n\\endif\n$self->{script}";
    close $f or croak $!;
    my @variables = map { ('-D', "$_=$self->{variables}{$_}") } sort keys %{ $self->{variables} };
    my $log = "$self->{dir}/pgbench_log";
    open my $pgbench, '-|', 'pgbench', '-n', '-M', 'prepared', '-c', $connections, '-j1', '-T',
        $seconds, '-f', $file, '-l',
        "--log-prefix=$log", '-D', 'begun=0', '-D', 'n=0', @variables, '-h', $self->{socket}, '-p',
        $self->{port}, '-U', 'postgres', 'punit'
        or croak "pgbench: $!";
    my $said = do { local $/; <$pgbench> };
    close $pgbench or croak "pgbench failed on $self->{what}: $said";
    my ($rate) = $said =~ /tps = ([\d.]+)/ or croak "$self->{what}: $said";
    my @us = sort { $a <=> $b } map { $self->_latencies($_) } glob "$log.*";
    @us or croak "$self->{what}: no transaction was done\n$said";
    return { rate => $rate, p50 => $us[@us / 2], p99 => $us[@us * 0.99] };
}

# client, transaction, microseconds, script, time
sub _latencies {
    my ($self, $file) = @_;
    open my $f, '<', $file or croak "$file: $!";
    my @us = map { (split)[2] } <$f>;
    close $f;
    unlink $file;
    return @us;
}

1;
