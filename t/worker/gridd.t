#!/usr/bin/perl
# gridd keeps generations and ended tokens true on every memcached server, whatever of them is away
# for a while.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(sleep time);

use Punit::Grid;
use Punit::Postgres;
use Punit::Server qw(directory);
use Punit::Tries;
use Punit::Tree qw(program);
use Punit::Wait qw(patience);

my $dir = directory('gridd');
my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit', 'auth', 'training', 'sports');
my $dbh = $pg->dbh;

my @memcached = map { Punit::Grid->new("$dir/grid$_.sock") } 1 .. 2;
my $tokens = Punit::Grid->new("$dir/tokens.sock");
my $gridd;

sub generation { return scalar $dbh->selectrow_array(q{select punit.generation_of('sports')}) }
sub known {
    return map { $_->get('punit:gen:sports') // 'none' } @memcached
}
sub token { return $tokens->get("punit:tok:$_[0]") // 'none' }

# Waits for the condition; gives the seconds it took, dies after 10.
sub seconds_until {
    my ($condition, $what) = @_;
    my $start = time;
    $gridd->until($condition, $what, 10);
    return time - $start;
}

# What the name says of time is tried again after the act, until it takes less than the limit once.
sub at_once {
    my ($act, $condition, $limit, $name) = @_;
    my $try = sub { $act->(); return eval { seconds_until($condition, $name) } // $limit };
    ok once_within($limit, $try), $name;
    return;
}

# Within so many seconds.
sub soon {
    my ($condition, $limit, $name) = @_;
    my $took = eval { seconds_until($condition, $name) };
    ok defined $took && $took < patience($limit), $name or diag $took // $@;
}

sub all_are {
    my $g = generation(); return sub {
        !grep { $_ ne $g } known()
    }
}

my $n = 0;
sub end_token {
    my (%o) = @_;
    my $jti = sprintf '0b6f2f0e-0000-4000-8000-%012d', ++$n;
    $dbh->do('select auth.record_end(?, ?, null, now() + ?::interval)', undef, $o{kind} // 'jti',
        $jti, $o{in} // '15 min');
    return $jti;
}

my $before = end_token();
$gridd = Punit::Server->new(
    cmd => [program('punit-gridd')], log => "$dir/gridd.log",
    env => {
        PUNIT_UNIT => 'eu', PUNIT_PG => $pg->conninfo,
        PUNIT_GRID => "unix:$dir/grid1.sock unix:$dir/grid2.sock",
        PUNIT_TOKEN_GRID => "unix:$dir/tokens.sock"
    })->start;

# ---- generations
soon(all_are(), 5, 'after the start every server has the generation');
my $changed = sub { !grep { $_ ne generation() } known() };
my $change = sub {
    my ($unit, $role) = @_;
    return sub {
        $dbh->do("set session_replication_role = $role");
        $dbh->do(
            q{insert into sports.sport (origin_unit, name, category, met)
                values (?, gen_random_uuid()::text, 'ice', 4)}, undef, $unit
        );
        $dbh->do('set session_replication_role = origin');
    };
};
at_once($change->(eu => 'origin'),
    $changed, 0.5, 'a change is there at its NOTIFY, not at the next second');
at_once($change->(us => 'replica'), $changed, 0.5, 'a replicated change too');
$dbh->do(q{insert into sports.sport (name, category, met) values ('Curling', 'ice', 4)});
soon(all_are(), 0.5, 'it is there');

my $end = time + 4.5;
my $gaps = 0;
while (time < $end) {
    $gaps++ if grep { $_ eq 'none' } known(); sleep 0.1
}
is $gaps, 0, 'it stays there for longer than its 3 s to live';

my $ahead = generation() + 100;
$memcached[0]->set('punit:gen:sports', 0, $ahead, 3);
sleep 1.3;
is + (known())[0], $ahead, 'an older generation is never written over a newer one';
soon(all_are(), 4, 'which is not kept alive either');

$memcached[1]->flush;
soon(all_are(), 2, 'a flushed server has it again');

# ---- memcached away
$memcached[0]->stop('KILL');
$dbh->do(q{update sports.sport set met = 2 where origin_unit = 'eu'});
soon(sub { (known())[1] eq generation() }, 1, 'with one server gone the other one is served');
unlink "$dir/grid1.sock";
$memcached[0]->start;
soon(all_are(), 3, 'a server that is back has it again');
$memcached[1]->signal('STOP');
at_once(
    sub { $dbh->do(q{update sports.sport set met = met + 1 where origin_unit = 'eu'}) },
    sub { $memcached[0]->get('punit:gen:sports') eq generation() },
    1, 'a frozen server does not hold up the other one'
);
$memcached[1]->signal('CONT');
soon(all_are(), 3, 'and is served when it goes on');

# ---- tokens
soon(sub { token($before) eq 'revoked' }, 2,
    'what had ended before the start is in the token grid');
my $jti;
my $end_one = sub { $jti = end_token() };
my $ended = sub { token($jti) eq 'revoked' };
at_once($end_one, $ended, 0.5, 'what ends is there at once');
my $brief;
at_once(
    sub { $brief = end_token(in => '-58 s') },
    sub { token($brief) eq 'revoked' },
    0.5, 'a token whose leeway is about to end too'
);
soon(sub { token($brief) eq 'none' }, 5, 'and is gone when the leeway is over');
$jti = sprintf '0b6f2f0e-0000-4000-8000-%012d', $n + 1;
is $tokens->command("set punit:tok:$jti 0 60 2", 'ok'), "STORED\r\n", 'an entry says ok';
end_token();
soon(sub { token($jti) eq 'revoked' }, 0.5, 'it goes over an entry that says ok');
my $expired = end_token(in => '-61 s');
my $session = end_token(kind => 'session');
my $after = end_token();
soon(sub { token($after) eq 'revoked' }, 0.5, 'the next one follows');
is token($expired), 'none', 'a token whose leeway is over is not written';
is token($session), 'none', 'a session is no token';
$dbh->do(q{select pg_notify('punit_ended', ?)}, undef, $_)
    for 'jti', 'jti x', 'nonsense', '', 'jti ' . 'x' x 36 . ' 99999999999';
$after = end_token();
soon(sub { token($after) eq 'revoked' }, 0.5, 'malformed notifications do no harm');
my $innocent = '0b6f2f0e-0000-4000-8000-999999999999';
$dbh->do(q{select pg_notify('punit_ended', ?)}, undef, "jti $innocent 99999999999");
$after = end_token();
soon(sub { token($after) eq 'revoked' }, 0.5, 'after a notice without a row the next one follows');
is token($innocent), 'none', 'a notice is not believed: the token that it names has no row';
my @many = map { sprintf '0b6f2f0e-0001-4000-8000-%012d', $_ } 1 .. 700;
$dbh->do(
    q{insert into auth.ended (origin_unit, kind, subject, exp)
        select punit.self(), 'jti', t, now() + interval '1 min' from unnest(?::uuid[]) t},
    undef, \@many
);
soon(
    sub {
        !grep { token($_) ne 'revoked' } @many
    },
    3,
    'many that end at once are all revoked'
);

$tokens->stop('KILL');
my $missed = end_token();
sleep 0.2;
unlink "$dir/tokens.sock";
$tokens->start;
soon(sub { token($missed) eq 'revoked' && token($before) eq 'revoked' }, 3,
    'after memcached was away all that has ended is written again');

# ---- PostgreSQL away
$dbh->disconnect;
$pg->kill9;
soon(
    sub {
        2 == grep { $_ eq 'none' } known()
    },
    5,
    'without PostgreSQL the generation expires: the grid misses rather than lies'
);
$pg->start;
$dbh = $pg->dbh;
$missed = end_token();
soon(all_are(), 2, 'PostgreSQL back: the generation is there');
soon(sub { token($missed) eq 'revoked' }, 2, 'and what ended before it listened again');
$dbh->do(q{select pg_terminate_backend(pid) from pg_stat_activity where usename = 'punit_gridd'});
$dbh->do(q{update sports.sport set met = met + 1 where origin_unit = 'eu'});
soon(all_are(), 2, 'a lost connection is made anew');
at_once($end_one, $ended, 1, 'and listens');

# ---- the log
my $log = $gridd->log_text;
my %lines;
$lines{$1}++ while $log =~ /event=(\S+)/g;
is $lines{'database-down'}, $lines{'database-up'},
    'the log has one line for each change of PostgreSQL';
is $lines{'grid-down'}, $lines{'grid-up'}, 'and of memcached';
cmp_ok scalar(() = $log =~ /\n/g), '<', 30, 'and none a second' or diag $log;

my $stop = sub {
    my ($try) = @_;
    $gridd->start if $try > 1;
    return took(sub { is $gridd->stop, 0, 'SIGTERM ends it' });
};
ok once_within(1, $stop), 'at once';

done_testing;
