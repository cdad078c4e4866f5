# Sessions and tokens at one unit: refresh and its rotation, logout, introspection, reissue, keys.

use strict;
use warnings;
use Test::More;
use IO::Socket::UNIX;
use JSON::PP ();

use Punit::AuthWorker;
use Punit::Postgres;
use Punit::Grid;
use Punit::Session;
use Punit::Tree qw(root);
use Punit::Wait qw(wait_until);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
my $dbh = $pg->dbh;
my $auth = Punit::AuthWorker->new($pg);
$dbh->do(q(select auth.assign_buckets('{eu}')));

my $n = 0;
sub someone {
    my $a = $auth->post('/auth/register',
        { email => 'user' . ++$n . '@example.org', password => 'correct horse', name => 'U' });
    return $a->{json};
}
sub login {
    return $auth->post('/auth/login',
        { email => "user$n\@example.org", password => 'correct horse' })->{json}
}
sub refresh { return $auth->post('/auth/refresh', { refresh_token => $_[0] }) }
sub as { return Punit::AuthWorker::as($_[0]{access_token}) }
sub claims { return Punit::AuthWorker::claims($_[0]{access_token}) }

sub active {
    my $a = $auth->get('/punit/introspect', as($_[0]));
    return $a->{status} != 200 ? $a->{status} : $a->{json}{active} ? 'active' : $a->{json}{reason};
}

# as if the last rotation of the user were so many seconds ago
sub age {
    my ($user, $seconds) = @_;
    $dbh->begin_work;
    $dbh->do('select punit.bump(?)', undef, $user);
    $dbh->do(
        'update auth.refresh set rotated_at = rotated_at - make_interval(secs => ?)
          where user_id = ?',
        undef,
        $seconds, $user
    );
    $dbh->commit;
}

# ---- refresh
{
    my $first = someone();
    my $second = refresh($first->{refresh_token});
    is $second->{status}, 200, 'a refresh token gets a new pair';
    $second = $second->{json};
    isnt $second->{refresh_token}, $first->{refresh_token}, 'with another refresh token';
    isnt claims($second)->{jti}, claims($first)->{jti}, 'and another access token';
    is claims($second)->{sid}, claims($first)->{sid}, 'of the same session';
    is active($first), 'active', 'the old access token lives on until it expires';

    my $third = refresh($second->{refresh_token})->{json};
    age($first->{user_id}, 11);
    is refresh($first->{refresh_token})->{status}, 401, 'an old refresh token is refused';
    is refresh($third->{refresh_token})->{status}, 401, 'and ends its whole family';
    is active($_), 'revoked', 'access tokens too' for $first, $second, $third;
    is $dbh->selectrow_array('select count(*) from auth.session where user_id = ?', undef,
        $first->{user_id}), 0,
        'the session is gone';
}
{
    my $first = someone();
    my $lost = refresh($first->{refresh_token})->{json};
    age($first->{user_id}, 9);
    my $again = refresh($first->{refresh_token});
    is $again->{status}, 200, 'a client that lost the answer may repeat within 10 s';
    isnt $again->{json}{refresh_token}, $lost->{refresh_token}, 'and gets another pair';
    my $next = refresh($again->{json}{refresh_token});
    is $next->{status}, 200, 'which is good';
    is refresh($lost->{refresh_token})->{status}, 200, 'as is the first one for as long';
    age($first->{user_id}, 11);
    is refresh($lost->{refresh_token})->{status}, 401, 'afterwards using it again ends the family';
    is refresh($next->{json}{refresh_token})->{status}, 401, 'all of it';
}
{
    my $first = someone();
    refresh($first->{refresh_token});
    age($first->{user_id}, 10);
    is refresh($first->{refresh_token})->{status}, 401, 'after 10 s a repetition is a reuse';
}
{
    my $me = someone();
    my $forged = $me->{refresh_token};
    substr $forged, 40, 10, 'AAAAAAAAAA';
    my $before =
        $dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $me->{user_id});
    is refresh($forged)->{status}, 401, 'a made-up token is refused';
    is $dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $me->{user_id}),
        $before,
        'and writes nothing';
    is refresh($me->{refresh_token})->{status}, 200,
        'nor does it end the session of the user that it names';
    is refresh($_)->{status}, 401, 'a text that is no refresh token is refused'
        for 'x', 'x' x 80, substr($me->{refresh_token}, 0, 79),
        '00000000' . substr($me->{refresh_token}, 8);
    is $auth->post('/auth/refresh', {})->{status}, 422, 'a body without one is invalid';
    is $auth->post('/auth/refresh', { refresh_token => 'x' x 201 })->{status}, 422,
        'so is one that is far too long';
}
{
    my $me = someone();
    $dbh->begin_work;
    $dbh->do('select punit.bump(?)', undef, $me->{user_id});
    $dbh->do(q(update auth.session set expires_at = now() - interval '1 s' where user_id = ?),
        undef, $me->{user_id});
    $dbh->commit;
    is refresh($me->{refresh_token})->{status}, 401, 'a session not used for 30 days has ended';
}
{
    my $me = someone();
    my $answers = join ' ', sort map { $auth->fcgi->collect($_)->{status} }
        map {
        $auth->fcgi->send_only(POST => '/auth/refresh',
            body => { refresh_token => $me->{refresh_token} })
        } 1 .. 4;
    is $answers, '200 200 200 200', 'four tabs that refresh at once all get a pair';
}

