-- How often somebody may try a password or register: token buckets, by name and by client address.

create unlogged table auth.attempt (
    who text primary key,
    tat timestamptz not null
);
comment on table auth.attempt is
    'token buckets, each as the one time at which it is full again (GCRA''s theoretical arrival time, ITU-T I.371); past: as good as absent. Unlogged: a crash of PostgreSQL gives everybody a fresh bucket, and an attempt costs no flush';
comment on column auth.attempt.who is 'kind and key: "name \x<keyed hash>", "user <uuid>", "address <IPv4 or IPv6 /64>"';
create index attempt_tat on auth.attempt (tat);

create function auth.take_token(p_who text, p_burst int, p_every interval) returns double precision
language plpgsql volatile
as $$
declare
    v_now timestamptz := clock_timestamp();
begin
    insert into auth.attempt as a (who, tat) values (p_who, v_now + p_every)
    on conflict (who) do update set tat = greatest(a.tat, v_now) + p_every
     where greatest(a.tat, v_now) + p_every <= v_now + p_every * p_burst;
    if found then
        return 0;
    end if;
    return (select greatest(extract(epoch from a.tat + p_every - p_every * p_burst - v_now), 0.001)
              from auth.attempt a where a.who = p_who);
end
$$;
comment on function auth.take_token(text, int, interval) is
    'takes one of p_burst tokens, of which one comes back each p_every: 0, or the seconds until there is one. A refusal takes none, so that who waits is let in';

create function auth.take_attempt(p_name text, p_name_burst int, p_name_every interval,
                                  p_address text, p_address_burst int, p_address_every interval)
returns double precision
language plpgsql volatile
as $$
declare
    v_wait double precision := 0;
begin
    delete from auth.attempt a
     where a.who in (select d.who from auth.attempt d where d.tat < now() - interval '1 second'
                      order by d.tat limit 20 for update skip locked);
    -- always in this order: two attempts never wait for each other
    if p_address is not null then
        v_wait := auth.take_token('address ' || p_address, p_address_burst, p_address_every);
    end if;
    if v_wait = 0 then
        v_wait := auth.take_token(p_name, p_name_burst, p_name_every);
    end if;
    return v_wait;
end
$$;
comment on function auth.take_attempt(text, int, interval, text, int, interval) is
    'one attempt with this name from this address: 0, or the seconds to wait';

create function auth.return_attempt(p_name text, p_name_every interval) returns void
language sql volatile
begin atomic
    update auth.attempt a set tat = a.tat - p_name_every where a.who = p_name;
end;
comment on function auth.return_attempt(text, interval) is
    'the attempt was no guess (the password was right, or not looked at): the name has its token back';

revoke all on auth.attempt from public;
grant select, insert, update, delete on auth.attempt to punit_auth;
grant execute on function auth.take_token(text, int, interval), auth.return_attempt(text, interval),
    auth.take_attempt(text, int, interval, text, int, interval) to punit_auth;
