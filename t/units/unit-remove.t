#!/usr/bin/perl
# A unit leaves a running system, and one of its name comes again.
use strict;
use warnings;
use File::Path qw(remove_tree);
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use POSIX ();
use Punit::Units;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(sleep);

my $units = Punit::Units->start(env => { PUNIT_MOVE_AFTER => 64 });
my $dir = $units->dir;
sub ctl { my ($unit, @arguments) = @_; return $units->punitctl($unit, @arguments) }
sub register {
    my ($unit, $name) = @_;
    return $units->http(
        $unit, POST => '/auth/register', undef,
        { email => "$name\@example.org", password => 'correct horse battery', name => $name });
}

sub login {
    my ($unit, $name) = @_;
    return $units->http(
        $unit, POST => '/auth/login', undef,
        { email => "$name\@example.org", password => 'correct horse battery' });
}

# What one says who fails, all of it in one line.
sub fails {
    my ($what, $pattern, $unit, @arguments) = @_;
    my ($status, $output) = ctl($unit, @arguments);
    ok($status == 1 && $output =~ $pattern, $what) or diag("$status $output");
    return;
}

# ---- what ap has: a user, a coach of his own exercise, names of whom it is the arbiter
my $ada = register('ap', 'ada')->{json};
ok($ada->{access_token}, 'a user registers at ap');
$units->dbh('ap')->do('select auth.grant_role(?, ?)', undef, $ada->{user_id}, 'coach');
my $coach = login('ap', 'ada')->{json}{access_token};
my %exercise = (name => 'Cable Kickback', level => 'beginner', category => 'strength');
my $made = $units->http('ap', POST => '/training/exercises', $coach, \%exercise);
is($made->{status}, 201, 'a coach writes an exercise there') or diag($made->{content});
my $path = "/training/exercises/$made->{json}{id}";
is(register('us', "early-$_")->{status}, 201, "early-$_ registers") for 1 .. 6;
cmp_ok($units->one('ap', q{select count(*) from auth.name where origin_unit = 'ap'}), '>', 0,
    'ap is the arbiter of some names');
ok(
    wait_until(
        sub {
            $units->one('eu', q{select count(*) from auth.name}) == 7
                && $units->one('us', q{select count(*) from auth.name}) == 7
                && $units->one('us',
                'select count(*) from training.exercise where origin_unit = ?', 'ap')
        },
        10
    ),
    'all of it is everywhere'
);
my $etag = $units->http('us', GET => $path, $coach)->{headers}{etag};
my %generation = map { $_ => $units->one($_, q{select punit.generation_of('training')}) } 'eu',
    'us';

# ---- in good order
my ($status, $output) = ctl('eu', 'unit', 'remove', '--help');
like($output, qr/--stopped/, '--help tells of the options');
is((ctl('eu', 'unit', 'remove', 'Not-A-Unit'))[0], 2, 'what is no unit\'s id is misuse');
fails('an id of no unit is refused', qr/there is no unit mars/, 'eu', 'unit', 'remove', 'mars');
fails('a unit that runs is not removed before it took leave', qr/has not taken leave.*drain ap/,
    'eu', 'unit', 'remove', 'ap');
fails('nor on somebody\'s word that it is stopped', qr/has not taken leave/, 'eu', 'unit',
    'remove', 'ap', '--stopped');
fails('it does not leave while it owns users', qr/1 users owned here.*drain ap/, 'ap', 'unit',
    'remove', 'ap');
is($units->http('ap', GET => '/profile', $coach)->{headers}{'punit-unit'}, 'ap',
    'which serves them as before');

($status, $output) = ctl('ap', 'drain', 'ap', '--to', 'us', '--within', patience(60));
is($status, 0, 'drained') or diag($output);
($status, $output) = ctl('ap', 'unit', 'remove', 'ap');
is($status, 0, 'it takes leave') or diag($output);
is((ctl('ap', 'unit', 'remove', 'ap'))[0], 0, 'and again');
like((ctl('ap', 'status'))[1], qr/^leave +taken [\d-]+T[\d:]+Z: /m, 'status says so');
is($units->http('ap', PUT => $path, $coach, { %exercise, name => 'Later' })->{status}, 503,
    'nothing is written there any more');
is(register('ap', 'late')->{status}, 503, 'nobody registers there');
my ($status_of_move) =
    ctl('us', 'move', 'ada@example.org', '--to', 'ap', '--wait', '--within', patience(3));
isnt($status_of_move, 0, 'nobody moves there');
is($units->one('us', q{select state from punit.own where user_id = ?}, $ada->{user_id}), 'OWNED',
    'the user of that move is owned at the old unit');

