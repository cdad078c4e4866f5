# A user with 100,000 samples moves: into a unit that has none of their months, and back with what
# changed.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Units;
use Punit::Wait qw(wait_until);
use Punit::User;
use Test::More;

use constant { REQUESTS => 10, SAMPLES => 10_000, MONTHS => 25 };

my $units = Punit::Units->start(units => ['eu', 'us'],
    env => { PUNIT_MOVE_DWELL => '500ms', PUNIT_MOVE_QUIET => '500ms' });
my $user = Punit::User->register($units, 'eu');
my ($eu, $us) = map { $units->dbh($_) } 'eu', 'us';
my ($type) =
    map { $_->{id} }
    grep { $_->{name} eq 'Heart rate' }
    @{ $user->ask('eu', GET => '/metrics/types')->{json}{items} };

sub partitions {
    return $_[0]->selectrow_array(
        q(select string_agg(inhrelid::regclass::text, ' ' order by 1) from pg_inherits
    where inhparent = 'metrics.sample'::regclass)
    )
}
sub digest {
    return join ' ',
        $_[0]->selectrow_array('select n, digest from punit.user_digest(?, -1)', undef, $user->id)
}
sub count {
    return $_[0]
        ->selectrow_array('select count(*) from metrics.sample where user_id = ?', undef, $user->id)
}

my $before = partitions($us);
my $i = 0;
for my $request (1 .. REQUESTS) {
    # over 25 months, from January 2022
    my @samples = map {
        my $m = $i++ % MONTHS;
        my $k = int($i / MONTHS);
        {
            type_id => $type, value => 60 + $i % 100,
            at => sprintf '20%02d-%02d-%02dT%02d:%02d:00Z', 22 + int($m / 12), 1 + $m % 12,
            1 + $k % 28, int($k / 28) % 24, int($k / 672) % 60
        }
    } 1 .. SAMPLES;
    my $answer = $user->ask('eu', POST => '/metrics/samples', \@samples);
    is "$answer->{status} $answer->{content}", '201 {"stored":' . SAMPLES . '}',
        "10,000 samples in request $request";
}
is count($eu), REQUESTS * SAMPLES, 'all are there';
is partitions($us), $before, 'the other unit has none of their months';

my $answers = $user->cross('us', seconds => 90);
is_deeply [grep { $_->{status} != 200 } @$answers], [], 'no request failed during the crossing';
is count($us), REQUESTS * SAMPLES, 'all samples came along';
is digest($us), digest($eu), 'as they were';
is partitions($us), partitions($eu), 'into the same months';
is $us->selectrow_array(q(select mode from punit.move where user_id = ? and result = 'moved'),
    undef, $user->id), 'full', 'in full';

# ---- back, with samples of a month that only the other unit has, changed ones and deleted ones
my @more = map { { type_id => $type, value => 200, at => "2019-05-0${_}T00:00:00Z" } } 1 .. 5;
push @more, { type_id => $type, value => 199, at => '2022-01-01T00:00:00Z' },
    { type_id => $type, value => 199, at => '2030-12-31T23:59:59Z' };
is $user->ask('us', POST => '/metrics/samples', \@more)->{status}, 201,
    'the user goes on measuring';
$us->begin_work;
$us->do('select punit.bump(?)', undef, $user->id);
is $us->do(
    q(delete from metrics.sample where user_id = ? and at >= '2023-02-01Z' and at < '2023-02-03Z'),
    undef, $user->id) > 0, 1, 'some are deleted';
$us->commit;
$user->cross('eu', seconds => 60);
is digest($eu), digest($us), 'back with the same samples';
my $r = $eu->selectrow_hashref(
    q(select mode, rows_sent from punit.move where user_id = ? and to_unit = 'eu'
        and result = 'moved'),
    undef, $user->id);
is $r->{mode}, 'delta', 'by what changed';
cmp_ok $r->{rows_sent}, '<', 1000, "$r->{rows_sent} rows";
# a machine under load may take longer than PUNIT_DEADLINE: 503, and the client asks again
my $answer;
wait_until(
    sub {
        $answer = $user->ask('eu', GET => "/metrics/summary?type=$type&bucket=month&limit=500");
        $answer->{status} != 503;
    },
    20
);
is $answer->{status}, 200, 'a summary is answered';
my $summary = $answer->{json}{items};
is scalar(@$summary), MONTHS + 2, 'a summary over all months';

done_testing;
