package Punit::OpenAPI;

# An OpenAPI 3.1 description, and whether requests and answers are as it says: JSON::Validator
# judges. It knows OpenAPI 3.0 only, so the description goes through it in that spelling, which
# differs in how null is allowed.
#
#   my $api = Punit::OpenAPI->new('doc/openapi.yaml');
#   $api->errors;  # of the description itself, by OpenAPI's own schema, if has_schema
#   $api->operations;                               # 'GET /sports/{id}' => the operation
#   my @wrong = $api->wrong_request('GET /sports/{id}', path => {...}, query => {...},
#       headers => {...}, body => ...);
#   # status, headers and json of a client's answer
#   my @wrong = $api->wrong_answer('GET /sports/{id}', $answer);

use strict;
use warnings;
use Carp qw(croak);
use Digest::MD5 qw(md5_hex);
use JSON::PP ();
use JSON::Validator;
use YAML::XS ();

my %method = map { $_ => 1 } qw(get put post delete patch);

sub new {
    my ($class, $file) = @_;
    local $YAML::XS::Boolean = 'JSON::PP';
    my $self = bless { document => YAML::XS::LoadFile($file) }, $class;
    my $older = _older($self->{document}, $self->{document}{components});
    $older->{openapi} = '3.0.3';
    $self->{schema} = JSON::Validator->new->schema($older)->schema;
    for my $path (keys %{ $older->{paths} }) {
        for my $method (grep { $method{$_} } keys %{ $older->{paths}{$path} }) {
            $self->{operations}{ uc($method) . " $path" } = $older->{paths}{$path}{$method};
        }
    }
    return $self;
}

sub document { return $_[0]{document} }
sub operations { return $_[0]{operations} }
sub errors { return @{ $_[0]{schema}->errors } }

# Debian 13's JSON::Validator comes without OpenAPI's own schema, and would fetch it.
sub has_schema {
    my $schema = $_[0]{schema};
    my $file = md5_hex($schema->specification);
    return scalar grep { -r "$_/$file" } @{ $schema->store->cache_paths };
}

# The same in the words of OpenAPI 3.0: [T, 'null'] is T and nullable. What is no schema stands
# where it is referred to: of headers, JSON::Validator follows no reference.
sub _older {
    my ($node, $components) = @_;
    return [map { _older($_, $components) } @$node] if ref $node eq 'ARRAY';
    return $node if ref $node ne 'HASH';
    if (($node->{'$ref'} // '') =~ m{^#/components/(headers|parameters|responses)/(\w[\w-]*)$}) {
        return _older($components->{$1}{$2} // croak("nothing is at $node->{'$ref'}"), $components);
    }
    my %copy = map { $_ => _older($node->{$_}, $components) } keys %$node;
    if (ref $copy{type} eq 'ARRAY') {
        my @types = grep { $_ ne 'null' } @{ $copy{type} };
        croak 'a type beside null, not ' . join ', ', @{ $copy{type} } if @types != 1;
        @copy{qw(type nullable)} = ($types[0], JSON::PP::true);
        $copy{enum} = [grep {defined} @{ $copy{enum} }] if $copy{enum};
    }
    return \%copy;
}

sub _value {
    my ($values, $name) = @_;
    return exists $values->{$name} ? { exists => 1, value => $values->{$name} } : { exists => 0 };
}

sub wrong_request {
    my ($self, $operation, %o) = @_;
    my ($method, $path) = split / /, $operation;
    my %headers = map { lc $_ => $o{headers}{$_} } keys %{ $o{headers} // {} };
    return $self->{schema}->validate_request(
        [lc $method, $path],
        {
            path => sub { _value($o{path} // {}, $_[0]) },
            query => sub { _value($o{query} // {}, $_[0]) },
            header => sub { _value(\%headers, lc $_[0]) },
            body => sub {
                return { exists => defined $o{body}, value => $o{body},
                    content_type => $o{type} // 'application/json' };
            },
        });
}

# An answer with a body where none is described is wrong too.
sub wrong_answer {
    my ($self, $operation, $answer) = @_;
    my ($method, $path) = split / /, $operation;
    my $described = $self->{operations}{$operation}{responses};
    my $status = $answer->{status};
    my $response = $described->{$status} // ($status >= 400 ? $described->{default} : undef);
    return "$operation answers $status, which is not described" if !$response;
    my $length = length($answer->{content} // $answer->{body} // '');
    return "$operation answers $status with a body" if $length && !$response->{content};
    return "$operation answers $status without a body" if !$length && $response->{content};
    my ($type) = split /;/, $answer->{headers}{'content-type'} // '';
    my @wrong = $self->{schema}->validate_response(
        [lc $method, $path, $status],
        {
            header => sub { _value($answer->{headers}, lc $_[0]) },
            body => sub {
                return { exists => $length > 0, value => $answer->{json}, content_type => $type }
            },
        });
    return map {"$operation $status $_"} @wrong;
}

1;
