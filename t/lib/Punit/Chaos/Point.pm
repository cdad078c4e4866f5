package Punit::Chaos::Point;

# The points of the move at which something may fail. They are the mover's failpoints
# (workers/mover/failpoint.h), before and after each of its commits and messages. In each unit's
# PostgreSQL it is the moment before a commit that changes punit.own ('commit of fence', see
# Punit::Chaos::Ground). At a point one unit is `here`, and the unit that it works with is `there`.

use strict;
use warnings;
use List::Util qw(shuffle);
use Punit::User;
use Punit::Wait qw(wait_until);
use POSIX ();
use Time::HiRes qw(sleep time);

# what is killed at every point, at either unit
my @victims =
    (['mover', 'mover'], ['the service', 'social'], ['NGINX', 'nginx'], ['PostgreSQL', 'postgres'],
    ['the whole unit']);

# What leads to a point that a healthy run does not pass: failpoints to be passed before, and what
# is done meanwhile.
my @ways = (
    [qr/^refuse|^commit of (?:refuse|unfence)$/ => { before => 'fence.read spoil' }],
    [qr/^resolve/ => { silent => 'fence.read hold' }],
    [qr/^pass/ => { prompt => \&_ask }],
    [qr/^inbox|^commit of erase/ => { prompt => \&_erase }],
    [qr/^commit of evict$/ => { prompt => \&_old_copy }],
);

use constant { REACH => 8, SILENCE => 2500 };

# name => sub ($ground, $pick, $told): all that may happen at a point one after the other; and the
# single steps of these.
sub tables {
    my ($ground) = @_;
    my (%fault, %single);
    for my $point ($ground->failpoints, map {"commit of $_"} $ground->commits) {
        my @kills = map {
            my $whose = $_; map { [$whose, @$_] } @victims
        } qw(here there);
        $fault{"kill -9 at $point"} = sub { _each(\&_kill, $point, \@kills, @_) };
        $single{"kill -9 of $_->[1] $_->[0] at $point"} = _one(\&_kill, $point, $_) for @kills;
        next if $point =~ /^commit/;
        my @troubles = (['drop'], ['deaf'], ['sleep', SILENCE], ['cancel'], ['cancel', 'kill']);
        $fault{"trouble at $point"} = sub { _each(\&_trouble, $point, \@troubles, @_) };
        $single{"@$_ at $point"} = _one(\&_trouble, $point, $_) for @troubles;
    }
    return (\%fault, \%single);
}

sub _one {
    my ($step, $point, $how) = @_; return sub { _each($step, $point, [$how], @_) }
}

# One step after the other; one whose point was not reached has a second chance. In any order.
sub _each {
    my ($step, $point, $steps, $ground, $pick, $told) = @_;
    my @left = shuffle(@$steps);
    for my $try (1, 2) {
        my @missed;
        for my $how (@left) {
            push @missed, $how if !$step->($point, $how, $ground, $pick, $told);
            $ground->disarm;
        }
        @left = @missed;
    }
    push @{ $told->{missed} }, map {"@$_"} @left;
    return;
}

