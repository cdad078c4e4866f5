# A user crosses a border and comes back: what a client sees, and what the units record.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

my $units = Punit::Units->start(env => { PUNIT_MOVE_DWELL => '1s', PUNIT_MOVE_QUIET => '1s' });

sub move_to {
    my ($unit, $user) = @_;
    return $units->dbh($unit)->selectrow_hashref(
        q{select * from punit.move where user_id = ? and result = 'moved' order by finished_at desc
            limit 1},
        {}, $user->id
    );
}

subtest 'the crossing of make run is as designed' => sub {
    my $output = qx{"$FindBin::Bin/../../demo/crossing" --dir "@{[ $units->dir ]}" 2>&1};
    is $?, 0, 'exit code' or diag $output;
    like $output, qr/the border crossing is as designed/, 'its last line';
};

subtest 'a user that writes all the while loses nothing and sees no error' => sub {
    my $user = Punit::User->register($units, 'eu');
    my (%status, %route);
    for my $unit ('eu', 'us', 'eu', 'ap', 'us') {
        my $start = time;
        my $local = 0;
        while ($local < 5 && time - $start < patience(12)) {
            my $answer = $user->post($unit);
            $status{ $answer->{status} }++;
            $route{ $answer->{route} }++;
            $local++ if $answer->{route} eq 'local' && $user->claims->{unit} eq $unit;
            sleep 0.05;
        }
        is $local, 5, "served at $unit in the end";
    }
    is_deeply [keys %status], [201], 'every write was answered 201' or diag explain \%status;
    ok $route{forward}, 'some were forwarded';
    is_deeply [$user->posts('us')], [$user->written],
        'each acknowledged write is there once, in order';
};

subtest 'coming back costs only what changed' => sub {
    my $user = Punit::User->register($units, 'eu');
    $user->post('eu') for 1 .. 40;
    $user->cross('us');
    my $out = move_to('us', $user);
    is $out->{mode}, 'full', 'the first crossing copies the user';
    cmp_ok $out->{rows_sent}, '>', 40, 'with all rows of the user';
    $user->post('us') for 1 .. 3;
    $user->cross('eu');
    my $back = move_to('eu', $user);
    is $back->{mode}, 'delta', 'the way back is a delta';
    cmp_ok $back->{rows_sent}, '<=', 6, 'of three posts and their dedup records';
    cmp_ok $back->{rows_sent}, '>=', 3, 'and no fewer';
    is_deeply [$user->posts('eu')], [$user->written], 'and the user has everything';
};

subtest 'a request repeated with its Idempotency-Key after a move gets the answer of before' =>
    sub {
    my $user = Punit::User->register($units, 'eu');
    my %key = (headers => { 'idempotency-key' => 'across-the-border' });
    my $first = $user->ask('eu', POST => '/social/posts', { text => 'once' }, %key);
    is $first->{status}, 201, 'made at eu';
    $user->cross('us');
    my $again = $user->ask('us', POST => '/social/posts', { text => 'once' }, %key);
    is "$again->{status} $again->{unit} $again->{route}", '201 us local', 'repeated at us, by us';
    is $again->{content}, $first->{content}, 'the same answer';
    is $user->ask('us', POST => '/social/posts', { text => 'twice' }, %key)->{status}, 422,
        'another body under the key is refused';
    is_deeply [$user->posts('us')], ['once'], 'made once';
    };

subtest 'an old token still finds its way' => sub {
    my $user = Punit::User->register($units, 'eu');
    my $old = $user->token;
    $user->cross('us');
    isnt $user->token, $old, 'the user has a new token';
    my $own = sub {
        return map {
            $units->dbh($_)
                ->selectrow_array('select state from punit.own where user_id = ?', {}, $user->id)
                // '-'
        } qw(eu us ap);
    };
    is_deeply [$own->()], ['COPY', 'OWNED', '-'], 'one owner';
    for my $unit (qw(eu us ap)) {
        my $answer = $units->http($unit, GET => '/profile', $old);
        is $answer->{status}, 200, "the old one is good at $unit";
        is $answer->{headers}{'punit-unit'}, 'us', 'and us answers';
    }
    # A unit that was asked may begin a warm copy.
    is_deeply [map { $_ eq 'OWNED' ? 'OWNED' : '-' } $own->()], ['-', 'OWNED', '-'],
        'the same owner after that';
};

