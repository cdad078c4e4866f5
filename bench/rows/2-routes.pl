# The cost of the routes forward and local over stock proxy_pass and fastcgi_pass. Requests,
# upstreams and headers are the same on both sides. Throughput and the A/A pair stand beside.

use strict;
use warnings;

use Punit::Bench::Pair;
use Punit::Bench::Unit;

my @routes = qw(forward local);

return {
    names => [map { ("noise-$_-cpu", "noise-$_", "$_-cpu", $_) } @routes],
    prepare => sub {
        my ($dir) = @_;
        my $unit = Punit::Bench::Unit->of($dir);
        my ($stock, $again) = map { $unit->nginx('stock', name => $_) } qw(stock stock-again);

        my %ours = (
            forward => $unit->load('forward, ES256', '/profile', 'us'),
            local => $unit->load('local, ES256', '/profile', 'eu'),
        );
        my %pass = (forward => 'proxy_pass', local => 'fastcgi_pass');
        my %token = (forward => $unit->token('us'), local => $unit->token('eu'));

        return map {
            my $route = $_;
            my ($floor, $other) =
                map { $unit->of_server($_, $pass{$route}, "/$route", $token{$route}) } $stock,
                $again;
            $unit->same_headers($ours{$route}, $floor);
            (
                Punit::Bench::Pair->new(
                    ours => $other, peer => $floor,
                    rows => [
                        { name => "noise-$route-cpu", figure => 'cpu' },
                        { name => "noise-$route", figure => 'rate' }
                    ],
                ),
                Punit::Bench::Pair->new(
                    ours => $ours{$route}, peer => $floor,
                    rows => [
                        { name => "$route-cpu", figure => 'cpu', goal => '<= +2.5 us' },
                        { name => $route, figure => 'rate' },
                    ],
                ),
            )
        } @routes;
    }
};
