#!/usr/bin/perl
# What a worker answers to requests good and bad, before and after the database is asked.
use strict;
use warnings;
use Test::More;

use Punit::Postgres;
use Punit::Worker;

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit', 'profile');
my $user = $pg->add_user('0b6f2f0e-0000-4000-8000-000000000001', 'Ann');

my $profile = Punit::Worker->new($pg, 'profile');

sub get { return $profile->request(GET => '/profile', user => $user, @_) }
sub patch {
    my $body = shift;
    return $profile->request(PATCH => '/profile', user => $user, body => $body, @_)
}

sub is_problem {
    my ($answer, $status, $type, $name) = @_;
    is_deeply [$answer->{status}, $answer->{headers}{'content-type'}, $answer->{json}{type},
        $answer->{json}{status}],
        [$status, 'application/problem+json', "urn:punit:$type", $status], $name
        or diag explain $answer;
    return $answer;
}

sub has_errors {
    my ($body, $pointers, $name, %o) = @_;
    my $answer = patch($body, %o);
    is_deeply [$answer->{status}, [sort map { $_->{pointer} } @{ $answer->{json}{errors} }]],
        [422, $pointers], $name
        or diag explain $answer;
}

# ---- good ones
my $answer = get();
is $answer->{status}, 200, 'a user reads the own profile';
is $answer->{reason}, 'OK', 'with a reason behind the status, as RFC 9112 demands';
is $answer->{json}{name}, 'Ann', 'it has the name of the registration';
is $answer->{headers}{'punit-owner'}, 'eu; epoch=1', 'an owned answer names owner and epoch';
like $answer->{headers}{etag}, qr/^"[0-9a-f]{32}"$/, 'a GET has a strong entity tag';
is $answer->{headers}{'content-length'}, length $answer->{body},
    'Content-Length is that of the body';

my %full = (
    name => "B\x{e9}la \x{1f6b2}", birth_date => '1990-02-28', height_m => 1.8, weight_kg => 72.5,
    locale => 'de-AT',
    time_zone => 'Europe/Vienna',
    sports => ['0b6f2f0e-0000-4000-8000-00000000000b', '0b6f2f0e-0000-4000-8000-00000000000a']);
$answer = patch(\%full);
is_deeply $answer->{json}, { %full, user_id => $user },
    'PATCH sets every member and answers the profile';
is_deeply get()->{json}, { %full, user_id => $user }, 'what PATCH set is read afterwards';
is_deeply patch({ height_m => undef, sports => undef })->{json},
    { %full, height_m => undef, sports => [], user_id => $user },
    'a member that is null is removed';
is patch({}, type => 'application/merge-patch+json')->{status}, 200,
    'an empty merge patch changes nothing and is taken';
is patch({}, type => 'Application/JSON; charset=utf-8')->{status}, 200,
    'parameters and case of the media type do not matter';

my $tag = get()->{headers}{etag};
for (["the same tag", $tag], ['a weak one', "W/$tag"], ['one of a list', "\"x\", $tag"],
    ['any', '*'])
{
    $answer = get(none_match => $_->[1]);
    is_deeply [$answer->{status}, $answer->{body}, $answer->{headers}{etag}], [304, '', $tag],
        "If-None-Match with $_->[0] gives 304";
}
is get(none_match => '"other"')->{status}, 200, 'If-None-Match with another tag gives the document';

my $head = $profile->request(HEAD => '/profile', user => $user);
is_deeply [@{$head}{qw(status body)}, $head->{headers}{'content-length'}],
    [200, '', length get()->{body}],
    'HEAD answers as GET, without the body';
$answer = $profile->request(OPTIONS => '/profile');
is_deeply [$answer->{status}, $answer->{headers}{allow}],
    [204, 'GET, HEAD, PATCH, DELETE, OPTIONS'], 'OPTIONS says the methods';

# ---- bad ones
$answer =
    is_problem($profile->request(GET => '/profile'), 401, 'unauthorized', 'no user: 401');
is $answer->{reason}, 'Unauthorized', 'its reason too is that of RFC 9110';
is $profile->request(GET => '/profile')->{headers}{'www-authenticate'}, 'Bearer',
    'a 401 says Bearer';
is_problem(get(user => 'root'), 401, 'unauthorized', 'a user that is no uuid: 401');
is_problem($profile->request(GET => '/profile/x', user => $user), 404, 'not-found',
    'unknown path: 404');
is_problem($profile->request(GET => '/profile/', user => $user), 404, 'not-found',
    'a slash too many: 404');
