#!/usr/bin/perl
# What a unit that was taken over says by the mesh: the others write nothing of it that is not its
# own.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Punit::Rogue;
use Punit::Units;
use Punit::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $units = Punit::Units->start(env => { PUNIT_MOVE_AFTER => 64 });
my $rogue = Punit::Rogue->new($units, 'us');
my $us = $rogue->dbh;
my @others = ('eu', 'ap');
my @plan = @{ $us->selectcol_arrayref(q{select tab::text from punit.mesh_plan('us', 'eu')}) };
my $password = 'correct horse battery';

sub ctl { my ($unit, @arguments) = @_; return $units->punitctl($unit, @arguments) }

# As the rogue: no guard of its own stops it.
sub evil {
    my ($sql, @values) = @_;
    $us->do('set session_replication_role = replica');
    $us->do($sql, undef, @values);
    $us->do('set session_replication_role = origin');
    return;
}

# Both others refuse it, by one rule or by a rule each, and each counts and logs it.
sub refused {
    my ($rule, $name, $attempt) = @_;
    my %rule = ref $rule ? %$rule : map { $_ => $rule } @others;
    my @units = sort keys %rule;
    # what eu and ap have told each other has arrived
    (ctl($_, 'mesh', 'wait'))[0] == 0 or die "$_: mesh wait" for @others;
    my %before = map { $_ => state($_) } @units;
    my %noted = map { $_ => $rogue->noting($_, 'mesh', $rule{$_}) } @units;
    $attempt->();
    for my $unit (@units) {
        ok($noted{$unit}->(), "$unit refuses $name ($rule{$unit})");
        is(state($unit), $before{$unit}, "$unit: nothing is changed that is not of us");
    }
    return;
}

# A digest of all that the rogue has no right to change.
sub state {
    my ($unit) = @_;
    return join ' ', map {
        my ($table, $where) = @$_;
        $units->one(
            $unit,
            "select md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from $table t"
                . " where $where"
        )
        }
        map({ [$_, $_ =~ /outbox_ack/ ? q{target_unit <> 'us'} : q{origin_unit <> 'us'}] } @plan),
        map { [$_, 'true'] } 'auth.credential', 'auth.bucket', 'punit.me', 'punit.peer',
        'punit.message_handler';
}

my %name;

sub register {
    my ($unit, $name) = @_;
    my $answer = $units->http(
        $unit, POST => '/auth/register', undef,
        { email => "$name\@example.org", password => $password, name => $name });
    $answer->{status} == 201 or die "$name: $answer->{content}";
    my $id = $answer->{json}{user_id};
    $name{$id} = $name;
    return $id;
}

sub login {
    my ($unit, $id) = @_;
    return $units->http(
        $unit, POST => '/auth/login', undef,
        { email => "$name{$id}\@example.org", password => $password });
}

# ---- users, and names of which each unit is the arbiter
my @users = map { register('eu', "ada-$_") } 1 .. 30;
my $ann = register('ap', 'ann');
my $erased = register('eu', 'eve');
my $everywhere = sub {
    !grep { $units->one($_, 'select count(*) from auth.name') < 32 } 'eu', 'us', 'ap'
};
ok(wait_until($everywhere, 20), 'names are everywhere');
my $token = login('eu', $erased)->{json}{access_token};
is($units->http('eu', DELETE => '/profile', $token)->{status}, 204, 'one user is erased');
ok(
    wait_until(
        sub {
            !grep {
                $units->one(
                    $_,
                    q{select coalesce(max(state), '') <> 'ERASED' from punit.own
                        where user_id = $1}, $erased
                    )
                    || $units->one($_, 'select count(*) from punit.outbox')
                    || $units->one($_, 'select count(*) from auth.name') != 31
            } 'eu', 'us', 'ap'
        },
        20
    ),
    'everywhere'
);
my ($ada) = @users;
my %arbiter_of = map {
    $units->one('eu', 'select auth.arbiter(n.hash) from auth.name n where n.user_id = $1', $_) => $_
} @users;
is_deeply([sort keys %arbiter_of], ['ap', 'eu', 'us'], 'names with each of the arbiters');

# ---- WALL 2, 3: no row filter
my $reference = join ', ', grep { !/outbox/ } @plan;
$us->do("alter publication punit_reference set table $reference");
$us->do("alter publication punit_messages_$_ set table punit.outbox, punit.outbox_ack")
    for @others;
