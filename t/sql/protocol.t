#!/usr/bin/perl
# The messages of the move as functions, called by hand in every order that a network can make of
# them.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Punit::Postgres;
use Test::More;

my %pg = map { $_ => Punit::Postgres->new(unit => $_) } qw(eu us ap);
for my $pg (values %pg) {
    $pg->apply('punit');
    my $d = $pg->dbh;
    $d->do(q{
        set client_min_messages = warning;
        create schema note;
        create table note.item (user_id uuid not null, id uuid not null default gen_random_uuid(),
            body text,
            data jsonb, grades double precision[], kind_id uuid, marks bytea, ver bigint not null,
                primary key (user_id, id));
        create table note.kind (origin_unit text, id uuid, primary key (origin_unit, id));
        select punit.register_user_table('note.item');
        select punit.register_reference('note.item', 'kind_id', 'note.kind', 'id');
    });
}
for my $a (keys %pg) {
    $pg{$a}->know(map { $pg{$_} } grep { $_ ne $a } keys %pg)
}
my %db = map { $_ => $pg{$_}->dbh } keys %pg;
my %inc = map { $_ => ($db{$_}->selectrow_array('select incarnation from punit.me'))[0] } keys %pg;
my $shape = ($db{eu}->selectrow_array('select md5(punit.shape())'))[0];
my %link;

