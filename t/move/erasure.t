# Export and erasure: what the system holds on a user, and that none of it is left.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use POSIX ();
use Test::More;

my @all = qw(eu us ap);
my $units = Punit::Units->start(units => \@all,
    env => { PUNIT_MOVE_DWELL => '1s', PUNIT_MOVE_QUIET => '1s' });

sub ok_ask {
    my ($user, $unit, $method, $path, $body) = @_;
    my $answer = $user->ask($unit, $method, $path, $body);
    like $answer->{status}, qr/^20/, "$method $path at $unit" or diag $answer->{content};
    return $answer->{json};
}

# Tables of a unit in which some row's text holds one of the strings: "unit schema.table: row".
sub found {
    my ($unit, @strings) = @_;
    my $db = $units->dbh($unit);
    my $tables = $db->selectcol_arrayref(
        q{select format('%I.%I', n.nspname, c.relname)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
        order by 1}
    );
    cmp_ok scalar @$tables, '>', 25, "tables searched at $unit";
    my @found;
    for my $table (@$tables) {
        my $rows = $db->selectcol_arrayref(
            "select t::text from $table t where "
                . join(' or ', ('strpos(lower(t::text), ?) > 0') x @strings),
            undef, map {lc} @strings
        );
        push @found, map {"$unit $table: $_"} @$rows;
    }
    return @found;
}

