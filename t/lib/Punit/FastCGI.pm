package Punit::FastCGI;

# A FastCGI client that speaks to a worker's unix socket as NGINX does.
#
#   my $fcgi = Punit::FastCGI->new($socket);
#   my $answer = $fcgi->request(GET => '/profile', user => $uuid);
#   $answer->{status}, $answer->{reason}, $answer->{headers}{'content-type'}, $answer->{body},
#   $answer->{json}
#
# Options: query, body (text, or a reference that becomes JSON), type (default application/json when
# there is a body), user, roles, epoch, route, key, none_match, grid_key, params => {NAME => value},
# keep => 1, timeout (s).

use strict;
use warnings;
use Carp qw(croak);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use Punit::Wait qw(patience);
use Time::HiRes qw(time);

my ($BEGIN, $END, $PARAMS, $STDIN, $STDOUT, $STDERR) = (1, 3, 4, 5, 6, 7);
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $serial = 0;

sub new {
    my ($class, $socket) = @_;
    return bless { socket => $socket }, $class;
}

# Closes the connection that `keep` has kept.
sub close_kept { my ($self) = @_; delete $self->{kept}; return $self }

sub request {
    my ($self, $method, $path, %o) = @_;
    my $body = ref $o{body} ? $json->encode($o{body}) : $o{body};
    my %params = (
        REQUEST_METHOD => $method, PUNIT_PATH => $path, QUERY_STRING => $o{query} // '',
        CONTENT_TYPE => $o{type} // (defined $body ? 'application/json' : ''),
        CONTENT_LENGTH => defined $body ? length $body : '',
        PUNIT_USER => $o{user} // '', PUNIT_ROLES => $o{roles} // 'user',
        PUNIT_EPOCH => $o{epoch} // '',
        PUNIT_ROUTE => $o{route} // 'local', PUNIT_FROM => $o{from} // '',
        PUNIT_IDEMPOTENCY_KEY => $o{key} // '',
        PUNIT_IF_NONE_MATCH => $o{none_match} // '', PUNIT_GRID_KEY => $o{grid_key} // '',
        PUNIT_REQUEST_ID => 'test-' . ++$serial, PUNIT_CLIENT => '127.0.0.1',
        %{ $o{params} // {} },
    );
    my $s = delete $self->{kept} // $self->_connect;
    my $flags = $o{keep} ? 1 : 0;
    my $start = time;
    my $out = _record($BEGIN, pack 'nCx5', 1, $flags)
        . _stream($PARAMS, join '', map { _pair($_, $params{$_}) } sort keys %params)
        . _stream($STDIN, $body // '');
    my $answer = _exchange($s, $out, $o{timeout} // patience(20));
    $answer->{ms} = (time - $start) * 1000;
    $self->{kept} = $s if $o{keep};
    return $answer;
}

# Only sends; collect() gives the answer: for requests that run while the test does something else.
sub send_only {
    my ($self, $method, $path, %o) = @_;
    my $pid = open my $from, '-|';
    croak "fork: $!" unless defined $pid;
    if (!$pid) {
        my $answer = eval { $self->request($method, $path, %o) }
            // { status => 0, error => "$@", headers => {}, body => '' };
        delete $answer->{json};
        print $json->encode($answer);
        require POSIX;
        $| = 1;
        STDOUT->flush;
        POSIX::_exit(0);
    }
    return { pid => $pid, from => $from };
}

sub collect {
    my ($self, $running) = @_;
    my $from = $running->{from};
    my $text = do { local $/; <$from> };
    close $from;
    my $answer = $json->decode($text);
    $answer->{json} = eval { $json->decode($answer->{body}) };
    return $answer;
}

sub _connect {
    my ($self) = @_;
    return IO::Socket::UNIX->new(Peer => $self->{socket}) // croak "$self->{socket}: $!";
}

sub _exchange {
    my ($s, $out, $timeout) = @_;
    my $end = time + $timeout;
    my ($in, $stdout, $ended) = ('', '', 0);
    my $reader = IO::Select->new($s);
    local $SIG{PIPE} = 'IGNORE';
    $s->blocking(0);
    while (!$ended) {
        my $left = $end - time;
        croak 'no answer in time' if $left <= 0;
        my ($can_read, $can_write) =
            IO::Select->select($reader, length $out ? $reader : undef, undef, $left);
        if ($can_write && @$can_write) {
            my $n = syswrite $s, $out, 65536;
            substr $out, 0, $n, '' if $n;
            # the answer may be there although not all was read
            $out = '' if !defined $n && !$!{EAGAIN};
        }
        if ($can_read && @$can_read) {
            my $n = sysread $s, $in, 65536, length $in;
            croak 'connection closed before the answer'
                if defined $n && $n == 0 || !defined $n && !$!{EAGAIN};
        }
        while (length $in >= 8) {
            my (undef, $type, undef, $len, $pad) = unpack 'CCnnC', $in;
            last if length $in < 8 + $len + $pad;
            my $content = substr $in, 8, $len;
            substr $in, 0, 8 + $len + $pad, '';
            $stdout .= $content if $type == $STDOUT;
            $ended = 1 if $type == $END;
        }
    }
    $s->blocking(1);
    my ($head, $body) = split /\r\n\r\n/, $stdout, 2;
    my %headers;
    for (split /\r\n/, $head // '') {
        my ($name, $value) = split /: /, $_, 2;
        $headers{ lc $name } = $value;
    }
    my ($status, $reason) = (delete $headers{status} // '200') =~ /^(\d{3})(?: (.+))?$/
        or die 'no status';
    $body //= '';
    return { status => $status + 0, reason => $reason, headers => \%headers, body => $body,
        json => scalar eval { $json->decode($body) } };
}

sub _record {
    my ($type, $content) = @_;
    my $pad = -length($content) % 8;
    return pack('CCnnCx', 1, $type, 1, length $content, $pad) . $content . "\0" x $pad;
}

sub _stream {
    my ($type, $content) = @_;
    my $out = '';
    $out .= _record($type, substr $content, 0, 32768, '') while length $content;
    return $out . _record($type, '');
}

sub _length { my $n = shift; return $n < 128 ? chr $n : pack 'N', $n | 0x80000000 }

sub _pair {
    my ($name, $value) = @_;
    return _length(length $name) . _length(length $value) . $name . $value;
}

1;
