package Punit::Machine::Fronts;

# The public sides of units on machines, as Punit::User asks them.
#
#   my $fronts = Punit::Machine::Fronts->new(eu => 'http://10.1.0.1', ...);
#   my $user = Punit::User->register($fronts, 'eu');

use strict;
use warnings;
use HTTP::Tiny;

use Punit::Units;
use Punit::Wait qw(patience);

sub new {
    my ($class, %url) = @_;
    my $http = HTTP::Tiny->new(timeout => patience(15), keep_alive => 1, max_redirect => 0);
    return bless { url => \%url, http => $http }, $class;
}

sub base_url { my ($self, $unit) = @_; return $self->{url}{$unit} }

sub http { my ($self, @request) = @_; return Punit::Units::http($self, @request) }

1;