# ---- the life of a session
{
    # as if the user had logged in so long ago
    my $age = sub {
        my ($user, $interval) = @_;
        $dbh->begin_work;
        $dbh->do('select punit.bump(?)', undef, $user);
        $dbh->do('update auth.session set created_at = now() - ?::interval where user_id = ?',
            undef, $interval, $user);
        $dbh->commit;
    };
    my $rest = sub {
        $dbh->selectrow_array(
            q(select extract(epoch from expires_at - now())::int from auth.session
               where user_id = ?),
            undef, $_[0])
    };
    my $me = someone();
    my $id = $me->{user_id};
    is $rest->($id), 30 * 86400, 'a session without a refresh lives for 30 days';
    $age->($id, '80 days');
    $me = refresh($me->{refresh_token})->{json};
    is $me->{expires_in}, 900, 'a session of 80 days is refreshed';
    cmp_ok abs($rest->($id) - 10 * 86400), '<', 100, 'until it is 90 days old and no longer';
    $age->($id, '89 days 23:59:00');
    $me = refresh($me->{refresh_token})->{json};
    my $claims = claims($me);
    cmp_ok $me->{expires_in}, '<=', 60, 'its last token ends with it';
    is $claims->{exp} - $claims->{iat}, $me->{expires_in}, 'as the token itself says';
    $age->($id, '90 days');
    is refresh($me->{refresh_token})->{status}, 401, 'then there are no more';
    is active($me), 'revoked', 'nor is there the session';

    my $short = Punit::AuthWorker->new($pg, env => { PUNIT_SESSION_LIFE => '20m' });
    my $who = { email => 'short@example.org', password => 'correct horse' };
    $me = $short->post('/auth/register', { %$who, name => 'U' })->{json};
    cmp_ok $rest->($me->{user_id}), '<=', 1200, 'PUNIT_SESSION_LIFE counts from the registration';
    $me = $short->post('/auth/login', $who)->{json};
    $age->($me->{user_id}, '19 minutes');
    my $again = $short->post('/auth/refresh', { refresh_token => $me->{refresh_token} })->{json};
    cmp_ok $again->{expires_in}, '<=', 60, 'and from a login';
}

# ---- more tokens than a session holds
{
    my @pair = (someone());
    my $user = $pair[0]{user_id};
    # one after the other within seconds, so that many have the same exp
    push @pair, refresh($pair[-1]{refresh_token})->{json} for 1 .. 120;
    is_deeply $dbh->selectrow_array('select jti from auth.session where user_id = ?', undef, $user),
        [map { claims($_)->{jti} } @pair[-100 .. -1]], 'a session holds its newest 100 tokens';
    is_deeply [map { active($_) } @pair[0, 20, 21, 120]], [qw(revoked revoked active active)],
        'and ends older ones';
    $dbh->do('select auth.end_sessions(?)', undef, $user);
    my $ended = $dbh->selectcol_arrayref(q(select subject from auth.ended where kind = 'jti'));
    my %ended = map { $_ => 1 } @$ended;
    is_deeply [grep { !$ended{ claims($_)->{jti} } } @pair], [], 'an erasure ends each token';
}

