# What the units refuse, and how they say so. Everything goes in at the public side.
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(encode_json decode_json);
use MIME::Base64 qw(encode_base64url decode_base64url);
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;

my $units = Punit::Units->start(units => ['eu', 'us']);
my $user = Punit::User->register($units, 'eu');
my %pids = map { $_ => nginx_workers($_) } qw(eu us);

# Worker processes of a unit's NGINX.
sub nginx_workers {
    my ($unit) = @_;
    my $master = $units->pid($unit, 'nginx');
    open my $children, '<', "/proc/$master/task/$master/children" or return '';
    return join ' ', sort split ' ', <$children> // '';
}

sub problem_is {
    my ($answer, $status, $type, $name) = @_;
    is $answer->{status}, $status, "$name: $status" or diag $answer->{content};
    like $answer->{headers}{'content-type'} // '', qr{^application/problem\+json},
        "$name: a problem";
    is eval { $answer->{json}{type} } // '', "urn:punit:$type", "$name: $type" if $type;
    unlike $answer->{content}, qr{/(?:var|tmp|home|usr)/|select |insert |pg_}i,
        "$name: nothing of the inside leaks";
    return;
}

# A token signed by the unit's own key, with other claims: what only the unit itself could make.
sub signed {
    my ($unit, %claims) = @_;
    my ($key) = glob $units->dir . "/$unit/private/*.ES256.key.pem";
    my ($kid) = $key =~ m{([^/]+)[.]ES256};
    return sign_with($key, $kid, { %{ $user->claims }, %claims });
}

sub sign_with {
    my ($key, $kid, $claims) = @_;
    for my $name (keys %$claims) { delete $claims->{$name} if !defined $claims->{$name} }
    my $text = join '.',
        map { encode_base64url(encode_json($_)) } { alg => 'ES256', typ => 'at+jwt', kid => $kid },
        $claims;
    my $in = File::Temp->new;
    print {$in} $text;
    close $in;
    my $der = qx{openssl dgst -sha256 -sign "$key" "$in"};
    my ($r, $s) = unpack 'x3 C/a x C/a', $der;
    return $text . '.' . encode_base64url(join '', map { substr(("\0" x 32) . $_, -32) } $r, $s);
}

subtest 'tokens' => sub {
    my $forged = File::Temp->new;
    system 'openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', "$forged";
    my $good = $user->token;
    my ($head, $body, $signature) = split /[.]/, $good;
    my %bad = (
        'none' => undef,
        'empty' => '',
        'not a token' => 'abc',
        'two parts' => "$head.$body",
        'four parts' => "$good.x",
        'cut short' => substr($good, 0, -5),
        'padded' => "$good==",
        'another signature' => "$head.$body." . encode_base64url('x' x 64),
        'another payload' => "$head."
            . encode_base64url(encode_json({ %{ $user->claims }, roles => ['coach'] }))
            . ".$signature",
        'alg none' => encode_base64url('{"alg":"none","typ":"at+jwt"}') . ".$body.",
        'expired' => signed('eu', exp => time - 3600),
        'without exp' => signed('eu', exp => undef),
        'of a foreign key' => sign_with($forged, 'eu-1', $user->claims),
        'of an unknown key' => sign_with($forged, 'xx-1', $user->claims),
        'of another audience' => signed('eu', aud => 'elsewhere'),
        'HS256 by a public key' => do {
            my ($public) = glob $units->dir . '/eu/keys/eu-1.ES256.pem';
            my $text = encode_base64url('{"alg":"HS256","typ":"at+jwt","kid":"eu-1"}') . ".$body";
            "$text." . encode_base64url(hmac_sha256(
                $text,
                do { local (@ARGV, $/) = $public; <> }
            ));
        },
    );
    for my $what (sort keys %bad) {
        for my $unit (qw(eu us)) {
            my $answer = $units->http($unit, GET => '/profile', $bad{$what});
            problem_is($answer, 401, undef, "$what at $unit");
            like $answer->{headers}{'www-authenticate'} // '', qr/^Bearer\b/,
                "$what at $unit: WWW-Authenticate";
        }
    }
    is $units->http($_, GET => '/profile', $good)->{status}, 200, "the good one is good at $_"
        for qw(eu us);
    is $units->http('eu', GET => '/auth/keys', 'broken')->{status}, 200,
        'a broken one is ignored where none is needed';
};

