#!/usr/bin/perl
# punitctl schema: what it applies, what it refuses, and programs on a schema that does not fit.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use POSIX ();
use Test::More;

use Punit::FastCGI;
use Punit::File qw(slurp spew);
use Punit::Postgres;
use Punit::Server qw(directory);
use Punit::Tree qw(program root);
use Punit::Wait qw(wait_until);
use Punit::Worker;

my $root = root();
my $dir = directory('schema');
my $user = '0b6f2f0e-0000-4000-8000-000000000001';

my ($release) = reverse glob "$root/t/sql/release/*.tar.gz";

# A tree of its own for a server: that of this release, or of a tarball.
sub tree {
    my ($pg, $tarball) = @_;
    my $sql = $pg->sql;
    return $sql if !$tarball;
    system('rm', '-rf', $sql) == 0 && system('tar', '-xzf', $tarball, '-C', $pg->dir) == 0
        or die "tar: $?";
    system('chmod', '-R', 'a+rX', $sql);
    return $sql;
}

sub spurt {
    my ($path, $text) = @_;
    make_path(dirname($path));
    return spew($path, $text);
}

sub edit {
    my ($path, $from, $to) = @_;
    my $text = slurp($path);
    $text =~ s/\Q$from\E/$to/ or die "$path: no $from";
    spurt($path, $text);
    return;
}

sub version {
    my ($sql, $version, $serves) = @_;
    spurt("$sql/VERSION", "version $version\nserves $serves\n");
    return;
}

# The schema as pg_dump shows it, without the noise of a run.
sub dump_of {
    my ($pg) = @_;
    my $text = join '', grep { !/^\\(un)?restrict/ }
        `pg_dump -s -h @{[ $pg->sock ]} -p @{[ $pg->port ]} -U postgres punit`;
    die 'pg_dump' if $?;
    return $text;
}

my $pg = Punit::Postgres->new(unit => 'eu');
my $sql = tree($pg);
my ($status, $output, $dbh);

# what punitctl schema says; the options follow
sub schema { ($status, $output) = $pg->punitctl('schema', '--sql', $sql, @_); return $status }

sub one { my ($query, @bind) = @_; return ($dbh->selectrow_array($query, undef, @bind))[0] }

sub exits {
    my ($want, $pattern, $name, @options) = @_;
    schema(@options);
    ok $status == $want && $output =~ $pattern, $name or diag "exit $status: $output";
    return;
}

# ---- an empty database
exits(
    3, qr/would apply tables\/010-schema\.sql.*files would be applied/s,
    'a dry run on nothing names each file', '--dry-run'
);
$dbh = $pg->dbh;
is one(q{select to_regnamespace('punit')}), undef, 'and makes nothing';
exits(
    0, qr/applied tables\/010-schema\.sql\n.*applied functions\/punit\/unit\.sql\n/s,
    'a fresh install'
);
exits(0, qr/nothing to do/, 'nothing to do');
exits(0, qr/nothing to do/, 'a dry run finds nothing to do, and exits with 0', '--dry-run');
is_deeply $dbh->selectrow_arrayref('select version, serves from punit.schema_version'),
    [map { slurp("$sql/VERSION") =~ /^$_ (\d+)/m } qw(version serves)], 'the version is recorded';
my $fresh = dump_of($pg);
my %kept = (sql => $sql);
$pg->add_user($user, 'Ann');

# ---- functions
my $profile = "$sql/functions/profile/profile.sql";
my $living = slurp($profile);

edit($profile, q{'UTC')}, q{'Europe/Vienna')});
exits(
    3, qr/would apply functions\/profile\/profile\.sql/, 'a dry run names a changed file',
    '--dry-run'
);
is one(q{select profile.time_zone_of(?)}, $user), 'UTC', 'and changes no function';
exits(
    0, qr/applied functions\/profile\/profile\.sql\n.*1 of \d+ files/s,
    'a changed function is applied, and no other file'
);
is one(q{select profile.time_zone_of(?)}, $user), 'Europe/Vienna', 'it does what it says now';

spurt($profile, $living . <<'SQL');

create or replace function profile.greeting(p_user uuid, p_polite boolean default false)
returns text
language sql stable as $$ select 'hello' $$;
grant execute on function profile.greeting(uuid, boolean) to punit_profile, punit_metrics;
SQL
exits(0, qr/1 of/, 'a function is added');
spurt($profile, $living . <<'SQL');

