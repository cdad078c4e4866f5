package Punit::Postgres;

# A PostgreSQL of a test's own: made in a temporary directory, listening on a unix socket, and on
# 127.0.0.1 with TLS when asked.
#
#   my $pg = Punit::Postgres->new(unit => 'eu');
#   $pg->apply('punit', 'training');
#   my $dbh = $pg->dbh('punit_training');

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);
use DBI;
use File::Basename qw(basename);
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);

use Punit::Command qw(as_punit capture punit_user spawn);
use Punit::File qw(append slurp spew);
use Punit::Server qw(directory free_port);
use Punit::Tree qw(program root);

# unit: id for punit.me; tcp => 1: also 127.0.0.1 on a free port; tls => {ca, cert, key}: hostssl
# with client certificates, CN = unit id -> punit_peer_<id>; settings => {name => value} for
# postgresql.conf
sub new {
    my ($class, %o) = @_;
    my ($bin) = grep { -x "$_/initdb" } sort { $b cmp $a } glob '/usr/lib/postgresql/*/bin';
    croak 'no PostgreSQL under /usr/lib/postgresql' unless $bin;
    my $dir = directory('pg');
    my $self = $class->SUPER::new(
        unit => $o{unit} // 'eu', tls_peers => $o{tls} ? 1 : 0, dir => $dir, bin => $bin,
        user => (punit_user())[0],
        sock => "$dir/sock", listens => free_port(), log => "$dir/postgres.log", stop_limit => 60,
        cwd => $dir, cmd => [as_punit(), "$bin/postgres", '-D', "$dir/data"],
    );
    make_path($self->{sock});
    chown((punit_user())[1, 2], $self->{sock});
    chmod 0777, $self->{sock};
    $self->_run(
        "$bin/initdb", '-D', "$dir/data", '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
        '--locale=C.UTF-8', '--no-sync', '--no-instructions'
    );
    $self->_configure(%o);
    $self->start;
    my $dbh =
        DBI->connect($self->dsn('template1'), 'postgres', '', { RaiseError => 1, PrintError => 0 });
    $dbh->do('create database punit');
    $dbh->disconnect;
    return $self;
}

