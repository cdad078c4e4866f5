package Punit::Bench::Service;

# A whole unit as shipped (NGINX, six services, PostgreSQL, memcached), with users, and two loads of
# the same work. wrk sends requests. pgbench runs the very statement of the service for such a
# request.
#
#   my $service = Punit::Bench::Service->of($dir);
#   # Lua expressions, of n and user
#   $service->http(what => 'GET /profile', method => 'GET', path => '"/profile"')
#   $service->pgbench('profile', GET => '/profile', undef)  # the statement behind it
#
# The statement and its parameters come from PostgreSQL's log of one such request, so it is the
# service's own. Half of the users belong to wrk and half to pgbench, so that the writes of one do
# not hinder the other. The users take turns, so that two writers hardly ever wait for the same
# user.

use strict;
use warnings;
use Carp qw(croak);
use Time::HiRes qw(sleep time);

use Punit::Bench::Pgbench;
use Punit::Bench::Wrk;
use Punit::Units;

use constant { USERS => 32, SAMPLES => 1500, POSTS => 100 };

my $service;

sub of {
    my ($class, $dir) = @_;
    return $service //= $class->_new($dir);
}

sub _new {
    my ($class, $dir) = @_;
    my $units = Punit::Units->start(units => ['eu', 'us']);
    my $self = bless { units => $units, dir => $dir, db => $units->dbh('eu') }, $class;
    my @all = map { $self->_register($_) } 1 .. 2 * USERS;
    $self->{users} = [@all[0 .. USERS - 1]];
    $self->{floor_users} = [@all[USERS .. $#all]];
    ($self->{sport}) = $self->{db}->selectrow_array(
        'select id from sports.known_sport where retired_at is null order by name limit 1');
    ($self->{type}) = $self->{db}->selectrow_array(
        'select id from metrics.known_type where retired_at is null and coalesce(min, 0) <= 70
            and coalesce(max, 70) >= 70 order by name limit 1'
    );
    $self->_fill(@all);
    return $self;
}

sub db { return $_[0]{db} }
sub units { return $_[0]{units} }
sub sport { return $_[0]{sport} }
sub type { return $_[0]{type} }
sub floor_users { return @{ $_[0]{floor_users} } }

sub _register {
    my ($self, $n) = @_;
    my $answer = $self->{units}->http(
        'eu', POST => '/auth/register', undef,
        {
            email => "bench-$n-$$\@example.org", password => 'correct horse battery',
            name => "Bench $n"
        });
    $answer->{status} == 201 or croak "register: $answer->{status} $answer->{content}";
    return { id => $answer->{json}{user_id}, token => $answer->{json}{access_token} };
}

# Activities, samples and posts of each, through the services' own functions.
sub _fill {
    my ($self, @users) = @_;
    my $db = $self->{db};
    for my $user (@users) {
        $db->do(
            q{select count(*) from generate_series(1, ?) i, lateral sports.add_activity(?, null,
                '', '', json_build_object(
                'sport_id', ?::text, 'started_at',
                    '2025-01-01T00:00:00Z'::timestamptz + i * interval '7 hours',
                'duration_s', 1800 + i, 'distance_m', 5000.5, 'note', 'along the river')::jsonb)},
            undef, POSTS, $user->{id}, $self->{sport});
        $db->do(
            q{select count(*) from generate_series(1, ?) i, lateral social.add_post(?, null, '',
                '', json_build_object(
                'text', 'run number ' || i)::jsonb)}, undef, POSTS, $user->{id});
        $db->do(
            q{select s.* from (select array_agg(?::uuid) as types,
                array_agg('2025-01-01T00:00:00Z'::timestamptz + i * interval '1 minute') as at,
                array_agg(70::float8) as v from generate_series(1, ?) i) x,
                lateral metrics.store_samples(?, null, '', '', x.types, x.at, x.v, null) s}, undef,
            $self->{type}, SAMPLES, $user->{id});
        ($user->{activity}) =
            $db->selectrow_array('select id from sports.activity where user_id = ? limit 1', undef,
            $user->{id});
    }
    $db->do('vacuum analyze');
    return;
}

# A load of requests. path, body, key: Lua expressions of n (the request's number) and user (of the
# users' table).
sub http {
    my ($self, %o) = @_;
    return Punit::Bench::Wrk->new(
        %o, dir => $self->{dir}, url => 'http://127.0.0.1:' . $self->{units}->port('eu'),
        users => $self->{users},
    );
}

# What a service runs for a request: { sql, values }. The first statement that it executes is its
# answer's.
sub statement {
    my ($self, $role, $method, $path, $body, $user, %headers) = @_;
    $user //= $self->{floor_users}[0];
    my $mark = 'bench-' . time;
    my $before = length $self->{units}->log_text('eu', 'postgres');
    $self->_log_statements('all', $mark);
    my $answer =
        $self->{units}->http('eu', $method => $path, $user->{token}, $body, headers => \%headers);
    $answer->{status} < 300 or croak "$method $path: $answer->{status} $answer->{content}";
    my ($sql, $values);
    my $end = time + 10;
    until ($sql) {
        time < $end or croak "$method $path: no statement of punit_$role in PostgreSQL's log";
        sleep 0.05;
        ($sql, $values) =
            _logged(substr($self->{units}->log_text('eu', 'postgres'), $before), "punit_$role");
    }
    $self->_log_statements('none');
    return { sql => $sql, values => $values, user => $user };
}

# Of a document that the grid has: it is forgotten first.
sub uncached_statement {
    my ($self, $role, $path) = @_;
    $self->{units}->memcached('eu', 'grid')->flush // croak "grid: $!";
    sleep 0.05;    # a generation is kept for 10 ms
    return $self->statement($role, GET => $path);
}

# Until sessions that are there already log, too: they read the setting before their next statement.
sub _log_statements {
    my ($self, $what, $mark) = @_;
    $self->{db}->do("alter system set log_statement = '$what'");
    $self->{db}->do('select pg_reload_conf()');
    return if !$mark;
    my $end = time + 10;
    until ($self->{units}->log_text('eu', 'postgres') =~ /\Q$mark\E/) {
        time < $end or croak "PostgreSQL does not log statements";
        $self->{db}->do("select '$mark'");
        sleep 0.05;
    }
    return;
}

sub _logged {
    my ($log, $role) = @_;
    my @entries = split /\n(?!\t)/, $log;
    for my $i (0 .. $#entries - 1) {
        my ($sql) = $entries[$i] =~ m{ \Q$role\E/\S* LOG:  execute [^:]+: (.*)}s or next;
        my ($text) = $entries[$i + 1] =~ m{ \Q$role\E/\S* DETAIL:  parameters: (.*)}s or next;
        s/\n\t/\n/g for $sql, $text;
        my @values;
        while ($text =~ /\$(\d+) = (?:(NULL)|'((?:[^']|'')*)')/g) {
            $values[$1 - 1] = $2 ? undef : $3 =~ s/''/'/gr;
        }
        return ($sql, \@values);
    }
    return;
}

