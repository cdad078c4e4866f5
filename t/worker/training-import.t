# Training: import of a catalogue file.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha1);
use JSON::PP;
use Test::More;

use Punit::Postgres;

my $pg = Punit::Postgres->new(unit => 'eu')->apply();
my $db = $pg->dbh;

sub import {
    return join ' ',
        $db->selectrow_array('select * from training.import_exercises(?::jsonb)', undef, $_[0])
}
sub count { return ($db->selectrow_array('select count(*) from training.exercise'))[0] }

sub exercise {
    return {
        id => 'Some_Press', name => 'Some press', force => 'push', level => 'beginner',
        mechanic => undef,
        equipment => 'barbell', primaryMuscles => ['chest'], secondaryMuscles => [],
        instructions => ['Press.', ''],
        category => 'strength', images => ['Some_Press/0.jpg'], @_
    };
}

# UUID version 5 as RFC 4122, 4.3 says, made here anew
sub uuid5 {
    my ($space, $name) = @_;
    my @b = unpack 'C16', sha1(pack('H32', $space =~ tr/-//dr) . $name);
    $b[6] = $b[6] & 0x0f | 0x50;
    $b[8] = $b[8] & 0x3f | 0x80;
    return join '-', unpack 'A8A4A4A4A12', unpack 'H32', pack 'C16', @b;
}

subtest 'an exercise keeps all it has, under an id made from its name in the catalogue' => sub {
    is import(encode_json([exercise()])), '1 0 0 0';
    my $row = $db->selectrow_hashref('select * from training.exercise');
    is $row->{id},
        uuid5(uuid5('6ba7b811-9dad-11d1-80b4-00c04fd430c8', 'urn:punit:training:exercise'),
        'Some_Press');
    is_deeply [@$row{qw(origin_unit slug name force level mechanic equipment category)}],
        ['eu', 'Some_Press', 'Some press', 'push', 'beginner', undef, 'barbell', 'strength'];
    is_deeply [@$row{qw(primary_muscles secondary_muscles instructions images)}],
        [['chest'], [], ['Press.'], ['Some_Press/0.jpg']], 'lists, without empty lines';
};

subtest 'the same file again changes nothing, a changed exercise is one update' => sub {
    my $seen = $db->selectrow_array('select updated_at from training.exercise');
    is import(encode_json([exercise()])), '0 0 1 0';
    is $db->selectrow_array('select updated_at from training.exercise'), $seen;
    is import(encode_json([exercise(level => 'expert'), exercise(id => 'Other')])), '1 1 0 0';
    is $db->selectrow_array(q{select level from training.exercise where slug = 'Some_Press'}),
        'expert';
};

subtest 'an import raises the generation once, one that changes nothing does not' => sub {
    my $gen = sub { ($db->selectrow_array(q{select punit.generation_of('training')}))[0] };
    my $before = $gen->();
    import(encode_json([map { exercise(id => "Many_$_") } 1 .. 50]));
    is $gen->() - $before, 1;
    import(encode_json([map { exercise(id => "Many_$_") } 1 .. 50]));
    is $gen->() - $before, 1;
};

subtest 'what a coach retired stays retired' => sub {
    $db->do(q{select training.exercise_retire(id) from training.exercise where slug = 'Other'});
    is import(encode_json([exercise(id => 'Other', name => 'Renamed')])), '0 1 0 0';
    ok $db->selectrow_array(q{select retired_at from training.exercise where slug = 'Other'});
};

subtest 'rows that another unit wrote are left alone and counted' => sub {
    my ($id) = $db->selectrow_array(
        q{select punit.uuid_generate_v5(punit.uuid_generate_v5(punit.uuid_ns_url(),
            'urn:punit:training:exercise'), 'Theirs')}
    );
    $db->do('set session_replication_role = replica');
    $db->do(
        q{insert into training.exercise (origin_unit, id, slug, name, level, category)
        values ('us', ?, 'Theirs', 'Theirs', 'expert', 'strength')}, undef, $id
    );
    $db->do('set session_replication_role = origin');
    is import(encode_json([exercise(id => 'Theirs'), exercise(id => 'Ours')])), '1 0 0 1';
    is_deeply $db->selectcol_arrayref('select name from training.exercise where id = ?', undef,
        $id), ['Theirs'];
};

subtest 'a file with one broken exercise imports none and names what is wrong' => sub {
    my $before = count();
    my $good = exercise(id => 'Good');
    for my $case (
        [[$good, exercise(name => undef)], '/1/name'],
        [[exercise(id => 7), exercise(primaryMuscles => 'chest')], '/0/id /1/primaryMuscles'],
        [[$good, 'text'], '/1/id'],
        [{ id => 'x' }, ''])
    {
        my ($file, $pointers) = @$case;
        ok !eval { import(encode_json($file)); 1 }, 'refused';
        is $db->state, 'PU422';
        my ($detail) = $@ =~ /DETAIL:\s+(\[.*?\])\s*$/m;
        is join(' ', map { $_->{pointer} } @{ decode_json($detail) }), $pointers, "names $pointers";
    }
    ok !eval { import(encode_json([$good, exercise(level => 'superhuman')])); 1 },
        'a value that cannot be';
    is count(), $before;
};

subtest 'what no exercise may be the table refuses' => sub {
    my %row = (slug => 'a', name => 'A', level => 'beginner', category => 'strength');
    my $insert = sub {
        my %values = (%row, @_);
        my @columns = sort keys %values;
        return eval {
            $db->do(
                "insert into training.exercise (@{[join ', ', @columns]})
                    values (@{[join ', ', ('?') x @columns]})",
                undef, @values{@columns});
            1;
        };
    };
    for my $bad (
        [slug => 'a/b'], [slug => "a\tb"], [slug => ''], [slug => 'x' x 101], [name => ''],
        [name => 'x' x 201],
        [force => 'shove'], [level => 'Expert'], [mechanic => ''], [equipment => ''],
        [category => 'x' x 51], [request_sha256 => 'x' x 31])
    {
        ok !$insert->(@$bad), "$bad->[0] '$bad->[1]'";
        is $db->state, '23514';
    }
    ok $insert->(slug => 'x' x 100, name => 'x' x 200, force => undef, equipment => 'x' x 50),
        'as long as may be'
        or diag $db->errstr;
    $db->do('delete from training.exercise where slug = ?', undef, 'x' x 100);
};

subtest 'only the owner of the schema imports' => sub {
    my $service = $pg->dbh('punit_training');
    ok !eval { $service->do(q{select training.import_exercises('[]')}); 1 };
    is $service->state, '42501';
};

for my $file (grep {-e} 'conf/exercises.json', '../shared/data/exercises.json') {
    subtest "$file is imported whole" => sub {
        open my $f, '<:encoding(UTF-8)', $file or die "$file: $!";
        my $text = do { local $/; <$f> };
        my $n = @{ JSON::PP->new->decode($text) };
        is import($text), "$n 0 0 0";
        is import($text), "0 0 $n 0";
    };
}

done_testing;
