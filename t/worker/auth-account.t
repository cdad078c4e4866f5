# Registration, login and passwords at one unit, through the worker.

use strict;
use warnings;
use Test::More;
use JSON::PP;

use Punit::AuthWorker;
use Punit::Postgres;

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
my $dbh = $pg->dbh;
my $auth = Punit::AuthWorker->new($pg);

my %ann = (email => 'Ann@Example.org', password => 'correct horse', name => 'Ann');

is $auth->post('/auth/register', \%ann)->{status}, 503, 'before buckets are dealt nobody registers';
$dbh->do(q(select auth.assign_buckets('{eu}')));

my $born = $auth->post('/auth/register', \%ann);
is $born->{status}, 201, 'a user registers';
is_deeply [sort keys %{ $born->{json} }],
    [sort qw(user_id access_token refresh_token token_type expires_in unit)],
    'and is told the id, a pair of tokens and the unit';
is_deeply [@{ $born->{json} }{qw(token_type expires_in unit)}], ['Bearer', 900, 'eu'],
    'for fifteen minutes';
is $born->{headers}{'cache-control'}, 'no-store', 'which nobody may keep';
is $born->{headers}{'punit-owner'}, 'eu; epoch=1', 'the owner is named';

my $user = $born->{json}{user_id};
my $claims = Punit::AuthWorker::claims($born->{json}{access_token});
# libjwt before 1.12 writes JWT over the type of RFC 9068
my $typ = system('pkg-config --atleast-version=1.12 libjwt') == 0 ? 'at+jwt' : 'JWT';
is_deeply Punit::AuthWorker::head($born->{json}{access_token}),
    { alg => 'ES256', typ => $typ, kid => 'eu-1' },
    'the access token is one of RFC 9068';
is_deeply [sort keys %$claims], [sort qw(iss aud sub jti iat exp unit epoch gen sid roles)],
    'with the claims agreed on';
is_deeply [@$claims{qw(iss aud sub unit epoch gen)}], ['punit', 'punit', $user, 'eu', 1, 1],
    'about the user';
is $claims->{exp} - $claims->{iat}, 900, 'good for fifteen minutes';
is_deeply $claims->{roles}, ['user'], 'as a user';
like $born->{json}{refresh_token}, qr/^\Q$user\E\.[A-Za-z0-9_-]{43}$/,
    'the refresh token names the user';
is $dbh->selectrow_array('select name from profile.profile where user_id = ?', undef, $user),
    'Ann', 'the user has a profile';
is $dbh->selectrow_array('select state from punit.own where user_id = ?', undef, $user), 'OWNED',
    'the user is owned here';

my $all = join '|', map { @{ $dbh->selectcol_arrayref("select t::text from $_ t") } }
    qw(auth.name auth.credential auth.session auth.refresh profile.profile);
unlike $all, qr/example\.org|correct horse/i, 'neither address nor password is in the database';
my $secret = (split /\./, $born->{json}{refresh_token})[1];
unlike $all, qr/\Q$secret/, 'nor is the refresh token';

for ($ann{email}, 'ann@example.org', 'ANN@EXAMPLE.ORG') {
    my $again = $auth->post('/auth/register', { %ann, email => $_ });
    is_deeply [@{ $again->{json} }{qw(status type)}], [409, 'urn:punit:name-taken'], "$_ is taken";
}

