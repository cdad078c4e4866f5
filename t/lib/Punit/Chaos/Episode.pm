package Punit::Chaos::Episode;

# One fault while clients write, with users of its own, and the judgement of it.
#
#   my $result = Punit::Chaos::Episode::run($ground, 'kill -9 of nginx', $seed);
#   {bad => [...], steps => [...], skip => why, counts => {...}, settled => s}

use strict;
use warnings;
use Digest::SHA qw(sha1);
use File::Temp ();
use Punit::Chaos::Client;
use Punit::Chaos::Fault;
use Punit::Chaos::History;
use Punit::User;
use Time::HiRes qw(sleep time);

use constant { USERS => 4, CLIENTS => 4, SETTLE => 60 };

sub run {
    my ($ground, $name, $seed) = @_;
    # its draws are its own, whatever was run before
    my $key = unpack 'N', sha1("$seed $name");
    srand $key;
    my $pick = sub { return $_[rand @_] };
    my $dir = File::Temp::tempdir('clients-XXXXXX', DIR => $ground->dir);

    my @names = $ground->names;
    my @users = map { Punit::User->register($ground->units, $names[rand @names]) } 1 .. USERS;
    my @ids = map { $_->id } @users;
    my (@pids, @files);
    for my $c (0 .. CLIENTS - 1) {
        push @files, "$dir/$c";
        push @pids, Punit::Chaos::Client::run(
            units => { map { ($_ => $ground->units->port($_)) } @names }, file => $files[-1],
            seed => $key + $c,
            users =>
                [map { { id => $_->id, token => $_->token } } @users[$c % USERS, ($c + 1) % USERS]]
        );
    }
    my %told = (
        users => \@ids, erased => "$dir/erased", windows => [], steps => [], missed => [],
        children => []);
    sleep 0.5;
    my %fault = map {%$_} Punit::Chaos::Fault::tables($ground);
    eval { $fault{$name}->($ground, $pick, \%told) };
    my $why = $@;
    my $mended = time;
    $ground->disarm;
    $ground->rules;
    sleep 1;
    kill TERM => @pids;
    waitpid $_, 0 for @pids, @{ $told{children} };

    my (@bad, $skip);
    if ($why =~ /^skip: (.*)/) { $skip = $1 }
    elsif ($why) { push @bad, "the fault itself: $why" }
    push @bad, map {"never reached: $_"} @{ $told{missed} };
    my @erased = _lines($told{erased});
    push @bad, _calm($ground, $mended, \@ids, \@erased);
    push @bad, 'the relay has ended' if !$ground->relayed;
    my $settled = time - $mended;

    my $history = Punit::Chaos::History->new(@files);
    my ($log, $owners) = $ground->at_rest(@ids);
    # what no machine is too busy for
    my @grave = (_lists($ground, $history, $owners), $history->judge_owners($log));
    push @bad, @grave, $history->judge_answers($log, @{ $told{windows} });
    my $counts = $history->counts;
    $counts->{moves} = () = $ground->pauses(@ids);
    # a run in which nothing happened proves nothing
    push @bad, map {"no $_"} grep { !$counts->{$_} } qw(acked reads moves);
    unlink @files, $told{erased} if !@bad;
    return {
        bad => \@bad, grave => scalar @grave, steps => $told{steps}, skip => $skip,
        counts => $counts, settled => $settled,
        kept => @bad ? $dir : undef
    };
}

sub _lines {
    my ($path) = @_;
    open my $f, '<', $path or return;
    chomp(my @lines = <$f>);
    return @lines;
}

# Waits until all answer, nobody is between two units, and who was erased is so everywhere; what is
# not so in time.
sub _calm {
    my ($ground, $mended, $ids, $erased) = @_;
    my $end = $mended + SETTLE;
    $end = time + 5 if $end < time + 5;
    while (1) {
        my @found = $ground->healthy ? () : ('not healthy');
        push @found, $ground->unsettled(@$ids), $ground->remains(@$erased);
        return if !@found;
        return map {"stuck after @{[SETTLE]} s: $_"} @found if time > $end;
        sleep 0.1;
    }
}

sub _lists {
    my ($ground, $history, $owners) = @_;
    my (%rows, @bad);
    for my $id (sort keys %$owners) {
        my @at = @{ $owners->{$id} };
        if (@at != 1) {
            push @bad, "$id is owned by @{[scalar @at]} units in the end: @at";
            next;
        }
        $rows{$id} = $ground->list($at[0], $id);
        push @bad, _copies_differ($ground, $id, $at[0], $rows{$id});
    }
    return (@bad, $history->judge_lists(\%rows));
}

# A copy at ver v of the same history holds the rows up to v and nothing else.
sub _copies_differ {
    my ($ground, $id, $owner, $rows) = @_;
    my (undef, $fork) = $ground->version_and_list($owner, $id);
    my @bad;
    for my $unit ($ground->others($owner)) {
        my ($ver, $its, $list) = $ground->version_and_list($unit, $id);
        next if !defined $its || $its ne $fork;
        my $want = join ',', map {"@$_"} grep { $_->[1] <= $ver } @$rows;
        my $have = join ',', map {"@$_"} @$list;
        push @bad, "the copy of $id at $unit (ver $ver) is not what $owner had then"
            if $want ne $have;
    }
    return @bad;
}

1;
