# The services over HTTP, beside the same statement under pgbench, with as many connections, on the
# same cores, in turn. The running service gives the statement (Punit::Bench::Service). A batch of
# samples stands beside the bare guarded insert of the same values too, as arrays that are in the
# server.

use strict;
use warnings;
use JSON::PP qw(encode_json);

use Punit::Bench::Pair;
use Punit::Bench::Service;

use constant { CONNECTIONS => 32, BATCHES => 12 };

sub rows {
    my ($name, $goal) = @_;
    return [{ name => $name, figure => 'rate', goal => $goal },
        map { { name => "$name-$_", figure => $_ } } qw(p50 p99)]
}

# BATCHES bodies of n samples each, in files for wrk and as arrays in a table for pgbench. No two
# samples have the same time.
sub batches {
    my ($service, $dir, $n) = @_;
    my $db = $service->db;
    for my $i (0 .. BATCHES - 1) {
        my ($at, $value, $body) = $db->selectrow_array(
            q{select array_agg(t order by k), array_agg(round(60 + k % 100 / 4.0, 2) order by k),
                     json_agg(json_build_object('type_id', ?::uuid, 'at',
                         to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                          'value', round(60 + k % 100 / 4.0, 2)) order by k)
                from generate_series(1, ?::int) k,
                     lateral (select '2026-01-01T00:00:00Z'::timestamptz + ?::int *
                         interval '1 day' + k * interval '2 seconds' as t) x},
            { pg_expand_array => 0 }, $service->type, $n, $i + ($n < 1000 ? 400 : 0));
        $db->do('insert into public.bench_batch values (?, ?, ?, ?)', undef, $n, $i, $at, $value);
        open my $f, '>', "$dir/batch-$n-$i.json" or die "$dir: $!";
        print $f $body =~ s/\s*([:,{}\[\]])\s*/$1/gr;
        close $f or die $!;
    }
    $db->do('vacuum analyze public.bench_batch');
    return;
}

# For wrk: all combinations of a body and a user come before one comes again.
sub send_batches {
    my ($service, $dir, $n) = @_;
    return $service->http(
        what => "POST /metrics/samples, $n", method => 'POST', path => '"/metrics/samples"',
        key => 1,
        prepare =>
            "local bodies = {}\nfor i = 1, @{[BATCHES]} do "
                . "local f = io.open('$dir/batch-$n-' .. i - 1 .. '.json'); "
                . "bodies[i] = f:read('*a'); f:close() end",
        body => "bodies[math.floor(n / #users) % #bodies + 1]",
    );
}

sub bare_insert {
    my ($service, $n) = @_;
    my $statement = {
        sql => q{with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()
                 where user_id = $1 and state = 'OWNED' returning ver, epoch),
             done as (insert into metrics.sample (user_id, type_id, at, value, ver)
                 select $1, $2, s.at, s.value, f.ver
                   from fence f, public.bench_batch b, unnest(b.at, b.value) s (at,
                       value) where b.size = $3 and b.i = $4
                 on conflict (user_id, type_id, at) do update set value = excluded.value,
                     activity_id = excluded.activity_id, ver = excluded.ver
                 returning 1)
             select epoch, (select count(*) from done) from fence},
        user => ($service->floor_users)[0],
    };
    $statement->{values} = [$statement->{user}{id}, $service->type, $n, 'BATCH'];
    return $service->pgbench("bare guarded insert of $n", $statement,
        BATCH => ':n::bigint / 32 % ' . BATCHES);
}

my @names = map { my $name = $_; ($name, "$name-p50", "$name-p99") }
    qw(write-activity write-profile write-post read-activity
    read-activities read-profile read-samples read-summary read-feed grid-exercise grid-exercises
    samples-100 samples-10000);

