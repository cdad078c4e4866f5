#!/usr/bin/perl
# What is kept of moves: cold copies go, old deletions are forgotten, copies are audited.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Test::More;

my $x = Punit::MoveUnits->new(qw(eu us));
$x->mover('eu');
my $us = $x->mover('us');

subtest 'tombstones older than 30 days go, and gc_ver rises in the same transaction' => sub {
    my $u = $x->user(eu => 10);
    $x->write(eu => $u, 'delete from note.item where user_id = $1 and n <= 3');
    $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 4');
    my $db = $x->db('eu');
    $db->do(
        q{update punit.tomb set buried_at = now() -
            interval '31 days' where user_id = ? and ver = 1},
        undef, $u);
    is $x->one(eu => 'select punit.collect_tombs(30 * 86400)'), 3, 'three are collected';
    is $x->one(eu => 'select gc_ver from punit.own where user_id = ?', $u), 1,
        'gc_ver is the last one\'s ver';
    is $x->one(eu => 'select count(*) from punit.tomb where user_id = ?', $u), 1,
        'the young one stays';
    is $x->one(eu => 'select punit.collect_tombs(30 * 86400)'), 0, 'nothing is left to do';
};

subtest 'a copy from before the collected deletions gets all rows' => sub {
    my $u = $x->user(eu => 20);
    $x->cross(eu => us => $u);
    $x->cross(us => eu => $u);
    $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 1');
    $x->db('eu')
        ->do(q{update punit.tomb set buried_at = now() - interval '31 days' where user_id = ?},
        undef, $u);
    $x->one(eu => 'select punit.collect_tombs(30 * 86400)');
    my $r = $x->cross(eu => us => $u);
    is $r->{mode}, 'full', 'in full';
    is $x->one(us => 'select count(*) from note.item where user_id = ?', $u), 19,
        'the deleted row is gone there';
    is $x->digest(us => $u), $x->digest(eu => $u), 'the same rows at both';
    is $x->one(us => 'select gc_ver from punit.own where user_id = ?', $u), 1, 'gc_ver travels';
};

subtest 'a user between two units keeps the tombstones' => sub {
    my $u = $x->user(eu => 2);
    $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 1');
    my $db = $x->db('eu');
    $db->do(q{update punit.tomb set buried_at = now() - interval '31 days' where user_id = ?},
        undef, $u);
    my $h = $x->pg('eu')->dbh;
    $h->begin_work;
    $h->do(q{select from punit.own where user_id = ? for update}, undef, $u);
    is $x->one(eu => 'select punit.collect_tombs(30 * 86400)'), 0,
        'not while the user\'s row is locked, and without waiting';
    $h->rollback;
    is $x->one(eu => 'select punit.collect_tombs(30 * 86400)'), 1, 'then they go';
};

subtest 'a cold copy is evicted: rows go, the own row stays at ver -1, and the next move is full' =>
    sub {
    my $u = $x->user(eu => 30);
    $x->cross(eu => us => $u);
    is $x->one(eu => 'select punit.evict_copies(3600)'), 0, 'not a warm one';
    $x->db('eu')
        ->do(q{update punit.own set touched_at = now() - interval '31 days' where user_id = ?},
        undef, $u);
    is $x->one(eu => 'select punit.evict_copies(30 * 86400)'), 1, 'a cold one';
    is $x->one(eu => 'select count(*) from note.item where user_id = ?', $u), 0,
        'its rows are gone';
    my $o = $x->row(eu => 'select * from punit.own where user_id = ?', $u);
    is_deeply [@$o{qw(state epoch ver fork)}], ['COPY', 2, -1, undef], 'the own row stays';
    my $r = $x->cross(us => eu => $u);
    is $r->{mode}, 'full', 'the user comes back in full';
    is $x->digest(us => $u), $x->digest(eu => $u), 'with the same rows';
    };

