# The arbiter at a peer is asked over TLS; both sides show certificates.

use strict;
use warnings;
use Test::More;
use File::Temp qw(tempdir);

use Punit::AuthWorker;
use Punit::Postgres;

my $dir = tempdir('punit-tls-XXXXXX', DIR => '/tmp', CLEANUP => 1);

sub authority {
    my ($name) = @_;
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$name"
         . " -keyout $dir/$name.key -out $dir/$name.pem 2>/dev/null") == 0 or die;
}

sub certificate {
    my ($file, $cn, $ca) = @_;
    open my $ext, '>', "$dir/ext" or die;
    print $ext "subjectAltName=DNS:$cn\n";
    close $ext;
    system("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$cn -keyout $dir/$file.key"
         . " -out $dir/csr 2>/dev/null && openssl x509 -req -in $dir/csr -CA $dir/$ca.pem -CAkey $dir/$ca.key"
         . " -CAcreateserial -days 2 -extfile $dir/ext -out $dir/$file.pem 2>/dev/null") == 0 or die;
}

authority($_) for qw(ca other);
certificate('eu', 'eu', 'ca');
certificate('us', 'us', 'ca');
certificate('ap', 'ap', 'ca');
certificate('forged', 'eu', 'other');

my $us = Punit::Postgres->new(unit => 'us',
    tls => { ca => "$dir/ca.pem", cert => "$dir/us.pem", key => "$dir/us.key" })->apply('punit', 'auth', 'profile');
my $eu = Punit::Postgres->new(unit => 'eu')->apply('punit', 'auth', 'profile');
$us->know($eu);
$eu->know($us);
my $dbh = $eu->dbh;
my $there = $us->dbh;
$_->do(q(select auth.assign_buckets('{us}'))) for $dbh, $there;
sub peer { $dbh->do(q(update punit.peer set pg = ? where id = 'us'), undef, $_[0]) }

my $n = 0;
sub register {
    my ($cert, $ca) = @_;
    my $worker = Punit::AuthWorker->new($eu, env => {
        PUNIT_TLS_CERT => "$dir/$cert.pem", PUNIT_TLS_KEY => "$dir/$cert.key", PUNIT_TLS_CA => "$dir/$ca.pem" });
    my $answer = $worker->post('/auth/register',
        { email => 'user' . ++$n . '@example.org', password => 'correct horse', name => 'U' });
    $worker->process->stop;
    return $answer->{status};
}

peer($us->peer_conninfo(1));
is register('eu', 'ca'), 201, 'a conninfo without TLS settings and role is completed with this unit\'s';
is $there->selectrow_array('select string_agg(unit, $$ $$) from auth.name'), 'eu', 'the name is recorded there';
is register('forged', 'ca'), 503, 'a certificate of another authority is not taken by the arbiter';
is register('ap', 'ca'), 503, 'nor that of another unit';
is register('eu', 'other'), 503, 'an arbiter that this unit\'s authority has not certified is not asked';
(my $wrong = $us->peer_conninfo(1)) =~ s/host=us/host=ap/;
peer($wrong);
is register('eu', 'ca'), 503, 'nor one that shows the name of another unit';
peer($us->peer_conninfo(1) . ' no_such_option=1');
is register('eu', 'ca'), 503, 'a malformed conninfo is as good as a peer that does not answer';
is $there->selectrow_array('select count(*) from auth.name'), 1, 'none of these recorded a name';
is $dbh->selectrow_array('select count(*) from punit.own'), 1, 'or made a user';

$_->disconnect for $dbh, $there;
done_testing;
