# What a client sees while something is down, and that all is well again when it is back.
use strict;
use warnings;
use POSIX ();
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Services qw(services);
use Punit::Tries;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us'],
    env => { PUNIT_MOVE_DWELL => '1s', PUNIT_MOVE_QUIET => '1s' });

sub refused_for_now {
    my ($answer, $name) = @_;
    is $answer->{status}, 503, "$name: 503" or diag $answer->{content};
    like $answer->{headers}{'content-type'} // '', qr{^application/problem\+json},
        "$name: a problem";
    like $answer->{headers}{'retry-after'} // '', qr/^\d+$/, "$name: Retry-After";
    return;
}

sub good_again {
    my ($user, $unit, $name) = @_;
    ok wait_until(sub { $user->ask($unit, GET => '/profile')->{status} == 200 }, 15), $name;
    return;
}

subtest 'memcached down: served without it' => sub {
    my $user = Punit::User->register($units, 'eu');
    $user->ask('eu', GET => '/training/exercises?limit=3') for 1 .. 2;
    $units->process('eu', $_, 'down') for qw(grid tokens);
    for my $path ('/training/exercises?limit=3', '/profile', '/sports?limit=3') {
        my $answer = $user->ask('eu', GET => $path);
        is $answer->{status}, 200, $path;
        is $answer->{route}, 'local', "$path: by the service";
    }
    is $user->post('eu')->{status}, 201, 'a write';
    my $broken = $units->http('eu', GET => '/profile', 'broken');
    is $broken->{status}, 401, 'and nobody else gets in';
    $units->process('eu', $_, 'up') for qw(grid tokens);
    ok wait_until(sub { $user->ask('eu', GET => '/training/exercises?limit=3')->{route} eq 'grid' },
        15),
        'the grid is used again when it is back';
};

subtest 'PostgreSQL down: 503, and no service ends' => sub {
    my $user = Punit::User->register($units, 'eu');
    my %pids = map { $_ => $units->pid('eu', $_) } services(), qw(mover gridd);
    my $cached = $user->ask('eu', GET => '/training/exercises?limit=4');
    $units->process('eu', 'postgres', 'down');
    refused_for_now($user->ask('eu', GET => '/profile'), 'a read');
    refused_for_now($user->ask('eu', POST => '/social/posts', { text => 'lost?' }), 'a write');
    refused_for_now($user->ask('eu', POST => '/auth/logout'), 'a logout');
    refused_for_now($user->ask('eu', DELETE => '/profile'), 'an erasure');
    refused_for_now(
        $user->ask('eu', POST => '/auth/password', { old => 'x', new => 'another horse' }),
        'a change of password');
    refused_for_now(
        $units->http(
            'eu', POST => '/auth/refresh', undef,
            { refresh_token => $user->id . '.' . 'A' x 43 }
        ),
        'a refresh'
    );
    refused_for_now(
        $units->http(
            'eu', POST => '/auth/login', undef,
            { email => $user->email, password => 'correct horse battery' }
        ),
        'a login'
    );
    refused_for_now($user->ask('us', GET => '/profile'), 'a read at the other unit');
    $units->process('eu', 'postgres', 'up');
    good_again($user, 'eu', 'served again');
    good_again($user, 'us', 'at the other unit too');
    is $units->pid('eu', $_), $pids{$_}, "$_ lived through it" for sort keys %pids;
};

