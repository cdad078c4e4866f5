# Messages from a unit that was taken over: it writes what it likes into its own outbox. The others
# take what a unit may say, and their own rows decide.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(encode_json);
use Punit::Rogue;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(env => { PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '0s' });
my $rogue = Punit::Rogue->new($units, 'us');
my @others = qw(eu ap);

# Writes a message of us; gives its number.
sub send_message {
    my ($to, $kind, $about, $users, $payload) = @_;
    return ($rogue->dbh->selectrow_array(
        'insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs, payload)
            values (?, ?, ?, ?, ?, ?, ?) returning seq', undef,
        'us', $to, $kind, $about, $users, $users && [map { 1 } @$users], encode_json($payload)))[0];
}

# A message that must be refused: counted, logged, and acknowledged to its sender with the rule.
sub refused {
    my ($rule, $name, @message) = @_;
    my $seq;
    $rogue->is_refused($message[0], 'message', $rule, $name,
        sub { $seq = send_message(@message) });
    ok wait_until(
        sub {
            !$units->one('us', q{select count(*) from punit.outbox where seq = ?
                and origin_unit = 'us'}, $seq)
        },
        10
        ),
        'and its sender is rid of it';
    return;
}

sub state_at {
    my ($unit, $user) = @_;
    return $units->one($unit, q{select state || ' ' || epoch from punit.own where user_id = ?},
        $user->id) // '-';
}
sub nobody { return $units->one('eu', 'select gen_random_uuid()') }
sub feed { my ($user, $unit) = @_; return join '|', reverse $user->posts($unit) }

sub known {
    my ($user) = @_;
    for my $unit (qw(eu us ap)) {
        wait_until(sub { $units->one($unit, 'select unit from punit.owner_of(?)', $user->id) }, 10);
    }
    return $user;
}

sub follows {
    my ($reader, $at, $author, $home) = @_;
    is $reader->ask($at, PUT => '/social/following/' . $author->id)->{status}, 204, 'follows';
    ok wait_until(
        sub {
            $units->one($home,
                'select count(*) from social.follower where user_id = ? and follower_id = ?',
                $author->id, $reader->id)
        },
        10
        ),
        'and the author hears of it';
    return;
}

my $of_eu = known(Punit::User->register($units, 'eu'));
my $of_ap = known(Punit::User->register($units, 'ap'));
my $of_us = known(Punit::User->register($units, 'us'));

subtest 'erase: not of a user who is owned there, at whatever epoch' => sub {
    for my $epoch (0, 1, 2, 4611686018427387904) {
        refused('not-the-owner', "at epoch $epoch", 'eu', 'erase', $of_eu->id, undef,
            { epoch => $epoch });
    }
    is state_at(eu => $of_eu), 'OWNED 1', 'the user is there';
    is $of_eu->ask('eu', GET => '/profile')->{status}, 200, 'and served';
};

subtest 'erase: not of a user who came back, by the unit that owned the user before' => sub {
    my $user = known(Punit::User->register($units, 'eu'));
    $user->cross('us');
    $user->cross('eu');
    is state_at(eu => $user), 'OWNED 3', 'the user is back';
    for my $epoch (2, 3, 4) {
        refused('erase-owned-here', "at epoch $epoch", 'eu', 'erase', $user->id, undef,
            { epoch => $epoch });
    }
    is state_at(eu => $user), 'OWNED 3', 'and stays';
};

subtest 'erase: not at an epoch of another term' => sub {
    my $user = known(Punit::User->register($units, 'us'));
    $user->cross('ap');
    ok wait_until(sub { $units->one('eu', 'select epoch from punit.owner_of(?)', $user->id) == 2 },
        10), 'eu knows that ap owns the user now';
    refused('erase-epoch', 'by the owner before', 'eu', 'erase', $user->id, undef, { epoch => 1 });
    refused('erase-epoch', 'at an epoch that us never had',
        'eu', 'erase', $user->id, undef, { epoch => 3 });
    unlike state_at(eu => $user), qr/ERASED/, 'the user is not erased';
};

subtest 'erase: not of a user of a third unit' => sub {
    refused('not-the-owner', 'refused at eu', 'eu', 'erase', $of_ap->id, undef, { epoch => 1 });
    refused('not-the-owner', 'nor at an epoch far away',
        'eu', 'erase', $of_ap->id, undef, { epoch => 1000 });
    is state_at(eu => $of_ap), '-', 'eu has no row of the user';
    is $of_ap->ask('eu', GET => '/profile')->{status}, 200, 'and the user is served by way of eu';
};

