# Metrics: the samples of each user, written by thousands.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $metrics = Punit::Worker->new($pg, 'metrics');
my $nobody = '00000000-0000-4000-8000-000000000000';

$db->do('select metrics.seed(), sports.seed()');
my %type = map { $_->{name} => $_->{id} } $metrics->items('/metrics/types');
my ($mass, $pulse) = @type{ 'Body mass', 'Heart rate' };

my $n = 0;

# A new user, owned here.
sub user {
    my $id = sprintf 'b0000000-0000-4000-8000-%012d', ++$n;
    $db->do('select punit.create_user(?)', undef, $id);
    return $id;
}

sub sample {
    my ($at, $value, %o) = @_;
    return { type_id => $mass, at => $at, value => $value, %o }
}
sub store {
    my ($user, @samples) = @_; return $metrics->post('/metrics/samples', \@samples, user => $user)
}

# "time=value ..." of what the user has
sub samples {
    my ($user, $query, %o) = @_;
    return join ' ', map { substr($_->{at}, 8, 8) . "=$_->{value}" }
        $metrics->items('/metrics/samples' . ($query // ''), user => $user, %o);
}

subtest 'samples are read by type and time' => sub {
    my $user = user();
    my $a = store(
        $user, sample('2026-03-02T08:00:00Z', 80.5), sample('2026-03-01T08:00:00Z', 81),
        sample('2026-03-01T08:00:00Z', 60, type_id => $pulse));
    is $a->{status}, 201;
    is $a->{body}, '{"stored":3}';
    is $a->{headers}{'punit-owner'}, 'eu; epoch=1';
    is samples($user, "?type=$mass"), '01T08:00=81 02T08:00=80.5';
    is samples($user, "?type=$pulse"), '01T08:00=60';
    is samples($user, "?type=$mass&from=2026-03-01T08:00:00Z&to=2026-03-02T08:00:00Z"),
        '01T08:00=81', 'from, up to but without to';
    is scalar($metrics->items('/metrics/samples', user => $user)), 3;
};

subtest
    'a second sample of the same type and time replaces the first, in one request the last counts'
    => sub {
    my $user = user();
    store($user, sample('2026-03-01T08:00:00Z', 80));
    store($user, sample('2026-03-01T09:00:00+01:00', 81));
    is samples($user), '01T08:00=81', 'whatever its zone is written as';
    is store($user, map { sample('2026-03-01T08:00:00.000Z', $_) } 82, 84, 83)->{body},
        '{"stored":1}';
    is samples($user), '01T08:00=83';
    };

subtest 'all samples of a request are stored or none, and pointers name each that cannot be' =>
    sub {
    my $user = user();
    store($user, sample('2026-03-01T08:00:00Z', 80));
    my ($ver) = $db->selectrow_array('select ver from punit.own where user_id = ?', undef, $user);
    my $a = store(
        $user, sample('2026-03-01T08:00:00Z', 70), sample('2026-03-02T08:00:00Z', 0.5),
        sample('2026-03-03T08:00:00Z', 701), sample('2026-03-04T08:00:00Z', 80, type_id => $nobody),
        sample('1850-03-04T08:00:00Z', 80),
        sample('2026-03-05T08:00:00Z', 80, activity_id => $nobody));
    is $a->{status}, 422;
    is $a->{pointers}, '/1/value /2/value /3/type_id /4/at /5/activity_id';
    is $a->{json}{errors}[1]{detail}, 'must be at most 700 kg';
    $a = store($user, sample('2026-03-01T08:00:00Z', 70),
        { type_id => $mass, at => 'noon', value => '80', mood => 1 });
    is $a->{status}, 422;
    is_deeply [sort split / /, $a->{pointers}], [qw(/1/at /1/mood /1/value)];
    is samples($user), '01T08:00=80', 'nothing was stored';
    is_deeply [$db->selectrow_array('select ver from punit.own where user_id = ?', undef, $user)],
        [$ver];
    };

subtest 'from 1 to 10,000 samples are taken' => sub {
    my $user = user();
    my @minute = map {
        sprintf '2025-%02d-%02dT%02d:%02d:00Z', 1 + int($_ / 28800), 1 + int($_ / 1440) % 20,
            int($_ / 60) % 24, $_ % 60
        }
        0 .. 10_000;
    is store($user, map { sample($_, 80) } @minute)->{status}, 422, 'one too many';
    pop @minute;
    my $a = store($user, map { sample($_, 80) } @minute);
    is $a->{body}, '{"stored":10000}';
    is_deeply $db->selectrow_arrayref(
        'select count(*), count(distinct ver), max(ver) from metrics.sample where user_id = ?',
        undef, $user
        ),
        [10_000, 1, 1], 'in one version of the user';
    is store($user)->{status}, 422, 'none';
    is $metrics->post('/metrics/samples', sample('2026-03-01T08:00:00Z', 80), user => $user)
        ->{status}, 422, 'no array';
};

subtest 'pages follow each other while samples come and go' => sub {
    my $user = user();
    store($user, map { sample("2026-03-0${_}T08:00:00Z", $_) } 1 .. 6);
    my $step = 0;
    is samples(
        $user,
        '?limit=2',
        between => sub {
            store($user, sample('2026-02-01T08:00:00Z', 1), sample('2026-03-07T08:00:00Z', 7))
                if !$step++;
        }
        ),
        join ' ', map {"0${_}T08:00=$_"} 1 .. 7;
};

subtest 'values at the edge of what numbers hold' => sub {
    my $user = user();
    my $any = $metrics->post('/metrics/types', { name => 'Any', unit => '1' }, user => $nobody,
        roles => 'editor')->{json}{id};
    my $raw = sub {
        $metrics->post('/metrics/samples',
            qq([{"type_id":"$any","at":"2026-03-01T08:00:00Z","value":$_[0]}]), user => $user)
    };
    for (['1e308', 1e308], ['-1e308', -1e308], ['0.1', 0.1],
        ['12345678901234567', 12345678901234568], ['1e-400', 0])
    {
        is $raw->($_->[0])->{status}, 201, "value $_->[0]";
        cmp_ok + ($metrics->items('/metrics/samples', user => $user))[0]{value}, '==', $_->[1];
    }
    is $raw->($_)->{status}, 422, "value $_" for '1e400', 'null', '"1"';
    is $raw->('NaN')->{status}, 400, 'NaN is no JSON';
};

subtest 'a sample of a retired type is refused' => sub {
    my $user = user();
    my @editor = (user => $nobody, roles => 'editor');
    my $type =
        $metrics->post('/metrics/types', { name => 'Fad', unit => '1' }, @editor)->{json}{id};
    is store($user, sample('2026-03-01T08:00:00Z', 1, type_id => $type))->{status}, 201;
    $metrics->delete("/metrics/types/$type", @editor);
    is store($user, sample('2026-03-01T08:00:00Z', 1, type_id => $type))->{pointers}, '/0/type_id';
};

subtest 'a sample may name an activity of the same user only' => sub {
    my ($he, $she) = (user(), user());
    $db->begin_work;
    $db->do('select punit.bump(?)', undef, $he);
    my ($activity) = $db->selectrow_array(
        q{insert into sports.activity (user_id, sport_id, started_at)
        select ?, id, now() from sports.sport limit 1 returning id}, undef, $he
    );
    $db->commit;
    is store($he, sample('2026-03-01T08:00:00Z', 80, activity_id => $activity))->{status}, 201;
    is + ($metrics->items('/metrics/samples', user => $he))[0]{activity_id}, $activity;
    is store($she, sample('2026-03-01T08:00:00Z', 80, activity_id => $activity))->{pointers},
        '/0/activity_id';
};

subtest 'a request repeated with its Idempotency-Key does not undo what came between' => sub {
    my $user = user();
    my $first = [sample('2026-03-01T08:00:00Z', 80)];
    my $a = $metrics->post('/metrics/samples', $first, user => $user, key => 'k');
    store($user, sample('2026-03-01T08:00:00Z', 81));
    my $b = $metrics->post('/metrics/samples', $first, user => $user, key => 'k');
    is "$b->{status} $b->{body}", "201 $a->{body}";
    is samples($user), '01T08:00=81';
    my $c = $metrics->post('/metrics/samples', [sample('2026-03-01T08:00:00Z', 82)], user => $user,
        key => 'k');
    is "$c->{status} $c->{json}{type}", '422 urn:punit:key-reused';
};

subtest 'a user owned elsewhere is sent there, and nothing is written' => sub {
    my $user = user();
    store($user, sample('2026-03-01T08:00:00Z', 80));
    $db->do(q{update punit.own set state = 'COPY', epoch = 4, owner_hint = 'us' where user_id = ?},
        undef, $user);
    for (
        store($user, sample('2026-03-01T08:00:00Z', 81)),
        $metrics->get('/metrics/samples', user => $user),
        $metrics->get("/metrics/summary?type=$mass&bucket=day", user => $user))
    {
        is $_->{status}, 421;
        is $_->{headers}{'punit-owner'}, 'us; epoch=4';
    }
    is_deeply $db->selectcol_arrayref('select value from metrics.sample where user_id = ?', undef,
        $user), [80];
    is $metrics->get('/metrics/samples', user => $user, route => 'stale')->{json}{items}[0]{value},
        80,
        'but a copy answers while the owner is down';
};

done_testing;
