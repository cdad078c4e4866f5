# The judge of t/chaos/run: histories that are right pass, each kind of wrong one is named.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempfile);
use JSON::PP ();
use Punit::Chaos::History;
use Test::More;

sub history {
    my @events = @_;
    my ($file, $path) = tempfile(UNLINK => 1);
    print $file map { JSON::PP::encode_json($_) . "\n" } @events;
    close $file;
    return Punit::Chaos::History->new($path);
}

sub append { my ($text, $at, %o) = @_; return { what => 'append', user => 'u', text => $text, acked => 1, right => 1, at => $at, done => $at + 1, unit => 'eu', %o } }
sub got { my ($at, @texts) = @_; return { what => 'read', user => 'u', at => $at, unit => 'eu', by => 'eu', route => 'local', whole => 1, texts => [@texts] } }

my @lists = (
    ['what was acknowledged and read in order is right', [append('a', 1), append('b', 3), got(2.5, 'a'), got(5, 'b', 'a')], ['a', 'b'], undef],
    ['an append given up may be there', [append('a', 1, acked => 0)], ['a'], undef],
    ['or not', [append('a', 1, acked => 0)], [], undef],
    ['an acknowledged append that is not there is lost', [append('a', 1), append('b', 3)], ['a'], qr/^lost: b/],
    ['one that is there twice is doubled', [append('a', 1)], ['a', 'a'], qr/^doubled: a/],
    ['a row that nobody wrote is named', [append('a', 1)], ['a', 'x'], qr/^nobody wrote: x/],
    ['a read with a hole is no prefix', [append('a', 1), append('b', 1), got(1.5, 'b')], ['a', 'b'], qr/^no prefix/],
    ['a read without what was acknowledged before is old', [append('a', 1), append('b', 3), got(5, 'a')], ['a', 'b'], qr/^old: .* lacks b/],
    ['unless it is marked stale', [append('a', 1), append('b', 3), { %{ got(5, 'a') }, route => 'stale' }], ['a', 'b'], undef],
);
for my $case (@lists) {
    my ($name, $events, $rows, $want) = @$case;
    my $ver = 0;
    my @bad = history(@$events)->judge_lists({ u => [ map { [$_, ++$ver] } @$rows ] });
    $want ? like("@bad", $want, $name) : is("@bad", '', $name);
}

my @owners = (
    ['a hand-over is right', [['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5], ['us', 3, 'u', 'OWNED', 2, 5], ['eu', 4, 'u', 'COPY', 2, 5]], undef],
    ['so is a refusal', [['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5], ['eu', 3, 'u', 'OWNED', 3, 5]], undef],
    ['two owners at one epoch are named', [['eu', 1, 'u', 'OWNED', 2, 0], ['eu', 2, 'u', 'COPY', 2, 0], ['us', 3, 'u', 'OWNED', 2, 0]], qr/^two owners of u at epoch 2/],
    ['two owners at a time are named', [['eu', 1, 'u', 'OWNED', 1, 0], ['us', 2, 'u', 'OWNED', 2, 0]], qr/while eu still owns him/],
    ['an owner who begins with less is named', [['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5], ['us', 3, 'u', 'OWNED', 2, 4]], qr/eu ended at ver 5, us began at 4/],
);
for my $case (@owners) {
    my ($name, $log, $want) = @$case;
    my @bad = history()->judge_owners($log);
    $want ? like("@bad", $want, $name) : is("@bad", '', $name);
}

my $refused = { what => 'refused', user => 'u', unit => 'eu', method => 'GET', status => 503, why => '', at => 5, took => 1, id => '' };
is_deeply [history($refused)->judge_answers(['', 4, 7])], [], '503 while something is broken is right';
like +(history($refused)->judge_answers(['', 7, 9]))[0], qr/^failed/, '503 while nothing is broken is not';
like +(history({ %$refused, status => 500 })->judge_answers(['', 4, 7]))[0], qr/^wrong answer/, '500 never is';
done_testing;
