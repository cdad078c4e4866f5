# Attempts at passwords and registrations are limited by name and by client address.

use strict;
use warnings;
use Test::More;

use Punit::AuthWorker;
use Punit::Postgres;
use Punit::Grid;
use Punit::Wait qw(wait_until);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
my $dbh = $pg->dbh;
$dbh->do(q(select auth.assign_buckets('{eu}')));
my %limits =
    (PUNIT_AUTH_NAME_BURST => 3, PUNIT_AUTH_NAME_EVERY => '1h', PUNIT_AUTH_ADDRESS_BURST => 8,
    PUNIT_AUTH_ADDRESS_EVERY => '1h');
my $auth = Punit::AuthWorker->new($pg, env => \%limits);
my $n = 0;

sub fresh { $dbh->do('delete from auth.attempt') }

# A client with an address of its own.
sub address { return '192.0.2.' . ++$n }

sub person {
    my $who = { email => 'person-' . ++$n . '@example.org', password => 'correct horse' };
    my $a = $auth->post('/auth/register', { %$who, name => 'Ann' }, PUNIT_CLIENT => address());
    $a->{status} == 201 or die "$a->{status} $a->{body}";
    return ($who, $a->{json}{access_token});
}

sub login {
    my ($who, $password, $client) = @_;
    return $auth->post(
        '/auth/login', { email => $who->{email}, password => $password // $who->{password} },
        PUNIT_CLIENT => $client // address());
}

sub statuses {
    return join ' ', map { $_->{status} } @_
}

subtest 'wrong passwords for one name end in 429 with Retry-After, from whatever addresses' => sub {
    my ($ann) = person();
    my @a = map { login($ann, 'wrong') } 1 .. 4;
    is statuses(@a), '401 401 401 429';
    is $a[3]{json}{type}, 'urn:punit:too-many';
    cmp_ok $a[3]{headers}{'retry-after'}, '>', 3590;
    cmp_ok $a[3]{headers}{'retry-after'}, '<=', 3600;
    is statuses(login($ann)), 429, 'then the right one too';
    my ($bea) = person();
    is statuses(login($bea)), 200, 'others are not held up';
};

subtest 'a name that nobody has is limited like any other' => sub {
    is statuses(map { login({ email => 'nobody@example.org' }, 'wrong') } 1 .. 4),
        '401 401 401 429';
};

subtest 'right passwords are not counted against the name' => sub {
    my ($ann) = person();
    is statuses(map { login($ann) } 1 .. 6), '200 200 200 200 200 200';
};

subtest 'attempts from one address end in 429, with whatever names, right or wrong' => sub {
    my ($ann) = person();
    my $client = address();
    is statuses(map { login($ann, undef, $client) } 1 .. 4), '200 200 200 200';
    is statuses(map { login({ email => "x$_\@example.org" }, 'wrong', $client) } 1 .. 5),
        '401 401 401 401 429';
    is statuses(login($ann)), 200, 'another address goes on';
};

subtest 'an address of IPv6 is its /64, one of IPv4 within IPv6 is itself' => sub {
    my $try = sub {
        my $i = 0; statuses(map { login({ email => 'y' . ++$n . '@example.org' }, 'wrong', $_) } @_)
    };
    my $eight = join ' ', (401) x 8;
    is $try->(map {"2001:db8:0:1::$_"} 1 .. 9), "$eight 429";
    is $try->('2001:db8:0:2::1'), 401;
    is $try->(map {"::ffff:198.51.100.$_"} 1 .. 9), "$eight 401";
    is $try->(map {'::ffff:198.51.100.9'} 1 .. 8), join(' ', (401) x 7, 429);
};

subtest 'registering is limited by address, and by name where it is taken' => sub {
    my $client = address();
    my $new = sub {
        $auth->post('/auth/register',
            { email => $_[0], password => 'correct horse', name => 'Ann' },
            PUNIT_CLIENT => $_[1] // address())
    };
    is statuses(map { $new->('new-' . ++$n . '@example.org', $client) } 1 .. 9),
        join(' ', (201) x 8, 429);
    my ($ann) = person();
    is statuses(map { $new->($ann->{email}) } 1 .. 4), '409 409 409 429';
};

subtest 'guesses at the old password are limited by user' => sub {
    my ($ann, $token) = person();
    my $change = sub {
        $auth->post('/auth/password', { old => $_[0], new => 'another horse' },
            Punit::AuthWorker::as($token), PUNIT_CLIENT => address());
    };
    is statuses(map { $change->('wrong') } 1 .. 4), '403 403 403 429';
    is statuses($change->($ann->{password})), 429;
    fresh();
    is statuses($change->($ann->{password})), 204;
};

subtest 'many at once are not let through for being at once' => sub {
    my ($ann) = person();
    my @running = map {
        $auth->fcgi->send_only(POST => '/auth/login',
            body => { email => $ann->{email}, password => 'wrong' },
            params => { PUNIT_CLIENT => address() })
    } 1 .. 12;
    my %count;
    $count{ $auth->fcgi->collect($_)->{status} }++ for @running;
    is_deeply \%count, { 401 => 3, 429 => 9 };
};

subtest 'tokens come back with time, and what is full again is forgotten' => sub {
    my ($ann) = person();
    my $quick = Punit::AuthWorker->new($pg,
        env => { %limits, PUNIT_AUTH_NAME_EVERY => '300ms', PUNIT_AUTH_ADDRESS_EVERY => '1ms' });
    my $try = sub {
        $quick->post('/auth/login', { email => $ann->{email}, password => 'wrong' },
            PUNIT_CLIENT => '203.0.113.1')->{status}
    };
    fresh();
    # faster than they come back
    ok wait_until(sub { $try->() == 429 }, 10), 'a client that tries on and on is refused';
    ok wait_until(sub { $try->() == 401 }, 10), 'after a while it may try again';
    ok wait_until(
        sub {
            $dbh->selectrow_array(
                q(select count(*) from auth.attempt where tat < now() - interval '1 second'))
                >= 1
        },
        10
        ),
        'what was counted expires';
    $try->();
    is $dbh->selectrow_array(
        q(select count(*) from auth.attempt where tat < now() - interval '2 seconds')), 0,
        'and is removed by the next attempt';
};

subtest 'memcached that dies neither locks out nor lets through' => sub {
    my $dir = $auth->dir;
    my $grid = Punit::Grid->new("$dir/tokens.sock");
    my $with = Punit::AuthWorker->new($pg,
        env => { %limits, PUNIT_TOKEN_GRID => "unix:$dir/tokens.sock" });
    my ($ann) = person();
    my $try = sub {
        $with->post('/auth/login', { email => $ann->{email}, password => $_[0] },
            PUNIT_CLIENT => address())->{status}
    };
    is join(' ', map { $try->('wrong') } 1 .. 2), '401 401';
    $grid->stop('KILL');
    is $try->($ann->{password}), 200;
    is join(' ', map { $try->('wrong') } 1 .. 2), '401 429';
};

subtest 'the counters hold no e-mail address' => sub {
    unlike join(' ', @{ $dbh->selectcol_arrayref('select who from auth.attempt') }), qr/example|@/;
};

$dbh->disconnect;
done_testing;
