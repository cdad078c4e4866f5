package Punit::Bench::Wrk;

# Requests of many users by wrk, each with a body, a path and an Idempotency-Key of its own: what
# came of a burst.
#
#   Punit::Bench::Wrk->new(what => 'POST /activities', method => 'POST', path => '"/activities"',
#       body => 'string.format(...)', key => 1, users => [...], url => ..., dir => ...)
#   $load->burst(8, 2);         # { rate => 1/s, p50 => us, p99 => us }
#
# path and body are Lua expressions. n is the number of the request, unique in this run. user is the
# user whose turn it is. prepare: Lua that runs once, before. status: of each answer, default 2xx.

use strict;
use warnings;
use Carp qw(croak);

my %us = (us => 1, ms => 1e3, s => 1e6);
my $files = 0;
my $next = 0;

sub new { my ($class, %o) = @_; return bless {%o}, $class }

sub what { return $_[0]{what} }

sub burst {
    my ($self, $connections, $seconds) = @_;
    my $file = $self->_script;
    open my $wrk, '-|', 'wrk', '-t1', "-c$connections", "-d${seconds}s", '--latency', '--timeout',
        '10s', '-s', $file, $self->{url}
        or croak "wrk: $!";
    my $said = do { local $/; <$wrk> };
    close $wrk or croak "wrk failed on $self->{what}: $said";
    unlink $file;
    croak "$self->{what}: not all requests were answered\n$said"
        if $said =~ /Non-2xx|Socket errors/;
    my ($rate) = $said =~ m{Requests/sec:\s+([\d.]+)} or croak "$self->{what}: $said";
    $rate > 0 or croak "$self->{what}: no request was answered\n$said";
    my %burst = (rate => $rate);
    for my $percent (50, 99) {
        my ($n, $unit) = $said =~ /^\s+$percent%\s+([\d.]+)(us|ms|s)$/m
            or croak "$self->{what}: $said";
        $burst{"p$percent"} = $n * $us{$unit};
    }
    return \%burst;
}

sub _script {
    my ($self) = @_;
    my $file = "$self->{dir}/wrk-" . ++$files . '.lua';
    $next += 1_000_000;
    open my $f, '>', $file or croak "$file: $!";
    print $f "local users = {\n", (
        map {
                  "  { id = '$_->{id}', token = '$_->{token}', activity = '"
                . ($_->{activity} // '')
                . "' },\n"
        } @{ $self->{users} }
        ),
        "}\n";
    print $f "local n = $next\n", $self->{prepare} // '', "\n";
    print $f "function request()\n  n = n + 1\n  local user = users[n % #users + 1]\n";
    print $f "  local headers = { Authorization = 'Bearer ' .. user.token }\n";
    print $f "  headers['Content-Type'] = 'application/json'\n" if $self->{body};
    print $f "  headers['Idempotency-Key'] = 'bench-$$-' .. n\n" if $self->{key};
    print $f "  return wrk.format('$self->{method}', $self->{path}, headers, ",
        $self->{body} // 'nil', ")\nend\n";
    close $f or croak $!;
    return $file;
}

1;
