#!/usr/bin/perl
# A statement that fails by a value: a write is refused, but a read has sent no value.
use strict;
use warnings;
use Test::More;

use Punit::File qw(slurp);
use Punit::Worker;

my $pg = Punit::Worker->database('eu');
my $dbh = $pg->dbh;
my $user = '0b6f2f0e-0000-4000-8000-000000000001';
$pg->add_user($user, 'Ann');
my $profile = Punit::Worker->new($pg, 'profile');

# Each statement of /profile makes the document, and then fails with that state.
sub fails_with {
    my ($state) = @_;
    $dbh->do(
        "create or replace function profile.document(p profile.profile) returns json
        language plpgsql stable as \$\$ begin
            raise exception 'it failed' using errcode = '$state';
        end \$\$"
    );
    return;
}

sub told {
    my ($method, @more) = @_;
    my $answer = $profile->request($method => '/profile', user => $user, @more);
    return [$answer->{status}, $answer->{json}{type}];
}

my %write = (23503 => 'conflict', 23505 => 'conflict');
for my $state (qw(22001 22003 22007 22008 22012 22023 22P02 23502 23503 23505 23514 23P01)) {
    fails_with($state);
    is_deeply told('GET'), [500, 'urn:punit:internal'], "$state: a read is 500";
    is told('HEAD')->[0], 500, "$state: so is HEAD";
    my $type = $write{$state} // 'invalid';
    is_deeply told(PATCH => body => { name => 'new' }),
        [$type eq 'invalid' ? 422 : 409, "urn:punit:$type"], "$state: a write is $type";
}
is $dbh->selectrow_array('select name from profile.profile where user_id = ?', undef, $user),
    'Ann', 'nothing was written';
like slurp($profile->dir . '/profile.log'),
    qr{error.*statement-failed.*GET /profile.*sqlstate=22012}i,
    'the log has an error with the state of the read';

done_testing;
