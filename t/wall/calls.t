# The functions that a peer calls: a unit that was taken over calls them about users whom it has
# nothing to do with.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Punit::Rogue;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units =
    Punit::Units->start(env => { PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '0s' });
my $rogue = Punit::Rogue->new($units, 'us');
my $session = $rogue->session('eu');
my %is = map { $_ => $units->one($_, 'select incarnation from punit.me') } qw(eu us ap);
my $huge = 4611686018427387904;

# Calls a function at eu, about a user; what it answers.
sub call {
    my ($sql, @values) = @_;
    return ($session->selectrow_array($sql, undef, @values, @is{qw(us eu)}))[0];
}

# All that eu has of a user but the rows themselves.
sub held {
    my ($user) = @_;
    return join ' ', map { $units->one('eu', $_, $user) // '-' } (
        q{select row(o.state, o.epoch, o.refused_epoch, o.ver, o.fence_to)::text from punit.own o
            where o.user_id = ?},
        'select count(*) from punit.move where user_id = ?',
        'select count(*) from auth.name where user_id = ?');
}

sub nobody { return $units->one('eu', 'select gen_random_uuid()') }

# The unit knows the user by the directory.
sub known {
    my ($unit, $user) = @_;
    ok wait_until(
        sub { $units->one($unit, 'select unit from punit.owner_of(?)', $user->id) }, 10),
        "$unit knows the user";
    return $user;
}

my $of_ap = known('eu', Punit::User->register($units, 'ap'));
my $of_eu = Punit::User->register($units, 'eu');

subtest 'RESOLVE without a FENCE that this unit noted stores no refusal' => sub {
    for my $user ($of_ap->id, nobody()) {
        for my $epoch (2, $huge) {
            my $before = held($user);
            $rogue->is_refused(
                'eu', 'call',
                'resolve-not-fenced',
                "epoch $epoch: refused, counted and logged",
                sub { like call('select punit.resolve(?, ?, ?, ?)', $user, $epoch), qr/^VOID/ });
            is held($user), $before, 'no row has changed';
        }
    }
    $rogue->is_refused(
        'eu', 'call',
        'resolve-not-fenced',
        'nor for a user owned here',
        sub { call('select punit.resolve(?, ?, ?, ?)', $of_eu->id, $huge) });
    $of_ap->cross('eu');
    is $units->one('eu', 'select state from punit.own where user_id = ?', $of_ap->id), 'OWNED',
        'the user can come here afterwards';
};

subtest 'many calls of RESOLVE make no rows' => sub {
    my $before = $units->one('eu', 'select count(*) from punit.own');
    $session->do(
        'select punit.resolve(gen_random_uuid(), i, $1, $2) from generate_series(1, 2000) i',
        undef, @is{qw(us eu)});
    is $units->one('eu', 'select count(*) from punit.own'), $before, 'none';
    my $lines = () = $units->log_text('eu', 'postgres') =~ /rule=resolve-not-fenced/g;
    cmp_ok $lines, '<', 40, 'and they do not fill the log';
};

subtest 'a request to move a user whom this unit does not know makes no row' => sub {
    my $user = nobody();
    $rogue->is_refused(
        'eu', 'call',
        'move-unknown-user',
        'counted and logged',
        sub {
            like call(q{select punit.ask_move(?, 'us', ?, ?)}, $user), qr/^LATER/, 'later'
        });
    is held($user), '- 0 0', 'no row';
};

subtest 'the owner that a request names is not believed' => sub {
    my $user = known('eu', Punit::User->register($units, 'ap'));
    is call(q{select punit.ask_move(?, 'us', ?, ?)}, $user->id), 'OK', 'the request is one';
    is $units->one('eu', 'select from_unit from punit.move where user_id = ?', $user->id), 'ap',
        'eu asks the owner that it knows';
    ok wait_until(
        sub { $units->one('eu', 'select asked_by from punit.move where user_id = ?', $user->id) },
        5),
        'and notes who asked';
};

subtest 'moves between other units are not cancelled' => sub {
    my $user = known('eu', Punit::User->register($units, 'ap'));
    $units->process('ap', 'postgres', 'down');
    $units->one('eu', q{select punit.request_move(?, 'eu')}, $user->id);
    $rogue->is_refused(
        'eu', 'call',
        'cancel-not-concerned',
        'refused, counted and logged',
        sub {
            like call('select punit.ask_cancel(?, ?, ?)', $user->id), qr/^not cancelled/
        });
    is $units->one(
        'eu', 'select count(*) from punit.move where user_id = ? and finished_at is null',
        $user->id),
        1, 'the move goes on';
    $units->process('ap', 'postgres', 'up');
    ok wait_until(
        sub {
            ($units->one('eu', 'select state from punit.own where user_id = ?', $user->id) // '')
                eq 'OWNED'
        },
        30
        ),
        'and ends well';
};

subtest 'REFUSED and RETIRE change only users who are fenced to the caller' => sub {
    my $user = Punit::User->register($units, 'eu');
    my $fence = sub {
        my $ap = $units->connect('eu');
        $ap->do('set session authorization punit_peer_ap');
        my $shape = $units->one('ap', 'select punit.shape_md5()');
        return ($ap->selectrow_array(
            'select result from punit.fence(?, 1, -1, null, ?, ?, ?, 10000, 0, false)',
            undef, $user->id, @is{qw(ap eu)}, $shape))[0];
    };
    is $fence->(), 'FENCED', 'fenced to ap';
    my $before = held($user->id);
    is call('select punit.retire(?, ?, ?, ?)', $user->id, 2), 'UNCHANGED', 'RETIRE of us';
    is call('select punit.refused(?, ?, ?, ?)', $user->id, 2), 'UNCHANGED', 'REFUSED of us';
    is held($user->id), $before, 'still fenced to ap';
    is call('select punit.refused(?, ?, ?, ?)', $of_eu->id, $huge), 'UNCHANGED',
        'nor does an epoch far away';
};

subtest 'a login name is claimed for own users alone' => sub {
    my $hash;
    for my $i (1 .. 10000) {
        $hash = sha256_hex("name $i");
        last if $units->one('eu', q{select auth.arbiter(decode(?, 'hex'))}, $hash) eq 'eu';
    }
    my $claim = sub {
        my ($user, $unit) = @_;
        return scalar @{
            $session->selectall_arrayref(
                q{select * from auth.claim_name(decode(?, 'hex'), ?, ?)},
                undef, $hash, $user, $unit) };
    };
    $rogue->is_refused('eu', 'call', 'claim-other-user', 'for a user of eu: refused',
        sub { is $claim->($of_eu->id, 'us'), 0 });
    $rogue->is_refused('eu', 'call', 'claim-for-another', 'for another unit: refused',
        sub { is $claim->(nobody(), 'ap'), 0 });
    is $units->one('eu', q{select count(*) from auth.name where hash = decode(?, 'hex')}, $hash),
        0, 'nobody has the name';
    is $claim->(nobody(), 'us'), 1, 'a new user of us gets it';
};

done_testing;