is_problem($profile->request(GET => '', user => $user), 404, 'not-found', 'no path: 404');
my $not_allowed = is_problem($profile->request(PUT => '/profile', user => $user, body => '{}'), 405,
    'method-not-allowed', 'unknown method: 405');
is $not_allowed->{headers}{allow}, 'GET, HEAD, PATCH, DELETE, OPTIONS', 'a 405 lists the methods';
is_problem(patch('{}', type => 'text/plain'), 415, 'unsupported-type',
    'a body that is not JSON by its type: 415');
is_problem(patch('{}', type => ''), 415, 'unsupported-type', 'a body of no type: 415');
is_problem(patch('{}', type => 'application/jsonx'), 415, 'unsupported-type',
    'a type that only begins as JSON: 415');
is_problem(patch($_->[1]), 400, 'malformed', "$_->[0]: 400")
    for ['broken JSON', '{"name":'], ['an empty body', ''], ['text behind the JSON', '{} x'],
    ['invalid UTF-8', "{\"name\":\"\xff\"}"],
    ['an overlong encoding', "{\"name\":\"\xc0\x80\"}"], ['a single quote', "{'name':1}"],
    ['NaN', '{"height_m":NaN}'], ['a zero byte at the end', "{}\0"],
    ['a byte 0', "{\"name\":\"\0\"}"], ['100,000 brackets', '[' x 100_000],
    ['a doubled member in broken JSON', '{"a":1,"a":2'];
has_errors('{"name":"a","name":"b"}', [''], 'a doubled member: 422');
has_errors('{"name":"a\u0000b"}', ['/name'], 'a text with U+0000: 422');
has_errors('{"a\u0000b":1}', [''], 'a name with U+0000: 422');
has_errors('{"height_m":1e999}', [''], 'a number out of range: 422');
has_errors($_, [''], "a root that is no object: 422 ($_)") for '[]', '1', '"x"', 'null';
has_errors({ name => undef }, ['/name'], 'a required member cannot be removed');
has_errors({ nick => 1, 'a/b~c' => 2 }, ['/a~1b~0c', '/nick'],
    'unknown members are named by JSON pointers');
has_errors(
    {
        name => '', height_m => 'tall', weight_kg => 1000, birth_date => '1990-02-30',
        locale => '-', time_zone => 'Mars/Olympus', sports => 'x'
    },
    [map {"/$_"} qw(birth_date height_m locale name sports time_zone weight_kg)],
    'every faulty member is named at once'
);
has_errors({ sports => [$full{sports}[0], 'x', 1] }, ['/sports/1', '/sports/2'],
    'faults in arrays are named by index');
has_errors({ name => "\x{1f6b2}" x 101 }, ['/name'], 'lengths are counted in characters');
is patch({ name => "\x{1f6b2}" x 100 })->{status}, 200, 'as many as are allowed are taken';
has_errors({ birth_date => '2999-01-01' }, ['/birth_date'], 'nobody is born tomorrow');
has_errors({ time_zone => '../../etc/passwd' }, ['/time_zone'], 'a time zone is no path');

is_problem(patch('{"name":"' . 'x' x (1024 * 1024) . '"}'), 413, 'too-large',
    'a body over 1 MiB: 413');
my $kept = $profile->connection;
$kept->request(PATCH => '/profile', user => $user, body => 'x' x (3 * 1024 * 1024), keep => 1);
is $kept->request(GET => '/profile', user => $user)->{status}, 200,
    'a kept connection survives a body that was refused';
$kept->request(POST => '/profile/nowhere', user => $user, body => 'x' x 50_000, keep => 1);
is $kept->request(GET => '/profile', user => $user)->{status}, 200,
    'a kept connection survives a body that nobody wanted';

# ---- health
$answer = $profile->request(GET => '/profile/health');
is_deeply [$answer->{status}, $answer->{json}],
    [200, { status => 'ok', service => 'profile', unit => 'eu' }], 'health: 200 when all answers';

# ---- the log
$profile->until(sub { $profile->log_text =~ m{route="/profile/health"} }, 'logs the last request');
my ($line) = grep { /status=422/ && /route="\/profile"/ } split /\n/, $profile->log_text;
like $line, qr/event=request request="test-\d+" user=$user method=PATCH .* ms=\d+$/,
    'one line a request, logfmt, with request and user';
unlike $profile->log_text, qr/Europe\/Vienna|Mars/, 'no body is logged';
is + (() = $profile->log_text =~ /level=error/g), 0, 'the fault of a client is no error in the log';

done_testing;
