package Punit::Backend;

# An HTTP server of a test's own, in place of a worker or a peer. What it answers is a Perl sub,
# called in one process for all connections, so it may keep state; what it was asked is kept for the
# test to read.
#
#   my $b = Punit::Backend->new(sub { my ($req) = @_; return [200, ['X-A' => 1], 'body'] });
#   $b->port;  $b->requests   # [{ method, uri, headers => {}, body, connection => a number }]
#
# The sub may return nothing to close the connection without an answer; an answer whose own
# Content-Length is not that of its body is cut off.

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();

use Punit::File qw(slurp);

sub new {
    my ($class, $answer) = @_;
    my $asked = File::Temp->new(DIR => '/tmp');
    my $self = $class->SUPER::new(answer => $answer, asked => $asked, test => $$);
    return $self->start;
}

sub port { return $_[0]{port} }

sub launch {
    my ($self) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $self->{port} // 0,
        Listen => 128, ReuseAddr => 1)
        or croak "listen: $!";
    $self->{port} = $listen->sockport;
    $self->{pid} = fork // croak "fork: $!";
    $self->_serve($listen) if !$self->{pid};
    return;
}

# It listens before it is forked.
sub ready { return 1 }

# A connection that is open does not keep it.
sub stop { my ($self) = @_; return $self->SUPER::stop('KILL') }

sub requests {
    my ($self) = @_;
    return map { JSON::PP::decode_json($_) } grep {/\n\z/} split /^/,
        slurp($self->{asked}->filename);
}

sub forget {
    my ($self) = @_;
    truncate $self->{asked}->filename, 0;
    return;
}

sub _serve {
    my ($self, $listen) = @_;
    $SIG{PIPE} = 'IGNORE';
    open my $log, '>>', $self->{asked}->filename or POSIX::_exit(1);
    $log->autoflush(1);
    my $select = IO::Select->new($listen);
    my (%buf, %number);
    my $connections = 0;
    while (getppid == $self->{test}) {    # not longer than the test, however that ended
        my @ready = $select->can_read(1);
        for my $s (@ready) {
            if ($s == $listen) {
                my $c = $listen->accept or next;
                $buf{$c} = '';
                $number{$c} = ++$connections;
                $select->add($c);
                next;
            }
            my $n = $s->sysread($buf{$s}, 65536, length $buf{$s});
            my $keep = $n;
            while ($keep && (my $req = _take(\$buf{$s}))) {
                $req->{connection} = $number{$s};
                print $log JSON::PP::encode_json($req) . "\n";
                my $a = $self->{answer}->($req);
                $keep = $a && _send($s, $req, $a);
            }
            if (!$keep) {
                $select->remove($s);
                delete $buf{$s};
                close $s;
            }
        }
    }
    POSIX::_exit(0);
}

sub _take {
    my ($buf) = @_;
    return unless $$buf =~ /\A(.*?)\r\n\r\n/s;
    my ($head, $rest) = ($1, substr $$buf, length($1) + 4);
    my ($line, @lines) = split /\r\n/, $head;
    my ($method, $uri) = split / /, $line;
    my %h;
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or next;
        $name = lc $name;
        $h{$name} = defined $h{$name} ? "$h{$name}, $value" : $value;
    }
    my $length = $h{'content-length'} // 0;
    return if length $rest < $length;
    $$buf = substr $rest, $length;
    return { method => $method, uri => $uri, headers => \%h, body => substr($rest, 0, $length) };
}

sub _send {
    my ($s, $req, $a) = @_;
    my ($status, $headers, $body) = @$a;
    $body //= '';
    my @h = @{ $headers // [] };
    my $text = "HTTP/1.1 $status X\r\n";
    while (my ($name, $value) = splice @h, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    my $own = $text =~ /^content-length:/im;
    $text .= 'Content-Length: ' . length($body) . "\r\n" unless $own;
    $text .= "\r\n" . ($req->{method} eq 'HEAD' ? '' : $body);
    return syswrite($s, $text) && !$own;
}

1;
