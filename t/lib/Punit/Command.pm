package Punit::Command;

# Programs of a test: run to their end, begun beside the test, or left running as a server.
#
#   my ($status, $output) = capture('punitctl', 'status', ...);
#   my $finish = begin('punitctl', 'drain', ...);  ...  my ($status, $output) = $finish->();
#   my $result = beside(sub { ... {...} }, @arguments);  ...  my $answer = $result->();
#   my $pid = spawn([as_punit(), 'nginx', ...], log => $file, env => {...}, dir => $dir);

use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use JSON::PP ();
use POSIX ();

our @EXPORT_OK = qw(as_punit begin beside capture punit_user spawn);

# The system user that servers run as: root may not run PostgreSQL. Returns (name, uid, gid).
sub punit_user {
    return (scalar getpwuid($>), $>, $) + 0) if $> != 0;
    my ($uid, $gid) = (getpwnam 'punit')[2, 3];
    defined $uid or croak 'no system user punit: run make deps';
    return ('punit', $uid, $gid);
}

# What stands before a command so that it runs as that user.
sub as_punit { return $> == 0 ? qw(setpriv --reuid=punit --regid=punit --clear-groups) : () }

# Begins a command. The answer returns (exit status, what it wrote to both outputs).
sub begin {
    my @command = @_;
    my $pid = open(my $pipe, '-|') // croak "fork: $!";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT or POSIX::_exit(127);
        { no warnings 'exec'; exec { $command[0] } @command }
        POSIX::_exit(127);
    }
    return sub {
        local $/;
        my $output = <$pipe> // '';
        close $pipe;
        return ($? >> 8 || $? & 127, $output);
    };
}

sub capture { return begin(@_)->() }

# Begins the work, a sub, in a child process. The answer waits for its result, which becomes JSON on
# the way.
sub beside {
    my ($work, @arguments) = @_;
    my $pid = open(my $from, '-|') // croak "fork: $!";
    if (!$pid) {
        print JSON::PP::encode_json($work->(@arguments));
        close STDOUT;
        POSIX::_exit(0);
    }
    return sub {
        local $/;
        my $result = <$from>;
        close $from;
        return JSON::PP::decode_json($result);
    };
}

# Starts a command and returns its process id. log: file for both outputs. env: the whole
# environment but for PATH and the sanitizers' options; by default the test's own. dir: where it
# runs. input: its standard input, instead of /dev/null. The new process group keeps a ^C of the
# test away from it.
sub spawn {
    my ($command, %o) = @_;
    my $pid = fork // croak "fork: $!";
    return $pid if $pid;
    setpgrp;
    chdir $o{dir} if $o{dir};
    if ($o{env}) {
        my @kept = grep { defined $ENV{$_} } qw(PATH ASAN_OPTIONS UBSAN_OPTIONS);
        %ENV = (map({ $_ => $ENV{$_} } @kept), %{ $o{env} });
    }
    open STDIN, ($o{input} ? '<&' : '<'), $o{input} // '/dev/null' or POSIX::_exit(127);
    open STDOUT, '>>', $o{log} or POSIX::_exit(127);
    open STDERR, '>&', \*STDOUT or POSIX::_exit(127);
    { no warnings 'exec'; exec { $command->[0] } @$command }
    POSIX::_exit(127);
}

1;