subtest 'PUNIT_COPY_KEEP: the mover evicts by itself' => sub {
    my $u = $x->user(eu => 3);
    $x->cross(eu => us => $u);
    $x->mover('eu')->stop;
    delete $x->{mover}{eu};
    $x->mover('eu', PUNIT_COPY_KEEP => '1s');
    $x->wait_until('the eviction',
        sub { $x->one(eu => 'select ver from punit.own where user_id = ?', $u) == -1 });
    is $x->one(eu => 'select count(*) from note.item where user_id = ?', $u), 0, 'no rows';
    is $x->state(us => $u), 'OWNED 2', 'the owner is left alone';
    $x->mover('eu')->stop;
    delete $x->{mover}{eu};
    $x->mover('eu');
};

subtest 'by themselves movers forget deletions and evict copies after 30 days, not before' => sub {
    my ($old, $young) = map { $x->user(eu => 3) } 1, 2;
    for my $u ($old, $young) {
        $x->cross(eu => us => $u);
        $x->write(us => $u, 'delete from note.item where user_id = $1 and n = 1');
    }
    my %days = ($old => 30.1, $young => 29.9);
    for my $u (keys %days) {
        $x->db('us')
            ->do(
            q{update punit.tomb set buried_at = now() - ? * interval '1 day' where user_id = ?},
            undef, $days{$u}, $u);
        $x->db('eu')
            ->do(
            q{update punit.own set touched_at = now() - ? * interval '1 day' where user_id = ?},
            undef, $days{$u}, $u);
    }
    # each looks when it starts, and then once a minute
    for my $mover ($x->mover('eu'), $us) {
        $mover->stop;
        $mover->start;
    }
    $x->wait_until('the eviction',
        sub { $x->one(eu => 'select ver from punit.own where user_id = ?', $old) == -1 });
    $x->wait_until('the collection',
        sub { !$x->one(us => 'select count(*) from punit.tomb where user_id = ?', $old) });
    is $x->one(us => 'select gc_ver from punit.own where user_id = ?', $old), 1,
        'gc_ver says that they are gone';
    is $x->one(us => 'select count(*) from punit.tomb where user_id = ?', $young), 1,
        'the young tombstone stays';
    isnt $x->one(eu => 'select ver from punit.own where user_id = ?', $young), -1,
        'and the young copy';
};

subtest 'each move is audited: same' => sub {
    my $u = $x->user(eu => 50);
    $x->cross(eu => us => $u);
    $x->wait_until('the audit', sub { defined $x->record(us => $u)->{audit} });
    is $x->record(us => $u)->{audit}, 'same', 'the same';
    is $x->record(us => $u)->{audit_n}, 50, '50 rows';

    # FENCE's answer brings only a part of the rows to the copy that is there
    $x->cross(us => eu => $u);
    $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 5');
    $x->cross(eu => us => $u);
    $x->wait_until('the audit', sub { defined $x->record(us => $u)->{audit} });
    is join(' ', @{ $x->record(us => $u) }{qw(audit audit_n)}), 'same 49', 'and after a delta: 49';
};

subtest 'a difference is a loud line and a record' => sub {
    my $u = $x->user(eu => 5);
    $x->cross(eu => us => $u);
    my $db = $x->pg('eu')->dbh;
    $db->do('set session_replication_role = replica');
    $db->do('delete from note.item where user_id = ? and n = 5', undef, $u);
    $x->db('us')->do('update punit.move set audit = null where user_id = ?', undef, $u);
    $x->wait_until('the audit', sub { ($x->record(us => $u)->{audit} // '') eq 'different' });
    like $us->log_text,
        qr/event=audit-different user=\Q$u\E from=eu/,
        'the line names the user';
    like $x->record(us => $u)->{error}, qr/5 rows with sum -?\d+ here, 4 rows with sum -?\d+ at eu/,
        'the record says what differs';
};

subtest 'a user that has written since is not compared' => sub {
    my $u = $x->user(eu => 5);
    $x->cross(eu => us => $u);
    $x->cross(us => eu => $u);
    $x->write(eu => $u, 'delete from note.item where user_id = $1 and n = 5');
    $x->cross(eu => us => $u);
    $x->wait_until(
        'the audits',
        sub {
            !$x->one(us => q{select count(*) from punit.move where user_id = ? and audit is null},
                $u)
        });
    my $all =
        $x->db('us')
        ->selectcol_arrayref('select audit from punit.move where user_id = ? order by started_at',
        undef, $u);
    is scalar(grep { $_ eq 'different' } @$all), 0, "no false alarm: @$all";
};

done_testing;