sub _configure {
    my ($self, %o) = @_;
    my $data = "$self->{dir}/data";
    my %set = (
        listen_addresses => $o{tcp} || $o{tls} ? "'127.0.0.1'" : "''",
        unix_socket_directories => "'$self->{sock}'",
        port => $self->{listens},
        max_connections => 60, shared_buffers => "'32MB'", wal_level => 'logical',
        log_line_prefix => "'%m [%p] %q%u '", log_min_messages => 'warning', timezone => "'UTC'",
        log_timezone => "'UTC'", autovacuum => 'off',
        # a crash is tested by killing processes, which the kernel's cache survives
        fsync => 'off',
        %{ $o{settings} // {} },
    );
    my $hba = "local all all trust\n";
    if ($o{tls}) {
        @set{qw(ssl ssl_ca_file ssl_cert_file ssl_key_file)} =
            ('on', map { "'" . $self->_own_copy($o{tls}{$_}) . "'" } qw(ca cert key));
        $hba .= "hostssl all +punit_peer 127.0.0.1/32 cert map=peer\n";
        append("$data/pg_ident.conf", "peer /^([a-z0-9-]+)\$ punit_peer_\\1\n");
    }
    elsif ($o{tcp}) {
        $hba .= "host all all 127.0.0.1/32 trust\n";
    }
    append("$data/postgresql.conf", map {"$_ = $set{$_}\n"} sort keys %set);
    spew("$data/pg_hba.conf", $hba);
    return;
}

sub dir { $_[0]{dir} }
sub sock { $_[0]{sock} }
sub port { $_[0]{listens} }
sub unit { $_[0]{unit} }

sub dsn {
    my ($self, $db) = @_;
    return sprintf 'dbi:Pg:host=%s;port=%d;dbname=%s', $self->{sock}, $self->{listens},
        $db // 'punit';
}

# conninfo for libpq over the unix socket
sub conninfo {
    my ($self, $role) = @_;
    return "host=$self->{sock} port=$self->{listens} dbname=punit" . ($role ? " user=$role" : '');
}

# conninfo as punit.peer holds it: TCP when the server has it, else the unix socket without TLS
sub peer_conninfo {
    my ($self, $tls) = @_;
    return "host=$self->{unit} hostaddr=127.0.0.1 port=$self->{listens} dbname=punit" if $tls;
    return "host=$self->{sock} port=$self->{listens} dbname=punit sslmode=disable";
}

# A handle that dies on errors; role defaults to the superuser. Each call is a session of its own.
sub dbh {
    my ($self, $role) = @_;
    return DBI->connect(
        $self->dsn, $role // 'postgres', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1, PrintWarn => 0 });
}

# The schema, as `punitctl schema` applies it. Names of schemas choose a part: `punit` is the
# system itself. A service's tables are called NNN-<service>-<topic>. Without names: all of it.
sub apply {
    my ($self, @schemas) = @_;
    my $sql = $self->sql(@schemas);
    my ($status, $output) = $self->punitctl('schema', '--sql', $sql);
    croak "punitctl schema: $output" if $status;
    return $self;
}

# A copy of these parts of sql/ that the unit's user can read; its directory.
sub sql {
    my ($self, @schemas) = @_;
    my $root = root();
    my %known = map { m{([^/]+)$} ? ($1 => 1) : () } glob "$root/sql/functions/*";
    @schemas = sort keys %known unless @schemas;
    my %wanted = map { $_ => $known{$_} || croak "no schema $_" } @schemas;
    my $sql = "$self->{dir}/sql";
    remove_tree($sql);
    make_path("$sql/tables", map {"$sql/functions/$_"} @schemas);
    copy("$root/sql/VERSION", "$sql/VERSION") or die "VERSION: $!";
    for my $file (glob "$root/sql/tables/*.sql") {
        my ($name, $topic) = $file =~ m{/(\d+-([a-z]+)[^/]*)$};
        next if !$wanted{ $known{$topic} ? $topic : 'punit' };
        copy($file, "$sql/tables/$name") or die "$file: $!";
    }
    for my $schema (@schemas) {
        copy($_, "$sql/functions/$schema/")
            or die "$_: $!" for glob "$root/sql/functions/$schema/*.sql";
    }
    system('chmod', '-R', 'a+rX', $sql);
    return $sql;
}

# punitctl on this database: its exit status and what it wrote to both outputs.
sub punitctl {
    my ($self, @arguments) = @_;
    spew("$self->{dir}/unit.env", "PUNIT_UNIT=$self->{unit}\nPUNIT_PG=\"", $self->conninfo, "\"\n");
    local $ENV{PUNIT_DIR} = $self->{dir};
    return capture(program('punitctl'), @arguments);
}

# A user as a registration leaves it: owned here, with a profile.
sub add_user {
    my ($self, $id, $name) = @_;
    my $dbh = $self->dbh;
    $dbh->begin_work;
    $dbh->do('select punit.create_user(?)', undef, $id);
    $dbh->do('select profile.create(?, ?)', undef, $id, $name);
    $dbh->commit;
    $dbh->disconnect;
    return $id;
}

# Lets this unit's mover and the peers know each other: roles for the peer to log in with, its
# incarnation (which the mesh would bring), how to reach it.
sub know {
    my ($self, @peers) = @_;
    my $dbh = $self->dbh;
    for my $peer (@peers) {
        $dbh->do('select punit.make_peer_roles(?)', undef, $peer->{unit});
        my $p = $peer->dbh;
        my ($incarnation) = $p->selectrow_array('select incarnation from punit.me');
        $p->disconnect;
        $dbh->do(
            'insert into punit.unit (origin_unit, id, incarnation) values (?, ?, ?)', undef,
            $peer->{unit}, $peer->{unit}, $incarnation
        );
        $dbh->do(
            'insert into punit.peer (id, pg) values (?, ?)', undef,
            $peer->{unit}, $peer->peer_conninfo($peer->{tls_peers}));
    }
    $dbh->disconnect;
    return $self;
}

# ---- its life

# True once it takes connections.
sub ready {
    my ($self) = @_;
    my $dbh = eval {
        DBI->connect($self->dsn('template1'), 'postgres', '', { RaiseError => 1, PrintError => 0 })
    } or return 0;
    $dbh->disconnect;
    return 1;
}

# mode: smart, fast, immediate
sub stop {
    my ($self, $mode) = @_;
    $self->SUPER::stop(
        { smart => 'TERM', fast => 'INT', immediate => 'QUIT' }->{ $mode // 'fast' });
    return $self;
}

# kill -9 of the postmaster and of its children, as a crash of the machine would
sub kill9 {
    my ($self) = @_;
    my $pid = $self->pid or return $self;
    my @children = $self->children;
    kill 'KILL', $pid, @children;
    $self->SUPER::stop('KILL');
    $self->until(
        sub {
            !grep { _runs($_) } @children
        },
        'is gone',
        20
    );
    # the next one must not take them for those of a server that runs
    unlink "$self->{dir}/data/postmaster.pid", "$self->{sock}/.s.PGSQL.$self->{listens}.lock";
    return $self;
}

# The server's own processes and those of its sessions.
sub children {
    my ($self) = @_;
    my $pid = $self->pid or return;
    return split ' ', slurp("/proc/$pid/task/$pid/children", absent => '');
}

# False also of a zombie, which its new parent will reap.
sub _runs {
    my ($pid) = @_;
    my ($state) = slurp("/proc/$pid/stat", absent => '') =~ /\) (\S)/;
    return defined $state && $state ne 'Z';
}

sub logs { my ($self) = @_; return ($self->log, "$self->{dir}/run.log") }

# ----

sub _own_copy {
    my ($self, $file) = @_;
    my $to = "$self->{dir}/data/" . basename($file);
    spew($to, slurp($file));
    chmod 0600, $to;
    chown((punit_user())[1, 2], $to);
    return $to;
}

# Runs a program of PostgreSQL as the user that it accepts.
sub _run {
    my ($self, @cmd) = @_;
    my $pid = spawn([as_punit(), @cmd], log => "$self->{dir}/run.log", dir => $self->{dir});
    waitpid $pid, 0;
    croak "@cmd: exit " . ($? >> 8) . ", see $self->{dir}/run.log" if $?;
    return;
}

1;