# ---- logout
{
    my $me = someone();
    my $other = login();
    my $newer = refresh($me->{refresh_token})->{json};
    is $auth->post('/auth/logout', undef)->{status}, 401, 'logout takes a token';
    my $out = $auth->post('/auth/logout', undef, as($me));
    is_deeply [$out->{status}, $out->{body}], [204, ''], 'a user logs out';
    is active($me), 'revoked', 'the user\'s token has ended';
    is active($newer), 'revoked', 'as have the others of the session';
    is refresh($newer->{refresh_token})->{status}, 401, 'it cannot be refreshed';
    is active($other), 'active', 'other sessions go on';
    is $auth->post('/auth/logout', undef, as($me))->{status}, 204,
        'logging out twice is no mistake';
    is $dbh->selectrow_array(
        q(select count(*) from auth.ended where kind = 'jti' and subject in (?, ?)), undef,
        claims($me)->{jti}, claims($newer)->{jti}
        ),
        2, 'each token of the session is named once';
}
{
    # handed over to us: nothing of the user is written here any more
    my $me = someone();
    $dbh->do(q(update punit.own set state = 'COPY', owner_hint = 'us', epoch = 2 where user_id = ?),
        undef, $me->{user_id});
    my $ver =
        $dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $me->{user_id});
    is $auth->post('/auth/logout', undef, as($me))->{status}, 204,
        'a unit that does not own the user takes the logout';
    is active($me), 'revoked', 'which ends the token';
    is_deeply $dbh->selectrow_arrayref(
        q(select origin_unit, exp > now() + interval '29 days' from auth.ended
            where kind = 'session' and subject = ?),
        undef,
        claims($me)->{sid}
        ),
        ['eu', 1], 'and the session, for as long as it could be refreshed';
    is $dbh->selectrow_array('select ver from punit.own where user_id = ?', undef, $me->{user_id}),
        $ver,
        'without writing to the user\'s rows';
    my $moved = refresh($me->{refresh_token});
    is_deeply [@{$moved}{qw(status body)}, $moved->{headers}{'punit-owner'}],
        [421, '', 'us; epoch=2'],
        'a refresh is sent to the owner';
    my $there = $auth->post('/auth/login', { email => "user$n\@example.org", password => 'wrong' });
    is_deeply [@{$there}{qw(status body)}, $there->{headers}{'punit-owner'}],
        [421, '', 'us; epoch=2'],
        'so is a login';
    my $token = $auth->get('/punit/reissue', as($me));
    is_deeply [@{$token}{qw(status body)}, $token->{headers}{'punit-owner'}],
        [421, '', 'us; epoch=2'],
        'and a token is not issued again';

    $dbh->do(
        q(update punit.own set state = 'OWNED', epoch = 3, owner_hint = null where user_id = ?),
        undef, $me->{user_id});
    is refresh($me->{refresh_token})->{status}, 401,
        'the owner honours a logout that another unit took';
    is_deeply $auth->get('/auth/sessions', as($me))->{json}{items}, [],
        'and shows the session no more';
}

{
    my $me = someone();
    my $newer = refresh($me->{refresh_token})->{json};
    $dbh->do('listen punit_ended');
    1 while $dbh->pg_notifies;
    $dbh->do('set session_replication_role = replica');
    $dbh->do(
        q(insert into auth.ended (origin_unit, kind, subject, exp)
            values ('us', 'session', ?, now() + interval '1 day')),
        undef, claims($me)->{sid});
    $dbh->do('set session_replication_role = origin');
    my @heard;
    while (my $notice = $dbh->pg_notifies) { push @heard, $notice->[2] =~ /^jti (\S+)/ }
    is_deeply [sort @heard], [sort map { claims($_)->{jti} } $me, $newer],
        'the owner ends each token of a session that another unit has ended';
    is active($newer), 'revoked', 'none of them is good';
    $dbh->do('unlisten punit_ended');
}

