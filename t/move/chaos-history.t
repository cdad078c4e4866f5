# The judge of t/chaos/run: histories that are right pass, each kind of wrong one is named.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempfile);
use JSON::PP ();
use Punit::Chaos::Ground;
use Punit::Chaos::History;
use Test::More;

sub history {
    my @events = @_;
    my ($file, $path) = tempfile(UNLINK => 1);
    print $file map { JSON::PP::encode_json($_) . "\n" } @events;
    close $file;
    return Punit::Chaos::History->new($path);
}

sub append {
    my ($text, $at, %o) = @_;
    return { what => 'append', user => 'u', text => $text, acked => 1, right => 1, at => $at,
        done => $at + 1, unit => 'eu', %o }
}
sub got {
    my ($at, @texts) = @_;
    return { what => 'read', user => 'u', at => $at, unit => 'eu', by => 'eu', route => 'local',
        whole => 1, texts => [@texts] }
}

my @lists = (
    [
        'what was acknowledged and read in order is right',
        [append('a', 1), append('b', 3), got(2.5, 'a'), got(5, 'b', 'a')], ['a', 'b'], undef
    ],
    ['an append given up may be there', [append('a', 1, acked => 0)], ['a'], undef],
    ['or not', [append('a', 1, acked => 0)], [], undef],
    [
        'an acknowledged append that is not there is lost', [append('a', 1), append('b', 3)],
        ['a'], qr/^lost: b/
    ],
    ['one that is there twice is doubled', [append('a', 1)], ['a', 'a'], qr/^doubled: a/],
    ['a row that nobody wrote is named', [append('a', 1)], ['a', 'x'], qr/^nobody wrote: x/],
    [
        'a read with a hole is no prefix', [append('a', 1), append('b', 1), got(1.5, 'b')],
        ['a', 'b'], qr/^no prefix/
    ],
    [
        'a read without what was acknowledged before is old',
        [append('a', 1), append('b', 3), got(5, 'a')], ['a', 'b'], qr/^old: .* lacks b/
    ],
    [
        'a read that shows a row twice is named', [append('a', 1), got(5, 'a', 'a')], ['a'],
        qr/^doubled in a read/
    ],
    [
        'a read of a row that is not there in the end is no prefix',
        [append('a', 1), append('b', 3, acked => 0), got(5, 'b', 'a')], ['a'], qr/^no prefix/
    ],
    [
        'a read of rows in part, by pages, is not judged',
        [append('a', 1), { %{ got(5) }, whole => 0 }], ['a'], undef
    ],
    [
        'a stale read with a hole is no prefix either',
        [append('a', 1), append('b', 3), { %{ got(5, 'b') }, route => 'stale' }], ['a', 'b'],
        qr/^no prefix/
    ],
    [
        'an acknowledgement that says something else is named', [append('a', 1, right => 0)],
        ['a'], qr/^an acknowledgement of something else: a/
    ],
    [
        'unless it is marked stale',
        [append('a', 1), append('b', 3), { %{ got(5, 'a') }, route => 'stale' }], ['a', 'b'], undef
    ],
);
for my $case (@lists) {
    my ($name, $events, $rows, $want) = @$case;
    my $ver = 0;
    my @bad = history(@$events)->judge_lists({ u => [map { [$_, ++$ver] } @$rows] });
    $want ? like("@bad", $want, $name) : is("@bad", '', $name);
}

my @owners = (
    [
        'a hand-over is right',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['us', 3, 'u', 'OWNED', 2, 5], ['eu', 4, 'u', 'COPY', 2, 5]
        ],
        undef
    ],
    [
        'so is a refusal',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['eu', 3, 'u', 'OWNED', 3, 5]
        ],
        undef
    ],
    [
        'two owners at one epoch are named',
        [
            ['eu', 1, 'u', 'OWNED', 2, 0], ['eu', 2, 'u', 'COPY', 2, 0],
            ['us', 3, 'u', 'OWNED', 2, 0]
        ],
        qr/^two owners of u at epoch 2/
    ],
    [
        'two owners at a time are named',
        [['eu', 1, 'u', 'OWNED', 1, 0], ['us', 2, 'u', 'OWNED', 2, 0]], qr/while eu still owns him/
    ],
    [
        'an epoch that was over and comes again is named',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['us', 3, 'u', 'OWNED', 2, 5],
            ['us', 4, 'u', 'COPY', 2, 5], ['eu', 5, 'u', 'OWNED', 1, 5]
        ],
        qr/owned by eu at epoch 1 after us at epoch 2/
    ],
    [
        'so is one that gave the user back at the epoch that it had promised',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['us', 3, 'u', 'OWNED', 2, 5],
            ['us', 4, 'u', 'COPY', 2, 5], ['eu', 5, 'u', 'OWNED', 2, 5]
        ],
        qr/two owners of u at epoch 2/
    ],
    [
        'an owner that begins with more than there was is named',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['us', 3, 'u', 'OWNED', 2, 6]
        ],
        qr/us began at 6/
    ],
    [
        'one that was taken back begins with all',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['eu', 3, 'u', 'OWNED', 3, 4]
        ],
        qr/eu ended at ver 5, eu began at 4/
    ],
    [
        'an erased user stays so',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'ERASED', 1, 1],
            ['eu', 3, 'u', 'COPY', 1, 1]
        ],
        qr/^u is COPY at eu, where he was erased/
    ],
    [
        'an owner that begins with less is named',
        [
            ['eu', 1, 'u', 'OWNED', 1, 0], ['eu', 2, 'u', 'FENCED', 1, 5],
            ['us', 3, 'u', 'OWNED', 2, 4]
        ],
        qr/eu ended at ver 5, us began at 4/
    ],
);
for my $case (@owners) {
    my ($name, $log, $want) = @$case;
    my @bad = history()->judge_owners($log);
    $want ? like("@bad", $want, $name) : is("@bad", '', $name);
}

