#!/usr/bin/perl
# Every verb with --json, at real units: one object, as its schema in conf/schema says.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP ();
use Test::More;

use Punit::Command qw(begin capture);
use Punit::File qw(slurp spew);
use Punit::Schema;
use Punit::Tree qw(root);
use Punit::Units;
use Punit::Wait qw(wait_until);

my $units = Punit::Units->start(
    units => ['eu', 'us'],
    env => { PUNIT_MOVE_QUIET => '100ms', PUNIT_MOVE_DWELL => '100ms' }
);
my $dir = $units->dir;
my $ctl = "$dir/app/bin/punitctl";
my $eu = $units->dbh('eu');
my $json = JSON::PP->new->utf8;
my (%schema, %seen);
my $user = $eu->selectrow_array('select gen_random_uuid()');
$eu->do('select punit.create_user(?)', undef, $user);

# What is wrong with the text that a verb printed, as JSON for programs.
sub style {
    my ($text, $value) = @_;
    my @wrong;
    my $plain = $text =~ s/"(?:[^"\\]|\\.)*"/""/gr;
    push @wrong, "more than 3 decimals: $1" if $plain =~ /(\d+[.]\d{4,})/;
    my @left = $value;
    while (@left) {
        my $one = shift @left;
        push @left, ref $one eq 'HASH' ? values %$one : ref $one eq 'ARRAY' ? @$one : ();
        next if ref $one ne 'HASH';
        push @wrong, map {"the key \"$_\""} grep {/\s/} keys %$one;
        push @wrong, map {"the time $_ $one->{$_}"}
            grep {
            /(_at|^since)$/ && defined $one->{$_} && !ref $one->{$_}
                && $one->{$_} !~ /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/
            } keys %$one;
    }
    return @wrong;
}

# Runs a verb with --json. Its exit code is the one expected, and all output of both streams is one
# object as the schema says. Returns the object.
sub object {
    my ($code, $words, @arguments) = @_;
    my ($status, $text) = capture($ctl, split(' ', $words), @arguments, '--json');
    my $value = eval { $json->decode($text) };
    $schema{$words} //= Punit::Schema->new($words);
    my @wrong = ref $value eq 'HASH' ? ($schema{$words}->wrong($value), style($text, $value)) : $@;
    push @wrong, "the exit code is $status" if $status != $code;
    push @wrong, 'an error is there' if $code == 0 && ref $value eq 'HASH' && $value->{error};
    is("@wrong", '', "$words @arguments --json" =~ s/\Q$dir\E/DIR/gr =~ s/[0-9a-f-]{36}/USER/gr)
        or diag($text);
    $seen{$words} = 1 if $code == 0;
    return $value;
}

sub at { return ('--dir', "$dir/$_[0]") }

# ---- what shows something
my $state = object(0, 'status', at('eu'));
ok($state->{good}, 'status says in JSON that all is well');
is_deeply([map { $_->{peer} } @{ object(0, 'mesh status', at('eu'))->{mesh} }],
    ['us'], 'mesh status names the peers');
is(object(0, 'user', $user, at('eu'))->{units}[0]{state}, 'OWNED', 'user gives the state');
my $keys = object(0, 'keys list', at('eu'));
is_deeply([sort map {"$_->{kid} @{$_->{held_by}}"} @{ $keys->{keys} }],
    ['eu-1 eu us', 'us-1 eu us'], 'keys list names the units that hold each key')
    or diag(explain $keys);
object(0, 'verify', $user, at('eu'));
object(0, 'verify', '--all', at('eu'));
object(0, 'moves', '--all', at('us'));

is(object(0, 'peer', 'us', at('eu'))->{state}, 'up', 'peer gives the mark');
is(object(0, 'peer', 'us', '--down', at('eu'))->{state}, 'down', 'and the new one');
object(0, 'peer', 'us', '--up', at('eu'));
ok(object(0, 'doctor', at('eu'))->{good}, 'doctor says that nothing fails');
is_deeply(
    [sort map { $_->{name} } @{ object(0, 'certificates', at('eu'))->{certificates} }],
    ['authority', 'unit'], 'certificates names them'
);
ok(object(0, 'certificates', '--reload', at('eu'))->{reloaded}, 'and says that they are read');

# ---- what does something
my $account = 'a@example.org';
$units->http('eu', POST => '/auth/register', undef,
    { email => $account, password => 'correct horse', name => 'A' });
is_deeply(object(0, 'user grant', $account, 'editor', at('eu'))->{roles},
    ['user', 'editor'], 'user grant gives the roles');
is_deeply(object(0, 'user', $account, at('eu'))->{roles}, ['user', 'editor'], 'user too');
is_deeply(object(0, 'user revoke', $account, 'editor', at('eu'))->{roles},
    ['user'], 'user revoke gives those that are left');
is(object(0, 'schema', at('eu'))->{schema}{dry_run}, JSON::PP::false(), 'schema is applied');
is_deeply(object(0, 'schema', '--dry-run', at('eu'))->{schema}{applied},
    [], 'schema --dry-run finds nothing to apply');
