#!/usr/bin/perl
# The end of a signing key: by itself after its last token, and at once by keys retire.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);
use MIME::Base64 qw(decode_base64url);
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Punit::File qw(append slurp spew);
use Punit::Units;
use Punit::Wait qw(patience wait_until);

my $keep = 8;
# NGINX says so of the configuration that it is given.
my $units = Punit::Units->start(excuse => qr/no_such_directive/, units => ['eu', 'us'],
    env => { PUNIT_KEY_KEEP => "${keep}s" });
my $dir = $units->dir;
my $n = 0;

# A new user of eu, whose token the key signs.
sub token_of {
    my ($kid) = @_;
    my $answer = $units->http(
        'eu', POST => '/auth/register', undef,
        { email => 'k' . $n++ . '@example.org', password => 'correct horse', name => 'K' });
    my $token = $answer->{json}{access_token} // die "register: $answer->{status}";
    is(decode_json(decode_base64url((split /\./, $token)[0]))->{kid}, $kid, "$kid signs");
    return $token;
}

sub answers {
    my ($token) = @_;
    return join ' ', map { $units->http($_, GET => '/profile', $token)->{status} } 'eu', 'us';
}

# Asks auth of eu again and again until the answer is called, which gives the number of answers with
# each status.
sub ask_auth {
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if (!$pid) {
        my %count;
        my $http = HTTP::Tiny->new(timeout => patience(15));
        $count{ $http->get($units->base_url('eu') . '/auth/keys')->{status} }++
            until -e "$dir/over";
        syswrite STDOUT, encode_json(\%count);
        POSIX::_exit(0);
    }
    return sub {
        spew("$dir/over", '');
        return decode_json(join '', <$pipe>);
    };
}

# eu rotates: the first call publishes, us takes the key over, the second call uses it.
sub rotate {
    my ($kid) = @_;
    $units->punitctl('eu', 'keys', 'rotate');
    wait_until(
        sub { $units->one('us', 'select count(*) from punit.unit_key where kid = ?', $kid) }, 15
    );
    $units->punitctl('us', 'keys', 'sync');
    wait_until(
        sub {
            $units->one(
                'eu', q{select count(*) from punit.unit_key_held
                where kid = ? and origin_unit = 'us'}, $kid
            )
        },
        15
    );
    return $units->punitctl('eu', 'keys', 'rotate');
}

sub list {
    my ($unit) = @_;
    my (undef, $output) = $units->punitctl($unit, 'keys', 'list');
    return $output;
}

my $first = token_of('eu-1');
is(answers($first), '200 200', 'a token of the first key is good at both units');

subtest 'a rotated key ends by itself' => sub {
    my $asked = ask_auth();
    my ($status, $output) = rotate('eu-2');
    my $rotated = time;
    is_deeply([keys %{ $asked->() }], [200], 'auth answers all requests of that time');
    is($status, 0, 'rotated') or diag($output);
    like(
        $output, qr/^eu: eu-2 signs from now on; tokens of eu-1 are good until [\d-]+T[\d:]+Z$/m,
        'which says until when'
    );
    is(answers($first), '200 200', 'until then its tokens are good');
    ok(!-e "$dir/eu/private/eu-1.ES256.key.pem", 'its private half is gone at once');
    like(list('us'), qr/^eu-1 .* no +\d{4}-.*eu us/m, 'keys list: it does not sign, and its end');
    my $second = token_of('eu-2');
    like(list('us'), qr/^eu-2 .* yes +- +eu us/m, 'keys list: the new one signs');
    ok(
        wait_until(sub { answers($first) eq '401 401' }, $keep + 20),
        'then they are refused at both units, without a command'
        )
        or diag(answers($first));
    cmp_ok(time - $rotated, '>=', $keep - 1, 'and not before');
    ok(!-e "$dir/$_/keys/eu-1.ES256.pem", "the key is gone at $_") for 'eu', 'us';
    is(answers($second), '200 200', 'tokens of the new key stay good');
    ok(wait_until(sub { list('us') =~ /^eu-1 .*Z +-$/m }, 10), 'keys list: nobody holds it')
        or diag(list('us'));
    ($status, $output) = $units->punitctl('us', 'keys', 'sync');
    ok($status == 0 && !-e "$dir/us/keys/eu-1.ES256.pem", 'keys sync does not bring it back');
};

subtest 'a key that was rotated by an earlier release' => sub {
    $units->dbh('eu')->do(q{delete from punit.unit_key_end where kid = 'eu-1'});
    my ($status, $output) = $units->punitctl('eu', 'unit', 'init', 'eu');
    is($status, 0, 'unit init after the upgrade') or diag($output);
    is(
        $units->one('eu', 'select string_agg(kid, \' \') from punit.unit_key_end'), 'eu-1',
        'gives it its end'
    );
};

