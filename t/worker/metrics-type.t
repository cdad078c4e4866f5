# Metrics: types of measurement, reference data.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::Worker;

my @editor = (user => 'e0000000-0000-4000-8000-000000000001', roles => 'user editor');
my $pg = Punit::Worker->database('eu');
my $db = $pg->dbh;
my $metrics = Punit::Worker->new($pg, 'metrics');

sub type { return { name => 'Grip strength', unit => 'N', min => 0, max => 2000, @_ } }

subtest 'the first types are there once, however often they are sown' => sub {
    my ($n) = $db->selectrow_array('select metrics.seed()');
    cmp_ok $n, '>=', 12;
    is $db->selectrow_array('select metrics.seed()'), 0;
    is scalar($metrics->items('/metrics/types?limit=5')), $n;
    my ($pressure) =
        grep { $_->{name} eq 'Systolic blood pressure' } $metrics->items('/metrics/types');
    is_deeply [@$pressure{qw(unit min max)}], ['mm[Hg]', 30, 350];
};

subtest 'one type has a strong ETag, and If-None-Match gives 304 until it changes' => sub {
    my $path = $metrics->post('/metrics/types', type(min => undef), @editor)->{headers}{location};
    my $a = $metrics->get($path);
    like $a->{headers}{etag}, qr/^"[0-9a-f]{32}"$/;
    is $a->{json}{min}, undef;
    is $metrics->get($path, none_match => $a->{headers}{etag})->{status}, 304;
    is $metrics->put($path, type(max => 3000.5), @editor)->{json}{max}, 3000.5;
    is $metrics->get($path, none_match => $a->{headers}{etag})->{status}, 200;
};

subtest 'what is wrong with a body is told by pointers' => sub {
    my $a = $metrics->post('/metrics/types',
        { name => 'x', unit => 'beats per minute', min => 'low', colour => 1 }, @editor);
    is $a->{status}, 422;
    is_deeply [sort split / /, $a->{pointers}], [qw(/colour /min /unit)];
    is $metrics->post('/metrics/types', type(min => 2, max => 1), @editor)->{pointers}, '/max',
        'max below min';
    my $path = $metrics->post('/metrics/types', type(), @editor)->{headers}{location};
    is $metrics->put($path, type(min => 2, max => 1), @editor)->{pointers}, '/max', 'in PUT too';
};

subtest 'only an editor writes' => sub {
    my $path = $metrics->post('/metrics/types', type(), @editor)->{headers}{location};
    for ([POST => '/metrics/types', type()], [PUT => $path, type()], [DELETE => $path, undef]) {
        is $metrics->call(@$_, user => $editor[1], roles => 'user coach')->{status}, 403, $_->[0];
        is $metrics->call(@$_)->{status}, 401, "$_->[0] without a user";
    }
};

subtest 'the same Idempotency-Key makes one type' => sub {
    my $a = $metrics->post('/metrics/types', type(name => 'Once'), @editor, key => 't1');
    is $metrics->post('/metrics/types', type(name => 'Once'), @editor, key => 't1')->{body},
        $a->{body};
    is $metrics->post('/metrics/types', type(name => 'Twice'), @editor, key => 't1')->{json}{type},
        'urn:punit:key-reused';
    is scalar(grep { $_->{name} =~ /Once|Twice/ } $metrics->items('/metrics/types')), 1;
};

subtest 'a retired type leaves the list, keeps its address, and a PUT brings it back' => sub {
    my $path =
        $metrics->post('/metrics/types', type(name => 'Phlogiston'), @editor)->{headers}{location};
    is $metrics->delete($path, @editor)->{status}, 204 for 1 .. 2;
    ok !grep { $_->{name} eq 'Phlogiston' } $metrics->items('/metrics/types');
    ok $metrics->get($path)->{json}{retired_at};
    $metrics->put($path, type(name => 'Phlogiston'), @editor);
    ok grep { $_->{name} eq 'Phlogiston' } $metrics->items('/metrics/types');
};

subtest 'a type of another unit is changed there: 421 with its author' => sub {
    my $id = 'a0000000-0000-4000-8000-000000000001';
    $db->do('set session_replication_role = replica');
    $db->do(
        q{insert into metrics.type (origin_unit, id, name, unit)
            values ('us', ?, 'Height', '[ft_i]')},
        undef, $id);
    $db->do('set session_replication_role = origin');
    for (['PUT', type()], ['DELETE', undef]) {
        my $a = $metrics->call($_->[0], "/metrics/types/$id", $_->[1], @editor);
        is $a->{status}, 421, $_->[0];
        is $a->{headers}{'punit-author'}, 'us';
    }
    is $metrics->get("/metrics/types/$id")->{json}{name}, 'Height';
};

done_testing;