# A load of the statement behind a request. A value that belongs to the user (the id, the id of a
# row) is taken from the user whose turn it is. %with: value => an SQL expression for other values
# that differ from request to request. All are parameters, as for the service, null too. PostgreSQL
# would plan a constant differently.
sub pgbench {
    my ($self, $what, $statement, %with) = @_;
    my @users = @{ $self->{floor_users} };
    my %of = map {
        my $member = $_; ($statement->{user}{$member} => _one_of(map { $_->{$member} } @users))
    } qw(id activity);
    my %variable = (none => '-');
    my @types = $self->_types($statement->{sql});
    my $sql = $statement->{sql} =~ s{\$(\d+)}{
        my $value = $statement->{values}[ $1 - 1 ];
        !defined $value ? "nullif(:none, '-')::$types[ $1 - 1 ]"
            : $of{$value} // $with{$value} // do { $variable{"p$1"} = $value; ":p$1" };
    }ger;
    return Punit::Bench::Pgbench->new(
        what => $what, dir => $self->{dir}, variables => \%variable,
        socket => $self->{units}->dir . '/eu/sock',
        port => $self->{units}->port('eu', 'pg'),
        script => '\set u :n % ' . USERS . " + 1\n\\set n :n + 1\n$sql;\n",
    );
}

sub _types {
    my ($self, $sql) = @_;
    local $self->{db}{pg_placeholder_dollaronly} = 1;
    $self->{db}->do("prepare bench_types as $sql");
    my ($types) = $self->{db}->selectrow_array(
        q{select parameter_types::text[] from pg_prepared_statements where name = 'bench_types'});
    $self->{db}->do('deallocate bench_types');
    return @$types;
}

sub _one_of { return "('{" . join(',', @_) . "}'::uuid[])[:u]" }

1;