my $made = object(
    0, 'unit init', 'eu', at('eu'), '--ca', "$dir/ca", '--pepper', "$dir/pepper"
);
is($made->{dir}, "$dir/eu", 'unit init names the directory');
spew("$dir/units", join '', map { line($_) } 'eu', 'us');
is(object(0, 'unit add', "$dir/units", at('eu'))->{peers}, 1, 'unit add counts the peers');
is(object(0, 'mesh join', at('eu'))->{peers}, 1, 'mesh join counts the peers');
like(object(0, 'mesh wait', at('eu'))->{lsn}, qr{^[0-9A-F]+/[0-9A-F]+$}, 'mesh wait says how far');
ok(object(0, 'mesh resync', 'us', at('eu'))->{copied}, 'mesh resync says that all is copied');
is(object(0, 'seed', at('eu'))->{sports}, 0, 'seed counts the new sports');
my $catalogue = root() . '/conf/exercises.json';
object(0, 'import', 'exercises', $catalogue, at('eu'));
cmp_ok(object(0, 'import', 'exercises', $catalogue, at('eu'))->{unchanged}, '>', 0,
    'import counts the rows');
is(object(0, 'keys sync', at('eu'))->{new}, 0, 'keys sync counts the new keys');
my $missing = object(1, 'keys rotate', at('eu'));
is($missing->{error}{name}, 'key-not-held', 'keys rotate names the kind of what is missing');
is_deeply($missing->{missing_at}, ['us'], 'and the units');
object(0, 'keys sync', at('us'));
wait_until(sub { (capture($ctl, 'mesh', 'wait', at('us')))[0] == 0 }, 20);
is(object(0, 'keys rotate', at('eu'))->{before}, 'eu-1', 'keys rotate names the key of before');
$units->process('us', 'mover', 'down');
my $kept = object(1, 'keys retire', 'eu-1', '--within', '0', at('eu'));
is_deeply([$kept->{error}{name}, @{ $kept->{held_by} }],
    ['timed-out', 'us'], 'keys retire names the units that have not heard of it');
$units->process('us', 'mover', 'up');
is_deeply(object(0, 'keys retire', 'eu-1', at('eu'))->{held_by}, [], 'and waits for them');

is(object(0, 'move', $user, '--to', 'us', '--dry-run', at('eu'))->{mode},
    'full', 'move --dry-run says what would be sent');
is(object(0, 'move', $user, '--to', 'us', '--wait', at('eu'))->{to}, 'us', 'move says where to');
is(object(0, 'moves', '--all', at('us'))->{moves}[0]{user_id}, $user, 'moves names the user');
is(object(1, 'cancel', $user, at('eu'))->{error}{name},
    'no-move', 'cancel says that nothing runs');
is(object(0, 'drain', 'eu', '--to', 'us', at('eu'))->{left}, 0, 'drain counts who is left');
is(object(0, 'drain', 'eu', '--end', at('eu'))->{ended},
    JSON::PP::true(), 'drain --end says that it was drained');

is_deeply(
    [grep { $_->{verb} eq 'moves' } @{ object(0, 'help')->{verbs} }],
    object(0, 'help', 'moves')->{verbs},
    'help describes a verb alike alone and in the list'
);
like(object(0, 'man')->{page}, qr/^[.]Dd/, 'man gives the page');
like(object(0, 'completion', 'bash')->{script}, qr/^complete /m, 'completion gives the script');

# ---- a list that is printed again and again
subtest 'moves --watch --json prints an object a line until Ctrl-C' => sub {
    my $pid = open(my $pipe, '-|', $ctl, 'moves', '--all', '--watch', '--json', at('us')) or die $!;
    my @lines = map { scalar <$pipe> } 1, 2;
    kill INT => $pid;
    my @rest = <$pipe>;
    close $pipe;
    is($? >> 8, 130, 'the exit code is 130');
    is_deeply([map { $schema{moves}->wrong($json->decode($_)) } @lines, @rest],
        [], 'each line is as the schema says');
};

# ---- errors
subtest 'an error is in the object, with its kind and what to do' => sub {
    object(0, 'ca init', '--ca', "$dir/stranger");
    my %case = (
        'no-unit' => [1, 'status', '--dir', '/nowhere'],
        'no-user' => [1, 'user', '00000000-0000-4000-8000-000000000000', at('eu')],
        'no-peer' => [1, 'mesh resync', 'mars', at('eu')],
        'wrong-unit' => [1, 'drain', 'us', at('eu')],
        'bad-file' => [1, 'unit add', "$dir/pepper", at('eu')],
        'file' => [1, 'import', 'exercises', "$dir/nothing", at('eu')],
        'bad-setting' => [1, 'unit init', 'eu', at('eu'), '--http', 'here'],
        'refused' => [1, 'unit remove', 'us', '--within', '1', at('eu')],
        'certificate' =>
            [1, 'unit invite', 'ap', addresses(), '--ca', "$dir/stranger", at('eu')],
        'usage' => [2, 'mesh wait', '--within', 'soon', at('eu')],
    );
    for my $kind (sort keys %case) {
        my $value = object(@{ $case{$kind} });
        is($value->{error}{name}, $kind, "the kind is $kind") or diag(explain $value);
    }
    my $unit = object(@{ $case{'no-unit'} });
    like($unit->{error}{do}, qr/^make one with/, 'what to do stands alone');
    my ($status, $text) = capture($ctl, 'mvoe', '--json');
    is("$status " . $json->decode($text)->{error}{name}, '2 usage', 'of an unknown verb too');
};