create or replace function profile.greeting(p_user uuid, p_word text) returns text
language sql stable as $$ select p_word $$;
grant execute on function profile.greeting(uuid, text) to punit_profile;
SQL
exits(
    0, qr/dropped function profile\.greeting\(uuid,boolean\)/,
    'a changed signature drops the old function'
);
is one(q{select array_agg(oid::regprocedure::text)::text from pg_proc where proname = 'greeting'}),
    '{"profile.greeting(uuid,text)"}', 'which is gone';
is one(q{select proacl::text from pg_proc where proname = 'greeting'}),
    '{postgres=X/postgres,punit_profile=X/postgres}', 'the new one has its own rights';
spurt($profile, slurp($profile) =~ s/(greeting\(uuid, text\) to) punit_profile/$1 punit_metrics/r);
exits(0, qr/1 of/, 'rights that left the file');
is one(q{select proacl::text from pg_proc where proname = 'greeting'}),
    '{postgres=X/postgres,punit_metrics=X/postgres}', 'are taken away';
spurt($profile, $living . <<'SQL');

create or replace function profile.greeting(p_user uuid, p_word text) returns int
language sql stable as $$ select 1 $$;
SQL
exits(0, qr/1 of/, 'a changed return type is applied');
is one(q{select pg_get_function_result(oid) from pg_proc where proname = 'greeting'}), 'integer',
    'and seen';
spurt($profile, $living);
exits(
    0, qr/dropped function profile\.greeting\(uuid,text\)/,
    'a function that left its file is dropped'
);

$dbh->do('drop function profile.time_zone_of(uuid) cascade');
exits(0, qr/applied functions\/profile\/profile\.sql/, 'what somebody dropped is made again');
is one(q{select count(*) from pg_proc where oid::regproc::text = 'metrics.summary_page'}), 1,
    'with what fell with it';

# ---- files
spurt("$sql/functions/profile/aa.sql", <<'SQL');
create or replace function profile.early() returns int language sql
begin atomic select profile.late(); end;
SQL
spurt("$sql/functions/profile/zz.sql", <<'SQL');
create or replace function profile.late() returns int language sql
begin atomic select 1; select 2; end;
SQL
exits(0, qr/applied functions\/profile\/zz\.sql/, 'a file that needs a later one runs after it');
is one('select profile.early()'), 2, 'both work';
unlink "$sql/functions/profile/zz.sql";
exits(
    1, qr/cannot drop function profile\.late\(\).*function profile\.early\(\) depends on/s,
    'an object that another needs is not dropped: the error names both'
);
is one('select profile.early()'), 2, 'and nothing has changed';
unlink "$sql/functions/profile/aa.sql";
exits(
    0, qr/dropped function profile\.early\(\)\n.*dropped function profile\.late\(\)/s,
    'files that left the tree take their objects along'
);
is dump_of($pg), $fresh, 'the schema is what a fresh one is';

# ---- objects of one file that need each other, and other sessions
my $own = "$sql/functions/profile/own.sql";
sub views {
    my ($column) = @_;
    return "create or replace view profile.va as select 1 as $column;\n"
        . "create or replace view profile.vb as select $column from profile.va;\n";
}
spurt($own, views('one'));
exits(0, qr/1 of/, 'a view on another view of its file');
spurt($own, views('two'));
exits(0, qr/1 of/, 'a column of the first changes its name, and the second follows');
spurt($own, <<'SQL');
create or replace function profile.f(p_a int) returns int language sql as $$ select 1 $$;
create or replace view profile.vf as select profile.f(1) as f;
SQL
exits(0, qr/dropped view profile\.va\n.*dropped view profile\.vb/s, 'both views go');
spurt($own, <<'SQL');
create or replace function profile.f(p_a int, p_b int default 0) returns int
language sql as $$ select 2 $$;
create or replace view profile.vf as select profile.f(1) as f;
create or replace procedure profile.p() language sql as $$ select 1 $$;
SQL
exits(0, qr/dropped function profile\.f\(integer\)/, 'a changed signature below a view');
is one('select f from profile.vf'), 2, 'the view calls the new function';
spurt($own, "grant execute on function punit.self() to punit_mover;\n");
exits(1, qr/own\.sql changes function punit\.self\(\), which no file of functions\/ made/,
    'rights on an object of tables/ belong into tables/');
