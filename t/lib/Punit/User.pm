package Punit::User;

# A user of running units (Punit::Units), who behaves as a good client. Each Punit-Token is used
# from the answer that brought it on. A write that is answered 503 is repeated with the same
# Idempotency-Key.
#
#   my $user = Punit::User->register($units, 'eu');
#   my $answer = $user->ask('us', GET => '/profile');
#   $user->cross('us');        # steady requests there until he is served there

use strict;
use warnings;
use Carp qw(croak);
use Digest::SHA ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64url);
use Punit::Wait qw(patience);
use Time::HiRes qw(sleep time);

my $count = 0;

sub register {
    my ($class, $units, $unit, %o) = @_;
    my $email = $o{email} // sprintf 'user-%d-%d-%d@example.org', $$, time, ++$count;
    my $answer = $units->http(
        $unit, POST => '/auth/register', undef,
        { email => $email, password => 'correct horse battery', name => 'Test' });
    croak "register at $unit: $answer->{status} $answer->{content}" if $answer->{status} != 201;
    return bless {
        units => $units, email => $email, id => $answer->{json}{user_id}, answers => [],
        written => [],
        token => $answer->{json}{access_token}, refresh => $answer->{json}{refresh_token},
    }, $class;
}

sub id { return $_[0]{id} }
sub token { return $_[0]{token} }
sub email { return $_[0]{email} }

# New tokens for the old, from the unit that owns the user.
sub renew {
    my ($self, $unit) = @_;
    my $answer = $self->{units}
        ->http($unit, POST => '/auth/refresh', undef, { refresh_token => $self->{refresh} });
    croak "refresh at $unit: $answer->{status} $answer->{content}" if $answer->{status} != 200;
    @$self{qw(token refresh)} = @{ $answer->{json} }{qw(access_token refresh_token)};
    return;
}

# The claims of a token, unverified.
sub claims {
    my ($self) = @_;
    return JSON::PP::decode_json(decode_base64url((split /[.]/, $self->{token})[1]));
}

# A request at a unit; the answer as Punit::Units::http gives it, with `route` and `unit` beside.
sub ask {
    my ($self, $unit, $method, $path, $body, %with) = @_;
    my $answer = $self->{units}->http($unit, $method, $path, $self->{token}, $body, %with);
    $self->{token} = $answer->{headers}{'punit-token'} if $answer->{headers}{'punit-token'};
    $answer->{route} = $answer->{headers}{'punit-route'} // '';
    $answer->{unit} = $answer->{headers}{'punit-unit'} // '';
    return $answer;
}

# Steady requests at a unit until it serves the user itself under a token that names it. Returns all
# answers, and dies after `seconds` (15).
sub cross {
    my ($self, $unit, %o) = @_;
    my ($start, @answers) = (time);
    while (time - $start < patience($o{seconds} // 15)) {
        push @answers, $self->ask($unit, GET => '/profile');
        my $last = $answers[-1];
        return \@answers
            if $last->{status} == 200
            && $last->{route} eq 'local'
            && $last->{unit} eq $unit
            && $self->claims->{unit} eq $unit;
        sleep 0.1;
    }
    croak
        "$self->{id} is not served at $unit: "
        . "last answer $answers[-1]{status} $answers[-1]{content}";
}

# A post with a text of its own, noted when acknowledged; 503 is repeated under the same
# Idempotency-Key for up to `seconds` (0). Gives the last answer.
sub post {
    my ($self, $unit, %o) = @_;
    my $text = sprintf 'post %d of %s', ++$self->{posts}, $self->{id};
    my $start = time;
    my $answer;
    do {
        sleep 0.1 if $answer;
        $answer = $self->ask(
            $unit, POST => '/social/posts', { text => $text },
            headers => { 'idempotency-key' => Digest::SHA::sha1_hex($text) });
    } while ($answer->{status} >= 500 && time - $start < patience($o{seconds} // 0));
    push @{ $self->{written} }, $text if $answer->{status} == 201;
    return $answer;
}

# Texts of acknowledged posts, in the order in which they were acknowledged.
sub written { return @{ $_[0]{written} } }

# Texts of all posts of the user, oldest first, read at a unit page by page.
sub posts {
    my ($self, $unit) = @_;
    my ($cursor, @texts) = ('');
    do {
        my $answer =
            $self->ask($unit, GET => '/social/feed?limit=200' . ($cursor ? "&cursor=$cursor" : ''));
        croak "feed at $unit: $answer->{status} $answer->{content}" if $answer->{status} != 200;
        push @texts, map { $_->{text} } @{ $answer->{json}{items} };
        $cursor = $answer->{json}{next};
    } while ($cursor);
    return reverse @texts;
}

1;