subtest 'Ctrl-C while a verb waits' => sub {
    # without its mover the user stays here
    $units->process('us', 'mover', 'down');
    my $other = $eu->selectrow_array('select gen_random_uuid()');
    $eu->do('select punit.create_user(?)', undef, $other);
    my $pid =
        open(my $pipe, '-|', $ctl, 'move', $other, '--to', 'us', '--wait', '--json', at('eu'))
        or die $!;
    wait_until(
        sub {
            $eu->selectrow_array(
                q{select count(*) from pg_stat_activity where application_name = 'punitctl'})
        },
        10
    );
    ok(wait_until(sub { caught($pid) }, 10), 'it waits');
    kill INT => $pid;
    my $value = $json->decode(join '', <$pipe>);
    close $pipe;
    is($? >> 8, 130, 'the exit code is 130');
    is($value->{error}{name}, 'interrupted', 'the object says so');
    like($value->{error}{detail}, qr/goes on/, 'and that what was begun goes on');
    is_deeply([$schema{move}->wrong($value)], [], 'as the schema says');
    ok(object(0, 'cancel', $other, at('eu'))->{cancelled}, 'the move is there, to be cancelled');
    $units->process('us', 'mover', 'up');
};

subtest '--quiet prints nothing but errors' => sub {
    is_deeply([capture($ctl, 'status', '--quiet', at('eu'))], [0, ''], 'a table is no error');
    is_deeply([capture($ctl, 'keys', 'sync', '--quiet', at('eu'))], [0, ''], 'nor is a line');
    my ($status, $text) = capture($ctl, 'drain', 'us', '--quiet', at('eu'));
    is_deeply([$status, $text], [1, "punitctl: eu: this is unit eu; drain us there\n"],
        'an error is printed');
};

# The last: us leaves, and ap is invited.
object(0, 'drain', 'us', '--to', 'eu', at('us'));
object(0, 'unit remove', 'us', at('us'));
my $removed = object(0, 'unit remove', 'us', at('eu'));
is($removed->{adopter}, 'eu', 'unit remove names the adopter');
like("@{ $removed->{steps} }", qr/NGINX .* has read .*us is no peer any more/,
    'and all its steps, in their order');
my $made_ca = object(0, 'ca init', '--ca', "$dir/other-ca");
ok($made_ca->{made} && $made_ca->{authority} eq "$dir/other-ca", 'ca init names the authority');
ok(!object(0, 'ca init', '--ca', "$dir/other-ca")->{made}, 'and says that it was there');
my $signed = object(0, 'ca unit', 'ap', '--ca', "$dir/other-ca", '--out', "$dir/signed");
is_deeply([map { -e $signed->{$_} ? $_ : () } 'certificate', 'key'],
    ['certificate', 'key'], 'ca unit names its files');
my $invite = object(0, 'unit invite', 'ap', addresses(), '--ca', "$dir/ca", '--out',
    "$dir/ap.invite", at('eu'));
is("$invite->{unit} $invite->{invited} $invite->{file}",
    "eu ap $dir/ap.invite", 'unit invite names both units and the file');
my $late = object(1, 'unit init', '--invited', "$dir/pepper", '--dir', "$dir/ap");
is($late->{error}{name}, 'bad-file', 'what is no invite is told by its kind');
my $guest = object(0, 'unit init', '--invited', $invite->{file}, '--dir', "$dir/ap");
is("$guest->{unit} $guest->{invited_by}", 'ap eu', 'unit init names the unit that invites');
my $first = object(0, 'unit init', 'zz', '--new', '--dir', "$dir/zz");
is("$first->{unit} $first->{authority}", "zz $dir/zz/ca", 'unit init --new names its authority');

my @verbs = sort map { $_->{verb} } @{ object(0, 'help')->{verbs} };
is_deeply([sort keys %seen], \@verbs, 'each verb of the table was run here');
is_deeply([sort(Punit::Schema::verbs())], \@verbs, 'each verb has a schema');

done_testing();

# The addresses of a further unit, as options.
sub addresses {
    my $port = $units->base + 90;
    return map { ("--$_", '127.0.0.1:' . $port++) } 'http', 'peer', 'pg';
}

# The process handles SIGINT by itself.
sub caught {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/status" or return 0;
    my ($mask) = map { /^SigCgt:\s*([0-9a-f]+)/ ? hex $1 : () } <$in>;
    return ($mask // 0) & 2;
}

sub line {
    my ($unit) = @_;
    my %value = slurp("$dir/$unit/unit.env") =~ /^(\w+)=(.*)$/mg;
    return "$unit  $value{PUNIT_HTTP}  $value{PUNIT_LISTENER}  $value{PUNIT_PG_LISTEN}\n";
}
