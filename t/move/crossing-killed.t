# kill -9 in the middle of a crossing: of the mover, of a service, of PostgreSQL, at either side.
# The crossing completes after the restart, and what was acknowledged is there.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

my $units = Punit::Units->start(units => ['eu', 'us'],
    env => { PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '500ms' });

# A user with so many samples that a copy takes a while.
sub heavy_user {
    my $user = Punit::User->register($units, 'eu');
    my $type = $user->ask('eu', GET => '/metrics/types?limit=1')->{json}{items}[0];
    my $value = (($type->{min} // 0) + ($type->{max} // 100)) / 2;
    for my $day (1 .. 3) {
        my $answer = $user->ask(
            'eu',
            POST => '/metrics/samples',
            [
                map { {
                    type_id => $type->{id}, value => $value,
                    at => sprintf(
                        '2026-01-%02dT%02d:%02d:%02dZ', $day, $_ / 3600, $_ / 60 % 60, $_ % 60
                    )
                } } map { $_ * 10 } 0 .. 7999
            ]);
        die "samples: $answer->{status} $answer->{content}" if $answer->{status} >= 300;
    }
    $user->post('eu') for 1 .. 5;
    return $user;
}

sub unfinished {
    my ($user) = @_;
    return eval {
        $units->dbh('us')
            ->selectrow_array(
            'select count(*) from punit.move where user_id = ? and finished_at is null', {},
            $user->id)
    };
}

# What runs as this process in a unit: PostgreSQL's children die with their parent's shared memory.
sub strike {
    my ($unit, $process) = @_;
    my $pid = $units->pid($unit, $process);
    return kill KILL => $pid;
}

for my $victim (['us', 'mover'], ['eu', 'mover'], ['us', 'social'], ['eu', 'social'],
    ['eu', 'postgres'], ['us', 'postgres'])
{
    my ($unit, $process) = @$victim;
    subtest "kill -9 of $process at $unit" => sub {
        for my $u (qw(eu us)) {
            wait_until(sub { $units->healthy($u, $_) }, 15) or die "$u: $_ is ill"
                for qw(auth profile metrics social);
        }
        my $user = heavy_user();
        $user->ask('us', GET => '/profile') for 1 .. 3;
        ok wait_until(sub { unfinished($user) }, 10), 'a crossing is under way';
        ok strike($unit, $process), 'killed';
        # the user goes on writing at us, and repeats a 503 under the same key
        my $start = time;
        my $settled = 0;
        while (time - $start < patience(45) && !$settled) {
            my $answer = $user->post('us', seconds => 15);
            $settled =
                   $answer->{status} == 201
                && $answer->{route} eq 'local'
                && $user->claims->{unit} eq 'us';
            sleep 0.1;
        }
        ok $settled, 'the user is served at us in the end';
        is_deeply [$user->posts('us')], [$user->written],
            'each acknowledged write is there once, in order';
        my @own = map {
            $units->dbh($_)
                ->selectrow_array('select state from punit.own where user_id = ?', {}, $user->id)
        } qw(eu us);
        is $own[1], 'OWNED', 'us owns the user';
        ok wait_until(
            sub {
                $units->dbh('eu')
                    ->selectrow_array('select state from punit.own where user_id = ?', {},
                    $user->id) eq 'COPY'
            },
            15
            ),
            'eu knows';
        is $units->dbh('us')
            ->selectrow_array('select count(*) from metrics.sample where user_id = ?', {},
            $user->id), 24_000,
            'all samples of the user came along';
    };
}

done_testing;
