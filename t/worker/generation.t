#!/usr/bin/perl
# The generation of reference data: what raises it, how often, and who may change a row.
use strict;
use warnings;
use Test::More;

use Punit::Postgres;
use Punit::Tries;
use Punit::Wait qw(patience wait_until);

my $pg = Punit::Postgres->new(unit => 'eu');
$pg->apply('punit');
my $dbh = $pg->dbh;
$dbh->do($_) for 'create schema sky', 'create schema sea',
    q{create table sky.star (origin_unit text not null default punit.self(),
        id uuid not null default gen_random_uuid(),
      name text, primary key (origin_unit, id))},
    q{create table sky.moon (origin_unit text not null, id int not null, primary key (origin_unit,
        id))},
    q{create table sea.fish (origin_unit text not null, id int not null, primary key (origin_unit,
        id))},
    'grant usage on schema sky to punit_training', 'grant all on sky.star to punit_training',
    map {"select punit.register_reference_table('$_')"} qw(sky.star sky.moon sea.fish);

sub generation {
    return scalar $dbh->selectrow_array('select punit.generation_of(?)', undef, $_[0] // 'sky')
}

sub raises {
    my ($by, $name, @sql) = @_;
    my $before = generation();
    for (@sql) { ref $_ ? $_->() : $dbh->do($_) }
    is generation() - $before, $by, $name;
}

# As an apply worker does it: ordinary row triggers and guards do not fire.
sub replicated {
    my @sql = @_;
    return sub {
        $dbh->do("set session_replication_role = replica");
        $dbh->begin_work;
        $dbh->do($_) for @sql;
        $dbh->commit;
        $dbh->do("set session_replication_role = origin");
    };
}

sub in_transaction {
    my @sql = @_;
    return sub { $dbh->begin_work; $dbh->do($_) for @sql; $dbh->commit };
}

raises(1, 'an insert raises the generation', q{insert into sky.star (name) values ('a')});
raises(1, 'an update does', q{update sky.star set name = 'b'});
raises(1, 'a deletion does', q{delete from sky.star});
raises(
    1, 'a transaction of many rows, statements and tables raises it once',
    in_transaction(
        q{insert into sky.star (name) select 'x' from generate_series(1, 100)},
        q{update sky.star set name = 'y'},
        q{insert into sky.moon values ('eu', 1)}, q{delete from sky.moon}
    ));
raises(2, 'each transaction raises it anew', (q{update sky.star set name = 'z'}) x 2);
raises(
    0, 'a transaction that is rolled back does not',
    sub { $dbh->begin_work; $dbh->do(q{update sky.star set name = 'q'}); $dbh->rollback });
raises(
    1, 'a rolled back savepoint takes its raise back, and the next row raises again',
    in_transaction(
        'savepoint s', q{update sky.star set name = 'q'}, 'rollback to s',
        q{update sky.star set name = 'r'}
    ));
raises(0, "another service's rows do not", q{insert into sea.fish values ('eu', 1)});
raises(
    1, 'replicated rows do, once a transaction',
    replicated(
        q{insert into sky.star (origin_unit, name) select 'us', 'x' from generate_series(1, 100)}));
raises(
    2, 'once for each origin',
    replicated(q{insert into sky.moon values ('us', 1), ('ap', 1), ('us', 2), ('ap', 2)}));
is_deeply $dbh->selectcol_arrayref(
    q{select origin_unit from punit.generation where service = 'sky' order by 1}), [qw(ap eu us)],
    'with a row for each, so that two apply workers never wait for each other';

my ($us, $ap) = map { $pg->dbh } 1 .. 2;
for ($us, $ap) { $_->do('set session_replication_role = replica'); $_->begin_work }
$us->do(q{insert into sky.moon values ('us', 10)});
$ap->do("set local lock_timeout = '@{[patience(2)]}s'");
ok eval { $ap->do(q{insert into sky.moon values ('ap', 10)}); 1 }, 'two apply workers write at once'
    or diag $@;
$_->rollback for $us, $ap;

my $many = replicated(
    q{insert into sky.star (origin_unit, name) select 'us', 'x' from generate_series(1, 50000)});
ok once_within(
    5,
    sub {
        took(sub { raises(1, '50,000 replicated rows in one transaction raise it once', $many) })
    }
    ),
    'and in less than 5 s (a raise per row takes 15 s)';

# ---- who may change a row
my $training = $pg->dbh('punit_training');

sub refused {
    my ($sql, $state, $detail, $name) = @_;
    ok !eval { $training->do($sql); 1 }, $name;
    is $training->state, $state, "as $state";
    like $@, $detail, 'and says which unit' if $detail;
}

refused(q{insert into sky.star (origin_unit, name) values ('us', 'x')}, 'PU421', qr/DETAIL:  us$/m,
    'a row of another unit cannot be inserted');
refused(q{update sky.star set name = 'n' where origin_unit = 'us'}, 'PU421', qr/DETAIL:  us$/m,
    'nor changed');
refused(q{delete from sky.star where origin_unit = 'us'}, 'PU421', qr/DETAIL:  us$/m,
    'nor deleted');
refused(q{update sky.star set origin_unit = 'ap' where origin_unit = 'eu'}, 'PU500', undef,
    "a row's origin cannot change");
refused(q{insert into punit.generation values ('sky', 'eu', 0)}, '42501', undef,
    'a service cannot write generations');
ok eval { $training->do(q{insert into sky.star (name) values ('own')}); 1 },
    'a service changes rows of its own unit'
    or diag $@;

# ---- what is announced
my $listener = $pg->dbh;
$listener->do('listen punit_generation');
my @told;
sub told {
    @told = ();
    wait_until(
        sub {
            while (my $n = $listener->pg_notifies) { push @told, $n->[2] }
            return @told;
        },
        10
    );
    return \@told;
}
$dbh->do(q{update sky.star set name = 'told' where origin_unit = 'eu'});
is_deeply told(), ['sky'], 'NOTIFY punit_generation names the service';
replicated(q{delete from sky.moon})->();
is_deeply told(), ['sky'], 'once a transaction, for replicated rows too';

# ---- what cannot be registered
for (
    ['without origin_unit', 'sky.bad1', '(id int primary key)'],
    [
        'with a key that leaves out origin_unit', 'sky.bad2',
        '(origin_unit text not null, id int unique, primary key (origin_unit, id))'
    ],
    ['without a primary key', 'sky.bad3', '(origin_unit text not null)'])
{
    my ($what, $table, $columns) = @$_;
    $dbh->do("create table $table $columns");
    ok !eval { $dbh->do("select punit.register_reference_table('$table')"); 1 },
        "a table $what cannot be registered";
}
ok !eval { $dbh->do(q{select punit.register_reference_table('sky.none')}); 1 },
    'nor can one that is not there';
ok eval { $dbh->do(q{select punit.register_reference_table('sky.star')}); 1 },
    'registering again is taken'
    or diag $@;
raises(1, 'and changes nothing', q{update sky.star set name = 'again' where origin_unit = 'eu'});

my $base = generation();
$dbh->do('update punit.me set incarnation = gen_random_uuid()');
cmp_ok abs(generation() - $base), '>', 1e6, 'another incarnation has another base';
is_deeply $pg->dbh('punit_gridd')
    ->selectall_arrayref('select service, gen from punit.generations() order by 1'),
    [map { [$_, generation($_)] } qw(sea sky)], 'gridd reads the generations of all services';

done_testing;
