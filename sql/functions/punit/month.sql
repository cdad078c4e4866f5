-- Partitions by month.

create or replace function punit.month_of(p_at timestamptz, out first date, out past date)
language sql immutable
as $$
    -- Remote dates share two partitions, so that no client can make thousands of them.
    select case when p_at < '2020-01-01Z' then '-infinity'::date
                when p_at >= '2040-01-01Z' then '2040-01-01'::date
                else date_trunc('month', p_at at time zone 'UTC')::date end,
           case when p_at < '2020-01-01Z' then '2020-01-01'::date
                when p_at >= '2040-01-01Z' then 'infinity'::date
                else (date_trunc('month', p_at at time zone 'UTC') + interval '1 month')::date end
$$;
comment on function punit.month_of(timestamptz) is
    'first day of the partition of this time, and the first day after it; the same in every unit.'
    ' Raise the upper end before 2040';

create or replace function punit.make_months(p_tab text, p_at timestamptz[]) returns integer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_col  text;
    v_part text;
    v_n    int := 0;
    m      record;
begin
    select t.col into v_col from punit.month_table t where t.tab = p_tab;
    if not found then
        raise exception 'make_months: % is not partitioned by month', p_tab using errcode = 'PU500';
    end if;
    -- In order, so that two sessions that make the same months cannot deadlock.
    for m in select distinct x.first, x.past from unnest(p_at) a, punit.month_of(a) x
              where not exists (select from punit.month o where o.tab = p_tab and o.first = x.first)
              order by 1
    loop
        insert into punit.month (tab, first) values (p_tab, m.first) on conflict do nothing;
        continue when not found;
        v_part := p_tab || '_' || case when isfinite(m.first) then to_char(m.first, 'YYYY_MM')
            else 'early' end;
        -- Attached, not created as a partition: creating one would lock the table against all
        -- sessions.
        execute format('create table %s (like %s including defaults including constraints)', v_part,
                       p_tab);
        execute format('comment on table %s is %L', v_part,
                       format('%s from %s to %s', p_tab, m.first, m.past));
        execute format('revoke all on %s from public', v_part);
        execute format('alter table %s attach partition %s for values from (%s) to (%s)', p_tab,
                       v_part,
                       case when isfinite(m.first) then quote_literal(m.first || ' 00:00Z')
                           else 'minvalue' end,
                       case when isfinite(m.past) then quote_literal(m.past || ' 00:00Z')
                           else 'maxvalue' end);
        v_n := v_n + 1;
    end loop;
    return v_n;
end
$$;
comment on function punit.make_months(text, timestamptz[]) is
    'makes the missing partitions for these times and says how many. No role has rights on'
    ' partitions: writes go through the table and its guard';

create or replace function punit.months() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return (select string_agg(t.list, ' ' order by t.list) from (
        select m.tab || ':' || string_agg(m.first::text, ',' order by m.first) as list
            from punit.month m group by m.tab) t);
end
$$;
comment on function punit.months() is
    'the partitions here as text: "tab:first,first... tab:first..."; null: none';

create or replace function punit.have_months(p_months text) returns integer
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(punit.make_months(t.tab, t.firsts))::int, 0) from (
        select split_part(l, ':', 1) as tab,
            string_to_array(split_part(l, ':', 2), ',')::timestamptz[] as firsts
          from unnest(string_to_array(p_months, ' ')) l) t
     where t.tab in (select m.tab from punit.month_table m)
$$;
comment on function punit.have_months(text) is
    'makes the partitions that another unit''s punit.months() lists and this unit lacks, before'
    ' rows from there are inserted; says how many';
grant execute on function punit.have_months(text) to punit_mover;

create or replace function punit.months_ahead() returns integer
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(punit.make_months(t.tab, array[now(), now() + interval '1 month'])), 0)::int
      from punit.month_table t
$$;
comment on function punit.months_ahead() is
    'makes the partitions of this month and the next; the mover calls it now and then';
grant execute on function punit.months_ahead() to punit_mover;
