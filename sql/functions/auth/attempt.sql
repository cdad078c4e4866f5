-- Limits on attempts: token buckets.

create or replace function auth.take_token(p_who text, p_burst int, p_every interval)
returns double precision
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
    'takes one of p_burst tokens, of which one comes back each p_every: 0, or the seconds until'
    ' there is one. A refusal takes no token, so a client that waits gets in';
grant execute on function auth.take_token(text, int, interval) to punit_auth;

create or replace function auth.take_attempt(p_name text, p_name_burst int, p_name_every interval,
                                             p_address text, p_address_burst int,
                                             p_address_every interval) returns double precision
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
grant execute on function auth.take_attempt(text, int, interval, text, int, interval) to punit_auth;

create or replace function auth.return_attempt(p_name text, p_name_every interval) returns void
language sql volatile
begin atomic
    update auth.attempt a set tat = a.tat - p_name_every where a.who = p_name;
end;
comment on function auth.return_attempt(text, interval) is
    'the attempt was no guess (the password was right, or not looked at): the name gets its token'
    ' back';
grant execute on function auth.return_attempt(text, interval) to punit_auth;