my @tried;
for my $table (sort @plan) {
    # empty ones: below
    next
        if $table =~ /outbox/
        || !$us->selectrow_array(
        "select count(*) from $table where origin_unit in ('eu', 'ap')"
        );
    push @tried, $table;
    evil("create temporary table kept as select * from $table where origin_unit in ('eu', 'ap')");
    refused(
        'origin', "changes of $table",
        sub { evil("update $table set origin_unit = origin_unit where origin_unit <> 'us'") });
    refused(
        'origin', "deletions from $table",
        sub { evil("delete from $table where origin_unit <> 'us'") });
    my $columns = $us->selectrow_array(
        q{select string_agg(attname, ', ') from pg_attribute where attrelid = $1::regclass
            and attnum > 0 and not attisdropped and attgenerated = ''}, undef, $table
    );
    # A row is judged before its key, which is there.
    refused(
        'origin', "rows for $table",
        sub { evil("insert into $table ($columns) select $columns from kept") });
    evil('drop table kept');
}
cmp_ok(scalar @tried, '>=', 8, "rows of others were in @tried");
refused(
    'origin', 'the end of a key of eu',
    sub { evil(q{insert into punit.unit_key_end values ('eu', 'eu-1', now())}) });
refused(
    'origin',
    'a key in the name of eu',
    sub {
        evil(q{insert into punit.unit_key (origin_unit, kid, pem)
        select 'eu', 'eu-9', pem from punit.unit_key where origin_unit = 'us'});
    });
refused(
    'origin',
    'an erasure in the name of ap',
    sub {
        for my $unit (@others) {
            evil(
                q{insert into punit.outbox (origin_unit, target_unit, seq, kind, user_id, payload)
            overriding system value values ('ap', $1, 1000000, 'erase', $2, '{"epoch": 1}')},
                $unit, $ada
            );
        }
    });
refused(
    'origin',
    'a row that changes its author',
    sub {
        $us->do(q{insert into sports.sport (id, name, category, met)
        values (gen_random_uuid(), 'Turncoat', 'water', 8)});
        evil(q{update sports.sport set origin_unit = 'eu' where name = 'Turncoat'});
    });
is(
    $units->one('eu', q{select origin_unit from sports.sport where name = 'Turncoat'}), 'us',
    'which stays the rogue\'s'
);
refused(
    'origin',
    'a row found by another replica identity',
    sub {
        $us->do('alter table sports.sport replica identity full');
        evil(q{update sports.sport set name = name || '!' where origin_unit = 'ap'});
        evil(q{delete from sports.sport where origin_unit = 'eu'});
        $us->do('alter table sports.sport replica identity default');
    }) if $us->selectrow_array(q{select count(*) from sports.sport where origin_unit = 'eu'});

# ---- messages
refused(
    'outbox-target',
    'a message for another',
    sub {
        evil(
            q{insert into punit.outbox (origin_unit, target_unit, kind) values ('us', 'mars', 'x')}
        );
    });
evil(q{delete from punit.outbox where target_unit = 'mars'});
refused(
    'ack',
    'an acknowledgement for another',
    sub {
        evil(q{insert into punit.outbox_ack (origin_unit, target_unit, seq)
        values ('eu', 'ap', 1000000), ('ap', 'eu', 1000000)});
    });

# ---- units and keys
refused(
    { eu => 'unit' },
    'its own adoption',
    sub {
        evil(
            q{insert into punit.unit (origin_unit, id, incarnation, retired_at)
        select 'us', id, incarnation, now() from punit.unit where origin_unit = 'eu'}
        );
    });
refused(
    { eu => 'unit', ap => 'unit' },
    'a row about another that has not left',
    sub {
        evil(q{delete from punit.unit where origin_unit = 'us' and id <> 'us'});
        evil(q{insert into punit.unit (origin_unit, id, incarnation)
        values ('us', 'mars', gen_random_uuid())});
    });
refused(
    'unit',
    'a leave in a thousand years',
    sub {
        evil(q{insert into punit.unit (origin_unit, id, incarnation, retired_at)
        values ('us', 'venus', gen_random_uuid(), now() + interval '1000 years')});
    });
evil(q{delete from punit.unit where origin_unit = 'us' and id <> 'us'});
evil(q{insert into punit.unit (origin_unit, id, incarnation, retired_at)
    select 'us', id, incarnation, now() from punit.unit where origin_unit = 'ap'});
