package Punit::MoveUnits;

# Units for tests of the move: a PostgreSQL each with the schema punit, two users' tables and one
# reference table, which know each other; movers are started by the test. Everything a test asks of
# a user's state is here.

use strict;
use warnings;
use Carp qw(croak);
use Punit::Mover;
use Punit::Postgres;
use Punit::Wait;
use Time::HiRes qw(time);

my $tables = q{
    set client_min_messages = warning;
    create schema note;
    create table note.kind (origin_unit text, id uuid, primary key (origin_unit, id));
    create table note.book (user_id uuid not null, id uuid not null, title text,
        ver bigint not null,
        primary key (user_id, id));
    create table note.item (user_id uuid not null, id uuid not null default gen_random_uuid(),
        book_id uuid, n int not null,
        body text, kind_id uuid, at timestamptz not null default now(), ver bigint not null,
            primary key (user_id, id),
        unique (user_id, n),
        foreign key (user_id, book_id) references note.book (user_id, id) on delete cascade);
    create index on note.item (user_id, ver);
    select punit.register_user_table('note.book');
    select punit.register_user_table('note.item');
    select punit.register_reference('note.item', 'kind_id', 'note.kind', 'id');
    grant usage on schema note to punit_training;
    grant select, insert, update, delete on note.book, note.item to punit_training;
};

# Units by id, or as arguments of Punit::Postgres.
sub new {
    my ($class, @arguments) = @_;
    my $self = bless {}, $class;
    my @units;
    for my $a (@arguments) {
        my %o = ref $a ? %$a : (unit => $a);
        push @units, $o{unit};
        $self->{pg}{ $o{unit} } = Punit::Postgres->new(%o);
    }
    $self->prepare($_) for @units;
    for my $a (@units) {
        $self->{pg}{$a}->know(map { $self->{pg}{$_} } grep { $_ ne $a } @units);
    }
    return $self;
}

sub prepare {
    my ($self, $unit) = @_;
    $self->{pg}{$unit}->apply('punit');
    $self->db($unit)->do($tables);
}

sub pg { $_[0]{pg}{ $_[1] } }

# A handle that is opened again after its server went away.
sub db {
    my ($self, $unit) = @_;
    my $h = $self->{db}{$unit};
    return $h if $h && $h->ping;
    return $self->{db}{$unit} = $self->{pg}{$unit}->dbh;
}

sub mover {
    my ($self, $unit, %env) = @_;
    return $self->{mover}{$unit} //= Punit::Mover->new(
        $self->{pg}{$unit},
        PUNIT_MOVE_QUIET => '100ms', PUNIT_MOVE_DWELL => '100ms', PUNIT_MOVE_RESOLVE => '1s', %env
    );
}

sub one {
    my ($self, $unit, $sql, @bind) = @_;
    return ($self->db($unit)->selectrow_array($sql, undef, @bind))[0]
}
sub row {
    my ($self, $unit, $sql, @bind) = @_;
    return $self->db($unit)->selectrow_hashref($sql, undef, @bind)
}

# A user owned by `unit` with `rows` rows.
sub user {
    my ($self, $unit, $rows) = @_;
    my $u = $self->one($unit, 'select gen_random_uuid()');
    my $db = $self->db($unit);
    $db->begin_work;
    $db->do('select punit.create_user(?)', undef, $u);
    $db->do(
        'insert into note.item (user_id, n, body) select ?, i, md5(i::text)
            from generate_series(1, ?) i',
        undef, $u,
        $rows // 0
    );
    $db->commit;
    $self->tell($unit, $u, 1);
    return $u;
}

# What the mesh does: the directory of each other unit that runs says where the user is.
sub tell {
    my ($self, $unit, $u, $epoch) = @_;
    for my $other (grep { $_ ne $unit } sort keys %{ $self->{pg} }) {
        my $db = eval { $self->db($other) } or next;
        $db->do(
            'insert into punit.home (origin_unit, user_id, epoch) values (?, ?, ?)
            on conflict (origin_unit, user_id) do update set epoch = excluded.epoch',
            undef, $unit, $u, $epoch
        );
    }
    return;
}

# One fenced transaction. In its statements $1 is the user. Returns ver, or undef where the user is
# not owned.
sub write {
    my ($self, $unit, $u, @statements) = @_;
    my $db = $self->db($unit);
    $db->begin_work;
    my $ver = ($db->selectrow_array('select ver from punit.bump(?)', undef, $u))[0];
    if (defined $ver) {
        $db->do($_, undef, $u) for @statements;
    }
    $db->commit;
    return $ver;
}

# "OWNED 2", "COPY 0"; "-" without a row
sub state {
    my ($self, $unit, $u) = @_;
    my $o = $self->row($unit, 'select state, epoch from punit.own where user_id = ?', $u)
        or return '-';
    return "$o->{state} $o->{epoch}";
}

sub digest {
    my ($self, $unit, $u) = @_;
    return join ' ', $self->db($unit)->selectrow_array(
        'select n, digest, (select ver from punit.own where user_id = $1)
            from punit.user_digest($1, -1)',
        undef, $u
    );
}

# The newest record of a move of the user to the unit.
sub record {
    my ($self, $unit, $u) = @_;
    return $self->row(
        $unit, 'select * from punit.move where user_id = ? and to_unit = punit.self()
                              order by started_at desc limit 1', $u
    ) // {};
}

# Waits until the code gives true; dies with what was awaited after `seconds`.
sub wait_until {
    my ($self, $what, $code, $seconds) = @_;
    Punit::Wait::wait_until($code, $seconds) or croak "waited for $what";
    return 1;
}

sub wait_state {
    my ($self, $unit, $u, $state, $seconds) = @_;
    my $got = '';
    eval {
        $self->wait_until("$state at $unit", sub { ($got = $self->state($unit, $u)) eq $state },
            $seconds)
    };
    return $got;
}

# Reports requests of the user at `to` until `to` owns the user and the old owner knows it. Returns
# the record of the move.
sub cross {
    my ($self, $from, $to, $u) = @_;
    my $epoch = $self->one($from, 'select epoch from punit.own where user_id = ?', $u);
    my $next = 0;
    $self->wait_until(
        "the move of $u to $to",
        sub {
            if (time > $next) {
                $self->mover($to)->foreign($u, $from, $epoch, 2);
                $next = time + 0.1;
            }
            $self->state($to, $u) =~ /^OWNED/
                && $self->state($from, $u) =~ /^COPY/
                && $self->record($to, $u)->{phase} eq 'done';
        });
    return $self->record($to, $u);
}

sub DESTROY {
    my ($self) = @_;
    local $@;
    for my $h (values %{ $self->{db} }) {
        eval { $h->disconnect };
    }
}

1;
