# Training: the catalogue of exercises, over the real worker.
use strict;
use warnings;
use utf8;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use Test::More;

use Punit::Worker;

my $coach = 'c0000000-0000-4000-8000-000000000001';
my @coach = (user => $coach, roles => 'user coach');
my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $training = Punit::Worker->new($pg, 'training');

sub exercise { return { name => 'Press', level => 'beginner', category => 'strength', @_ } }

sub add {
    my $a = $training->post('/training/exercises', exercise(@_), @coach);
    $a->{status} == 201 or die "$a->{status} $a->{body}";
    return $a->{json};
}

# As the mesh brings it: no trigger of ours guards it.
sub foreign_row {
    my ($unit, %row) = @_;
    $db->do('set session_replication_role = replica');
    my @columns = sort keys %row;
    $db->do(
        sprintf(
            'insert into training.exercise (origin_unit, slug, level, category, %s)
                values (?, ?, ?, ?, %s)',
            join(', ', @columns), join ', ', ('?') x @columns
        ),
        undef,
        $unit,
        'slug',
        'expert',
        'strength',
        @row{@columns});
    $db->do('set session_replication_role = origin');
}

sub names {
    return join ',', map { $_->{name} } $training->items(@_)
}

my %id;
for my $e (
    [
        'Bench press', level => 'intermediate', equipment => 'barbell',
        primary_muscles => ['chest'],
        secondary_muscles => ['triceps', 'shoulders']
    ],
    ['Curl', equipment => 'dumbbell', primary_muscles => ['biceps']],
    ['Ärmel 100%_fit', level => 'expert', category => 'stretching', equipment => 'body only'],
    ['Dip', level => 'intermediate', primary_muscles => ['triceps']],
    ['Row', category => 'cardio', equipment => 'machine', primary_muscles => ['middle back']])
{
    my ($name, %e) = @$e;
    $id{$name} = add(name => $name, %e)->{id};
}

subtest 'the list is by name' => sub {
    is names('/training/exercises'), 'Bench press,Curl,Dip,Row,Ärmel 100%_fit';
};

subtest 'each filter narrows the list' => sub {
    is names('/training/exercises?level=intermediate'), 'Bench press,Dip', 'level';
    is names('/training/exercises?category=cardio'), 'Row', 'category';
    is names('/training/exercises?equipment=dumbbell'), 'Curl', 'equipment';
    is names('/training/exercises?muscle=triceps'), 'Bench press,Dip',
        'muscle, primary or secondary';
    is names('/training/exercises?muscle=triceps&equipment=barbell&level=intermediate'),
        'Bench press', 'all together';
    is names('/training/exercises?category=none'), '', 'none fits';
};

subtest
    'q finds text anywhere in the name whatever its case, and takes no character as a wildcard' =>
    sub {
    is names('/training/exercises?q=PRESS'), 'Bench press', 'case';
    is names('/training/exercises?q=%C3%A4RM'), 'Ärmel 100%_fit', 'case beyond ASCII';
    is names('/training/exercises?q=0%25_f'), 'Ärmel 100%_fit',
        'percent and underscore as they are';
    is names('/training/exercises?q=%25'), 'Ärmel 100%_fit', 'a percent sign alone';
    is names('/training/exercises?q=%5C'), '', 'a backslash';
    };

subtest 'an argument that cannot be is 400' => sub {
    is $training->get("/training/exercises?$_")->{status}, 400, $_
        for 'level=superhuman', 'limit=0', 'limit=501', 'limit=x', 'q=', 'cursor=%21',
        'cursor=WyJhIl0', 'q=a&q=b', 'q=%FF';
};

subtest 'a list item leaves out what only the exercise itself shows' => sub {
    my $item = $training->get('/training/exercises?q=curl')->{json}{items}[0];
    is_deeply [sort keys %$item], [
        sort qw(id slug name force level mechanic equipment category primary_muscles
            secondary_muscles)
    ];
};

subtest 'pages follow each other without a gap or a repetition' => sub {
    my @pages = map { $_->{name} } $training->items('/training/exercises?limit=2');
    is join(',', @pages), 'Bench press,Curl,Dip,Row,Ärmel 100%_fit';
    is $training->get('/training/exercises?limit=5')->{json}{next}, undef,
        'a full last page has no next';
};

