package Punit::Wait;

# Waiting for what another process does: never by a pause that ought to be long enough.

use strict;
use warnings;
use Exporter qw(import);
use Time::HiRes qw(time sleep);

our @EXPORT_OK = qw(wait_until);

# Asks the condition until it is true, at most so many seconds (15); gives what it said last.
sub wait_until {
    my ($condition, $seconds) = @_;
    my $end = time + ($seconds // 15);
    my $value;
    until ($value = $condition->()) {
        return $value if time >= $end;
        sleep 0.01;
    }
    return $value;
}

1;
