# A document from the grid, with the token verified and checked. It is compared with memcached_pass,
# which asks for no token, and with peers that verify one. Ours runs as shipped, with the near
# cache, and with that off, reading from memcached each time. Documents have 1 KiB. Each NGINX has
# one worker, and all share one memcached.

use strict;
use warnings;

use Punit::Bench::Pair;
use Punit::Bench::Unit;

my @names =
    qw(noise-grid grid-hit grid-hit-cpu grid-hit-far grid-hit-far-cpu noise-grid-p50 grid-hit-p50
        grid-hit-njs grid-hit-lua grid-hit-lua-bare grid-hit-lua-cached);

return {
    names => \@names,
    prepare => sub {
        my ($dir) = @_;
        my $unit = Punit::Bench::Unit->of($dir);
        my $lua = $unit->nginx('lua', files => ['jwt.lua', 'answer.conf']);
        my $hs256 = $unit->token('eu', 'HS256');

        my $ours = $unit->load('grid hit, ES256', '/sports', 'eu');
        my $far = $unit->of_server($unit->nginx('unit', name => 'far', near => 'off'),
            'grid hit, near cache off', '/sports', $unit->token('eu'));
        my $ours_hs256 = $unit->load('grid hit, HS256', '/sports', 'eu', 'HS256');
        my $memcached =
            $unit->of_server($unit->nginx('memcached'), 'memcached_pass, no token', '/sports');
        my $again = $unit->of_server($unit->nginx('memcached', name => 'memcached-again'),
            'memcached_pass, no token', '/sports');
        my $njs = $unit->of_server($unit->nginx('njs', files => ['jwt.js', 'answer.conf']),
            'njs HS256, memcached_pass', '/sports', $hs256);
        my $lua_each = $unit->of_server($lua, 'Lua HS256 each time, memc', '/sports', $hs256);
        my $lua_bare =
            $unit->of_server($lua, 'the same without our headers', '/bare/sports', $hs256);
        my $lua_cached =
            $unit->of_server($lua, 'Lua HS256 verdict cached, memc', '/cached/sports', $hs256);
        $unit->same_headers($ours_hs256, $_) for $njs, $lua_each, $lua_cached;

        return map { Punit::Bench::Pair->new(%$_) } (
            {
                ours => $again, peer => $memcached,
                rows => [{ name => 'noise-grid', figure => 'rate' }]
            },
            {
                ours => $ours, peer => $memcached,
                rows => [
                    { name => 'grid-hit', figure => 'rate', goal => '>= 1.8' },
                    { name => 'grid-hit-cpu', figure => 'cpu' },
                ],
            },
            {
                ours => $far,
                peer => $memcached,
                rows => [
                    { name => 'grid-hit-far', figure => 'rate' },
                    { name => 'grid-hit-far-cpu', figure => 'cpu' }]
            },
            {
                ours => $again, peer => $memcached, connections => 1, one_processor => 1,
                rows => [{ name => 'noise-grid-p50', figure => 'p50' }]
            },
            {
                ours => $ours, peer => $memcached, connections => 1, one_processor => 1,
                rows => [{ name => 'grid-hit-p50', figure => 'p50', goal => '<= 1.2' }],
            },
            {
                ours => $ours_hs256, peer => $njs,
                rows => [{ name => 'grid-hit-njs', figure => 'rate', goal => '>= 4.5' }]
            },
            {
                ours => $ours_hs256, peer => $lua_each,
                rows => [{ name => 'grid-hit-lua', figure => 'rate', goal => '>= 4.5' }]
            },
            {
                ours => $ours_hs256, peer => $lua_bare,
                rows => [{ name => 'grid-hit-lua-bare', figure => 'rate' }]
            },
            {
                ours => $ours_hs256, peer => $lua_cached,
                rows => [{ name => 'grid-hit-lua-cached', figure => 'rate', goal => '>= 2.4' }],
            },
        );
    }
};
