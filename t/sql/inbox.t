# The inbox: messages passed on, kept, repeated, out of order, and such as fail. The test carries
# them in place of the mesh.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Postgres;

my %pg = map {
    $_ => Punit::Postgres->new(unit => $_, settings => { log_min_messages => 'error' })->apply()
} qw(eu us ap);
$pg{ $_->[0] }->know(@pg{ @$_[1, 2] })
    for ['eu', 'us', 'ap'], ['us', 'eu', 'ap'], ['ap', 'eu', 'us'];
my %db = map { $_ => $pg{$_}->dbh } keys %pg;
$_->do('set client_min_messages = error') for values %db;
my $n = 0;

sub one {
    my ($unit, $sql, @values) = @_; return ($db{$unit}->selectrow_array($sql, undef, @values))[0]
}

sub user {
    my ($unit) = @_;
    my $id = sprintf 'd0000000-0000-4000-8000-%012d', ++$n;
    $db{$unit}->do('select punit.create_user(?)', undef, $id);
    home($unit, $id, 1, $_) for grep { $_ ne $unit } keys %db;
    return $id;
}

# What the directory of a unit says.
sub home {
    my ($unit, $id, $epoch, $at) = @_;
    $db{$at}->do(
        'insert into punit.home values (?, ?, ?) on conflict (origin_unit, user_id) do update
            set epoch = excluded.epoch',
        undef, $unit, $id, $epoch
    );
}

# Hands a user over in one step, rows left aside; the others are not told.
sub move {
    my ($id, $from, $to, $epoch) = @_;
    leave($id, $from, $to, $epoch);
    $db{$to}->do(
        q{insert into punit.own (user_id, state, epoch, ver, fork)
            values (?, 'OWNED', ?, 100, gen_random_uuid())
        on conflict (user_id) do update set state = 'OWNED', epoch = excluded.epoch, ver = 100,
            fork = excluded.fork, owner_hint = null},
        undef, $id, $epoch
    );
}

sub leave {
    my ($id, $from, $to, $epoch) = @_;
    $db{$from}
        ->do(
        q{update punit.own set state = 'COPY', epoch = ?, owner_hint = ? where user_id = ?},
        undef, $epoch, $to, $id
        );
}

# The mesh: messages and acknowledgements there and back, deletions too.
sub carry {
    for my $from (sort keys %db) {
        for my $to (grep { $_ ne $from } sort keys %db) {
            my $rows = $db{$from}->selectall_arrayref(
                'select origin_unit, target_unit, seq, kind, user_id, users, epochs, payload,
                    created_at
                from punit.outbox where origin_unit = ? and target_unit = ?', undef, $from, $to
            );
            $db{$to}->do(
                'delete from punit.outbox where origin_unit = ? and seq <> all(?)', undef,
                $from, [map { $_->[2] } @$rows]);
            $db{$to}->do(
                'insert into punit.outbox (origin_unit, target_unit, seq, kind, user_id, users,
                    epochs, payload, created_at)
                overriding system value values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing',
                undef, @$_
            ) for @$rows;
            my $acks =
                $db{$from}->selectall_arrayref(
                'select * from punit.outbox_ack where target_unit = ? and origin_unit = ?', undef,
                $from, $to
                );
            $db{$to}
                ->do(
                'insert into punit.outbox_ack values (?, ?, ?, ?, ?) on conflict do nothing',
                undef, @$_
                )
                for @$acks;
        }
    }
}

sub work {
    my ($unit) = @_;
    $db{$unit}->do('update punit.inbox_late set due_at = now() - interval \'1 s\'');
    return $db{$unit}->selectrow_hashref('select * from punit.work_off(10000)')
}
sub round { carry(); work($_) for sort keys %db; return }
sub under_way {
    my $all = 0; $all += one($_, 'select count(*) from punit.outbox') for keys %db; return $all
}
# Rounds until nothing is under way, at most ten; what is then.
sub settle {
    for (1 .. 10) { round(); return 0 if !under_way() }
    return under_way()
}
sub feed {
    my ($unit, $user) = @_; return join ',',
        @{
        $db{$unit}->selectcol_arrayref(
            'select text from social.feed where user_id = ? and text is not null
                order by created_at, text',
            undef, $user
        ) }
}
sub follow {
    my ($unit, $user, $author) = @_;
    is one($unit, 'select status from social.follow(?, ?)', $user, $author), 204, 'follows'
}
sub publish {
    my ($unit, $user, $text) = @_;
    return one(
        $unit, q{select body::json->>'id' from social.add_post(?, null, 'r', null, ?)},
        $user, qq({"text":"$text"})
    )
}