# a session of unit $t at unit $s
sub at { my ($s, $t) = @_; $link{"$s$t"} //= $pg{$s}->dbh("punit_peer_$t") }
sub row { my ($h, $sql, @bind) = @_; $h->selectrow_hashref($sql, undef, @bind) }
sub one { my ($h, $sql, @bind) = @_; ($h->selectrow_array($sql, undef, @bind))[0] }
sub own { my ($unit, $u) = @_; row($db{$unit}, 'select * from punit.own where user_id = ?', $u) }
sub state_of { my $o = own(@_) or return '-'; return "$o->{state} $o->{epoch}" }

sub user {
    my $u = one($db{eu}, 'select gen_random_uuid()');
    $db{eu}->do('select punit.create_user(?)', undef, $u);
    add('eu', $u, 'first');
    return $u;
}

sub add {
    my ($unit, $u, $body, $kind) = @_;
    $db{$unit}->begin_work;
    my $ver = one($db{$unit}, 'select ver from punit.bump(?)', $u);
    $db{$unit}->do('insert into note.item (user_id, body, kind_id) values (?, ?, ?)', undef, $u,
        $body, $kind) if $ver;
    $db{$unit}->commit;
    return $ver;
}

# PULL or the final read as t sends it: the answer, and the lines of each COPY
sub pull {
    my ($s, $t, $u, %o) = @_;
    my $c = own($t, $u) // { ver => -1 };
    my $h = at($s, $t);
    $h->do('begin isolation level repeatable read read only');
    my $a = row(
        $h, 'select * from punit.pull(?, ?, ?, ?, ?, ?, 0, false, ?)', $u, $o{base} // $c->{ver},
        $o{fork} // $c->{fork},
        $o{from} // $inc{$t}, $o{to} // $inc{$s}, $o{shape} // $shape, $o{final});
    my $plan = $db{$t}->selectall_arrayref('select * from punit.move_plan()', { Slice => {} });
    for my $p (@$plan) {
        $h->do($p->{copy_out});
        my $line;
        push @{ $a->{lines}{ $p->{tab} } }, $line while $h->pg_getcopydata($line) >= 0;
    }
    @$a{qw(n digest needs)} = @{ row($h, 'select * from punit.pulled()') }{qw(n digest needs)}
        if !defined $a->{delta};
    $h->do('commit');
    return $a;
}

# applies such an answer at t; epoch: as ACTIVATE at that epoch
sub apply {
    my ($t, $s, $u, $a, $epoch) = @_;
    my $h = $link{"mover$t"} //= do {
        my $m = $pg{$t}->dbh('punit_mover'); $m->do('set session_replication_role = replica'); $m
    };
    my $plan = $h->selectall_arrayref('select * from punit.move_plan()', { Slice => {} });
    $h->do('set client_min_messages = warning');
    $h->do($_->{stage}) for @$plan;
    if (defined $epoch && defined $a->{delta}) {
        # what the mover does with the rows of FENCE's answer
        local $h->{PrintError} = 0;
        return eval {
            one($h, 'select punit.take(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 10, 0, 0, 0, 0, ?)', $u, $s,
                $inc{$s}, $inc{$t}, @$a{qw(base ver fork gc_ver n digest)}, $epoch, $a->{delta});
        } // ($h->state eq 'PU409' ? $h->errstr =~ /ERROR:  (.*)/ && $1 : die $@);
    }
    $h->begin_work;
    my $r = one($h, 'select punit.apply_open(?, ?, ?, ?, ?, ?, ?, ?, ?)', $u, $s, $inc{$s},
        $inc{$t}, $a->{full_copy}, $a->{base}, $a->{ver}, $a->{fork}, $epoch);
    if ($r eq 'OK') {
        for my $p (@$plan) {
            $h->do($a->{full_copy} ? $p->{direct_in} : $p->{stage_in});
            $h->pg_putcopydata($_) for @{ $a->{lines}{ $p->{tab} } // [] };
            $h->pg_putcopyend;
        }
        if (!$a->{full_copy}) {
            $_->{bury} and $h->do($_->{bury}) for @$plan;
            $h->do($_->{remove}), $h->do($_->{enter}) for @$plan;
        }
        $r = defined $epoch
            ? one($h, 'select punit.activate(?, ?, ?, ?, ?, ?, ?, ?, ?, 10)', $u, $s,
            @$a{qw(ver fork gc_ver n digest needs)}, $epoch)
            : one($h, 'select punit.copy_close(?, ?, ?, ?, ?, ?, ?, ?)', $u, $s,
            @$a{qw(ver fork gc_ver n digest needs)});
    }
    $r eq 'OK' ? $h->commit : $h->rollback;
    $h->do('truncate ' . join ', ', map { $_->{staged} } @$plan);
    return $r;
}

# the record that comes before FENCE
sub begun { one($db{ $_[0] }, 'select punit.fence_begin($2, $1, $3, -1, 0)', @_[1 .. 3]) }
sub fence {
    my ($s, $t, $u, $epoch, %o) = @_;
    my $c = own($t, $u) // { ver => -1 };
    begun($t, $s, $u, $epoch);
    return row(
        at($s, $t), 'select * from punit.fence(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', $u, $epoch,
        $o{base} // $c->{ver}, $c->{fork}, $o{from} // $inc{$t}, $o{to} // $inc{$s},
        $o{shape} // $shape, $o{max} // 100, $o{quiet} // 0, $o{dwell} // 0);
}
sub retire {
    my ($s, $t, $u, $e) = @_;
    one(at($s, $t), 'select punit.retire(?, ?, ?, ?)', $u, $e, $inc{$t}, $inc{$s})
}
sub refused {
    my ($s, $t, $u, $e) = @_;
    one(at($s, $t), 'select punit.refused(?, ?, ?, ?)', $u, $e, $inc{$t}, $inc{$s})
}
sub resolve {
    my ($t, $s, $u, $e) = @_;
    one(at($t, $s), 'select punit.resolve(?, ?, ?, ?)', $u, $e, $inc{$s}, $inc{$t})
}
sub settle {
    my ($s, $t, $u, $e, $a) = @_; one($db{$s}, 'select punit.settle(?, ?, ?, ?)', $u, $t, $e, $a)
}

# PULL, FENCE, ACTIVATE, RETIRE; gives the answer of the final read
sub move {
    my ($s, $t, $u) = @_;
    my $e = own($s, $u)->{epoch};
    my $p = pull($s, $t, $u);
    apply($t, $s, $u, $p) eq 'OK' or die if $p->{ver} > $p->{base};
    fence($s, $t, $u, $e)->{result} eq 'FENCED' or die;
    my $f = pull($s, $t, $u, final => $e);
    apply($t, $s, $u, $f, $e + 1) eq 'OK' or die;
    retire($s, $t, $u, $e + 1);
    return $f;
}

subtest 'a hand-over: COPY, FENCED, OWNED one epoch later, COPY that knows the next unit' => sub {
    my $u = user();
    my $p = pull('eu', 'us', $u);
    is $p->{result}, 'OK', 'PULL answered';
    ok $p->{full_copy}, 'in full: us knows nothing of the user';
    is apply('us', 'eu', $u, $p), 'OK', 'applied';
    is state_of(us => $u), 'COPY 0', 'a copy';
    is fence(eu => us => $u, 1)->{result}, 'FENCED', 'FENCE';
    is add(eu => $u, 'late'), undef, 'eu writes no more';
    my $f = pull('eu', 'us', $u, final => 1);
    is $f->{ver}, 1, 'final ver';
    is $f->{delta}, '{}', 'nothing changed since';
    is apply('us', 'eu', $u, $f, 2), 'OK', 'ACTIVATE';
    is state_of(us => $u), 'OWNED 2', 'us owns the user';
    is retire(eu => us => $u, 2), 'RETIRED', 'RETIRE';
    is state_of(eu => $u), 'COPY 2', 'eu keeps a copy';
    is own(eu => $u)->{owner_hint}, 'us', 'and knows the next unit';
    is add(us => $u, 'abroad'), 2, 'us writes';
    is one($db{us}, q{select epoch from punit.home where origin_unit = 'us' and user_id = ?}, $u),
        2, 'the directory is told';
};

subtest 'back home only what changed abroad is sent, deletions too' => sub {
    my $u = user();
    add(eu => $u, "row $_") for 1 .. 20;
    move(eu => us => $u);
    add(us => $u, 'abroad');
    $db{us}->begin_work;
    $db{us}->do('select * from punit.bump(?)', undef, $u);
    $db{us}
        ->do(q{delete from note.item where user_id = ? and body in ('row 3', 'row 4')}, undef, $u);
    $db{us}->commit;
    my $p = pull('us', 'eu', $u);
    ok !$p->{full_copy}, 'a delta';
    is @{ $p->{lines}{'note.item'} }, 1, 'one row';
    is @{ $p->{lines}{'punit.tomb'} }, 2, 'two tombstones';
    is apply('eu', 'us', $u, $p), 'OK', 'applied, the digest of the whole copy agrees';
    is one($db{eu}, 'select count(*) from note.item where user_id = ?', $u), 20,
        '1 + 20 + 1 - 2 rows';
};

subtest 'a row deleted and made again with its key arrives as it is now' => sub {
    my $u = user();
    my $id = one($db{eu}, 'select id from note.item where user_id = ?', $u);
    move(eu => us => $u);
    for (['delete from note.item where user_id = ? and id = ?'],
        [q{insert into note.item (user_id, id, body) values (?, ?, 'again')}])
    {
        $db{us}->begin_work;
        $db{us}->do('select * from punit.bump(?)', undef, $u);
        $db{us}->do($_->[0], undef, $u, $id);
        $db{us}->commit;
    }
    move(us => eu => $u);
    is_deeply $db{eu}
        ->selectcol_arrayref('select body from note.item where user_id = ?', undef, $u), ['again'],
        'the new row';
};

subtest 'idempotency records travel with the user' => sub {
    my $u = user();
    $db{eu}->begin_work;
    my $ver = one($db{eu}, 'select ver from punit.bump(?)', $u);
    $db{eu}
        ->do(q{select punit.dedup_store(?, 'k', 'POST /x', sha256('b'), ?, 201, '{"a":1}')}, undef,
        $u, $ver);
    $db{eu}->commit;
    move(eu => us => $u);
    is row($db{us}, q{select * from punit.dedup_find(?, 'k', 'POST /x', sha256('b'))}, $u)->{body},
        '{"a":1}', 'found abroad';
};

subtest 'FENCE repeated gives the same answer' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    my $first = fence(eu => us => $u, 1);
    is_deeply fence(eu => us => $u, 1), $first, 'the same';
    is fence(eu => ap => $u, 1)->{result}, 'NOT_OWNER', 'but not to another unit';
    is fence(eu => ap => $u, 1)->{unit}, 'us', 'which is told the next unit';
};

subtest 'FENCE at another epoch, with an older fork or base changes nothing' => sub {
    my $u = user();
    is fence(eu => us => $u, 1, base => 0)->{result}, 'STALE', 'another fork, or none';
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    is fence(eu => us => $u, 2)->{result}, 'EPOCH', 'wrong epoch';
    is fence(eu => us => $u, 1, base => 7)->{result}, 'STALE', 'a base that eu never had';
    is state_of(eu => $u), 'OWNED 1', 'eu owns the user';
};

subtest 'FENCE of a user without a copy: all of the few rows come with its answer' =>
    sub {
    my $u = user();
    add(eu => $u, "row $_") for 1 .. 5;
    $db{eu}->begin_work;
    my $kept = one($db{eu}, 'select ver from punit.bump(?)', $u);
    $db{eu}->do(
        q{select punit.dedup_store(?, 'key-' || i, 'POST /x', sha256('x'), ?, 201, '{}')
            from generate_series(1, 8) i},
        undef, $u, $kept
    );
    $db{eu}->commit;
    is fence(eu => us => $u, 1, max => 5)->{detail}, 'rows', 'too many rows';
    is fence(eu => us => $u, 1, max => 7)->{detail}, 'rows', 'too many kept answers';
    is state_of(eu => $u), 'OWNED 1', 'nothing changed';
    is fence(eu => us => $u, 1, max => 8)->{result}, 'FENCED', 'not too many';
    my $a = pull('eu', 'us', $u, final => 1);
    is "$a->{full_copy} $a->{base} $a->{n} $a->{sent}", '1 -1 6 14', 'all of them';
    is apply('us', 'eu', $u, { %$a, digest => $a->{digest} + 1 }, 2) =~ /^DIGEST/, 1, 'compared';
    is state_of(us => $u), '-', 'not taken';
    is apply('us', 'eu', $u, $a, 2), 'OK', 'taken';
    is state_of(us => $u), 'OWNED 2', 'us owns the user';
    is_deeply row($db{us}, 'select * from punit.user_digest(?, -1)', $u),
        row($db{eu}, 'select * from punit.user_digest(?, -1)', $u), 'the same';
    is one($db{us}, 'select count(*) from punit.dedup where user_id = ?', $u), 8,
        'kept answers, too';
    # a user with many rows, which a crash after FENCE has lost here
    my $w = user();
    apply('us', 'eu', $w, pull('eu', 'us', $w));
    $db{eu}->begin_work;
    my $ver = one($db{eu}, 'select ver from punit.bump(?)', $w);
    $db{eu}
        ->do(q{insert into note.item (user_id, body) select ?, 'x' from generate_series(1, 1100)},
        undef, $w);
    $db{eu}->commit;
    is fence(eu => us => $w, 1, max => 2000)->{result}, 'FENCED', 'fenced';
    $db{us}->do('select punit.user_clear(?)', undef, $w);
    $db{us}->do('update punit.own set ver = -1, fork = null where user_id = ?', undef, $w);
    $a = pull('eu', 'us', $w, final => 1);
    is $a->{delta}, undef, 'they come as COPYs';
    is apply('us', 'eu', $w, $a, 2), 'OK', 'taken';
    is one($db{us}, 'select count(*) from note.item where user_id = ?', $w), 1101, 'all of them';
    };

subtest
    'FENCE answers BUSY while the user is active here, too new here, or has too many rows to send'
    => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    $db{eu}->do('select punit.saw_local(array[?::uuid])', undef, $u);
    my $b = fence(eu => us => $u, 1, quiet => 5000);
    is "$b->{result} $b->{detail}", 'BUSY quiet', 'seen here just now';
    ok $b->{wait_ms} > 4000 && $b->{wait_ms} <= 5000, 'and says how long to wait';
    $db{eu}->do('delete from punit.local_seen');
    $db{eu}->do('insert into punit.stay (user_id, dwell_s) values (?, 10)', undef, $u);
    is fence(eu => us => $u, 1, dwell => 1)->{detail}, 'dwell', 'handed over just now';
    add(eu => $u, "row $_") for 1 .. 5;
    is fence(eu => us => $u, 1, max => 4)->{detail}, 'rows', 'too many rows';
    is state_of(eu => $u), 'OWNED 1', 'nothing changed';
    is fence(eu => us => $u, 1, max => 5)->{result}, 'FENCED', 'exactly as many as allowed';
    };

subtest 'FENCE gives up after 50 ms behind a running writer' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    my $w = $pg{eu}->dbh;
    $w->begin_work;
    $w->do('select * from punit.bump(?)', undef, $u);
    is fence(eu => us => $u, 1)->{detail}, 'writing', 'BUSY';
    $w->rollback;
    is fence(eu => us => $u, 1)->{result}, 'FENCED', 'then it has the user';
    $w->disconnect;
};

