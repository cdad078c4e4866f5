#!/usr/bin/perl
# The arbiters of login names when a unit is added to a running system. Each name has one arbiter,
# the same everywhere.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::File qw(slurp);
use Punit::Units;
use Punit::Wait qw(patience wait_until);
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us']);
my $n = 0;

sub arbiters {
    return $units->dbh($_[0])->selectcol_arrayref('select unit from auth.bucket order by bucket')
}

sub register {
    my ($unit, $email) = @_;
    my $answer = $units->http(
        $unit, POST => '/auth/register', undef,
        { email => $email, password => 'correct horse battery', name => 'Ann' });
    return $answer->{status};
}

my $before = arbiters('eu');
is_deeply(arbiters('us'), $before, 'two new units deal the buckets alike');
my %in;
$in{$_}++ for @$before;
is_deeply(\%in, { eu => 128, us => 128 }, 'to both');

my @names = map {"name-$_\@example.org"} 1 .. 12;
is(register($_ % 2 ? 'eu' : 'us', $names[$_]), 201, "$names[$_] registers") for 0 .. $#names;

# ---- a third unit comes
push @{ $units->{units} }, 'ap';
$units->up;
like(slurp($units->dir . '/up.log'), qr/^ap: login names: arbiters as at (?:eu|us)$/m,
    'the new unit takes the arbiters over from a peer');
is_deeply(arbiters($_), $before, "$_: each bucket has the arbiter it had") for 'eu', 'us', 'ap';

is(register('ap', $_), 409, "$_ is taken at the new unit too") for @names;
my @new = map {"new-$_\@example.org"} 1 .. 6;
is(register('ap', $_), 201, "$_ registers at the new unit") for @new;
is(register($_, $new[0]), 409, "and is then taken at $_") for 'eu', 'us';

# ---- a unit whose peers do not know it yet, or are down, deals for nobody
subtest 'a unit that cannot ask its peers has no arbiters, so nobody registers there' => sub {
    my $ap = $units->dbh('ap');
    $ap->do('delete from auth.bucket');
    my $listed = $units->dir . '/units';
    $units->process($_, 'postgres', 'down') for 'eu', 'us';
    my ($status, $said) = $units->punitctl('ap', 'unit', 'add', $listed);
    is($status, 0, 'unit add goes on') or diag($said);
    like($said, qr/arbiters come with `punitctl mesh join`/, 'and says what is missing');
    is($ap->selectrow_array('select count(*) from auth.bucket'), 0, 'no bucket');
    is(register('ap', 'late@example.org'), 503, 'to register is refused for now');
    ($status, $said) = $units->punitctl('ap', 'mesh', 'join', '--within', patience(5));
    isnt($status, 0, 'mesh join does not pretend');
    $units->process($_, 'postgres', 'up') for 'eu', 'us';
    ok(
        wait_until(
            sub { ($units->punitctl('ap', 'mesh', 'join', '--within', patience(20)))[0] == 0 }, 40
        ),
        'with the peers back it joins'
    );
    is_deeply(arbiters('ap'), $before, 'and has their arbiters');
    is(register('ap', 'late@example.org'), 201, 'now the user registers');
};

done_testing;
