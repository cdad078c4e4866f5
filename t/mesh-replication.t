#!/usr/bin/perl
# Two units and what goes between their databases.
use strict;
use warnings;
use DBI;
use FindBin ();
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64url);
use Punit::Units;
use Test::More;
use Time::HiRes qw(time);

my $units = Punit::Units->start(units => ['eu', 'us']);
my ($eu, $us) = map { $units->dbh($_) } 'eu', 'us';

sub wait_until { return Punit::Units::wait_until(@_) }
sub one { my ($db, $sql, @values) = @_; return ($db->selectrow_array($sql, undef, @values))[0] }
sub ctl { my ($unit, @arguments) = @_; return $units->punitctl($unit, @arguments) }

my $all = one($eu, 'select count(*) from training.exercise');
cmp_ok($all, '>', 0, 'the first unit has a catalogue');
is(one($us, q{select count(*) from training.exercise where origin_unit = 'eu'}), $all,
    'the other unit has every row of it when `up` returns');
is(one($us, q{select count(*) from punit.unit}), 2, 'each unit knows of both');
is(one($us, q{select count(distinct unit) from auth.bucket}), 2, 'the arbiters of login names are dealt to both');
is_deeply($us->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    $eu->selectcol_arrayref('select unit from auth.bucket order by bucket'), 'and each unit says the same of them');

my ($status, $output) = ctl('us', 'mesh', 'status', '--json');
is($status, 0, 'mesh status says that all is well') or diag($output);
is_deeply([map { [@$_{qw(peer incoming outgoing apply_errors copy_errors)}] } @{ decode_json($output) }],
    [['eu', 'ok', 'ok', 0, 0]], 'for each peer, both ways');

# ---- rows go to the other unit, and only their author's
$us->do(q{insert into sports.sport (id, name, category, met) values (gen_random_uuid(), 'Kiting', 'water', 8)});
ok(wait_until(sub { one($eu, q{select count(*) from sports.sport where origin_unit = 'us' and name = 'Kiting'}) }, 5),
    'a row written at us arrives at eu');
$us->do(q{update sports.sport set met = 9 where name = 'Kiting'});
ok(wait_until(sub { one($eu, q{select met = 9 from sports.sport where name = 'Kiting'}) }, 5), 'its change too');
ok(!eval { $eu->do(q{update sports.sport set met = 1 where name = 'Kiting'}); 1 }, 'eu cannot change it');
like($@, qr/us/, 'and hears whose it is');
is(one($us, q{select count(*) from sports.sport where name = 'Kiting'}), 1, 'no row comes back round');

subtest 'a message is seen by the unit it is for' => sub {
    $eu->do(q{select punit.send('us', 'test-message', null)});
    ok(wait_until(sub { one($us, q{select count(*) from punit.outbox where kind = 'test-message'}) }, 5), 'at us');
    $us->do(q{insert into punit.outbox_ack (origin_unit, target_unit, seq)
              select origin_unit, target_unit, seq from punit.outbox where kind = 'test-message' on conflict do nothing});
    ok(wait_until(sub { one($eu, q{select count(*) from punit.outbox_ack a join punit.outbox o using (origin_unit, target_unit, seq)
                                    where o.kind = 'test-message'}) }, 5), 'and the acknowledgement by its origin');
};

