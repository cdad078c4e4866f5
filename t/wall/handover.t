# A hand-over from a unit that was taken over: it brings rows of that user and of nobody else, at
# versions and epochs that the protocol can make.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256);
use MIME::Base64 qw(encode_base64url);
use Punit::Rogue;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(env => { PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '0s' });
my $rogue = Punit::Rogue->new($units, 'us');
my $huge = 4611686018427387904;

my $victim = Punit::User->register($units, 'eu');
my $of_eu = $victim->id;

# What a session of the victim looks like, with a refresh token that the attacker knows.
my ($family, $rest) = (("\1" x 32), ("\2" x 32));
my $session = '11111111-1111-4111-8111-111111111111';
$rogue->dbh->do('set session_replication_role = replica');
$rogue->dbh->do(
    q{insert into auth.session (user_id, id, ver, expires_at, jti, jti_exp)
        values (?, ?, 1, now() + interval '20 days', '{}', '{}')}, undef, $of_eu, $session
);
$rogue->dbh->do(
    q{insert into auth.refresh (user_id, family, session_id, ver, current)
        values (?, decode(?, 'hex'), ?, 1, array[decode(?, 'hex')])}, undef,
    $of_eu, unpack('H*', sha256($family)), $session, unpack('H*', sha256("$family$rest"))
);
$rogue->dbh->do('set session_replication_role = origin');

# All rows of the victim at eu, as text.
sub rows {
    return join "\n", map {
        my $tab = $_;
        @{ $units->dbh('eu')->selectcol_arrayref(
                "select t::text from $tab t where user_id = ? order by 1", undef, $of_eu) }
        } 'punit.own', 'punit.tomb', 'punit.dedup',
        @{ $units->dbh('eu')->selectcol_arrayref('select tab from punit.user_table order by 1') };
}

my $before = rows();

# The rogue's functions until the code has run: [signature, text, the text in its place]...
sub with_lies {
    my ($lies, $code) = @_;
    my @truth;
    for my $lie (@$lies) {
        my ($name, $from, $to) = @$lie;
        my $text = $units->one('us', 'select pg_get_functiondef(?::regproc)', $name);
        push @truth, $text;
        (my $lied = $text) =~ s/\Q$from\E/$to/ or die "$name has no '$from'";
        $rogue->dbh->do($lied);
    }
    $code->();
    $rogue->dbh->do($_) for reverse @truth;
    return;
}

# PULL and its COPYs give the victim's rows.
my @copies_of_victim = (['punit.pull', 'p_user::text, true', "'$of_eu', true"]);

# FENCE's answer has the victim's rows beside the user's own.
my @delta_with_victim = (
    [
        'punit.pull', 'coalesce(x.lines, \'{}\')',
        "(select jsonb_object_agg(k, coalesce(x.lines::jsonb -> k, '[]')
            || coalesce(y.lines::jsonb -> k, '[]'))
            from punit.user_delta('$of_eu', -1) y,
            jsonb_object_keys(coalesce(x.lines::jsonb, '{}') || y.lines::jsonb) k)"
    ]);

sub error_of {
    my ($user) = @_;
    return $units->one(
        'eu',
        'select error from punit.move where user_id = ? and error is not null
            order by started_at desc limit 1', $user->id
    ) // '';
}

sub nothing_came {
    my ($user, $epoch) = @_;
    is rows(), $before, 'the other user\'s rows at eu are as they were';
    isnt $units->one('eu', 'select state from punit.own where user_id = ?', $user->id), 'OWNED',
        'the user has not come to eu';
    ok wait_until(
        sub {
            $units->one('us', 'select state from punit.own where user_id = ?', $user->id) eq
                'OWNED'
        },
        20
        ),
        'and is owned by us';
    return;
}

my $differ = qr/FOREIGN \d+ rows are of another user .*rows with sum \S+ here, .* there/;

subtest 'rows of another user in the answer of FENCE' => sub {
    my $user = Punit::User->register($units, 'us');
    with_lies \@delta_with_victim, sub {
        $rogue->is_refused(
            'eu', 'move',
            'foreign-row',
            'refused, counted and logged',
            sub { $units->punitctl('eu', 'move', $user->id, '--to', 'eu') });
        ok wait_until(sub { error_of($user) =~ $differ }, 5),
            'the record of the move has both digests';
        my (undef, $told) = $units->punitctl('eu', 'moves', '--user', $user->id);
        like $told, qr/FOREIGN/, 'and punitctl moves shows why';
        like $units->log_text('eu', 'mover'), qr/move-aborted.*FOREIGN/, 'the mover logs it';
        nothing_came($user);
    };
    my $token = encode_base64url("$family$rest");
    is $units->http('eu', POST => '/auth/refresh', undef, { refresh_token => $token })->{status},
        401, 'the token that came along is worth nothing'
        or diag $token;
    ok $user->cross('eu'), 'once the rogue is honest again, the user moves';
};

subtest 'rows of another user in the COPYs of a first PULL' => sub {
    my $user = Punit::User->register($units, 'us');
    with_lies \@copies_of_victim, sub {
        $rogue->is_refused(
            'eu', 'move',
            'foreign-row',
            'refused, counted and logged',
            sub { $user->ask('eu', GET => '/profile') });
        ok wait_until(sub { error_of($user) =~ $differ }, 5), 'the record has both digests';
        is $units->one('eu',
            'select result from punit.move where user_id = ? and error is not null limit 1',
            $user->id), 'aborted', 'and the move ended';
        like $units->log_text('eu', 'mover'), qr/foreign-rows/, 'the mover logs it';
        nothing_came($user);
    };
    ok $user->cross('eu'), 'once the rogue is honest again, the user moves';
};