subtest 'a valid token that names an unknown unit' => sub {
    # of a unit that was taken out of the system: its key is still here
    my $mars = $units->dir . '/mars.pem';
    system 'openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', $mars;
    for my $unit (qw(eu us)) {
        my $public = $units->dir . "/$unit/keys/mars-1.ES256.pem";
        system qq{openssl ec -in "$mars" -pubout -out "$public" 2>/dev/null};
        chmod 0644, $public;
        kill HUP => $units->pid($unit, 'nginx');
    }
    my $token = sign_with($mars, 'mars-1', { %{ $user->claims }, unit => 'mars' });
    for my $unit (qw(eu us)) {
        ok wait_until(sub { $units->http($unit, GET => '/profile', $token)->{status} == 200 }, 10),
            "served at $unit, where the user is known";
        my $stranger = sign_with(
            $mars, 'mars-1',
            { %{ $user->claims }, unit => 'mars', sub => '11111111-2222-4333-8444-555555555555' });
        problem_is($units->http($unit, GET => '/profile', $stranger), 401, 'unknown-user',
            "an unknown user at $unit");
        is $units->http($unit, GET => '/profile', signed('eu', unit => 'mars'))->{status}, 401,
            "a key of eu does not speak for mars at $unit";
    }
    $pids{$_} = nginx_workers($_) for qw(eu us);
};

subtest 'headers of units do not come in from outside' => sub {
    for my $header ('Punit-User', 'Punit_User', 'Punit-From', 'Punit-Roles', 'Punit-Owner',
        'PUNIT-EPOCH')
    {
        my $answer = $units->http('eu', GET => '/profile', undef, undef,
            headers => { $header => $user->id });
        is $answer->{status}, 401, "$header opens nothing";
    }
    my $answer = $user->ask('eu', GET => '/profile', undef,
        headers => { 'Punit-Owner' => 'us; epoch=99', 'Punit-Hops' => '9' });
    is $answer->{status}, 200, 'and confuses nothing';
    is $answer->{headers}{'punit-owner'}, undef, 'Punit-Owner does not go out either';
};

subtest 'bodies' => sub {
    for my $unit (qw(eu us)) {
        problem_is($user->ask($unit, POST => '/social/posts', '{"text":'), 400, undef,
            "broken JSON at $unit");
        problem_is($user->ask($unit, POST => '/social/posts', '{"text":"a","text":"b"}'), 422,
            undef, "a member twice at $unit");
        my $wrong = $user->ask($unit, POST => '/social/posts', { text => 'a', colour => 'red' });
        problem_is($wrong, 422, undef, "an unknown member at $unit");
        is $wrong->{json}{errors}[0]{pointer}, '/colour', 'and which';
        problem_is($user->ask($unit, POST => '/social/posts', { text => 1 }), 422, undef,
            "a wrong type at $unit");
        problem_is(
            $user->ask(
                $unit, POST => '/social/posts', 'text=a',
                headers => { 'content-type' => 'text/plain' }
            ),
            415, undef,
            "not JSON at $unit"
        );
        problem_is($user->ask($unit, POST => '/social/posts', { text => 'x' x (1 << 20) }), 413,
            undef, "over 1 MiB at $unit");
    }
};

subtest 'paths and methods' => sub {
    problem_is($user->ask('eu', GET => '/social/nowhere'), 404, undef,
        'an unknown path of a service');
    problem_is($user->ask('eu', GET => '/nowhere'), 404, undef, 'a path of no service');
    my $answer = $user->ask('eu', DELETE => '/social/feed');
    problem_is($answer, 405, undef, 'a method that is not for it');
    like $answer->{headers}{allow} // '', qr/\bGET\b/, 'says which are';
    problem_is($user->ask('eu', POST => '/training/exercises', {}), 403, undef,
        'what only a coach may do');
    is $units->http('eu', GET => $_, $user->token)->{status}, 404, "$_ is not for clients"
        for '/punit/introspect', '/punit/reissue';
};

subtest 'an Authorization header of any length' => sub {
    for my $length (0 .. 64, 1000, 8000, 15000) {
        my $answer = $units->http('eu', GET => '/profile', undef, undef,
            headers => { authorization => substr 'Bearer ' . 'a' x $length, 0, $length });
        is $answer->{status}, 401, "of $length bytes" if $answer->{status} != 401;
    }
    pass 'is answered 401';
};

subtest 'no worker process died of all this' => sub {
    is nginx_workers($_), $pids{$_}, "nginx of $_" for qw(eu us);
};

done_testing;