subtest 'a message for a user that has moved on is passed on to the owner, once' => sub {
    my ($author, $reader) = (user('eu'), user('us'));
    follow('us', $reader, $author);
    is settle(), 0, 'and the author is told';
    move($reader, 'us', 'ap', 2);
    $db{ap}->begin_work;
    $db{ap}->do('select punit.bump(?)', undef, $reader);
    $db{ap}->do(
        'insert into social.following (user_id, id, author_id) values (?, social.pair(?, ?), ?)',
        undef, $reader, $reader, $author, $author
    );
    $db{ap}->commit;
    publish('eu', $author, 'hello');
    work('eu');
    is one('eu', q{select target_unit from punit.outbox where kind = 'social-post'}), 'us',
        'eu does not know yet that the user moved';
    is settle(), 0, 'it is passed on and acknowledged all the way';
    is feed('ap', $reader), 'hello', 'the user has it at the present unit';
    is feed('us', $reader), '', 'and not at the unit before';
};

subtest 'a message for a user on the way waits, and is told after the arrival' => sub {
    my ($author, $reader) = (user('eu'), user('us'));
    follow('us', $reader, $author);
    settle();
    leave($reader, 'us', 'ap', 2);    # fenced and gone; ap has not activated yet
    publish('eu', $author, 'wait');
    my $before = settle();
    is $before, 1, 'one message, wherever the rounds go';
    is one(
        'ap',
        q{select count(*) from punit.outbox where target_unit = 'ap' and origin_unit = 'ap'}
        ),
        1,
        'it waits at the next unit';
    # refused (punit.unfence_from): the user is again us's, at a higher epoch
    $db{us}->do(
        q{update punit.own set state = 'OWNED', epoch = 3, owner_hint = null where user_id = ?},
        undef, $reader
    );
    $db{us}->do(q{insert into punit.former_home values ('ap', ?, 0)}, undef, $reader);
    home('us', $reader, 3, $_) for 'eu', 'ap';
    is settle(), 0, 'then it is told';
    is feed('us', $reader), 'wait', 'to the user';
};

subtest 'units that each believe the other to own a user do not play ball' => sub {
    my ($author, $reader) = (user('eu'), user('us'));
    follow('us', $reader, $author);
    settle();
    $db{us}
        ->do(
        q{update punit.own set state = 'COPY', epoch = 2, owner_hint = 'ap' where user_id = ?},
        undef, $reader
        );
    $db{ap}->do(
        q{insert into punit.own (user_id, state, epoch, owner_hint) values (?, 'COPY', 2, 'us')},
        undef, $reader
    );
    publish('eu', $author, 'ball');
    my $seq = sub {
        my $sum = 0; $sum +=
            one(
            $_,
            q{select last_value from pg_sequences where schemaname = 'punit'
                and sequencename like 'outbox%'}
            ) // 0
            for keys %db; $sum
    };
    settle();
    my $then = $seq->();
    is settle(), 1, 'one message';
    is $seq->(), $then, 'and no new one in ten rounds';
    $db{ap}->do(
        q{update punit.own set state = 'OWNED', epoch = 4, ver = 1, fork = gen_random_uuid(),
            owner_hint = null where user_id = ?},
        undef, $reader
    );
    home('ap', $reader, 4, $_) for 'eu', 'us';
    is settle(), 0, 'an owner ends it';
};

subtest 'the outbox keeps the newest state of a follow or a like, not the history' => sub {
    my ($author, $reader) = (user('eu'), user('us'));
    my $posts = q{select count(*) from punit.outbox where kind like 'social-%'};
    my $post = publish('eu', $author, 'post 1');
    publish('eu', $author, "post $_") for 2 .. 60;
    settle();
    for (1 .. 5) {
        follow('us', $reader, $author);
        is one('us', $posts), 1, 'one message';
        is one('us', 'select status from social.unfollow(?, ?)', $reader, $author), 204;
    }
    is one('us', $posts), 1, 'the newest alone';
    follow('us', $reader, $author);
    carry();
    work('eu');
    is one('eu', q{select count(*) from punit.outbox where user_id = ?}, $author), 1,
        'and one message brings the posts';
    is settle(), 0;
    is one('us', 'select count(*) from social.feed where user_id = ?', $reader), 50, '50 of them';
    is one(
        'us', q{select count(*) from social.feed where user_id = ? and text in ('post 60',
        'post 11')}, $reader
        ),
        2, 'the newest';
    $post = one(
        'us', q{select post_id from social.feed where user_id = ? and text = 'post 60'},
        $reader
    );
    my $other = one(
        'us', q{select post_id from social.feed where user_id = ? and text = 'post 59'},
        $reader
    );
    for (1 .. 3) {
        is one('us', "select status from social.$_(?, ?)", $reader, $post), 204
            for qw(like_post unlike_post);
    }
    is one('us', 'select status from social.like_post(?, ?)', $reader, $_), 204 for $post, $other;
    is one('us', $posts), 2, 'one message for each post';
    is settle(), 0;
    is one(
        'eu', 'select string_agg(likes::text, null) from social.post where id in (?, ?)', $post,
        $other
        ),
        '11', 'both are liked';
};

