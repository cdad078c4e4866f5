-- Users' tables that are partitioned by month. A month is made when its first row is written, at whichever unit, goes
-- along with the first user who is moved, and is there ahead of its first day.

create table punit.month_table (
    tab text primary key references punit.user_table,
    col text not null
);
comment on table punit.month_table is 'registered tables whose partitions are months of a column timestamptz, in UTC';

create table punit.month (
    tab   text not null references punit.month_table,
    first date not null,
    primary key (tab, first)
);
comment on table punit.month is 'their partitions here, by first day';

create function punit.month_of(p_at timestamptz, out first date, out past date)
language sql immutable
as $$
    -- what is far away shares two partitions: nobody makes thousands by dating his rows so
    select case when p_at < '2020-01-01Z' then '-infinity'::date
                when p_at >= '2040-01-01Z' then '2040-01-01'::date
                else date_trunc('month', p_at at time zone 'UTC')::date end,
           case when p_at < '2020-01-01Z' then '2020-01-01'::date
                when p_at >= '2040-01-01Z' then 'infinity'::date
                else (date_trunc('month', p_at at time zone 'UTC') + interval '1 month')::date end
$$;
comment on function punit.month_of(timestamptz) is
    'first day of the partition that this moment belongs to, and first day past it; the same in every unit. Before 2040, move the upper end';

create function punit.make_months(p_tab text, p_at timestamptz[]) returns integer
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
    -- in order, so that two who make the same months wait for each other only one way
    for m in select distinct x.first, x.past from unnest(p_at) a, punit.month_of(a) x
              where not exists (select from punit.month o where o.tab = p_tab and o.first = x.first)
              order by 1
    loop
        insert into punit.month (tab, first) values (p_tab, m.first) on conflict do nothing;
        continue when not found;
        v_part := p_tab || '_' || case when isfinite(m.first) then to_char(m.first, 'YYYY_MM') else 'early' end;
        -- attached, not made as a partition: that would lock the table against everybody
        execute format('create table %s (like %s including defaults including constraints)', v_part, p_tab);
        execute format('comment on table %s is %L', v_part, format('%s from %s to %s', p_tab, m.first, m.past));
        execute format('revoke all on %s from public', v_part);
        execute format('alter table %s attach partition %s for values from (%s) to (%s)', p_tab, v_part,
                       case when isfinite(m.first) then quote_literal(m.first || ' 00:00Z') else 'minvalue' end,
                       case when isfinite(m.past) then quote_literal(m.past || ' 00:00Z') else 'maxvalue' end);
        v_n := v_n + 1;
    end loop;
    return v_n;
end
$$;
comment on function punit.make_months(text, timestamptz[]) is
    'makes the partitions for these moments that are not there, and says how many. Nobody has rights on partitions: writes go through the table and its guard';

create function punit.months() returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return (select string_agg(t.list, ' ' order by t.list) from (
        select m.tab || ':' || string_agg(m.first::text, ',' order by m.first) as list from punit.month m group by m.tab) t);
end
$$;
comment on function punit.months() is 'the partitions here as text: "tab:first,first... tab:first..."; null: none';

create function punit.have_months(p_months text) returns integer
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(punit.make_months(t.tab, t.firsts))::int, 0) from (
        select split_part(l, ':', 1) as tab, string_to_array(split_part(l, ':', 2), ',')::timestamptz[] as firsts
          from unnest(string_to_array(p_months, ' ')) l) t
     where t.tab in (select m.tab from punit.month_table m)
$$;
comment on function punit.have_months(text) is
    'makes what punit.months() of another unit lists and is not here, before rows from there are put in; gives how many';

create function punit.months_ahead() returns integer
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(sum(punit.make_months(t.tab, array[now(), now() + interval '1 month'])), 0)::int
      from punit.month_table t
$$;
comment on function punit.months_ahead() is
    'makes this month''s and the next month''s partitions; the mover calls it now and then';

create function punit.register_months(p_tab text, p_col text) returns void
language plpgsql
as $$
begin
    insert into punit.month_table (tab, col) values (p_tab, p_col);
    perform punit.months_ahead();
end
$$;
comment on function punit.register_months(text, text) is
    'after register_user_table: the table, partitioned by range of that column timestamptz, has its months made for it';

revoke all on punit.month_table, punit.month from public;
grant execute on function punit.have_months(text), punit.months_ahead() to punit_mover;
