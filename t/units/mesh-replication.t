#!/usr/bin/perl
# Two units and what goes between their databases.
use strict;
use warnings;
use DBI;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64url);
use POSIX ();
use Punit::Tries;
use Punit::Units;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(time);

my $units = Punit::Units->start(units => ['eu', 'us']);
my ($eu, $us) = map { $units->dbh($_) } 'eu', 'us';

sub one { my ($db, $sql, @values) = @_; return ($db->selectrow_array($sql, undef, @values))[0] }
sub ctl { my ($unit, @arguments) = @_; return $units->punitctl($unit, @arguments) }

my $all = one($eu, 'select count(*) from training.exercise');
cmp_ok($all, '>', 0, 'the first unit has a catalogue');
is(
    one($us, q{select count(*) from training.exercise where origin_unit = 'eu'}), $all,
    'the other unit has every row of it when `up` returns'
);
is(one($us, q{select count(*) from punit.unit}), 2, 'each unit knows of both');
is(one($us, q{select count(distinct unit) from auth.bucket}), 2,
    'the arbiters of login names are dealt to both');
is_deeply(
    $us->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    $eu->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    'and each unit says the same of them'
);

my ($status, $output) = ctl('us', 'mesh', 'status', '--json');
is($status, 0, 'mesh status says that all is well') or diag($output);
is_deeply(
    [
        map { [@$_{qw(peer incoming outgoing apply_errors copy_errors)}] }
            @{ decode_json($output)->{mesh} }
    ],
    [['eu', 'ok', 'ok', 0, 0]], 'for each peer, both ways'
);

# ---- rows go to the other unit, and only their author's
$us->do(
    q{insert into sports.sport (id, name, category, met)
        values (gen_random_uuid(), 'Kiting', 'water', 8)}
);
ok(
    wait_until(
        sub {
            one($eu,
                q{select count(*) from sports.sport where origin_unit = 'us' and name = 'Kiting'})
        },
        5
    ),
    'a row written at us arrives at eu'
);
$us->do(q{update sports.sport set met = 9 where name = 'Kiting'});
ok(wait_until(sub { one($eu, q{select met = 9 from sports.sport where name = 'Kiting'}) }, 5),
    'its change too');
ok(!eval { $eu->do(q{update sports.sport set met = 1 where name = 'Kiting'}); 1 },
    'eu cannot change it');
like($@, qr/us/, 'and hears its author');
is(one($us, q{select count(*) from sports.sport where name = 'Kiting'}), 1,
    'no row comes back round');

subtest 'a message is seen by the unit it is for' => sub {
    $eu->do(q{select punit.send('us', 'test-message', null)});
    ok(
        wait_until(
            sub { one($us, q{select count(*) from punit.outbox where kind = 'test-message'}) }, 5
        ),
        'at us'
    );
    $us->do(
        q{insert into punit.outbox_ack (origin_unit, target_unit, seq)
              select origin_unit, target_unit, seq from punit.outbox where kind = 'test-message'
                  on conflict do nothing}
    );
    ok(
        wait_until(
            sub { !one($eu, q{select count(*) from punit.outbox where kind = 'test-message'}) }, 5
        ),
        'and the acknowledgement by its origin, which deletes it'
    );
    $us->do('delete from punit.inbox_late');
};