subtest 'the posts for a new follower fit in a message, however long they are' => sub {
    my ($author, $reader) = (user('eu'), user('us'));
    publish('eu', $author, 'x' x 5000) for 1 .. 20;
    settle();
    follow('us', $reader, $author);
    is settle(), 0;
    is one('us', 'select count(*) from social.feed where user_id = ?', $reader), 13, '64 KB';
    is one('us', 'select max(error) from punit.outbox_ack'), undef, 'nothing was refused';
};

subtest 'a message that comes again changes nothing' => sub {
    my ($author, $liker) = (user('eu'), user('us'));
    follow('us', $liker, $author);
    my $post = publish('eu', $author, 'like');
    settle();
    one('us', 'select status from social.like_post(?, ?)', $liker, $post);
    carry();
    my $m = $db{eu}
        ->selectrow_arrayref(q{select seq, payload from punit.outbox where kind = 'social-like'});
    work('eu');
    is one('eu', 'select likes from social.post where id = ?', $post), 1;
    work('eu') for 1 .. 2;    # and the count is told
    is work('eu')->{done}, 0, 'acknowledged: not looked at any more';
    # as after a resynchronisation that lost the acknowledgement
    $db{eu}->do('delete from punit.outbox_ack where seq = ?', undef, $m->[0]);
    $db{eu}->do('select punit.inbox_tidy()');
    work('eu');
    is one('eu', 'select likes from social.post where id = ?', $post), 1, 'counted once';
    settle();
};

subtest 'messages that come in the wrong order end in the right state' => sub {
    my ($author, $reader) = (user('eu'), user('us'));
    follow('us', $reader, $author);
    my $post = publish('eu', $author, 'short-lived');
    settle();
    my $tell = sub {
        $db{us}->do('select punit.bump(?)', undef, $reader);
        $db{us}->do('select social.hear_post(?, 0, ?, ?)', undef, $reader, $author, $_[0])
    };
    my $old = one('eu', 'select social.post_state(?, 2, ?)', $author, $post);
    one('eu', 'select status from social.delete_post(?, ?)', $author, $post);
    settle();
    $db{us}->begin_work; $tell->($old); $db{us}->commit;
    is feed('us', $reader), '', 'a post that was deleted does not come back';
    is one('us', 'select status from social.unfollow(?, ?)', $reader, $author), 204;
    my $ver = one('us', 'select ver from punit.own where user_id = ?', $reader);
    settle();
    my $late = sprintf '{"since":"2026-01-01T00:00:00Z","ver":%d}', $ver - 1;
    $db{eu}->begin_work;
    $db{eu}->do('select punit.bump(?)', undef, $author);
    $db{eu}->do('select social.hear_follow(?, 0, ?, ?)', undef, $author, $reader, $late);
    $db{eu}->commit;
    is one(
        'eu',
        'select count(*) from social.follower where user_id = ? and followed_at is not null',
        $author
        ),
        0, 'nor does a follower';
    settle();
};

subtest
    'a message that fails delays no other, and after many tries it is kept with its error'
    => sub {
    $db{eu}->do(q{select punit.send('us', 'nonsense', null, '{"a":1}')});
    my ($author, $reader) = (user('us'), user('eu'));
    follow('eu', $reader, $author);
    carry();
    my $w = work('us');
    is_deeply [@$w{qw(done failed)}], [1, 1], 'one worked off, one failed';
    is one('us', 'select count(*) from social.follower where user_id = ?', $author), 1,
        'the later one had its effect';
    work('us') for 1 .. 19;
    like one('us', q{select error from punit.outbox_ack where error is not null}), qr/no handler/,
        'given up';
    is one('us', q{select given_up->'payload'->>'a' from punit.inbox_late where kind = 'nonsense'}),
        1, 'but kept';
    is settle(), 0, 'its origin deletes it';
    is work('us')->{failed}, 0, 'and it is not tried again';
    };

subtest 'nothing is told of or to an erased user, and what is under way is taken back' =>
    sub {
    my ($author, $reader) = (user('eu'), user('us'));
    follow('us', $reader, $author);
    settle();
    publish('eu', $author, 'secret');
    work('eu');
    is one('eu', q{select punit.erase_user(?)}, $author), 1;
    is one(
        'eu', 'select count(*) from punit.outbox where user_id = ? and kind like ?', $author,
        'social-%'
        ),
        0, 'taken back';
    is settle(), 0;
    is feed('us', $reader), '';
    is one('us', 'select count(*) from social.following where user_id = ?', $reader), 0,
        'the follow ended';
    is one('us', q{select count(*) from punit.tomb where tomb::text like '%' || ? || '%'}, $author),
        0, 'no tombstone names the user';
    $db{us}->do(
        q{insert into punit.outbox (origin_unit, target_unit, kind, user_id, users, epochs, payload)
            values ('us', 'us', 'social-post', ?, array[?::uuid], '{1}', '{}')},
        undef, $author, $reader
    );
    is work('us')->{done}, 1, 'a late message about the user is dropped';
    };

done_testing;
