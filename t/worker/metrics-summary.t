# Metrics: figures an hour, day, week or month, in the user's own time zone.
#
# PUNIT_SEED: the seed of the zones and moments that are drawn. PUNIT_ALL_ZONES=1: all zones.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use List::Util qw(shuffle);
use Test::More;

use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $metrics = Punit::Worker->new($pg, 'metrics');

$db->do('select metrics.seed()');
my ($steps) = map { $_->{id} } grep { $_->{name} eq 'Steps' } $metrics->items('/metrics/types');
my $n = 0;

# A new user of that time zone, owned here.
sub user {
    my ($zone) = @_;
    my $id = sprintf 'b0000000-0000-4000-8000-%012d', ++$n;
    $db->begin_work;
    $db->do('select punit.create_user(?)', undef, $id);
    $db->do('select profile.create(?, ?)', undef, $id, 'Ada');
    $db->do('update profile.profile set time_zone = ? where user_id = ?', undef, $zone, $id);
    $db->commit;
    return $id;
}

# samples: time => value
sub store {
    my ($user, %samples) = @_;
    my $a = $metrics->post(
        '/metrics/samples',
        [map { { type_id => $steps, at => $_, value => $samples{$_} } } keys %samples],
        user => $user
    );
    $a->{status} == 201 or die "$a->{status} $a->{body}";
}

# A new user of that zone with one sample, of value 1, at each of these times.
sub user_with {
    my ($zone, @at) = @_;
    my $user = user($zone);
    store($user, map { $_ => 1 } @at);
    return $user;
}

