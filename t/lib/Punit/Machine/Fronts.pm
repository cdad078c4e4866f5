package Punit::Machine::Fronts;

# The public sides of units on machines, as Punit::User asks them: with HTTP/2 where it is HTTPS.
#
#   my $fronts = Punit::Machine::Fronts->new(eu => 'http://10.1.0.1', ...);
#   $fronts->trust("$dir/site.pem", eu => 'https://10.1.0.1');     # whose certificates are believed
#   my $user = Punit::User->register($fronts, 'eu');
#
# An answer has the `version` of HTTP beside what Punit::Units::http gives.

use strict;
use warnings;
use JSON::PP ();

use Punit::Command qw(capture);
use Punit::Wait qw(patience);

sub new {
    my ($class, %url) = @_;
    return bless { url => \%url, trust => [] }, $class;
}

sub trust {
    my ($self, $authority, %url) = @_;
    $self->{trust} = ['--cacert', $authority];
    @{ $self->{url} }{ keys %url } = values %url;
    return;
}

sub http {
    my ($self, $unit, $method, $path, $token, $body, %with) = @_;
    my %headers = %{ $with{headers} // {} };
    $headers{authorization} = "Bearer $token" if defined $token;
    $headers{'content-type'} //= 'application/json' if defined $body;
    my ($failed, $text) = capture(
        'curl', '-sS', '--http2', '-m', patience(15), @{ $self->{trust} }, '-X', $method, '-D', '-',
        (map { ('-H', "$_: $headers{$_}") } sort keys %headers),
        (defined $body ? ('--data-binary', ref $body ? JSON::PP::encode_json($body) : $body) : ()),
        '-w', "\n%{http_version}", "$self->{url}{$unit}$path"
    );
    return { status => 599, headers => {}, content => $text, version => '' } if $failed;
    return _answer($text);
}

sub _answer {
    my ($text) = @_;
    my ($head, $content) = split /\r\n\r\n/, $text, 2;
    my ($status) = $head =~ m{^HTTP/\S+ (\d+)};
    my %header = map { /^([^:]+): (.*?)\r?$/ ? (lc $1 => $2) : () } split /\n/, $head;
    my $version = $content =~ s/\n([\d.]+)\z// ? $1 : '';
    my $answer =
        { status => $status, headers => \%header, content => $content, version => $version };
    $answer->{json} = eval { JSON::PP::decode_json($content) }
        if ($header{'content-type'} // '') =~ m{^application/(?:problem\+)?json};
    return $answer;
}

1;
