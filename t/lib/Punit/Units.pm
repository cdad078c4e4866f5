package Punit::Units;

# Whole units for a test, started by demo/units in a directory and on ports of their own.
#
#   my $units = Punit::Units->start(units => ['eu', 'us'], env => { PUNIT_MOVE_DWELL => '1s' });
#   my $answer = $units->http('eu', POST => '/auth/register', undef, { email => ... });
#   $answer->{status}, $answer->{headers}{'punit-route'}, $answer->{json}
#   $units->dbh('us')->selectrow_array('select ...');     # as postgres
#   kill KILL => $units->pid('us', 'mover');
#
# At the end of the test they are stopped, and it fails if a log holds an alert or a sanitizer's report; the
# directory stays, and is named, unless all went well.

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Punit::Wait qw(wait_until);
use Test::More ();

# bases far from 8100 and below the ports that the kernel gives out; units take BASE+1 .. BASE+2xx
use constant { FIRST_BASE => 20000, LAST_BASE => 30000, STEP => 300 };

my $source   = abs_path(dirname(__FILE__) . '/../../..');
my $test_pid = $$;
my @running;

END {
    if ($$ == $test_pid) {
        my $status = $?;
        my $bad    = 0;
        for my $units (@running) {
            $bad ||= !eval { $units->stop; 1 };
            Test::More::diag($@) if $@;
            $bad ||= $units->complain_of_logs;
        }
        my $passed = !$status && !$bad && Test::More->builder->is_passing;
        for my $units (@running) {
            if ($passed) { remove_tree($units->{dir}) }
            else         { Test::More::diag("logs are kept in $units->{dir}/*/log/") }
        }
        $? = $status || ($bad ? 1 : 0);
    }
}

# A base of ports that no other test has, held until the process ends.
sub _take_ports {
    for (my $base = FIRST_BASE; $base < LAST_BASE; $base += STEP) {
        open my $lock, '>>', "/tmp/punit-ports-$base.lock" or next;
        return ($base, $lock) if flock $lock, LOCK_EX | LOCK_NB;
    }
    croak 'no free base of ports';
}

# units: their ids; env: settings of all of them; source: another tree to build and install from. Dies, with what was printed, if they do not come up.
sub start {
    my ($class, %o) = @_;
    my ($base, $lock) = _take_ports();
    my $self = bless {
        units => $o{units} // ['eu', 'us', 'ap'],
        env   => $o{env} // {},
        dir   => tempdir('punit-units-XXXXXX', DIR => '/tmp'),
        base  => $base,
        lock  => $lock,
        source => $o{source} // $source,
        http  => HTTP::Tiny->new(timeout => 15, keep_alive => 1, max_redirect => 0),
    }, $class;
    chmod 0755, $self->{dir};
    push @running, $self;
    $self->up;
    return $self;
}

# demo/units up, again if need be.
sub up {
    my ($self) = @_;
    my @env = map { ('--env', "$_=$self->{env}{$_}") } sort keys %{ $self->{env} };
    my ($status, $output) = _capture("$self->{source}/demo/units", 'up', '--dir', $self->{dir}, '--port', $self->{base},
        @env, @{ $self->{units} });
    croak "the units did not come up:\n$output" if $status;
    return $output;
}

sub stop {
    my ($self) = @_;
    delete $self->{dbh};
    my ($status, $output) = _capture("$self->{source}/demo/units", 'down', '--dir', $self->{dir});
    croak "the units did not stop:\n$output" if $status;
    return;
}

sub dir  { return $_[0]{dir} }
sub base { return $_[0]{base} }

sub _index {
    my ($self, $unit) = @_;
    for my $i (1 .. @{ $self->{units} }) {
        return $i if $self->{units}[$i - 1] eq $unit;
    }
    croak "no unit $unit here";
}

# kind: http, peer, pg
sub port {
    my ($self, $unit, $kind) = @_;
    return $self->{base} + { http => 0, peer => 100, pg => 200 }->{ $kind // 'http' } + $self->_index($unit);
}

# A request to a unit's public side; token and body may be undef, a reference becomes JSON.
# headers => {...} and what else HTTP::Tiny takes may follow.
sub http {
    my ($self, $unit, $method, $path, $token, $body, %with) = @_;
    my %headers = %{ delete $with{headers} // {} };
    $headers{authorization} = "Bearer $token" if defined $token;
    my %options = (headers => \%headers, %with);
    if (defined $body) {
        $options{content} = ref $body ? JSON::PP::encode_json($body) : $body;
        $headers{'content-type'} //= 'application/json';
    }
    my $answer = $self->{http}->request($method, 'http://127.0.0.1:' . $self->port($unit) . $path, \%options);
    $answer->{json} = eval { JSON::PP::decode_json($answer->{content}) }
        if ($answer->{headers}{'content-type'} // '') =~ m{^application/(?:problem\+)?json};
    return $answer;
}

# A session as the superuser, kept.
sub dbh {
    my ($self, $unit) = @_;
    my $old = $self->{dbh}{$unit};
    return $old if $old && $old->ping;
    return $self->{dbh}{$unit} = $self->connect($unit);
}

# Another one.
sub connect {
    my ($self, $unit) = @_;
    require DBI;
    return DBI->connect(
        "dbi:Pg:host=$self->{dir}/$unit/sock;port=" . $self->port($unit, 'pg') . ';dbname=punit',
        'postgres', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1, AutoInactiveDestroy => 1 });
}

# 0: it does not run
sub pid {
    my ($self, $unit, $process) = @_;
    open my $file, '<', "$self->{dir}/$unit/sv/$process/supervise/pid" or return 0;
    my $pid = <$file> // '';
    return $pid =~ /^(\d+)/ ? $1 : 0;
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
    return _begin("$self->{dir}/app/bin/punitctl", @arguments, '--dir', "$self->{dir}/$unit");
}

sub log_text {
    my ($self, $unit, $process) = @_;
    open my $file, '<', "$self->{dir}/$unit/log/$process.log" or return '';
    local $/;
    return scalar <$file>;
}

# True, and said, if a log holds what no run may leave there.
sub complain_of_logs {
    my ($self) = @_;
    my $bad = 0;
    for my $path (glob "$self->{dir}/*/log/*.log") {
        open my $file, '<', $path or next;
        while (my $line = <$file>) {
            # signal 9 is a test's own
            next if $line =~ /exited on signal 9$/;
            next if $line !~ /\[(?:alert|emerg)\]|(?:Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:|PANIC:/;
            Test::More::diag("$path: $line");
            $bad = 1;
        }
    }
    return $bad;
}

sub _capture { return _begin(@_)->() }

sub _begin {
    my @command = @_;
    my $pid = open(my $pipe, '-|') // croak "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec {$command[0]} @command or POSIX::_exit(127);
    }
    return sub {
        local $/;
        my $output = <$pipe> // '';
        close $pipe;
        return ($? >> 8 || $? & 127, $output);
    };
}

1;
