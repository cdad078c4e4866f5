# Social: the posts of each user.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $social = Punit::Worker->new($pg, 'social');
my $nobody = '00000000-0000-4000-8000-000000000000';
my $n = 0;

# A new user, owned here.
sub user {
    my $id = sprintf 'b0000000-0000-4000-8000-%012d', ++$n;
    $db->do('select punit.create_user(?)', undef, $id);
    return $id;
}

sub add {
    my ($user, $text) = @_;
    my $a = $social->post('/social/posts', { text => $text }, user => $user);
    $a->{status} == 201 or die "$a->{status} $a->{body}";
    return $a;
}

sub feed {
    my ($user, $query, %o) = @_; return join ',',
        map { $_->{text} }
        $social->items('/social/feed' . ($query // ''), user => $user, %o)
}

subtest 'a post is read as it was written, at its own address' => sub {
    my $user = user();
    my $text = "Ten \x{00e4}rgerliche km \x{1F3C3}\nand a \"half\"";
    my $a = $social->post('/social/posts', { text => $text }, user => $user);
    is $a->{status}, 201;
    is $a->{headers}{location}, "/social/posts/$a->{json}{id}";
    is $a->{json}{text}, $text;
    is $a->{json}{author_id}, $user;
    is_deeply $social->get($a->{headers}{location}, user => $user)->{json}, $a->{json};
};

subtest 'the feed is newest first and stable while posts come and go' => sub {
    my $user = user();
    my %path = map { $_ => add($user, $_)->{headers}{location} } 'a' .. 'f';
    is feed($user), 'f,e,d,c,b,a';
    my $step = 0;
    is feed(
        $user,
        '?limit=2',
        between => sub {
            return if $step++;
            $social->delete($path{e}, user => $user);    # the page's last post
            add($user, 'g');
        }
        ),
        'f,e,d,c,b,a';
    is feed($user), 'g,f,d,c,b,a';
};

subtest 'a user deletes only own posts' => sub {
    my ($he, $she) = (user(), user());
    my $path = add($he, 'his')->{headers}{location};
    is $social->delete($path, user => $she)->{status}, 404;
    is $social->get($path, user => $she)->{status}, 404;
    is feed($he), 'his';
    is $social->delete($path, user => $he)->{status}, 204;
    is $social->delete($path, user => $he)->{status}, 404;
    is feed($he), '';
    is_deeply $db->selectcol_arrayref('select tab from punit.tomb where user_id = ?', undef, $he),
        ['social.post'];
};

subtest 'what is wrong with a body is told by pointers, and nothing is written' => sub {
    my $user = user();
    my $pointers = sub {
        my $a = $social->post('/social/posts', $_[0], user => $user); "$a->{status} $a->{pointers}"
    };
    is $pointers->({}), '422 /text', 'no text';
    is $pointers->({ text => '' }), '422 /text', 'an empty one';
    is $pointers->({ text => 'x' x 5001 }), '422 /text', 'too long';
    is $pointers->({ text => "a\0b" }), '422 /text', 'U+0000';
    is $pointers->({ text => 'x', likes => 1000 }), '422 /likes', 'unknown member';
    is $pointers->({ text => 'x', activity_id => $nobody }), '422 /activity_id', 'no such activity';
    is feed($user), '';
};

subtest 'the same Idempotency-Key makes one post, another body under it is refused' => sub {
    my $user = user();
    my $a = $social->post('/social/posts', { text => 'once' }, user => $user, key => 'k');
    my $b = $social->post('/social/posts', { text => 'once' }, user => $user, key => 'k');
    is "$b->{status} $b->{body}", "201 $a->{body}";
    is $b->{headers}{location}, $a->{headers}{location};
    my $c = $social->post('/social/posts', { text => 'twice' }, user => $user, key => 'k');
    is "$c->{status} $c->{json}{type}", '422 urn:punit:key-reused';
    is feed($user), 'once';
};

subtest 'a user owned elsewhere is sent there, and nothing is written' => sub {
    my $user = user();
    my $path = add($user, 'here')->{headers}{location};
    $db->do(q{update punit.own set state = 'COPY', epoch = 4, owner_hint = 'us' where user_id = ?},
        undef, $user);
    for (
        [POST => '/social/posts', { text => 'x' }], [GET => '/social/feed', undef],
        [GET => $path, undef],
        [DELETE => $path, undef])
    {
        my $a = $social->call(@$_, user => $user);
        is $a->{status}, 421, "$_->[0] $_->[1]";
        is $a->{headers}{'punit-owner'}, 'us; epoch=4';
    }
    is_deeply $db->selectcol_arrayref('select text from social.post where user_id = ?', undef,
        $user), ['here'];
    is $social->get($path, user => $user, route => 'stale')->{json}{text}, 'here',
        'but a copy answers while the owner is down';
};

subtest 'without a user there is nothing' => sub {
    is $social->get('/social/feed')->{status}, 401;
    is $social->get('/social/feed', user => $nobody)->{status}, 401;
};

done_testing;