subtest 'the catalogue is the same in every unit and comes from the grid' => sub {
    my $user = Punit::User->register($units, 'eu');
    my %count =
        map { $_ => $units->dbh($_)->selectrow_array('select count(*) from training.exercise') }
        qw(eu us ap);
    cmp_ok $count{eu}, '>', 50, "$count{eu} exercises";
    is_deeply [@count{qw(us ap)}], [@count{qw(eu eu)}], 'everywhere';
    for my $unit (qw(eu us ap)) {
        my $first = $user->ask($unit, GET => '/training/exercises?limit=7&level=expert');
        is $first->{status}, 200, "read at $unit";
        my $second = $user->ask($unit, GET => '/training/exercises?limit=7&level=expert');
        is $second->{route}, 'grid', 'the second read is from the grid';
        is $second->{unit}, $unit, 'of this unit, with a token of another';
        is $second->{content}, $first->{content}, 'and the same';
        is $second->{headers}{etag}, $first->{headers}{etag}, 'etag too';
        my $same = $user->ask(
            $unit, GET => '/training/exercises?limit=7&level=expert', undef,
            headers => { 'if-none-match' => $first->{headers}{etag} });
        is $same->{status}, 304, 'a client that has it is told so';
    }
};

subtest 'login and refresh work at any unit' => sub {
    my $user = Punit::User->register($units, 'eu');
    my $body = { email => $user->email, password => 'correct horse battery' };
    for my $unit (qw(eu us ap)) {
        my $login = $units->http($unit, POST => '/auth/login', undef, $body);
        is $login->{status}, 200, "login at $unit";
        is $login->{json}{unit}, 'eu', 'by the owner';
        my $refresh = $units->http($unit, POST => '/auth/refresh', undef,
            { refresh_token => $login->{json}{refresh_token} });
        is $refresh->{status}, 200, "refresh at $unit";
        isnt $refresh->{json}{refresh_token}, $login->{json}{refresh_token}, 'rotates';
    }
    my $again = $units->http('us', POST => '/auth/register', undef, { %$body, name => 'Again' });
    is $again->{status}, 409, 'an e-mail exists once in the whole system';
};

subtest 'a session that ends, ends in every unit' => sub {
    my $user = Punit::User->register($units, 'eu');
    is $user->ask($_, GET => '/training/exercises?limit=1')->{status}, 200, "good at $_"
        for qw(eu us ap);
    is $user->ask('us', POST => '/auth/logout')->{status}, 204,
        'logout, at another unit than the owner';
    for my $unit (qw(eu us ap)) {
        ok wait_until(
            sub { $user->ask($unit, GET => '/training/exercises?limit=1')->{status} == 401 }, 5),
            "refused at $unit";
    }
};

subtest 'an operator moves a user and sees where the user is' => sub {
    my $user = Punit::User->register($units, 'eu');
    my ($code, $output) = $units->punitctl('eu', 'move', $user->id, '--to', 'ap', '--wait');
    is $code, 0, 'punitctl move' or diag $output;
    ($code, $output) = $units->punitctl('us', 'user', $user->id);
    is $code, 0, 'punitctl user' or diag $output;
    like $output, qr/^.*\bap\b.*\bOWNED\b/m, 'names the owner';
    is $user->ask('ap', GET => '/profile')->{route}, 'local', 'the unit that serves the user';
    ($code, $output) = $units->punitctl('us', 'status');
    is $code, 0, 'punitctl status' or diag $output;
};

done_testing;
