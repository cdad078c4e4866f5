#!/usr/bin/perl
# The check of the words (t/lint/prose) finds what it is meant to find, and nothing else.
use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use Punit::File qw(spew);
use Punit::Server qw(directory);

my $prose = "$FindBin::Bin/../lint/prose";
my $dir = directory('prose');

# What the check says about a file of this name and text, without the name, and its exit code.
sub said {
    my ($name, $text) = @_;
    spew("$dir/$name", $text);
    my $said = qx('$prose' '$dir/$name');
    return ($said =~ s/^\Q$dir\E\/$name://mgr, $? >> 8);
}

my $long = join ' ', 'A', ('word') x 35;
my @wrong = (
    ['a.md', "# A\n\nIt is\nhis turn.\n", qr/^4: "his": /, 'a pronoun in a document'],
    ['a.md', "| a |\n|---|\n| Who asks |\n", qr/^3: "Who": /, '"who" as a subject in a cell'],
    ['a.md', "A word.\n" x 18 . "$long.\n" x 5, qr/5 % of the/, 'many long sentences'],
    ['a.md', "One two; three.\n" x 30, qr/^1: 1\.00 semi/, 'semicolons'],
    ['a.md', "$long.\n" x 30, qr/^1: median/, 'a long median'],
    [
        'a.c', "int a;\n/*\n * One.\n * He left.\n */\n", qr/^4: "He": /,
        'a pronoun in a comment of C'
    ],
    ['a.c', "/* $long. */\n", qr/^1: a sentence/, 'a long sentence in a comment'],
    [
        'a.sql', "comment on table a is\n    'whose is none';\n", qr/^2: "is none": /,
        'a comment of SQL'
    ],
    ['a.sql', "select 1;    -- whom it asks\n", qr/^1: "whom": /, 'a remark of SQL'],
    ['a.pl', "my \$a;    # whoever it is\n", qr/^1: "whoever": /, 'a comment of Perl'],
    ['a.t', "is 1, 1, 'who asks is told';\n", qr/^1: "Who": /, 'the name of a test'],
    ['a.t', "is 1, 1,\n    'he is told';\n", qr/^2: "He": /, 'a pronoun in the name of a test'],
    ['a.yaml', "a:\n  description: >-\n    For him.\n", qr/^3: "him": /, 'a description of YAML'],
);
for (@wrong) {
    my ($name, $text, $message, $what) = @$_;
    my ($said, $exit) = said($name, $text);
    like($said, $message, "$what is found");
    is($exit, 1, "$what fails the check");
}

my @right = (
    ['a.md', "The user asks `his` unit.\n\n    he --his\n\n```\nhim\n```\n", 'code in a document'],
    ['a.c', "const char *he = \"/* his */\";\n", 'a text of C'],
    ['a.pl', "my \$his = '# he';\n", 'a name of Perl'],
    ['a.t', "one('select who from a where he = his');\n", 'SQL in a test'],
    ['a.md', "Who decides? The arbiter.\n", 'a question'],
);
for (@right) {
    my ($name, $text, $what) = @$_;
    is_deeply([said($name, $text)], ['', 0], "$what is let pass");
}

done_testing;
