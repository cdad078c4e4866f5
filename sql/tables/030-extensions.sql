-- Extensions, in the schema punit.

create extension if not exists "uuid-ossp" with schema punit;
create extension if not exists pg_trgm with schema punit;

-- An id made from an Idempotency-Key is the same at every unit where the request is repeated.
grant execute on function punit.uuid_generate_v5(uuid, text), punit.uuid_ns_url() to punit_service;