subtest 'a late PULL changes nothing: not an owner, not a copy ahead of it, not an erased user' =>
    sub {
    my $u = user();
    my $late = pull('eu', 'us', $u);
    move(eu => us => $u);
    is apply('us', 'eu', $u, $late), 'OWNED', 'at the owner';
    add(us => $u, 'more');
    my $older = pull('us', 'eu', $u);
    add(us => $u, 'more still');
    is apply('eu', 'us', $u, pull('us', 'eu', $u)), 'OK', 'a copy at ver 3';
    is apply('eu', 'us', $u, $older), 'VERSION', 'stays there when the answer at ver 2 comes late';
    $db{us}->do('select punit.erase_user(?)', undef, $u);
    is apply('us', 'eu', $u, $late), 'ERASED', 'erased';
    };

subtest 'RESOLVE before ACTIVATE refuses it, and the old owner has the user at epoch + 2' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    fence(eu => us => $u, 1);
    my $final = pull('eu', 'us', $u, final => 1);
    is resolve(us => eu => $u, 2), 'REFUSED', 'refused';
    is settle(eu => us => $u, 2, 'REFUSED'), 'UNFENCED', 'unfenced';
    is state_of(eu => $u), 'OWNED 3', 'epoch 1 + 2';
    is apply('us', 'eu', $u, $final, 2), 'REFUSED', 'the late answer of FENCE activates nothing';
    is settle(eu => us => $u, 2, 'REFUSED'), 'UNCHANGED',
        'and the refusal repeated changes nothing';
    is add(eu => $u, 'on'), 2, 'eu writes on';
    move(eu => us => $u);
    is state_of(us => $u), 'OWNED 4', 'the user can move later';
    };

