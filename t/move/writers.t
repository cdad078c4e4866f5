#!/usr/bin/perl
# A user is written to all the time while it moves. No acknowledged write is lost or doubled, and no
# two units own the user.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

my $x = Punit::MoveUnits->new(qw(eu us ap));
$x->mover($_, PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_DWELL => '0s') for qw(eu us ap);

# A child that appends n = 1, 2, 3... to the user's list at the owner, until it gets a line. It
# prints the number of acknowledged appends, how often a fence gave no row, and all other faults.
sub writer {
    my ($u, @units) = @_;
    pipe my $from, my $out or die;
    pipe my $in, my $stop or die;
    my $pid = fork // die;
    if ($pid == 0) {
        close $_ for $from, $stop;
        my %db = map { $_ => $x->pg($_)->dbh } @units;
        my ($n, $elsewhere, $wrong, $at, $longest) = (0, 0, 0, 0, 0);
        my $bits = '';
        my $last = time;
        while (1) {
            vec(my $r = '', fileno $in, 1) = 1;
            last if select $r, undef, undef, 0;
            my $db = $db{ $units[$at] };
            my $got = eval {
                $db->selectrow_arrayref(
                    q{
                    with fence as (update punit.own set ver = ver + 1,
                        bump_xid = pg_current_xact_id()
                        where user_id = $1 and state = 'OWNED' returning ver, epoch),
                    w as (insert into note.item (user_id, n) select $1, $2 from fence returning n)
                    select fence.epoch, w.n from (select) one left join fence on true left
                        join w on true},
                    undef, $u, $n + 1
                );
            };
            if (!$got) { $wrong++; sleep 0.01 }
            elsif (defined $got->[0]) {
                $n++;
                $longest = time - $last if time - $last > $longest;
                $last = time;
                sleep 0.001;
            }
            else { $elsewhere++; $at = ($at + 1) % @units; sleep 0.0005 }
        }
        printf {$out} "%d %d %d %.0f\n", $n, $elsewhere, $wrong, $longest * 1000;
        close $out;
        POSIX::_exit(0);
    }
    close $_ for $out, $in;
    return sub {
        close $stop;
        my $line = <$from>;
        waitpid $pid, 0;
        return split ' ', $line // '';
    };
}

sub owners {
    my ($u, @units) = @_; return grep { $x->state($_ => $u) =~ /^OWNED/ } @units
}

subtest 'a writer running through 12 crossings loses nothing and sees only fences without a row' =>
    sub {
    my $u = $x->user(eu => 0);
    my $end = writer($u, qw(eu us));
    my ($from, $to) = qw(eu us);
    my ($rows, $busy) = (0, 0);
    for (1 .. 12) {
        my $r = $x->cross($from, $to, $u);
        $rows += $r->{rows_sent};
        $busy += $r->{busy};
        ($from, $to) = ($to, $from);
    }
    my ($n, $elsewhere, $wrong, $longest) = $end->();
    cmp_ok $n, '>', 50, "$n writes were acknowledged";
    is $wrong, 0, 'none failed';
    is_deeply $x->db($from)
        ->selectcol_arrayref('select n from note.item where user_id = ? order by n', undef, $u),
        [1 .. $n],
        'each is there once';
    is $x->one($from => 'select ver from punit.own where user_id = ?', $u), $n, 'ver counts them';
    is $x->state($from => $u), 'OWNED 13', 'after 12 hand-overs';
    note
        "longest gap between two writes: $longest ms; fences without a row: $elsewhere; "
        . "rows sent: $rows; BUSY: $busy";
    cmp_ok $rows, '<', 3 * $n, 'deltas, not copies';
    };

subtest 'two units that race for a user: one owner' => sub {
    my $u = $x->user(eu => 0);
    my $end = writer($u, qw(eu us ap));
    for my $round (1 .. 15) {
        my ($owner) = owners($u, qw(eu us ap)) or next;
        my $epoch = $x->one($owner => 'select epoch from punit.own where user_id = ?', $u);
        $x->mover($_)->foreign($u, $owner, $epoch, 2) for grep { $_ ne $owner } qw(eu us ap);
        $x->wait_until('another owner',
            sub { my ($o) = owners($u, qw(eu us ap)); $o && $o ne $owner });
    }
    my ($n, $elsewhere, $wrong) = $end->();
    # a mover started anew knows no requests: it ends what is under way and begins nothing
    for my $unit (qw(eu us ap)) {
        $x->mover($unit)->stop;
        $x->mover($unit)->start;
    }
    $x->wait_until(
        'one owner and nothing under way',
        sub {
            my @s = map { $x->state($_ => $u) } qw(eu us ap);
            (grep {/^OWNED/} @s) == 1 && !grep {/^FENCED/} @s
                and !grep {
                $x->one($_ =>
                        q{select count(*) from punit.move where user_id = ?
                            and phase not in ('copy', 'done')},
                    $u)
                }
                qw(eu us ap);
        });
    my ($owner) = owners($u, qw(eu us ap));
    is $wrong, 0, 'no write failed';
    is_deeply $x->db($owner)
        ->selectcol_arrayref('select n from note.item where user_id = ? order by n', undef, $u),
        [1 .. $n],
        "each of $n writes is there once";
    # no epoch was owned at two units: the records name each once
    my %by;
    for my $unit (qw(eu us ap)) {
        $by{$_}++
            for @{
            $x->db($unit)->selectcol_arrayref(
                'select epoch + 1 from punit.move where user_id = ?
            and activated_at is not null', undef, $u
            ) };
    }
    is_deeply [grep { $by{$_} > 1 } keys %by], [], 'no epoch was activated twice';
};

subtest 'flip-flop of 20 users at once keeps every digest equal' => sub {
    my @u = map { $x->user(eu => 30) } 1 .. 20;
    for my $round (1 .. 6) {
        my ($from, $to) = $round % 2 ? qw(eu us) : qw(us eu);
        $x->write(
            $from => $_, "insert into note.item (user_id, n) values (\$1, 1000 + $round)",
            "delete from note.item where user_id = \$1 and n = $round"
        ) for @u;
        $x->mover($to)->foreign($_, $from, $round, 2) for @u;
        for my $u (@u) {
            $x->wait_until("move $round",
                sub { $x->state($to => $u) =~ /^OWNED/ && $x->state($from => $u) =~ /^COPY/ });
        }
    }
    my @different = grep { $x->digest(eu => $_) ne $x->digest(us => $_) } @u;
    is_deeply \@different, [], 'the same rows at both';
    is_deeply [map { $x->state(eu => $_) } @u], [('OWNED 7') x 20], 'all at home at epoch 7';
    my $sent = $x->one(eu => 'select max(rows_sent) from punit.move where user_id = any(?)', \@u);
    cmp_ok $sent, '<=', 6, "at most $sent rows a crossing on the way back";
};

done_testing;
