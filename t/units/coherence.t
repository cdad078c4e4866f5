#!/usr/bin/perl
# Reference data in whole units. A change is read at once where it was made and soon at the peers,
# and no older text after a newer one. After a flush of memcached PostgreSQL is asked once for each
# document. A large import arrives whole.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use IO::Socket::UNIX;
use POSIX ();
use Punit::Client;
use Punit::Units;
use Punit::User;
use Punit::Wait qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

my @units = qw(eu us ap);
my $units = Punit::Units->start;
my $coach = Punit::User->register($units, 'us');
$units->dbh('us')->do(q(select auth.grant_role(?, 'coach')), undef, $coach->id);
my $login = $units->http('us', POST => '/auth/login', undef,
    { email => $coach->email, password => 'correct horse battery' });
my $token = $login->{json}{access_token};
my @header = (Authorization => "Bearer $token");
my %exercise = (level => 'beginner', category => 'strength');

sub flush {
    my ($unit) = @_; return $units->memcached($unit, 'grid')->flush // die "grid of $unit: $!"
}

# Runs a piece of work beside the test until it is told to end; what it prints is its result.
sub beside {
    my ($work) = @_;
    my $pid = open(my $from, '-|') // die "fork: $!";
    if (!$pid) {
        my $end = 0;
        local $SIG{TERM} = sub { $end = 1 };
        eval {
            $work->(sub {$end}); 1
        } or print "died: $@";
        STDOUT->flush;
        POSIX::_exit(0);
    }
    return { pid => $pid, from => $from };
}

sub result {
    my ($run) = @_;
    kill TERM => $run->{pid};
    my $from = $run->{from};
    my @lines = <$from>;
    close $from;
    chomp @lines;
    return @lines;
}

my $made =
    $units->http('us', POST => '/training/exercises', $token, { %exercise, name => 'Change 0' });
is $made->{status}, 201, 'a coach makes an exercise at us' or diag $made->{content};
my $path = "/training/exercises/$made->{json}{id}";
ok wait_until(
    sub {
        !grep { ($units->http($_, GET => $path, $token)->{json}{name} // '') ne 'Change 0' } @units
    },
    15
    ),
    'every unit reads it';

# Reads the document and the list that has it, over and over; prints what is wrong and how much was
# read.
sub reader {
    my ($unit) = @_;
    return beside(sub {
        my ($ended) = @_;
        my $client = Punit::Client->new($units->port($unit));
        my %newest = map { $_ => 0 } $path, '/training/exercises?q=change';
        my ($reads, $last) = (0, 0);
        until ($ended->()) {
            for my $what (sort keys %newest) {
                my $answer = $client->request(GET => $what, headers => \@header);
                my ($n) = $answer->{body} =~ /"Change (\d+)"/;
                if (!defined $n) {
                    print "$unit: $answer->{status} ", $answer->{error} // $answer->{body}, "\n";
                    next
                }
                $reads++;
                # what one path has shown the others may not undo
                print "$unit: $n after $last from $what\n" if $n < $last;
                $last = $n if $n > $last;
            }
        }
        print "read $reads $last\n";
    });
}

subtest
    'the author reads a change at once, each unit soon, and no unit goes back to an old text'
    => sub {
    my @readers = map { reader($_), reader($_) } @units;
    my $client = Punit::Client->new($units->port('us'));
    my ($unread, $n) = (0, 0);
    for (1 .. 100) {
        my $answer = $client->request(
            PUT => $path, headers => [@header, 'Content-Type' => 'application/json'],
            body => JSON::PP::encode_json({ %exercise, name => 'Change ' . ++$n }));
        $answer->{status} == 200 or $unread++, diag "PUT: $answer->{status} $answer->{body}";
        $answer = $client->request(GET => $path, headers => \@header);
        $unread++ if ($answer->{json}{name} // '') ne "Change $n";
        flush($units[$n / 10 % 3]) if $n % 10 == 0;
        sleep 0.02;
    }
    is $unread, 0, 'the coach has read each own change at once';
    ok wait_until(
        sub {
            !grep { ($units->http($_, GET => $path, $token)->{json}{name} // '') ne "Change $n" }
                @units
        },
        15
        ),
        'every unit has the last one';
    my @said = map { result($_) } @readers;
    my @reads = grep {/^read /} @said;
    is scalar(@reads), 6, 'six readers';
    is_deeply [grep { !/^read / } @said], [], "in turn: @reads";
    };

# executions of statements for a document, as PostgreSQL's log has them
sub executions {
    my ($unit, $id) = @_;
    my $log = $units->log_text($unit, 'postgres');
    return scalar(() = $log =~ /punit_training\S* DETAIL:  parameters: \$1 = '\Q$id\E'/g);
}

subtest 'memcached flushed while many read: PostgreSQL is asked once for each document' => sub {
    my @id = @{
        $units->dbh('eu')->selectcol_arrayref(
            'select id from training.exercise where retired_at is null order by id limit 12') };
    my $db = $units->dbh('eu');
    $db->do("alter system set log_statement = 'all'");
    $db->do('select pg_reload_conf()');
    ok wait_until(
        sub {
            $db->do("select 'mark of this test'"); $units->log_text('eu', 'postgres')
                =~ /mark of this test/
        },
        10
        ),
        'statements are logged';
    my @clients = map { Punit::Client->new($units->port('eu')) } 1 .. 96;
    my ($wrong, $rounds) = (0, 5);
    my %before = map { $_ => executions('eu', $_) } @id;
    for (1 .. $rounds) {
        flush('eu');
        sleep 0.03;    # a generation is kept for 10 ms
        $clients[$_]->send(GET => '/training/exercises/' . $id[$_ % @id], headers => \@header)
            for 0 .. $#clients;
        for my $i (0 .. $#clients) {
            my $answer = $clients[$i]->receive('GET');
            $wrong++ if $answer->{status} != 200 || $answer->{json}{id} ne $id[$i % @id];
        }
    }
    is $wrong, 0, 'all are answered';
    my @asked = map { executions('eu', $_) - $before{$_} } @id;
    $db->do('alter system reset log_statement');
    $db->do('select pg_reload_conf()');
    # none where the generation was there again so soon that NGINX's near cache still had the
    # document
    is_deeply [grep { $_ > $rounds } @asked], [],
        "$rounds flushes, 8 readers of each document: @asked";
    isnt scalar(grep { $_ > 0 } @asked), 0, 'and PostgreSQL is asked';
};

subtest
    '50,000 rows of one transaction are applied at the peers, and their documents are of after it'
    => sub {
    $units->dbh('us')->do(
        q{insert into training.exercise (slug, name, level, category)
            select 'bulk-' || i, 'Bulk ' || i, 'expert', 'bulk'
        from generate_series(1, 50000) i}
    );
    my $start = time;
    my $count = q{select count(*) from training.exercise where category = 'bulk'};
    for my $unit ('eu', 'ap') {
        ok wait_until(sub { $units->one($unit, $count) == 50000 }, 60), "$unit has them";
        note sprintf '%s: %.1f s', $unit, time - $start;
        ok wait_until(
            sub {
                @{
                    $units->http(
                        $unit, GET => '/training/exercises?category=bulk&limit=500', $token
                    )->{json}{items}
                } == 500
            },
            15
            ),
            'and shows them';
    }
    };

done_testing;
