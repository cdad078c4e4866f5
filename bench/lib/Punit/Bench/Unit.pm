package Punit::Bench::Unit;

# Our side of the pairs: the NGINX of unit eu with its grid, and stand-ins for what it sends
# requests on to. All files of rows share one. The document of /sports is 1 KiB, in the grid as
# gridd and a worker write it (without their end, so that no fill disturbs) and beside it as a plain
# value for the peers.
#
#   my $unit = Punit::Bench::Unit->of($dir);
#   $unit->load(ours => '/sports', 'eu');                # token of unit eu, ES256
#   $unit->nginx('memcached');                           # a peer, told where all of it is

use strict;
use warnings;
use Carp qw(croak);
use Digest::SHA qw(sha256_hex);
use File::Copy qw(copy);

use Punit::Bench::Load;
use Punit::Bench::Server;
use Punit::Token;
use Punit::Tree qw(module);

my $document = '{"items":[' . ('x' x 1012) . ']}';
my $unit;

sub of {
    my ($class, $dir) = @_;
    return $unit //= $class->_new($dir);
}

sub _new {
    my ($class, $dir) = @_;
    my $server = 'Punit::Bench::Server';
    my $keys = Punit::Token->new("$dir/keys");
    my @letters = ('a' .. 'z', 0 .. 9);
    my $secret = join '', map { $letters[rand @letters] } 1 .. 48;
    $keys->es256($_) for qw(eu-1 us-1);
    $keys->hs256('hs256', $secret)->rs256('rs256');
    $server->own($keys->dir, glob $keys->dir . '/*');

    my %user = map { $_ => Punit::Token::uuid() } qw(eu us);
    my $self = bless { dir => $dir, keys => $keys, user => \%user }, $class;

    $self->{$_} = $server->memcached($dir, $_) for qw(grid tokens);
    $self->{worker} = $server->responder($dir);
    $self->{mover} = $server->mover($dir);
    $self->{upstream} = $server->nginx($dir, 'upstream', document => $document);
    copy(module(), "$dir/module.so") or croak "the module: $!";

    $self->{value} = {
        grid => "$dir/grid.sock", tokens => "$dir/tokens.sock", mover => "$dir/mover.sock",
        worker => "$dir/worker.sock",
        upstream => $self->{upstream}->port, module => "$dir/module.so", keys => $keys->dir,
        user => $user{eu}, secret => $secret,
        near => '4m',
    };

    $self->_set('grid', 'punit:gen:sports', 0, '4294967303');
    $self->_set('grid', 'punit:doc:sports:' . sha256_hex("GET\n/sports\n"), 7,
        "\"v1\" application/json\n$document");
    $self->_set('grid', 'plain:/sports', 0, $document);

    $self->{ours} = $self->nginx('unit');
    return $self;
}

sub dir { return $_[0]{dir} }

# A token of the user that this unit owns. alg is ES256 by default. The token grid knows it as good.
sub token {
    my ($self, $owner, $alg) = @_;
    $alg //= 'ES256';
    return $self->{token}{"$owner $alg"} //= do {
        my $jti = Punit::Token::uuid();
        $self->_set('tokens', "punit:tok:$jti", 0, 'ok');
        my $kid = $alg eq 'ES256' ? "$owner-1" : lc $alg;
        $self->{keys}->token(unit => $owner, sub => $self->{user}{$owner}, jti => $jti, kid => $kid,
            exp => time + 86400);
    };
}

sub load {
    my ($self, $what, $path, $owner, $alg) = @_;
    return $self->of_server($self->{ours}, $what, $path, $self->token($owner, $alg));
}

# Checked once: the document, or it is no measurement.
sub of_server {
    my ($self, $server, $what, $path, $token) = @_;
    my $load =
        Punit::Bench::Load->new(server => $server, what => $what, path => $path, token => $token);
    my $answer = $load->once;
    $answer->{status} == 200 && length $answer->{body} == 1024
        or croak "$what: $path was answered with $answer->{status}, "
        . length($answer->{body} // '')
        . ' bytes, see '
        . $server->dir;
    $self->{answers}{$load} = $answer;
    return $load;
}

sub nginx {
    my ($self, $conf, %o) = @_;
    return Punit::Bench::Server->nginx($self->{dir}, $conf, %{ $self->{value} }, %o);
}

# key: the secret, or the file of the public key
sub haproxy {
    my ($self, $alg) = @_;
    my $key = $alg eq 'HS256' ? $self->{value}{secret} : "$self->{value}{keys}/rs256.$alg.pem";
    return Punit::Bench::Server->haproxy($self->{dir}, 'haproxy-' . lc $alg, %{ $self->{value} },
        alg => $alg, key => $key);
}

# Two that are compared by what they cost have to answer with the same headers.
sub same_headers {
    my ($self, @loads) = @_;
    my ($a, $b) = map {
        my $h = $self->{answers}{$_}{headers};
        join ', ', map { /^(?:date|x-request-id)$/ ? $_ : "$_: $h->{$_}" } sort keys %$h
    } @loads;
    $a eq $b or croak $loads[0]->what . " answers with $a, and " . $loads[1]->what . " with $b";
    return;
}

sub _set {
    my ($self, $server, $key, $flags, $value) = @_;
    return $self->{$server}->set($key, $flags, $value);
}

1;