# ---- what is refused
my @bad = (
    [{ %ann, email => 'ann' }, '/email', 'a text that is not an address'],
    [{ %ann, email => 'a' x 250 . '@b.de' }, '/email', 'an address of 255 characters'],
    [{ %ann, email => undef }, '/email', 'null for an address'],
    [{ %ann, email => ['a@b.de'] }, '/email', 'a list for an address'],
    [{ %ann, password => 'short77' }, '/password', 'a password of 7 characters'],
    [{ %ann, password => 'x' x 257 }, '/password', 'a password of 257 characters'],
    [{ %ann, name => '' }, '/name', 'an empty name'],
    [{ %ann, name => 'x' x 101 }, '/name', 'a name of 101 characters'],
    [{ %ann, admin => JSON::PP::true }, '/admin', 'an unknown member'],
    [{ email => 'b@b.de', name => 'B' }, '/password', 'no password'],
);
for (@bad) {
    my ($body, $pointer, $what) = @$_;
    my $answer = $auth->post('/auth/register', $body);
    is_deeply [$answer->{status}, map { $_->{pointer} } @{ $answer->{json}{errors} // [] }],
        [422, $pointer],
        "$what is refused";
}
is $auth->call('POST', '/auth/register', '{"email":')->{status}, 400, 'what is no JSON is refused';
is $auth->call('POST', '/auth/register', '{}', CONTENT_TYPE => 'text/plain')->{status}, 415,
    'and what is no JSON by its type';
is $auth->get('/auth/register')->{headers}{allow}, 'POST, OPTIONS', 'registration is a POST';
is $dbh->selectrow_array('select count(*) from auth.name'), 1, 'none of these left a name';

my $long = $auth->post('/auth/register',
    { email => 'long@example.org', password => "\x{1f40e}" x 256, name => "\x{e9}" x 100 });
is $long->{status}, 201, 'lengths are counted in characters, not bytes';

# ---- login
my %in = (email => 'ann@EXAMPLE.org', password => 'correct horse');
my $login = $auth->post('/auth/login', \%in, PUNIT_CLIENT => '192.0.2.7');
is $login->{status}, 200, 'the user logs in';
is $login->{json}{user_id}, $user, 'as the same user';
isnt Punit::AuthWorker::claims($login->{json}{access_token})->{sid}, $claims->{sid},
    'in a session of its own';

my $wrong = $auth->post('/auth/login', { %in, password => 'correct horsf' });
my $unknown = $auth->post('/auth/login', { %in, email => 'eve@example.org' });
is_deeply [@{ $wrong->{json} }{qw(status type)}], [401, 'urn:punit:bad-credentials'],
    'a wrong password is refused';
is $unknown->{body}, $wrong->{body}, 'an unknown name gets the same answer';
is_deeply $unknown->{headers}, $wrong->{headers}, 'with the same headers';

# ---- a claim whose account was never made
my $half = '77777777-0000-4000-8000-000000000000';
sub half_claimed {
    my ($email, $unit) = @_;
    $dbh->do(q(select auth.claim_name(decode(?, 'hex'), ?, ?)), undef,
        Punit::AuthWorker::hash($email), $half, $unit);
}
half_claimed('half@example.org', 'eu');
my %half = (email => 'half@example.org', password => 'half a horse', name => 'Half');
is $auth->post('/auth/login', { %half{qw(email password)} })->{status}, 401,
    'a name without account does not log in';
my $finished = $auth->post('/auth/register', \%half);
is_deeply [$finished->{status}, $finished->{json}{user_id}], [201, $half],
    'a registration that was interrupted after the claim is finished by the same request';
is $auth->post('/auth/login', { %half{qw(email password)} })->{status}, 200, 'and logs in';

# ---- changing the password
my %me = Punit::AuthWorker::as($login->{json}{access_token});
my %other = Punit::AuthWorker::as($born->{json}{access_token});
my %change = (old => 'correct horse', new => 'battery staple');
is $auth->post('/auth/password', \%change)->{status}, 401,
    'only a user that is logged in changes a password';
is_deeply [@{ $auth->post('/auth/password', { %change, old => 'x' }, %me)->{json} }{qw(status type)}
    ],
    [403, 'urn:punit:wrong-password'], 'and knows the old one';
is $auth->post('/auth/password', { %change, new => 'short77' }, %me)->{status}, 422,
    'the new one is no shorter than 8';
is $auth->get('/punit/introspect', %other)->{json}{active}, JSON::PP::true,
    'until then all sessions live';
is $auth->post('/auth/password', \%change, %me)->{status}, 204, 'the password is changed';
is $auth->get('/punit/introspect', %other)->{json}{active}, JSON::PP::false,
    'other sessions have ended';
is $auth->post('/auth/refresh', { refresh_token => $born->{json}{refresh_token} })->{status}, 401,
    'and do not come back';
is $auth->get('/punit/introspect', %me)->{json}{active}, JSON::PP::true, 'this one goes on';
is $auth->post('/auth/login', \%in)->{status}, 401, 'the old password is no longer good';
is $auth->post('/auth/login', { %in, password => 'battery staple' })->{status}, 200,
    'the new one is';

# ---- roles are an operator's act
is $dbh->selectrow_array(q(select auth.grant_role(?, 'coach')::text), undef, $user),
    '{user,coach}', 'a role is granted';
my $coach = $auth->post('/auth/login', { %in, password => 'battery staple' });
is_deeply Punit::AuthWorker::claims($coach->{json}{access_token})->{roles}, ['user', 'coach'],
    'the next token carries it';
$dbh->do(q(select auth.revoke_role(?, 'coach')), undef, $user);
is $auth->get('/punit/introspect', Punit::AuthWorker::as($coach->{json}{access_token}))
    ->{json}{active},
    JSON::PP::false, 'tokens end when their role is taken away';
my $plain = $auth->post('/auth/refresh', { refresh_token => $coach->{json}{refresh_token} });
is_deeply [@{ Punit::AuthWorker::claims($plain->{json}{access_token}) }{qw(roles gen)}],
    [['user'], 2],
    'their session goes on without it';
is $auth->get('/punit/introspect', Punit::AuthWorker::as($plain->{json}{access_token}))
    ->{json}{active},
    JSON::PP::true, 'with a good token';
ok !eval { $dbh->do(q(select auth.grant_role(?, 'king')), undef, $user); 1 },
    'there are no other roles';
ok !eval { $dbh->do(q(select auth.grant_role(gen_random_uuid(), 'coach'))); 1 }
    && $dbh->state eq 'PU421',
    'no user gets a role at a unit that is not the owner';

# ---- nothing secret in the log
$auth->stop;    # what it keeps is written
my $text = $auth->log_text;
unlike $text, qr/example\.org|horse|staple|eyJ/i, 'the log holds no address, password or token';

$dbh->disconnect;
done_testing;
