package Punit::Services;

# The services of a unit, as conf/services lists them.
#
#   use Punit::Services qw(services);
#   services()                          # auth profile ...

use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);

our @EXPORT_OK = qw(services);

my $list = abs_path(dirname(__FILE__) . '/../../../conf/services');

sub services {
    open my $file, '<', $list or die "$list: $!";
    return map { /^(\w+)/ ? $1 : () } <$file>;
}

1;
