# The inbox as a queue: whose turn it is, and what a turn costs. The test puts messages of us into
# eu's outbox, as the mesh does. PUNIT_INBOX_FULL=200000 is the full size.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(time);

use Punit::Postgres;

my $full = $ENV{PUNIT_INBOX_FULL} // 20_000;
my %pg = map {
    $_ => Punit::Postgres->new(unit => $_, settings => { log_min_messages => 'error' })->apply()
} qw(eu us);
$pg{eu}->know($pg{us});
my $db = $pg{eu}->dbh;
$db->do('set client_min_messages = error');

sub one { my ($sql, @values) = @_; return ($db->selectrow_array($sql, undef, @values))[0] }
sub work { return one('select done from punit.work_off(?)', $_[0] // 20) }

# Authors d.. are owned here, users e.. are of us.
my ($author, $guest) =
    map {"('$_' || '0000000-0000-4000-8000-' || lpad((\%s)::text, 12, '0'))::uuid"} qw(d e);
$db->do(sprintf "select punit.create_user($author) from generate_series(1, 1000) i", 'i');
$db->do(
    sprintf "insert into punit.home select 'us', $guest, 1 from generate_series(1, 1000) i",
    'i'
);
my $seq = 0;

# n messages of a kind, of us or of this unit itself.
sub queue {
    my ($kind, $n, $origin) = @_;
    $db->do(
        sprintf(
            q{insert into punit.outbox (origin_unit, target_unit, seq, kind, user_id, users, epochs,
                payload) overriding system value
            select ?, 'eu', ?::bigint + i, ?, %s, array[%s], '{1}',
                jsonb_build_object('since', now(), 'ver', i) from generate_series(1, ?::int) i},
            sprintf($guest, '1 + i % 1000'),
            sprintf($author, '1 + i / 7 % 1000')
        ),
        undef, $origin // 'us', 1_000_000 + $seq, $kind, $n
    );
    $seq += $n;
    return;
}
sub clear { $db->do("truncate $_") for qw(punit.inbox punit.inbox_late punit.outbox); return }

# The buffers that a look at the queue reads: the measure of work that other loads do not change.
sub buffers {
    my $plan = join "\n",
        @{
        $db->selectcol_arrayref('explain (analyze, buffers) select from punit.next_messages()') };
    my ($hit, $read) = ($plan =~ /shared(?: hit=(\d+))?(?: read=(\d+))?/);
    return ($hit // 0) + ($read // 0);
}

subtest 'the next messages are as near in a long queue as in a short one' => sub {
    my %cost;
    for my $n (1000, $full) {
        clear();
        queue('social-follow', $n);
        work();
        buffers();
        $cost{$n} = buffers();
        note "$n queued: $cost{$n} buffers";
    }
    cmp_ok $cost{$full}, '<=', 1.3 * $cost{1000}, 'within 1.3';
    $db->do(q{analyze});
    buffers();    # what it reads of the catalogue to make its plan anew
    cmp_ok buffers(), '<=', 1.3 * $cost{1000}, 'whatever the planner knows';
};

subtest 'an erasure behind a long queue is the next' => sub {
    my $user = one('select ' . sprintf $guest, 900);
    $db->do(
        q{insert into punit.own (user_id, state, epoch, owner_hint) values (?, 'COPY', 1, 'us')},
        undef, $user
    );
    cmp_ok one('select count(*) from punit.inbox'), '>', $full / 2, 'the queue is long';
    $db->do(
        q{insert into punit.outbox (origin_unit, target_unit, seq, kind, user_id, payload)
        overriding system value values ('us', 'eu', 9000000, 'erase', ?, '{"epoch":1}')}, undef,
        $user
    );
    my $then = time;
    work(0);
    is one('select state from punit.own where user_id = ?', $user), 'ERASED', 'carried out';
    note sprintf 'after %.0f ms', 1000 * (time - $then);
    clear();
};

subtest 'within a class each origin has its turn' => sub {
    queue('social-follow', 500);
    queue('social-follow', 5, 'eu');
    is_deeply $db->selectcol_arrayref('select origin_unit from punit.next_messages() limit 10'),
        [map { ('eu', 'us') } 1 .. 5], 'in turn';
    clear();
};

subtest 'class 2 has two turns for each of class 3, and none is left out' => sub {
    queue('social-follow', 100);
    queue('social-post', 100);
    is_deeply $db->selectcol_arrayref('select class from punit.next_messages() limit 9'),
        [2, 2, 3, 2, 2, 3, 2, 2, 3];
    clear();
};

subtest 'a kind of a service of others has the class that its row says' => sub {
    $db->do(q{insert into punit.message_handler (kind, fn, class)
        values ('others-first', 'punit.hear_forget', 1)});
    queue('social-post', 10);
    queue('others-first', 1);
    is one('select (m).kind from punit.next_messages() limit 1'), 'others-first';
    clear();
};

subtest 'messages that wait for a user do not stand before the others' => sub {
    queue('social-post', 300);
    $db->do(q{update punit.outbox set users = array[gen_random_uuid()], epochs = '{1}'});
    queue('social-follow', 1);
    work(10_000) for 1 .. 12;
    is one(q{select count(*) from punit.inbox}), 0, 'all had a turn';
    is one(q{select count(*) from punit.inbox_late where error is null}), 300, 'and these wait';
    clear();
};

subtest 'a queue that lost its rows is made anew' => sub {
    queue('social-follow', 5);
    $db->do('truncate punit.inbox');
    is work(), 0, 'nothing is known of them';
    $db->do('select punit.inbox_tidy()');
    is work(10_000), 5, 'then they are handled';
    clear();
    $db->do(
        q{insert into punit.outbox (origin_unit, target_unit, kind) values ('eu', 'us', 'erase')}
    );
    $db->do(
        q{insert into punit.outbox_ack select origin_unit, target_unit, seq from punit.outbox}
    );
    $db->do('truncate punit.outbox_done');
    $db->do('select punit.inbox_tidy()');
    work();
    is one('select count(*) from punit.outbox'), 0, 'as are acknowledged messages of this unit';
};

done_testing;
