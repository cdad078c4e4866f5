# Follows, posts and likes from unit to unit, through punit.outbox.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Tries;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Test::More;
use POSIX ();
use Time::HiRes qw(sleep time);

my $units = Punit::Units->start(env => { PUNIT_MOVE_DWELL => '1s', PUNIT_MOVE_QUIET => '1s' });

sub register { return Punit::User->register($units, $_[0]) }
# what the user reads at a unit, newest first
sub feed { my ($user, $unit) = @_; return join '|', reverse $user->posts($unit) }

sub follow {
    my ($user, $unit, $author, $method) = @_;
    my $answer = $user->ask($unit, $method // 'PUT', '/social/following/' . $author->id);
    is $answer->{status}, 204, ($method // 'PUT') . " following at $unit"
        or diag $answer->{content};
}

sub followers {
    my ($author, $unit) = @_;
    return scalar @{ $author->ask($unit, GET => '/social/followers')->{json}{items} };
}

# A post with its id, written at a unit.
sub publish {
    my ($user, $unit, $text) = @_;
    my $answer = $user->ask($unit, POST => '/social/posts', { text => $text });
    is $answer->{status}, 201, "'$text' is posted" or diag $answer->{content};
    return $answer->{json}{id};
}

# Nothing is under way or has failed.
sub settled {
    return wait_until(
        sub {
            !grep {
                $units->one($_,
                    'select (select count(*) from punit.outbox) + (select count(*)
                        from punit.inbox_late)'
                )
            } qw(eu us ap)
        },
        15
    );
}

subtest 'followers in other units see a post within a second, each once, their own posts too' =>
    sub {
    my $author = register('eu');
    my @readers = map { [$_ => register($_)] } qw(us us ap eu);
    follow($_->[1], $_->[0], $author) for @readers;
    ok wait_until(sub { followers($author, 'eu') == @readers }, 5),
        'the author hears of all of them';
    publish($readers[0][1], 'us', 'my own');
    my @said;
    my $everywhere = sub {
        unshift @said, 'hello ' . (@said + 1);
        publish($author, 'eu', $said[0]);
        return took(sub {
            for my $r (@readers) {
                wait_until(sub { feed($r->[1], $r->[0]) =~ /^$said[0](?:[|]|$)/ }, 5);
            }
        });
    };
    ok once_within(1, $everywhere), "post $_ is everywhere within a second" for 1 .. 3;
    ok settled(), 'all messages are acknowledged and deleted';
    is feed($readers[0][1], 'us'), join('|', @said, 'my own'),
        'newest first with the own ones';
    is feed($_->[1], $_->[0]), join('|', @said), "once each at $_->[0]"
        for @readers[1 .. 3];
    my $answer = $readers[1][1]->ask('us', GET => '/social/feed');
    is $answer->{route}, 'local', 'read where the reader lives';
    is $answer->{json}{items}[0]{author_id}, $author->id, 'and names its author';
    };

subtest
    'a user that begins to follow gets the newest posts, and one that ceases to loses them' => sub {
    my ($author, $reader) = (register('eu'), register('us'));
    publish($author, 'eu', 'before');
    follow($reader, 'us', $author);
    ok wait_until(sub { feed($reader, 'us') eq 'before' }, 5), 'what was posted before'
        or diag feed($reader, 'us');
    follow($reader, 'us', $author, 'DELETE');
    is feed($reader, 'us'), '', 'gone at once';
    ok wait_until(sub { followers($author, 'eu') == 0 }, 5), 'the author hears of that';
    publish($author, 'eu', 'after');
    ok settled();
    is feed($reader, 'us'), '', 'nothing more comes';
    is $reader->ask('us', DELETE => '/social/following/' . $author->id)->{status}, 404,
        'twice is 404';
    is $reader->ask('us', PUT => '/social/following/' . $reader->id)->{status}, 422,
        'no user follows the own posts';
    is $reader->ask('us', PUT => '/social/following/00000000-0000-4000-8000-000000000001')
        ->{status}, 404, 'nor nobody';
};

subtest 'a deleted post leaves the feeds' => sub {
    my ($author, $reader) = (register('eu'), register('us'));
    follow($reader, 'us', $author);
    ok wait_until(sub { followers($author, 'eu') == 1 }, 5);
    my $id = publish($author, 'eu', 'a mistake');
    ok wait_until(sub { feed($reader, 'us') eq 'a mistake' }, 5);
    is $reader->ask('us', GET => "/social/posts/$id")->{json}{text}, 'a mistake',
        'a reader may read it alone';
    is $author->ask('eu', DELETE => "/social/posts/$id")->{status}, 204;
    ok wait_until(sub { feed($reader, 'us') eq '' }, 5), 'gone there';
    is $reader->ask('us', GET => "/social/posts/$id")->{status}, 404;
    is $reader->ask('us', PUT => "/social/posts/$id/like")->{status}, 404, 'and cannot be liked';
};

subtest 'likes of many at the same moment are counted right, and the feeds show the count' => sub {
    my $author = register('eu');
    my @fans = map { [$_ => register($_)] } qw(eu us ap us eu ap);
    follow($_->[1], $_->[0], $author) for @fans;
    ok wait_until(sub { followers($author, 'eu') == @fans }, 5);
    my $id = publish($author, 'eu', 'like me');
    ok wait_until(sub { feed($_->[1], $_->[0]) eq 'like me' }, 5) for @fans;
    my @children;
    for my $fan (@fans) {
        my $pid = fork // die;
        if (!$pid) {
            my $bad = 0;
            # on and off, twice on; the last word counts
            for my $method (qw(PUT PUT DELETE PUT DELETE PUT)) {
                my $http = HTTP::Tiny->new(timeout => patience(15));
                my $a = $http->request(
                    $method,
                    'http://127.0.0.1:' . $units->port($fan->[0]) . "/social/posts/$id/like",
                    { headers => { authorization => 'Bearer ' . $fan->[1]->token } });
                $bad++ if $a->{status} != 204;
            }
            POSIX::_exit($bad ? 1 : 0);
        }
        push @children, $pid;
    }
    my $failed = 0;
    for (@children) { waitpid $_, 0; $failed++ if $? }
    is $failed, 0, 'all were answered 204';
    is $fans[0][1]->ask('eu', DELETE => "/social/posts/$id/like")->{status}, 204,
        'one takes it back';
    is $fans[0][1]->ask('eu', DELETE => "/social/posts/$id/like")->{status}, 404,
        'which can be done once';
    my $want = @fans - 1;
    my $count = sub { $_[0]->ask($_[1], GET => "/social/posts/$id")->{json}{likes} };
    ok wait_until(sub { $count->($author, 'eu') == $want }, 5), 'the author counts right'
        or diag $count->($author, 'eu');
    ok wait_until(sub { $count->($fans[2][1], 'ap') == $want }, 5), 'a reader elsewhere sees it'
        or diag $count->($fans[2][1], 'ap');
    ok settled();
    is $count->($author, 'eu'), $want, 'and so it stays';
    ok $fans[1][1]->ask('us', GET => "/social/posts/$id")->{json}{liked},
        'a user that likes it is told so';
    ok !$fans[0][1]->ask('eu', GET => "/social/posts/$id")->{json}{liked},
        'a user that does not, too';
};

subtest 'authors and followers that move keep all of it' => sub {
    my ($author, $reader) = (register('eu'), register('us'));
    follow($reader, 'us', $author);
    ok wait_until(sub { followers($author, 'eu') == 1 }, 5);
    my $id = publish($author, 'eu', 'one');
    ok wait_until(sub { feed($reader, 'us') eq 'one' }, 5);
    is $reader->ask('us', PUT => "/social/posts/$id/like")->{status}, 204;
    $reader->cross('ap');
    is feed($reader, 'ap'), 'one', 'the follower has the feed in a unit that never saw the post';
    publish($author, 'eu', 'two');
    ok wait_until(sub { feed($reader, 'ap') eq 'two|one' }, 5),
        'what comes then finds the follower';
    $author->cross('us');
    is $author->ask('us', GET => "/social/posts/$id")->{json}{likes}, 1, 'the author has the likes';
    is followers($author, 'us'), 1, 'and followers';
    publish($author, 'us', 'three');
    ok wait_until(sub { feed($reader, 'ap') eq 'three|two|one' }, 5), 'the author\'s posts go on';
    is $reader->ask('ap', DELETE => "/social/posts/$id/like")->{status}, 204;
    ok wait_until(sub { $author->ask('us', GET => "/social/posts/$id")->{json}{likes} == 0 }, 5),
        'a like taken back finds the author';
};

subtest 'posts written while author and reader cross borders are there once, all of them' => sub {
    my ($author, $reader) = (register('eu'), register('us'));
    follow($reader, 'us', $author);
    ok wait_until(sub { followers($author, 'eu') == 1 }, 5);
    for my $round (['us', 'eu'], ['ap', 'us'], ['eu', 'ap']) {
        my $start = time;
        my ($a, $r) = (0, 0);
        while (time - $start < patience(15) && ($a < 2 || $r < 2)) {
            my $answer = $author->post($round->[0], seconds => 5);
            $a++ if $answer->{route} eq 'local' && $answer->{unit} eq $round->[0];
            my $read = $reader->ask($round->[1], GET => '/social/feed');
            $r++ if $read->{route} eq 'local' && $read->{unit} eq $round->[1];
            sleep 0.05;
        }
        ok $a >= 2 && $r >= 2, "both have crossed, to @$round";
    }
    ok settled(), 'nothing is left under way';
    is_deeply [$reader->posts('ap')], [$author->written], 'every post, in order, none twice';
};

subtest 'a message that fails stops nothing behind it, and is noted' => sub {
    my ($author, $reader) = (register('eu'), register('us'));
    $units->dbh('eu')->do(q{select punit.send('us', 'no-such-kind', null)});
    follow($reader, 'us', $author);
    ok wait_until(sub { followers($author, 'eu') == 1 }, 5);
    publish($author, 'eu', 'behind it');
    ok wait_until(sub { feed($reader, 'us') eq 'behind it' }, 5), 'what came later had its effect';
    like $units->one('us', q{select error from punit.inbox_late where kind = 'no-such-kind'}),
        qr/no handler/, 'the failure is noted';
    is $units->one('us', q{select count(*) from punit.outbox where kind = 'no-such-kind'}), 1,
        'the message waits to be tried again';
    $units->dbh('eu')->do(q{delete from punit.outbox where kind = 'no-such-kind'});
};

subtest 'nothing is lost or doubled when PostgreSQL of either side is killed' => sub {
    my ($author, $reader) = (register('eu'), register('us'));
    follow($reader, 'us', $author);
    ok wait_until(sub { followers($author, 'eu') == 1 }, 5);
    for my $victim ('us', 'eu') {
        $author->post('eu', seconds => 20) for 1 .. 5;
        kill KILL => $units->pid($victim, 'postgres');
        $author->post('eu', seconds => 20) for 1 .. 5;
    }
    ok wait_until(
        sub {
            eval { scalar(@{ [$reader->posts('us')] }) == 20 }
        },
        30
        ),
        'all arrive';
    ok wait_until(
        sub {
            eval { settled() }
        },
        30
        ),
        'and are acknowledged';
    is_deeply [$reader->posts('us')], [$author->written], 'once each, in order';
};

done_testing;
