package Punit::Tree;

# Where the source and what was built of it are.

use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);

our @EXPORT_OK = qw(module program root);

my $root = abs_path(dirname(__FILE__) . '/../../..');

sub root { return $root }

# A built program. PUNIT_BIN names another folder of them (build/san/bin).
sub program {
    my ($name) = @_;
    return ($ENV{PUNIT_BIN} // "$root/build/bin") . "/$name";
}

# The built module. PUNIT_MODULE names another one; '' says that NGINX has it built in.
sub module { return $ENV{PUNIT_MODULE} // "$root/build/ngx_http_punit_module.so" }

1;
