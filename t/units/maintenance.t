#!/usr/bin/perl
# Maintenance of a unit while clients write all the time: no request fails, and each acknowledged
# write is there once. The lines of sv are those of doc/OPERATIONS.md.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use IO::Select;
use JSON::PP ();
use Punit::Client;
use Punit::Command qw(beside capture);
use Punit::File qw(append slurp);
use Punit::Machine::Document;
use Punit::Services qw(services);
use Punit::Tree qw(root);
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(time);

my $units =
    Punit::Units->start(units => ['eu', 'us'], env => { PUNIT_AUTH_ADDRESS_BURST => 10000 });
# Users stay at eu, so that us forwards: to a unit that is drained none comes.
{
    my ($status, $output) = $units->punitctl('us', 'drain', 'us');
    is $status, 0, 'us takes no users' or diag $output;
}
my %route = (eu => 'local', us => 'forward');
my $end = $units->dir . '/end';

# A client that finds its kept connection closed opens another one, as each client does.
sub refresh {
    my ($client, $kept) = @_;
    $client->close
        if !$kept || ($client->{socket} && IO::Select->new($client->{socket})->can_read(0));
    return $client;
}

# Asks until the file `end` is there. Gives [how many answers, texts of acknowledged posts, what
# was wrong].
sub write_posts {
    my ($user, $unit, $kept) = @_;
    my $client = Punit::Client->new($units->port($unit));
    my ($asked, @written, @wrong) = (0);
    until (-e $end) {
        my $text = "$unit $kept " . ++$asked;
        my $answer = refresh($client, $kept)->request(
            POST => '/social/posts', token => $user->token, body => qq({"text":"$text"}),
            headers => ['Content-Type' => 'application/json']);
        push @written, $text if $answer->{status} == 201;
        push @wrong, wrong(POST => $answer) if $answer->{status} != 201;
        $answer = refresh($client, $kept)->request(GET => '/profile', token => $user->token);
        my $route = $answer->{headers}{'punit-route'} // '';
        push @wrong, wrong("GET ($route)" => $answer)
            if $answer->{status} != 200 || $route ne $route{$unit};
    }
    return [$asked, \@written, \@wrong];
}

sub log_in {
    my ($user, $unit) = @_;
    my ($asked, @wrong) = (0);
    until (-e $end) {
        my $answer = Punit::Client->once(
            $units->port($unit), POST => '/auth/login',
            body => JSON::PP::encode_json(
                { email => $user->email, password => 'correct horse battery' }
            ),
            headers => ['Content-Type' => 'application/json']);
        $asked++;
        push @wrong, wrong(login => $answer) if $answer->{status} != 200;
    }
    return [$asked, [], \@wrong];
}

sub wrong {
    my ($what, $answer) = @_;
    my $id = $answer->{headers}{'x-request-id'} // '';
    return sprintf '%.3f %s: %s %s %s', time, $what, $answer->{status}, $answer->{error} // '', $id;
}

my %user = map { $_ => Punit::User->register($units, 'eu') } qw(eu us);
my %result = (
    (
        map {
            my $unit = $_;
            map { ("$unit $_" => beside(\&write_posts, $user{$unit}, $unit, $_)) } 0, 1
        } qw(eu us)
    ),
    logins => beside(\&log_in, $user{eu}, 'eu'),
);

# ---- the lines of sv

# How often each of them was run.
my %sv = map { $_->{line} => 0 }
    grep { $_->{line} =~ /^sv / }
    Punit::Machine::Document->new(root() . '/doc/OPERATIONS.md')->all;

# Runs one of them for processes of a unit, as root or as the user of the unit.
sub sv {
    my ($line, $unit, @processes) = @_;
    my @folders = map { $units->dir . "/$unit/sv/$_" } @processes;
    my ($verb, $folder) = $line =~ m{^sv (\w+)(?: DIR/sv/(\w+))?$};
    my $fits = !$folder || $folder eq 'NAME' || $folder eq "@processes";
    ok exists $sv{$line} && $fits, "the document has $line for @processes" or return;
    $sv{$line}++;
    my ($status, $output) = capture('sv', $verb, @folders);
    is $status, 0, "$line: @processes of $unit" or diag $output;
    return;
}

sub starts {
    my ($unit, $process) = @_;
    my $n = () = $units->log_text($unit, $process) =~ / event=start(?:ed)? /g;
    return $n;
}

