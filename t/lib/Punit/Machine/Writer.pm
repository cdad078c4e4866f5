package Punit::Machine::Writer;

# A client that writes all the time, in a process of its own, while the test goes on: on a
# connection that it keeps, and in turn on a new one. It renews its token again and again, so that
# no key of the unit is needed for long.
#
#   my $writer = Punit::Machine::Writer->begin('https://10.1.0.1', $user, $authority);
#   ...
#   my $said = $writer->end;     # { written => [texts], failed => [why], repeated => [why] }
#
# Then the user has its last tokens.
#
# With `repeats` the client is at a unit that forwards its writes. It sends a write again, under the
# same Idempotency-Key, that was answered with 502 or 503. It makes no pause, and renews no token.

use strict;
use warnings;
use Carp qw(croak);
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Punit::Wait qw(patience);
use Time::HiRes qw(sleep time);

use constant { PAUSE => 0.02, RENEWAL => 3, LIMIT => 15 };

sub begin {
    my ($class, $url, $user, $authority, %o) = @_;
    pipe(my $from, my $to) or croak "pipe: $!";
    my $parent = $$;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        close $from or POSIX::_exit(1);
        my $self = bless { url => $url, %$user{qw(token refresh)}, renewed => time, %o }, $class;
        $self->{clients} = [map { _client($authority, $_) } 1, 0];
        my $said = $self->_write($parent);
        print {$to} JSON::PP::encode_json($said);
        close $to or POSIX::_exit(1);
        POSIX::_exit(0);
    }
    close $to or croak "close: $!";
    return bless { pid => $pid, from => $from, user => $user }, $class;
}

sub _client {
    my ($authority, $keep) = @_;
    return HTTP::Tiny->new(
        timeout => patience(15), keep_alive => $keep, max_redirect => 0, verify_SSL => 1,
        SSL_options => { SSL_ca_file => $authority });
}

sub _write {
    my ($self, $parent) = @_;
    my (@written, @failed, @repeated, $ends);
    local $SIG{TERM} = sub { $ends = 1 };
    for (my $n = 1; !$ends && getppid == $parent; $n++) {
        my $client = $self->{clients}[$n % 2];
        my $text = "written $n";
        my $answer;
        my $limit = time + patience(LIMIT);
        {
            $answer = $self->_post($client, '/social/posts', { text => $text }, "$$-$n");
            last if !$self->{repeats} || $answer->{status} !~ /^50[23]$/ || time > $limit;
            push @repeated, "$n: $answer->{status} $answer->{content}";
            sleep PAUSE;
            redo;
        }
        if ($answer->{status} == 201) { push @written, $text }
        else { push @failed, "$n: $answer->{status} $answer->{content}" }
        next if $self->{repeats};
        my $why = $self->_renew($client);
        push @failed, "renewal: $why" if $why;
        sleep PAUSE;
    }
    return {
        written => \@written, failed => \@failed, repeated => \@repeated,
        %$self{qw(token refresh)}
    };
}

sub _post {
    my ($self, $client, $path, $body, $key) = @_;
    my %headers =
        (authorization => "Bearer $self->{token}", 'content-type' => 'application/json');
    $headers{'idempotency-key'} = $key if $key;
    return $client->post(
        "$self->{url}$path",
        { headers => \%headers, content => JSON::PP::encode_json($body) });
}

# Says why it failed.
sub _renew {
    my ($self, $client) = @_;
    return if time - $self->{renewed} < RENEWAL;
    my $answer =
        $self->_post($client, '/auth/refresh', { refresh_token => $self->{refresh} });
    return "$answer->{status} $answer->{content}" if $answer->{status} != 200;
    my $new = JSON::PP::decode_json($answer->{content});
    @$self{qw(token refresh renewed)} = (@$new{qw(access_token refresh_token)}, time);
    return;
}

sub end {
    my ($self) = @_;
    kill TERM => $self->{pid};
    my $from = $self->{from};
    local $/;
    my $text = <$from>;
    waitpid $self->{pid}, 0;
    my $said = JSON::PP::decode_json($text);
    @{ $self->{user} }{qw(token refresh)} = delete @$said{qw(token refresh)};
    return $said;
}

1;
