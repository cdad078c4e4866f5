package Punit::Client;

# An HTTP/1.1 client that hides nothing: headers go out as given, answers come back with all of
# theirs.
#
#   my $c = Punit::Client->new(8101);                # kept open from request to request
#   my $c = Punit::Client->new('/run/x.sock');
#   my $a = $c->request(GET => '/profile', token => $t, headers => ['X-A' => 1], body => '...');
#   $a->{status}, $a->{headers}{'punit-route'}, $a->{body}, $a->{json}
#
# Several headers of one name are joined by ", "; status 0: no answer, error says why.

use strict;
use warnings;
use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use Punit::Wait qw(patience);
use Time::HiRes qw(time);

sub new {
    my ($class, $port, %o) = @_;
    return bless { port => $port, %o }, $class;
}

# One request on a connection of its own.
sub once {
    my ($class, $port, @rest) = @_;
    return $class->new($port)->request(@rest);
}

sub request {
    my ($self, $method, $path, %o) = @_;
    return $self->send($method, $path, %o)->receive($method);
}

sub send {
    my ($self, $method, $path, %o) = @_;
    my $port = $self->{port};
    $self->{socket} //=
        $port =~ m{^/}
        ? IO::Socket::UNIX->new(Peer => $port)
        : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => patience(5))
        or return $self;
    my @headers =
        (defined $o{token} ? (Authorization => "Bearer $o{token}") : (), @{ $o{headers} // [] });
    my $text = "$method $path HTTP/1.1\r\n";
    $text .= "Host: localhost\r\n" unless grep { lc eq 'host' } @headers;
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    $text .= 'Content-Length: ' . length($o{body}) . "\r\n" if defined $o{body} && !$o{no_length};
    $text .= "\r\n" . ($o{body} // '');
    local $SIG{PIPE} = 'IGNORE';
    $self->{socket}->syswrite($text);
    return $self;
}

sub close {
    my ($self) = @_;
    delete @$self{qw(socket rest)};
    return $self;
}

sub receive {
    my ($self, $method) = @_;
    my $s = $self->{socket} or return { status => 0, error => "connect: $!" };
    $self->{limit} = $self->{timeout} // patience(15);
    $self->{end} = time + $self->{limit};
    my $buf = delete $self->{rest} // '';    # of pipelined answers
    my ($head, %h);

    while ($buf !~ /\r\n\r\n/) {
        my $error = $self->_more(\$buf);
        return $self->_failed($error) if $error;
    }
    ($head, $buf) = split /\r\n\r\n/, $buf, 2;
    my ($line, @lines) = split /\r\n/, $head;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})}
        or return $self->_failed("bad status line: $line");
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*)$/ or return $self->_failed("bad header: $_");
        $name = lc $name;
        $h{$name} = defined $h{$name} ? "$h{$name}, $value" : $value;
    }

    my $body = '';
    if ($method eq 'HEAD' || $status == 204 || $status == 304) {
        $body = '';
    }
    elsif (lc($h{'transfer-encoding'} // '') eq 'chunked') {
        for (;;) {
            if ($buf =~ s/\A([0-9a-fA-F]+)[^\r\n]*\r\n//) {
                my $n = hex $1;
                while (length $buf < $n + 2) {
                    my $error = $self->_more(\$buf);
                    return $self->_failed($error) if $error;
                }
                $body .= substr $buf, 0, $n;
                substr $buf, 0, $n + 2, '';
                last if !$n;
                next;
            }
            my $error = $self->_more(\$buf);
            return $self->_failed($error) if $error;
        }
    }
    elsif (defined $h{'content-length'}) {
        while (length $buf < $h{'content-length'}) {
            my $error = $self->_more(\$buf);
            return $self->_failed($error) if $error;
        }
        $body = substr $buf, 0, $h{'content-length'};
        $self->{rest} = substr $buf, $h{'content-length'};
    }
    else {
        1 while !$self->_more(\$buf);
        $body = $buf;
        $self->close;
    }
    $self->close if lc($h{connection} // '') eq 'close';
    my $json =
        ($h{'content-type'} // '') =~ /json/ && length $body
        ? eval { JSON::PP::decode_json($body) }
        : undef;
    return { status => $status, headers => \%h, body => $body, json => $json };
}

sub _more {
    my ($self, $buf) = @_;
    my $left = $self->{end} - time;
    return "no answer in $self->{limit} s"
        if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
    my $n = $self->{socket}->sysread($$buf, 65536, length $$buf);
    return defined $n ? ($n ? undef : 'connection closed') : "read: $!";
}

sub _failed {
    my ($self, $error) = @_;
    $self->close;
    return { status => 0, error => $error, headers => {}, body => '' };
}

1;
