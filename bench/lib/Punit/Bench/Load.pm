package Punit::Bench::Load;

# One burst of requests, by wrk with one thread: what came of it.
#
#   my $load = Punit::Bench::Load->new(server => $s, path => '/sports', token => $t,
#       what => 'memcached_pass');
#   $load->once;                    # { status, headers, body } of a single request
#   $load->burst(64, 2);  # 64 connections, 2 s: { rate => 1/s, p50 => us, cpu => us a request }

use strict;
use warnings;
use Carp qw(croak);

use Punit::Client;

my %us = (us => 1, ms => 1e3, s => 1e6);

# path, token (or none), server, what: for the table
sub new { my ($class, %o) = @_; return bless {%o}, $class }

sub what { return $_[0]{what} }

sub once {
    my ($self) = @_;
    my @headers = $self->{token} ? (Authorization => "Bearer $self->{token}") : ();
    return Punit::Client->once($self->{server}->port, 'GET', $self->{path}, headers => \@headers);
}

# A request that is not answered with 2xx is no measurement.
sub burst {
    my ($self, $connections, $seconds) = @_;
    my @header = $self->{token} ? ('-H', "Authorization: Bearer $self->{token}") : ();
    my $before = $self->_cpu;
    open my $wrk, '-|', 'wrk', '-t1', "-c$connections", "-d${seconds}s", '--latency', @header,
        $self->{server}->url($self->{path})
        or croak "wrk: $!";
    my $said = do { local $/; <$wrk> };
    close $wrk or croak "wrk failed on $self->{what}: $said";
    my $cpu = $self->_cpu - $before;
    croak "$self->{what}: not all requests were answered\n$said"
        if $said =~ /Non-2xx|Socket errors/;
    my ($requests) = $said =~ /([1-9]\d*) requests in/
        or croak "$self->{what}: no request was answered\n$said";
    my ($rate) = $said =~ m{Requests/sec:\s+([\d.]+)} or croak "$self->{what}: $said";
    my ($p50, $unit) = $said =~ /^\s+50%\s+([\d.]+)(us|ms|s)$/m or croak "$self->{what}: $said";
    return { rate => $rate, p50 => $p50 * $us{$unit}, cpu => $cpu / $requests };
}

# Microseconds on a processor, of all that answer requests.
sub _cpu {
    my ($self) = @_;
    my $sum = 0;
    for my $pid ($self->{server}->workers) {
        open my $f, '<', "/proc/$pid/schedstat" or croak "/proc/$pid/schedstat: $!";
        $sum += (split ' ', <$f>)[0] / 1e3;
    }
    return $sum;
}

1;