spurt($own, "select pg_advisory_xact_lock(77);\n");
my $other = $pg->dbh;
$other->do('select pg_advisory_lock(77)');
my $upgrade = fork // die "fork: $!";
if (!$upgrade) {
    my ($exit) = $pg->punitctl('schema', '--sql', $sql);
    POSIX::_exit($exit);
}
wait_until(sub {
    one(q{select count(*) from pg_stat_activity where wait_event = 'advisory'});
});
$other->do('create view profile.theirs as select 1 as one');
$other->do('select pg_advisory_unlock(77)');
waitpid $upgrade, 0;
is $? >> 8, 0, 'what another session makes meanwhile is no part of the upgrade';
unlink $own;
exits(0, qr/nothing to do/, 'a file without objects goes');
is one(q{select to_regclass('profile.theirs')}), 'profile.theirs', 'and what is theirs stays';
$other->do('drop view profile.theirs');
$other->disconnect;
spurt("$sql/tables/980-column.sql", "alter table sports.sport add column note text;\n");
exits(3, qr/would apply functions\/sports\/sport\.sql/,
    'a new column: views of all columns are made again', '--dry-run');
unlink "$sql/tables/980-column.sql";
is dump_of($pg), $fresh, 'the schema is what a fresh one is, once more';

spurt(
    "$sql/functions/profile/zz.sql",
    "create or replace function punit.rfc3339(p_at timestamptz) returns text\n"
        . "language sql stable strict parallel safe return 'now';\n"
);
exits(
    1, qr/both functions\/profile\/zz\.sql and functions\/punit\/time\.sql make or change/,
    'two files for one function are refused'
);
spurt("$sql/functions/profile/zz.sql", "create table profile.misplaced ();\n");
exits(
    1, qr/zz\.sql makes profile\.misplaced: tables belong into tables/,
    'a table in functions/ is refused'
);

