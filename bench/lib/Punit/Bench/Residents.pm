package Punit::Bench::Residents;

# Users of a unit, made in sets by SQL, with the rows that services would have written: through the
# guards, under the own row that stamps them. They are moved; nobody logs in as one of them.
#
#   my @ids = Punit::Bench::Residents->settle($dbh, users => 10_000, rows => 10);
#   Punit::Bench::Residents->change($dbh, $id, 100);    # one write that changes 100 samples

use strict;
use warnings;
use Carp qw(croak);

# rows of each, at least 10: credential, profile, a tenth activities (but at most 1,000), as many
# posts, and samples of the last year; and an answer kept for an Idempotency-Key beside.
sub settle {
    my ($class, $dbh, %o) = @_;
    croak 'a user has at least 10 rows' if $o{rows} < 10;
    # samples are what there are many of; the others' tables have no index by ver, for users have a
    # few thousand there
    my $tenth = $o{rows} > 10_000 ? 1000 : int($o{rows} / 10);
    my $samples = $o{rows} - 2 - 2 * $tenth;
    my $ids = $dbh->selectcol_arrayref('select gen_random_uuid() from generate_series(1, ?)', undef,
        $o{users});
    $class->_months($dbh);
    # a set of 100,000 rows is one transaction, as a small one of many users
    my $most = int(200_000 / $o{rows}) || 1;
    for (my $i = 0; $i < @$ids; $i += $most) {
        my @some = grep {defined} @$ids[$i .. $i + $most - 1];
        $dbh->begin_work;
        $dbh->do('set local synchronous_commit = off');
        $dbh->do('select punit.create_user(u) from unnest(?::uuid[]) u', undef, \@some);
        $class->fill($dbh, \@some, activities => $tenth, posts => $tenth, samples => $samples);
        $dbh->do(
            q{
            insert into auth.credential (user_id, ver, name_hash, password)
            select u, 0, sha256(u::text::bytea), '$argon2id$nobody' from unnest(?::uuid[]) u},
            undef, \@some
        );
        $dbh->do(
            q{insert into profile.profile (user_id, ver, name) select u, 0, 'Resident'
                from unnest(?::uuid[]) u},
            undef, \@some);
        $dbh->do(
            q{
            select punit.dedup_store(u, 'key', 'POST /social/posts', sha256(u::text::bytea), 0,
                201, '{}')
              from unnest(?::uuid[]) u}, undef, \@some
        );
        $dbh->commit;
    }
    $dbh->do("vacuum analyze $_")
        for
        qw(punit.own punit.home punit.dedup profile.profile auth.credential sports.activity
            social.post metrics.sample);
    return @$ids;
}

# Rows for users that this transaction has made or bumped.
sub fill {
    my ($class, $dbh, $ids, %n) = @_;
    $dbh->do(
        q{
        insert into sports.activity (user_id, sport_id, started_at, duration_s, distance_m, note,
            ver)
        select u, s.id, now() - i * interval '1 hour', 3600, 10000, 'around the lake', 0
          from unnest(?::uuid[]) u, generate_series(1, ?::int) i, (select id from sports.sport
              order by id limit 1) s},
        undef, $ids, $n{activities});
    $dbh->do(
        q{
        insert into social.post (user_id, text, ver)
        select u, 'post ' || i || ' of somebody who runs around the lake', 0
            from unnest(?::uuid[]) u, generate_series(1, ?::int) i},
        undef, $ids, $n{posts});
    $dbh->do(
        q{
        insert into metrics.sample (user_id, type_id, at, value, ver)
        select u, t.id, date_trunc('hour', now()) - i * interval '5 minutes', 60 + i % 40, o.ver
          from unnest(?::uuid[]) u join punit.own o on o.user_id = u, generate_series(1, ?::int) i,
               (select id from metrics.type where retired_at is null order by id limit 1) t},
        undef, $ids, $n{samples});
    return;
}

# One writing transaction that changes the user's first samples.
sub change {
    my ($class, $dbh, $id, $n) = @_;
    $dbh->begin_work;
    my ($ver) = $dbh->selectrow_array('select ver from punit.bump(?)', undef, $id);
    croak "$id is not owned here" if !defined $ver;
    my $changed = $dbh->do(
        q{
        update metrics.sample s set value = s.value + 1, ver = ?
          from (select type_id, at from metrics.sample where user_id = ? order by at desc limit ?) x
         where s.user_id = ? and s.type_id = x.type_id and s.at = x.at}, undef, $ver, $id, $n, $id
    );
    $dbh->commit;
    croak "$changed rows of $id changed, and not $n" if $changed != $n;
    return;
}

# The partitions of the last year, as the first samples of each month make them.
sub _months {
    my ($class, $dbh) = @_;
    $dbh->do(
        q{select punit.make_months('metrics.sample', array_agg(now() - i * interval '5 days'))
            from generate_series(0, 73) i}
    );
    return;
}

1;
