# Attempts at passwords and registrations are limited by name and by client address.

use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);

use Punit::AuthWorker;
use Punit::Postgres;
use Punit::Grid;
use Punit::Wait qw(wait_until);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
my $dbh = $pg->dbh;
$dbh->do(q(select auth.assign_buckets('{eu}')));
my %limits =
    (PUNIT_AUTH_NAME_BURST => 3, PUNIT_AUTH_NAME_EVERY => '1h', PUNIT_AUTH_STRANGERS_BURST => 5,
    PUNIT_AUTH_STRANGERS_EVERY => '1h', PUNIT_AUTH_ADDRESS_BURST => 8,
    PUNIT_AUTH_ADDRESS_EVERY => '1h');
my $auth = Punit::AuthWorker->new($pg, env => \%limits);
my $n = 0;

sub fresh { $dbh->do('delete from auth.attempt') }

# A client with an address of its own.
sub address { return '192.0.' . int(++$n / 250) . '.' . $n % 250 }

# home: the address of the registration, from which nothing has been tried
sub person {
    my $home = address();
    my $who = {
        email => 'person-' . ++$n . '@example.org',
        password => 'correct horse',
        home => $home
    };
    my $a = $auth->post(
        '/auth/register', { %$who{qw(email password)}, name => 'Ann' },
        PUNIT_CLIENT => $home);
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

subtest 'wrong passwords for one name from one address end in 429 with Retry-After' => sub {
    my ($ann) = person();
    my $stranger = address();
    my @a = map { login($ann, 'wrong', $stranger) } 1 .. 4;
    is statuses(@a), '401 401 401 429';
    is $a[3]{json}{type}, 'urn:punit:too-many';
    cmp_ok $a[3]{headers}{'retry-after'}, '>', 3590;
    cmp_ok $a[3]{headers}{'retry-after'}, '<=', 3600;
    is statuses(login($ann, undef, $stranger)), 429, 'then the right one from there too';
    is statuses(map { login($ann, undef, $_) } $ann->{home}, address()), '200 200',
        'the user is not held up';
    my ($bea) = person();
    is statuses(login($bea, undef, $stranger)), 200, 'nor are other names at that address';
};

subtest 'wrong passwords for one name from many addresses end in 429 too' => sub {
    my ($ann) = person();
    is statuses(map { login($ann, 'wrong') } 1 .. 6), '401 401 401 401 401 429';
    is statuses(login($ann)), 429, 'then the right one from a new address too';
    is statuses(map { login($ann, undef, $ann->{home}) } 1 .. 4), '200 200 200 200',
        'but not from an address that the name has logged in from';
    is statuses(map { login($ann, 'wrong', $ann->{home}) } 1 .. 4), '401 401 401 429',
        'which has its own limit';
    is statuses(login($ann)), 429, 'and gives strangers nothing back';
};

subtest 'while a stranger tries 5 passwords a second the user logs in 30 of 30 times' => sub {
    my ($ann) = person();
    # the limits of the shipped unit.env
    my $shipped = Punit::AuthWorker->new($pg);
    my @address = (address(), address());
    my (%stranger, %user);
    for my $i (1 .. 30) {
        my $next = time + 0.4;
        $stranger{ $shipped->post('/auth/login', { email => $ann->{email}, password => "wrong $_" },
                PUNIT_CLIENT => $address[0])->{status} }++ for 1 .. 2;
        $user{ $shipped->post('/auth/login', { %$ann{qw(email password)} },
                PUNIT_CLIENT => $address[1])->{status} }++;
        sleep $next - time if $next > time;
    }
    is_deeply \%user, { 200 => 30 }, 'the user gets in';
    cmp_ok $stranger{401}, '<=', 11, 'the stranger had 10 attempts, and one more each 30 s';
    is $stranger{401} + $stranger{429}, 60, 'and was refused else';
};

subtest 'ten known addresses of a name are kept, the newest, for 90 days' => sub {
    my ($ann) = person();
    my @address = map { address() } 1 .. 12;
    for (@address) {
        is login($ann, undef, $_)->{status}, 200 or last;
        $dbh->do(q(update auth.known_address set seen_at = seen_at - interval '1 minute'));
    }
    my $known = sub {
        $dbh->selectcol_arrayref(
            q(select address from auth.known_address where who = ? order by seen_at),
            undef, 'name \x' . Punit::AuthWorker::hash($ann->{email}))
    };
    is_deeply $known->(), [@address[2 .. 11]];
    $dbh->do(q(update auth.known_address set seen_at = seen_at - interval '90 days'));
    my $new = address();
    login($ann, undef, $new);
    is_deeply $known->(), [$new];
};

subtest 'a name that nobody has is limited like any other' => sub {
    my $stranger = address();
    is statuses(map { login({ email => 'nobody@example.org' }, 'wrong', $stranger) } 1 .. 4),
        '401 401 401 429';
    is statuses(map { login({ email => 'nobody@example.org' }, 'wrong') } 1 .. 3), '401 401 429';
};

subtest 'right passwords are not counted against the name' => sub {
    my ($ann) = person();
    is statuses(map { login($ann) } 1 .. 6), '200 200 200 200 200 200';
    my $address = address();
    is statuses(map { login($ann, undef, $address) } 1 .. 4), '200 200 200 200';
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
    my $stranger = address();
    is statuses(map { $new->($ann->{email}, $stranger) } 1 .. 4), '409 409 409 429';
    is statuses(map { $new->($ann->{email}) } 1 .. 3), '409 409 429', 'from many addresses too';
    is statuses(login($ann, undef, $ann->{home})), 200, 'the user of the name is not held up';
};

subtest 'guesses at the old password are limited like those of a login' => sub {
    my ($ann, $token) = person();
    my $change = sub {
        $auth->post('/auth/password', { old => $_[0], new => 'another horse' },
            Punit::AuthWorker::as($token), PUNIT_CLIENT => $_[1] // address());
    };
    my $thief = address();
    is statuses(map { $change->('wrong', $thief) } 1 .. 4), '403 403 403 429';
    is statuses($change->($ann->{password}, $thief)), 429;
    is statuses(map { $change->('wrong') } 1 .. 3), '403 403 429', 'from many addresses too';
    is statuses($change->($ann->{password}, $ann->{home})), 204,
        'where the user has logged in they cost the user nothing';
};

subtest 'many at once are not let through for being at once' => sub {
    my ($ann) = person();
    my $client = address();
    my @running = map {
        $auth->fcgi->send_only(POST => '/auth/login',
            body => { email => $ann->{email}, password => 'wrong' },
            params => { PUNIT_CLIENT => $client })
    } 1 .. 8;
    my %count;
    $count{ $auth->fcgi->collect($_)->{status} }++ for @running;
    is_deeply \%count, { 401 => 3, 429 => 5 };
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
    my $client = address();
    my $try = sub {
        $with->post('/auth/login', { email => $ann->{email}, password => $_[0] },
            PUNIT_CLIENT => $client)->{status}
    };
    is join(' ', map { $try->('wrong') } 1 .. 2), '401 401';
    $grid->stop('KILL');
    is $try->($ann->{password}), 200;
    is join(' ', map { $try->('wrong') } 1 .. 2), '401 429';
};

subtest 'the counters hold no e-mail address' => sub {
    unlike join(' ', @{ $dbh->selectcol_arrayref('select who from auth.attempt') }), qr/example|@/;
};

subtest 'an attempt with a wrong password is logged, by the keyed hash of the name' => sub {
    my ($ann, $token) = person();
    my $client = address();
    my $id = 'ab' x 16;
    my %params = (PUNIT_CLIENT => $client, PUNIT_REQUEST_ID => $id);
    my $hash = Punit::AuthWorker::hash($ann->{email});
    for my $case (["name=\\x$hash", $ann->{email}],
        ['name=\x' . Punit::AuthWorker::hash('nobody-2@example.org'), 'nobody-2@example.org'])
    {
        $auth->post('/auth/login', { email => $case->[1], password => 'wrong guess' }, %params);
        ok wait_until(
            sub {
                $auth->log_text =~
                    /event=wrong-password request=$id client=\Q$client\E \Q$case->[0]\E$/m
            },
            10
            ),
            'of a login';
    }
    $params{PUNIT_REQUEST_ID} = 'cd' x 16;
    $auth->post('/auth/password', { old => 'wrong guess', new => 'another horse' },
        Punit::AuthWorker::as($token), %params);
    ok wait_until(
        sub { $auth->log_text =~ /event=wrong-password request=(?:cd){16} .* name=\\x$hash$/m },
        10
        ),
        'of a change of password';
    $auth->post('/auth/login', { email => $ann->{email}, password => 'wrong guess' }, %params)
        for 1 .. 3;
    ok wait_until(
        sub { $auth->log_text =~ /event=too-many-attempts .* name=\\x$hash wait=/ }, 10),
        'and so is one too many';
    unlike $auth->log_text, qr/example\.org|wrong guess|horse/, 'neither name nor password is';
};

$dbh->disconnect;
done_testing;
