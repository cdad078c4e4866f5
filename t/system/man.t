#!/usr/bin/perl
# What `make install` puts beside the programs: manual pages, completion and schemas. They come from
# the table of verbs and from conf/unit.env, and name everything that is there.
use strict;
use warnings;
use Fcntl qw(:flock);
use FindBin ();
use lib "$FindBin::Bin/../lib";
use JSON::PP qw(decode_json);
use Test::More;

use Punit::Command qw(capture);
use Punit::File qw(slurp spew);
use Punit::Schema;
use Punit::Server qw(directory);
use Punit::Tree qw(root);

my $dir = directory('man');
my $share = "$dir/usr/share";

mkdir root() . '/build';
open my $lock, '>>', root() . '/build/.lock' or die "build/.lock: $!";
flock $lock, LOCK_EX;
my ($status, $said) =
    capture('make', '-s', '-C', root(), 'install-workers', 'prefix=/usr', "DESTDIR=$dir");
close $lock;
is($status, 0, 'make install-workers') or BAIL_OUT($said);

my $ctl = "$dir/usr/bin/punitctl";
my $table = decode_json((capture($ctl, 'help', '--json'))[1]);
my @verbs = map { $_->{verb} } @{ $table->{verbs} };
my @general = map {"--$_->{name}"} @{ $table->{options} };
my @programs = map {m{/(punit-[^/]+)$}} glob "$dir/usr/bin/punit-*";

# A page as a reader sees it, without the marks of bold type.
sub page {
    my ($file) = @_;
    my ($code, $text) = capture('mandoc', '-T', 'utf8', '-O', 'width=200', $file);
    return $text =~ s/.\x08//gr =~ s/\x{e2}\x{80}\x{90}\n\s*//gr;
}

my @pages = glob "$share/man/man*/*";
my %page = map { m{([^/]+)$} ? ($1 => page($_)) : () } @pages;
is_deeply(
    [sort keys %page],
    [sort 'punitctl.1', 'unit.env.5', 'punit.7', map {"$_.8"} @programs],
    'the command, the settings, the system and each daemon has a page'
);

subtest 'mandoc finds no fault in a page' => sub {
    for my $file (@pages) {
        my ($code, $found) = capture('mandoc', '-T', 'lint', '-W', 'style', $file);

        # it looks for other pages in the system, and the next test looks for them here
        $found = join '', grep { !/referenced manual not found/ } split /^/, $found;
        is($found, '', $file =~ s{.*/}{}r);
    }
};

subtest 'a page that another one refers to is there' => sub {
    for my $file (@pages) {
        my @missing;
        my $text = slurp($file);
        push @missing, "$1.$2" while $text =~ /^(?:[.]It )?[.]?Xr (\S+) (\d)/mg && !$page{"$1.$2"};
        is("@missing", '', $file =~ s{.*/}{}r);
    }
};