subtest 'erase: not of somebody of whom nobody has heard' => sub {
    my $nobody = nobody();
    refused('not-the-owner', 'refused', 'eu', 'erase', $nobody, undef, { epoch => 1 });
    is $units->one('eu', 'select count(*) from punit.own where user_id = ?', $nobody), 0,
        'no row is made';
};

subtest 'erase: a unit that claims a user of a third unit for its own erases nothing' => sub {
    my $user = known(Punit::User->register($units, 'ap'));
    $user->ask('eu', GET => '/profile');
    ok wait_until(sub { state_at(eu => $user) eq 'COPY 0' }, 10), 'eu has a copy';
    $rogue->dbh->do('insert into punit.home (origin_unit, user_id, epoch) values (?, ?, 2)',
        undef, 'us', $user->id);
    send_message('eu', 'erase', $user->id, undef, { epoch => 2 });
    send_message('ap', 'erase', $user->id, undef, { epoch => 2 });
    ok wait_until(
        sub { $rogue->refused('ap', 'message') + $rogue->refused('ap', 'mesh') }, 10),
        'the owner refuses';
    is state_at(ap => $user), 'OWNED 1', 'and owns the user';
    ok wait_until(
        sub {
            $units->one('eu', q{select count(*) from punit.inbox_late where user_id = ?
                and kind = 'erase'}, $user->id) || $rogue->refused('eu', 'mesh')
        },
        10
        ),
        'eu waits for the owner\'s word';
    unlike state_at(eu => $user), qr/ERASED/, 'and has not erased the user';
    is $user->ask('ap', GET => '/profile')->{status}, 200, 'and the user is served';
    $rogue->dbh->do('delete from punit.outbox where user_id = ?', undef, $user->id);
    $rogue->dbh->do('delete from punit.home where user_id = ?', undef, $user->id);
};

subtest 'forget is said by a unit to itself alone' => sub {
    refused('self-only', 'refused', 'eu', 'forget', $of_ap->id, undef, {});
};

subtest 'auth-forget: frees no other user from the limit of logins' => sub {
    my $who = 'user ' . $of_eu->id;
    $units->dbh('eu')->do(
        'insert into auth.attempt select (jsonb_populate_record(null::auth.attempt, ?)).*',
        undef, encode_json(attempt($who)));
    refused('not-the-owner', 'about the user: refused',
        'eu', 'auth-forget', $of_eu->id, undef, { who => [$who] });
    my $n = send_message('eu', 'auth-forget', $of_us->id, undef, { who => [$who] });
    ok wait_until(
        sub { !$units->one('us', 'select count(*) from punit.outbox where seq = ?', $n) }, 10),
        'about a user of its own: handled';
    is $units->one('eu', 'select count(*) from auth.attempt where who = ?', $who), 1,
        'the attempts of the other user are still there';
};

sub attempt {
    my ($who) = @_;
    my %row = (who => $who);
    my $columns = $units->dbh('eu')->selectall_arrayref(
        q{select a.attname, format_type(a.atttypid, null) from pg_attribute a
            where a.attrelid = 'auth.attempt'::regclass and a.attnum > 0 and a.attnotnull});
    for my $c (@$columns) {
        next if $c->[0] eq 'who';
        $row{ $c->[0] } = $c->[1] =~ /timestamp/ ? '2099-01-01T00:00:00Z' : 1;
    }
    return \%row;
}

my $reader = known(Punit::User->register($units, 'eu'));

subtest 'a post is delivered by its author\'s unit' => sub {
    follows($reader, 'eu', $of_ap, 'ap');
    follows($reader, 'eu', $of_us, 'us');
    my $post = { post_id => nobody(), ver => 5, text => 'forged', likes => 0,
        created_at => '2026-11-30T00:00:00Z' };
    refused('not-the-owner', 'in the name of another unit\'s user: refused',
        'eu', 'social-post', $of_ap->id, [$reader->id], $post);
    refused('not-the-owner', 'in the name of a user there',
        'eu', 'social-post', $of_eu->id, [$reader->id], $post);
    refused('not-the-owner', 'passed on from itself',
        'eu', 'social-post', $of_ap->id, [$reader->id], { %$post, punit_first => 'us' });
    refused('passed-on', 'as if passed on from the author\'s unit',
        'eu', 'social-post', $of_ap->id, [$reader->id], { %$post, punit_first => 'ap' });
    refused('passed-on', 'as if passed on from there',
        'eu', 'social-post', $of_eu->id, [$reader->id], { %$post, punit_first => 'eu' });
    is feed($reader, 'eu'), '', 'the feed is empty';
};