ok(
    wait_until(sub { $units->one('eu', q{select punit.adopter_of('ap') = 'us'}) }, 20),
    'eu hears that us has adopted ap'
);
is((ctl('eu', 'mesh', 'resync', 'ap'))[0], 0, 'which keeps ap from nothing');
evil(q{delete from punit.unit where origin_unit = 'us' and id <> 'us'});
$us->do(
    'alter table punit.unit_key drop constraint unit_key_check,'
        . ' drop constraint unit_key_kid_check'
);
refused(
    'key',
    'a key with a kid of ap',
    sub {
        evil(
            q{insert into punit.unit_key (origin_unit, kid, pem)
        select 'us', 'ap-9', pem from punit.unit_key where origin_unit = 'us' and kid = 'us-1'}
        );
    });
refused(
    'key',
    'a key with a path for a kid',
    sub {
        evil(q{update punit.unit_key set kid = '../../x' where kid = 'ap-9'});
        evil(q{insert into punit.unit_key (origin_unit, kid, pem) values ('us', '../x', 'pem')});
    });
refused(
    'key',
    'a key of a megabyte',
    sub {
        evil(q{insert into punit.unit_key (origin_unit, kid, pem)
        values ('us', 'us-77', repeat('x', 1000000))});
    });
refused(
    'key',
    'more keys than a unit can need',
    sub {
        evil(q{insert into punit.unit_key (origin_unit, kid, pem)
        select 'us', 'us-' || i, pem from punit.unit_key, generate_series(100, 250) i
         where origin_unit = 'us' and kid = 'us-1'});
    });
is((ctl('ap', 'keys', 'sync'))[0], 0, 'keys sync goes on');
ok(!-e $units->dir . "/ap/keys/$_.ES256.pem", "and takes no key $_") for 'ap-9', 'eu-9';
evil(q{delete from punit.unit_key where origin_unit = 'us' and kid <> 'us-1'});

# ---- WALL 5: login names
my %hash = map {
    $_ => $units->one(
        'eu', q{select encode(hash, 'hex') from auth.name where user_id = $1},
        $arbiter_of{$_})
} keys %arbiter_of;
my $thief = register('us', 'thief');
my $claim = q{insert into auth.name (origin_unit, hash, user_id, unit, claimed_at)
    values ('us', decode($1, 'hex'), $2, 'us', '2000-01-01')};
refused(
    'name-author', 'a name of which it is not the arbiter',
    sub { evil($claim, $hash{eu}, $thief) });
refused(
    'name-author',
    'a free name of which it is not the arbiter',
    sub {
        evil(
            $claim,
            $units->one(
                'eu', q{select encode(set_byte(h, 0, (select bucket from auth.bucket
        where unit = 'eu' limit 1)), 'hex') from decode(repeat('ab', 32), 'hex') h}
            ),
            $thief
        );
    });
refused(
    { eu => 'name-owned-here' },
    'the name of a user of eu, as its arbiter',
    sub {
        evil(
            q{update auth.name set user_id = $2 where hash = decode($1, 'hex')}, $hash{us},
            $thief
        );
    });
refused(
    { eu => 'name-owned-here' },
    'that such a name is free',
    sub {
        evil(
            q{delete from auth.name where origin_unit = 'us' and hash = decode($1, 'hex')},
            $hash{us});
    });
for my $arbiter (sort keys %arbiter_of) {
    is(
        login('eu', $arbiter_of{$arbiter})->{json}{user_id}, $arbiter_of{$arbiter},
        "the user logs in by the name whose arbiter is $arbiter"
    );
}

# ---- WALL 6: ended tokens
my $access = login('eu', $ada)->{json}{access_token};
my $end = q{insert into auth.ended (origin_unit, kind, subject, gen, exp)
    values ('us', 'user', $1, $2, $3)};
refused(
    'ended-exp', 'an end until 9999',
    sub { evil($end, $ada, '4611686018427387904', '9999-01-01') });
refused(
    { eu => 'ended-owned-here', ap => 'ended-gen' }, 'an end of all generations',
    sub { evil($end, $ada, '4611686018427387904', scalar gmtime(time + 600)) });
refused(
    { eu => 'ended-owned-here', ap => 'ended-not-owner' }, 'an end of a user of eu',
    sub { evil($end, $ada, 2, scalar gmtime(time + 600)) });
