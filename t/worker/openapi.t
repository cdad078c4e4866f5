# doc/openapi.yaml says what the services do: each of their routes and no other is in it, and what
# running units are asked and answer is as it says.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;

use Punit::FastCGI;
use Punit::OpenAPI;
use Punit::Services qw(services);
use Punit::Tree qw(program);
use Punit::Units;
use Punit::User;

my @services = services();
my $api = Punit::OpenAPI->new('doc/openapi.yaml');
my $operations = $api->operations;

# what the services' tables hold: "METHOD path" => [class, role]
my %route;
for my $service (@services) {
    open my $table, '-|', program("punit-$service"), '--routes' or die $!;
    while (<$table>) {
        my ($method, $path, $class, $role) = split;
        $route{ "$method " . $path =~ s/:\w+\}/}/gr } = [$class, $role] if $class ne 'internal';
    }
    close $table or die "punit-$service --routes: $?";
}

subtest 'the description is one by the schema of OpenAPI' => sub {
    is $api->document->{openapi}, '3.1.0';
SKIP: {
        skip 'JSON::Validator has not the schema of OpenAPI; `make openapi` has', 1
            if !$api->has_schema;
        is_deeply [map {"$_"} $api->errors], [];
    }
    my %ids;
    $ids{ $_->{operationId} // '' }++ for values %$operations;
    is_deeply [grep { $ids{$_} > 1 || $_ eq '' } keys %ids], [], 'operations have ids of their own';
};

subtest 'each route of the services is described, and nothing else is' => sub {
    cmp_ok scalar(keys %route), '>', 40;
    is_deeply [grep { !$operations->{$_} } sort keys %route], [], 'routes without a description';
    is_deeply [grep { !$route{$_} } sort keys %$operations], [], 'descriptions without a route';
};

subtest 'the rights to ask are described as the services have them' => sub {
    my $everywhere = $api->document->{security};
    for my $name (sort grep { $route{$_} } keys %$operations) {
        my ($class, $role) = @{ $route{$name} };
        my $needs = ($operations->{$name}{security} // $everywhere)->[0];
        # a public route may want a token for reasons of its own, as logout does
        ok $class eq 'public' || $needs, "$name: a token" or next;
        is_deeply $needs->{bearer} // [], [grep {length} $role], "$name: role";
    }
};

# ---- running units

my $units = Punit::Units->start(units => ['eu', 'us']);
my $user = Punit::User->register($units, 'eu');
my $dbh = $units->dbh('eu');

$dbh->begin_work;
$dbh->do('select punit.bump(?)', undef, $user->id);
$dbh->do(q(update auth.credential set roles = '{user,coach,editor}' where user_id = ?), undef,
    $user->id);
$dbh->commit;
my $login = { email => $user->email, password => 'correct horse battery' };
my ($token, %asked);

# Asks as described and judges question and answer; body, path => {...}, query => {...}, headers =>
# {...}, token. It asks the public side. With on => 'socket' it asks the service itself, as a worker
# of the unit does, and with on => 'admin' the admin side. good => 0: the question is meant to be
# wrong.
sub ask {
    my ($operation, %o) = @_;
    my ($method, $path) = split / /, $operation;
    die "not described: $operation" if !$operations->{$operation};
    $path =~ s/\{(\w+)\}/$o{path}{$1}/g;
    my $query = join '&', map {"$_=$o{query}{$_}"} sort keys %{ $o{query} // {} };
    $path .= "?$query" if length $query;
    my @wrong = $api->wrong_request($operation, %o);
    push @wrong, 'a wrong question passes for a right one'
        if exists $o{good} && !$o{good} && !@wrong;
    @wrong = ()
        if exists $o{good} && !$o{good} && $wrong[0] ne 'a wrong question passes for a right one';
    my $a;
    if (($o{on} // '') eq 'socket') {
        my ($service) = $path =~ m{^/(\w+)};
        $a = Punit::FastCGI->new($units->dir . "/eu/sock/$service.sock")
            ->request($method, $path, body => $o{body}, params => { PUNIT_CLIENT => '' });
    }
    elsif (($o{on} // '') eq 'admin') {
        $a = $units->http('eu', $method, $path, undef, undef, kind => 'admin');
    }
    else {
        my $json = defined $o{body} ? JSON::PP->new->utf8->allow_nonref->encode($o{body}) : undef;
        $a = $units->http(
            'eu', $method, $path, exists $o{token} ? $o{token} : $token, $o{raw} // $json,
            headers => { %{ $o{headers} // {} }, $o{type} ? ('content-type' => $o{type}) : () });
    }
    $a->{json} //= eval { JSON::PP::decode_json($a->{content}) };    # whatever kind of JSON
    push @wrong, $api->wrong_answer($operation, $a);
    is_deeply [map {"$_"} @wrong], [], sprintf '%s: %s', $o{what} // $operation, $a->{status}
        or diag $a->{content} // $a->{body};
    $asked{$operation}{ $a->{status} }++;
    return $a;
}

# The same, and the answer must have that status.
sub answers {
    my ($status, $operation, @o) = @_;
    my $a = ask($operation, @o);
    is $a->{status}, $status, "$operation" if $a->{status} != $status;
    return $a->{json};
}

my $nobody = '00000000-0000-4000-8000-000000000000';

subtest 'auth' => sub {
    my $mail = sprintf 'openapi-%d@example.org', $$;
    my $new = { email => $mail, password => 'correct horse battery', name => 'Ann' };
    answers(201, 'POST /auth/register', body => $new, token => undef);
    answers(409, 'POST /auth/register', body => $new, token => undef);
    answers(422, 'POST /auth/register', body => { email => $mail }, token => undef, good => 0);
    answers(401, 'POST /auth/login', body => { %$login, password => 'wrong' }, token => undef);
    my $pair = answers(200, 'POST /auth/login', body => $login, token => undef);
    $pair = answers(200, 'POST /auth/refresh', body => { refresh_token => $pair->{refresh_token} },
        token => undef);
    answers(401, 'POST /auth/refresh', body => { refresh_token => "$nobody." . 'x' x 43 },
        token => undef);
    $token = $pair->{access_token};
    my $other = answers(200, 'POST /auth/login', body => $login, token => undef);
    my $list = answers(200, 'GET /auth/sessions', query => { limit => 500 });
    my ($id) = map { $_->{id} } grep { !$_->{current} } @{ $list->{items} };
    answers(204, 'DELETE /auth/sessions/{id}', path => { id => $id });
    answers(404, 'DELETE /auth/sessions/{id}', path => { id => $nobody });
    answers(401, 'GET /auth/sessions', token => undef);
    my $third = answers(200, 'POST /auth/login', body => $login, token => undef);
    answers(204, 'POST /auth/logout', token => $third->{access_token});
    my $next = 'another horse battery';
    answers(403, 'POST /auth/password', body => { old => 'wrong', new => $next });
    answers(204, 'POST /auth/password', body => { old => $login->{password}, new => $next });
    $login->{password} = $next;
    $token = answers(200, 'POST /auth/login', body => $login, token => undef)->{access_token};
    answers(200, 'GET /auth/keys', token => undef);
    ok answers(200, 'POST /auth/introspect', body => { token => $token }, on => 'socket')->{active},
        'a good token';
    ok !answers(200, 'POST /auth/introspect', body => { token => 'x' }, on => 'socket')->{active},
        'one that is not valid';
};

subtest 'profile' => sub {
    my %all = (
        name => 'Bea', birth_date => '1990-02-28', height_m => 1.7, weight_kg => 60.5,
        locale => 'de-AT',
        time_zone => 'Europe/Vienna', sports => [$nobody]);
    answers(200, 'GET /profile');
    answers(200, 'PATCH /profile', body => \%all, type => 'application/merge-patch+json');
    my $set = answers(200, 'GET /profile');
    is_deeply { %$set, user_id => undef }, { %all, user_id => undef }, 'all of it';
    answers(200, 'PATCH /profile', body => { map { $_ => undef } grep { $_ ne 'name' } keys %all });
    answers(422, 'PATCH /profile', body => { height_m => 4 }, good => 0);
    answers(422, 'PATCH /profile', body => { mood => 'good' }, good => 0);
    answers(401, 'GET /profile', token => undef);
    answers(200, 'GET /profile/export');
    my $gone = Punit::User->register($units, 'eu');
    answers(204, 'DELETE /profile', token => $gone->token);
    answers(401, 'GET /profile', token => $gone->token);
};

# Reference data: list, create, read, replace, retire.
sub reference {
    my ($path, $least, $most, @queries) = @_;
    my $plain = Punit::User->register($units, 'eu');
    answers(403, "POST $path", body => $least, token => $plain->token);
    my $made = answers(201, "POST $path", body => $most,
        headers => { 'idempotency-key' => "key of $path" });
    answers(422, "POST $path", body => $least, headers => { 'idempotency-key' => "key of $path" });
    answers(201, "POST $path", body => $least);
    answers(422, "POST $path", body => {}, good => 0);
    answers(200, "GET $path", query => $_) for { }
    , @queries;
    my $page = answers(200, "GET $path", query => { limit => 1 });
    answers(200, "GET $path", query => { limit => 1, cursor => $page->{next} }) if $page->{next};
    answers(400, "GET $path", query => { limit => 0 }, good => 0);
    my $id = { id => $made->{id} };
    my $a = ask("GET $path/{id}", path => $id);
    answers(304, "GET $path/{id}", path => $id,
        headers => { 'if-none-match' => $a->{headers}{etag} });
    answers(404, "GET $path/{id}", path => { id => $nobody });
    answers(401, "GET $path/{id}", path => $id, token => undef);
    answers(200, "PUT $path/{id}", path => $id, body => $least);
    answers(404, "PUT $path/{id}", path => { id => $nobody }, body => $least);
    answers(204, "DELETE $path/{id}", path => $id);
    ok answers(200, "GET $path/{id}", path => $id)->{retired_at}, 'a retired one can be read';
    answers(404, "DELETE $path/{id}", path => { id => $nobody });
    return answers(201, "POST $path", body => $least)->{id};
}

my ($sport, $type, $exercise, $programme);

subtest 'sports' => sub {
    $sport = reference(
        '/sports', { name => 'Curling', category => 'Ice', met => 4 },
        { name => 'Chess', category => 'Board', met => 1.5 });
};

subtest 'training' => sub {
    my %least = (name => 'Stand', level => 'beginner', category => 'strength');
    my %most = (
        %least, force => 'push', mechanic => 'compound', equipment => 'none', slug => 'Stand_Up',
        images => ['a.jpg'],
        primary_muscles => ['calves'], secondary_muscles => [], instructions => ['Stand.', 'Rest.']
    );
    $exercise = reference(
        '/training/exercises', \%least, \%most, { level => 'beginner' },
        { category => 'strength' },
        { muscle => 'calves' }, { equipment => 'none' }, { q => 'stand' });
    my @steps = ({ exercise_id => $exercise, sets => 3, repetitions => 10 });
    $programme = reference(
        '/training/programmes', { name => 'Stands', exercises => \@steps },
        {
            name => 'Stands', description => 'Many', level => 'expert',
            exercises => [{ %{ $steps[0] }, rest_s => 60 }] });
};

subtest 'metrics' => sub {
    $type = reference('/metrics/types', { name => 'Mood', unit => '1' },
        { name => 'Noise', unit => 'dB', min => 0, max => 200 });
    my @samples = map { { type_id => $type, at => "2026-03-0${_}T08:00:00Z", value => $_ } } 1 .. 3;
    $samples[0]{activity_id} = undef;
    answers(201, 'POST /metrics/samples', body => \@samples);
    answers(422, 'POST /metrics/samples', body => [], good => 0);
    answers(422, 'POST /metrics/samples',
        body => [{ type_id => $nobody, at => '2026-03-01T08:00:00Z', value => 1 }]);
    my $page = answers(200, 'GET /metrics/samples',
        query => { type => $type, limit => 1, from => '2026-03-01T00:00:00Z' });
    answers(200, 'GET /metrics/samples',
        query => { limit => 1, cursor => $page->{next}, to => '2026-03-09T00:00:00Z' });
    answers(400, 'GET /metrics/samples', query => { type => 'x' }, good => 0);
    answers(200, 'GET /metrics/summary', query => { type => $type, bucket => $_ })
        for qw(hour day week month);
    answers(400, 'GET /metrics/summary', query => { type => $type, bucket => 'year' }, good => 0);
    answers(400, 'GET /metrics/summary', query => { bucket => 'day' }, good => 0);
};

subtest 'activities' => sub {
    my %least = (sport_id => $sport, started_at => '2026-03-01T08:00:00+01:00');
    my %most = (%least, duration_s => 3600, distance_m => 10_000.5, energy_kcal => 500, note => '',
        programme_id => $programme);
    my $made =
        answers(201, 'POST /activities', body => \%most, headers => { 'idempotency-key' => 'a' });
    answers(201, 'POST /activities', body => \%least);
    answers(422, 'POST /activities', body => { %least, mood => 1 }, good => 0);
    answers(422, 'POST /activities', body => { %least, sport_id => $nobody });
    my $page = answers(200, 'GET /activities', query => { limit => 1 });
    answers(
        200,
        'GET /activities',
        query => {
            cursor => $page->{next}, sport => $sport, from => '2026-01-01T00:00:00Z',
            to => '2027-01-01T00:00:00Z'
        });
    my $id = { id => $made->{id} };
    answers(200, 'GET /activities/{id}', path => $id);
    answers(200, 'PATCH /activities/{id}', path => $id, body => { note => undef, distance_m => 1 },
        type => 'application/merge-patch+json');
    answers(422, 'PATCH /activities/{id}', path => $id, body => { sport_id => undef }, good => 0);
    answers(404, 'PATCH /activities/{id}', path => { id => $nobody }, body => {});
    answers(204, 'DELETE /activities/{id}', path => $id);
    answers(404, 'GET /activities/{id}', path => $id);
};

subtest 'social' => sub {
    my $post =
        answers(201, 'POST /social/posts', body => { text => 'Hello', activity_id => undef });
    answers(422, 'POST /social/posts', body => { text => '' }, good => 0);
    answers(200, 'GET /social/posts/{id}', path => { id => $post->{id} });
    answers(200, 'GET /social/feed', query => { limit => 1 });
    answers(404, "$_ /social/posts/{id}/like", path => { id => $nobody }) for qw(PUT DELETE);
    answers(204, "$_ /social/posts/{id}/like", path => { id => $post->{id} }) for qw(PUT DELETE);
    my $other = { user_id => Punit::User->register($units, 'us')->id };
    answers(204, 'PUT /social/following/{user_id}', path => $other);
    answers(404, 'PUT /social/following/{user_id}', path => { user_id => $nobody });
    answers(422, 'PUT /social/following/{user_id}', path => { user_id => $user->id });
    answers(200, 'GET /social/following', query => { limit => 1 });
    answers(200, 'GET /social/followers');
    answers(204, 'DELETE /social/following/{user_id}', path => $other);
    answers(404, 'DELETE /social/following/{user_id}', path => $other);
    answers(204, 'DELETE /social/posts/{id}', path => { id => $post->{id} });
    answers(404, 'GET /social/posts/{id}', path => { id => $post->{id} });
};

subtest 'too many attempts' => sub {
    my $name = sprintf 'nobody-%d@example.org', $$;
    my $a;
    for (1 .. 20) {
        $a = ask('POST /auth/login', body => { email => $name, password => 'wrong' },
            token => undef);
        last if $a->{status} != 401;
    }
    is $a->{status}, 429, 'end in 429, with Retry-After';
};

subtest 'what is no JSON, too large, of another type or method' => sub {
    answers(400, 'POST /social/posts', raw => '{"text":', body => {}, good => 0);
    answers(415, 'POST /social/posts', raw => 'text=x',
        type => 'application/x-www-form-urlencoded', good => 0);
    answers(413, 'POST /social/posts', raw => '"' . 'x' x (1024 * 1024 + 1) . '"', good => 0);
    my $a = $units->http('eu', PUT => '/social/feed', $token, {});
    is $a->{status}, 405;
    is_deeply [map {"$_"} $api->wrong_answer('GET /social/feed', $a)], [],
        'a problem like any other';
};

subtest 'health' => sub {
    is answers(200, "GET /$_/health", on => 'admin', token => undef)->{status}, 'ok' for @services;
    is answers(200, 'GET /ready', on => 'admin', token => undef)->{status}, 'ready';
};

subtest 'each operation was asked and has succeeded' => sub {
    is_deeply [
        grep {
            my $o = $_; !grep {/^2/} keys %{ $asked{$o} // {} }
        } sort keys %$operations
        ],
        [];
};

done_testing;
