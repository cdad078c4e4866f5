#!/usr/bin/perl
# A user who writes without pause while it moves is slowed, no other user is, and it arrives.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::MoveUnits;
use Punit::Tries;
use POSIX ();
use Test::More;
use Time::HiRes qw(time sleep);

my $x = Punit::MoveUnits->new(qw(eu us));
# no more than 10 rows may be left at FENCE, and each write makes 20
$x->mover('eu', PUNIT_MOVE_QUIET => '0s');
$x->mover('us', PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_ROWS => 10);

# A child that writes `rows` rows a transaction to the user at eu until eu does not own the user.
# Returns the number of transactions.
sub writer {
    my ($u, $rows) = @_;
    pipe my $from, my $out or die;
    my $pid = fork // die;
    if ($pid == 0) {
        close $from;
        my $db = $x->pg('eu')->dbh;
        my $n = 0;
        while (1) {
            my $got = $db->selectrow_arrayref(
                q{
                with fence as (update punit.own set ver = ver + 1, bump_xid = pg_current_xact_id()
                    where user_id = $1 and state = 'OWNED' returning ver, epoch),
                w as (insert into note.item (user_id, n) select $1, $2 + i
                    from fence, generate_series(1, $3) i returning n)
                select (select ver from fence), count(*) from w}, undef, $u, $n, $rows
            );
            last unless defined $got->[0];
            $n += $rows;
            sleep 0.001;
        }
        print {$out} "$n\n";
        close $out;
        POSIX::_exit(0);
    }
    close $out;
    return sub { my $n = <$from>; waitpid $pid, 0; chomp $n; return $n };
}

subtest 'a user that leaves rows behind each time is slowed until few enough are left' => sub {
    my $u = $x->user(eu => 0);
    my $end = writer($u, 20);
    my $r = $x->cross(eu => us => $u);
    my $n = $end->();
    is $x->one(us => 'select count(*) from note.item where user_id = ?', $u), $n,
        "all $n rows are there";
    note "BUSY $r->{busy} times, $r->{rounds} rounds";
    cmp_ok $r->{busy}, '>=', 3, 'FENCE was BUSY';
    like $x->mover('eu')->log_text, qr/event=brake users=1/, 'the brake was on';
    is $x->one(eu => 'select count(*) from punit.own where state = ?', 'FENCED'), 0, 'nobody hangs';
};

some_subtest 'the brake lets a hot user\'s writes wait, and nobody else\'s' => sub {
    my ($hot, $cool) = ($x->user(eu => 0), $x->user(eu => 0));
    # ms, the median of so many writes
    my $time = sub {
        my ($u, $n) = @_;
        my @ms = sort { $a <=> $b } map {
            my $began = time;
            $x->write(eu => $u, 'select $1::uuid');
            (time - $began) * 1000;
        } 1 .. $n;
        return $ms[$n / 2];
    };
    $x->db('eu')
        ->do(q{insert into punit.hot values (?, now() + interval '8 seconds', 150)}, undef, $hot);
    $x->db('eu')->do('notify punit_hot');
    # it is lit a moment after the NOTIFY; from then on most writes find the row held
    my $slowed;
    $x->wait_until('writes are slowed by about what the row is held',
        sub { ($slowed = $time->($hot, 5)) > 75 });
    my $other = $time->($cool, 9);
    note sprintf 'ms a write: slowed %.1f, somebody else meanwhile %.1f', $slowed, $other;
    cmp_ok $slowed, '>', 75, 'slowed by about what it is held';
    cmp_ok $other, '<', $slowed / 2, 'others are not';
    $x->wait_until('the end of it', sub { !$x->one(eu => 'select count(*) from punit.hot') });
};

done_testing;