subtest 'RESOLVE at a unit that noted FENCE and heard no more stores the refusal' => sub {
    my $u = user();
    begun(ap => eu => $u, 1);
    is resolve(ap => eu => $u, 2), 'REFUSED', 'refused';
    is own(ap => $u)->{refused_epoch}, 2, 'and remembered';
};

subtest 'RESOLVE after ACTIVATE says ACTIVE and the old owner retires' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    fence(eu => us => $u, 1);
    apply('us', 'eu', $u, pull('eu', 'us', $u, final => 1), 2);
    is resolve(us => eu => $u, 2), 'ACTIVE', 'active';
    is settle(eu => us => $u, 2, 'ACTIVE'), 'RETIRED', 'retired';
    is state_of(eu => $u), 'COPY 2', 'eu has a copy';
};

subtest 'RETIRE and REFUSED of a unit that the user is not fenced to change nothing' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    fence(eu => us => $u, 1);
    is retire(eu => ap => $u, 2), 'UNCHANGED', 'RETIRE of ap';
    is refused(eu => ap => $u, 2), 'UNCHANGED', 'REFUSED of ap';
    is retire(eu => us => $u, 3), 'UNCHANGED', 'RETIRE of another epoch';
    is state_of(eu => $u), 'FENCED 1', 'still fenced';
    is refused(eu => us => $u, 2), 'UNFENCED', 'REFUSED of us';
    is refused(eu => us => $u, 2), 'UNCHANGED', 'repeated';
};