subtest 'rows of another user in the COPYs of a later PULL' => sub {
    my $user = Punit::User->register($units, 'eu');
    $user->cross('us');
    $user->ask('us', POST => '/social/posts', { text => "post $_" }) for 1 .. 3;
    with_lies \@copies_of_victim, sub {
        $rogue->is_refused(
            'eu', 'move',
            'foreign-row',
            'refused, counted and logged',
            # one request makes the copy warm, and no more
            sub { $user->ask('eu', GET => '/profile') });
        nothing_came($user);
    };
    ok $user->cross('eu'), 'once the rogue is honest again, the user moves';
    is $units->one('eu', 'select count(*) from social.post where user_id = ?', $user->id), 3,
        'with all rows';
};

subtest 'a tombstone with the key of another user\'s row deletes nothing of that user' => sub {
    my $post = $victim->ask('eu', POST => '/social/posts', { text => 'mine' })->{json}{id};
    ok wait_until(sub { !$units->one('eu', 'select count(*) from punit.outbox') }, 10),
        'the post is published';
    $before = rows();
    my $user = Punit::User->register($units, 'us');
    $rogue->dbh->do(
        q{insert into punit.tomb (user_id, ver, tab, pk)
            select user_id, ver, 'social.post', jsonb_build_array(?::text) from punit.own
            where user_id = ?}, undef, $post, $user->id
    );
    ok $user->cross('eu'), 'the user moves';
    is rows(), $before, 'the post is there';
};

subtest 'a unit that never owned a user hands the user over to nobody' => sub {
    my $user = Punit::User->register($units, 'ap');
    for my $unit (qw(eu us)) {
        ok wait_until(
            sub { $units->one($unit, 'select unit from punit.owner_of(?)', $user->id) }, 10);
    }
    # us makes up a whole user
    $rogue->dbh->do(
        q{insert into punit.own (user_id, state, epoch, ver, fork)
            values (?, 'OWNED', 2, 7, gen_random_uuid())
        on conflict (user_id) do update set state = 'OWNED', epoch = 2, ver = 7,
            fork = excluded.fork, owner_hint = null}, undef, $user->id
    );
    $rogue->dbh->do(q{insert into punit.home values ('us', ?, 2)}, undef, $user->id);
    ok wait_until(
        sub { $units->one('eu', 'select unit from punit.owner_of(?)', $user->id) eq 'us' }, 10),
        'the directory of eu names us';
    $rogue->is_refused(
        'eu', 'move',
        'not-the-owner',
        'refused, counted and logged',
        sub { $units->punitctl('eu', 'move', $user->id, '--to', 'eu') });
    isnt $units->one('eu', 'select state from punit.own where user_id = ?', $user->id) // '',
        'OWNED', 'the user has not come to eu';
    is $units->one('us', 'select state from punit.own where user_id = ?', $user->id), 'OWNED',
        'us was not even asked';
    like error_of($user), qr/OWNER ap says that it owns/, 'the record says why';
    is $user->ask('ap', GET => '/profile')->{status}, 200, 'ap serves the user';
    $rogue->dbh->do('delete from punit.home where user_id = ?', undef, $user->id);
    ok wait_until(
        sub {
            ($units->one('eu', 'select state from punit.own where user_id = ?', $user->id) // '')
                eq 'OWNED'
        },
        40
        ),
        'without the lie, the move goes on from the owner';
    is $units->one('eu', 'select epoch from punit.own where user_id = ?', $user->id), 2,
        'at the epoch after its own';
};

for my $lie (
    [
        'bound', 'a ver beyond the bound', [['punit.pull', 'ver := o.ver;', "ver := $huge + 1;"]]
    ],
    [
        'foreign-row', 'rows of a ver that the user does not have',
        [['punit.pull', 'ver := o.ver;', 'ver := 0;']]
    ],
    [
        'epoch', 'an epoch that no hand-over leads to',
        [
            ['punit.pull', 'epoch := o.epoch;', "epoch := $huge;"],
            ['punit.fence', 'o.epoch <> p_epoch', 'true'],
            ['punit.fence', 'epoch := o.epoch;', "epoch := $huge;"]
        ]
    ])
{
    my ($rule, $what, $lies) = @$lie;
    subtest $what => sub {
        my $user = Punit::User->register($units, 'us');
        $user->ask('us', POST => '/social/posts', { text => 'one more' });
        with_lies $lies, sub {
            $rogue->is_refused(
                'eu', 'move', $rule,
                'refused, counted and logged',
                sub { $user->ask('eu', GET => '/profile') for 1 .. 3 });
            isnt $units->one('eu', 'select state from punit.own where user_id = ?', $user->id)
                // '', 'OWNED', 'the user has not come to eu';
        };
        is $units->one('eu', 'select max(epoch) from punit.own') < 100, 1, 'no epoch jumped';
        ok $user->cross('eu'), 'once the rogue is honest again, the user moves';
    };
}

subtest 'FENCED at another epoch than FENCE named activates at the one that was named' => sub {
    my $user = Punit::User->register($units, 'us');
    # repeated FENCE is answered with the epoch of the row
    with_lies [['punit.fence', "result := 'FENCED';\n        end if;",
            "result := 'FENCED'; epoch := $huge;\n        end if;"]], sub {
        $units->punitctl('eu', 'move', $user->id, '--to', 'eu');
        ok wait_until(
            sub {
                ($units->one('eu', 'select state from punit.own where user_id = ?', $user->id)
                    // '') eq 'OWNED'
            },
            10
            ),
            'owned by eu';
        is $units->one('eu', 'select epoch from punit.own where user_id = ?', $user->id), 2,
            'at epoch 2';
    };
};

done_testing;
