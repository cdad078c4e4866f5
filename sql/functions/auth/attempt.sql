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

create or replace function auth.is_known(p_name text, p_address text) returns boolean
language sql stable
return exists (select from auth.known_address k where k.who = p_name and k.address = p_address);
comment on function auth.is_known(text, text) is
    'whether the right password for this name has come from this address';
grant execute on function auth.is_known(text, text) to punit_auth;

create or replace function auth.take_attempt(p_name text, p_name_burst int, p_name_every interval,
                                             p_address text, p_address_burst int,
                                             p_address_every interval,
                                             p_strangers_burst int default null,
                                             p_strangers_every interval default null)
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
    if v_wait = 0 and p_strangers_burst is null then
        return auth.take_token(p_name, p_name_burst, p_name_every);
    end if;
    if v_wait = 0 then
        v_wait := auth.take_token(concat('from ', p_address, ' ', p_name), p_name_burst,
                                  p_name_every);
    end if;
    if v_wait = 0 and not auth.is_known(p_name, p_address) then
        v_wait := auth.take_token(p_name, p_strangers_burst, p_strangers_every);
    end if;
    return v_wait;
end
$$;
comment on function auth.take_attempt(text, int, interval, text, int, interval, int, interval) is
    'one attempt with this name from this address: 0, or the seconds to wait. The limit of the'
    ' name is one for each address. That of strangers is one for all addresses that are not known.'
    ' Without it, as release 0.2.0 calls it, the limit of the name is one for all addresses';
grant execute on function auth.take_attempt(text, int, interval, text, int, interval, int, interval)
to punit_auth;

create or replace function auth.return_attempt(p_name text, p_name_every interval,
                                               p_address text default null,
                                               p_strangers_every interval default null,
                                               p_right boolean default false) returns void
language plpgsql volatile
as $$
begin
    if p_strangers_every is null then
        update auth.attempt a set tat = a.tat - p_name_every where a.who = p_name;
        return;
    end if;
    update auth.attempt a set tat = a.tat - p_name_every
     where a.who = concat('from ', p_address, ' ', p_name);
    -- A known address has taken no token from strangers.
    if not auth.is_known(p_name, p_address) then
        update auth.attempt a set tat = a.tat - p_strangers_every where a.who = p_name;
    end if;
    if p_right and p_address is not null then
        perform auth.note_address(p_name, p_address);
    end if;
end
$$;
comment on function auth.return_attempt(text, interval, text, interval, boolean) is
    'the attempt was no guess (p_right: the password was right; or it was not looked at): the name'
    ' gets its tokens back. An address with the right password is known from now on';
grant execute on function auth.return_attempt(text, interval, text, interval, boolean)
to punit_auth;

create or replace function auth.note_address(p_name text, p_address text) returns void
language plpgsql volatile
as $$
begin
    insert into auth.known_address as k (who, address) values (p_name, p_address)
    on conflict (who, address) do update set seen_at = now()
     where k.seen_at < now() - interval '1 hour';
    if not found then
        return;
    end if;
    delete from auth.known_address k
     where k.who = p_name and k.address <> p_address
       and k.address not in (select n.address from auth.known_address n
                              where n.who = p_name and n.address <> p_address
                              order by n.seen_at desc limit 9);
    delete from auth.known_address k
     where (k.who, k.address) in (select d.who, d.address from auth.known_address d
                                   where d.seen_at < now() - interval '90 days'
                                   order by d.seen_at limit 20 for update skip locked);
end
$$;
comment on function auth.note_address(text, text) is
    'makes the address known for the name: the 10 newest of a name, for 90 days';
grant execute on function auth.note_address(text, text) to punit_auth;