# ---- who may come in
sub peer_login {
    my ($from, $to, %change) = @_;
    my %part = (
        host => $to, hostaddr => '127.0.0.1', port => $units->port($to, 'pg'), dbname => 'punit',
        sslmode => 'verify-full',
        sslcert => $units->dir . "/$from/tls/unit.pem",
        sslkey => $units->dir . "/$from/tls/unit.key",
        sslrootcert => $units->dir . "/$from/tls/ca.pem", connect_timeout => patience(5)
    );
    my $user = delete $change{user} // "punit_peer_$from";
    %part = (%part, %change);
    my $db = DBI->connect(
        'dbi:Pg:' . join(';', map {"$_=$part{$_}"} sort keys %part), $user, '',
        { RaiseError => 0, PrintError => 0 });
    return ($db, $DBI::errstr // '');
}
my ($peer, $error) = peer_login('us', 'eu');
ok($peer, 'a peer comes in with its certificate') or diag($error);
is(one($peer, 'select punit.caller()'), 'us', 'and is the unit that its certificate names');
# users' rows it may read: that is how they move
for my $table ('punit.own', 'punit.move', 'punit.peer', 'punit.schema_file', 'auth.bucket') {
    ok(!$peer->do("select from $table limit 1"), "a peer cannot read $table");
}
ok(!$peer->do('delete from training.exercise'), 'nor write what it may read');
($peer, $error) = peer_login('us', 'eu', replication => 'true');
ok(!$peer, 'nor copy the whole cluster');
($peer, $error) = peer_login('us', 'eu', user => 'punit_peer_ap');
ok(!$peer, 'a certificate of us lets nobody in as another unit');
($peer, $error) = peer_login('us', 'eu', user => 'postgres');
ok(!$peer, 'nor as the superuser');
($peer, $error) = peer_login('us', 'eu', sslcert => '/nonexistent', sslkey => '/nonexistent');
ok(!$peer, 'without a certificate nobody comes in');
($peer, $error) = peer_login('us', 'eu', sslmode => 'disable');
ok(!$peer, 'nor without TLS');
($peer, $error) = peer_login('us', 'eu', host => 'ap');
ok(!$peer, 'a peer of another name than expected is not trusted');
like($error, qr/does not match host name/, 'because of its certificate');

# ---- away and back
$us->do(
    q{insert into sports.sport (id, name, category, met)
        values (gen_random_uuid(), 'Curling', 'winter', 4)}
);
# a session of the killed one may still answer for a moment
sub back {
    my ($unit, $since) = (@_, 0); return wait_until(
        sub {
            eval {
                one($units->dbh($unit), "select pg_postmaster_start_time() > to_timestamp($since)")
            }
        },
        20
    )
}
ok(
    once_within(
        5,
        sub {
            kill KILL => $units->pid('eu', 'postgres');
            my $killed = time;
            ok(back('eu', $killed), 'PostgreSQL of eu, killed, is back');
            return time - $killed;
        }
    ),
    'soon'
);
$eu = $units->dbh('eu');
ok(
    wait_until(sub { one($eu, q{select count(*) from sports.sport where name = 'Curling'}) }, 20),
    'and gets what was written at us meanwhile'
);

# ---- a row that takes long to apply
subtest 'a transaction that takes 20 s to apply is not sent again and again' => sub {
    $eu->do(
        q{create function punit.test_slow() returns trigger language plpgsql as
            $$begin perform pg_sleep(1); return new; end$$}
    );
    $eu->do(
        q{create trigger test_slow before insert on sports.sport for each row
            when (new.category = 'slow') execute function punit.test_slow()}
    );
    $eu->do('alter table sports.sport enable replica trigger test_slow');
    my $errors = q{select sum(apply_error_count) from pg_stat_subscription_stats};
    my $before = one($eu, $errors);
    $us->do(
        q{insert into sports.sport (id, name, category, met)
            select gen_random_uuid(), 'Slow ' || i, 'slow', 1 from generate_series(1, 20) i}
    );
    my $count = q{select count(*) from sports.sport where category = 'slow'};
    ok(wait_until(sub { one($eu, $count) == 20 }, 60), 'all of it arrives');
    is(one($eu, $errors), $before, 'at the first time');
    $eu->do('drop trigger test_slow on sports.sport; drop function punit.test_slow');
};

# ---- a row that cannot be applied
subtest 'an apply error is shown by status as long as it lasts, and repaired by mesh resync' =>
    sub {
    my $id = '5eed5eed-0000-4000-8000-000000000001';
    my $insert =
        q{insert into sports.sport (origin_unit, id, name, category, met)
            values ('eu', ?, 'Twice', 'winter', 4)};
    $us->do('set session_replication_role = replica');
    $us->do($insert, undef, $id);
    $us->do('set session_replication_role = origin');
    $eu->do($insert, undef, $id);
    $eu->do(
        q{insert into sports.sport (id, name, category, met)
            values (gen_random_uuid(), 'Behind', 'winter', 4)}
    );
    my $failing = sub {
        my ($code, $json) = ctl('us', 'mesh', 'status', '--json');
        my ($peer) = @{ decode_json($json)->{mesh} };
        return $code == 1 && $peer->{incoming} eq 'failing' && $peer->{apply_errors} > 0;
    };
    ok(wait_until($failing, 20), 'mesh status says so and counts it');
    ok($failing->(), 'whenever it is asked');
    my ($code, $json) = ctl('us', 'status', '--json');
    ok($code == 1 && !decode_json($json)->{good}, 'status too') or diag($json);
    ($code, $json) = ctl('us', 'mesh', 'resync', 'eu');
    is($code, 0, 'mesh resync repairs it') or diag($json);
    is(
        one(
            $us,
            q{select count(*) from sports.sport where origin_unit = 'eu'
                and name in ('Twice', 'Behind')}
        ),
        2,
        'all rows are here'
    );
    ok(wait_until(sub { (ctl('us', 'mesh', 'status'))[0] == 0 }, 20), 'and all is well');
    };

subtest 'status shows what waits in the inbox, and fails when that is too long' => sub {
    my $stop = $us->clone;
    $stop->do(q{select pg_advisory_lock(hashtext('punit.work_off'))});
    $stop->do(
        q{insert into punit.inbox (class, origin_unit, seq, came_at)
        values (1, 'eu', -1, now() - interval '50 s'), (3, 'eu', -1, now() - interval '70 s')}
    );
    my ($code, $json) = ctl('us', 'status', '--json');
    is($code, 1, 'the exit code says so');
    is_deeply(
        [
            map { "$_->{class} $_->{origin} $_->{messages} " . ($_->{late} ? 'late' : 'good') }
                @{ decode_json($json)->{inbox} }
        ],
        ['1 eu 1 good', '3 eu 1 late'],
        'by class and origin'
    );
    like(
        (ctl('us', 'status'))[1], qr/^inbox +class 3 of eu: 1 messages, .* s: late$/m,
        'for people too'
    );
    $stop->disconnect;
    ok(
        wait_until(sub { !@{ decode_json((ctl('us', 'status', '--json'))[1])->{inbox} } }, 20),
        'and when they had their turn, they are gone'
    );
};

subtest 'a message that fails is shown by status until it is dealt with' => sub {
    $eu->do(q{select punit.send('us', 'no-such-kind', null)});
    my $said;
    ok(
        wait_until(
            sub {
                my ($code, $json) = ctl('us', 'status', '--json'); $said = decode_json($json);
                $code == 1 && ($said->{messages}{failing} // 0) == 1
            },
            10
        ),
        'failing'
    );
    like((ctl('us', 'status'))[1], qr/^messages .*failing 1/m, 'for people too');
    $us->do(q{update punit.inbox_late set given_up = '{}'});
    ok(
        wait_until(
            sub {
                my ($code, $json) = ctl('us', 'status', '--json'); $code == 1
                    && decode_json($json)->{messages}{given_up}
            },
            5
        ),
        'given up'
    );
    $eu->do(q{delete from punit.outbox where kind = 'no-such-kind'});
    ok(
        wait_until(
            sub { !one($us, q{select count(*) from punit.outbox where kind = 'no-such-kind'}) }, 5
        ),
        'taken back'
    );
    $us->do('delete from punit.inbox_late');
    ok(wait_until(sub { (ctl('us', 'status'))[0] == 0 }, 10), 'and all is well')
        or diag((ctl('us', 'status'))[1]);
};

subtest
    'units edit different rows at the same time, each its own and each the other\'s, and agree' =>
    sub {
    my %token;
    for my $unit ('eu', 'us') {
        my $in = { email => "coach\@$unit.example.org", password => 'correct horse battery' };
        my $id = $units->http($unit, POST => '/auth/register', undef, { %$in, name => 'Coach' })
            ->{json}{user_id};
        $units->dbh($unit)->do('select auth.grant_role(?, ?)', undef, $id, 'coach');
        $token{$unit} =
            $units->http($unit, POST => '/auth/login', undef, $in)->{json}{access_token};
    }
    my %body = (level => 'beginner', category => 'strength');
    my @rows = map {
        my $unit = $_;
        map {
            $units->http($unit, POST => '/training/exercises', $token{$unit},
                { %body, name => "$unit $_" })->{json}{id}
        } 1 .. 3
    } 'eu', 'us';
    ok(
        wait_until(
            sub {
                !grep {
                    my $id = $_; grep {
                        $units->http($_, GET => "/training/exercises/$id", $token{$_})->{status}
                            != 200
                    } 'eu', 'us'
                } @rows
            },
            10
        ),
        'rows of both at both'
    );
    my @children;
    for my $unit ('eu', 'us') {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $bad = 0;
            for my $round (1 .. 5) {
                for my $i (0 .. $#rows) {
                    # each row has one editor, every second of them one abroad
                    next if ($i % 2 ? 'us' : 'eu') ne $unit;
                    my $a =
                        $units->http($unit, PUT => "/training/exercises/$rows[$i]", $token{$unit},
                        { %body, name => "row $i round $round" });
                    my $author = $i < 3 ? 'eu' : 'us';
                    $bad++ if $a->{status} != 200 || $a->{headers}{'punit-unit'} ne $author;
                }
            }
            POSIX::_exit($bad ? 1 : 0);
        }
        push @children, $pid;
    }
    my $bad = 0;
    for (@children) { waitpid $_, 0; $bad++ if $? }
    is($bad, 0, 'each edit is answered 200 by the row\'s author');
    for my $unit ('eu', 'us') {
        ok(
            wait_until(
                sub {
                    !grep {
                        $units->http($unit, GET => "/training/exercises/$rows[$_]", $token{$unit})
                            ->{json}{name} ne "row $_ round 5"
                    } 0 .. $#rows
                },
                5
            ),
            "$unit answers the last of each"
        );
    }
    is_deeply(
        $us->selectall_arrayref(q{select * from training.exercise order by origin_unit, id}),
        $eu->selectall_arrayref(q{select * from training.exercise order by origin_unit, id}),
        'both have the same rows'
    );
    $all = one($eu, q{select count(*) from training.exercise where origin_unit = 'eu'});
    };

# ---- a peer away for longer than the slot keeps for it
$eu->do(q{alter system set max_slot_wal_keep_size = '1MB'});
$eu->do('select pg_reload_conf()');
$units->process('us', 'postgres', 'down');
ok(
    wait_until(
        sub {
            !one($eu,
                q{select count(*) from pg_replication_slots where slot_name = 'punit_to_us'
                    and active}
            )
        },
        30
    ),
    'a peer that is away leaves its slot'
);
$eu->do(
    q{update training.exercise set name = name || '!' where id = (select min(id::text)::uuid
        from training.exercise where origin_unit = 'eu')}
);
ok(
    wait_until(
        sub {
            $eu->do('select pg_logical_emit_message(true, ?, ?)', undef, 'filler', 'x');
            $eu->do('select pg_switch_wal()');
            $eu->do('checkpoint');
            (
                one(
                    $eu,
                    q{select wal_status from pg_replication_slots where slot_name = 'punit_to_us'}
                ) // ''
            ) eq 'lost'
        },
        30
    ),
    'which PostgreSQL gives up once it keeps too much'
);
($status, $output) = ctl('eu', 'mesh', 'status');
ok($status == 1 && $output =~ /^us .*\blost\b/m, 'mesh status at eu shows the lost slot')
    or diag($output);
is((ctl('eu', 'status'))[0], 1, 'status too');
$eu->do('alter system reset max_slot_wal_keep_size');
$eu->do('select pg_reload_conf()');
$units->process('us', 'postgres', 'up');
ok(back('us'), 'us is back');
$us = $units->dbh('us');
my $own = one($us, q{select count(*) from sports.sport where origin_unit = 'us'});
my $changed = one($eu, q{select id from training.exercise where name like '%!'});
($status, $output) = ctl('us', 'mesh', 'status');
is($status, 1, 'mesh status at us shows that nothing comes') or diag($output);
($status, $output) = ctl('us', 'mesh', 'resync', 'eu');
is($status, 0, 'mesh resync repairs it') or diag($output);
like(one($us, 'select name from training.exercise where id = ?', $changed), qr/!$/,
    'the change it missed is there');
is(one($us, q{select count(*) from training.exercise where origin_unit = 'eu'}), $all,
    'every row is there once');
is(one($us, q{select count(*) from sports.sport where origin_unit = 'us'}), $own,
    'and its own rows were left alone');
ok(wait_until(sub { (ctl('us', 'mesh', 'status'))[0] == 0 }, 20), 'all is well again')
    or diag((ctl('us', 'mesh', 'status'))[1]);

($status, $output) = ctl('us', 'mesh', 'resync', 'eu', '--json');
is_deeply(
    eval { JSON::PP::decode_json($output) },
    { unit => 'us', peer => 'eu', copied => JSON::PP::true() },
    'mesh resync --json says so, and nothing else'
) or diag($output);
is(one($us, q{select count(*) from training.exercise where origin_unit = 'eu'}), $all,
    'a peer may be copied again at any time');
ok(wait_until(sub { (ctl('us', 'mesh', 'status'))[0] == 0 }, 20), 'and all is well then');

($status, $output) = ctl('us', 'mesh', 'resync', 'ap');
ok($status == 1 && $output =~ /no peer ap/, 'an id of no peer is refused');
($status, $output) = ctl('us', 'mesh', 'join');
ok($status == 0 && $output =~ /refreshed/, 'joining again refreshes') or diag($output);

# ---- keys
($status, $output) = ctl('eu', 'keys', 'rotate');
ok($status == 1 && $output =~ /not held yet by us/,
    'a new key does not sign before the others hold it')
    or diag($output);
ok(!-e $units->dir . '/eu/private/eu-2.ES256.key.pem', 'it is not where the auth worker reads');
ok(wait_until(sub { one($us, q{select count(*) from punit.unit_key where kid = 'eu-2'}) }, 5),
    'its public half travels');
($status, $output) = ctl('us', 'keys', 'sync');
ok($status == 0 && -s $units->dir . '/us/keys/eu-2.ES256.pem', 'us takes it over') or diag($output);
ok(
    wait_until(
        sub {
            one($eu,
                q{select count(*) from punit.unit_key_held where kid = 'eu-2'
                    and origin_unit = 'us'}
            )
        },
        5
    ),
    'eu hears of that'
);
($status, $output) = ctl('eu', 'keys', 'rotate');
ok($status == 0 && -s $units->dir . '/eu/private/eu-2.ES256.key.pem', 'then it signs')
    or diag($output);
my $email = 'rotated@example.org';
my $answer;
ok(
    wait_until(
        sub {
            $answer = $units->http('eu', POST => '/auth/register', undef,
                { email => $email, password => 'correct horse battery', name => 'R' });
            $answer->{status} == 201
        },
        10
    ),
    'somebody registers'
) or diag($answer->{content});
my $token = $answer->{json}{access_token};
is(decode_json(decode_base64url((split /\./, $token)[0]))->{kid}, 'eu-2',
    'the token is signed by the new key');
is($units->http('us', GET => '/profile', $token)->{status}, 200, 'which us takes at once');

done_testing();