# Runs the line, until each process has begun anew.
sub reload {
    my ($line, $unit, @processes) = @_;
    my %pid = map { $_ => $units->pid($unit, $_) } @processes;
    my %starts = map { $_ => starts($unit, $_) } @processes;
    sv($line, $unit, @processes);
    for my $process (@processes) {
        ok wait_until(sub { starts($unit, $process) > $starts{$process} }),
            "$process of $unit begins anew";
        is $units->pid($unit, $process), $pid{$process}, 'in the same process';
    }
    return;
}

sub environment {
    my ($unit, $process) = @_;
    return slurp('/proc/' . $units->pid($unit, $process) . '/environ') =~ tr/\0/\n/r;
}

sub reload_nginx {
    my ($unit) = @_;
    my $master = $units->pid($unit, 'nginx');
    my $workers = sub {
        open my $list, '<', "/proc/$master/task/$master/children" or return '';
        return readline($list) // '';
    };
    my %old = map { $_ => 1 } split ' ', $workers->();
    sv('sv hup DIR/sv/nginx', $unit, 'nginx');
    ok wait_until(
        sub {
            !grep { $old{$_} } split ' ', $workers->();
        },
        40
        ),
        "the workers of NGINX of $unit are new";
    return;
}

sub signing_kid {
    my $token = $units->http(
        'eu', POST => '/auth/login', undef,
        { email => $user{eu}->email, password => 'correct horse battery' })->{json}{access_token};
    require MIME::Base64;
    return JSON::PP::decode_json(MIME::Base64::decode_base64url((split /[.]/, $token)[0]))->{kid};
}

subtest 'each service, gridd and the mover' => sub {
    my @each = (services(), qw(gridd mover));
    reload('sv hup DIR/sv/NAME', 'eu', $_) for @each;
    append($units->dir . '/eu/unit.env', "PUNIT_LOG_TEST=read\n");
    reload('sv hup', 'eu', @each);
    is_deeply [grep { environment('eu', $_) !~ /^PUNIT_LOG_TEST=read$/m } @each], [],
        'unit.env is read, too';
};

subtest 'NGINX of the unit and of the peer' => sub {
    reload_nginx($_) for qw(eu us eu);
};

subtest 'two rotations of keys' => sub {
    for my $kid ('eu-2', 'eu-3') {
        my ($status, $output) = $units->punitctl('eu', 'keys', 'rotate');
        is $status, 1, "$kid waits for the peer";
        wait_until(
            sub { $units->one('us', 'select count(*) from punit.unit_key where kid = ?', $kid) });
        ($status, $output) = $units->punitctl('us', 'keys', 'sync');
        is $status, 0, "$kid is at the peer" or diag $output;
        wait_until(
            sub {
                $units->one(
                    'eu',
                    'select count(*) from punit.unit_key_held where kid = ? and origin_unit = ?',
                    $kid, 'us'
                );
            }
        );
        ($status, $output) = $units->punitctl('eu', 'keys', 'rotate');
        is $status, 0, "$kid is in place" or diag $output;
        like $output, qr/$kid signs from now on/, 'punitctl says that it signs';
        is signing_kid(), $kid, 'and that is so at once';
    }
};

open my $file, '>', $end or die "$end: $!";
close $file;
my %written;
for my $who (sort keys %result) {
    my ($asked, $written, $wrong) = @{ $result{$who}->() };
    is "@$wrong", '', "no request of $asked failed: $who";
    push @{ $written{ substr $who, 0, 2 } }, @$written;
}
for my $unit (qw(eu us)) {
    is_deeply [sort $user{$unit}->posts('eu')], [sort @{ $written{$unit} }],
        "each write of the user at $unit is there once";
}

# ---- what does not go without loss

sub status { return $units->http('eu', GET => '/social/feed', $user{eu}->token)->{status} }

subtest 'a process that is stopped' => sub {
    my $pid = $units->pid('eu', 'social');
    is status(), 200, 'the service answers';
    sv('sv restart', 'eu', 'social');
    my %seen;
    ok wait_until(sub { my $status = status(); $seen{$status}++; $status == 200 }),
        'the service answers again after a restart';
    delete @seen{ 200, 502 };
    is_deeply \%seen, {}, 'and its requests get 502 until then';
    isnt $units->pid('eu', 'social'), $pid, 'it is another process';
    sv('sv down', 'eu', 'social');
    ok wait_until(sub { !$units->pid('eu', 'social') }), 'sv down stops it';
    is status(), 502, 'and its requests get 502';
    $units->process('eu', 'social', 'up');
    ok wait_until(sub { status() == 200 }), 'until it is back';
};

is_deeply [grep { !$sv{$_} } sort keys %sv], [], 'no line of sv in the document is left';

done_testing;