subtest 'messages from or to another incarnation are void' => sub {
    my $u = user();
    my $other = one($db{eu}, 'select gen_random_uuid()');
    is pull('eu', 'us', $u, to => $other)->{result}, 'VOID', 'PULL to another';
    is pull('eu', 'us', $u, from => $other)->{result}, 'VOID', 'PULL from another';
    is fence(eu => us => $u, 1, to => $other)->{result}, 'VOID', 'FENCE';
    like one(at('eu', 'us'), 'select punit.retire(?, 2, ?, ?)', $u, $other, $inc{eu}), qr/^VOID/,
        'RETIRE';
    like one(at('eu', 'us'), 'select punit.resolve(?, 2, ?, ?)', $u, $inc{us}, $other), qr/^VOID/,
        'RESOLVE';
    my $p = pull('eu', 'us', $u);
    local $inc{eu} = $other;
    is apply('us', 'eu', $u, $p), 'VOID', 'and so is an answer';
};

subtest 'another shape is refused before any row is sent, with the shape here' => sub {
    my $u = user();
    my $p = pull('eu', 'us', $u, shape => 'another');
    is $p->{result}, 'SHAPE', 'refused';
    like $p->{detail}, qr/^note\.item\(body text, /, 'named';
    is_deeply $p->{lines}, undef, 'no row';
};

subtest 'a missing reference row keeps the copy back, and stops ACTIVATE' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    my $kind = one($db{eu}, 'select gen_random_uuid()');
    add(eu => $u, 'new kind', $kind);
    like apply('us', 'eu', $u, pull('eu', 'us', $u)), qr/^REFERENCE .*\Q$kind/,
        'PULL is not applied';
    fence(eu => us => $u, 1);
    my $final = pull('eu', 'us', $u, final => 1);
    like apply('us', 'eu', $u, $final, 2), qr/^REFERENCE/, 'ACTIVATE neither';
    is one($db{us}, 'select punit.refuse(?, 2)', $u), 'REFUSED', 'ABORT: refused first';
    is refused(eu => us => $u, 2), 'UNFENCED', 'then told';
    is state_of(eu => $u), 'OWNED 3', 'eu has the user';
    $db{us}->do(q{insert into note.kind values ('eu', ?)}, undef, $kind);
    move(eu => us => $u);
    is state_of(us => $u), 'OWNED 4', 'once the row is there the user moves';
    # what the sender does not know of it does not look for
    my $v = user();
    add(eu => $v, 'a kind', $kind);
    $db{us}->do(q{create table note.color (id uuid primary key);
            select punit.register_reference('note.item', 'id', 'note.color', 'id')});
    is apply('us', 'eu', $v, pull('eu', 'us', $v)),
        'REFERENCE note.item.id -> note.color is not looked at where the rows come from',
        'a reference registered here only is missing, too';
    $db{us}->do(q{delete from punit.user_reference where col = 'id'; select punit.weave()});
    is apply('us', 'eu', $v, pull('eu', 'us', $v)), 'OK', 'without it nothing is in the way';
};