sub buckets {
    my ($user, $bucket, $rest, %o) = @_;
    return $metrics->items(
        "/metrics/summary?type=$steps&bucket=$bucket" . ($rest // ''),
        user => $user, %o
    );
}

# "start end count sum" of each
sub summary {
    return map {
              $_->{start} =~ s/:00\.000Z//r . ' '
            . $_->{end} =~ s/:00\.000Z//r
            . " $_->{count} $_->{sum}"
    } buckets(@_);
}

subtest 'a bucket has count, least, greatest, mean and sum' => sub {
    my $user = user();
    store($user, '2026-03-01T08:00:00Z' => 10, '2026-03-01T09:00:00Z' => 20,
        '2026-03-01T10:00:00Z' => 60);
    my ($item) = $metrics->items("/metrics/summary?type=$steps&bucket=day", user => $user);
    is_deeply $item, {
        start => '2026-03-01T00:00:00.000Z', end => '2026-03-02T00:00:00.000Z', count => 3,
        min => 10,
        max => 60, avg => 30, sum => 90
    };
};

subtest 'days begin at midnight where the user is' => sub {
    my %samples = ('2026-01-01T04:59:00Z' => 1, '2026-01-01T05:00:00Z' => 2);
    my ($in_utc, $in_york, $in_kolkata) = map { user($_) } undef, 'America/New_York',
        'Asia/Kolkata';
    store($_, %samples) for $in_utc, $in_york, $in_kolkata;
    is_deeply [summary($in_utc, 'day')], ['2026-01-01T00:00 2026-01-02T00:00 2 3'], 'no zone: UTC';
    is_deeply [summary($in_york, 'day')],
        ['2025-12-31T05:00 2026-01-01T05:00 1 1', '2026-01-01T05:00 2026-01-02T05:00 1 2'];
    is_deeply [summary($in_kolkata, 'hour')], ['2026-01-01T04:30 2026-01-01T05:30 2 3'],
        'half-hour zones have their hours';
};

subtest 'the day summer time begins has 23 hours, the day it ends 25, and no sample falls out' =>
    sub {
    my $user = user('Europe/Berlin');
    # a sample each hour from midnight to midnight, local
    store($user,
        map { sprintf('2026-03-%02dT%02d:30:00Z', 28 + int((23 + $_) / 24), (23 + $_) % 24) => 1 }
            0 .. 22);
    store($user,
        map { sprintf('2026-10-%02dT%02d:30:00Z', 24 + int((22 + $_) / 24), (22 + $_) % 24) => 1 }
            0 .. 24);
    is_deeply [summary($user, 'day')],
        ['2026-03-28T23:00 2026-03-29T22:00 23 23', '2026-10-24T22:00 2026-10-25T23:00 25 25'];
    my @hours = summary($user, 'hour', '&from=2026-10-24T22:00:00Z&limit=500');
    is scalar(@hours), 25, 'the hour that comes twice is two buckets';
    is_deeply [@hours[2 .. 3]],
        ['2026-10-25T00:00 2026-10-25T01:00 1 1', '2026-10-25T01:00 2026-10-25T02:00 1 1'];
    is_deeply [summary($user, 'month')],
        ['2026-02-28T23:00 2026-03-31T22:00 23 23', '2026-09-30T22:00 2026-10-31T23:00 25 25'],
        'months across the change';
    };

subtest 'a midnight that comes twice begins the day when it first comes' => sub {
    is_deeply [
        summary(
            user_with(
                'Atlantic/Azores', map {"2025-10-$_:30:00Z"} qw(25T23 26T00 26T01 27T00 27T01)
            ),
            'day'
        )
        ],
        [
        '2025-10-25T00:00 2025-10-26T00:00 1 1', '2025-10-26T00:00 2025-10-27T01:00 3 3',
        '2025-10-27T01:00 2025-10-28T01:00 1 1'
        ];
};

subtest 'a midnight that never comes: the day begins when the clock is set' => sub {
    is_deeply [
        summary(
            user_with(
                'America/Santiago', '2026-09-06T03:59:00Z', '2026-09-06T04:30:00Z',
                '2026-09-07T02:30:00Z', '2026-09-07T03:30:00Z'
            ),
            'day'
        )
        ],
        [
        '2026-09-05T04:00 2026-09-06T04:00 1 1', '2026-09-06T04:00 2026-09-07T03:00 2 2',
        '2026-09-07T03:00 2026-09-08T03:00 1 1'
        ];
};

subtest 'a whole day that never comes has no bucket' => sub {
    is_deeply [
        summary(user_with('Pacific/Apia', '2011-12-30T09:59:00Z', '2011-12-30T10:00:00Z'), 'day')
        ],
        ['2011-12-29T10:00 2011-12-30T10:00 1 1', '2011-12-30T10:00 2011-12-31T10:00 1 1'];
};

subtest 'a shift of half an hour cuts an hour' => sub {
    is_deeply [
        summary(
            user_with(
                'Australia/Lord_Howe', '2026-04-04T14:59:00Z', '2026-04-04T15:10:00Z',
                '2026-04-04T15:30:00Z'
            ),
            'hour'
        )
        ],
        [
        '2026-04-04T14:00 2026-04-04T15:00 1 1', '2026-04-04T15:00 2026-04-04T15:30 1 1',
        '2026-04-04T15:30 2026-04-04T16:30 1 1'
        ];
};

subtest 'pages of months with two offsets each have all buckets once' => sub {
    my @at = map {
        sprintf '%d-%02d-%02dT12:00:00Z', 2020 + int($_ / 24), $_ / 2 % 12 + 1,
            $_ % 2 ? 28 : 2
    } 0 .. 143;
    my @months = buckets(user_with('Africa/Casablanca', @at), 'month');
    is scalar(@months), 72, 'all months';
    is_deeply [map { $_->{count} } @months], [(2) x 72], 'each with both samples';
    is $months[$_]{end}, $months[$_ + 1]{start}, 'a month ends where the next one begins'
        or last
        for 0 .. 70;
};

subtest 'a zone that this unit does not know is answered in UTC, and named' => sub {
    my ($item) = buckets(user_with('Mars/Olympus', '2026-03-01T23:30:00Z'), 'day');
    is_deeply [@$item{qw(start zone warning)}],
        ['2026-03-01T00:00:00.000Z', 'UTC', 'this unit does not know the zone Mars/Olympus'];
    ($item) = buckets(user_with('Europe/Berlin', '2026-03-01T23:30:00Z'), 'day');
    is_deeply [@$item{qw(zone warning)}], [undef, undef], 'a known one has no warning';
};

subtest 'in every zone, near each shift of its clock, a bucket ends where the next one begins' =>
    sub {
    open my $table, '<', '/usr/share/zoneinfo/zone1970.tab'
        or plan skip_all => 'no table of time zones';
    my @zones = map { (split /\t/)[2] =~ s/\s+$//r } grep { !/^#/ } <$table>;
    my $seed = $ENV{PUNIT_SEED} // time;
    srand $seed;
    $db->do('select setseed(?)', undef, rand);
    @zones = (shuffle @zones)[0 .. 29] unless $ENV{PUNIT_ALL_ZONES};
    my $wrong = $db->selectall_arrayref(
        q{
        with shift as (
            select z.zone, metrics.zone_shift(d, d + '1 day', z.zone) as at
              from unnest($1::text[]) z (zone)
             cross join generate_series('2000-01-01Z'::timestamptz, '2029-12-31', '1 day') d
             where metrics.zone_offset(d, z.zone) <> metrics.zone_offset(d + '1 day', z.zone)),
        moment as (
            select s.zone, s.at + o * '1 second'::interval as at
              from shift s
             cross join unnest('{-90000,-86400,-5400,-3600,-1800,-1,0,1,900,1800,3599,3600,7200,
                                 86399,86400,90000}'::int[]) o
            union all
            select z.zone, '2000-01-01Z'::timestamptz + random() * '30 years'::interval
              from unnest($1::text[]) z (zone), generate_series(1, 50)),
        bucket as (
            select m.*, u.unit, b.start, b."end"
              from moment m
             cross join unnest('{hour,day,week,month}'::text[]) u (unit)
             cross join lateral metrics.bucket_at(u.unit, m.at, m.zone) b)
        select b.zone, b.unit, b.at, b.start, b."end", f.start as next, l."end" as last
          from bucket b
         cross join lateral metrics.bucket_at(b.unit, b."end", b.zone) f
         cross join lateral metrics.bucket_at(b.unit, b.start - '1 microsecond'::interval, b.zone) l
         where (b.start <= b.at and b.at < b."end" and f.start = b."end" and l."end" = b.start)
               is not true
         limit 10}, { pg_placeholder_dollaronly => 1 }, \@zones
    );
    is_deeply $wrong, [], "seed $seed, " . @zones . ' zones';
    };

subtest 'weeks begin on Monday' => sub {
    my $user = user('Europe/Berlin');
    store($user, '2026-03-01T22:59:00Z' => 1, '2026-03-01T23:00:00Z' => 2);
    is_deeply [summary($user, 'week')],
        ['2026-02-22T23:00 2026-03-01T23:00 1 1', '2026-03-01T23:00 2026-03-08T23:00 1 2'];
};

subtest 'from and to cut samples, empty buckets are left out, pages follow each other' => sub {
    my $user = user('Asia/Tokyo');
    store($user, map { sprintf('2026-04-%02dT12:00:00Z', $_) => $_ } 1 .. 3, 5 .. 9);
    my $sums = sub {
        join ' ', map { (split)[3] } summary($user, 'day', @_)
    };
    is $sums->('&from=2026-04-02T00:00:00Z&to=2026-04-08T00:00:00Z'), '2 3 5 6 7';
    is $sums->('&limit=3'), '1 2 3 5 6 7 8 9';
    my $step = 0;
    is $sums->('&limit=3',
        between => sub { store($user, '2026-04-04T12:00:00Z' => 4) if !$step++ }),
        '1 2 3 4 5 6 7 8 9',
        'also while samples come';
};

subtest 'a moment that is not of this user or type is not counted' => sub {
    my ($he, $she) = (user(), user());
    store($_, '2026-03-01T08:00:00Z' => 1) for $he, $she;
    my ($other) =
        map { $_->{id} } grep { $_->{name} eq 'Distance' } $metrics->items('/metrics/types');
    $metrics->post('/metrics/samples',
        [{ type_id => $other, at => '2026-03-01T08:00:00Z', value => 5 }], user => $he);
    is_deeply [summary($he, 'day')], ['2026-03-01T00:00 2026-03-02T00:00 1 1'];
};

subtest 'type and bucket are needed' => sub {
    my $user = user();
    is $metrics->get("/metrics/summary?$_", user => $user)->{status}, 400, $_
        for "type=$steps", 'bucket=day', "type=$steps&bucket=year", 'type=x&bucket=day',
        "type=$steps&bucket=day&from=noon";
};

done_testing;
