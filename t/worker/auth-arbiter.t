# A login name exists once in the whole system: two units, whose databases the mesh does not join
# here, so that each test says itself what has already arrived.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time sleep);

use Punit::AuthWorker;
use Punit::Postgres;
use Punit::Server qw(directory);
use Punit::Tries;

my %pg =
    map { $_ => Punit::Postgres->new(unit => $_)->apply('punit', 'auth', 'profile') } qw(eu us);
$pg{eu}->know($pg{us});
$pg{us}->know($pg{eu});
my %db = map { $_ => $pg{$_}->dbh } qw(eu us);
$_->do(q(select auth.assign_buckets('{eu,us}'))) for values %db;
my $keys = directory('keys');
my %auth = map { $_ => Punit::AuthWorker->new($pg{$_}, keys => $keys) } qw(eu us);

# An address never used before whose arbiter is this unit: even first bytes are eu's, odd ones us's.
my $n = 0;
sub address {
    my ($arbiter) = @_;
    my $odd = $arbiter eq 'us' ? 1 : 0;
    while (1) {
        my $email = 'user' . ++$n . '@example.org';
        return $email if hex(substr Punit::AuthWorker::hash($email), 0, 2) % 2 == $odd;
    }
}

sub register {
    my ($unit, $email, %more) = @_;
    return $auth{$unit}->post('/auth/register',
        { email => $email, password => 'correct horse', name => 'U', %more });
}
sub login {
    return $auth{ $_[0] }->post('/auth/login', { email => $_[1], password => 'correct horse' })
}

# the directory's entry at a unit: the user, the unit of the registration, the author
sub entry {
    my ($unit, $email) = @_;
    my $row = $db{$unit}->selectrow_arrayref(
        q(select user_id, unit, origin_unit from auth.name where hash = decode(?, 'hex')), undef,
        Punit::AuthWorker::hash($email));
    return $row ? "@$row" : 'none';
}

sub people { return $db{ $_[0] }->selectrow_array('select count(*) from punit.own') }

# what the mesh would bring
sub replicate_home {
    my ($user, $from, $to) = @_;
    $db{$to}
        ->do('insert into punit.home (origin_unit, user_id, epoch) values (?, ?, 1)', undef, $from,
        $user);
}

