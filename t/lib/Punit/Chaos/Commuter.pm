package Punit::Chaos::Commuter;

# Users who flip between units and write, against units that run (Punit::Units), and what it cost
# them. Used by t/chaos/commuter and, in short, by t/move/commuter.t.

use strict;
use warnings;
use File::Temp qw(tempdir);
use HTTP::Tiny;
use JSON::PP ();
use List::Util qw(sum min max);
use POSIX ();
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->canonical;

# users, seconds, processes, pause (ms between two requests of a user), seed. Gives {requests,
# failed => [...], wrong => [...], flips, moves, pauses => [ms], rows => [n], latencies => [s],
# by_flip ...}
sub run {
    my ($units, %o) = @_;
    my @names = @{ $units->{units} };
    my $dir = tempdir('punit-commuter-XXXXXX', DIR => '/tmp', CLEANUP => 1);
    srand($o{seed});
    my @users = map { Punit::User->register($units, $names[rand @names]) } 1 .. $o{users};
    my (@pids, @files);
    my $end = time + $o{seconds};
    for my $p (0 .. $o{processes} - 1) {
        my @mine = map { { id => $_->id, token => $_->token, at => $_->claims->{unit} } }
            @users[grep { $_ % $o{processes} == $p } 0 .. $#users];
        next if !@mine;
        push @files, "$dir/$p";
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $ok = eval {
                _work($units, $files[-1], $o{seed} + $p, $end, $o{pause}, \@names, @mine); 1
            };
            print STDERR $@ if !$ok;
            POSIX::_exit($ok ? 0 : 1);
        }
        push @pids, $pid;
    }
    for my $pid (@pids) {
        waitpid $pid, 0;
        die "a process of clients failed\n" if $?;
    }
    return _judge($units, \@files, map { $_->id } @users);
}

