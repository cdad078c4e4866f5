# doc/DIRECTIVES.md against the source: none missing, none stale, and its examples are accepted.

use strict;
use warnings;
use FindBin ();
use lib "$FindBin::Bin/../lib";
use Test::More;

use List::Util qw(product);

use Punit::Authority;
use Punit::File qw(slurp);
use Punit::Nginx;
use Punit::Token;

my %source = map { m{ngx_http_punit_(\w+)\.c$} ? ($1 => slurp($_)) : () }
    glob 'ngx_punit_module/*.c ngx_punit_module/*/*.c';
my $source = join '', map { $source{$_} } sort keys %source;
my $doc = slurp('doc/DIRECTIVES.md');


sub sorted { return join ' ', sort @_ }

# ---- directives, as the document has them

my %documented;
for my $section (split /^(?=#{2,3} )/m, $doc) {
    my ($name, $text) = $section =~ /^### (\w+)\n(.*)/s or next;
    fail("$name is described twice") if $documented{$name};
    my %d = map { my ($value) = $text =~ /^$_: (.+)$/m; (lc $_ => $value // '') }
        qw(Syntax Default Context Phase);
    ($d{text}) = $text =~ /^Phase: .+?\n\n(.+?)^```/ms;
    ($d{example}) = $text =~ /^```nginx\n(.+?)^```/ms;
    $documented{$name} = \%d;
}

# ---- and as the source has them: the command table, the merges, the setters

my %contexts = (
    NGX_HTTP_MAIN_CONF => ['http'], NGX_HTTP_SRV_CONF => ['server'],
    NGX_HTTP_LOC_CONF => ['location'],
    NGX_HTTP_PUNIT_ANY => [qw(http server location)]);
my %counts = (TAKE1 => [1, 1], TAKE2 => [2, 2], TAKE12 => [1, 2], '1MORE' => [1, 'many'],
    ANY => [0, 'many']);
my ($table) = $source{module} =~ /ngx_http_punit_commands\[\] = \{(.*?)ngx_null_command/s;
my %real;
while ($table
    =~ /\{\ ngx_string\("(\w+)"\),\s*([\w|]+),\s*(\w+),\s*\w+,
        \s*(offsetof\(\w+,\ (\w+)\)|0),\s*(\w+)\ \}/gx
    )
{
    my ($name, $type, $setter, $field, $post) = ($1, $2, $3, $5, $6);
    my ($count) = $type =~ /NGX_CONF_(\w+)/;
    ($field) = $setter =~ /ngx_http_punit_conf_(?:unit_|access_)?(\w+)/ if !$field;
    $real{$name} = {
        contexts => [map { @{ $contexts{$_} // [] } } split /\|/, $type],
        count => $counts{$count}, setter => $setter, field => $field, post => $post,
    };
}
is(scalar(keys %real), scalar(() = $table =~ /ngx_string/g), 'the command table was read whole');

is(sorted(keys %documented), sorted(keys %real),
    'every directive is described, and none that there is not');

# what a directive is when nobody says anything, in its own words
sub default_of {
    my ($d) = @_;
    my ($setter) = $source =~ /^\Q$d->{setter}\E\(ngx_conf_t.*?^\}/ms ? $& : '';
    my ($merged) =
        $source{merge} =~ /ngx_conf_merge_\w+\(conf->$d->{field}, prev->$d->{field},\s*(.+?)\);/s;
    my ($factors) = $source{merge} =~ /ngx_conf_init_size_value\(pmcf->$d->{field}, ([\d *]+)\)/;
    return product(split / [*] /, $factors) / 1024 / 1024 . 'm' if $factors;
    return $setter =~ /conf_is_off/ ? 'off' : "\x{2014}" if !defined $merged;
    return 'off' if $merged eq 'NULL' || $merged eq '""';
    return lc $1 if $merged =~ /^NGX_HTTP_PUNIT_(?:SCOPE|STALE)_(\w+)$/;
    if ($merged eq 'NGX_CONF_UNSET_PTR') {
        my ($type, $of) =
            $source{merge}
            =~ /default_source\(cf, &conf->$d->{field},\s*NGX_HTTP_PUNIT_(\w+), "(\w*)"\)/
            or return '?';
        return lc $type . ($of ? ":$of" : '');
    }
    if ($d->{setter} =~ /_time$/) {
        return $merged . 's' if $d->{post} ne 'NULL';
        return $merged % 1000 ? "${merged}ms" : $merged / 1000 . 's';
    }
    if ($d->{setter} =~ /_choice$/) {
        my ($words) = $source{module} =~ /\b$d->{post}\[\] = \{(.*?)\};/s;
        return $1 if $words =~ /ngx_string\("(\w+)"\), $merged \}/;
    }
    return $merged eq '0' ? 'off' : '?';
}

# the least and the greatest number of arguments that a syntax allows
sub counts_of {
    my ($name, $syntax) = @_;
    my ($least, $most);
    for my $form ($syntax =~ /`([^`]+)`/g) {
        return "? $form" unless $form =~ s/^$name(.*);$/$1/;
        my $optional = 0;
        my $many = $form =~ s/ \.\.\.//g;
        $optional++ while $form =~ s/\[[^\]]*\]//;
        $form =~ s/ \| \S+//g;
        my $n = () = $form =~ /\S+/g;
        my $max = $many ? 'many' : $n + $optional;
        $least = $n if !defined $least || $n < $least;
        $most = $max if !defined $most || ($most ne 'many' && ($max eq 'many' || $max > $most));
    }
    return join '..', $least // '?', $most // '?';
}

my $quoted = sub { my ($text) = @_; my ($value) = $text =~ /^`(.*)`$/; return $value // '' };
utf8::decode($doc);
for my $name (sort keys %real) {
    my ($d, $r) = ($documented{$name}, $real{$name});
    next if !$d;
    utf8::decode($d->{default});
    is($d->{context}, join(', ', map {"`$_`"} @{ $r->{contexts} }), "$name: contexts");
    is(counts_of($name, $d->{syntax}), join('..', @{ $r->{count} }), "$name: number of arguments");
    is($quoted->($d->{default}), default_of($r), "$name: default");
    like($d->{phase}, qr/^(?:configuration|PREACCESS|PRECONTENT|LOG|content)$/, "$name: phase");
    ok(length($d->{text} // '') > 40, "$name: meaning");
    like($d->{example} // '', qr/\b$name\b/, "$name: example");
}

# what a setter's own words say is expected is in the syntax: on, off, up, down ...
for my $name (sort keys %real) {
    my ($setter) = $source =~ /^\Q$real{$name}{setter}\E\(ngx_conf_t.*?^\}/ms ? $& : '';
    $setter .= $source{module} =~ /\b$real{$name}{post}\[\] = \{(.*?)\};/s ? $1 : '';
    my %words = map { $_ => 1 } $setter =~ /ngx_str(?:cmp\(value\[\d\]\.data,|ing\()\s*"(\w+)"/g;
    $words{off} = 1 if $setter =~ /conf_is_off/;
    next if !%words;
    is(sorted(grep { $documented{$name}{syntax} =~ /(?<![\w])\Q$_\E(?!\w)/ } keys %words),
        sorted(keys %words), "$name: words of its syntax");
}

# ---- variables, headers, problems

sub table {
    my ($title) = @_;
    my ($section) = $doc =~ /^## \Q$title\E\n(.*?)(?=^## |\z)/ms;
    return map { /^\| `([^`]+)` \|(.*)\|$/ ? [$1, $2] : () } split /\n/, $section;
}

my @variables = $source{variables} =~ /^    \{ ngx_string\("(punit_\w+)"\)/mg;
my @others = map {s/_$/_NAME/r} $source{variables} =~ /ngx_str_set\(&name, "(punit_\w+)"\)/g;
is(sorted(map { $_->[0] } table('Variables')), sorted(map {"\$$_"} @variables, @others),
    'every variable, and no other');

my ($verdict) = map { $_->[1] } grep { $_->[0] eq '$punit_verdict' } table('Variables');
my %reasons = map { $_ => 1 } $source =~ /(?:\breason = |ctx->token\.verdict = )"([\w-]+)"/g;
is(sorted($verdict =~ /`([\w-]+)`/g), sorted(keys %reasons), 'every verdict');
my ($why) = map { $_->[1] } grep { $_->[0] eq '$punit_why' } table('Variables');
my %whys = map { $_ => 1 } $source =~ /\bwhy = "([\w-]+)"/g,
    $source{follow} =~ /route_to\([^;]*"(\w+)"\)/g,
    map {/"(\w+)"/g} $source{route} =~ /(?:_to\([^;]+?"\w+"\);|\? "\w+"\s*: "\w+")/g;
is(sorted($why =~ /`([\w-]+)`/g), sorted(keys %whys), 'every reason of a route');
my ($routes) = $source{route} =~ /route_names\[\w+\] = \{(.*?)\};/s;
my ($route) = map { $_->[1] } grep { $_->[0] eq '$punit_route' } table('Variables');
is(sorted($route =~ /`(\w+)`/g), sorted($routes =~ /"(\w+)"/g), 'every route');

my $others = 'x-request-id|cdn-loop|cache-control|x-content-type-options';
my %headers = map { lc $_ => 1 } $source =~ /"(punit-[a-z]+|$others)"/gi,
    $source{cors} =~ /\b(Punit-\w+)/g,
    slurp('conf/punit_proxy_params') =~ /^proxy_set_header\s+(Punit-\w+|CDN-Loop|X-Request-Id)/mg;
my %described = map { lc $_->[0] => 1 } table('Headers');
is(sorted(keys %described), sorted(keys %headers), 'every header');

my %problems;
for my $list ($source{problem}
    =~ /(ngx_http_punit_problems\[\] = \{.*?\};|ngx_http_punit_statuses\[\] = \{.*?\};)/sg)
{
    $problems{$2} = $1 while $list =~ /\{ (\d+), "([\w-]+)",/g;
}
$problems{refused} = '4xx';
$problems{internal} = '5xx';
my %told = map { my ($status) = $_->[1] =~ /^ (\w+) \|/; ($_->[0] => $status) } table('Problems');
is(sorted(map {"$_=$told{$_}"} keys %told), sorted(map {"$_=$problems{$_}"} keys %problems),
    'every problem with its status');

# ---- the examples

my $n = Punit::Nginx->new;
my $dir = $n->dir;
Punit::Token->new("$dir/keys")->es256('eu-1');
open my $f, '>', "$dir/peers.jwks" or die $!;
print $f '{"keys":[{"kty":"EC","crv":"P-256","kid":"us-1","use":"sig",',
    '"x":"04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY",'
    . '"y":"UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw"}]}';
close $f;
Punit::Authority->new($dir, 'eu');

for my $name (sort keys %documented) {
    my $example = $documented{$name}{example} // next;
    my $http = '';
    my %needed =
        (punit_zone => 'z 1m', punit_unit => 'eu', punit_keys => 'keys', punit_peer => 'us');
    for my $also (sort keys %needed) {
        $http .= "$also $needed{$also};\n" unless $example =~ /^$also /m;
    }
    $http .= "upstream $_ { server 127.0.0.1:1; }\n" for 'us', 'grid';
    my @missing = grep { $example !~ /location $_\b/ }
        $example =~ /^    punit_(?:local|forward)\s+(\@\w+);/mg;
    my $server =
          'server { listen 127.0.0.1:'
        . $n->port('http')
        . ($example =~ /ssl_certificate / ? ' ssl;' : ';')
        . join ' ', map {" location $_ { return 204; }"} @missing;
    my $inner = $example =~ s/^server \{/$server/mr;
    my ($ok, $said) = $n->check($http . $inner);
    ok($ok, "$name: the example is accepted") or diag $said;
}

# a directive is taken in its contexts and refused in others
my %around = (http => '%s', server => 'server { listen 127.0.0.1:%d; %s }',
    location => 'server { listen 127.0.0.1:%d; location /x { %s } }');
for my $name (sort keys %real) {
    for my $context (sort keys %around) {
        next if grep { $_ eq $context } @{ $real{$name}{contexts} };
        my ($ok, $said) = $n->check($context eq 'http' ? "$name a;" : sprintf $around{$context},
            $n->port('http'), "$name a;");
        like($said, qr/"$name" directive is not allowed here/, "$name: not in $context");
    }
}

done_testing;