# Users who have to do with each other, and something of one of them in every table; also a copy and
# a trace elsewhere.
sub busy_user {
    my $user = Punit::User->register($units, 'eu');
    my ($fan, $idol) = (Punit::User->register($units, 'us'), Punit::User->register($units, 'ap'));
    ok_ask($user, 'eu', PATCH => '/profile', { name => 'Somebody', locale => 'de' });
    my $type = $user->ask('eu', GET => '/metrics/types?limit=1')->{json}{items}[0];
    ok_ask(
        $user, 'eu',
        POST => '/metrics/samples',
        [{
            type_id => $type->{id}, at => POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime),
            value => $type->{min} // 1
        }]);
    my $sport = $user->ask('eu', GET => '/sports?limit=1')->{json}{items}[0];
    ok_ask($user, 'eu', POST => '/activities',
        { sport_id => $sport->{id}, started_at => '2026-01-01T00:00:00.000Z', note => 'a walk' });
    $user->post('eu');
    ok_ask($fan, 'us', PUT => '/social/following/' . $user->id);
    ok_ask($user, 'eu', PUT => '/social/following/' . $idol->id);
    my $hit = ok_ask($idol, 'ap', POST => '/social/posts', { text => 'a hit' })->{id};
    ok wait_until(
        sub {
            grep { $_->{id} eq $hit } @{ $user->ask('eu', GET => '/social/feed')->{json}{items} }
        },
        5
        ),
        'the user reads it';
    ok_ask($user, 'eu', PUT => "/social/posts/$hit/like");
    ok wait_until(sub { @{ $fan->ask('us', GET => '/social/feed')->{json}{items} } }, 5),
        'the user is read';
    my $mine = $fan->ask('us', GET => '/social/feed')->{json}{items}[0]{id};
    ok_ask($fan, 'us', PUT => "/social/posts/$mine/like");
    ok wait_until(sub { ($idol->ask('ap', GET => "/social/posts/$hit")->{json}{likes} // 0) == 1 },
        5), 'the user\'s like arrives';
    ok wait_until(sub { ($user->ask('eu', GET => "/social/posts/$mine")->{json}{likes} // 0) == 1 },
        5), 'and that of the fan';
    # the user and a follower leave copies behind
    $user->cross('us');
    $fan->cross('eu');
    return ($user, $fan, $idol, $hit);
}

sub hash_of {
    return $units->one($_[0],
        q{select encode(name_hash, 'hex') from auth.credential where user_id = ?}, $_[1]->id)
}

# Only the rows ERASED hold anything of the user.
sub only_erased {
    my ($user, $hash, @where) = @_;
    my $gone = wait_until(
        sub {
            for my $unit (@where) {
                return 0
                    if $units->one($unit, q{select count(*) from punit.outbox})
                    || (
                    $units->one($unit, q{select state from punit.own where user_id = ?}, $user->id)
                    // '') ne 'ERASED';
            }
            1
        },
        20
    );
    ok $gone, 'every unit has heard of it, and no message is left';
    for my $unit (@where) {
        my @found = found($unit, $user->id, $user->email, $hash);
        is scalar @found, 1, "one row of the user at $unit" or diag join "\n", @found;
        like $found[0], qr/^$unit punit\.own: .*ERASED/, 'which keeps the user from coming back';
    }
}

subtest 'the export holds what each service has of the user' => sub {
    my ($user, $fan, $idol, $hit) = busy_user();
    my $x = ok_ask($user, 'us', GET => '/profile/export');
    is $x->{user_id}, $user->id;
    is $x->{profile}{name}, 'Somebody', 'profile';
    is $x->{sports}{activities}[0]{note}, 'a walk', 'sports';
    is @{ $x->{metrics}{samples} }, 1, 'metrics';
    is $x->{auth}{email_hash}, hash_of('us', $user), 'auth: the e-mail, as it is held';
    is @{ $x->{auth}{sessions} }, 1, 'auth: the session';
    ok exists $x->{training}, 'training';
    is_deeply [map { $_->{text} } @{ $x->{social}{posts} }], [$user->written], 'social: posts';
    is $x->{social}{following}[0]{user_id}, $idol->id, 'the users followed';
    is $x->{social}{followers}[0]{user_id}, $fan->id, 'the followers';
    is $x->{social}{likes}[0]{post_id}, $hit, 'what the user likes';
    is $x->{social}{liked_by}[0]{user_id}, $fan->id, 'the users that like';
    is $x->{social}{feed}[0]{text}, 'a hit', 'what the user reads';
    is $x->{punit}{owner}{unit}, 'us', 'and where the user lives';
    unlike JSON::PP::encode_json($x), qr/argon2id/, 'but not the hash of the password';
};

subtest 'every table of users is part of an export, and exports fail if one is not' =>
    sub {
    is_deeply $units->one($_, 'select punit.not_exported()'), [], "at $_" for @all;
    my $db = $units->dbh('eu');
    $db->begin_work;
    $db->do('create table social.novelty (user_id uuid primary key, ver bigint not null)');
    $db->do(q{select punit.register_user_table('social.novelty')});
    ok !eval { $db->do('select punit.export_user(gen_random_uuid())'); 1 }, 'refused';
    like $@, qr/social\.novelty/, 'and named';
    $db->rollback;
    };

subtest
    'an erased user is gone from every table of every unit, and so are others\' rows of the user' =>
    sub {
    my ($user, $fan, $idol, $hit) = busy_user();
    my $hash = hash_of('us', $user);
    my $token = $user->token;
    cmp_ok scalar(found($_, $user->id)), '>', 1,
        "before, there are rows of the user at $_" for @all;
    is $user->ask('us', DELETE => '/profile')->{status}, 204, 'the user is erased';
    only_erased($user, $hash, @all);
    for my $unit (@all) {
        ok wait_until(sub { $units->http($unit, GET => '/profile', $token)->{status} == 401 }, 5),
            "the token is dead at $unit";
    }
    is $units->http('eu', POST => '/auth/refresh', undef, { refresh_token => $user->{refresh} })
        ->{status}, 401, 'the session, too';
    is $units->http('eu', POST => '/auth/login', undef,
        { email => $user->email, password => 'correct horse battery' })->{status}, 401,
        'and the password';
    is_deeply $fan->ask('eu', GET => '/social/feed')->{json}{items}, [], 'the posts are in no feed';
    is_deeply $fan->ask('eu', GET => '/social/following')->{json}{items}, [],
        'nobody follows the user';
    is $idol->ask('ap', GET => "/social/posts/$hit")->{json}{likes}, 0,
        'the like is counted no more';
    is $fan->ask('eu', PUT => '/social/following/' . $user->id)->{status}, 404,
        'nor can anybody begin to';
    my $again = $units->http(
        'ap', POST => '/auth/register', undef,
        { email => $user->email, password => 'correct horse battery', name => 'Again' });
    is $again->{status}, 201, 'the e-mail address is free again' or diag $again->{content};
    isnt $again->{json}{user_id}, $user->id, 'for another user';
    sleep 1;
    is $units->one($_, 'select state from punit.own where user_id = ?', $user->id), 'ERASED',
        "$_ remembers that the user is erased"
        for @all;
    };

subtest 'a unit that is down hears of an erasure when it is back' => sub {
    my ($user, $fan, $idol) = busy_user();
    my $hash = hash_of('us', $user);
    my $token = $user->token;
    $units->process('eu', 'postgres', 'down');
    is $user->ask('us', DELETE => '/profile')->{status}, 204,
        'erased while the unit with the copy, and with the fan, is down';
    ok wait_until(
        sub {
            $units->one('ap', q{select count(*) from punit.inbox_late where kind = 'erase'
                and user_id = ?}, $user->id)
        },
        5
        ),
        'the other unit hears of it at once';
    is $units->one('ap', 'select n from punit.user_digest(?, -1)', $user->id), 0,
        'and has no rows of the user';
    isnt $units->one('ap', 'select state from punit.own where user_id = ?', $user->id) // 'none',
        'ERASED', 'but the user is not erased there before the former owner agrees';
    is $units->http('us', GET => '/profile', $token)->{status}, 401, 'the token is dead';
    $units->process('eu', 'postgres', 'up');
    ok wait_until(
        sub {
            eval { $units->one('eu', 'select 1') }
        },
        20
        ),
        'the unit is back';
    only_erased($user, $hash, @all);
    is_deeply $fan->ask('eu', GET => '/social/feed')->{json}{items}, [],
        'the fan\'s feed is without the user';
};

done_testing;
