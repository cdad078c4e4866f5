package Punit::Postgres;

# A PostgreSQL of a test's own: made in a temporary directory, started on a unix socket (and on 127.0.0.1 with TLS
# when asked), stopped by its pid when the object goes. Its log stays, and is named, when the test fails.
#
#   my $pg = Punit::Postgres->new(unit => 'eu');
#   $pg->apply('punit', 'training');
#   my $dbh = $pg->dbh('punit_training');

use strict;
use warnings;
use Carp qw(croak);
use Cwd qw(abs_path);
use DBI;
use File::Copy qw(copy);
use File::Path qw(make_path remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep);
use Test::More ();

my @running;
my $test_pid = $$;

# unit: id for punit.me; tcp => 1: also 127.0.0.1 on a free port; tls => {ca, cert, key}: hostssl with client
# certificates, CN = unit id -> punit_peer_<id>; settings => {name => value} for postgresql.conf
sub new {
    my ($class, %o) = @_;
    my $self = bless { unit => $o{unit} // 'eu', tls_peers => $o{tls} ? 1 : 0 }, $class;
    my $dir = $self->{dir} = tempdir('punit-pg-XXXXXX', DIR => '/tmp');
    chmod 0755, $dir or die;
    ($self->{bin}) = grep { -x "$_/initdb" } sort { $b cmp $a } glob '/usr/lib/postgresql/*/bin';
    croak 'no PostgreSQL under /usr/lib/postgresql' unless $self->{bin};
    # PostgreSQL refuses root
    $self->{user} = $> == 0 ? 'punit' : scalar getpwuid $>;
    $self->{sock} = "$dir/sock";
    $self->{log}  = "$dir/postgres.log";
    make_path($self->{sock});
    if ($> == 0) {
        my ($uid, $gid) = (getpwnam 'punit')[2, 3];
        croak 'no system user punit: run make deps' unless defined $uid;
        chown $uid, $gid, $dir, $self->{sock} or die "chown: $!";
    }
    chmod 0777, $self->{sock};
    $self->_run("$self->{bin}/initdb", '-D', "$dir/data", '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
        '--locale=C.UTF-8', '--no-sync', '--no-instructions');
    $self->{port} = _free_port();
    my %set = (
        listen_addresses => $o{tcp} || $o{tls} ? "'127.0.0.1'" : "''",
        unix_socket_directories => "'$self->{sock}'",
        port => $self->{port},
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
        $self->_append("$dir/data/pg_ident.conf", "peer /^([a-z0-9-]+)\$ punit_peer_\\1\n");
    }
    elsif ($o{tcp}) {
        $hba .= "host all all 127.0.0.1/32 trust\n";
    }
    $self->_append("$dir/data/postgresql.conf", join '', map { "$_ = $set{$_}\n" } sort keys %set);
    open my $f, '>', "$dir/data/pg_hba.conf" or die "pg_hba.conf: $!";
    print $f $hba;
    close $f;
    $self->start;
    push @running, $self;
    my $dbh = DBI->connect($self->dsn('template1'), 'postgres', '', { RaiseError => 1, PrintError => 0 });
    $dbh->do('create database punit');
    $dbh->disconnect;
    return $self;
}

sub dir  { $_[0]{dir} }
sub sock { $_[0]{sock} }
sub port { $_[0]{port} }
sub unit { $_[0]{unit} }
sub log  { $_[0]{log} }

sub dsn {
    my ($self, $db) = @_;
    return sprintf 'dbi:Pg:host=%s;port=%d;dbname=%s', $self->{sock}, $self->{port}, $db // 'punit';
}

# conninfo for libpq over the unix socket
sub conninfo {
    my ($self, $role) = @_;
    return "host=$self->{sock} port=$self->{port} dbname=punit" . ($role ? " user=$role" : '');
}

# conninfo as punit.peer holds it: TCP when the server has it, else the unix socket without TLS
sub peer_conninfo {
    my ($self, $tls) = @_;
    return "host=$self->{unit} hostaddr=127.0.0.1 port=$self->{port} dbname=punit" if $tls;
    return "host=$self->{sock} port=$self->{port} dbname=punit sslmode=disable";
}

# A handle that dies on errors; role defaults to the superuser. Each call is a session of its own.
sub dbh {
    my ($self, $role) = @_;
    return DBI->connect($self->dsn, $role // 'postgres', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1, PrintWarn => 0 });
}

# The schema, as `punitctl schema` applies it. Names of schemas choose a part: `punit` is the
# system itself, a
# service's tables are called NNN-<service>-<topic>. Without names: all of it.
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
    (my $root = abs_path(__FILE__)) =~ s{/t/lib/Punit/Postgres\.pm$}{};
    my %known = map { m{([^/]+)$} ? ($1 => 1) : () } glob "$root/sql/functions/*";
    @schemas = sort keys %known unless @schemas;
    my %wanted = map { $_ => $known{$_} || croak "no schema $_" } @schemas;
    my $sql = "$self->{dir}/sql";
    remove_tree($sql);
    make_path("$sql/tables", map { "$sql/functions/$_" } @schemas);
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

# punitctl on this database: its exit code and what it says
sub punitctl {
    my ($self, @arguments) = @_;
    (my $bin = abs_path(__FILE__)) =~ s{/t/lib/Punit/Postgres\.pm$}{/build/bin};
    my $ctl = ($ENV{PUNIT_BIN} // $bin) . '/punitctl';
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if (!$pid) {
        @ENV{qw(PUNIT_DIR PUNIT_UNIT PUNIT_PG)} = ($self->{dir}, $self->{unit}, $self->conninfo);
        open STDERR, '>&', \*STDOUT;
        { no warnings 'exec'; exec {$ctl} $ctl, @arguments }
        POSIX::_exit(127);
    }
    my $output = do { local $/; <$pipe> } // '';
    close $pipe;
    return ($? >> 8, $output);
}

# A user as a registration leaves him: owned here, with a profile.
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

# Lets this unit's mover and the peers know each other: a role for the peer to log in with, its incarnation (which
# the mesh would bring), how to reach it.
sub know {
    my ($self, @peers) = @_;
    my $dbh = $self->dbh;
    for my $peer (@peers) {
        my $role = $dbh->quote_identifier("punit_peer_$peer->{unit}");
        $dbh->do("create role $role login replication in role punit_peer");
        my $p = $peer->dbh;
        my ($incarnation) = $p->selectrow_array('select incarnation from punit.me');
        $p->disconnect;
        $dbh->do('insert into punit.unit (origin_unit, id, incarnation) values (?, ?, ?)', undef,
            $peer->{unit}, $peer->{unit}, $incarnation);
        $dbh->do('insert into punit.peer (id, pg) values (?, ?)', undef,
            $peer->{unit}, $peer->peer_conninfo($peer->{tls_peers}));
    }
    $dbh->disconnect;
    return $self;
}

sub start {
    my ($self) = @_;
    $self->_run("$self->{bin}/pg_ctl", '-D', "$self->{dir}/data", '-l', $self->{log}, '-w', '-t', '60', '-s', 'start');
    open my $f, '<', "$self->{dir}/data/postmaster.pid" or die "postmaster.pid: $!";
    chomp($self->{postmaster} = <$f>);
    return $self;
}

# mode: fast, immediate
sub stop {
    my ($self, $mode) = @_;
    return unless delete $self->{postmaster};
    $self->_run("$self->{bin}/pg_ctl", '-D', "$self->{dir}/data", '-w', '-t', '60', '-s', '-m', $mode // 'fast', 'stop');
    return $self;
}

# kill -9 of the postmaster and of its children, as a crash of the machine would
sub kill9 {
    my ($self) = @_;
    my $pid = delete $self->{postmaster} or return;
    my @children = map { (split ' ')[0] } grep { (split ' ')[1] == $pid } `ps -eo pid=,ppid=`;
    kill 'KILL', $pid, @children;
    my $end = time + 20;
    while (time < $end && grep { kill 0, $_ } $pid, @children) {
        waitpid $_, WNOHANG for $pid, @children;
        # a zombie of another parent is gone as far as the data are concerned
        last unless grep { my $s = _state($_); $s && $s ne 'Z' } $pid, @children;
        sleep 0.02;
    }
    # until somebody reaps it, its zombie would pass for a running server
    unlink "$self->{dir}/data/postmaster.pid", "$self->{sock}/.s.PGSQL.$self->{port}.lock";
    return $self;
}

sub _state {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/stat" or return;
    my $s = <$f> // return;
    return $s =~ /\) (\S)/ ? $1 : undef;
}

sub _free_port {
    my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no port: $!";
    return $s->sockport;
}

sub _own_copy {
    my ($self, $file) = @_;
    (my $name = $file) =~ s{.*/}{};
    my $to = "$self->{dir}/data/$name";
    open my $in,  '<', $file or die "$file: $!";
    open my $out, '>', $to   or die "$to: $!";
    print $out do { local $/; <$in> };
    close $out or die;
    chmod 0600, $to;
    chown((getpwnam $self->{user})[2, 3], $to) if $> == 0;
    return $to;
}

sub _append {
    my ($self, $file, $text) = @_;
    open my $f, '>>', $file or die "$file: $!";
    print $f $text;
    close $f or die;
}

# Runs a program of PostgreSQL as the user it accepts. The new group keeps a ^C of the test away from the server.
sub _run {
    my ($self, @cmd) = @_;
    @cmd = ('setpriv', "--reuid=$self->{user}", "--regid=$self->{user}", '--clear-groups', @cmd) if $> == 0;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        setpgrp;
        chdir $self->{dir};
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', "$self->{dir}/run.log";
        open STDERR, '>>', "$self->{dir}/run.log";
        { no warnings "exec"; exec @cmd }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    croak "@cmd: exit " . ($? >> 8) . ", see $self->{dir}/run.log and $self->{log}" if $?;
}

sub DESTROY { }

END {
    if ($$ == $test_pid) {
        my $status = $?;
        my $failed = $status || !eval { Test::More->builder->is_passing };
        for my $pg (@running) {
            eval { $pg->stop('immediate'); 1 } or warn $@;
            if ($failed) {
                Test::More::diag("log of PostgreSQL $pg->{unit}: $pg->{log}");
                remove_tree("$pg->{dir}/data");
            }
            else {
                remove_tree($pg->{dir});
            }
        }
        $? = $status;
    }
}

1;
