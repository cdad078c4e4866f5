# Training in the grid: what the worker fills, and under which generation.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Grid;
use Punit::Server qw(directory);
use Punit::Tries;
use Punit::Worker;

my @coach = (user => 'c0000000-0000-4000-8000-000000000001', roles => 'user coach');
my $dir = directory('grid');
my $memcached = Punit::Grid->new("$dir/grid.sock");
my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $training = Punit::Worker->new($pg, 'training', PUNIT_GRID => "unix:$dir/grid.sock");
my $key = 'punit:doc:training:' . 'ab' x 32;

# The worker waits 50 ms for memcached and goes on without it: subtests that need it are repeated.

# (flags, value) of a key; none: empty
sub grid { my ($key) = @_; return reverse $memcached->get($key) }

sub generation { return ($db->selectrow_array(q{select punit.generation_of('training')}))[0] }

my $path = $training->post('/training/exercises',
    { name => 'Press', level => 'beginner', category => 'strength' }, @coach)
    ->{headers}{location};

some_subtest 'a document is filled as it was answered, with the generation it was read at' => sub {
    my $a = $training->get($path, grid_key => $key);
    my ($flags, $value) = grid($key);
    is $flags, generation() % 2**32 || 1;
    is $value, "$a->{headers}{etag} application/json\n$a->{body}";
};

some_subtest 'a list is a document too' => sub {
    my $a = $training->get('/training/exercises?level=beginner', grid_key => "${key}1");
    is + (grid("${key}1"))[1], "$a->{headers}{etag} application/json\n$a->{body}";
};

my $changes = 0;
some_subtest 'a coach\'s change raises the generation in the grid before the answer' => sub {
    my ($before) = grid($key);
    my $name = 'Bench press ' . ++$changes;
    $training->put($path, { name => $name, level => 'beginner', category => 'strength' }, @coach);
    is + (grid('punit:gen:training'))[1], generation();
    isnt $before, generation() % 2**32, 'the document of before counts as a miss';
    $training->get($path, grid_key => $key);
    like + (grid($key))[1], qr/$name/;
    is + (grid($key))[0], generation() % 2**32 || 1;
};

subtest 'errors are not filled' => sub {
    $training->get('/training/exercises/00000000-0000-4000-8000-000000000000',
        grid_key => "${key}2");
    is_deeply [grid("${key}2")], [];
};

subtest 'without the grid the documents are answered all the same' => sub {
    $memcached->stop;
    is $training->get($path, grid_key => $key)->{status}, 200;
    is $training->put($path, { name => 'Press', level => 'beginner', category => 'strength' },
        @coach)->{status}, 200;
};

done_testing;