# The mover of some unit waits at the point (or its PostgreSQL does), or has done what `action`
# says: (here, there); () when none came by.
sub _reach {
    my ($point, $action, $ground, $pick, $told) = @_;
    my ($way) = map { $_->[1] } grep { $point =~ $_->[0] } @ways;
    my ($commit) = $point =~ /^commit of (.*)/;
    for my $try (1 .. 3) {
        my @at = $ground->names;
        my ($silent, $since);
        if ($way->{silent}) {
            # a new owner who says nothing after FENCE makes the old one ask
            $silent = $pick->(@at);
            @at = $ground->others($silent);
            $ground->arm($silent, $way->{silent});
            wait_until(sub { $ground->hit($silent) }, REACH);
            $since = time;
        }
        for my $unit (@at) {
            if ($commit) {
                $ground->arm($unit, $way->{before}) if $way->{before};
                $ground->arm_commit($unit, $commit);
            }
            else { $ground->arm($unit, $way->{before} // (), "$point $action") }
        }
        my $prompt = $way->{prompt} && $way->{prompt}->($ground, $pick, $told);
        my @met;
        wait_until(
            sub {
                for my $unit (@at) {
                    my $with = $commit ? $ground->hit_commit($unit, $commit) : $ground->hit($unit);
                    next if !$with;
                    @met = ($unit, $with);
                    return 1;
                }
                return 0;
            },
            REACH
        );
        if ($prompt) {
            # it ends what it has begun, which may hang on what is held here
            kill TERM => $prompt;
            push @{ $told->{children} }, $prompt;
        }
        push @{ $told->{windows} }, [$silent, $since, time] if $silent;
        if (@met) {
            my @others = $ground->others($met[0]);
            $met[1] = $pick->(@others) if !grep { $_ eq $met[1] } @others;
            return @met;
        }
        $ground->disarm;
    }
    return;
}

sub _kill {
    my ($point, $how, $ground, $pick, $told) = @_;
    my ($whose, $name, @processes) = @$how;
    my ($here, $there) = _reach($point, 'hold', $ground, $pick, $told) or return 0;
    my $began = time;
    my $unit = $whose eq 'here' ? $here : $there;
    my $struck = $ground->strike('KILL', $unit, @processes);
    $ground->disarm;
    my $held = time;
    $ground->recover($unit, $struck);
    push @{ $told->{windows} }, [$here, $began, $held], [$there, $began, $held],
        [$unit, $began, time];
    push @{ $told->{steps} }, sprintf '%.3f %s of %s', $began, $name, $unit;
    return 1;
}

sub _trouble {
    my ($point, $how, $ground, $pick, $told) = @_;
    my ($action, $ms) = @$how;
    my ($here, $there);
    my $began = time;
    if ($action eq 'cancel') {
        ($here, $there) = _reach($point, 'hold', $ground, $pick, $told) or return 0;
        $began = time;
        _cancel($ground, $here);
        my $struck = $how->[1] ? $ground->strike('KILL', $here, 'mover') : undef;
        $ground->disarm;
        $ground->recover($here, $struck) if $struck;
        _cancel($ground, $here);
    }
    else {
        ($here, $there) = _reach($point, join(' ', @$how), $ground, $pick, $told) or return 0;
        $began = time;
        sleep($action eq 'sleep' ? $ms / 1000 : 0.2);
    }
    # a link that has gone silent is given up after the peer's timeout
    my $until = $action eq 'deaf' ? $began + $ground->peer_timeout : time;
    push @{ $told->{windows} }, [$here, $began, $until], [$there, $began, $until];
    push @{ $told->{steps} }, sprintf '%.3f %s at %s', $began, "@$how", $here;
    return 1;
}

# What an operator says about the youngest move to a unit; the move may hold the user's row just
# then.
sub _cancel {
    my ($ground, $unit) = @_;
    my $dbh = $ground->dbh($unit);
    $dbh->do(q{set lock_timeout = '200ms'});
    eval {
        $dbh->selectrow_array(
            q{select punit.cancel_move(user_id) from
            (select user_id from punit.move where finished_at is null order by touched_at desc
                limit 1) m}
        );
    };
    $dbh->do('reset lock_timeout');
    return;
}

# ---- what is done to lead to a point: processes of their own, since they may be held up there

sub _child {
    my ($ground, $work) = @_;
    my $parent = $$;
    my $seed = rand 2**31;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    srand $seed;
    my $stop = 0;
    $SIG{TERM} = sub { $stop = 1 };
    my $end = time + 60;
    do {
        eval { $work->() };
        sleep 0.1;
    } until $stop || getppid() != $parent || time > $end;
    POSIX::_exit(0);
}

# Users are asked away from where they are.
sub _ask {
    my ($ground, $pick, $told) = @_;
    return _child(
        $ground,
        sub {
            my $unit = $pick->($ground->names);
            my $to = $pick->($ground->others($unit));
            my $dbh = $ground->session($unit);
            $dbh->do(
                q{select punit.request_move(user_id, ?) from punit.own where state = 'OWNED'
                    and user_id = any (?)
            order by random() limit 1}, undef, $to, $told->{users});
            $dbh->disconnect;
        });
}

# Users register, are seen elsewhere, and ask to be erased. A file notes which user asked and which
# one was told that it is done.
sub _erase {
    my ($ground, $pick, $told) = @_;
    my $file = $told->{erased};
    return _child(
        $ground,
        sub {
            my ($unit, $other) = ($pick->($ground->names), $pick->($ground->names));
            my $user = Punit::User->register($ground->units, $unit);
            $user->ask($other, GET => '/profile');
            $user->post($unit);
            open my $f, '>>', $file or die "$file: $!";
            syswrite $f, $user->id . "\n";
            for (1 .. 100) {
                my $answer = $user->ask($_ % 2 ? $unit : $other, DELETE => '/profile');
                last if $answer->{status} == 204 || $answer->{status} == 401;
                sleep 0.1;
            }
        });
}

# A copy that nobody has needed for long.
sub _old_copy {
    my ($ground, $pick) = @_;
    return _child(
        $ground,
        sub {
            my $dbh = $ground->session($pick->($ground->names));
            $dbh->do(
                q{insert into punit.own (user_id, state, ver, fork, touched_at)
            values (gen_random_uuid(), 'COPY', 0, gen_random_uuid(), now() - interval '1 day')}
            );
            $dbh->disconnect;
            sleep 0.5;
        });
}

1;
