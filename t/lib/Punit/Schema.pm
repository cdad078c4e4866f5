package Punit::Schema;

# The JSON schemas of what punitctl prints (conf/schema), and whether an object is as its schema
# says: JSON::Validator judges. It knows no draft after 2019-09, so a schema may use only words that
# mean the same in draft 7. Its package lacks the schema of schemas, so the form is checked here.
#
#   my $schema = Punit::Schema->new('keys list');
#   $schema->errors;                      # of the schema itself
#   my @wrong = $schema->wrong($object);
#   Punit::Schema::verbs();               # the verbs that have one

use strict;
use warnings;
use JSON::PP ();
use JSON::Validator;

use Punit::File qw(slurp);
use Punit::Tree qw(root);

use constant {
    DRAFT => 'https://json-schema.org/draft/2020-12/schema',
    OLDER => 'http://json-schema.org/draft-07/schema#',
};

my %word = map { $_ => 1 } qw($schema $ref title description type properties required items enum
    additionalProperties anyOf format);

my %type = map { $_ => 1 } qw(object array string integer number boolean null);

sub _load { return JSON::PP->new->utf8->decode(slurp(root() . "/conf/schema/$_[0].json")) }

sub verbs {
    my @names = map {m{([^/]+)[.]json$}} glob root() . '/conf/schema/*.json';
    return map {tr/-/ /r} grep { $_ ne 'error' } @names;
}

sub kinds { return @{ _load('error')->{properties}{name}{enum} } }

sub new {
    my ($class, $verb) = @_;
    my $self = bless { verb => $verb, errors => [] }, $class;
    my $schema = _load($verb =~ tr/ /-/r);
    my $error = _load('error');
    $self->_look($_) for $schema, $error;
    for my $part ($schema, $error) {
        push @{ $self->{errors} }, "the draft is not 2020-12" if $part->{'$schema'} ne DRAFT;
        $part->{'$schema'} = OLDER;
    }
    if (($schema->{properties}{error}{'$ref'} // '') eq 'error.json') {
        delete $error->{'$schema'};
        $schema->{properties}{error} = $error;
    } else {
        push @{ $self->{errors} }, 'it has no error';
    }
    $self->{validator} = JSON::Validator->new->schema($schema);
    return $self;
}

# The words of a schema, not those of what it describes.
sub _look {
    my ($self, $schema) = @_;
    return if ref $schema ne 'HASH';
    my $members = $schema->{properties};
    push @{ $self->{errors} }, map {"it uses $_"} grep { !$word{$_} } sort keys %$schema;
    push @{ $self->{errors} }, map {"it has no type $_"}
        grep { !$type{$_} } map { ref $_ ? @$_ : $_ // () } $schema->{type};
    push @{ $self->{errors} }, map {"it requires $_"} grep { !$members->{$_} }
        map { @{ $_->{required} // [] } } $schema, @{ $schema->{anyOf} // [] }
        if $members;
    my @inner = (values %{ $members // {} }, @$schema{qw(items additionalProperties)});
    $self->_look($_) for @inner, @{ $schema->{anyOf} // [] };
    return;
}

sub errors { return @{ $_[0]{errors} } }
sub wrong { return map {"$_"} $_[0]{validator}->validate($_[1]) }

1;
