#!/usr/bin/perl
# Units from nothing: the first with --new, the others by invites. The commands of an operator.
use strict;
use warnings;
use Cwd qw(getcwd);
use FindBin ();
use lib "$FindBin::Bin/../lib";
use DBI;
use File::Copy qw(copy);
use JSON::PP qw(decode_json);
use Test::More;

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);
use Punit::Lone;
use Punit::Schema;
use Punit::Server qw(directory port_base);
use Punit::Tree qw(program);
use Punit::Wait qw(wait_until);

my $dir = directory('invite');
my $back = getcwd();
# all units of this test stand at one machine, and each would take the same admin address
my $no_admin = 'PUNIT_ADMIN=off';
my @hasty = ('PUNIT_MOVE_DWELL=1s', 'PUNIT_MOVE_QUIET=1s', $no_admin);
my (%unit, @typed, $status, $output, $n);

my $base = port_base();

sub addresses {
    my ($id) = @_;
    my %i = (eu => 1, us => 2, ap => 3, la => 4, zz => 5);
    my @port = map { $base + $_ + $i{$id} } 0, 100, 200;
    return map {"127.0.0.1:$_"} @port;
}

sub options {
    my ($http, $peer, $pg) = addresses(@_);
    return ('--http', $http, '--peer', $peer, '--pg', $pg);
}

sub ctl {
    my @arguments = @_;
    ($status, $output) = capture(program('punitctl'), @arguments);
    return $status;
}

# One command of the operator.
sub typed {
    my ($what, $work) = @_;
    push @typed, $what;
    return ok($work->() == 0, "$what (command " . @typed . ')') || diag($output);
}

sub start {
    my ($id) = @_;
    my ($port) = addresses($id);
    $unit{$id} = Punit::Lone->new(dir => "$dir/$id", port => $port =~ /(\d+)$/);
    $unit{$id}->start;
    return 0;
}

sub dbh {
    my ($id) = @_;
    my ($port) = (addresses($id))[2] =~ /(\d+)$/;
    return DBI->connect("dbi:Pg:host=$dir/$id/sock;port=$port;dbname=punit",
        'postgres', '', { RaiseError => 1, PrintError => 0 });
}

sub register {
    my ($id) = @_;
    return $unit{$id}->http(
        POST => '/auth/register',
        body => {
            email => 'user-' . ++$n . '@example.org', password => 'correct horse battery',
            name => 'Ann'
        });
}

sub mode { my ($file) = @_; return sprintf '%o', (stat $file)[2] & oct 7777 }

# ---- a system of one unit
typed(
    'unit init eu --new',
    sub { ctl('unit', 'init', 'eu', '--new', options('eu'), @hasty, '--dir', "$dir/eu") });
typed('start eu', sub { start('eu') });
my $first = register('eu');
is($first->{status}, 201, 'a single unit registers a user right after its start');
my $sports = $unit{eu}->http(GET => '/sports?limit=5', token => $first->{json}{access_token});
is(scalar(() = $sports->{body} =~ /"name"/g), 5, 'and serves the first reference rows')
    or diag(explain($sports));
is(mode("$dir/eu/ca/ca.key"), '600', 'the key of the authority is for its owner alone');
SKIP: {
    skip 'only root can keep a file from the unit\'s user', 1 if $> != 0;
    is((stat "$dir/eu/ca")[4], 0,
        'and its owner is root, so no process of the unit can read it');
}
is(ctl('unit', 'init', 'eu', '--new', '--dir', "$dir/eu"), 0, 'unit init --new works again')
    or diag($output);
unlike($output, qr/login names|authority|certificate/, 'and makes nothing anew');

# ---- two invites
chdir $dir or die "$dir: $!";
for my $id ('us', 'ap') {
    typed("unit invite $id", sub { ctl('unit', 'invite', $id, options($id), '--dir', "$dir/eu") });
    is(mode("$dir/$id.invite"), '600', 'the invite is for the one who asked for it');
    typed("scp $id.invite", sub { mkdir "$dir/at-$id"; !copy("$dir/$id.invite", "$dir/at-$id/") });
}
chdir $back or die "$back: $!";