subtest
    'PostgreSQL of the unit that a user has just left is down: the present unit serves the user' =>
    sub {
    my $user = Punit::User->register($units, 'eu');
    my $old = $user->token;
    $user->cross('us');
    # it knows what the token says, as if it had not heard of the crossing
    my $forgetful = sub {
        $units->process('us', 'nginx', $_) for qw(down up);
        ok wait_until(sub { $units->http('us', GET => '/profile')->{status} == 401 }),
            "the front of us begins anew";
    };
    $units->process('eu', 'postgres', 'down');
    good_again($user, 'us', 'by the new token');
    for my $n (1 .. 2) {
        $forgetful->();
        my $answer = $units->http('us', POST => '/social/posts', $old, { text => "post $n" },
            headers => { 'idempotency-key' => "old-$n" });
        is "$answer->{status} $answer->{headers}{'punit-route'}", '201 local',
            'a write under the old token'
            or diag $answer->{content};
    }
    $forgetful->();
    my $answer = $units->http('us', GET => '/profile', $old);
    is "$answer->{status} $answer->{headers}{'punit-route'}", '200 local', 'and a read'
        or diag $answer->{content};
    $units->process('eu', 'postgres', 'up');
    my $other;
    wait_until(
        sub {
            $other = eval { Punit::User->register($units, 'us') }
        },
        20
    ) or die $@;
    good_again($other, 'eu', 'all is well again');

    # ---- it dies while a write of his runs there
    my $dbh = $units->connect('eu');
    my $write = sub {
        my (%headers) = @_;
        $forgetful->();
        $dbh->begin_work;
        $dbh->do('lock table punit.own in share mode');
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $admin = $units->connect('eu');
            my $struck = wait_until(sub {
                $admin->selectrow_array(
                    q{select pg_terminate_backend(pid) from pg_stat_activity
                    where usename = 'punit_social' and wait_event_type = 'Lock'}
                );
            });
            POSIX::_exit($struck ? 0 : 1);
        }
        my $answer = $units->http('us', POST => '/social/posts', $old, { text => 'while it dies' },
            headers => \%headers);
        waitpid $pid, 0;
        is $?, 0, 'its statement was cut off there';
        $dbh->rollback;
        return join ' ', $answer->{status}, $answer->{headers}{'punit-route'},
            $answer->{json}{type} // ();
    };
    is $write->('idempotency-key' => 'dies'), '201 local',
        'a write with a key: asked of the present unit';
    is $write->(), '503 forward urn:punit:unknown-outcome',
        'one without a key is not sent again: its outcome is unknown';
    $dbh->disconnect;
    };

subtest 'a peer down: 503 for its users, service for all others' => sub {
    my $away = Punit::User->register($units, 'us');
    my $here = Punit::User->register($units, 'eu');
    $units->process('us', 'nginx', 'down');
    ok once_within(
        5,
        sub {
            my $answer;
            my $seconds = took(sub { $answer = $away->ask('eu', GET => '/profile') });
            refused_for_now($answer, 'a user of the peer');
            is $answer->{json}{type}, 'urn:punit:unit-unreachable', 'says what it is';
            return $seconds;
        }
        ),
        'soon';
    refused_for_now($away->ask('eu', POST => '/social/posts', { text => 'x' }),
        'the user\'s write');
    is $away->ask('eu', GET => '/training/exercises?limit=3')->{status}, 200,
        'reference data is served to the user';
    is $here->ask('eu', GET => '/profile')->{status}, 200, 'a user of this unit';
    $units->process('us', 'nginx', 'up');
    good_again($away, 'eu', 'served again when it is back');
};

subtest
    'a service that is down answers 503, others go on, and it is back in under 2 s'
    => sub {
    my $user = Punit::User->register($units, 'eu');
    for my $service (qw(social auth mover gridd grid nginx)) {
        my $restart = sub {
            my $pid = $units->pid('eu', $service);
            kill KILL => $pid;
            ok wait_until(sub { my $new = $units->pid('eu', $service); $new && $new != $pid }, 10),
                "$service is back";
        };
        ok once_within(2, sub { took($restart) }), "$service: in under 2 s";
    }
    good_again($user, 'eu', 'a read');
    is $user->post('eu', seconds => 5)->{status}, 201, 'a write';
    is $units->http(
        'eu', POST => '/auth/login', undef,
        { email => $user->email, password => 'correct horse battery' })->{status}, 200, 'a login';
    };

done_testing;
