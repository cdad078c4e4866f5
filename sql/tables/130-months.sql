-- Tables of users' rows that are partitioned by month. A partition is made when its first row is
-- written, when the first user with such rows arrives, and ahead of its first day.

create table punit.month_table (
    tab text primary key references punit.user_table,
    col text not null
);
comment on table punit.month_table is
    'registered tables whose partitions are months of a timestamptz column, in UTC';

create table punit.month (
    tab   text not null references punit.month_table,
    first date not null,
    primary key (tab, first)
);
comment on table punit.month is 'their partitions here, by first day';