subtest 'punitctl(1) has each verb with each of its options' => sub {
    my ($all) = $page{'punitctl.1'} =~ /^VERBS\n(.*?)^ENVIRONMENT/ms;
    my %section = $all =~ /^   (\S.*)\n((?:(?:     .*)?\n)*)/mg;
    my ($head) = $page{'punitctl.1'} =~ /^DESCRIPTION\n(.*?)^VERBS/ms;
    like($head, qr/^\s+\Q$_\E\b/m, "$_, of every verb") for @general;
    for my $verb (@{ $table->{verbs} }) {
        my $title = $verb->{verb} . ($verb->{operands} ne '' ? " $verb->{operands}" : '');
        my @missing = grep { ($section{$title} // '') !~ /^\s+--$_\b/m }
            map { $_->{name} } @{ $verb->{options} };
        ok(exists $section{$title} && !@missing, $title) or diag("@missing");
    }
};

subtest 'a verb that is the superuser of the database says so' => sub {
    my @others = grep { !$_->{superuser} } @{ $table->{verbs} };
    is_deeply(
        [sort map { $_->{verb} } @others],
        [sort 'ca init', 'ca unit', qw(certificates completion drain help man peer)],
        'these verbs are not'
    );
    my ($all) = $page{'punitctl.1'} =~ /^VERBS\n(.*?)^ENVIRONMENT/ms;
    my %section = $all =~ /^   (\S.*)\n((?:(?:     .*)?\n)*)/mg;
    for my $verb (@{ $table->{verbs} }) {
        my $title = $verb->{verb} . ($verb->{operands} ne '' ? " $verb->{operands}" : '');
        my $help = (capture($ctl, split(' ', $verb->{verb}), '--help'))[1];
        is_deeply([map { /superuser of/ ? 1 : 0 } $help, $section{$title} // ''],
            [($verb->{superuser} ? 1 : 0) x 2], $verb->{verb});
    }
};

subtest 'no verb has an option twice' => sub {
    for my $verb (@{ $table->{verbs} }) {
        my %count;
        $count{$_}++ for @general, map {"--$_->{name}"} @{ $verb->{options} };
        is(join(' ', grep { $count{$_} > 1 } sort keys %count), '', $verb->{verb});
    }
};

subtest 'unit.env(5) has each setting of the example, and its explanation' => sub {
    my $example = slurp("$share/punit/conf/unit.env");
    my @settings = $example =~ /^(?:# )?(PUNIT_\w+=(?:"[^"]*"|\S*))/mg;
    cmp_ok(scalar @settings, '>', 30, 'the example has settings');
    like($page{'unit.env.5'}, qr/^\s+\Q$_\E(?:\s|$)/m, $_) for @settings;
    my $flat = lc $page{'unit.env.5'} =~ s/\s+/ /gr;
    my @lost;
    for my $comment ($example =~ /^# (?!PUNIT_\w+=)(?:---- )?(\S.*)$/mg) {
        my @words = grep {/^\w+$/} split ' ', lc $comment;
        push @lost, $comment if grep { index($flat, $_) < 0 } @words;
    }
    is("@lost", '', 'no comment of the example is lost');
};

subtest 'bash completes verbs, options and files' => sub {
    my $script = "$share/bash-completion/completions/punitctl";
    is(slurp($script), (capture($ctl, 'completion', 'bash'))[1],
        'the installed file is what punitctl prints');
    my $complete = sub {
        my @words = @_;
        my $line = join ' ', map {"'$_'"} 'punitctl', @words;
        my ($code, $found) = capture(
            'bash', '-c',
            "set -u; cd $dir; source $script; COMP_WORDS=($line); COMP_CWORD=" . @words
                . '; compopt() { :; }; _punitctl; printf "%s\n" ${COMPREPLY[@]+"${COMPREPLY[@]}"}'
        );
        return { map { $_ => 1 } split /\n/, $found };
    };
    my %first = map { (split ' ', $_)[0] => 1 } @verbs;
    is_deeply($complete->(''), \%first, 'the first words of all verbs');
    my %group;
    for (grep {/ /} @verbs) { my ($group, $word) = split; $group{$group}{$word} = 1 }
    for my $group (sort keys %group) {
        my $found = $complete->($group, '');
        my @missing = grep { !$found->{$_} } sort keys %{ $group{$group} };
        is("@missing", '', "the verbs of $group");
    }
    for my $verb (@{ $table->{verbs} }) {
        my $found = $complete->(split(' ', $verb->{verb}), '-');
        is_deeply([sort keys %$found],
            [sort '-h', @general, map {"--$_->{name}"} @{ $verb->{options} }],
            "the options of $verb->{verb}");
    }
    is_deeply($complete->('st'), { status => 1 }, 'a word that is begun');
    is_deeply($complete->('keys', 'ro'), { rotate => 1 }, 'and the second one');
    spew("$dir/a-file", '');
    ok($complete->('unit', 'add', 'a-f')->{'a-file'}, 'a file as an operand');
    ok($complete->('unit', 'init', 'eu', '--cert', 'a-f')->{'a-file'}, 'a file after an option');
    is_deeply($complete->('status', '--dir', 'a-f'), {}, 'no file where a directory is wanted');
    ok($complete->('status', '--dir', '=', 'us')->{usr}, 'a directory after --dir=');
    is_deeply($complete->('moves', '--user', ''), {}, 'no user: that would ask the database');
    ok($complete->('import', 'ex')->{exercises}, 'a word that stands for itself');
};

subtest 'each verb has a schema of good form, and the kinds of errors are listed' => sub {
    is_deeply([sort(Punit::Schema::verbs())], [sort @verbs],
        'each verb has a schema, and each schema a verb');
    for my $verb (Punit::Schema::verbs()) {
        is(join(', ', Punit::Schema->new($verb)->errors), '', $verb);
        ok(-e "$share/punit/schema/" . ($verb =~ tr/ /-/r) . '.json', 'it is installed');
    }
    my %used = map { $_ => 1 } 'failed', 'usage';
    for my $file (glob root() . '/punitctl/*.c ' . root() . '/punitctl/*/*.c') {
        my $text = slurp($file);
        for my $call ($text =~ /output_problem\((.*?)\);/gs) {
            my ($name) = split /,/, $call;
            $used{$_} = 1 for $name =~ /"([^"]*)"/g;
        }
    }
    is_deeply([sort keys %used], [sort(Punit::Schema::kinds())], 'the kinds in the source');
};

subtest 'a misuse is one line that says what was meant' => sub {
    my @case = (
        [['mvoe'], 'there is no verb mvoe; did you mean `move`?'],
        [['mehs', 'status'], 'there is no verb mehs status; did you mean `mesh status`?'],
        [['keys'], 'keys is no verb by itself; keys: list, rotate, sync, retire'],
        [['keys', 'lst'], 'there is no verb keys lst; keys: list, rotate, sync, retire'],
        [['help', 'mvoe'], 'there is no verb mvoe; did you mean `move`?'],
        [['frobnicate'], 'there is no verb frobnicate; `punitctl help` lists them'],
        [['--dir', '/', 'status'],
            'the verb comes first, before --dir; `punitctl help` lists the verbs'],
        [['status', '--dri', '/'], 'status has no option --dri; did you mean `--dir`?'],
        [['status', '--frobnicate'],
            'status has no option --frobnicate; see `punitctl status --help`'],
        [['status', '-x'], 'status has no option -x; see `punitctl status --help`'],
        [['status', '--dir'], '--dir needs a value: DIR'],
        [['status', '--json=1'], '--json takes no value'],
        [['status', 'eu'], 'status: eu is one argument too many; it takes: none'],
        [['move'], 'move needs: USER'],
    );
    for my $case (@case) {
        my ($words, $line) = @$case;
        is_deeply([capture($ctl, @$words)], [2, "punitctl: $line\n"], "punitctl @$words");
    }
};

subtest 'help is on stdout when it is asked for' => sub {
    my $out = sub {
        my ($code, $text) =
            capture('sh', '-c', 'exec "$@" 2>/dev/null', 'sh', $ctl, @_);
        return ($code, $text);
    };
    my ($code, $list) = $out->('help');
    is($code, 0, 'help is no misuse');
    like($list, qr/^  \Q$_\E /m, "it lists $_") for @verbs;
    is_deeply([$out->('-h')], [0, $list], '-h prints it too');
    is_deeply([$out->('--help')], [0, $list], 'and --help');
    is_deeply([$out->()], [2, ''], 'without words it is a misuse, so stdout has nothing');
    is_deeply([capture($ctl)], [2, $list], 'and stderr has the list');
    for my $verb (@{ $table->{verbs} }) {
        my ($first, $text) = $out->(split(' ', $verb->{verb}), '-h');
        my @options = (@general, map {"--$_->{name}"} @{ $verb->{options} });
        my @missing = grep { $text !~ /^  $_\b/m } @options;
        ok($first == 0 && !@missing, "$verb->{verb} -h") or diag("@missing\n$text");
        is_deeply([$out->(split(' ', $verb->{verb}), '--help')], [0, $text], 'and --help');
        is_deeply([$out->('help', split(' ', $verb->{verb}))], [0, $text], 'and help');
    }
    my ($grouped, $text) = $out->('keys', '-h');
    ok($grouped == 0 && 4 == (() = $text =~ /^  keys /mg), 'of a group, -h lists its verbs');
};

done_testing();