fails(
    'us waits for eu, which is to adopt', qr/eu is to adopt.*`punitctl unit remove ap` there/s,
    'us', 'unit', 'remove', 'ap', '--within', patience(1)
);
is($units->http('us', GET => $path, $coach)->{status}, 200, 'meanwhile what ap wrote is there');

subtest 'cut off at any step, the next call goes on' => sub {
    for my $unit ('eu', 'us') {
        my $cut = 0;
        for my $ms (map { 2 * 1.3**$_ } 0 .. 24) {
            my $pid = fork // die "fork: $!";
            if (!$pid) {
                open STDOUT, '>', '/dev/null' or POSIX::_exit(127);
                open STDERR, '>&', \*STDOUT or POSIX::_exit(127);
                exec "$dir/app/bin/punitctl", 'unit', 'remove', 'ap', '--dir', "$dir/$unit"
                    or POSIX::_exit(127);
            }
            sleep($ms / 1000);
            kill KILL => $pid;
            waitpid $pid, 0;
            last if $? == 0;
            $cut++;
        }
        cmp_ok($cut, '>', 0, "$unit: it was cut off $cut times");
        my ($code, $said) = ctl($unit, 'unit', 'remove', 'ap');
        is($code, 0, "$unit: and comes to an end") or diag($said);
    }
};

sub nothing_left {
    my ($unit) = @_;
    my $db = $units->dbh($unit);
    my @left;
    for (['pg_subscription', 'subname'], ['pg_replication_slots', 'slot_name'],
        ['pg_publication', 'pubname'], ['pg_roles', 'rolname'])
    {
        my ($catalog, $column) = @$_;
        push @left,
            map {"$catalog $_"}
            @{ $db->selectcol_arrayref("select $column from $catalog where $column ~ '_ap\$'") };
    }
    my $columns = $db->selectall_arrayref(
        q{
        select n.nspname || '.' || c.relname, a.attname from pg_attribute a
            join pg_class c on c.oid = a.attrelid
          join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname !~ '^pg_|^information_schema$'
            and not a.attisdropped
           and a.atttypid = 'text'::regtype and a.attname in ('origin_unit', 'target_unit',
               'fence_to', 'owner_hint')}
    );
    cmp_ok(scalar @$columns, '>', 10, "$unit: tables that name units");
    for (@$columns) {
        my ($table, $column) = @$_;
        next if $table =~ /^punit\.unit_key/;
        push @left, "$table.$column"
            if $units->one($unit, "select count(*) from $table where $column = 'ap'");
    }
    push @left, 'punit.peer'
        if $units->one($unit, q{select count(*) from punit.peer where id = 'ap'});
    push @left, 'auth.bucket'
        if $units->one($unit, q{select count(*) from auth.bucket where unit = 'ap'});
    push @left, 'unfinished moves'
        if $units->one($unit,
        q{select count(*) from punit.move where finished_at is null
            and 'ap' in (from_unit, to_unit)}
        );
    open my $file, '<', "$dir/$unit/nginx/unit/peers.conf" or die $!;
    push @left, "peers.conf: $_" for grep {/\bap\b/} <$file>;
    is_deeply(\@left, [], "$unit: nothing of ap is left");
    my ($code, $said);
    ok(wait_until(sub { ($code, $said) = ctl($unit, 'status'); $code == 0 }, 20),
        "$unit: status is clean")
        or diag($said);
    return;
}
nothing_left($_) for 'eu', 'us';
is_deeply(
    $units->dbh('us')->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    $units->dbh('eu')->selectcol_arrayref('select unit from auth.bucket order by bucket'),
    'both deal its buckets alike'
);
is($units->one('eu', 'select count(distinct unit) from auth.bucket'), 2, 'to both');

subtest 'what ap wrote goes on' => sub {
    my $read = $units->http('us', GET => $path, $coach);
    is("$read->{status} $read->{json}{name} $read->{json}{author}", '200 Cable Kickback eu',
        'the exercise, with eu as its author');
    isnt($read->{headers}{etag}, $etag, 'which is another document');
    is($units->http('us', GET => $path, $coach, undef, headers => { 'If-None-Match' => $etag })
            ->{status}, 200, 'for a client that had the old one');
    cmp_ok($units->one($_, q{select punit.generation_of('training')}), '>', $generation{$_},
        "the generation at $_ rose")
        for 'eu', 'us';
    for my $unit ('eu', 'us') {
        my $put = $units->http($unit, PUT => $path, $coach, { %exercise, name => "At $unit" });
        is("$put->{status} $put->{headers}{'punit-unit'}", '200 eu',
            "edited at $unit, at its author eu")
            or diag($put->{content});
        for my $reader ('eu', 'us') {
            ok(
                wait_until(
                    sub { $units->http($reader, GET => $path, $coach)->{json}{name} eq "At $unit" },
                    5
                ),
                "read at $reader"
            );
        }
    }
    ok(
        wait_until(
            sub {
                $units->one('us', 'select count(*) from auth.name')
                    == $units->one('eu', 'select count(*) from auth.name')
            },
            5
        ),
        'all names'
    );
    is(login($_, 'ada')->{status}, 200, "ada logs in at $_") for 'eu', 'us';
    is($units->http($_, GET => '/profile', $coach)->{status}, 200,
        "with a token that ap signed she is served at $_")
        for 'eu', 'us';
    is(register('eu', $_)->{status}, 409, "$_ is taken") for 'ada', map {"early-$_"} 1 .. 6;
    is(register($_ % 2 ? 'eu' : 'us', "new-$_")->{status}, 201, "new-$_ registers") for 1 .. 12;
    is(register($_ % 2 ? 'us' : 'eu', "new-$_")->{status}, 409, "once, not at the other unit")
        for 1 .. 12;
};

