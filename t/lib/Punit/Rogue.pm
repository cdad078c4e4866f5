package Punit::Rogue;

# A unit that was taken over: its superuser, its certificate and its signing key are the attacker's.
# Others may lose nothing by what it says.
#
#   my $rogue = Punit::Rogue->new($units, 'us');
#   $rogue->dbh->do(...);                    # superuser in its own database
#   my $db = $rogue->session('eu');          # a session at eu, by its certificate
#   my $db = $rogue->session('eu', user => 'postgres');         # dies, as it should
#   $rogue->psql('eu', 'replication=database', 'IDENTIFY_SYSTEM');  # (exit code, output)
#   $rogue->refused('eu', 'mesh', 'origin');         # how often eu refused it so; no rule: all
#   $rogue->is_refused('eu', 'mesh', 'origin', 'name of the test', sub { ... });
#   $rogue->ended('eu', 'permission');               # the same of its sessions; no rule: all
#   $rogue->lines('eu', 'permission');               # ... and lines of the log that say so

use strict;
use warnings;
use DBI;
use Test::More ();

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);
use Punit::Server qw(directory);
use Punit::Wait qw(wait_until);

sub new {
    my ($class, $units, $unit) = @_;
    my $dir = directory('rogue');
    for my $file (qw(unit.pem unit.key ca.pem)) {
        spew("$dir/$file", slurp($units->dir . "/$unit/tls/$file"));
        chmod 0600, "$dir/$file";
    }
    $units->{rogue} = $unit;
    return bless { units => $units, unit => $unit, dir => $dir }, $class;
}

sub unit { return $_[0]{unit} }
sub dbh { my ($self) = @_; return $self->{units}->dbh($self->{unit}) }

sub _conninfo {
    my ($self, $unit, %o) = @_;
    my $port = $self->{units}->port($unit, 'pg');
    my $user = $o{user} // "punit_peer_$self->{unit}";
    my $dbname = $o{dbname} // 'punit';
    return "host=127.0.0.1 port=$port dbname=$dbname user=$user sslmode=verify-ca"
        . " sslcert=$self->{dir}/unit.pem sslkey=$self->{dir}/unit.key"
        . " sslrootcert=$self->{dir}/ca.pem connect_timeout=10";
}

# A new session at another unit. user => as another role. Dies if it is refused.
sub session {
    my ($self, $unit, %o) = @_;
    (my $dsn = $self->_conninfo($unit, %o)) =~ tr/ /;/;
    return DBI->connect(
        "dbi:Pg:$dsn", undef, undef,
        { RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1 });
}

# Statements there by psql: (exit code, what it printed). more: further conninfo, as replication.
sub psql {
    my ($self, $unit, $more, @statements) = @_;
    my %o = ref $more ? %$more : (more => $more);
    return capture(
        'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1',
        '-d', $self->_conninfo($unit, %o) . ' ' . ($o{more} // ''),
        map { ('-c', $_) } @statements
    );
}

sub refused {
    my ($self, $unit, $source, $rule) = @_;
    return $self->{units}->one(
        $unit,
        'select coalesce(sum(n), 0) from punit.refusal where peer = $1 and source = $2'
            . ' and rule = coalesce($3, rule)',
        $self->{unit}, $source, $rule
    );
}

sub ended {
    my ($self, $unit, $rule) = @_;
    return $self->{units}->one(
        $unit,
        'select coalesce(sum(n), 0) from punit.session_refusals() where peer = $1'
            . ' and rule = coalesce($2, rule)',
        $self->{unit}, $rule
    );
}

sub lines {
    my ($self, $unit, $rule) = @_;
    $rule //= '[\w-]+';
    my $log = $self->{units}->log_text($unit, 'postgres');
    return scalar(() = $log =~ /refused peer=$self->{unit} source=session .*?rule=$rule\b/g);
}

# The attempt makes the unit count a refusal, and its log has one line more for each count more. The
# first ten by a rule have a line each. Of a flood there is one in a second.
sub is_refused {
    my ($self, $unit, $source, $rule, $name, $attempt) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $noted = $self->noting($unit, $source, $rule);
    $attempt->();
    return Test::More::ok($noted->(), $name);
}

# A function that says whether the unit has counted and logged something since.
sub noting {
    my ($self, $unit, $source, $rule) = @_;
    my $now = sub {
        my $log = $self->{units}->log_text($unit, 'postgres');
        my $lines = () = $log =~ /refused peer=$self->{unit} source=$source rule=$rule /g;
        return ($self->refused($unit, $source, $rule), $lines);
    };
    my ($count, $lines) = $now->();
    return sub {
        return wait_until(
            sub {
                my ($n, $said) = $now->();
                return $n > $count && ($n > 10 ? $said > 0 : $said - $lines == $n - $count);
            },
            20
        );
    };
}

1;
