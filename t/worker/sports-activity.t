# Sports: the activities of each user.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Wait qw(wait_until);
use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $sports = Punit::Worker->new($pg, 'sports');
my $nobody = '00000000-0000-4000-8000-000000000000';

$db->do('select sports.seed()');
my %sport = map { $_->{name} => $_->{id} } $sports->items('/sports');

my $n = 0;

# A new user, owned here.
sub user {
    my $id = sprintf 'b0000000-0000-4000-8000-%012d', ++$n;
    $db->do('select punit.create_user(?)', undef, $id);
    return $id;
}

sub activity { return { sport_id => $sport{Running}, started_at => '2026-03-01T08:00:00Z', @_ } }

sub add {
    my ($user, %a) = @_;
    my $a = $sports->post('/activities', activity(%a), user => $user);
    $a->{status} == 201 or die "$a->{status} $a->{body}";
    return $a;
}

sub ver {
    return ($db->selectrow_array('select ver from punit.own where user_id = ?', undef, $_[0]))[0]
}

subtest 'an activity is read as it was written, at its own address' => sub {
    my $user = user();
    my $a = add(
        $user, started_at => '2026-03-01T10:00:00.5+02:00', duration_s => 1800,
        distance_m => 5012.5,
        energy_kcal => 320, note => "in the \x{1F327} rain"
    );
    is $a->{headers}{location}, "/activities/$a->{json}{id}";
    is $a->{json}{started_at}, '2026-03-01T08:00:00.500Z', 'in UTC';
    is $a->{headers}{'punit-owner'}, 'eu; epoch=1';
    my $b = $sports->get($a->{headers}{location}, user => $user);
    is_deeply $b->{json}, $a->{json};
    is $b->{json}{note}, "in the \x{1F327} rain";
};

subtest 'the list is newest first, filtered by sport and time, and stable while rows come and go' =>
    sub {
    my $user = user();
    my @id = map {
        add($user, started_at => "2026-03-0${_}T08:00:00Z",
            sport_id => $sport{ $_ % 2 ? 'Running' : 'Rowing' })->{json}{id}
        }
        1 .. 6;
    my $days = sub {
        join ' ', map { substr $_->{started_at}, 8, 2 } $sports->items(@_, user => $user)
    };
    is $days->('/activities'), '06 05 04 03 02 01';
    is $days->("/activities?sport=$sport{Running}"), '05 03 01', 'sport';
    is $days->('/activities?from=2026-03-02T08:00:00Z&to=2026-03-05T08:00:00Z'), '04 03 02',
        'from, up to but without to';
    is $days->("/activities?sport=$sport{Rowing}&from=2026-03-03T00:00:00Z"), '06 04', 'together';
    my $step = 0;
    is join(
        ' ',
        map { substr $_->{started_at}, 8, 2 } $sports->items(
            '/activities?limit=2',
            user => $user,
            between => sub {
                return if $step++;
                $sports->delete("/activities/$id[4]", user => $user);    # the page's last row
                add($user, started_at => '2026-03-09T08:00:00Z');
            })
        ),
        '06 05 04 03 02 01';
    my @same = map { add($user, started_at => '2026-04-01T08:00:00Z')->{json}{id} } 1 .. 5;
    is_deeply [sort map { $_->{id} }
            $sports->items('/activities?from=2026-04-01T00:00:00Z&limit=2', user => $user)],
        [sort @same], 'of one moment too';
    };

subtest 'a user sees and changes only own rows' => sub {
    my ($he, $she) = (user(), user());
    my $path = add($he)->{headers}{location};
    is $sports->get($path, user => $she)->{status}, 404;
    is $sports->patch($path, { note => 'mine' }, user => $she)->{status}, 404;
    is $sports->delete($path, user => $she)->{status}, 404;
    is_deeply [$sports->items('/activities', user => $she)], [];
    is $sports->get($path, user => $he)->{json}{note}, undef;
    is $sports->get($path)->{status}, 401, 'and nobody without a user';
};

subtest 'a merge patch changes the members it has, null removes' => sub {
    my $user = user();
    my $path =
        add($user, duration_s => 600, distance_m => 1000, note => 'short')->{headers}{location};
    my $a = $sports->patch($path, { duration_s => 660, note => undef }, user => $user,
        type => 'application/merge-patch+json');
    is $a->{status}, 200;
    is_deeply [@{ $a->{json} }{qw(duration_s distance_m note sport_id)}],
        [660, 1000, undef, $sport{Running}];
    is_deeply $sports->get($path, user => $user)->{json}, $a->{json};
    is $sports->patch($path, {}, user => $user)->{status}, 200, 'an empty one changes nothing';
    is $sports->patch($path, { sport_id => $sport{Rowing} }, user => $user)->{json}{sport_id},
        $sport{Rowing};
};

subtest 'what is wrong with a body is told by pointers, and nothing is written' => sub {
    my $user = user();
    my $path = add($user)->{headers}{location};
    my $ver = ver($user);
    my $a = $sports->post('/activities',
        { sport_id => 'x', duration_s => 1.5, distance_m => -1, pace => 1 }, user => $user);
    is $a->{status}, 422;
    is_deeply [sort split / /, $a->{pointers}],
        [sort qw(/sport_id /started_at /duration_s /distance_m /pace)];
    for (
        [{ sport_id => $nobody }, '/sport_id'], [{ programme_id => $nobody }, '/programme_id'],
        [{ started_at => '1066-10-14T09:00:00Z' }, '/started_at'])
    {
        my ($members, $pointer) = @$_;
        $a = $sports->post('/activities', activity(%$members), user => $user);
        is "$a->{status} $a->{pointers}", "422 $pointer", "POST $pointer";
        $a = $sports->patch($path, $members, user => $user);
        is "$a->{status} $a->{pointers}", "422 $pointer", "PATCH $pointer";
    }
    is $sports->patch($path, { sport_id => undef }, user => $user)->{pointers}, '/sport_id',
        'what is needed cannot be removed';
    is $sports->post('/activities', '{"sport_id":', user => $user)->{status}, 400, 'no JSON';
    is ver($user), $ver;
};