return {
    names => \@names,
    prepare => sub {
        my ($dir) = @_;
        my $service = Punit::Bench::Service->of($dir);
        my ($sport, $type) = ($service->sport, $service->type);

        # The number of a request is its key, and makes its body unique.
        my %key = ('Idempotency-Key' => 'KEY');
        my $key = q{('bench-' || :n)};
        my $of = sub {
            my ($role, $method, $path, $body, %headers) = @_;
            my $user = ($service->floor_users)[0];
            my $statement =
                $service->statement($role, $method, $path =~ s/ACTIVITY/$user->{activity}/r, $body,
                $user, %headers);
            return $service->pgbench('pgbench, the same statement', $statement, KEY => $key);
        };
        my $activity =
            { sport_id => $sport, started_at => '2026-02-03T04:05:06.000Z', duration_s => 1800,
            distance_m => 5000.5, note => 'along the river' };

        my @classes = (
            [
                'write-activity',
                '>= 0.6',
                sports => POST => '/activities',
                $activity,
                {
                    key => 1, path => '"/activities"',
                    body => q{'} . encode_json({ %$activity, note => 'run N' })
                        =~ s/N"/' .. n .. '"/r . q{'}
                }
            ],
            [
                'write-profile',
                '>= 0.6',
                profile => PATCH => '/profile',
                { weight_kg => 71.5 },
                {
                    path => '"/profile"',
                    body => q{'{"weight_kg":' .. 60 + n % 100 / 10 .. '}'}
                }
            ],
            [
                'write-post',
                '>= 0.6',
                social => POST => '/social/posts',
                { text => 'run number 1' },
                {
                    key => 1, path => '"/social/posts"',
                    body => q{'{"text":"run number ' .. n .. '"}'}
                }
            ],
            [
                'read-activity', '>= 0.4', sports => GET => '/activities/ACTIVITY', undef,
                { path => '"/activities/" .. user.activity' }
            ],
            [
                'read-activities', '>= 0.4', sports => GET => '/activities', undef,
                { path => '"/activities"' }
            ],
            [
                'read-profile', '>= 0.4', profile => GET => '/profile', undef,
                { path => '"/profile"' }
            ],
            [
                'read-samples', '>= 0.4', metrics => GET => "/metrics/samples?type=$type", undef,
                { path => qq{"/metrics/samples?type=$type"} }
            ],
            [
                'read-summary', '>= 0.4',
                metrics => GET => "/metrics/summary?type=$type&bucket=day", undef,
                { path => qq{"/metrics/summary?type=$type&bucket=day"} }
            ],
            [
                'read-feed', '>= 0.4', social => GET => '/social/feed', undef,
                { path => '"/social/feed"' }
            ],
        );
        my @pairs = map {
            my ($name, $goal, $role, $method, $path, $body, $http) = @$_;
            Punit::Bench::Pair->new(
                ours => $service->http(
                    %$http, what => "$method " . $path =~ s/ACTIVITY/{id}/r =~ s/\?.*//r,
                    method => $method
                ),
                peer => $of->($role, $method, $path, $body, $http->{key} ? %key : ()),
                connections => CONNECTIONS,
                rows => rows($name, $goal),
            );
        } @classes;

        # Documents of the grid have no floor. pgbench shows what the grid saves.
        my ($exercise) = $service->db->selectrow_array(
            'select id from training.exercise where retired_at is null limit 1');
        push @pairs, map {
            my ($name, $path) = @$_;
            my $peer = $service->pgbench('pgbench, the same statement',
                $service->uncached_statement('training', $path));
            Punit::Bench::Pair->new(
                ours => $service->http(
                    what => "GET $path, grid" =~ s/\Q$exercise\E/{id}/r, method => 'GET',
                    path => qq{"$path"}
                ),
                peer => $peer, connections => CONNECTIONS, rows => rows($name),
            );
            } ['grid-exercise', "/training/exercises/$exercise"],
            ['grid-exercises', '/training/exercises'];

        $service->db->do(
            'create table public.bench_batch (size int, i int, at timestamptz[], value float8[],
                primary key (size, i))'
        );
        for my $n (100, 10_000) {
            batches($service, $dir, $n);
            push @pairs, Punit::Bench::Pair->new(
                ours => send_batches($service, $dir, $n), peer => bare_insert($service, $n),
                connections => $n < 1000 ? CONNECTIONS / 2 : 4,
                rows => rows("samples-$n", '>= 0.6'),
            );
        }
        return @pairs;
    }
};
