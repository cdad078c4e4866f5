#!/usr/bin/perl
# Without the password a client learns neither whether a name exists nor where its user is.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my %limits = map { ("PUNIT_AUTH_${_}_BURST" => 1000) } qw(NAME STRANGERS ADDRESS);
my $units = Punit::Units->start(units => ['eu', 'us'], env => { %limits, PUNIT_MOVE_AFTER => 64 });

# each is asked for at eu
my %name = (
    'of eu' => Punit::User->register($units, 'eu')->email,
    'of us' => Punit::User->register($units, 'us')->email,
    'of nobody' => 'nobody@example.org',
);
my $password = 'correct horse battery';

sub login {
    my ($name, $guess) = @_;
    return $units->http('eu', POST => '/auth/login', undef,
        { email => $name{$name}, password => $guess });
}

for (['of eu', 'local eu'], ['of us', 'forward us']) {
    my ($name, $route) = @$_;
    my $answer;
    ok wait_until(sub { $answer = login($name, $password); $answer->{status} == 200 }, 15),
        "a user $name logs in at eu";
    is "$answer->{headers}{'punit-route'} $answer->{headers}{'punit-unit'}", $route,
        'and is told which unit answered';
}

# Status, headers and body, without what differs with each request.
sub told {
    my ($answer) = @_;
    my %headers = %{ $answer->{headers} };
    delete @headers{qw(date x-request-id)};
    return { status => $answer->{status}, headers => \%headers, body => $answer->{content} };
}

my $refused = told(login('of nobody', 'wrong'));
is $refused->{status}, 401, 'a name of nobody is refused';
is "$refused->{headers}{'punit-route'} $refused->{headers}{'punit-unit'}", 'local eu', 'by eu';
is_deeply told(login($_, 'wrong')), $refused, "a wrong password for a user $_ looks the same"
    for 'of eu', 'of us';

sub register {
    my ($name) = @_;
    return told(
        $units->http('eu', POST => '/auth/register', undef,
            { email => $name{$name}, password => $password, name => 'U' }));
}
my $taken = register('of eu');
is $taken->{status}, 409, 'a name of eu is taken';
is_deeply register('of us'), $taken, 'as is one of us';

# ---- time
# In turn, so that the load of the machine is the same for all.
my %seconds;
for (1 .. 25) {
    for my $name (sort keys %name) {
        my $start = time;
        login($name, 'wrong');
        push @{ $seconds{$name} }, time - $start;
    }
}

sub quantile {
    my ($name, $share) = @_;
    my @sorted = sort { $a <=> $b } @{ $seconds{$name} };
    return $sorted[$share * $#sorted];
}
diag join ', ', map { sprintf '%s %.1f ms', $_, 1000 * quantile($_, 0.5) } sort keys %name;
for my $name ('of eu', 'of us') {
    for my $share (0.1, 0.5) {
        my $ratio = quantile($name, $share) / quantile('of nobody', $share);
        ok $ratio > 0.6 && $ratio < 1.6, "a user $name takes as long as nobody (quantile $share)"
            or diag $ratio;
    }
}

done_testing;
