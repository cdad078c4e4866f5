#!/usr/bin/perl
# Maintenance of a unit while clients write all the time: no request fails, and each acknowledged
# write is there once.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use IO::Select;
use JSON::PP ();
use Punit::Client;
use Punit::Command qw(beside);
use Punit::Services qw(services);
use Punit::Units;
use Punit::User;
use Punit::Wait qw(patience wait_until);
use Test::More;
use Time::HiRes qw(time);

# Users stay at eu, so that us forwards.
my $units = Punit::Units->start(
    units => ['eu', 'us'],
    env => { PUNIT_MOVE_QUIET => '1h', PUNIT_AUTH_ADDRESS_BURST => 10000 });
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
        push @wrong, wrong(GET => $answer) if $answer->{status} != 200;
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

sub starts {
    my ($unit, $process) = @_;
    my $n = () = $units->log_text($unit, $process) =~ / event=start(?:ed)? /g;
    return $n;
}

# SIGHUP, until the process has begun anew.
sub reload {
    my ($unit, $process) = @_;
    my ($pid, $starts) = ($units->pid($unit, $process), starts($unit, $process));
    kill HUP => $pid;
    ok wait_until(sub { starts($unit, $process) > $starts }), "$process of $unit begins anew";
    is $units->pid($unit, $process), $pid, 'in the same process';
    return;
}

sub reload_nginx {
    my ($unit) = @_;
    my $master = $units->pid($unit, 'nginx');
    my $workers = sub {
        open my $list, '<', "/proc/$master/task/$master/children" or return '';
        return readline($list) // '';
    };
    my %old = map { $_ => 1 } split ' ', $workers->();
    kill HUP => $master;
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
    reload('eu', $_) for services(), qw(gridd mover), services();
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

done_testing;
