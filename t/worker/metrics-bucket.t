# Metrics: buckets of local time follow each other, in every zone and each unit of time.
#
# PUNIT_SEED: the seed of the zones that are drawn. PUNIT_ALL_ZONES=1: all zones.
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

# The buckets of a user of that zone who has one sample at each of these times.
sub summary {
    my ($zone, $bucket, @at) = @_;
    my $id = sprintf 'b0000000-0000-4000-8000-%012d', ++$n;
    $db->begin_work;
    $db->do('select punit.create_user(?)', undef, $id);
    $db->do('select profile.create(?, ?)', undef, $id, 'Ada');
    $db->do('update profile.profile set time_zone = ? where user_id = ?', undef, $zone, $id);
    $db->commit;
    my $a = $metrics->post(
        '/metrics/samples',
        [map { { type_id => $steps, at => $_, value => 1 } } @at], user => $id
    );
    $a->{status} == 201 or die "$a->{status} $a->{body}";
    return $metrics->items("/metrics/summary?type=$steps&bucket=$bucket", user => $id);
}

sub lines {
    return [
        map {
            join ' ', (map {s/:00\.000Z//r} @$_{qw(start end)}), $_->{count}
        } @_
    ];
}

subtest 'a midnight that comes twice begins the day when it first comes' => sub {
    is_deeply lines(summary(
        'Atlantic/Azores', 'day',
        map {"2025-10-$_:30:00Z"} qw(25T23 26T00 26T01 27T00 27T01)
        )),
        [
        '2025-10-25T00:00 2025-10-26T00:00 1', '2025-10-26T00:00 2025-10-27T01:00 3',
        '2025-10-27T01:00 2025-10-28T01:00 1'
        ];
};

subtest 'a midnight that never comes: the day begins when the clock is set' => sub {
    is_deeply lines(summary(
        'America/Santiago', 'day', '2026-09-06T03:59:00Z', '2026-09-06T04:30:00Z',
        '2026-09-07T02:30:00Z', '2026-09-07T03:30:00Z'
        )),
        [
        '2026-09-05T04:00 2026-09-06T04:00 1', '2026-09-06T04:00 2026-09-07T03:00 2',
        '2026-09-07T03:00 2026-09-08T03:00 1'
        ];
};

subtest 'a whole day that never comes has no bucket' => sub {
    is_deeply lines(summary('Pacific/Apia', 'day', '2011-12-30T09:59:00Z', '2011-12-30T10:00:00Z')),
        ['2011-12-29T10:00 2011-12-30T10:00 1', '2011-12-30T10:00 2011-12-31T10:00 1'];
};

subtest 'a shift of half an hour cuts an hour' => sub {
    is_deeply lines(summary(
        'Australia/Lord_Howe', 'hour', '2026-04-04T14:59:00Z', '2026-04-04T15:10:00Z',
        '2026-04-04T15:30:00Z'
        )),
        [
        '2026-04-04T14:00 2026-04-04T15:00 1', '2026-04-04T15:00 2026-04-04T15:30 1',
        '2026-04-04T15:30 2026-04-04T16:30 1'
        ];
};

subtest 'pages of months with two offsets each have all buckets once' => sub {
    my @at = map {
        sprintf '%d-%02d-%02dT12:00:00Z', 2020 + int($_ / 24), $_ / 2 % 12 + 1,
            $_ % 2 ? 28 : 2
    } 0 .. 143;
    my @months = summary('Africa/Casablanca', 'month', @at);
    is scalar(@months), 72, 'all months';
    is_deeply [map { $_->{count} } @months], [(2) x 72], 'each with both samples';
    is $months[$_]{end}, $months[$_ + 1]{start}, 'a month ends where the next one begins'
        or last
        for 0 .. 70;
};

subtest 'a zone that this unit does not know is answered in UTC, and named' => sub {
    my ($item) = summary('Mars/Olympus', 'day', '2026-03-01T23:30:00Z');
    is_deeply [@$item{qw(start zone warning)}],
        ['2026-03-01T00:00:00.000Z', 'UTC', 'this unit does not know the zone Mars/Olympus'];
    ($item) = summary('Europe/Berlin', 'day', '2026-03-01T23:30:00Z');
    is_deeply [@$item{qw(zone warning)}], [undef, undef], 'a known one has no warning';
};

subtest 'in every zone, near each shift of its clock, a bucket ends where the next one begins' =>
    sub {
    open my $table, '<', '/usr/share/zoneinfo/zone1970.tab'
        or plan skip_all => 'no table of time zones';
    my @zones = map { (split /\t/)[2] =~ s/\s+$//r } grep { !/^#/ } <$table>;
    my $seed = $ENV{PUNIT_SEED} // time;
    srand $seed;
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

done_testing;