sub _work {
    my ($units, $path, $seed, $end, $pause, $names, @users) = @_;
    srand $seed;
    open my $log, '>', $path or die "$path: $!";
    my $http = HTTP::Tiny->new(timeout => patience(20), keep_alive => 1, max_redirect => 0);
    my %port = map { ($_ => $units->port($_)) } @$names;
    my $now = time;
    for my $u (@users) {
        $u->{flip} = $now + 1 + rand 9;
        $u->{next} = $now + rand $pause / 1000;
    }
    my $number = 0;
    while (1) {
        my ($u) = sort { $a->{next} <=> $b->{next} } @users;
        last if $u->{next} > $end || time > $end;
        my $wait = $u->{next} - time;
        sleep $wait if $wait > 0;
        my $flipped = 0;
        if (time >= $u->{flip}) {
            my @others = grep { $_ ne $u->{at} } @$names;
            $u->{at} = $others[rand @others];
            $u->{flip} = time + 1 + rand 9;
            $flipped = 1;
        }
        my %headers = (authorization => "Bearer $u->{token}");
        my $write = rand() < 0.6;
        my $text = sprintf '%s %d-%d', substr($u->{id}, 0, 8), $$, ++$number;
        my $began = time;
        my $answer;
        if ($write) {
            @headers{qw(content-type idempotency-key)} = ('application/json', $text);
            $answer = $http->post(
                "http://127.0.0.1:$port{ $u->{at} }/social/posts",
                { headers => \%headers, content => $json->encode({ text => $text }) });
        }
        else {
            $answer = $http->get("http://127.0.0.1:$port{ $u->{at} }/social/feed?limit=20",
                { headers => \%headers });
        }
        my $took = time - $began;
        $u->{token} = $answer->{headers}{'punit-token'} if $answer->{headers}{'punit-token'};
        my $ok = $answer->{status} == ($write ? 201 : 200);
        print {$log} $json->encode({
            user => $u->{id}, unit => $u->{at}, status => $answer->{status}, took => $took,
            at => $began, flip => $flipped, write => $write ? 1 : 0,
            ($write && $ok ? (text => $text) : ()),
            route => $answer->{headers}{'punit-route'} // '',
            (
                $ok
                ? ()
                : (
                    why => substr($answer->{content} // '', 0, 300),
                    id => $answer->{headers}{'x-request-id'}))
        }),
            "\n";
        $u->{next} += $pause / 1000 * (0.5 + rand);
        $u->{next} = time if $u->{next} < time - 1;
    }
    close $log or die "$path: $!";
}

sub _judge {
    my ($units, $files, @ids) = @_;
    my @names = @{ $units->{units} };
    my %r = (requests => 0, flips => 0, failed => [], wrong => [], latencies => [], local => 0);
    my %acked;
    for my $path (@$files) {
        open my $f, '<', $path or die "$path: $!";
        while (my $line = <$f>) {
            my $e = $json->decode($line);
            $r{requests}++;
            $r{flips} += $e->{flip};
            $r{local}++ if $e->{route} eq 'local';
            push @{ $r{latencies} }, $e->{took};
            push @{ $acked{ $e->{user} } }, $e->{text} if $e->{text};
            push @{ $r{failed} }, sprintf(
                '%s of %s at %s: %d %s (%.3f, took %.2f s, request %s)',
                $e->{write} ? 'write' : 'read',
                $e->{user}, $e->{unit}, $e->{status}, $e->{why}, $e->{at}, $e->{took},
                $e->{id} // ''
            ) if exists $e->{why};
        }
    }
    # a hand-over that a last request called for may still come
    my $calm_since = 0;
    my $calm = wait_until(
        sub {
            my $busy = grep {
                $units->dbh($_)
                    ->selectrow_array(q{select count(*) from punit.own where state = 'FENCED'})
                    || $units->dbh($_)
                    ->selectrow_array(
                    q{select count(*) from punit.move where finished_at is null and phase <> 'copy'}
                    )
            } @names;
            $calm_since = $busy ? 0 : $calm_since || time;
            return $calm_since && time - $calm_since > 1.5;
        },
        60
    );
    push @{ $r{wrong} }, 'moves hang 60 s after the end' if !$calm;
    my (%owned, %list);
    for my $unit (@names) {
        my $dbh = $units->dbh($unit);
        $owned{$_}++
            for @{ $dbh->selectcol_arrayref(q{select user_id from punit.own where state = 'OWNED'})
            };
        push @{ $list{ $_->[0] } }, $_->[1] for @{
            $dbh->selectall_arrayref(
                q{select p.user_id, p.text from social.post p join punit.own o using (user_id)
                    where o.state = 'OWNED'}
            ) };
        my $moves = $dbh->selectall_arrayref(q{
            select rows_sent, bytes, extract(epoch from activated_at - fenced_at) * 1000, mode
                from punit.move
             where result = 'moved' and activated_at is not null});
        for my $m (@$moves) {
            push @{ $r{rows} }, $m->[0];
            push @{ $r{bytes} }, $m->[1];
            push @{ $r{pauses} }, $m->[2] if defined $m->[2];
            $r{full}++ if ($m->[3] // '') eq 'full';
        }
    }
    $r{moves} = @{ $r{rows} // [] };
    for my $id (@ids) {
        push @{ $r{wrong} }, "$id has " . ($owned{$id} // 0) . ' owners' if ($owned{$id} // 0) != 1;
        my %n;
        $n{$_}++ for @{ $list{$id} // [] };
        push @{ $r{wrong} }, map {"lost: $_ of $id"} grep { !$n{$_} } @{ $acked{$id} // [] };
        push @{ $r{wrong} }, map {"doubled: $_ of $id"} grep { $n{$_} > 1 } sort keys %n;
    }
    return \%r;
}

sub _quantile {
    my ($q, @values) = @_;
    return 0 if !@values;
    my @sorted = sort { $a <=> $b } @values;
    return $sorted[min($#sorted, int($q * @sorted))];
}

# What `run` gave, as text.
sub report {
    my ($r) = @_;
    my @pauses = @{ $r->{pauses} // [] };
    my @rows = @{ $r->{rows} // [] };
    my $text = sprintf
        '%d requests (%.0f %% served where they came in), %d failed; '
        . "%d flips, %d hand-overs (%d by full copy)\n",
        $r->{requests}, $r->{requests} ? 100 * $r->{local} / $r->{requests} : 0,
        scalar @{ $r->{failed} }, $r->{flips}, $r->{moves},
        $r->{full} // 0;
    $text .= sprintf "request, ms: p50 %.0f, p99 %.0f, longest %.0f\n",
        map { 1000 * _quantile($_, @{ $r->{latencies} }) } 0.5, 0.99, 1;
    $text .= sprintf "write pause, ms: p50 %.1f, p99 %.1f, longest %.1f\n",
        map { _quantile($_, @pauses) } 0.5, 0.99, 1;
    my @edges = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 9e9);
    my $low = 0;
    for my $edge (@edges) {
        my $n = grep { $_ >= $low && $_ < $edge } @pauses;
        $text .= sprintf "  %5s to %-5s %6d %s\n", $low, $edge > 1e6 ? '' : $edge, $n,
            '#' x (60 * $n / @pauses)
            if $n;
        $low = $edge;
    }
    $text .= sprintf "rows shipped a hand-over: p50 %d, p99 %d, most %d; bytes: p50 %d, most %d\n",
        (map { _quantile($_, @rows) } 0.5, 0.99, 1),
        map { _quantile($_, @{ $r->{bytes} // [] }) } 0.5, 1;
    my @bad = (@{ $r->{failed} }, @{ $r->{wrong} });
    $text .= "BAD: $_\n" for splice @bad, 0, 20;
    $text .= "and @{[scalar @bad]} more\n" if @bad;
    return $text;
}

1;
