package Punit::Services;

# The services of a unit, as conf/services lists them.
#
#   use Punit::Services qw(services);
#   services()                          # auth profile ...

use strict;
use warnings;
use Exporter qw(import);

use Punit::Tree qw(root);

our @EXPORT_OK = qw(services);

my $list = root() . '/conf/services';

sub services {
    open my $file, '<', $list or die "$list: $!";
    return map { /^(\w+)/ ? $1 : () } <$file>;
}

1;
