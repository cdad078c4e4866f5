#!/usr/bin/perl
# Where punitctl finds its unit, an authority kept apart, a pepper that several units make at once.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Command qw(begin capture);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory);
use Punit::Tree qw(program);

my $dir = directory('setup');
my ($status, $output);

sub ctl {
    my @arguments = @_;
    ($status, $output) = capture(program('punitctl'), @arguments);
    return $status;
}

# Only the settings that the test gives count.
delete @ENV{ grep {/^PUNIT_(?!BIN|MODULE|SHARE|PRELOAD)/} keys %ENV };

# ---- the unit's directory
# A unit as far as `status` reads it before it asks the database.
sub make_unit {
    my ($id, @more) = @_;
    mkdir "$dir/$id";
    return spew("$dir/$id/unit.env",
        "PUNIT_UNIT=$id\nPUNIT_DIR=$dir/$id\nPUNIT_PG=\"host=$dir/$id/sock port=1 dbname=punit\"\n",
        @more);
}

make_unit($_) for 'eu', 'us';

subtest 'the unit is in --dir, else in PUNIT_DIR, else in /etc/punit' => sub {
    is(ctl('mesh', 'status', '--dir', "$dir/us"), 1, '--dir');
    like($output, qr{^punitctl: us: no PostgreSQL: .*$dir/us/sock}, 'names the directory');
    {
        local $ENV{PUNIT_DIR} = "$dir/eu";
        is(ctl('mesh', 'status'), 1, 'PUNIT_DIR alone is enough');
        like($output, qr{^punitctl: eu: no PostgreSQL: .*$dir/eu/sock}, 'and its unit.env is read');
        local $ENV{PUNIT_PG} = "host=$dir/elsewhere";
        ctl('mesh', 'status');
        like($output, qr{$dir/eu/sock}, 'whatever else the environment says');
        ctl('mesh', 'status', '--dir', "$dir/us");
        like($output, qr/^punitctl: us: /, '--dir comes before it');
    }
    {
        local $ENV{PUNIT_DIR} = "$dir/none";
        is(ctl('mesh', 'status'), 1, 'PUNIT_DIR without a unit fails');
        like($output, qr{^punitctl: $dir/none holds no unit \(no unit\.env, PUNIT_DIR\)},
            'and the line names it, and where it comes from');
    }
SKIP: {
        skip 'there is a unit in /etc/punit', 3 if -e '/etc/punit';
        is(ctl('mesh', 'status'), 1, 'without both it is /etc/punit');
        like($output, qr{^punitctl: /etc/punit holds no unit .*neither --dir nor PUNIT_DIR},
            'and the line says so');
        ctl('unit', 'init', 'ap', '--new');
        like($output, qr{there is no /etc/punit, .*give --dir}, 'unit init too');
    }
    {
        local $ENV{PUNIT_DIR} = "$dir/us";
        is(ctl('unit', 'init', 'eu', '--new'), 1, 'unit init takes PUNIT_DIR');
        like($output, qr{$dir/us is unit us already}, 'and the unit there stays');
    }
    {
        local $ENV{PUNIT_PG_BIN} = '/nonexistent';    # far enough
        for my $target ("$dir/gone", 'lost') {
            unlink "$dir/link";
            symlink $target, "$dir/link" or die $!;
            ctl('unit', 'init', 'la', '--new', '--dir', "$dir/link", '--http', '127.0.0.1:1',
                '--peer', '127.0.0.1:2', '--pg', '127.0.0.1:3');
            my $made = $dir . '/' . ($target =~ /(\w+)$/)[0];
            like($output, qr{^la: made the directories in $made$}m,
                "a link to nothing: its target $target is made");
            ok(-d "$made/private", 'with what is in it');
        }
    }
};

# ---- a pepper for all
subtest 'units that are made at the same time agree on the pepper' => sub {
    # What follows the pepper fails: there is no initdb.
    local $ENV{PUNIT_PG_BIN} = '/nonexistent';
    for my $round (1 .. 5) {
        my @ids = map {"u$_-$round"} 1 .. 8;
        my @finish = map {
            begin(
                program('punitctl'), 'unit', 'init', $_, '--dir', "$dir/$_", '--ca', "$dir/ca",
                '--pepper', "$dir/pepper-$round"
            )
        } @ids;
        my @said = map { ($_->())[1] } @finish;
        my %pepper = map { slurp("$dir/$_/private/pepper", absent => "none\n") => 1 } @ids;
        is_deeply([keys %pepper], [slurp("$dir/pepper-$round")], "round $round: all have one")
            or diag(@said);
        is(scalar(grep {/made a pepper in/} @said), 1, 'one of them has made it');
    }
    is_deeply([glob "$dir/pepper-*.*"], [], 'and no other file is left');
};

# ---- an authority of its own
subtest 'an authority that no unit keeps' => sub {
    is(ctl('ca', 'init', '--ca', "$dir/vault"), 0, 'is made') or diag($output);
    is(sprintf('%o', (stat "$dir/vault/ca.key")[2] & oct 777), '600', 'its key is secret');
    my $before = slurp("$dir/vault/ca.key");
    is(ctl('ca', 'init', '--ca', "$dir/vault"), 0, 'a second call');
    is(slurp("$dir/vault/ca.key"), $before, 'changes nothing');
    is(ctl('ca', 'unit', 'eu', '--ca', "$dir/vault", '--out', "$dir/out"),
        0, 'it signs for a unit')
        or diag($output);
    like(
        `openssl verify -CAfile $dir/vault/ca.pem $dir/out/eu.pem 2>&1`, qr/: OK/,
        'openssl verifies the certificate'
    );
    is(sprintf('%o', (stat "$dir/out/eu.key")[2] & oct 777), '600', 'the key is secret');
    is(ctl('ca', 'unit', 'eu', '--ca', "$dir/vault", '--out', "$dir/out"),
        1, 'a key is never overwritten');
    like($output, qr/eu\.pem is there already/, 'and that is said');
    is(ctl('ca', 'unit', 'EU', '--ca', "$dir/vault"), 2, 'an id in capitals is misuse');
    is(ctl('ca', 'unit', 'us', '--ca', "$dir/out"), 1, 'a directory without authority');
    like($output, qr{cannot read $dir/out/ca\.pem}, 'is named');
    my $was = slurp("$dir/out/eu.key");
    spew("$dir/vault/ca.key", $was);
    is(ctl('ca', 'unit', 'us', '--ca', "$dir/vault"), 1, 'a key of another authority is refused');
    like($output, qr{ca\.key does not belong to $dir/vault/ca\.pem}, 'and named');
    spew("$dir/vault/ca.key", $before);
    local $ENV{PUNIT_PG_BIN} = '/nonexistent';
    ctl(
        'unit', 'init', 'eu', '--dir', "$dir/given", '--new', '--cert', "$dir/out/eu.pem", '--key',
        "$dir/out/eu.key", '--cacert', "$dir/vault/ca.pem"
    );
    like($output,
        qr{took the unit's certificate, .* certificate from $dir/out/eu\.pem$}m,
        'unit init --new takes such a certificate');
    ok(!-e "$dir/given/ca", 'and makes no authority of its own then');
};

done_testing;