subtest 'an activity takes no retired sport, and keeps one that retires later' => sub {
    my $user = user();
    my @editor = (user => 'e0000000-0000-4000-8000-000000000001', roles => 'editor');
    my $made = $sports->post('/sports', { name => 'Fad', category => 'gym', met => 3 }, @editor)
        ->{json}{id};
    my $path = add($user, sport_id => $made)->{headers}{location};
    $sports->delete("/sports/$made", @editor);
    is $sports->post('/activities', activity(sport_id => $made), user => $user)->{pointers},
        '/sport_id';
    is $sports->patch($path, { note => 'good times' }, user => $user)->{status}, 200;
};

subtest 'an activity may name a programme of the catalogue' => sub {
    my $user = user();
    my ($id) = $db->selectrow_array(
        q{insert into training.programme (name, exercises) values ('P', '[]') returning id});
    is add($user, programme_id => $id)->{json}{programme_id}, $id;
};

subtest 'the same Idempotency-Key makes one activity, another body under it is refused' => sub {
    my $user = user();
    my $a = $sports->post('/activities', activity(), user => $user, key => 'k');
    my $b = $sports->post('/activities', activity(), user => $user, key => 'k');
    is $b->{status}, 201;
    is $b->{body}, $a->{body};
    is $b->{headers}{location}, $a->{headers}{location};
    my $c = $sports->post('/activities', activity(note => 'other'), user => $user, key => 'k');
    is $c->{status}, 422;
    is $c->{json}{type}, 'urn:punit:key-reused';
    is scalar($sports->items('/activities', user => $user)), 1;
    isnt $sports->post('/activities', activity(), user => user(), key => 'k')->{json}{id},
        $a->{json}{id},
        'another user has other keys';
};

subtest 'the same key twice at the same moment makes one activity' => sub {
    my $user = user();
    # both wait for the own row, so neither sees the other's answer when it begins
    my $lock = $pg->dbh;
    $lock->begin_work;
    $lock->do('select from punit.own where user_id = ? for update', undef, $user);
    my $fcgi = $sports->{fcgi};
    my @running = map {
        $fcgi->send_only('POST', '/activities', user => $user, key => 'k', body => activity())
    } 1 .. 2;
    wait_until(sub {
        return $db->selectrow_array(q{select count(*) = 2 from pg_stat_activity
            where usename = 'punit_sports' and wait_event_type = 'Lock'});
    }) or die 'they do not wait';
    $lock->commit;
    my @answers = map { $fcgi->collect($_) } @running;
    is_deeply [map { $_->{status} } @answers], [201, 201];
    is $answers[0]{body}, $answers[1]{body};
    is scalar($sports->items('/activities', user => $user)), 1;
};

subtest 'DELETE removes it and leaves a tombstone' => sub {
    my $user = user();
    my $a = add($user);
    is $sports->delete($a->{headers}{location}, user => $user)->{status}, 204;
    is $sports->delete($a->{headers}{location}, user => $user)->{status}, 404;
    is $sports->get($a->{headers}{location}, user => $user)->{status}, 404;
    is_deeply $db->selectrow_arrayref('select tab, pk->>0 from punit.tomb where user_id = ?',
        undef, $user),
        ['sports.activity', $a->{json}{id}];
};

subtest 'a user owned elsewhere is sent there, and nothing is written' => sub {
    my $user = user();
    my $path = add($user)->{headers}{location};
    $db->do(q{update punit.own set state = 'COPY', epoch = 4, owner_hint = 'us' where user_id = ?},
        undef, $user);
    for (
        [POST => '/activities', activity()], [GET => '/activities', undef], [GET => $path, undef],
        [PATCH => $path, { note => 'x' }], [DELETE => $path, undef])
    {
        my $a = $sports->call(@$_, user => $user);
        is $a->{status}, 421, "$_->[0] $_->[1]";
        is $a->{headers}{'punit-owner'}, 'us; epoch=4';
        is $a->{body}, '';
    }
    is_deeply $db->selectrow_arrayref(
        'select count(*), max(note) from sports.activity where user_id = ?', undef, $user),
        [1, undef];
};

subtest 'a copy answers reads while its owner is down, and says how old it is' => sub {
    my $user = user();
    my $path = add($user)->{headers}{location};
    $db->do(
        q{update punit.own set state = 'COPY', epoch = 4, owner_hint = 'us',
            touched_at = now() - interval '90 s'
        where user_id = ?}, undef, $user
    );
    for my $p ('/activities', $path) {
        my $a = $sports->get($p, user => $user, route => 'stale');
        is $a->{status}, 200, $p;
        like $a->{headers}{'punit-stale'}, qr/^9\d$/;
    }
    is $sports->delete($path, user => $user, route => 'stale')->{status}, 503, 'but no writes';
    is $sports->get($path, user => $user, route => 'stale')->{status}, 200, 'which change nothing';
    $db->do('update punit.own set ver = -1 where user_id = ?', undef, $user);
    is $sports->get($path, user => $user, route => 'stale')->{status}, 503, 'nor an empty copy';
};

subtest 'a user that nobody knows is 401' => sub {
    is $sports->get('/activities', user => $nobody)->{status}, 401;
    is $sports->post('/activities', activity(), user => $nobody)->{status}, 401;
};

done_testing;
