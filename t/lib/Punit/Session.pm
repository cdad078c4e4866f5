package Punit::Session;

# A database session whose statements can be left running while another session goes on: what
# two-session tests of locking are made of.
#
#   my $a = Punit::Session->new($pg);
#   $b->send('update ...');  $b->wait_blocked;  $a->do('commit');  my $rows = $b->rows;

use strict;
use warnings;
use Carp qw(croak);
use DBD::Pg qw(:async);
use Punit::Wait qw(wait_until);

sub new {
    my ($class, $pg, $role) = @_;
    my $self = bless { dbh => $pg->dbh($role), watch => $pg->dbh }, $class;
    ($self->{pid}) = $self->{dbh}->selectrow_array('select pg_backend_pid()');
    return $self;
}

sub dbh { $_[0]{dbh} }

# Runs a statement to its end and gives its rows (array of hashes), or none.
sub do {
    my ($self, $sql, @bind) = @_;
    my $sth = $self->{dbh}->prepare($sql, { pg_server_prepare => 0 });
    $sth->execute(@bind);
    return $sth->{NUM_OF_FIELDS} ? $sth->fetchall_arrayref({}) : [];
}

# Starts a statement and does not wait for it.
sub send {
    my ($self, $sql, @bind) = @_;
    $self->{sth} = $self->{dbh}->prepare($sql, { pg_async => PG_ASYNC, pg_server_prepare => 0 });
    $self->{sth}->execute(@bind);
    return $self;
}

# True once the running statement waits for a lock; false when it ended first.
sub wait_blocked {
    my ($self) = @_;
    my $blocked;
    wait_until(
        sub {
            my ($w) = $self->{watch}->selectrow_array(
                "select wait_event_type from pg_stat_activity where pid = ? and state = 'active'",
                undef, $self->{pid});
            $blocked = defined $w && $w eq 'Lock';
            return $blocked || $self->{dbh}->pg_ready;
        },
        10
    ) or croak 'neither blocked nor done in time';
    return $blocked ? 1 : 0;
}

# The rows of the statement sent, waiting for its end.
sub rows {
    my ($self) = @_;
    wait_until(sub { $self->{dbh}->pg_ready }, 10) or croak 'statement still runs';
    $self->{dbh}->pg_result;
    my $sth = delete $self->{sth};
    return $sth->{NUM_OF_FIELDS} ? $sth->fetchall_arrayref({}) : [];
}

sub DESTROY {
    my ($self) = @_;
    local $@;
    for my $h (grep {defined} @$self{qw(dbh watch)}) {
        eval { $h->disconnect };
    }
}

1;