unlink "$sql/functions/profile/zz.sql";
spurt($profile, $living =~ s/create or replace function profile\.export.*?;\n\n//sr);
exits(1, qr/registered, but not there: function profile\.export\(uuid\)/,
    'a registered function that is gone is an error');
spurt($profile, $living);

# ---- errors: all or nothing, with file and line
spurt("$sql/tables/990-first.sql", "create table profile.first ();\n");
for my $case (
    [
        "create function profile.bad() returns int\nlanguage sql as \$\$\n"
            . "    select nowhere\n\$\$;\n",
        qr/zz\.sql line 3: column "nowhere"/, 'a column in a body'
    ],
    ["-- \x{c3}\x{a4}\n\nselekt 1;\n", qr/zz\.sql line 3: syntax error/, 'a syntax error'],
    ["select 1;\n\nselect 1 / 0;\n", qr/zz\.sql line 3: division by zero/, 'a division by zero'],
    [
        "create function profile.bad() returns int language plpgsql as \$\$\nbegin\n    retrun 1;\n"
            . "end \$\$;\n", qr/zz\.sql line 3: syntax error/, 'a syntax error in PL/pgSQL'
    ],
    ["select 1;\ncommit;\n", qr/zz\.sql line 2: a file may not end the transaction/, 'a commit'],
    )
{
    my ($text, $pattern, $name) = @$case;
    spurt("$sql/functions/profile/zz.sql", $text);
    exits(1, $pattern, "$name is named with file and line");
    is one(q{select to_regclass('profile.first')}), undef, 'and nothing is kept';
}
unlink "$sql/functions/profile/zz.sql";

# ---- tables
exits(0, qr/applied tables\/990-first\.sql/, 'a new table');
spurt("$sql/tables/990-first.sql", "create table profile.first (changed int);\n");
exits(
    1, qr/tables\/990-first\.sql was changed after it was applied/,
    'an altered file of tables/ is refused by name'
);
unlink "$sql/tables/990-first.sql";
exits(
    1, qr/tables\/990-first\.sql was applied here and is not among the files/,
    'so is one that left the tree'
);
spurt("$sql/tables/990-first.sql", "create table profile.first ();\n");
spurt("$sql/tables/990-again.sql", "select 1;\n");
exits(1, qr/have the same number/, 'two files with one number are refused');
unlink "$sql/tables/990-again.sql";
spurt("$sql/tables/995-drop.sql", "drop table profile.first;\ndrop view metrics.known_type;\n");
exits(
    0, qr/applied tables\/995-drop\.sql\n.*applied functions\/metrics\/type\.sql/s,
    'a file of tables/ may drop a view: its file makes it again'
);

version($sql, 8, 2);
exits(0, qr/version 8/, 'the version alone rises');
version($sql, 7, 2);
exits(
    1, qr/schema version 8, which is newer than version 7 of these files/,
    'a database that is newer than the files is refused'
);

# ---- programs
version($sql, 8, 1);
exits(0, qr/version 8/, 'a newer schema that serves programs of version 1');
my $worker = Punit::Worker->new($pg, 'profile');
my $client = $worker->fcgi;

sub answer { return $client->request(GET => '/profile', user => $user)->{status} }

sub refusals { return [$worker->log_text =~ /^(.*event=schema-refused.*)$/mg] }

is answer(), 200, 'a program serves on a newer schema that serves its version';
version($sql, 9, 9);
exits(0, qr/version 9/, 'a newer schema that no longer does');
ok $worker->until(sub { answer() == 503 }, 'refused'), 'the running program answers 503';
answer() for 1 .. 5;
is scalar @{ refusals() }, 1, 'and says so in one line';
like refusals()->[0],
    qr/schema=9 serves=9 program=\d+ why=".*newer than this program knows.*upgrade the program"/,
    'with both numbers and what to do';
$dbh->do('update punit.schema_version set version = 9, serves = 1');
ok $worker->until(sub { answer() == 200 }, 'served'), 'it serves again without a restart';
for my $program (qw(mover gridd)) {
    my $process = Punit::Server->new(
        cmd => [program("punit-$program")], log => "$dir/$program.log",
        env => {
            PUNIT_UNIT => 'eu', PUNIT_PG => $pg->conninfo, PUNIT_GRID => '127.0.0.1:1',
            PUNIT_TOKEN_GRID => '127.0.0.1:1', PUNIT_SOCKET => "$dir/$program.sock"
        },
    )->start;
    ok $process->until(
        sub {
            one(
                q{select count(*) from pg_stat_activity
        where usename = 'punit_' || ? and query !~ 'schema_version'}, $program
            )
        },
        'connects'
        ),
        "$program works on this schema";
    $process->stop;
    $dbh->do('alter table punit.schema_version rename to no_version');
    $process->start;
    ok $process->until(sub { $process->log_text =~ /event=schema-refused/ }, 'refuses'),
        "$program refuses a schema that is older than it needs";
    like $process->log_text,
        qr/schema=0 serves=0 program=(\d+) why="schema version 0 is older than version \1/,
        'with both numbers and what to do';
    $process->stop;
    $dbh->do('alter table punit.no_version rename to schema_version');
}

# ---- from the release before, with users in it
my $old = Punit::Postgres->new(unit => 'us');
my $old_sql = tree($old, $release);
my ($program) = slurp("$root/sql/VERSION") =~ /^version (\d+)/m;
my ($had) = slurp("$old_sql/VERSION") =~ /^version (\d+)/m;
my @was = $old->punitctl('schema', '--sql', $old_sql);
is $was[0], 0, "the schema of $release is installed" or diag $was[1];
$old->add_user($user, 'Ann');

my $next = tree($old);
@was = $old->punitctl('schema', '--sql', $next);
is $was[0], 0, 'and upgraded to this one' or diag $was[1];
is dump_of($old) =~ s/'us'/'eu'/gr, $fresh, 'which is then what a fresh one is';

# the next release: a table of users' rows, and a function that reads it
sub next_release {
    my ($tree) = @_;
    spurt("$tree/tables/900-profile-notes.sql", <<'SQL');
create table profile.note (user_id uuid not null, id uuid not null, text text,
    ver bigint not null, primary key (user_id, id));
insert into punit.user_table (tab) values ('profile.note');
update punit.exporter set tabs = tabs || '{profile.note}' where service = 'profile';
alter table profile.profile add column motto text;
SQL
    edit(
        "$tree/functions/profile/profile.sql", q{'sports', to_json(p.sports))},
        q{'sports', to_json(p.sports), 'motto', p.motto)}
    );
    version($tree, $program + 1, $program);
    return;
}
next_release($next);
@was = $old->punitctl('schema', '--sql', $next);
ok $was[0] == 0
    && $was[1] =~ m{applied tables/900-profile-notes\.sql\n.*applied functions/profile/}s,
    'a new table and a changed function are applied' or diag $was[1];
my $brand = Punit::Postgres->new(unit => 'ap');
my $brand_sql = tree($brand);
next_release($brand_sql);
@was = $brand->punitctl('schema', '--sql', $brand_sql);
is $was[0], 0, 'the next release, fresh' or diag $was[1];
is dump_of($old) =~ s/'us'/'ap'/gr, dump_of($brand), 'an upgraded schema is what a fresh one is';
my $db = $old->dbh;
like $db->selectrow_array(
    q{select profile.document(p)::text from profile.profile p
    where user_id = ?}, undef, $user
    ),
    qr/Ann.*motto/,
    'the user is there, and has what is new';
ok !eval {
    $db->do(
        q{insert into profile.note (user_id, id) values (?, gen_random_uuid())}, undef,
        $user
    ); 1
}, 'the new table has its guard';
my $served = Punit::Worker->new($old, 'profile');
is(
    $served->fcgi->request(GET => '/profile', user => $user)->{json}{name}, 'Ann',
    'and the program of this release serves the user'
);

done_testing;