($status, $output) = ctl('eu', 'unit', 'remove', 'ap', '--json');
my $said = eval { decode_json($output) } // {};
ok($status == 0 && $said->{removed} && "@{ $said->{steps} }" =~ /ap was removed/,
    'removed again: nothing to do')
    or diag($output);
($status, $output) = ctl('eu', 'keys', 'sync');
ok($status == 0 && -e "$dir/eu/keys/ap-1.ES256.pem", 'its key stays while a token may be good');
$units->dbh('eu')
    ->do(q{update punit.unit set retired_at = now() - interval '21 minutes' where id = 'ap'});
($status, $output) = ctl('eu', 'keys', 'sync');
ok(
           $status == 0
        && !-e "$dir/eu/keys/ap-1.ES256.pem"
        && !$units->one('eu', q{select count(*) from punit.unit_key where origin_unit = 'ap'}),
    'and goes after that'
) or diag($output);

# ---- and comes again
fails('a unit that left cannot join again', qr/left the system.*from nothing/, 'ap', 'unit', 'add',
    "$dir/units");
($status, $output) = ctl('eu', 'unit', 'add', "$dir/units");
fails('nor is it joined by others', qr/is the unit that was removed/, 'eu', 'mesh', 'join',
    '--within', patience(5));
is((ctl('eu', 'unit', 'remove', 'ap'))[0], 0, 'removed once more');
nothing_left('eu');

$units->stop;
remove_tree("$dir/ap");
$units->up;
for my $unit ('eu', 'us', 'ap') {
    ok(wait_until(sub { (ctl($unit, 'mesh', 'status'))[0] == 0 }, 20),
        "with a new ap the mesh is whole at $unit");
}
is(register('ap', 'again')->{status}, 201, 'users register at it');
is($units->http('ap', GET => '/profile', $coach)->{status}, 401,
    'tokens of the old ap are not the new one\'s');
is(
    $units->http('ap', GET => $path, login('eu', 'ada')->{json}{access_token})->{json}{name} // '',
    'At us',
    'it has what the old one wrote'
);

# ---- without a word
subtest 'it stopped for good: the unit that has most of it adopts' => sub {
    is((ctl('ap', 'drain', 'ap', '--within', patience(60)))[0], 0, 'drained');
    $units->dbh('eu')->do('alter subscription punit_from_ap disable');
    ok(
        wait_until(
            sub {
                !$units->one('ap',
                    q{select count(*) from pg_replication_slots where slot_name = 'punit_to_eu'
                        and active}
                )
            },
            10
        ),
        'eu does not hear of ap'
    );
    $units->dbh('ap')
        ->do(
        q{insert into sports.sport (id, name, category, met)
            values (gen_random_uuid(), 'Last', 'water', 8)}
        );
    ok(
        wait_until(
            sub { $units->one('us', q{select count(*) from sports.sport where name = 'Last'}) }, 10
        ),
        'us has its last row'
    );
    delete $units->{dbh}{ap};
    $units->process('ap', $_, 'down') for 'nginx', 'postgres';
    fails('it is not removed without --stopped', qr/does not answer.*--stopped/, 'us', 'unit',
        'remove', 'ap');
    fails('eu, which has less, does not adopt', qr/us is to adopt/, 'eu', 'unit', 'remove', 'ap',
        '--stopped', '--within', patience(3));
    my ($code, $text) = ctl('us', 'unit', 'remove', 'ap', '--stopped');
    is($code, 0, 'us does') or diag($text);
    ($code, $text) = ctl('eu', 'unit', 'remove', 'ap', '--stopped');
    is($code, 0, 'then eu is done too') or diag($text);
    is($units->one($_, q{select origin_unit from sports.sport where name = 'Last'}), 'us',
        "$_ has the last row")
        for 'eu', 'us';
    nothing_left($_) for 'eu', 'us';
};

done_testing();
