package Punit::Wait;

# Waiting for another process. A test waits for a condition and never pauses for a fixed time.
#
# Deadlines are written for an idle machine. They stretch with its load here and nowhere else. What
# a test asserts about durations does not stretch (Punit::Tries).
#
#   wait_until(sub { -e $file }, 5) or die;
#   $units->punitctl('eu', 'drain', 'eu', '--within', patience(60));

use strict;
use warnings;
use Exporter qw(import);
use POSIX qw(ceil);
use Time::HiRes qw(time sleep);

use Punit::File qw(slurp);

# MOST: two runs of all tests on two processors bring a load of 20, ten for a processor
use constant { MOST => 12, PAUSE => 0.01 };

our @EXPORT_OK = qw(patience wait_until);

my $processors = () = slurp('/proc/cpuinfo', absent => 'processor') =~ /^processor/mg;

# How long a deadline of so many seconds lasts now, in whole seconds: the longer, the more processes
# share a processor. The load average is late by a minute, so what runs now counts as well.
sub patience {
    my ($seconds) = @_;
    my ($load, $runs) = slurp('/proc/loadavg', absent => '0 0 0 0/0') =~ m{^(\S+) \S+ \S+ (\d+)/};
    my $factor = ($load > $runs ? $load : $runs) / ($processors || 1);
    return ceil($seconds * ($factor < 1 ? 1 : $factor > MOST ? MOST : $factor));
}

# Asks the condition until it is true, for at most so many seconds (15). Returns its last value.
sub wait_until {
    my ($condition, $seconds) = @_;
    my $start = time;
    my $value;
    until ($value = $condition->()) {
        my $waited = time - $start;
        return $value if $waited >= ($seconds // 15) && $waited >= patience($seconds // 15);
        sleep PAUSE;
    }
    return $value;
}

1;
