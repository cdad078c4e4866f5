package Punit::Chaos::History;

# Judges what clients saw (Punit::Chaos::Client) against what the databases hold in the end.
#
#   my $history = Punit::Chaos::History->new(@files);
#   my @complaints = ($history->judge_lists({user => [[text, ver]...]}),
#       $history->judge_owners($log),
#       $history->judge_answers($log, @windows));

use strict;
use warnings;
use JSON::PP ();

# events: of all clients, from their files
sub new {
    my ($class, @files) = @_;
    my @events;
    for my $path (@files) {
        open my $file, '<', $path or die "$path: $!";
        push @events, map { JSON::PP::decode_json($_) } <$file>;
    }
    return bless { events => [sort { $a->{at} <=> $b->{at} } @events] }, $class;
}

sub events {
    my ($self, $what) = @_; return grep { $_->{what} eq $what } @{ $self->{events} }
}

# rows: user => [[text, ver], ...], the user's list at the last owner, by ver. Each acknowledged
# append is there exactly once, and nothing else is. A read gives a prefix of the final list. It
# holds all that was acknowledged before it began, unless it was marked stale.
sub judge_lists {
    my ($self, $rows) = @_;
    my (%place, @bad);
    my %written = map { ($_->{text} => $_) } $self->events('append');
    for my $user (sort keys %$rows) {
        my $n = 0;
        for my $row (@{ $rows->{$user} }) {
            push @bad, "doubled: $row->[0] at ver $row->[1]" if exists $place{$user}{ $row->[0] };
            push @bad, "nobody wrote: $row->[0]" if !$written{ $row->[0] };
            $place{$user}{ $row->[0] } = $n++;
        }
    }
    my %acked;
    for my $e ($self->events('append')) {
        next if !$rows->{ $e->{user} };
        push @bad, "lost: $e->{text}, acknowledged by $e->{unit}"
            if $e->{acked} && !exists $place{ $e->{user} }{ $e->{text} };
        push @bad, "an acknowledgement of something else: $e->{text}"
            if $e->{acked} && !$e->{right};
        push @{ $acked{ $e->{user} } }, $e if $e->{acked};
    }
    for my $e ($self->events('read')) {
        next if !$e->{whole};
        my %seen = map { ($_ => 1) } @{ $e->{texts} };
        my $all = $rows->{ $e->{user} } or next;
        my $n = @{ $e->{texts} };
        push @bad, "doubled in a read at $e->{at}: $e->{user}" if keys %seen != $n;
        for my $i (0 .. $n - 1) {
            next if $i < @$all && $seen{ $all->[$i][0] };
            push @bad,
                sprintf 'no prefix: read of %s by %s at %.3f has %d, not the one at place %d%s',
                $e->{user},
                $e->{by}, $e->{at}, $n, $i, $i < @$all ? " ($all->[$i][0])" : '';
            last;
        }
        next if $e->{route} eq 'stale';
        for my $w (@{ $acked{ $e->{user} } // [] }) {
            next if $w->{done} >= $e->{at} || $seen{ $w->{text} };
            push @bad, sprintf 'old: read of %s by %s (%s) at %.3f lacks %s, acknowledged at %.3f',
                $e->{user}, $e->{by},
                $e->{route}, $e->{at}, $w->{text}, $w->{done};
            last;
        }
    }
    return @bad;
}

# log: [unit, at, user, state, epoch, ver] of each change of state in each unit, as a trigger wrote
# it. Each epoch has one owner, and each later owner a higher epoch. An owner begins with all that
# the one before ended with. No two units own a user at once, and none owns a user that it knows to
# be erased.
sub judge_owners {
    my ($self, $log) = @_;
    my (%owner, %fenced, %holder, %highest, %erased, @bad);
    for my $row (sort { $a->[1] <=> $b->[1] } @$log) {
        my ($unit, $at, $user, $state, $epoch, $ver) = @$row;
        if ($state eq 'OWNED') {
            my $before = $owner{$user}{$epoch};
            push @bad, "two owners of $user at epoch $epoch: $before->{unit} and $unit"
                if $before && $before->{unit} ne $unit;
            my $last = $highest{$user};
            push @bad,
                "$user owned by $unit at epoch $epoch after $last->{unit} at epoch $last->{epoch}"
                if $last
                && $epoch <= $last->{epoch}
                && !($epoch == $last->{epoch} && $unit eq $last->{unit});
            $highest{$user} = { unit => $unit, epoch => $epoch }
                if !$last || $epoch > $last->{epoch};
            $owner{$user}{$epoch} //= { unit => $unit, ver => $ver };
            my $h = $holder{$user};
            push @bad,
                "$user owned by $unit at epoch $epoch "
                    . "while $h->{unit} still owns him at $h->{epoch}"
                if $h && $h->{unit} ne $unit;
            $holder{$user} = { unit => $unit, epoch => $epoch };
        }
        elsif ($holder{$user} && $holder{$user}{unit} eq $unit) {
            delete $holder{$user};
        }
        push @bad, "$user is $state at $unit, where he was erased"
            if $erased{$user}{$unit} && $state ne 'ERASED';
        $erased{$user}{$unit} = 1 if $state eq 'ERASED';
        $fenced{$user}{ $epoch + 1 } = { unit => $unit, ver => $ver } if $state eq 'FENCED';
    }
    for my $user (sort keys %owner) {
        for my $epoch (sort { $a <=> $b } keys %{ $owner{$user} }) {
            my $o = $owner{$user}{$epoch};
            # taken, or taken back after a refusal
            my $f = $fenced{$user}{$epoch};
            $f //= $fenced{$user}{ $epoch - 1 } if !$owner{$user}{ $epoch - 1 };
            next if !$f;
            push @bad,
                "$user at epoch $epoch: $f->{unit} ended at ver $f->{ver}, "
                    . "$o->{unit} began at $o->{ver}"
                if $f->{ver} != $o->{ver};
        }
    }
    return @bad;
}

# What peers and clients wait at most before they try a unit again that is back.
use constant GRACE => 3;

# The log is as above, with fence_to at the end of a row. windows: [unit, from, until], when a unit
# ('': any) was broken. Only a broken front may give no answer. 503 is right while the front, the
# user's owner or the unit that takes the user over is broken. 502 is right when a service of the
# answering unit was killed.
sub judge_answers {
    my ($self, $log, @windows) = @_;
    my %log;
    push @{ $log{ $_->[2] } }, $_ for sort { $a->[1] <=> $b->[1] } @$log;
    my @bad;
    for my $e ($self->events('refused')) {
        my ($from, $to) = ($e->{at}, $e->{at} + $e->{took});
        my %broken =
            map { $_->[0] => 1 } grep { $from <= $_->[2] + GRACE && $to >= $_->[1] } @windows;
        my @owners = $e->{status} == 599 ? () : _holders($from, $to, @{ $log{ $e->{user} } // [] });
        my $broken = grep { $broken{$_} } '', $e->{unit}, @owners;
        next
            if $broken
            && ($e->{status} =~ /^(?:503|599)$/
            || "$e->{status} $e->{why}" =~ /^502 urn:punit:bad-gateway\b/);
        push @bad, sprintf '%s %s at %s for %s: %d %s (%.3f, took %.2f s, request %s)',
            $broken ? 'wrong answer' : 'failed',
            $e->{method}, $e->{unit}, $e->{user}, $e->{status}, $e->{why} // '', $e->{at},
            $e->{took}, $e->{id};
    }
    return @bad;
}

# Units that a user was owned by, or handed between, at some moment in that time.
sub _holders {
    my ($from, $to, @log) = @_;
    my (%at, %found);
    for my $row (@log) {
        my ($unit, $at, undef, $state, undef, undef, $fence_to) = @$row;
        last if $at > $to;
        # what was so until now was so in the time
        if ($at >= $from) { @found{ @{ $at{$unit} // [] } } = () }
        $at{$unit} =
            $state eq 'OWNED' ? [$unit] : $state eq 'FENCED' ? [$unit, $fence_to // ()] : [];
    }
    @found{ map {@$_} values %at } = ();
    return keys %found;
}

sub counts {
    my ($self) = @_;
    my %n = (appends => 0, acked => 0, reads => 0, refused => 0, longest => 0);
    for my $e (@{ $self->{events} }) {
        $n{appends}++ if $e->{what} eq 'append';
        $n{acked}++ if $e->{what} eq 'append' && $e->{acked};
        $n{reads}++ if $e->{what} eq 'read';
        $n{refused}++ if $e->{what} eq 'refused';
        $n{longest} = $e->{done} - $e->{at}
            if $e->{what} eq 'append' && $e->{done} - $e->{at} > $n{longest};
    }
    return \%n;
}

1;