subtest 'a message for users on the way keeps the rights of its sender' => sub {
    my $somebody = nobody();
    my $post = { post_id => nobody(), ver => 5, text => 'forged', likes => 0 };
    my $n = send_message('eu', 'social-post', $of_us->id, [$somebody], $post);
    ok wait_until(
        sub { $units->one('eu', q{select count(*) from punit.outbox where origin_unit = 'eu'}) },
        10),
        'eu keeps it';
    is $units->one(
        'eu', q{select payload ->> 'punit_first' from punit.outbox where origin_unit = 'eu'}),
        'us', 'in the name of us';
    $units->dbh('eu')->do(
        q{delete from punit.outbox where origin_unit = 'eu' and target_unit = 'eu'});
};

subtest 'a user of us cannot change the posts of another author in a feed' => sub {
    my $id = $of_ap->ask('ap', POST => '/social/posts', { text => 'true' })->{json}{id};
    ok wait_until(sub { feed($reader, 'eu') eq 'true' }, 10), 'a post of ap';
    my $n = send_message('eu', 'social-post', $of_us->id, [$reader->id],
        { post_id => $id, ver => 1000, text => 'changed', likes => 9 });
    ok wait_until(
        sub { !$units->one('us', 'select count(*) from punit.outbox where seq = ?', $n) }, 10),
        'the message is handled';
    is feed($reader, 'eu'), 'true', 'the post is as it was';
    send_message('eu', 'social-post', $of_us->id, [$reader->id],
        { post_id => nobody(), ver => 1000, text => 'own', likes => 9 });
    ok wait_until(sub { feed($reader, 'eu') =~ /own/ }, 10),
        'what its own users say is delivered';
};

subtest 'follows and likes are told by the unit of the one who follows or likes' => sub {
    my $id = $of_eu->ask('eu', POST => '/social/posts', { text => 'mine' })->{json}{id};
    refused('not-the-owner', 'a follow in the name of another unit\'s user',
        'eu', 'social-follow', $of_ap->id, [$of_eu->id],
        { since => '2026-11-30T00:00:00Z', ver => 9 });
    refused('not-the-owner', 'a like in the name of another unit\'s user',
        'eu', 'social-like', $of_ap->id, [$of_eu->id], { post_id => $id, likes => JSON::PP::true,
            ver => 9 });
    is $units->one('eu', 'select count(*) from social.follower where user_id = ?', $of_eu->id), 0,
        'no follower';
    is $units->one('eu', 'select likes from social.post where id = ?', $id), 0, 'no like';
};

subtest 'messages have bounds' => sub {
    refused('size', 'too many users', 'eu', 'social-publish', $of_us->id,
        [map { nobody() } 1 .. 501], {});
    refused('size', 'too much text', 'eu', 'social-publish', $of_us->id, undef,
        { text => join '', map { chr(33 + rand 90) } 1 .. 200_000 });
    my $seq;
    $rogue->is_refused(
        'eu', 'message', 'epoch',
        'an epoch for which the message would wait for ever',
        sub {
            $rogue->dbh->do(
                q{insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs,
                    payload) values ('us', 'eu', 'social-publish', ?, array[?::uuid],
                    '{4611686018427387904}', '{}')}, undef, $of_us->id, $of_ap->id);
        });
};

subtest 'a handler is a function that exists, and never text' => sub {
    my $db = $units->dbh('eu');
    for my $table (qw(punit.message_handler punit.forgetter punit.exporter)) {
        ok !eval {
            local $db->{PrintError} = 0;
            $db->do("update $table set fn = fn || '(null); select pg_sleep(0); --'");
            1;
        },
            "$table takes names only";
    }
    ok !eval {
        local $db->{PrintError} = 0;
        $db->do(q{select punit.registered('1; select pg_sleep', '(uuid)')});
        1;
    },
        'and only a function\'s name is called';
};

subtest 'after all this ordinary messages pass, and an owner erases its users everywhere' => sub {
    my $user = known(Punit::User->register($units, 'eu'));
    $user->cross('us');
    $user->cross('ap');
    is $user->ask('ap', DELETE => '/profile')->{status}, 204, 'erased at the owner';
    for my $unit (qw(eu us ap)) {
        ok wait_until(sub { state_at($unit => $user) =~ /ERASED/ }, 15), "and at $unit";
    }
    ok wait_until(
        sub {
            !grep { $units->one($_, 'select count(*) from punit.outbox') } qw(eu ap)
        },
        15
        ),
        'nothing is left under way';
    is $units->one('eu', 'select count(*) from punit.former_home where user_id = ?', $user->id),
        0, 'and no former home';
};

done_testing;