subtest 'a stolen key ends at once' => sub {
    append("$dir/eu/unit.env", "PUNIT_KEY_KEEP=1h\n");
    my $token = token_of('eu-2');
    rotate('eu-3');
    is(answers($token), '200 200', 'a token of it is good for long');
    for my $case (
        ['eu-3', qr/eu-3 signs; begin with punitctl keys rotate/, 'the key that signs'],
        ['us-1', qr/us-1 is no key of unit eu; a key is retired at its own/, 'a peer\'s key'],
        ['eu-9', qr/unit eu has no key eu-9/, 'an unknown key']
        )
    {
        my ($status, $output) = $units->punitctl('eu', 'keys', 'retire', $case->[0]);
        ok($status == 1 && $output =~ $case->[1], "$case->[2] is refused") or diag($output);
    }
    $units->process('us', 'mover', 'down');
    my ($status, $output) = $units->punitctl('eu', 'keys', 'retire', 'eu-2', '--within', '1');
    ok(
        $status == 1 && $output =~ /eu-2 may still be good at: us;/,
        'it says which unit has not heard of it'
        )
        or diag($output);
    is((split ' ', answers($token))[0], 401, 'this unit refuses its tokens');
    $units->process('us', 'mover', 'up');
    ($status, $output) = $units->punitctl('eu', 'keys', 'retire', 'eu-2', '--within', patience(30));
    ok($status == 0 && $output =~ /no unit accepts eu-2 any more/, 'the same call waits for it')
        or diag($output);
    ok(wait_until(sub { answers($token) eq '401 401' }, 10), 'and no unit accepts them')
        or diag(answers($token));
    is(answers(token_of('eu-3')), '200 200', 'tokens of the key that signs are good');
};

subtest 'a unit ends its own keys alone' => sub {
    my $insert = q{insert into punit.unit_key_end values (?, ?, now())};
    ok(!eval { $units->connect('us')->do($insert, undef, 'us', 'eu-3') }, 'not another unit\'s');
    ok(
        !eval { $units->connect('us')->do($insert, undef, 'eu', 'eu-us-1') },
        'not one of a unit whose id begins like its own'
    );
    like($@, qr/violates check constraint/, 'the table refuses it');
};

subtest 'an NGINX that cannot reload' => sub {
    my $own = "$dir/us/nginx/local/http.d/broken.conf";
    my $held = q{select count(*) from punit.unit_key_held where kid = ? and origin_unit = 'us'};
    spew($own, "no_such_directive;\n");
    $units->punitctl('eu', 'keys', 'rotate');
    ok(
        wait_until(
            sub { $units->one('us', q{select count(*) from punit.unit_key where kid = 'eu-4'}) }, 15
        ),
        'a new key is announced'
    );
    my ($status, $output) = $units->punitctl('us', 'keys', 'sync');
    ok($status == 1 && $output =~ /no_such_directive/, 'keys sync fails') or diag($output);
    is($units->one('us', $held, 'eu-4'), 0, 'and does not say that this unit accepts the key');
    ($status, $output) = $units->punitctl('us', 'keys', 'sync');
    is($status, 1, 'nor the second time');
    unlink $own;
    ($status, $output) = $units->punitctl('us', 'keys', 'sync');
    ok($status == 0 && $units->one('us', $held, 'eu-4'), 'it does so once NGINX has read it')
        or diag($output);
    ok(
        wait_until(
            sub {
                $units->one(
                    'eu', q{select count(*) from punit.unit_key_held
            where kid = 'eu-4' and origin_unit = 'us'}
                )
            },
            15
        ),
        'eu hears of that'
    );
    $units->punitctl('eu', 'keys', 'rotate');
    my $token = token_of('eu-4');
    is(answers($token), '200 200', 'and then eu signs with it');

    $units->process('us', 'mover', 'down');
    rotate('eu-5');
    spew($own, "no_such_directive;\n");
    $units->punitctl('eu', 'keys', 'retire', 'eu-4', '--within', '1');
    ok(
        wait_until(
            sub {
                $units->one(
                    'us', q{select count(*) from punit.unit_key_end
            where kid = 'eu-4' and until <= now()}
                )
            },
            15
        ),
        'a key ends at eu'
    );
    ($status, $output) = $units->punitctl('us', 'keys', 'sync');
    is($status, 1, 'keys sync fails at us');
    is($units->one('us', $held, 'eu-4'), 1, 'which goes on saying that it accepts the key');
    unlink $own;
    ($status, $output) = $units->punitctl('us', 'keys', 'sync');
    is($status, 0, 'the next call makes up for it') or diag($output);
    is($units->one('us', $held, 'eu-4'), 0, 'it says so');
    ok(wait_until(sub { answers($token) eq '401 401' }, 10), 'and no unit accepts the key')
        or diag(answers($token));
    $units->process('us', 'mover', 'up');
};

done_testing;
