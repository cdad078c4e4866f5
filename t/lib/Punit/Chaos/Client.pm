package Punit::Chaos::Client;

# A process that appends unique ids to lists of users and reads them back, through any unit. It
# writes a JSON line for each append that is acknowledged or given up, for each read, and for each
# answer that is not 200 or 201.
#
#   my $pid = Punit::Chaos::Client::run(units => {eu => port...}, users => [{id, token}...],
#       file => ..., seed => ...,
#       pause => [20, 80]);
#   kill TERM => $pid;      # it finishes what it has begun (for at most `finish` seconds), and ends

use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP ();
use POSIX ();
use Punit::Wait qw(patience);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->canonical;

sub run {
    my (%o) = @_;
    my $parent = $$;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    my $ok = eval { _work(%o, parent => $parent); 1 };
    print STDERR "client: $@" if !$ok;
    POSIX::_exit($ok ? 0 : 1);
}

sub _work {
    my (%o) = @_;
    my $stop = 0;
    local $SIG{TERM} = sub { $stop ||= time };
    srand($o{seed});
    open my $log, '>', $o{file} or die "$o{file}: $!";
    $log->autoflush(1);
    my @units = sort keys %{ $o{units} };
    my $http = HTTP::Tiny->new(timeout => patience(20), keep_alive => 1, max_redirect => 0);
    my ($from, $to) = @{ $o{pause} // [20, 80] };
    my $number = 0;
    my $say = sub { print {$log} $json->encode({@_}), "\n" };

    my $ask = sub {
        my ($user, $unit, $method, $path, $body, $key) = @_;
        my %headers = (authorization => "Bearer $user->{token}");
        $headers{'idempotency-key'} = $key if $key;
        my $with = { headers => \%headers };
        if ($body) {
            $with->{content} = $json->encode($body);
            $headers{'content-type'} = 'application/json';
        }
        my $began = time;
        my $answer = $http->request($method, "http://127.0.0.1:$o{units}{$unit}$path", $with);
        my $took = time - $began;
        $user->{token} = $answer->{headers}{'punit-token'} if $answer->{headers}{'punit-token'};
        if ($answer->{status} !~ /^20[01]$/) {
            my $what = eval {
                my $j = $json->decode($answer->{content}); join ' ',
                    grep {defined}
                    @$j{qw(type detail)}
            }
                // substr($answer->{content}, 0, 200);
            $say->(
                what => 'refused', user => $user->{id}, unit => $unit, method => $method,
                status => $answer->{status},
                why => $what, at => $began, took => $took,
                by => $answer->{headers}{'punit-unit'} // '',
                id => $answer->{headers}{'x-request-id'} // ''
            );
        }
        return ($answer, $began, $took);
    };

    while (!$stop && getppid() == $o{parent}) {
        my $user = $o{users}[rand @{ $o{users} }];
        # where the user is, and now and then at another unit
        $user->{at} = $units[rand @units] if !$user->{at} || rand() < ($o{cross} // 0.12);
        if (rand() < 0.65) {
            my $text = sprintf '%s %d-%d', substr($user->{id}, 0, 8), $$, ++$number;
            my $began = time;
            my ($answer, $tries, $unit, $longest) = (undef, 0, $user->{at}, 0);
            while (1) {
                ($answer, undef, my $took) =
                    $ask->($user, $unit, POST => '/social/posts', { text => $text }, $text);
                $tries++;
                last
                    if $answer->{status} == 201
                    || $answer->{status} !~ /^5/
                    || ($stop && time > $stop + ($o{finish} // 40));
                return if getppid() != $o{parent};
                sleep 0.1 + rand 0.2;
                # another front may be up; the key makes it the same request
                $unit = $units[rand @units] if rand() < 0.5;
            }
            my $right = $answer->{status} == 201
                && eval { $json->decode($answer->{content})->{text} eq $text };
            $say->(
                what => 'append', user => $user->{id}, text => $text,
                acked => $answer->{status} == 201 ? 1 : 0,
                right => $right ? 1 : 0, at => $began, done => time, tries => $tries, unit => $unit,
                route => $answer->{headers}{'punit-route'} // ''
            );
        }
        else {
            my ($answer, $began, $took) =
                $ask->($user, $user->{at}, GET => '/social/feed?limit=500');
            if ($answer->{status} == 200) {
                my $page = eval { $json->decode($answer->{content}) } // {};
                $say->(
                    what => 'read', user => $user->{id}, unit => $user->{at}, at => $began,
                    took => $took,
                    route => $answer->{headers}{'punit-route'} // '',
                    by => $answer->{headers}{'punit-unit'} // '',
                    whole => $page->{items} && !$page->{next} ? 1 : 0,
                    texts => [map { $_->{text} } @{ $page->{items} // [] }]);
            }
        }
        sleep(($from + rand($to - $from)) / 1000);
    }
    close $log;
}

1;
