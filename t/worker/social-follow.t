# Social: follows and likes, as one unit's worker answers. The test works off what a worker leaves
# for the inbox.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
$db->do('set client_min_messages = error');
my $social = Punit::Worker->new($pg, 'social');
my $n = 0;

sub user {
    my $id = sprintf 'b1000000-0000-4000-8000-%012d', ++$n;
    $db->do('select punit.create_user(?)', undef, $id);
    return $id;
}

sub deliver { 1 while $db->selectrow_array('select done from punit.work_off(1000)'); return }
sub follow {
    my ($user, $author) = @_;
    is $social->put("/social/following/$author", undef, user => $user)->{status}, 204, 'follows';
    return
}
sub people {
    my ($user, $list) = @_; return join ',',
        map { $_->{user_id} }
        $social->items("/social/$list?limit=2", user => $user)
}
sub feed {
    my ($user) = @_; return join ',',
        map { $_->{text} }
        $social->items('/social/feed?limit=2', user => $user)
}
sub add {
    my ($user, $text) = @_;
    return $social->post('/social/posts', { text => $text }, user => $user)->{json}{id}
}

subtest 'lists of people are newest first and come in pages' => sub {
    my ($user, @authors) = map { user() } 1 .. 5;
    follow($user, $_) for @authors;
    deliver();
    is people($user, 'following'), join(',', reverse @authors);
    is people($_, 'followers'), $user, 'each of them sees the follower' for @authors;
    is people($user, 'followers'), '';
};

subtest 'to follow twice is to follow once, and sends one message' => sub {
    my ($user, $author) = (user(), user());
    follow($user, $author) for 1 .. 3;
    is $db->selectrow_array(q{select count(*) from punit.outbox where kind = 'social-follow'}), 1;
    deliver();
    is people($author, 'followers'), $user;
    is $social->delete("/social/following/$author", user => $user)->{status}, 204;
    is $social->delete("/social/following/$author", user => $user)->{status}, 404;
};

subtest 'a feed of one\'s own posts and those of others is one list, in pages' => sub {
    my ($user, $a, $b) = map { user() } 1 .. 3;
    follow($user, $_) for $a, $b;
    deliver();
    add(@$_), deliver() for [$a, '1'], [$user, '2'], [$b, '3'], [$a, '4'], [$user, '5'];
    is feed($user), '5,4,3,2,1';
    is feed($a), '4,1', 'to be followed is not to follow';
};

subtest 'what one cannot see one cannot like' => sub {
    my ($user, $author) = (user(), user());
    my $post = add($author, 'hidden');
    is $social->put("/social/posts/$post/like", undef, user => $user)->{status}, 404;
    is $social->get("/social/posts/$post", user => $user)->{status}, 404;
    follow($user, $author);
    deliver();
    is $social->put("/social/posts/$post/like", undef, user => $user)->{status}, 204 for 1 .. 2;
    deliver();
    my $seen = $social->get("/social/posts/$post", user => $user)->{json};
    is $seen->{likes}, 1, 'twice is once';
    ok $seen->{liked};
    ok !$social->get("/social/posts/$post", user => $author)->{json}{liked},
        'the author has not liked it';
    is $social->put("/social/posts/$post/like", undef, user => $author)->{status}, 204, 'but may';
    deliver();
    is $social->get("/social/posts/$post", user => $user)->{json}{likes}, 2;
    $social->delete("/social/following/$author", user => $user);
    is $social->delete("/social/posts/$post/like", user => $user)->{status}, 204,
        'a like can be taken back without seeing it';
    deliver();
    is $social->get("/social/posts/$post", user => $author)->{json}{likes}, 1;
};

subtest 'one post is one message to a unit, however many follow there' => sub {
    my ($author, @fans) = map { user() } 1 .. 30;
    follow($_, $author) for @fans;
    deliver();
    add($author, 'to all');
    $db->do('select punit.work_off(0)');
    is $db->selectrow_array(
        q{select count(*) || ' ' || max(cardinality(users)) from punit.outbox
            where kind = 'social-post'}
    ), '1 29';
    deliver();
    is feed($_), 'to all' for @fans;
};

subtest 'a user owned elsewhere is sent there, and nothing is written' => sub {
    my ($user, $author) = (user(), user());
    my $post = add($user, 'x');
    deliver();
    $db->do(q{update punit.own set state = 'COPY', epoch = 4, owner_hint = 'us' where user_id = ?},
        undef, $user);
    for (
        [PUT => "/social/following/$author"], [DELETE => "/social/following/$author"],
        [GET => '/social/following'],
        [GET => '/social/followers'], [PUT => "/social/posts/$post/like"],
        [DELETE => "/social/posts/$post/like"])
    {
        is $social->call(@$_, undef, user => $user)->{status}, 421, "@$_";
    }
    is $db->selectrow_array('select count(*) from punit.outbox where user_id = ?', undef, $user),
        0, 'no message';
};

done_testing;