# ---- a hand-over while the units' logs are read one after the other, as the clients end: eu's
# before it, us's after
{
    package Ground::Read;    ## no critic (RequireFilenameMatchesPackage)
    our @ISA = ('Punit::Chaos::Ground');
    # How many readings come before the last state. The hand-over goes on during the last of them.
    our $changes;
    my @before = (['eu', 1, 'u', 'OWNED', 1, 0]);
    my @after = (@before, ['eu', 2, 'u', 'FENCED', 1, 5], ['us', 3, 'u', 'OWNED', 2, 5]);
    sub own_log {
        return [$changes-- == 1 ? ($before[0], $after[2]) : $changes > 0 ? @before : @after]
    }
    sub owners { return { u => [$changes > 0 ? 'eu' : 'us'] } }
    sub stop { }
}
for my $changes (1, 2) {
    local $Ground::Read::changes = $changes;
    my ($read, $owner) = (bless {}, 'Ground::Read')->at_rest('u');
    is_deeply([history()->judge_owners($read)], [],
        "a log that was read while a hand-over went on is not what is judged ($changes)");
    is_deeply($owner, { u => ['us'] }, "nor the owner of before it ($changes)");
}

# ---- answers: the user is owned by eu until 10, then handed to us, which owns him from 12 on;
# asked at ap
my @log = (['eu', 1, 'u', 'OWNED', 1, 0, undef], ['eu', 10, 'u', 'FENCED', 1, 5, 'us'],
    ['us', 12, 'u', 'OWNED', 2, 5, undef], ['eu', 13, 'u', 'COPY', 2, 5, undef]);
my $grace = Punit::Chaos::History::GRACE;

sub refused {
    my ($at, %o) = @_;
    return { what => 'refused', user => 'u', unit => 'ap', method => 'GET', status => 503,
        why => '', at => $at, took => 1, id => 'r', %o }
}

my @answers = (
    ['503 while the owner is broken is right', refused(5), ['eu', 4, 7], undef],
    ['503 while any unit may be is too', refused(5), ['', 4, 7], undef],
    ['503 while the front that was asked is broken too', refused(5), ['ap', 4, 7], undef],
    [
        '503 while another unit is broken is not', refused(5), ['us', 4, 7],
        qr/^failed GET at ap for u: 503/
    ],
    ['503 while nothing is broken is not', refused(5), undef, qr/^failed/],
    ['503 before it is broken is not', refused(1), ['eu', 4, 7], qr/^failed/],
    ['503 a moment after is right', refused(7 + $grace - 0.1), ['eu', 4, 7], undef],
    ['503 long after is not', refused(7 + $grace + 0.1), ['eu', 4, 7], qr/^failed/],
    [
        '503 while the user is between two units, the new one broken, is right', refused(10.5),
        ['us', 8, 11], undef
    ],
    [
        '503 while the user is between two units, the old one broken, too',
        refused(10.5), ['eu', 8, 11],
        undef
    ],
    ['503 when the old owner breaks long after is not', refused(20), ['eu', 20, 21], qr/^failed/],
    [
        '503 when the old owner breaks a moment after is not, whatever the front believed',
        refused(14), ['eu', 14, 15], qr/^failed/
    ],
    ['no answer of a broken front is right', refused(5, status => 599), ['ap', 4, 7], undef],
    [
        'no answer of a front because the owner is broken is not', refused(5, status => 599),
        ['eu', 4, 7], qr/^failed/
    ],
    [
        'a 502 of NGINX while the owner is broken is right',
        refused(5, status => 502, why => 'urn:punit:bad-gateway x'), ['eu', 4, 7], undef
    ],
    [
        'a 502 of anything else is wrong at any time', refused(5, status => 502, why => '<html>'),
        ['eu', 4, 7], qr/^wrong answer/
    ],
    (
        map { ["$_ is wrong at any time", refused(5, status => $_), ['eu', 4, 7], qr/^wrong answer/
        ] } 401,
        404, 409, 421, 500, 504, 508
    ),
);
for my $case (@answers) {
    my ($name, $event, $window, $want) = @$case;
    my @bad = history($event)->judge_answers(\@log, $window // ());
    $want ? like("@bad", $want, $name) : is("@bad", '', $name);
}
done_testing;