subtest 'values of every kind come unchanged by COPY and with the answer to FENCE' => sub {
    my $u = user();
    my $odd = sub {
        $db{eu}->begin_work;
        $db{eu}->do('select punit.bump(?)', undef, $u);
        $db{eu}->do(
            q{insert into note.item (user_id, body, data, grades, marks) select ?, b, d, g, m
                from (values
            (E'tab\t newline\n "quotes" \\\\ and \\N', 'null'::jsonb, array['NaN', '-Infinity',
                0.1]::float8[], '\x00ff'::bytea),
            ('', '[1.50, "\\u00e9", null]', '[2:3]={1,null}', ''), (null, null, null, null))
                x (b, d, g, m)},
            undef, $u
        );
        $db{eu}->commit;
    };
    my $all = sub {
        one($db{ $_[0] },
            'select string_agg(i::text, chr(10) order by id) from note.item i where user_id = ?',
            $u)
    };
    $odd->();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    is $all->('us'), $all->('eu'), 'a copy';
    $odd->();
    fence(eu => us => $u, 1);
    is apply('us', 'eu', $u, pull('eu', 'us', $u, final => 1), 2), 'OK', 'activated';
    is $all->('us'), $all->('eu'), 'the rest';
};

subtest 'a hand-over is rehearsed, and nothing is left of it' => sub {
    my $h = $pg{us}->dbh('punit_mover');
    $h->do('set session_replication_role = replica');
    $h->do('select punit.warm(), punit.rehearse()');
    is one($db{us},
        q{select count(*) from punit.own where user_id = '00000000-0000-0000-0000-000000000000'}),
        0, 'nobody';
};