# ---- who may come in
sub peer_login {
    my ($from, $to, %change) = @_;
    my %part = (host => $to, hostaddr => '127.0.0.1', port => $units->port($to, 'pg'), dbname => 'punit', sslmode => 'verify-full',
        sslcert => $units->dir . "/$from/tls/unit.pem", sslkey => $units->dir . "/$from/tls/unit.key",
        sslrootcert => $units->dir . "/$from/tls/ca.pem", connect_timeout => 5);
    my $user = delete $change{user} // "punit_peer_$from";
    %part = (%part, %change);
    my $db = DBI->connect('dbi:Pg:' . join(';', map { "$_=$part{$_}" } sort keys %part), $user, '',
        { RaiseError => 0, PrintError => 0 });
    return ($db, $DBI::errstr // '');
}
my ($peer, $error) = peer_login('us', 'eu');
ok($peer, 'a peer comes in with its certificate') or diag($error);
is(one($peer, 'select punit.caller()'), 'us', 'and is who its certificate says');
# users' rows it may read: that is how they move
for my $table ('punit.own', 'punit.move', 'punit.peer', 'punit.schema_file', 'auth.bucket') {
    ok(!$peer->do("select from $table limit 1"), "a peer cannot read $table");
}
ok(!$peer->do('delete from training.exercise'), 'nor write what it may read');
($peer, $error) = peer_login('us', 'eu', replication => 'true');
ok(!$peer, 'nor copy the whole cluster');
($peer, $error) = peer_login('us', 'eu', user => 'punit_peer_ap');
ok(!$peer, 'a certificate of us lets nobody in as another unit');
($peer, $error) = peer_login('us', 'eu', user => 'postgres');
ok(!$peer, 'nor as the superuser');
($peer, $error) = peer_login('us', 'eu', sslcert => '/nonexistent', sslkey => '/nonexistent');
ok(!$peer, 'without a certificate nobody comes in');
($peer, $error) = peer_login('us', 'eu', sslmode => 'disable');
ok(!$peer, 'nor without TLS');
($peer, $error) = peer_login('us', 'eu', host => 'ap');
ok(!$peer, 'a peer of another name than expected is not trusted');
like($error, qr/does not match host name/, 'because of its certificate');

# ---- away and back
my $postgres = $units->pid('eu', 'postgres');
kill KILL => $postgres;
my $killed = time;
$us->do(q{insert into sports.sport (id, name, category, met) values (gen_random_uuid(), 'Curling', 'winter', 4)});
sub back { my ($unit) = @_; return wait_until(sub { eval { one($units->dbh($unit), 'select 1') } }, 20) }
ok(back('eu'), 'PostgreSQL of eu, killed, is back');
cmp_ok(time - $killed, '<', 5, 'soon');
$eu = $units->dbh('eu');
ok(wait_until(sub { one($eu, q{select count(*) from sports.sport where name = 'Curling'}) }, 20),
    'and gets what was written at us meanwhile');

# ---- a slot that is lost
$units->process('us', 'postgres', 'down');
ok(wait_until(sub { !one($eu, q{select count(*) from pg_replication_slots where slot_name = 'punit_to_us' and active}) }, 30),
    'a peer that is away leaves its slot');
$eu->do(q{select pg_drop_replication_slot('punit_to_us')});
$eu->do(q{update training.exercise set name = name || '!' where id = (select min(id::text)::uuid from training.exercise)});
$units->process('us', 'postgres', 'up');
ok(back('us'), 'us is back');
$us = $units->dbh('us');
my $changed = one($eu, q{select id from training.exercise where name like '%!'});
($status, $output) = ctl('us', 'mesh', 'status');
is($status, 1, 'mesh status shows that a slot is lost') or diag($output);
($status, $output) = ctl('us', 'mesh', 'resync', 'eu');
is($status, 0, 'mesh resync repairs it') or diag($output);
like(one($us, 'select name from training.exercise where id = ?', $changed), qr/!$/, 'the change it missed is there');
is(one($us, q{select count(*) from training.exercise where origin_unit = 'eu'}), $all, 'every row is there once');
is(one($us, q{select count(*) from sports.sport where origin_unit = 'us'}), 2, 'and its own rows were left alone');
ok(wait_until(sub { (ctl('us', 'mesh', 'status'))[0] == 0 }, 20), 'all is well again') or diag((ctl('us', 'mesh', 'status'))[1]);

($status, $output) = ctl('us', 'mesh', 'resync', 'eu', '--json');
is_deeply(eval { JSON::PP::decode_json($output) }, { unit => 'us', peer => 'eu', copied => JSON::PP::true() },
    'mesh resync --json says so, and nothing else') or diag($output);
is(one($us, q{select count(*) from training.exercise where origin_unit = 'eu'}), $all, 'a peer may be copied again at any time');
ok(wait_until(sub { (ctl('us', 'mesh', 'status'))[0] == 0 }, 20), 'and all is well then');

($status, $output) = ctl('us', 'mesh', 'resync', 'ap');
ok($status == 1 && $output =~ /no peer ap/, 'a peer that is none is refused');
($status, $output) = ctl('us', 'mesh', 'join');
ok($status == 0 && $output =~ /refreshed/, 'joining again refreshes') or diag($output);

# ---- keys
($status, $output) = ctl('eu', 'keys', 'rotate');
ok($status == 1 && $output =~ /not held yet by us/, 'a new key does not sign before the others hold it') or diag($output);
ok(!-e $units->dir . '/eu/private/eu-2.ES256.key.pem', 'it is not where the auth worker reads');
ok(wait_until(sub { one($us, q{select count(*) from punit.unit_key where kid = 'eu-2'}) }, 5), 'its public half travels');
($status, $output) = ctl('us', 'keys', 'sync');
ok($status == 0 && -s $units->dir . '/us/keys/eu-2.ES256.pem', 'us takes it over') or diag($output);
ok(wait_until(sub { one($eu, q{select count(*) from punit.unit_key_held where kid = 'eu-2' and origin_unit = 'us'}) }, 5),
    'eu hears of that');
($status, $output) = ctl('eu', 'keys', 'rotate');
ok($status == 0 && -s $units->dir . '/eu/private/eu-2.ES256.key.pem', 'then it signs') or diag($output);
my $email = 'rotated@example.org';
my $answer;
ok(wait_until(sub {
    $answer = $units->http('eu', POST => '/auth/register', undef, { email => $email, password => 'correct horse battery', name => 'R' });
    $answer->{status} == 201 }, 10), 'somebody registers') or diag($answer->{content});
my $token = $answer->{json}{access_token};
is(decode_json(decode_base64url((split /\./, $token)[0]))->{kid}, 'eu-2', 'his token is signed by the new key');
is($units->http('us', GET => '/profile', $token)->{status}, 200, 'which us takes at once');

done_testing();