subtest 'an invite that is not good makes nothing' => sub {
    my $text = slurp("$dir/us.invite");
    my $edited = $text;
    substr($edited, rindex($edited, "\n-----END CMS") - 40, 1) =~ tr{A-Za-z0-9+/}{B-ZAb-za1-90/+};
    my $other = slurp("$dir/ap.invite") =~ s/(?=-----BEGIN CMS).*//sr
        . ($text =~ /(-----BEGIN CMS.*)/s)[0] =~ s/A/B/r;
    spew("$dir/$$.invite", $_->[0]), is(
        ctl('unit', 'init', '--invited', "$dir/$$.invite", '--dir', "$dir/no"), 1,
        "$_->[1] is refused"
        ),
        like($output, $_->[2], 'by a clear line'), is($output =~ tr/\n//, 1, 'and no other'),
        ok(!-e "$dir/no", 'before anything is made')
        for [$edited, 'an edited one', qr/was changed after it was written/],
        [$other, 'one put together', qr/was changed after it was written/],
        [substr($text, 0, length($text) / 2), 'one cut off', qr/was changed .* or is cut off/],
        ['hello', 'another file', qr/is no invite of a unit/];
    is(ctl('unit', 'init', 'ap', '--invited', "$dir/us.invite", '--dir', "$dir/no"),
        1, 'the invite of another unit is refused');
    like($output, qr/invites unit us, not ap/, 'and said');
    my @us = ('--invited', "$dir/us.invite");
    is(ctl('unit', 'init', @us, '--pg', '127.0.0.1:1', '--dir', "$dir/no"),
        2, 'addresses come from the invite');
    like($output, qr/--pg does not go with --invited/, 'and another one is misuse');
};

subtest 'an invite that has expired, was replaced, or is there already' => sub {
    is(ctl('unit', 'invite', 'us', options('us'), '--out', "$dir/us.invite", '--dir', "$dir/eu"),
        1, 'an invite is never overwritten');
    like($output, qr/us\.invite is there already/, 'and the file is named');
    is(
        ctl('unit', 'invite', 'la', options('la'), '--out', "$dir/la.1", '--dir', "$dir/eu"), 0,
        'a unit is invited'
    ) or diag($output);
    is(
        ctl('unit', 'invite', 'la', options('la'), '--out', "$dir/la.2", '--dir', "$dir/eu"), 0,
        'and again, as the invite may have been lost'
    ) or diag($output);
    is(ctl('unit', 'init', '--invited', "$dir/la.1", '--dir', "$dir/no"),
        1, 'the first invite counts no more');
    like($output, qr/eu refuses this invite: a later one was written/, 'and that is said');
    my $eu = dbh('eu');
    $eu->do(q{update punit.invitation set expires_at = now() - interval '1 s' where id = 'la'});
    is(ctl('unit', 'init', '--invited', "$dir/la.2", '--dir', "$dir/no"),
        1, 'the second is refused when it has expired, by the clock of eu');
    like($output, qr/eu refuses this invite: it has expired/, 'and that is said');
    is(
        ctl('unit', 'init', '--invited', "$dir/la.1", '--dir', "$dir/no", '--http', '127.0.0.1:1'),
        1, 'whatever else is said'
    );
    $eu->do(q{select punit.drop_peer('la')});
    is(ctl('unit', 'init', '--invited', "$dir/la.2", '--dir', "$dir/no"),
        1, 'it is worth nothing after the unit was removed');
    ok(!-e "$dir/no", 'and nothing was made');
    for my $case (
        [['us', '--http', '127.0.0.1:1', '--peer', '127.0.0.1:1'], 2, qr/--pg: expected/],
        [['US', options('us')], 2, qr/\[a-z0-9-\]/],
        [['eu', options('eu')], 1, qr/unit eu (?:is this one|has joined)/],
        [['la', options('la'), '--days', '0'], 2, qr/--days/],
        [['la', options('la'), '--ca', "$dir/nowhere"], 1, qr/needs the authority/],
        )
    {
        my ($arguments, $want, $said) = @$case;
        is(ctl('unit', 'invite', @$arguments, '--out', "$dir/none", '--dir', "$dir/eu"),
            $want, "unit invite @$arguments[0 .. 2] is refused");
        like($output, $said, 'with the reason');
        ok(!-e "$dir/none", 'and leaves no file');
    }
    is(ctl('ca', 'init', '--ca', "$dir/other"), 0, 'another authority is made') or diag($output);
    is(
        ctl('unit', 'invite', 'la', options('la'), '--ca', "$dir/other", '--out', "$dir/none",
            '--dir', "$dir/eu"),
        1, 'an authority that the units do not trust invites nobody'
    );
    like($output, qr/is not the one in/, 'and that is said');
};

# ---- the other two units
for my $id ('us', 'ap') {
    my @invited = ('--invited', "$dir/at-$id/$id.invite", '--dir', "$dir/$id");
    typed("unit init --invited $id.invite", sub { ctl('unit', 'init', @invited, @hasty) });
    typed("start $id", sub { start($id) });
}
typed("mesh join at $_", sub { ctl('mesh', 'join', '--dir', "$dir/$_") }) for 'eu', 'us';
cmp_ok(@typed, '<=', 12, 'three units from bare machines take at most 12 commands');

my @units = ('eu', 'us', 'ap');
for my $id (@units) {
    ok(wait_until(sub { ($unit{$id}->ctl('status'))[0] == 0 }, 30), "all of $id is as it should be")
        or diag(($unit{$id}->ctl('status'))[1]);
    is(register($id)->{status}, 201, "a user registers at $id");
    is_deeply([sort map {s{.*/}{}r} glob "$dir/$id/keys/*"],
        [map {"$_-1.ES256.pem"} 'ap', 'eu', 'us'], 'it has the keys of all units');
}
is_deeply(
    dbh($_)->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    dbh('eu')->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    "$_ knows the same arbiters as eu"
) for 'us', 'ap';
is(slurp("$dir/$_/private/pepper"), slurp("$dir/eu/private/pepper"), "$_ has the pepper of eu")
    for 'us', 'ap';

subtest 'a user crosses between all of them' => sub {
    my $token = register('eu')->{json}{access_token};
    for my $id ('us', 'ap', 'eu') {
        my $answer;
        ok(
            wait_until(
                sub {
                    $answer = $unit{$id}->http(GET => '/profile', token => $token);
                    $token = $answer->{headers}{'punit-token'} // $token;
                    return ($answer->{headers}{'punit-route'} // '') eq 'local';
                },
                60
            ),
            "the user's data comes to $id"
        ) or diag(explain($answer));
    }
};

subtest 'an invite makes one unit' => sub {
    is(ctl('unit', 'init', '--invited', "$dir/us.invite", '--dir', "$dir/no"),
        1, 'a stolen copy is refused once the unit has joined');
    like($output, qr/eu refuses this invite: it has been used/, 'and that is said');
    ok(!-e "$dir/no", 'before anything is made');
    is(ctl('unit', 'init', '--invited', "$dir/us.invite", '--dir', "$dir/us"),
        0, 'where the unit is, it does no harm')
        or diag($output);
    is(ctl('unit', 'invite', 'us', options('us'), '--out', "$dir/none", '--dir', "$dir/eu"),
        1, 'a unit that has joined is not invited again');
    like($output, qr/unit us has joined this system already/, 'and that is said');
};

# ---- a unit more, later
subtest 'a unit that comes later takes one command at each unit that is there' => sub {
    is(ctl('unit', 'invite', 'la', options('la'), '--out', "$dir/la.invite", '--dir', "$dir/eu"),
        0, 'invited')
        or diag($output);
    is(ctl('unit', 'init', '--invited', "$dir/la.invite", '--dir', "$dir/la", $no_admin),
        0, 'made')
        or diag($output);
    like($output, qr/^la: peer us does not let this unit in yet .*`punitctl unit add`/m,
        'it says which units do not know it yet');
    start('la');
    is(ctl('mesh', 'join', '--dir', "$dir/eu"), 0, 'eu, which has invited, takes it')
        or diag($output);
    is(ctl('unit', 'add', 'nn', '--dir', "$dir/us"), 1, 'us takes no unit that nobody invited');
    like($output, qr/no peer that answers has invited a unit nn/, 'and says so');

    my $eu = dbh('eu');
    my ($good) = $eu->selectrow_array(q{select introduction from punit.invitation where id = 'la'});
    my ($old) = $eu->selectrow_array(q{select introduction from punit.invitation where id = 'us'});
    $eu->do(q{update punit.invitation set introduction = ? where id = 'la'}, undef, $old);
    is(ctl('unit', 'add', 'la', '--dir', "$dir/us"),
        1, 'us takes no unit whose introduction is of another');
    like($output, qr/the authority of the units has not signed that/, 'and says so');
    ok(!dbh('us')->selectrow_array(q{select 1 from punit.peer where id = 'la'}),
        'and it is no peer then');
    $eu->do(q{update punit.invitation set introduction = ? where id = 'la'}, undef, $good);

    is(ctl('mesh', 'join', '--dir', "$dir/us"), 0, 'mesh join goes on');
    like($output, qr/unit la was invited at eu: `punitctl unit add la`/, 'and names the new unit');
    for my $id ('us', 'ap') {
        is(ctl('unit', 'add', 'la', '--dir', "$dir/$id"), 0, "$id takes it by one command")
            or diag($output);
        my (undef, $listener, $pg) = addresses('la');
        like($output, qr/peer la: listener \Q$listener\E, PostgreSQL \Q$pg\E/,
            'and shows where it is');
    }
    is(ctl('unit', 'add', 'la', '--dir', "$dir/ap", '--json'), 0, 'the same call again, as JSON');
    my $added = eval { decode_json($output) } // {};
    is_deeply([Punit::Schema->new('unit add')->wrong($added)], [], 'is as its schema says')
        or diag($output);
    is("$added->{unit} $added->{added} $added->{peers}", 'ap la 3', 'and names the unit');
    is(ctl('mesh', 'join', '--dir', "$dir/la"), 0, 'la subscribes to them') or diag($output);
    for my $id (@units, 'la') {
        ok(wait_until(sub { ($unit{$id}->ctl('status'))[0] == 0 }, 30), "all of $id is good")
            or diag(($unit{$id}->ctl('status'))[1]);
        is(register($id)->{status}, 201, "a user registers at $id");
    }
};

subtest 'an invite that got lost is withdrawn' => sub {
    is(ctl('unit', 'invite', 'zz', options('zz'), '--out', "$dir/zz.invite", '--dir', "$dir/eu"),
        0, 'a unit is invited')
        or diag($output);
    is(ctl('unit', 'remove', 'zz', '--stopped', '--dir', "$dir/eu"), 0, 'and removed')
        or diag($output);
    is(ctl('unit', 'init', '--invited', "$dir/zz.invite", '--dir', "$dir/no"),
        1, 'the invite is worth nothing');
    ok(!dbh('eu')->selectrow_array(q{select 1 from pg_roles where rolname = 'punit_peer_zz'}),
        'and its keys let nobody in');
};

subtest 'two units made with --new are two systems' => sub {
    is(
        ctl('unit', 'init', 'zz', '--new', options('zz'), '--ca', "$dir/eu/ca", '--dir', "$dir/zz",
            $no_admin),
        0, 'another first unit, under the same authority')
        or diag($output);
    start('zz');
    my $list = spew("$dir/units", map { join(' ', $_, addresses($_)) . "\n" } @units, 'la', 'zz');
    is(ctl('unit', 'add', $list, '--dir', "$dir/zz"), 0, 'it may name the others');
    is(ctl('unit', 'add', $list, '--dir', "$dir/eu"), 1, 'but eu refuses it');
    like($output, qr/this unit and zz were both made with --new/, 'and says why');
    is(ctl('mesh', 'join', '--dir', "$dir/zz"), 1, 'so does mesh join');
    like($output, qr/this unit and eu were both made with --new/, 'for the same reason');
};

done_testing;
