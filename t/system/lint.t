#!/usr/bin/perl
# `make lint` fails on each fault that it is there for, and names file and line.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use File::Basename qw(dirname);
use File::Path qw(make_path);
use Test::More;

use Punit::Command qw(capture);
use Punit::File qw(append slurp spew);
use Punit::Server qw(directory);
use Punit::Tree qw(root);

my $dir = directory('lint');

# A copy of the tree as git knows it, so that nothing here touches the tree itself.
my ($listed, $list) =
    capture('git', '-C', root(), 'ls-files', '--cached', '--others', '--exclude-standard');
plan skip_all => 'not a clone' if $listed;
for my $file (grep { -f root() . "/$_" } split /\n/, $list) {
    make_path(dirname("$dir/$file"));
    spew("$dir/$file", slurp(root() . "/$file"));
    chmod 0755, "$dir/$file" if -x root() . "/$file";
}

# Runs one check over one file of the copy. Returns whether it failed, and the lines that it
# printed.
sub lint {
    my ($check, $file) = @_;
    my ($status, $said) = capture('make', '-s', '-C', $dir, "lint-$check", "FILES=$file");
    return ($status != 0, split /\n/, $said);
}

# A file of the copy, changed by a sub for as long as the check takes: the check names it.
sub found {
    my ($check, $file, $change, $message, $name) = @_;
    my $text = slurp("$dir/$file", absent => undef);
    my (undef, @before) = defined $text ? lint($check, $file) : ();
    my %before = map { $_ => 1 } @before;
    $change->("$dir/$file");
    my ($failed, @said) = lint($check, $file);
    defined $text ? spew("$dir/$file", $text) : unlink "$dir/$file";
    my @new = grep { !$before{$_} } @said;
    my ($line) = map { /^\Q$file\E:(\d+): $message/ ? $1 : () } @new;
    ok $failed && defined $line, $name or diag join "\n", @new[0 .. ($#new < 9 ? $#new : 9)];
    return;
}

sub line {
    my ($text) = @_; return sub { append($_[0], "$text\n") }
}

my $long = 'x' x 101;
my $service = 'workers/profile/profile.c';
my $module = 'ngx_punit_module/ngx_http_punit_module.c';

found(width => $service, line("/* $long */"), 'the line has 107 columns, more than 100',
    'a long line in C');
found(
    width => $module, line('/* ' . 'x' x 74 . ' */'), 'the line has 80 columns, more than 79',
    'a line of the module that is longer than those of NGINX'
);
found(width => $_, line("-- $long"), 'the line has 104 columns', "a long line in $_")
    for 'sql/900.sql', 't/sql/guard.t', 'demo/units';

found(spacing => $service, line('int x; '), 'a blank ends the line',
    'a blank at the end of a line');
found(spacing => $service, line("\tint x;"), 'a tab', 'a tab');
found(
    spacing => $_, line("\n\nint\nf(void)\n{\n    return 0;\n}\n\nint x;"),
    '1 blank lines after a function',
    "one blank line after a function in $_"
    )
    for $service, $module;

found(size => $service, line("int x;\n" x 700), 'the file has \d+ lines, more than 600',
    'a file of more than 600 lines');

found(format => $_, line("\n\nint\nf(void)\n{\n  return 0;\n}"), 'not in the format',
    "a wrong indent in $_")
    for $service, 'punitctl/main.c';

found(
    includes => 'workers/lib/base/clock.c', line('#include "lib/pg/pool.h"'),
    'includes lib/pg/pool.h',
    'a base that includes the database'
);
found(
    includes => 'workers/lib/http/route.c', line('#include "auth/auth.h"'),
    'includes auth/auth.h, but lib knows no service',
    'a library that includes a service'
);
found(
    includes => $service, line('#include "auth/auth.h"'),
    'includes auth/auth.h, but a service knows itself',
    'a service that includes another one'
);
found(
    includes => $service, line('#include <ngx_http_punit_jwt.h>'), 'includes ngx_http_punit_jwt.h',
    'a service that includes the module'
);
found(includes => 'punitctl/main.c', line('#include "mover/mover.h"'), 'includes mover/mover.h',
    'punitctl that includes the mover');
found(includes => $service, line('#include <stdio.h>'), '<stdio.h> after a header in ""',
    'headers in the wrong order');

found(critic => 't/lib/Punit/Wait.pm', line("open my \$f, '<', 'x';"),
    'Return value of "open" ignored', 'an open that is not checked');

my @fixed = (
    ['$select->can_read(10);', 'a wait of fixed length'],
    ['HTTP::Tiny->new(timeout => 15);', 'a time-out of fixed length'],
    [q{ctl('drain', '--within', '60');}, 'a fixed --within'],
    [q{curl('--max-time', 10);}, 'a fixed --max-time'],
    ['while (!$done && time < $end) { }', 'a loop with a fixed deadline'],
    [q{cmp_ok time - $start, '<', 2, 'soon';}, 'a limit of time that is tried once'],
);
found(deadlines => 't/worker/log.t', line($_->[0]), $_->[1], "$_->[1] in a test") for @fixed;

found(
    folders => 'workers/lib/new/new.c',
    sub { make_path(dirname($_[0])); spew($_[0], "int x;\n") },
    'no row of CONTRIBUTING.md names the folder workers/lib/new/',
    'a folder that no row describes'
);
found(folders => 'CONTRIBUTING.md', line('| `workers/gone/` | nothing |'),
    'workers/gone/ is no folder', 'a row of a folder that is gone');

found(services => 'conf/services', line('profile /again'), 'profile is listed twice',
    'a service that is listed twice');
found(services => 'conf/services', line('nowhere /nowhere'), 'workers/nowhere has no C file',
    'a service without a folder');
found(prose => $service, line('/* He asks. */'), '"He": ', 'a word that names nobody');

{
    my ($failed, @said) = do {
        append("$dir/.ci/run", "rm \$undefined/*\n");
        lint('shell', '.ci/run');
    };
    ok $failed && grep({/\.ci\/run line \d+/} @said), 'a shell script with a fault';
}

done_testing;
