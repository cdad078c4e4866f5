# Training: programmes, ordered exercises with sets, repetitions and rest.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my @coach = (user => 'c0000000-0000-4000-8000-000000000001', roles => 'user coach');
my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $training = Punit::Worker->new($pg, 'training');

my ($press, $row, $old) = map {
    $training->post('/training/exercises',
        { name => $_, level => 'beginner', category => 'strength' }, @coach)->{json}{id}
} qw(Press Row Old);
$training->delete("/training/exercises/$old", @coach);

sub programme { return { name => 'Two days', exercises => [step($press)], @_ } }
sub step { my $id = shift; return { exercise_id => $id, sets => 3, repetitions => 10, @_ } }

sub add {
    my $a = $training->post('/training/programmes', programme(@_), @coach);
    $a->{status} == 201 or die "$a->{status} $a->{body}";
    return $a;
}

subtest 'a programme keeps its exercises in order and shows their names' => sub {
    my $a = add(
        description => 'Push, pull, push.', level => 'beginner',
        exercises => [step($row), step($press, rest_s => 90), step($row, repetitions => 5)]);
    is $a->{headers}{location}, "/training/programmes/$a->{json}{id}";
    my $b = $training->get($a->{headers}{location});
    is_deeply $b->{json}, $a->{json};
    is_deeply $b->{json}{exercises}, [
        {
            position => 1, exercise_id => $row, name => 'Row', sets => 3, repetitions => 10,
            rest_s => 0
        },
        {
            position => 2, exercise_id => $press, name => 'Press', sets => 3, repetitions => 10,
            rest_s => 90
        },
        {
            position => 3, exercise_id => $row, name => 'Row', sets => 3, repetitions => 5,
            rest_s => 0
        },
    ];
};

subtest 'a renamed exercise changes the programme and its ETag' => sub {
    my $path = add(name => 'Renaming')->{headers}{location};
    my $etag = $training->get($path)->{headers}{etag};
    is $training->get($path, none_match => $etag)->{status}, 304;
    $training->put("/training/exercises/$press",
        { name => 'Bench press', level => 'beginner', category => 'strength' }, @coach);
    my $a = $training->get($path, none_match => $etag);
    is $a->{status}, 200;
    is $a->{json}{exercises}[0]{name}, 'Bench press';
};

subtest 'the list is by name, page after page, without retired ones' => sub {
    add(name => $_) for qw(Delta Alpha Charlie Bravo);
    my $gone = add(name => 'Alphabet');
    is $training->delete($gone->{headers}{location}, @coach)->{status}, 204;
    is join(',', map { $_->{name} } $training->items('/training/programmes?limit=2')),
        'Alpha,Bravo,Charlie,Delta,Renaming,Two days';
    ok $training->get($gone->{headers}{location})->{json}{retired_at}, 'which keep their address';
};

subtest 'what is wrong with a body is told by pointers' => sub {
    my $a = $training->post(
        '/training/programmes',
        {
            name => 'x',
            exercises => [
                step($press), step('x', sets => 0),
                { sets => 1, repetitions => 1, speed => 2 }]
        },
        @coach
    );
    is $a->{status}, 422;
    is_deeply [sort split / /, $a->{pointers}],
        [
        sort
            qw(/exercises/1/exercise_id /exercises/1/sets /exercises/2/exercise_id
                /exercises/2/speed)
        ];
    is $training->post('/training/programmes', programme(exercises => []), @coach)->{pointers},
        '/exercises', 'none';
};

subtest 'a step names an exercise that exists and is not retired' => sub {
    my @steps = (step($press), step('00000000-0000-4000-8000-000000000000'), step($old));
    my $a = $training->post('/training/programmes', programme(exercises => \@steps), @coach);
    is $a->{status}, 422;
    is $a->{pointers}, '/exercises/1/exercise_id /exercises/2/exercise_id';
    my $path = add(name => 'Stays')->{headers}{location};
    is $training->put($path, programme(name => 'Changed', exercises => \@steps), @coach)->{status},
        422;
    is $training->get($path)->{json}{name}, 'Stays', 'nothing was changed';
};

subtest 'only a coach writes' => sub {
    my $path = add()->{headers}{location};
    for ([POST => '/training/programmes', programme()], [PUT => $path, programme()],
        [DELETE => $path, undef])
    {
        is $training->call(@$_, user => $coach[1], roles => 'user')->{status}, 403, $_->[0];
        is $training->call(@$_)->{status}, 401, "$_->[0] without a user";
    }
};

subtest 'the same Idempotency-Key makes one programme' => sub {
    my $a = $training->post('/training/programmes', programme(name => 'Once'), @coach, key => 'p1');
    my $b = $training->post('/training/programmes', programme(name => 'Once'), @coach, key => 'p1');
    is $b->{body}, $a->{body};
    my $c =
        $training->post('/training/programmes', programme(name => 'Twice'), @coach, key => 'p1');
    is $c->{json}{type}, 'urn:punit:key-reused';
    is_deeply [
        $db->selectrow_array(
            q{select count(*) from training.programme where name in ('Once', 'Twice')})
        ],
        [1];
};

subtest
    'a programme of another unit is changed there: 421 with its author, whatever the body says' =>
    sub {
    my $id = 'a0000000-0000-4000-8000-000000000001';
    $db->do('set session_replication_role = replica');
    $db->do(
        q{insert into training.programme (origin_unit, id, name, exercises)
            values ('us', ?, 'From abroad', '[]')},
        undef, $id
    );
    $db->do('set session_replication_role = origin');
    for (['PUT', programme(exercises => [step($old)])], ['DELETE']) {
        my $a = $training->call($_->[0], "/training/programmes/$id", $_->[1], @coach);
        is $a->{status}, 421, $_->[0];
        is $a->{headers}{'punit-author'}, 'us';
    }
    is $training->get("/training/programmes/$id")->{json}{name}, 'From abroad';
    };

subtest 'PUT and DELETE of what is not there are 404' => sub {
    my $path = '/training/programmes/00000000-0000-4000-8000-000000000000';
    is $training->put($path, programme(), @coach)->{status}, 404;
    is $training->delete($path, @coach)->{status}, 404;
};

done_testing;
