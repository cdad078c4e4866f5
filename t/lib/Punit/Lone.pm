package Punit::Lone;

# A unit that a test has made with punitctl itself, run by runit as demo/units does.
#
#   my $eu = Punit::Lone->new(dir => "$dir/eu", port => 18101);
#   $eu->start;                       # runsvdir, until all services are healthy
#   $eu->http(POST => '/auth/register', body => {...})->{status};
#   $eu->ctl('status');               # (exit status, output) of punitctl at this unit

use strict;
use warnings;
use parent qw(Punit::Server);
use Carp qw(croak);
use Fcntl qw(O_NONBLOCK O_WRONLY);
use JSON::PP ();

use Punit::Client;
use Punit::Command qw(as_punit capture);
use Punit::Services qw(services);
use Punit::Tree qw(program);
use Punit::Wait qw(wait_until);

sub new {
    my ($class, %o) = @_;
    return $class->SUPER::new(
        %o,
        cmd => [as_punit(), 'runsvdir', '-P', "$o{dir}/sv"],
        log => "$o{dir}/runsvdir.log",
        cwd => $o{dir},
    );
}

sub until {
    my ($self, $condition, $what) = @_;
    return $self->SUPER::until($condition, $what, 60);
}

sub ready {
    my ($self) = @_;
    my $socket = "$self->{dir}/sock/admin.sock";
    return !grep { Punit::Client->once($socket, GET => "/$_/health")->{status} != 200 } services();
}

# A body that is a reference becomes JSON.
sub http {
    my ($self, $method, $path, %o) = @_;
    if (ref $o{body}) {
        $o{body} = JSON::PP::encode_json($o{body});
        push @{ $o{headers} }, 'Content-Type' => 'application/json';
    }
    return Punit::Client->once($self->{port}, $method, $path, %o);
}

sub ctl {
    my ($self, @arguments) = @_;
    return capture(program('punitctl'), @arguments, '--dir', $self->{dir});
}

# True while a runsv or its process is there.
sub _supervised {
    my ($self) = @_;
    for my $ok (glob "$self->{dir}/sv/*/supervise/ok") {
        sysopen my $pipe, $ok, O_WRONLY | O_NONBLOCK or next;
        return 1;
    }
    return 0;
}

# On HUP, runsvdir tells each runsv to stop its process, and leaves without waiting.
sub stop {
    my ($self) = @_;
    my $status = $self->SUPER::stop('HUP');
    wait_until(sub { !$self->_supervised }, 40) or croak "$self->{dir} does not stop";
    return $status;
}

sub logs { my ($self) = @_; return glob "$self->{dir}/log/*.log" }

1;
