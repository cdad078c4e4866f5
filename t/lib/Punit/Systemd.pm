package Punit::Systemd;

# A systemd1 on a bus of the test: it knows the units and properties that punitctl asks for.
#
#   perl -MPunit::Systemd -e 'Punit::Systemd::run("states.json", "ready")'
#
# states.json: { "environment": FILE, "NAME.service": [ActiveState, MainPID, seconds since 1970,
# NRestarts, Result], ... }. It is read again for each question. The file `ready` is made when the
# questions can come.

use strict;
use warnings;
use JSON::PP ();
use Net::DBus qw(:typing);
use Net::DBus::Reactor;

use Punit::File qw(slurp spew);

my ($file, %object);

sub state_of {
    my ($unit) = @_;
    return JSON::PP::decode_json(slurp($file))->{$unit};
}

sub environment { return JSON::PP::decode_json(slurp($file))->{environment} }

sub run {
    my ($states, $ready) = @_;
    $file = $states;
    my $bus = Net::DBus->system;
    my $service = $bus->export_service('org.freedesktop.systemd1');
    my $manager = Punit::Systemd::Manager->new($service, '/org/freedesktop/systemd1');
    spew($ready, '');
    Net::DBus::Reactor->main->run;
    return $manager;
}

package Punit::Systemd::Manager;
use Net::DBus::Exporter 'org.freedesktop.systemd1.Manager';
use parent -norequire, 'Net::DBus::Object';
use Net::DBus::Object;

dbus_method('LoadUnit', ['string'], ['objectpath']);

sub new {
    my ($class, $service, $path) = @_;
    my $self = $class->SUPER::new($service, $path);
    $self->{of} = $service;
    bless $self, $class;
    return $self;
}

sub LoadUnit {
    my ($self, $unit) = @_;
    my $path = '/org/freedesktop/systemd1/unit/' . unpack('H*', $unit);
    $object{$unit} ||= Punit::Systemd::Unit->new($self->{of}, $path, $unit);
    return $path;
}

package Punit::Systemd::Unit;
use Net::DBus::Exporter 'org.freedesktop.systemd1.Unit';
use parent -norequire, 'Net::DBus::Object';

my $of_service = 'org.freedesktop.systemd1.Service';
dbus_property('ActiveState', 'string', 'read');
dbus_property('ActiveEnterTimestamp', 'uint64', 'read');
dbus_property('MainPID', 'uint32', 'read', $of_service);
dbus_property('NRestarts', 'uint32', 'read', $of_service);
dbus_property('Result', 'string', 'read', $of_service);
dbus_property('EnvironmentFiles', ['array', ['struct', 'string', 'bool']], 'read', $of_service);

sub new {
    my ($class, $service, $path, $unit) = @_;
    my $self = $class->SUPER::new($service, $path);
    $self->{unit} = $unit;
    bless $self, $class;
    return $self;
}

sub _value {
    my ($self, $i, $absent) = @_;
    my $state = Punit::Systemd::state_of($self->{unit});
    return $state ? $state->[$i] : $absent;
}

# Net::DBus sends the value of a property as what it looks like, so each value has its type.
sub ActiveState { return Net::DBus::dbus_string($_[0]->_value(0, 'inactive')) }
sub MainPID { return Net::DBus::dbus_uint32($_[0]->_value(1, 0)) }
sub ActiveEnterTimestamp { return Net::DBus::dbus_uint64(1_000_000 * $_[0]->_value(2, 0)) }
sub NRestarts { return Net::DBus::dbus_uint32($_[0]->_value(3, 0)) }
sub Result { return Net::DBus::dbus_string($_[0]->_value(4, 'success')) }

sub EnvironmentFiles {
    my @file = (
        Net::DBus::dbus_string(Punit::Systemd::environment()), Net::DBus::dbus_boolean(0));
    return Net::DBus::dbus_array([Net::DBus::dbus_struct(\@file)]);
}

1;