for my $unit (@others) {
    is(
        $units->http($unit, GET => '/profile', $access)->{status}, 200,
        "the user's token is good at $unit"
    );
    is(login($unit, $ada)->{status}, 200, "and the user logs in at $unit");
}

# ---- WALL 7: the directory
my $home = q{insert into punit.home (origin_unit, user_id, epoch) values ('us', $1, $2)
    on conflict (origin_unit, user_id) do update set epoch = excluded.epoch};
refused(
    { eu => 'home-owned-here', ap => 'home-epoch' }, 'an epoch beyond all',
    sub { evil($home, $ada, '4611686018427387904') });
refused('home-epoch', 'an epoch below all', sub { evil($home, $thief, -1) });
refused(
    { eu => 'home-owned-here' }, 'the next epoch of a user of eu',
    sub { evil($home, $users[1], 2) });
refused(
    { ap => 'home-owned-here' }, 'the present epoch of a user of ap',
    sub { evil($home, $ann, 1) });
refused('home-erased', 'an erased user', sub { evil($home, $erased, 2) });
is(login('eu', $ada)->{status}, 200, 'the user logs in');
is(login('eu', $users[1])->{status}, 200, 'and so does the other');

# ---- a flood
my $before = $rogue->refused('eu', 'mesh', 'origin');
my $lines = () = $units->log_text('eu', 'postgres') =~ /rule=origin /g;
my $start = time;
evil(q{insert into punit.home (origin_unit, user_id, epoch)
    select 'mars', gen_random_uuid(), 1 from generate_series(1, 20000)});
ok(
    wait_until(sub { $rogue->refused('eu', 'mesh', 'origin') >= $before + 20000 }, 60),
    'a flood is counted'
);
diag(sprintf '20000 rows refused in %.1f s', time - $start);
is($rogue->refused('eu', 'mesh', 'origin'), $before + 20000, 'row by row');
cmp_ok(
    scalar(() = $units->log_text('eu', 'postgres') =~ /rule=origin /g), '<', $lines + 130,
    'and fills no log'
);

# ---- the operator sees it
my ($status, $output) = ctl('eu', 'mesh', 'status', '--json');
my ($peer) = grep { $_->{peer} eq 'us' } @{ decode_json($output)->{mesh} };
is(
    $peer->{refused}, $units->one('eu', q{select sum(n) from punit.refusal where peer = 'us'}),
    'mesh status says how much was refused'
);
is($peer->{refused_rule}, 'mesh origin', 'and the last rule');
like($peer->{refused_at}, qr/^\d{4}-\d\d-\d\dT.*Z$/, 'and when');
like(
    (ctl('eu', 'mesh', 'status'))[1], qr/refused.*\nap .* 0\b.*\nus .* $peer->{refused}\b/s,
    'for people too'
);
ok(wait_until(sub { (ctl('eu', 'mesh', 'status'))[0] == 0 }, 20), 'the mesh is well all the same')
    or diag((ctl('eu', 'mesh', 'status'))[1]);
like((ctl('eu', 'status'))[1], qr/^us .* $peer->{refused}\b/m, 'status shows it');

# ---- what the rogue writes of its own still comes
$us->do(q{insert into sports.sport (id, name, category, met)
    values (gen_random_uuid(), 'Kiting', 'water', 8)});
ok(
    wait_until(
        sub {
            !grep {
                !$units->one($_, q{select count(*) from sports.sport where name = 'Kiting'})
                }
                @others
        },
        20
    ),
    'rows of its own come as before'
);
for my $unit (@others) {
    my ($other) = grep { $_ ne $unit } @others;
    is(
        $units->one($unit, 'select count(*) from punit.refusal where peer = $1', $other), 0,
        "$unit refuses nothing of $other"
    );
}

# ---- a copy
subtest 'a copy of all rows is judged too' => sub {
    my $was = state('ap');
    my $n = $rogue->refused('ap', 'mesh', 'origin');
    my ($code, $said) = ctl('ap', 'mesh', 'resync', 'us');
    is($code, 0, 'it ends well') or diag($said);
    cmp_ok($rogue->refused('ap', 'mesh', 'origin'), '>', $n, 'rows of others are refused');
    is(state('ap'), $was, 'and not written');
    is(
        $units->one('ap', q{select count(*) from sports.sport where name = 'Kiting'}), 1,
        'its own are here'
    );
};

done_testing();
