# The near cache: what a worker of NGINX keeps of the grid's documents, and when it must not be
# used.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Time::HiRes qw(sleep);

use Punit::Backend;
use Punit::Client;
use Punit::Grid;
use Punit::Nginx;
use Punit::Token;

my $worker = Punit::Backend->new(sub { return [200, ['Content-Type' => 'text/plain'], 'worker'] });

sub unit {
    my ($near) = @_;
    my $n = Punit::Nginx->new;
    my $keys = Punit::Token->new($n->dir . '/keys');
    $keys->es256('eu-1');
    my ($grid, $other) = map { Punit::Grid->new($n->dir . "/$_.sock") } qw(grid other);
    $n->http(<<"EOF_CONF");
    punit_zone z 1m;
    punit_unit eu;
    punit_keys keys;
    punit_token_check off;
    upstream grid { server unix:@{[$n->dir]}/grid.sock; }
    upstream other { server unix:@{[$n->dir]}/other.sock; }
    punit_grid grid;
    $near
    server {
        listen 127.0.0.1:@{[$n->port('other')]};
        punit_local \@local;
        punit_grid other;
        location / { punit_scope reference; }
        location \@local { proxy_pass http://127.0.0.1:@{[$worker->port]}; }
    }
    server {
        listen 127.0.0.1:@{[$n->port('http')]};
        punit_local \@local;
        location / { punit_scope reference; punit_grid_args n; }
        location = /status { punit_status; }
        location \@local {
            proxy_pass http://127.0.0.1:@{[$worker->port]};
            proxy_set_header Connection close;
        }
    }
EOF_CONF
    $n->start;
    return ($n, $grid, $keys->token(unit => 'eu'), $other);
}

my ($n, $grid, $token, $other) = unit('');

sub ask {
    my ($path, @headers) = @_;
    return $n->ask('GET', $path, token => $token, headers => \@headers);
}

sub counted {
    my $status = $n->ask('GET', '/status')->{body};
    return { map { /"(grid_\w+)":\s*(\d+)/ ? ($1 => $2) : () } split /,/, $status };
}

# asks until the generation, too, was asked for a while ago: only then is nothing else counted
sub documents_asked {
    my ($code) = @_;
    my $before = $grid->asked;
    my $status = counted();
    $code->();
    my $after = counted();
    return ($grid->asked - $before, $after->{grid_near} - $status->{grid_near},
        $after->{grid_hits} - $status->{grid_hits});
}

my $key = $grid->key('sports', '/sports');
$grid->generation(sports => 7);
$grid->put($key, 7, 'v7', 'seven');
is(ask('/sports')->{body}, 'seven', 'a document that is read from the grid');
my ($asked, $near, $hits) =
    documents_asked(sub { is(ask('/sports')->{body}, 'seven', 'and again') for 1 .. 50 });
is("$near $hits", '50 0', 'is not read from it again');
cmp_ok($asked, '<=', 50, 'its generation alone is asked for, and seldom');
is(ask('/sports', 'If-None-Match' => '"v7"')->{status}, 304,
    'If-None-Match is answered from there');
my $head = $n->ask('HEAD', '/sports', token => $token);
is("$head->{status} $head->{headers}{'punit-route'} $head->{headers}{'content-length'}",
    '200 grid 5', 'and HEAD');

$other->generation(sports => 7);
$other->put($key, 7, 'v7', 'of the other');
my $theirs = Punit::Client->once($n->port('other'), 'GET', '/sports', token => $token);
is($theirs->{body}, 'of the other', 'what another grid has under the same key is another document');
is(ask('/sports')->{body}, 'seven', 'and changes nothing here');

$grid->generation(sports => 8);
is(ask('/sports')->{body}, 'worker', 'after a change it is not used');
$grid->put($key, 8, 'v8', 'eight');
is(ask('/sports')->{body}, 'eight', 'but the new one, as soon as it is in the grid');
is(ask('/sports')->{body}, 'eight', 'and again');
$grid->raise(sports => 9);
$grid->put($key, 9, 'v9', 'nine');
my $wrong = 0;
for my $gen (10 .. 60) {
    $grid->put($key, $gen, "v$gen", "text $gen");
    $grid->generation(sports => $gen);
    $wrong++ if ask('/sports')->{body} ne "text $gen" || ask('/sports')->{body} ne "text $gen";
}
is($wrong, 0, 'each of fifty changes is seen');

$grid->command('delete punit:gen:sports');
sleep 0.03;
is(ask('/sports')->{body}, 'worker', 'without a generation nothing is answered from there');
$grid->generation(sports => 60);
is(ask('/sports')->{body}, 'text 60', 'with it, it is again');

$grid->generation(large => 1);
$grid->put($grid->key('large', '/large'), 1, 'l', 'x' x 300_000);
ask('/large');
($asked, $near, $hits) =
    documents_asked(sub { is(length ask('/large')->{body}, 300_000, 'a large document') for 1 .. 3 }
    );
is("$near $hits", '0 3', 'is not kept');

# 4 MB are kept: 60 documents of 200 KB are more
$grid->generation(many => 1);
for my $i (1 .. 60) {
    $grid->put($grid->key('many', '/many', "n=$i"), 1, "m$i", $i x (int 200_000 / length $i));
    ask("/many?n=$i");
}
($asked, $near, $hits) = documents_asked(sub { ask("/many?n=$_") for 1, 60 });
is("$near $hits", '1 1',
    'the least recently used one goes when there are too many, the last one stays');
is(substr(ask('/many?n=60')->{body}, 0, 4), '6060', 'and is itself');

# one that is being sent is not taken away: a slow reader, while all others push it out
$grid->put($grid->key('many', '/many', 'n=slow'), 1, 'slow', 's' x 200_000);
ask('/many?n=slow');
my @slow =
    map { Punit::Client->new($n->port('http'))->send(GET => '/many?n=slow', token => $token) }
    1 .. 8;
ask("/many?n=$_") for 1 .. 60;
is(
    join(
        ' ',
        map { my $b = $_->receive('GET')->{body}; length($b) . ($b =~ /[^s]/ ? ' not it' : '') }
            @slow
    ),
    join(' ', (200_000) x 8),
    'what is being sent stays as it is'
);

$grid->stop;
sleep 0.03;
is(ask('/sports')->{body}, 'worker', 'nor is it used without a grid');
is($n->stop, '', 'the log is clean');

($n, $grid, $token) = unit('punit_grid_near off;');
$grid->generation(sports => 7);
$grid->put($grid->key('sports', '/sports'), 7, 'v7', 'seven');
ask('/sports');
($asked, $near, $hits) = documents_asked(sub { ask('/sports') for 1 .. 5 });
is("$near $hits", '0 5', 'punit_grid_near off: each is read from the grid');
is($n->stop, '', 'the log is clean');

done_testing;