subtest 'a cursor stays right while rows come and go' => sub {
    my $gone = add(name => 'Crunch')->{id};
    my $step = 0;
    my @names = map { $_->{name} } $training->items(
        '/training/exercises?limit=2',
        between => sub {
            return if $step++;
            # the page ended with Crunch: that very row goes, one comes before and one behind it
            $training->delete("/training/exercises/$gone", @coach);
            add(name => 'Arm swing');
            add(name => 'Deadlift');
        });
    is join(',', @names), 'Bench press,Crunch,Curl,Deadlift,Dip,Row,Ärmel 100%_fit';
};

subtest 'one exercise is shown whole, with a strong ETag' => sub {
    my $a = $training->get("/training/exercises/$id{'Bench press'}");
    is $a->{status}, 200;
    like $a->{headers}{etag}, qr/^"[0-9a-f]{32}"$/;
    is $a->{json}{author}, 'eu';
    is_deeply $a->{json}{secondary_muscles}, ['triceps', 'shoulders'];
    like $a->{json}{updated_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
};

subtest 'If-None-Match gives 304 until the exercise changes, for one and for the list' => sub {
    for my $path ("/training/exercises/$id{Curl}", '/training/exercises?q=curl') {
        my $etag = $training->get($path)->{headers}{etag};
        my $a = $training->get($path, none_match => $etag);
        is $a->{status}, 304, $path;
        is $a->{body}, '', 'no body';
        is $training->get($path, none_match => "\"x\", $etag")->{status}, 304, 'one of several';
        $training->put("/training/exercises/$id{Curl}", exercise(name => "Curl $path" =~ s{/}{}gr),
            @coach);
        is $training->get($path, none_match => $etag)->{status}, 200, 'changed';
    }
};

subtest 'HEAD answers as GET does, without the body' => sub {
    my $get = $training->get("/training/exercises/$id{Dip}");
    my $head = $training->call('HEAD', "/training/exercises/$id{Dip}");
    is $head->{status}, 200;
    is $head->{body}, '';
    is $head->{headers}{etag}, $get->{headers}{etag};
};

subtest 'unknown paths are 404 and unknown methods 405 with Allow' => sub {
    is $training->get('/training/exercises/00000000-0000-4000-8000-000000000000')->{status}, 404,
        'unknown id';
    is $training->get('/training/exercises/x')->{status}, 404, 'no id';
    is $training->get('/training/')->{status}, 404;
    my $a = $training->patch("/training/exercises/$id{Dip}", {}, @coach);
    is $a->{status}, 405;
    like $a->{headers}{allow}, qr/^GET, HEAD, PUT, DELETE/;
};

subtest 'only a coach writes' => sub {
    my %body = %{ exercise() };
    for my $call (
        [POST => '/training/exercises'], [PUT => "/training/exercises/$id{Dip}"],
        [DELETE => "/training/exercises/$id{Dip}"])
    {
        my ($method, $path) = @$call;
        my $body = $method eq 'DELETE' ? undef : \%body;
        my $a = $training->call($method, $path, $body, user => $coach, roles => 'user editor');
        is $a->{status}, 403, "$method with other roles";
        like $a->{headers}{'www-authenticate'}, qr/^Bearer .*insufficient_scope/;
        is $training->call($method, $path, $body)->{status}, 401, "$method without a user";
    }
};

subtest 'a new exercise has its own address' => sub {
    my $a = $training->post(
        '/training/exercises',
        exercise(
            name => 'Überzug am Gerät', force => 'pull', mechanic => undef,
            instructions => ['Sit.', 'Pull.']
        ),
        @coach
    );
    is $a->{status}, 201;
    is $a->{headers}{location}, "/training/exercises/$a->{json}{id}";
    is $a->{json}{slug}, 'überzug-am-gerät', 'a slug made from the name';
    my $b = $training->get($a->{headers}{location});
    is_deeply $b->{json}, $a->{json}, 'and is read there as it was answered';
};

subtest 'what is wrong with a body is told by pointers' => sub {
    my $a = $training->post(
        '/training/exercises',
        {
            name => '', level => 'superhuman', force => 1, colour => 'red',
            primary_muscles => ['chest', 7], slug => 'a b', retired_at => undef
        },
        @coach
    );
    is $a->{status}, 422;
    is_deeply [sort split / /, $a->{pointers}],
        [sort qw(/name /level /force /colour /primary_muscles/1 /slug /retired_at /category)];
    like $a->{headers}{'content-type'}, qr{^application/problem\+json};
    is $training->post('/training/exercises', '{', @coach)->{status}, 400, 'no JSON';
    is $training->post('/training/exercises', '[]', @coach)->{status}, 422, 'no object';
    is $training->post('/training/exercises', '{}', @coach, type => 'text/plain')->{status}, 415;
};

subtest 'the same Idempotency-Key makes one exercise, another body under it is refused' => sub {
    my $body = encode_utf8('{"name":"Once","level":"expert","category":"strength"}');
    my $a = $training->post('/training/exercises', $body, @coach, key => 'k1');
    my $b = $training->post('/training/exercises', $body, @coach, key => 'k1');
    is $b->{status}, 201;
    is $b->{body}, $a->{body}, 'same answer';
    is $b->{headers}{location}, $a->{headers}{location};
    is names('/training/exercises?q=once'), 'Once', 'one row';
    my $c = $training->post('/training/exercises', $body =~ s/Once/Twice/r, @coach, key => 'k1');
    is $c->{status}, 422;
    is $c->{json}{type}, 'urn:punit:key-reused';
    my $d = $training->post(
        '/training/exercises', $body, user => 'c0000000-0000-4000-8000-000000000002',
        roles => 'coach',
        key => 'k1'
    );
    isnt $d->{json}{id}, $a->{json}{id}, 'another coach has other keys';
};

subtest
    'a POST repeated with its key at another unit finds the row that came from there by the mesh'
    => sub {
    my $body = '{"name":"Abroad first","level":"expert","category":"strength"}';
    my ($id) =
        $db->selectrow_array(q{select punit.uuid_generate_v5(?, 'POST /training/exercises k2')},
        undef, $coach);
    foreign_row('us', id => $id, name => 'Abroad first',
        request_sha256 => '\\x' . sha256_hex($body));
    my $a = $training->post('/training/exercises', $body, @coach, key => 'k2');
    is $a->{status}, 201;
    is "$a->{json}{id} $a->{json}{author}", "$id us";
    is names('/training/exercises?q=abroad%20first'), 'Abroad first', 'one row';
    };

subtest 'PUT replaces all but the slug' => sub {
    my $old =
        add(name => 'Old', slug => 'stays', equipment => 'barbell', primary_muscles => ['chest']);
    my $a = $training->put("/training/exercises/$old->{id}", exercise(name => 'New'), @coach);
    is $a->{status}, 200;
    is_deeply { %{ $a->{json} }, updated_at => 0 }, {
        %$old, name => 'New', equipment => undef, primary_muscles => [],
        updated_at => 0
    };
    is $training->put('/training/exercises/00000000-0000-4000-8000-000000000000', exercise(),
        @coach)->{status}, 404;
};

subtest 'a retired exercise leaves the list, keeps its address, and a PUT brings it back' => sub {
    my $id = add(name => 'Leaving')->{id};
    is $training->delete("/training/exercises/$id", @coach)->{status}, 204 for 1 .. 2;
    is names('/training/exercises?q=leaving'), '';
    my $a = $training->get("/training/exercises/$id");
    is $a->{status}, 200;
    ok $a->{json}{retired_at};
    $training->put("/training/exercises/$id", exercise(name => 'Leaving'), @coach);
    is names('/training/exercises?q=leaving'), 'Leaving';
    is $training->delete('/training/exercises/00000000-0000-4000-8000-000000000000', @coach)
        ->{status}, 404;
};

subtest 'a row of another unit is read here and changed there: 421 with its author' => sub {
    my $id = 'a0000000-0000-4000-8000-000000000001';
    foreign_row('us', id => $id, name => 'From abroad');
    is $training->get("/training/exercises/$id")->{json}{author}, 'us';
    for my $call (['PUT', exercise(name => 'Mine')], ['DELETE']) {
        my $a = $training->call($call->[0], "/training/exercises/$id", $call->[1], @coach);
        is $a->{status}, 421, $call->[0];
        is $a->{headers}{'punit-author'}, 'us';
        ok !exists $a->{headers}{'punit-owner'}, 'which says nothing of the user';
        is $a->{body}, '';
    }
    is $training->get("/training/exercises/$id")->{json}{name}, 'From abroad',
        'nothing was changed';
};

subtest 'of one id with two authors every unit shows the same row' => sub {
    my $id = 'a0000000-0000-4000-8000-000000000002';
    foreign_row('us', id => $id, name => 'Twin of us');
    foreign_row('ap', id => $id, name => 'Twin of ap');
    is names('/training/exercises?q=twin'), 'Twin of ap';
    is $training->get("/training/exercises/$id")->{json}{name}, 'Twin of ap';
    is $training->delete("/training/exercises/$id", @coach)->{headers}{'punit-author'}, 'ap';
};

done_testing;