sub problem { return join ' ', $_[0]{status}, ($_[0]{json} // {})->{type} // '-' }
sub redirected {
    return join ' ', $_[0]{status}, $_[0]{headers}{'punit-owner'} // '-', length $_[0]{body}
}

my $email = address('us');
my $born = register(eu => $email);
is $born->{status}, 201, 'a user registers at eu with a name that us keeps';
is entry(us => $email), "$born->{json}{user_id} eu us", 'us has recorded it';
is entry(eu => $email), 'none', 'eu leaves that to the mesh';
is people('us'), 0, 'the user lives at eu alone';
is login(eu => $email)->{status}, 200,
    'the user logs in at eu, before the mesh has brought the name';

is problem(register(eu => $email)), '409 urn:punit:name-taken', 'the name is taken at eu';
is redirected(register(us => $email)), '421 eu; epoch=1 0',
    'us, which has not heard of the user, leaves the decision to eu';
is redirected(login(us => $email)), '421 eu; epoch=1 0', 'a login at us goes to eu';
replicate_home($born->{json}{user_id}, 'eu', 'us');
is problem(register(us => $email)), '409 urn:punit:name-taken',
    'once it has heard, the name is taken at us too';
is redirected(login(us => $email)), '421 eu; epoch=1 0', 'and a login still goes to eu';

# ---- at the same moment
{
    my ($won, $lost) = (0, 0);
    for my $arbiter (qw(eu us)) {
        my $both = address($arbiter);
        my @answers = map { $_->[0]->collect($_->[1]) } map {
            my $fcgi = $auth{$_}->fcgi;
            [
                $fcgi,
                $fcgi->send_only(
                    POST => '/auth/register',
                    body => { email => $both, password => 'correct horse', name => 'U' })]
        } qw(eu us eu us);
        my @statuses = map { $_->{status} } @answers;
        $won += grep { $_ == 201 } @statuses;
        $lost += grep { $_ == 409 || $_ == 421 } @statuses;
        diag "@statuses" if grep { $_ != 201 && $_ != 409 && $_ != 421 } @statuses;
    }
    is $won, 2, 'of requests for one name at two units at once exactly one makes the account';
    is $lost, 6, 'the others are told or sent there';
}

# ---- the arbiter's answer is lost after it has decided
{
    my $half = address('us');
    my $user = '77777777-0000-4000-8000-000000000000';
    my $hash = Punit::AuthWorker::hash($half);
    $db{us}->do(q(select auth.claim_name(decode(?, 'hex'), ?, 'eu')), undef, $hash, $user);
    is problem(login(eu => $half)), '401 urn:punit:bad-credentials', 'a claim alone lets nobody in';
    is redirected(register(us => $half)), '421 eu; epoch=1 0', 'another unit does not finish it';
    my $again = register(eu => $half);
    is_deeply [$again->{status}, $again->{json}{user_id}], [201, $user],
        'the same request again gives the account it began';
    is problem(register(eu => $half)), '409 urn:punit:name-taken', 'once';
}

# ---- a user who was erased returns
for my $arbiter (qw(eu us)) {
    my $back = address($arbiter);
    my $old = register(eu => $back)->{json}{user_id};
    $db{eu}->do('select punit.erase_user(?)', undef, $old);
    my $answer = register(eu => $back);
    if ($arbiter eq 'us') {
        is_deeply [problem($answer), $answer->{headers}{'retry-after'}],
            ['503 urn:punit:try-later', 1], 'until the arbiter has heard, a client is put off';
        is entry(us => $back), "$old eu us", 'and the arbiter is told nothing';
        $db{us}->do('select punit.erased(?, 1)', undef, $old);
        $answer = register(eu => $back);
    }
    is $answer->{status}, 201, "with the arbiter $arbiter an erased user registers anew at once";
    my $new = $answer->{json}{user_id};
    isnt $new, $old, 'as another user';
    is entry($arbiter => $back), "$new eu $arbiter", 'to whom the name belongs';
    $db{$_}->do('select punit.forget(?)', undef, $old) for $arbiter eq 'us' ? qw(eu us) : 'eu';
    is entry($arbiter => $back), "$new eu $arbiter", 'also when the old one is forgotten';
    is login(eu => $back)->{json}{user_id}, $new, 'and logs in as that user';
}
{
    # The replica still names the erased user, and the arbiter has freed the name.
    my $back = address('us');
    my $hash = Punit::AuthWorker::hash($back);
    my $old = register(eu => $back)->{json}{user_id};
    $db{eu}->do(
        q(insert into auth.name (origin_unit, hash, user_id, unit)
          values ('us', decode(?, 'hex'), ?, 'eu')), undef, $hash, $old
    );
    $db{eu}->do('select punit.erase_user(?)', undef, $old);
    $db{us}->do(q(delete from auth.name where hash = decode(?, 'hex')), undef, $hash);
    my $answer = register(eu => $back);
    is $answer->{status}, 201, 'a name that the arbiter has freed is free';
    is entry(us => $back), "$answer->{json}{user_id} eu us", 'for a new user, not the erased one';
}

# ---- names of nobody
is problem(login(eu => address('us'))), '401 urn:punit:bad-credentials',
    'a name of nobody is refused after asking us';
is problem(login(us => address('us'))), '401 urn:punit:bad-credentials', 'and at us itself';

# ---- buckets that the units do not agree on
{
    my $disputed = address('us');
    my $bucket = hex substr Punit::AuthWorker::hash($disputed), 0, 2;
    $db{us}->do(q(update auth.bucket set unit = 'eu' where bucket = ?), undef, $bucket);
    my $before = people('eu');
    my $answer = register(eu => $disputed);
    is problem($answer), '503 urn:punit:try-later',
        'while units do not agree on the arbiter of a name nobody gets it';
    is people('eu'), $before, 'and nothing is half done';
    $db{us}->do(q(update auth.bucket set unit = 'us' where bucket = ?), undef, $bucket);
    is register(eu => $disputed)->{status}, 201, 'afterwards somebody does';
}

# ---- the arbiter is slow, restarts, is down

# A registration that says so; gives the seconds it took.
sub unreachable {
    my ($name, @who) = @_;
    return sub {
        my $problem;
        my $seconds = took(sub { $problem = problem(register(@who)) });
        is $problem, '503 urn:punit:unit-unreachable', $name;
        return $seconds;
    };
}
{
    my $slow = address('us');
    $db{us}->begin_work;
    $db{us}->do('lock table auth.bucket in exclusive mode');
    my $before = people('eu');
    ok once_within(4, unreachable('an arbiter that does not answer in time', eu => $slow)),
        'is waited for 2 s';
    is people('eu'), $before, 'nothing is half done';
    $db{us}->rollback;
    is register(eu => $slow)->{status}, 201, 'the same request succeeds when it answers';
}
{
    my $name = address('us');
    $db{us}->disconnect;
    $pg{us}->stop('immediate')->start;
    is register(eu => $name)->{status}, 201, 'a restart of the arbiter is not noticed';

    my ($first, $second) = (address('us'), address('eu'));
    $pg{us}->stop('immediate');
    my $before = people('eu');
    my $answer = register(eu => $first);
    is problem($answer), '503 urn:punit:unit-unreachable', 'with the arbiter down nobody registers';
    ok $answer->{headers}{'retry-after'}, 'but may come back';
    is people('eu'), $before, 'nothing is half done';
    is problem(login(eu => $first)), '503 urn:punit:unit-unreachable',
        'whether a name has an account cannot be told';
    is register(eu => $second)->{status}, 201, 'names of other arbiters are free';
    is login(eu => $second)->{status}, 200, 'and known names log in';

    $db{eu}->do(q(update punit.peer set state = 'down' where id = 'us'));
    ok once_within(1, unreachable('an arbiter marked down', eu => $first)), 'is not even tried';
    $db{eu}->do(q(update punit.peer set state = 'up' where id = 'us'));
    $pg{us}->start;
    is register(eu => $first)->{status}, 201, 'when it is back the same request succeeds';
}

is join('', map { $_->stop; $_->log_text =~ /example\.org|horse/ ? 'secret' : '' } values %auth),
    '',
    'the logs hold no address and no password';

$db{eu}->disconnect;
done_testing;
