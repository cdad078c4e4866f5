package Punit::Bench::Ground;

# Two whole units for rows about the move, and what moves there cost beside what they cannot do
# without (bench/floor).
#
#   my $ground = Punit::Bench::Ground->direct;    # or ->relayed, through t/chaos/relay
#   my $move = $ground->move($id, 'eu', 'us');          # { pause, whole, activating } in ms
#   $ground->floor('us', 'pair');                       # ms

use strict;
use warnings;
use Carp qw(croak);
use IO::Handle;
use IO::Socket::UNIX;
use IPC::Open2 qw(open2);
use Socket qw(SOCK_DGRAM);
use Time::HiRes qw(sleep time);

use Punit::Chaos::Ground;
use Punit::Tree qw(root);
use Punit::Units;
use Punit::User;

# no dwell and no quiet: what is measured is the move, not the wait for it
my %env = (
    PUNIT_MOVE_DWELL => '0s', PUNIT_MOVE_QUIET => '0s', PUNIT_MOVE_RESOLVE => '5s',
    PUNIT_MOVE_PEER_TIMEOUT => '10s',
    map { $ENV{$_} ? ($_ => $ENV{$_}) : () } 'PUNIT_DRAIN_SHARE'
);

sub relayed {
    my ($class) = @_;
    my $ground = Punit::Chaos::Ground->new(units => ['eu', 'us'], failpoints => 0, env => \%env);
    for my $unit ($ground->names) {
        $ground->dbh($unit)->do('alter system set track_commit_timestamp = on');
        $ground->recover($unit, $ground->strike('INT', $unit, 'postgres'));
    }
    return bless { units => $ground->units, ground => $ground }, $class;
}

sub direct {
    my ($class) = @_;
    return bless { units => Punit::Units->start(units => ['eu', 'us'], env => \%env) }, $class;
}

sub units { return $_[0]{units} }
sub dbh { my ($self, $unit) = @_; return $self->{units}->dbh($unit) }

# A user who logged in (Punit::User). The services start once more when a unit has joined the mesh.
sub register {
    my ($self, $unit) = @_;
    return Punit::Units::wait_until(
        sub {
            eval { Punit::User->register($self->{units}, $unit) }
        },
        20
    ) || croak $@;
}

# What goes on between the units takes so long there and back.
sub round_trip {
    my ($self, $ms) = @_;
    $self->{ground}->rules($ms ? sprintf '. delay=%g', $ms / 2 : ());
    return;
}

# So many requests of a user of `from` came in at `to`, as its NGINX reports it.
sub report {
    my ($self, $to, $user, $from, $epoch, $count) = @_;
    my $s =
        IO::Socket::UNIX->new(Type => SOCK_DGRAM,
        Peer => $self->{units}->dir . "/$to/sock/mover.sock")
        or croak "mover of $to: $!";
    defined $s->send("f $user $from $epoch $count\n") or croak "mover of $to: $!";
    return;
}

# The move's record at its end and the log's line, when the move of this epoch of the old owner is
# over.
sub moved {
    my ($self, $user, $to, $epoch) = @_;
    my $move = Punit::Units::wait_until(
        sub {
            $self->dbh($to)->selectrow_hashref(
                q{
            select extract(epoch from started_at) as started, extract(epoch
                from fenced_at) as fenced, rows_sent, bytes, rounds
              from punit.move where user_id = ? and epoch = ? and result = 'moved'}, undef, $user,
                $epoch
            )
        },
        60
    ) or croak "$user does not come to $to";
    my $line = Punit::Units::wait_until(
        sub {
            my ($found) = $self->{units}->log_text($to, 'mover')
                =~ /event=moved user=\Q$user\E from=\w+ epoch=@{[$epoch + 1]} .*pause_ms=([\d.]+)/;
            $found;
        },
        10
    ) // croak "$to does not log the move of $user";
    # until ACTIVATE was committed
    $move->{activated} = $move->{fenced} + $line / 1000;
    return $move;
}

# Two requests of the user at `to`, and all that follows. Gives the ms from the report until `to`
# serves the user, and the ms from FENCE's answer.
sub move {
    my ($self, $user, $from, $to) = @_;
    my ($epoch) = $self->dbh($from)
        ->selectrow_array('select epoch from punit.own where user_id = ?', undef, $user);
    my $began = time;
    $self->report($to, $user, $from, $epoch, 2);
    # An immediate look would take a processor from the movers.
    sleep 0.04;
    my $move = $self->moved($user, $to, $epoch);
    return { whole => 1000 * ($move->{activated} - $began),
        final => 1000 * ($move->{activated} - $move->{fenced}), %$move };
}

# bench/floor, warm, towards the mover's peers as the mover reaches them.
sub floor {
    my ($self, $to, $command) = @_;
    my $from = $to eq 'eu' ? 'us' : 'eu';
    my $f = $self->{floor}{$to} //= do {
        my $dir = $self->{units}->dir;
        my ($pg) = $self->dbh($to)
            ->selectrow_array('select pg from punit.peer where id = ?', undef, $from);
        my %set = map { /^(PUNIT_TLS_\w+)=(.*)/ ? ($1 => $2) : () }
            do { open my $e, '<', "$dir/$to/unit.env" or croak $!; <$e> };
        my $peer =
            "dbname=punit user=punit_peer_$to sslmode=verify-full "
            . "sslcert=$set{PUNIT_TLS_CERT} sslkey=$set{PUNIT_TLS_KEY} "
            . "sslrootcert=$set{PUNIT_TLS_CA} $pg";
        my @own = map {
                  "host=$dir/$_/sock port="
                . $self->{units}->port($_, 'pg')
                . ' dbname=punit user=postgres'
        } $from, $to;
        my $pid = open2(my $out, my $in, root() . '/build/bench/floor', $peer, @own);
        { pid => $pid, out => $out, in => $in };
    };
    $f->{in}->print("$command\n");
    $f->{in}->flush;
    my $ms = readline $f->{out};
    croak "bench/floor ends at $command" if !defined $ms;
    return $ms + 0;
}

# Takes away what `floor copy` brought.
sub sweep_up {
    my ($self, $unit, @users) = @_;
    $self->dbh($unit)->do('select punit.user_clear(u) from unnest(?::uuid[]) u', undef, \@users);
    return;
}

# When a unit wrote this state and epoch into the user's row, in seconds, and when PostgreSQL
# committed that.
sub written_at {
    my ($self, $user, $unit, $state, $epoch) = @_;
    my ($row) = $self->dbh($unit)->selectrow_arrayref(
        q{
        select extract(epoch from at), extract(epoch from pg_xact_commit_timestamp(xid::xid))
            from chaos.own_log
         where user_id = ? and state = ? and epoch = ? order by seq limit 1}, undef, $user, $state,
        $epoch
    );
    return $row ? @$row : croak "$unit has not written down $state of $user at $epoch";
}

sub DESTROY {
    my ($self) = @_;
    local ($@, $?);
    for my $f (values %{ $self->{floor} // {} }) {
        kill TERM => $f->{pid};
        waitpid $f->{pid}, 0;
    }
    return;
}

1;
