package Punit::Machine::Programs;

# The programs of a unit on a booted machine, as one who has taken them over: by their OS users.
#
#   my $programs = Punit::Machine::Programs->new($machine);
#   my %user = $programs->users;                       # 'punit@auth' => 'punit-auth', ...
#   my ($status, $output) = $programs->as('punit-auth', 'id');
#   my @roles = $programs->roles_of('punit-auth');     # that it can log in as

use strict;
use warnings;

use Punit::Machine ();
use Punit::Services qw(services);

use constant DIR => '/var/lib/punit';

sub new {
    my ($class, $machine) = @_;
    return bless { machine => $machine }, $class;
}

# The parts of a unit, each with the user that it is to have.
sub expected {
    return (
        'punit-postgres' => 'punit-db', 'punit-grid@grid' => 'punit-grid',
        'punit-grid@tokens' => 'punit-grid', 'punit-nginx' => 'punit-web',
        map { ("punit\@$_" => "punit-$_") } services(), qw(mover gridd)
    );
}

# The OS users, each once.
sub all {
    my %part = expected();
    my %seen;
    return sort grep { !$seen{$_}++ } values %part;
}

sub pid {
    my ($self, $part) = @_;
    my ($status, $output) =
        $self->{machine}->run("systemctl show --property=MainPID --value '$part'");
    return $output =~ /^(\d+)$/m ? $1 : 0;
}

# The users whom the parts have.
sub users {
    my ($self) = @_;
    return map {
        my ($status, $output) =
            $self->{machine}->run('stat --format=%U /proc/' . $self->pid($_));
        ($_ => $output =~ s/\n//r)
    } Punit::Machine::parts();
}

# Runs a line of a shell as a user, outside the sandbox of systemd: what that one forbids, it
# forbids in addition.
sub as {
    my ($self, $user, $command) = @_;
    my $quoted = $command =~ s/'/'\\''/gr;
    return $self->{machine}->run("cd / && runuser -u $user -- sh -c '$quoted'");
}

# What the user may write below the unit's directory. The files in pg/ are left out.
sub writes {
    my ($self, $user) = @_;
    my $dir = DIR;
    my ($status, $output) = $self->{machine}->run(
        "find $dir/ -path '$dir/pg/*' -prune -o -print | runuser -u $user --"
            . q{ sh -c 'while read -r p; do test ! -w "$p" || echo "$p"; done'}
    );
    return sort map {s{^\Q$dir\E/?}{}r} split /\n/, $output;
}

# A statement as a database role. Returns (exit status, output).
sub sql {
    my ($self, $user, $role, $statement) = @_;
    return $self->as($user,
        'psql -X -w -At -h ' . DIR . "/sock -d punit -U $role -c \"$statement\" 2>&1");
}

# The roles of this unit that can log in, but those of peers.
sub roles {
    my ($self) = @_;
    my ($status, $output) = $self->sql('root', 'postgres',
        q{select rolname from pg_roles where rolcanlogin and rolname !~ '^punit_peer_'});
    die "roles: $output" if $status;
    return sort split /\n/, $output;
}

sub roles_of {
    my ($self, $user) = @_;
    my $dir = DIR;
    my $loop = 'for r in ' . join(' ', $self->roles)
        . "; do psql -X -w -At -h $dir/sock -d punit -U \$r -c 'select 1' >/dev/null 2>&1"
        . ' && echo $r; done; true';
    return split /\n/, ($self->as($user, $loop))[1];
}

1;
