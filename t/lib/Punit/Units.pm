package Punit::Units;

# Whole units for a test, started by demo/units in a directory and on ports of their own.
#
#   my $units = Punit::Units->start(units => ['eu', 'us'], env => { PUNIT_MOVE_DWELL => '1s' });
#   my $answer = $units->http('eu', POST => '/auth/register', undef, { email => ... });
#   $answer->{status}, $answer->{headers}{'punit-route'}, $answer->{json}
#   $units->dbh('us')->selectrow_array('select ...');     # as postgres
#   kill KILL => $units->pid('us', 'mover');
#
# A test's own kill -9 is excused in the logs.

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);
use HTTP::Tiny;
use JSON::PP ();

use Punit::Command qw(begin capture);
use Punit::File qw(slurp);
use Punit::Memcached;
use Punit::Server qw(directory port_base);
use Punit::Services qw(services);
use Punit::Tree qw(root);
use Punit::Wait qw(patience wait_until);

# units: their ids; env: settings of all of them; source: another tree to build and install from.
# excuse: a pattern of the lines in logs that the test itself causes, in the place of a kill -9.
# Dies, with what was printed, if they do not come up.
sub start {
    my ($class, %o) = @_;
    my $self = $class->SUPER::new(
        units => $o{units} // ['eu', 'us', 'ap'],
        env => $o{env} // {},
        dir => directory('units'),
        base => port_base(),
        source => $o{source} // root(),
        excuse => $o{excuse} // qr/exited on signal 9$/,
        http => HTTP::Tiny->new(keep_alive => 1, max_redirect => 0),
    );
    $self->up;
    return $self;
}

# demo/units up, again if need be.
sub up {
    my ($self) = @_;
    my @env = map { ('--env', "$_=$self->{env}{$_}") } sort keys %{ $self->{env} };
    my ($status, $output) = capture(
        "$self->{source}/demo/units", 'up', '--dir', $self->{dir}, '--port', $self->{base},
        @env, @{ $self->{units} });
    croak "the units did not come up:\n$output" if $status;
    return $output;
}

sub stop {
    my ($self) = @_;
    delete $self->{dbh};
    my ($status, $output) = capture("$self->{source}/demo/units", 'down', '--dir', $self->{dir});
    croak "the units did not stop:\n$output" if $status;
    return;
}

sub dir { return $_[0]{dir} }
sub base { return $_[0]{base} }

sub _index {
    my ($self, $unit) = @_;
    for my $i (1 .. @{ $self->{units} }) {
        return $i if $self->{units}[$i - 1] eq $unit;
    }
    croak "no unit $unit here";
}