# ---- sessions
{
    my $first = someone();
    my $second = login();
    my $list = $auth->get('/auth/sessions', as($second))->{json};
    is_deeply [map { $_->{id} } @{ $list->{items} }],
        [claims($second)->{sid}, claims($first)->{sid}],
        'a user sees the own sessions, newest first';
    is_deeply [map { $_->{current} ? 1 : 0 } @{ $list->{items} }], [1, 0], 'and which one this is';
    is $list->{items}[0]{client}, '127.0.0.1', 'and from where';
    is $list->{next}, undef, 'there are no more';
    my $page = $auth->get('/auth/sessions?limit=1', as($second))->{json};
    my $rest = $auth->get("/auth/sessions?limit=1&cursor=$page->{next}", as($second))->{json};
    is_deeply [map { $_->{id} } @{ $page->{items} }, @{ $rest->{items} }],
        [map { $_->{id} } @{ $list->{items} }],
        'page by page too';
    my $path = '/auth/sessions/' . claims($first)->{sid};
    is $auth->delete($path, as($second))->{status}, 204, 'the user ends another session';
    is active($first), 'revoked', 'its token has ended';
    is refresh($first->{refresh_token})->{status}, 401, 'it cannot be refreshed';
    is $auth->delete($path, as($second))->{status}, 404, 'it is no longer there';
    my $stranger = someone();
    is $auth->delete('/auth/sessions/' . claims($second)->{sid}, as($stranger))->{status}, 404,
        'nobody ends the session of another';
    is active($second), 'active', 'it goes on';
    is $auth->get('/auth/sessions')->{status}, 401, 'sessions take a token';
    login() for 1 .. 2;
    $dbh->begin_work;
    $dbh->do('select punit.bump(?)', undef, $stranger->{user_id});
    $dbh->do(
        'select auth.add_session(?, gen_random_uuid(), gen_random_uuid(), now(), sha256(?::bytea),
            sha256(?::bytea), null)',
        undef,
        $stranger->{user_id}, "a$_", "b$_"
    ) for 1 .. 110;
    $dbh->commit;
    login();
    is $dbh->selectrow_array('select count(*) from auth.session where user_id = ?', undef,
        $stranger->{user_id}), 100,
        'nobody has more than 100';
}

# ---- everything at once, by an operator
{
    my ($me, $too) = (someone(), login());
    is $dbh->selectrow_array('select auth.end_user(?)', undef, $me->{user_id}), 2,
        'an operator logs a user out everywhere';
    is active($_), 'revoked', 'no token is good' for $me, $too;
    is active(login()), 'active', 'but that of a new login';
}

# ---- reissue
{
    my $me = someone();
    my $old = claims($me);
    $dbh->do('update punit.own set epoch = 5 where user_id = ?', undef, $me->{user_id});
    my %p = (as($me), PUNIT_ROLES => 'user coach', PUNIT_GEN => 7, PUNIT_CLAIM_UNIT => 'us');
    my $answer = $auth->call(PUT => '/punit/reissue', undef, %p);
    is $answer->{status}, 200,
        'a token is issued again, whatever the method of the request it is for';
    is $answer->{headers}{'content-type'}, 'application/jwt', 'as a JWT';
    is $answer->{headers}{'punit-owner'}, 'eu; epoch=5', 'by the owner';
    my $new = Punit::AuthWorker::claims($answer->{body});
    is_deeply [@$new{qw(sub jti sid iat exp)}], [@$old{qw(sub jti sid iat exp)}],
        'the same token, living no longer';
    is_deeply [@$new{qw(unit epoch gen roles)}], ['eu', 5, 7, ['user', 'coach']],
        'with the same rights, of this unit and epoch';
    is $auth->get('/punit/reissue', PUNIT_USER => $me->{user_id})->{status}, 409,
        'a token without session or end is not issued again';
    is $auth->get('/punit/reissue', %p, PUNIT_USER => '99999999-0000-4000-8000-000000000000')
        ->{status}, 409,
        'nor that of a user nobody knows';
}

