package Punit::Machine::Writer;

# A client that writes all the time, in a process of its own, while the test goes on: on a
# connection that it keeps, and in turn on a new one.
#
#   my $writer = Punit::Machine::Writer->begin('http://10.1.0.1', $token);
#   ...
#   my $said = $writer->end;     # { written => [texts], failed => [why] }

use strict;
use warnings;
use Carp qw(croak);
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep);

use constant PAUSE => 0.02;

sub begin {
    my ($class, $url, $token) = @_;
    pipe(my $from, my $to) or croak "pipe: $!";
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        close $from or POSIX::_exit(1);
        my $said = _write($url, $token);
        print {$to} JSON::PP::encode_json($said);
        close $to or POSIX::_exit(1);
        POSIX::_exit(0);
    }
    close $to or croak "close: $!";
    return bless { pid => $pid, from => $from }, $class;
}

sub _write {
    my ($url, $token) = @_;
    my (@written, @failed, $ends);
    my %headers = (authorization => "Bearer $token", 'content-type' => 'application/json');
    local $SIG{TERM} = sub { $ends = 1 };
    my @clients =
        map { HTTP::Tiny->new(timeout => 15, keep_alive => $_, verify_SSL => 0) } 1, 0;
    for (my $n = 1; !$ends; $n++) {
        my $text = "written $n";
        $headers{'idempotency-key'} = "$$-$n";
        my $answer = $clients[$n % 2]->post(
            "$url/social/posts",
            { headers => \%headers, content => JSON::PP::encode_json({ text => $text }) });
        if ($answer->{status} == 201) { push @written, $text }
        else { push @failed, "$n: $answer->{status} $answer->{content}" }
        sleep PAUSE;
    }
    return { written => \@written, failed => \@failed };
}

sub end {
    my ($self) = @_;
    kill TERM => $self->{pid};
    my $from = $self->{from};
    local $/;
    my $text = <$from>;
    waitpid $self->{pid}, 0;
    return JSON::PP::decode_json($text);
}

1;
