# How soon the peers show a coach's change: from the answer to the PUT until the peer's front
# answers the new text. Peers and writer read all the while. And how soon 50,000 rows of one
# transaction are there.

use strict;
use warnings;
use JSON::PP qw(encode_json);
use Time::HiRes qw(sleep time);

use Punit::Bench::Times;
use Punit::Client;
use Punit::Units;
use Punit::User;

use constant { CHANGES => 60, ROWS => 50_000, LIMIT => 20 };

my %exercise = (level => 'beginner', category => 'strength');

sub coach {
    my ($units) = @_;
    my $coach = Punit::User->register($units, 'us');
    $units->dbh('us')->do(q(select auth.grant_role(?, 'coach')), undef, $coach->id);
    my $login = $units->http('us', POST => '/auth/login', undef,
        { email => $coach->email, password => 'correct horse battery' });
    return $login->{json}{access_token} // die "login: $login->{status} $login->{content}";
}

# Milliseconds of each change to each peer.
sub changes {
    my ($client, $header, $path) = @_;
    my @ms;
    for (1 .. CHANGES) {
        my $name = 'Change ' . rand;
        my $answer = $client->{us}->request(
            PUT => $path, headers => [@$header, 'Content-Type' => 'application/json'],
            body => encode_json({ %exercise, name => $name }));
        $answer->{status} == 200 or die "PUT: $answer->{status} $answer->{body}\n";
        my $start = time;
        my %late = (eu => 1, ap => 1);
        while (%late) {
            time < $start + LIMIT or die "not at @{[keys %late]} in @{[LIMIT]} s\n";
            for my $unit (keys %late) {
                next
                    if ($client->{$unit}->request(GET => $path, headers => $header)->{json}{name}
                    // '') ne $name;
                push @ms, (time - $start) * 1000;
                delete $late{$unit};
            }
        }
    }
    return @ms;
}

my $imports = 0;

# The generation of the rows that us wrote, at a unit.
sub generation {
    my ($units, $unit) = @_;
    return $units->dbh($unit)
        ->selectrow_array(
        q{select coalesce(max(gen), 0) from punit.generation where service = 'training'
            and origin_unit = 'us'}
        );
}

# Milliseconds from the commit until each peer has all of them.
sub import_rows {
    my ($units) = @_;
    my $category = 'bulk-' . ++$imports;
    my %late = map { $_ => generation($units, $_) } qw(eu ap);
    $units->dbh('us')->do(
        q{insert into training.exercise (slug, name, level, category)
            select $2::text || '-' || i, 'Bulk ' || i, 'expert', $2
        from generate_series(1, $1::int) i}, { pg_placeholder_dollaronly => 1 }, ROWS, $category
    );
    my $start = time;
    my @ms;
    while (%late) {
        time < $start + 60 or die "not at @{[keys %late]} in 60 s\n";
        sleep 0.01;
        # It rises with the rows. A repeated search for the rows would scan uncommitted ones.
        for my $unit (grep { generation($units, $_) != $late{$_} } keys %late) {
            push @ms, (time - $start) * 1000;
            delete $late{$unit};
        }
    }
    for my $unit (qw(eu ap)) {
        my ($rows) =
            $units->dbh($unit)
            ->selectrow_array('select count(*) from training.exercise where category = ?', undef,
            $category);
        $rows == ROWS or die "$rows rows at $unit\n";
    }
    return @ms;
}

return {
    names => [qw(coherence-p50 coherence-p99 import)],
    prepare => sub {
        my ($dir) = @_;
        my $units = Punit::Units->start(units => [qw(eu us ap)]);
        my $token = coach($units);
        my @header = (Authorization => "Bearer $token");
        my %client = map { $_ => Punit::Client->new($units->port($_)) } qw(eu us ap);
        my $made = $units->http('us', POST => '/training/exercises', $token,
            { %exercise, name => 'Change' });
        $made->{status} == 201 or die "POST: $made->{status} $made->{content}";
        my $path = "/training/exercises/$made->{json}{id}";

        return (
            Punit::Bench::Times->new(
                what => 'PUT at us until a peer answers the new text', limit => 1000,
                measure => sub { return changes(\%client, \@header, $path) },
                rows => [map { { name => "coherence-p$_", percentile => $_ } } 50, 99],
            ),
            Punit::Bench::Times->new(
                what => ROWS . ' rows of one transaction, at a peer', limit => 3000,
                measure => sub { return import_rows($units) },
                rows => [{ name => 'import', percentile => 100 }],
            ),
        );
    }
};