subtest 'a difference that the digest shows stops ACTIVATE' => sub {
    my $u = user();
    apply('us', 'eu', $u, pull('eu', 'us', $u));
    add(eu => $u, 'x');
    fence(eu => us => $u, 1);
    my $f = pull('eu', 'us', $u, final => 1);
    $f->{delta} = '{}';
    like apply('us', 'eu', $u, $f, 2), qr/^DIGEST/, 'a lost row';
    is state_of(us => $u), 'COPY 0', 'not activated';
};

subtest 'a copy older than the collected tombstones is sent in full, and takes gc_ver over' => sub {
    my $u = user();
    move(eu => us => $u);
    add(us => $u, "row $_") for 1 .. 3;
    $db{us}->do('update punit.own set gc_ver = 4 where user_id = ?', undef, $u);
    my $p = pull('us', 'eu', $u);
    ok $p->{full_copy}, 'in full';
    is apply('eu', 'us', $u, $p), 'OK', 'replaces what is there';
    is own(eu => $u)->{gc_ver}, 4, 'gc_ver travels';
};

subtest 'an erased user stays erased through every late message' => sub {
    my $u = user();
    my $late = pull('eu', 'us', $u);
    apply('us', 'eu', $u, $late);
    is one($db{eu}, 'select punit.erase_user(?)', $u), 1, 'erased at the owner';
    is one($db{eu}, 'select count(*) from note.item where user_id = ?', $u), 0, 'no rows';
    is one($db{eu}, q{select count(*) from punit.outbox where user_id = ? and kind = 'erase'}, $u),
        2, 'both peers are told';
    is pull('eu', 'us', $u)->{result}, 'ERASED', 'PULL';
    is fence(eu => us => $u, 1)->{result}, 'ERASED', 'FENCE';
    is settle(eu => us => $u, 2, 'REFUSED'), 'UNCHANGED', 'REFUSED';
    $db{us}->do('select punit.erased(?, 1)', undef, $u);
    is apply('us', 'eu', $u, $late), 'ERASED', 'a late PULL at the copy';
    is one($db{us}, 'select punit.refuse(?, 2)', $u), 'ERASED', 'RESOLVE';
    is one($db{us}, 'select count(*) from note.item where user_id = ?', $u), 0, 'nothing came back';
};

