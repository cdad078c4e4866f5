# A password is the same whatever keyboard it comes from: RFC 8265, OpaqueString.

use strict;
use warnings;
use utf8;
use Encode qw(encode_utf8);
use Test::More;
use Unicode::Normalize qw(NFC NFD);

use Punit::AuthWorker;
use Punit::File qw(spew);
use Punit::Postgres;
use Punit::Tree qw(root);

my $pg = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
my $dbh = $pg->dbh;
$dbh->do(q(select auth.assign_buckets('{eu}')));
my $auth = Punit::AuthWorker->new($pg,
    env => { map { ("PUNIT_AUTH_${_}_BURST" => 10000) } qw(NAME STRANGERS ADDRESS) });

my $seed = $ENV{PUNIT_SEED} // time;
srand $seed;
my @letter = ('a' .. 'z', 'Z', '7', ' ', 'é', 'Ö', 'ệ', 'Å', '한', 'ǖ', 'ñ', '🐎', 'ß', 'Ａ');
my @space = ("\x{20}", "\x{a0}", "\x{2003}", "\x{3000}");
my $n = 0;

sub spaced {
    my ($text) = @_;
    $text =~ s/ /$space[rand @space]/g;
    return $text;
}

sub status {
    my ($email, $password) = @_;
    return $auth->post('/auth/login', { email => $email, password => $password })->{status};
}

for (1 .. 12) {
    my $text = NFC(join '', map { $letter[rand @letter] } 1 .. 8 + int rand 8);
    my @form = map { spaced($_) } $text, NFD($text), $text, NFD($text);
    my $email = 'user' . ++$n . '@example.org';
    my $born = $auth->post('/auth/register',
        { email => $email, password => $form[rand @form], name => 'U' });
    my @got = ($born->{status}, map { status($email, $_) } @form, $text . 'é', ucfirst "x$text");
    is "@got", '201 200 200 200 200 401 401', 'each form of a password logs in, others do not'
        or diag "PUNIT_SEED=$seed, password " . join ' ', map { sprintf '%x', ord } split //, $text;
}

# ---- what nobody may choose
{
    open my $list, '<', root() . '/conf/common-passwords' or die $!;
    chomp(my @common = <$list>);
    cmp_ok scalar @common, '>=', 10_000, 'the list has 10,000 passwords';
    my @long = grep { length >= 8 } @common;
    my $choose = sub {
        my ($worker, $password) = @_;
        my $answer = $worker->post('/auth/register',
            { email => 'user' . ++$n . '@example.org', password => $password, name => 'U' });
        return join ' ', $answer->{status},
            map {"$_->{pointer} $_->{detail}"} @{ $answer->{json}{errors} // [] };
    };
    my $why = 'one of the passwords that attackers try first';
    for (map { $long[rand @long] } 1 .. 20) {
        is $choose->($auth, $_), "422 /password $why", 'a common password is refused'
            or diag "PUNIT_SEED=$seed, password $_";
        is $choose->($auth, uc), "422 /password $why", 'in capitals too'
            or diag "PUNIT_SEED=$seed, password $_";
    }
    is $choose->($auth, NFD('ééééééé')), '422 /password too short',
        'seven letters and their accents are seven characters';

    my $me = $auth->post('/auth/register',
        { email => 'new@example.org', password => 'correct horse', name => 'U' })->{json};
    my %change = (old => 'correct horse', new => 'Password123');
    my $answer = $auth->post('/auth/password', \%change,
        Punit::AuthWorker::as($me->{access_token}));
    is_deeply [$answer->{status}, $answer->{json}{errors}],
        [422, [{ pointer => '/new', detail => $why }]], 'nor does a change of password take one';

    my $file = $auth->dir . '/own-list';
    spew($file, "correct horse\n" . encode_utf8("Straße Zoë\n"));
    my $own = Punit::AuthWorker->new($pg, env => { PUNIT_COMMON_PASSWORDS => $file });
    is $choose->($own, 'Correct Horse'), "422 /password $why", 'PUNIT_COMMON_PASSWORDS is another';
    is $choose->($own, NFD('STRASSE ZOË')), "422 /password $why", 'compared after case folding';
    is $choose->($own, 'password123'), '201', 'in the place of the first';
    spew($file, '');
    ok !eval { Punit::AuthWorker->new($pg, env => { PUNIT_COMMON_PASSWORDS => $_ }); 1 },
        'an empty list or none is an error at the start'
        for $file, "$file-missing";
}

# ---- a hash that release 0.2.0 made, of what was sent
{
    my ($email, $nfc, $nfd) = ('old@example.org', 'Zoë wählt', NFD('Zoë wählt'));
    my $user = $auth->post('/auth/register', { email => $email, password => $nfc, name => 'U' })
        ->{json}{user_id};
    my $stored = sub {
        $dbh->selectrow_array('select password from auth.credential where user_id = ?',
            undef, $user)
    };
    # argon2id of the bytes of $nfd
    my $old = '$argon2id$v=19$m=19456,t=2,p=1$3b0V+urNg6ZfRYgrEj0'
        . 'MlA$reVXGFcpEQHbc1YC7kw1JCOdSakEDoNc5vMH+IlDc5g';
    $dbh->begin_work;
    $dbh->do('select punit.bump(?)', undef, $user);
    $dbh->do('update auth.credential set password = ? where user_id = ?', undef, $old, $user);
    $dbh->commit;
    is status($email, $nfd), 200, 'a hash of the password as it was sent is good';
    isnt $stored->(), $old, 'and is replaced';
    is status($email, $nfc), 200, 'so that the other form logs in from then on';
}

$dbh->disconnect;
done_testing;