# kind: http, peer, pg, admin
sub port {
    my ($self, $unit, $kind) = @_;
    return $self->{base} + { http => 0, peer => 100, pg => 200, admin => 300 }->{ $kind // 'http' }
        + $self->_index($unit);
}

# A request to a unit's public side; token and body may be undef, a reference becomes JSON.
# headers => {...} and what else HTTP::Tiny takes may follow; kind => as for port.
sub http {
    my ($self, $unit, $method, $path, $token, $body, %with) = @_;
    my $kind = delete $with{kind};
    my $base = $kind ? 'http://127.0.0.1:' . $self->port($unit, $kind) : $self->base_url($unit);
    my %headers = %{ delete $with{headers} // {} };
    $headers{authorization} = "Bearer $token" if defined $token;
    my %options = (headers => \%headers, %with);
    if (defined $body) {
        $options{content} = ref $body ? JSON::PP::encode_json($body) : $body;
        $headers{'content-type'} //= 'application/json';
    }
    $self->{http}->timeout(patience(15));
    my $answer = $self->{http}->request($method, "$base$path", \%options);
    $answer->{json} = eval { JSON::PP::decode_json($answer->{content}) }
        if ($answer->{headers}{'content-type'} // '') =~ m{^application/(?:problem\+)?json};
    return $answer;
}

# A GET of a unit's admin side.
sub admin {
    my ($self, $unit, $path) = @_;
    return $self->http($unit, GET => $path, undef, undef, kind => 'admin');
}

# True if all of these services (all) of a unit answer.
sub healthy {
    my ($self, $unit, @services) = @_;
    for my $service (@services ? @services : services()) {
        return 0 if $self->admin($unit, "/$service/health")->{status} != 200;
    }
    return 1;
}
sub base_url { my ($self, $unit) = @_; return 'http://127.0.0.1:' . $self->port($unit) }

# A session as the superuser, kept.
sub dbh {
    my ($self, $unit) = @_;
    my $old = $self->{dbh}{$unit};
    return $old if $old && $old->ping;
    return $self->{dbh}{$unit} = $self->connect($unit);
}

# The first column of a statement's first row, as the superuser.
sub one {
    my ($self, $unit, $sql, @values) = @_;
    return ($self->dbh($unit)->selectrow_array($sql, undef, @values))[0];
}

# One of a unit's memcached: grid, tokens.
sub memcached {
    my ($self, $unit, $name) = @_;
    return Punit::Memcached->new("$self->{dir}/$unit/sock/$name.sock")
}

# Another session.
sub connect {
    my ($self, $unit) = @_;
    require DBI;
    return DBI->connect(
        "dbi:Pg:host=$self->{dir}/$unit/sock;port=" . $self->port($unit, 'pg') . ';dbname=punit',
        'postgres', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, AutoInactiveDestroy => 1 });
}

# 0: it does not run
sub pid {
    my ($self, $unit, $process) = @_;
    return slurp("$self->{dir}/$unit/sv/$process/supervise/pid", absent => '') =~ /^(\d+)/ ? $1 : 0;
}

# runit: 'down' stops a process and keeps it so, 'up' starts it. Waits until it is so.
sub process {
    my ($self, $unit, $process, $want) = @_;
    my $control = "$self->{dir}/$unit/sv/$process/supervise/control";
    open my $pipe, '>', $control or croak "$control: $!";
    syswrite $pipe, $want eq 'up' ? 'u' : 'd';
    close $pipe;
    wait_until(sub { !$self->pid($unit, $process) == ($want ne 'up') }, 20)
        or croak "$unit: $process does not go $want";
    return;
}

# Runs punitctl on a unit: (exit code, what it printed on both outputs).
sub punitctl {
    my ($self, @arguments) = @_;
    return $self->punitctl_begin(@arguments)->();
}

# Begins to; the answer is called for its result.
sub punitctl_begin {
    my ($self, $unit, @arguments) = @_;
    return begin("$self->{dir}/app/bin/punitctl", @arguments, '--dir', "$self->{dir}/$unit");
}

sub log_text {
    my ($self, $unit, $process) = @_;
    return slurp("$self->{dir}/$unit/log/$process.log", absent => '');
}

sub logs { my ($self) = @_; return glob "$self->{dir}/*/log/*.log" }

# Units that are all honest refuse nothing of each other, whatever a test does to them. A failpoint
# of the mover makes a comparison fail: it puts the digest -1 in the place of the other unit's. What
# a unit kept for a user and then refused, a third owner refuses (doc/SECURITY.md, passed-on). What
# PostgreSQL itself refused (the DETAIL of its line) is left out: tests ask for it as a peer would,
# and faults bring time-outs.
sub complaints {
    my ($self) = @_;
    return (
        $self->SUPER::complaints,
        map {
            my $log = $_;
            map {"$log: $_"}
                grep {
                /(?:LOG|FATAL):  refused peer=/
                    && !/ rule=passed-on | rule=digest .* sum -1 there$/
                }
                split /^/, slurp($log, absent => '')
        } $self->{rogue} ? () : glob "$self->{dir}/*/log/postgres.log"
    );
}

sub excused { my ($self, $line) = @_; return $line =~ $self->{excuse} }

1;