# ---- keys
{
    my $me = someone();
    my $ask = sub {
        $auth->post('/auth/introspect', { token => $_[0] }, PUNIT_CLIENT => '', @_[1 .. $#_])
    };
    my $set = $auth->get('/auth/keys');
    is_deeply [map { $_->{kid} } @{ $set->{json}{keys} }], ['eu-1'], 'the unit shows its keys';
    is $set->{headers}{'content-type'}, 'application/jwk-set+json', 'as RFC 7517 says';
    my $same =
        $auth->call(GET => '/auth/keys', undef, PUNIT_IF_NONE_MATCH => $set->{headers}{etag});
    is $same->{status}, 304, 'once is enough';
    is $_->{headers}{'cache-control'}, 'public, max-age=60', 'for a minute' for $set, $same;

    # good answers of those that end nothing, and a problem of each
    my %good = (
        '/auth/login' => { email => "user$n\@example.org", password => 'correct horse' },
        '/auth/introspect' => { token => $me->{access_token} },
        '/auth/sessions' => undef,
        '/punit/introspect' => undef,
        '/punit/reissue' => undef,
        '/auth/health' => undef,
    );
    my $cached = sub { $_[0]{headers}{'cache-control'} // 'nothing' };
    my $bin = root() . '/build/bin/punit-auth';
    for my $line (split /\n/, `$bin --routes`) {
        my ($method, $path) = split / /, $line;
        next if $path eq '/auth/keys';
        $path =~ s/[{].*/$me->{user_id}/;
        if (exists $good{$path} && $method ne 'DELETE') {
            my $body = $good{$path} ? JSON::PP::encode_json($good{$path}) : undef;
            my %from = $path eq '/auth/introspect' ? (PUNIT_CLIENT => '') : as($me);
            my $answer = $auth->call($method, $path, $body, %from);
            cmp_ok $answer->{status}, '<', 300, "$line is answered";
            is $cached->($answer), 'no-store', 'which nobody may keep';
        }
        my $problem = $auth->call($method, $path, '{', CONTENT_TYPE => 'application/json');
        is $cached->($problem), 'no-store', "nor a $problem->{status} of $line";
    }

    is $ask->($me->{access_token})->{json}{active}, 1, 'a worker asks for a token';
    is $ask->($me->{access_token})->{json}{sub}, $me->{user_id}, 'and learns its user';
    is $ask->($me->{access_token}, PUNIT_CLIENT => '192.0.2.7')->{status}, 403, 'nobody else does';
    is $ask->('x.y.z')->{body}, '{"active":false}',
        'of what is no token the client learns nothing more';
    is $ask->($me->{access_token} . 'A')->{body}, '{"active":false}', 'nor of a changed one';
    $auth->add_key(2)->stop;
    $auth->start;
    is_deeply [map { $_->{kid} } @{ $auth->get('/auth/keys')->{json}{keys} }], ['eu-1', 'eu-2'],
        'a new key is shown';
    is Punit::AuthWorker::head(login()->{access_token})->{kid}, 'eu-2', 'and signs';
    is $ask->($me->{access_token})->{json}{active}, 1, 'tokens of the old one stay good';
    $auth->post('/auth/logout', undef, as($me));
    is $ask->($me->{access_token})->{body}, '{"active":false}', 'until they are ended';
}

# ---- the grid
{
    my $dir = $auth->dir;
    my $memcached = Punit::Grid->new("$dir/tokens.sock");
    my $worker =
        Punit::AuthWorker->new($pg, env => { PUNIT_TOKEN_GRID => "unix:$dir/tokens.sock" });
    my $grid = sub { return $memcached->get("punit:tok:$_[0]") // 'nothing' };
    my $me = someone();
    my $jti = claims($me)->{jti};
    is $grid->($jti), 'nothing', 'the grid knows nothing of a new token';
    $worker->get('/punit/introspect', as($me));
    is $grid->($jti), 'ok', 'a request fills it';
    $worker->post('/auth/logout', undef, as($me));
    is $grid->($jti), 'revoked', 'a logout is there at once';
    $worker->get('/punit/introspect', as($me));
    is $grid->($jti), 'revoked', 'and stays';

    my $late = someone();
    $memcached->set('punit:tok:' . claims($late)->{jti}, 0, 'revoked');
    $worker->get('/punit/introspect', as($late));
    is $grid->(claims($late)->{jti}), 'revoked', 'a fill never overwrites a revocation';

    my $hot = someone();
    $memcached->signal('STOP');
    is $worker->get('/punit/introspect', as($hot))->{json}{active}, 1,
        'a frozen grid refuses nobody';
    is $worker->post('/auth/logout', undef, as($hot))->{status}, 204,
        'and keeps nobody from logging out';
    $memcached->signal('CONT')->stop;
    is $worker->get('/punit/introspect', as($hot))->{json}{active}, 0,
        'nor does a dead one let ended tokens in';
}

# ---- PostgreSQL away
{
    my $me = someone();
    $dbh->disconnect;
    $pg->stop('immediate');
    my $down = $auth->get('/punit/introspect', as($me));
    is_deeply [$down->{status}, $down->{headers}{'retry-after'}], [503, 1],
        'without PostgreSQL nobody knows';
    is $auth->post('/auth/login', { email => 'user1@example.org', password => 'correct horse' })
        ->{status}, 503,
        'and nobody logs in';
    my %cut = (
        logout => ['/auth/logout', {}],
        'a refresh' => ['/auth/refresh', { refresh_token => $me->{refresh_token} }],
        'a change of password' =>
            ['/auth/password', { old => 'correct horse', new => 'another horse' }],
    );
    for my $what (sort keys %cut) {
        my $answer = $auth->post(@{ $cut{$what} }, as($me));
        is_deeply [@$answer{qw(status)}, $answer->{headers}{'retry-after'}], [503, 1],
            "$what is put off";
    }
    $pg->start;
    ok wait_until(sub { active($me) eq 'active' }, 10), 'until it is back';
}

done_testing;