subtest
    'a move that has begun is found again, and an unused warm copy is closed after the window'
    => sub {
    my ($u, $v, $w) = map { user() } 1 .. 3;
    my $add = sub {
        $db{us}->do(
            q{insert into punit.move (user_id, from_unit, to_unit, phase, touched_at)
        values (?, 'eu', 'us', ?, now() - ? * interval '1 minute')}, undef, @_
        )
    };
    $add->($u, 'fence', 60);
    $add->($v, 'copy', 60);
    $add->($w, 'copy', 0);
    my %found =
        map { $_ => 1 } @{ $db{us}->selectcol_arrayref('select user_id from punit.unfinished()') };
    is_deeply [map { $found{$_} // 0 } $u, $v, $w], [1, 0, 0],
        'FENCE may have been sent for the first';
    $db{us}->do('select punit.tidy(600)');
    is_deeply [
        map { one($db{us}, 'select coalesce(result, phase) from punit.move where user_id = ?', $_) }
            $u,
        $v, $w
        ],
        ['fence', 'copied', 'copy'], 'only the old warm copy is closed';
    my $t = row($db{us}, 'select * from punit.task(?)', $u);
    is "$t->{state} $t->{ver} $t->{phase} $t->{unit}", 'COPY -1 fence eu',
        'and the mover is told where to go on';
    };

subtest
    'a unit that is away delays only its own users: the sweeper finds the others behind them'
    => sub {
    my ($late, $wanted) = map { one($db{eu}, 'select gen_random_uuid()') } 1, 2;
    $db{eu}->begin_work;
    $db{eu}->do(q{insert into punit.own (user_id, state, epoch, ver, fork, fence_to, fence_epoch,
            touched_at)
        select gen_random_uuid(), 'FENCED', 1, 0, gen_random_uuid(), 'us', 2,
            now() - interval '2 hours' from generate_series(1, 1100)});
    $db{eu}->do(q{insert into punit.own (user_id, state, epoch, ver, fork, fence_to, fence_epoch,
            touched_at)
        values (?, 'FENCED', 1, 0, gen_random_uuid(), 'ap', 2, now() - interval '1 hour')},
        undef, $late);
    $db{eu}->do(q{insert into punit.move (user_id, from_unit, to_unit, phase, started_at)
        select gen_random_uuid(), 'us', 'eu', 'wanted', now() - interval '2 hours'
            from generate_series(1, 10100)});
    $db{eu}->do(
        q{insert into punit.move (user_id, from_unit, to_unit, phase)
            values (?, 'ap', 'eu', 'wanted')},
        undef, $wanted);
    my %hanging =
        map { $_ => 1 } @{ $db{eu}->selectcol_arrayref('select user_id from punit.hanging(1)') };
    my %unfinished =
        map { $_ => 1 } @{ $db{eu}->selectcol_arrayref('select user_id from punit.unfinished()') };
    $db{eu}->rollback;
    ok $hanging{$late}, 'a user fenced to another unit';
    cmp_ok scalar keys %hanging, '<=', 1001, 'and not all at once of the one that is away';
    ok $unfinished{$wanted}, 'a move that comes from another unit';
    };

subtest 'the unit to talk to is that of the highest epoch' => sub {
    my $u = user();
    my $unit = sub { row($db{us}, 'select * from punit.task(?, ?, ?)', $u, @_)->{unit} };
    is $unit->('eu', 1), 'eu', 'what a request said, as nothing is known here';
    $db{us}->do(q{insert into punit.home values ('ap', ?, 3)}, undef, $u);
    is $unit->('eu', 1), 'ap', 'the directory knows a later owner';
    is $unit->('eu', 4), 'eu', 'a request knows a later one';
};

subtest 'a peer has no rights but the messages and the reading of users\' rows' => sub {
    my $h = at('eu', 'us');
    for my $sql (
        'update punit.own set epoch = 9', 'delete from note.item',
        'select punit.retire_to(gen_random_uuid(), \'us\', 2)',
        'select punit.settle(gen_random_uuid(), \'us\', 2, \'REFUSED\')',
        'select punit.erased(gen_random_uuid(), 1)',
        'select punit.request_move(gen_random_uuid(), \'us\')', 'select * from punit.peer'
        )
    {
        ok !eval { $h->do($sql); 1 } && $h->state eq '42501', $sql;
    }
};

$_->disconnect for values %link, values %db;
done_testing;
