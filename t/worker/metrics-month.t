# Metrics: the partitions of samples, a month each.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $metrics = Punit::Worker->new($pg, 'metrics');

$db->do('select metrics.seed()');
my ($type) = map { $_->{id} } grep { $_->{name} eq 'Steps' } $metrics->items('/metrics/types');
my $n = 0;

sub user {
    my $id = sprintf 'b0000000-0000-4000-8000-%012d', ++$n;
    $db->do('select punit.create_user(?)', undef, $id);
    return $id;
}

sub store {
    my ($user, @at) = @_;
    return $metrics->post('/metrics/samples',
        [map { { type_id => $type, at => $_, value => 1 } } @at], user => $user)
}

# The partitions, without those that stand ready for this month and the next.
sub partitions {
    my %ready = map { $_ => 1 } @{
        $db->selectcol_arrayref(
            q(select to_char(now() at time zone 'UTC' + m * interval '1 month', 'YYYY_MM')
                from generate_series(0, 1) m)
        ) };
    return join ' ', grep { !$ready{$_} } map {s/.*sample_//r} @{
        $db->selectcol_arrayref(
            q(select inhrelid::regclass::text from pg_inherits
                where inhparent = 'metrics.sample'::regclass order by 1)
        ) };
}

sub counts {
    return join ' ', map {"$_->[0]=$_->[1]"} @{
        $db->selectall_arrayref(
            q(select replace(tableoid::regclass::text, 'metrics.sample_', ''), count(*)
                from metrics.sample where user_id = ? group by 1 order by 1),
            undef, $_[0]) }
}

subtest 'this month and the next stand ready' => sub {
    is $db->selectrow_array(q(select count(*) from punit.month)), 2;
    $db->do('delete from punit.month where first > now()');
    my ($next) = $db->selectrow_array(
        q(select to_char(date_trunc('month', now() at time zone 'UTC') + interval '1 month',
            'YYYY_MM'))
    );
    $db->do("drop table metrics.sample_$next");
    is $db->selectrow_array('select punit.months_ahead()'), 1, 'what is missing is made';
    is $db->selectrow_array('select punit.months_ahead()'), 0, 'once';
    is partitions(), '';
};

subtest 'a month is made when its first sample comes, and months are those of UTC' => sub {
    my $user = user();
    is store($user, '2024-02-29T23:59:59.999Z', '2024-03-01T00:30:00+01:00', '2024-03-01T00:00:00Z')
        ->{status}, 201;
    is partitions(), '2024_02 2024_03';
    is counts($user), '2024_02=2 2024_03=1';
    is store($user, '2024-02-01T00:00:00Z')->{status}, 201, 'and then it is there';
    is counts($user), '2024_02=3 2024_03=1';
};

subtest 'what is far away shares two partitions' => sub {
    my $user = user();
    is store($user, map {"$_-07-01T00:00:00Z"} 1900, 1950, 2019, 2040, 2199)->{status}, 201;
    is counts($user), '2040_01=2 early=3';
    is_deeply [map { $_->{at} } $metrics->items('/metrics/samples', user => $user)],
        [map {"$_-07-01T00:00:00.000Z"} 1900, 1950, 2019, 2040, 2199];
};

subtest 'a request over many months is stored whole or not at all' => sub {
    my $user = user();
    my @at = map { sprintf '20%02d-%02d-15T12:00:00Z', 21 + int($_ / 12), 1 + $_ % 12 } 0 .. 35;
    is store($user, @at, '1850-01-01T00:00:00Z')->{status}, 422;
    is counts($user), '', 'nothing';
    is store($user, @at)->{body}, '{"stored":36}';
    is store($user, @at)->{body}, '{"stored":36}', 'again';
    is scalar($metrics->items('/metrics/samples', user => $user)), 36, 'replaces';
};

subtest
    'many users that come with the first samples of the same months at once are all served' => sub {
    my @users = map { user() } 1 .. 8;
    my @at = map { sprintf '2036-%02d-15T12:00:00Z', $_ } 1 .. 12;
    my @running = map {
        my $user = $_;
        $metrics->{fcgi}->send_only(POST => '/metrics/samples', user => $user,
            body => [map { { type_id => $type, at => $_, value => 1 } } @at])
    } @users;
    is join(' ', map { $metrics->{fcgi}->collect($_)->{status} } @running), join(' ', (201) x 8);
    is $db->selectrow_array(
        q(select count(*) from metrics.sample where at >= '2036-01-01Z' and at < '2037-01-01Z')),
        96;
};

subtest 'no service has rights on a partition, and the guard stands before the table' => sub {
    my $user = user();
    store($user, '2024-02-10T00:00:00Z');
    my $role = $pg->dbh('punit_metrics');
    for (
        'select * from metrics.sample_2024_02', 'delete from metrics.sample_2024_02',
        'truncate metrics.sample_2024_02',
        qq(insert into metrics.sample_2024_02 (user_id, type_id, at, value, ver)
            values ('$user', '$type', '2024-02-11Z', 1, 1))
        )
    {
        ok !eval { $role->do($_); 1 }, $_;
        is $role->state, '42501';
    }
    ok !eval {
        $role->do(
            qq(insert into metrics.sample (user_id, type_id, at, value, ver)
                values ('$user', '$type', '2024-02-11Z', 1, 1))
        ); 1
    }, 'unfenced';
    is $role->state, 'PU500';
    ok !eval { $role->do(qq(delete from metrics.sample where user_id = '$user')); 1 },
        'unfenced deletion';
    is $role->state, 'PU500';
};

subtest 'a deleted sample leaves a tombstone of the table, not of the partition' => sub {
    my $user = user();
    store($user, '2024-02-10T00:00:00Z');
    $db->begin_work;
    $db->do('select punit.bump(?)', undef, $user);
    $db->do('delete from metrics.sample where user_id = ?', undef, $user);
    $db->commit;
    is_deeply $db->selectcol_arrayref('select tab from punit.tomb where user_id = ?', undef, $user),
        ['metrics.sample'];
};

subtest 'partitions are no part of the shape that units compare' => sub {
    unlike $db->selectrow_array('select punit.shape()'), qr/sample_/;
    my ($list) = $db->selectrow_array('select punit.months()');
    like $list, qr/^metrics\.sample:-infinity,(?:20\d\d-\d\d-01,?)+$/;
    is $db->selectrow_array('select punit.have_months(?)', undef, $list), 0,
        'what another unit lists and is here is not made again';
    is $db->selectrow_array('select punit.have_months(?)', undef,
        'metrics.sample:2031-05-01,2031-06-01 other.table:2031-05-01'), 2;
};

done_testing;
