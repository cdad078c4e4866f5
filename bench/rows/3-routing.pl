# The way to the unit in the token's claim. The peers are programs that verify a token and choose by
# a claim, and a proxy_pass that does neither. They add nothing to the request. Ours adds what units
# send each other.

use strict;
use warnings;

use Punit::Bench::Pair;
use Punit::Bench::Unit;

my @peers = qw(proxy njs lua-cached haproxy-hs256 haproxy-rs256);

return {
    names => [map {"routing-$_"} @peers],
    prepare => sub {
        my ($dir) = @_;
        my $unit = Punit::Bench::Unit->of($dir);
        my ($hs256, $rs256) = map { $unit->token('us', $_) } qw(HS256 RS256);

        my $ours = $unit->load('routing by claim, ES256', '/profile', 'us');
        my %peer = (
            proxy => $unit->of_server(
                $unit->nginx('stock', name => 'stock-bare'), 'bare proxy_pass, no token', '/bare'
            ),
            njs => $unit->of_server(
                $unit->nginx('njs', name => 'njs-routing', files => ['jwt.js', 'answer.conf']),
                'njs HS256', '/profile', $hs256
            ),
            'lua-cached' => $unit->of_server(
                $unit->nginx('lua', name => 'lua-routing', files => ['jwt.lua', 'answer.conf']),
                'Lua HS256 verdict cached', '/profile', $hs256
            ),
            'haproxy-hs256' => $unit->of_server(
                $unit->haproxy('HS256'), 'HAProxy jwt_verify HS256', '/profile', $hs256
            ),
            'haproxy-rs256' => $unit->of_server(
                $unit->haproxy('RS256'), 'HAProxy jwt_verify RS256', '/profile', $rs256
            ),
        );

        return map {
            Punit::Bench::Pair->new(
                ours => $ours, peer => $peer{$_},
                rows => [{
                    name => "routing-$_", figure => 'rate', $_ eq 'proxy' ? () : (goal => '> 1')
                }],
            )
        } @peers;
    }
};
