-- Export: everything the system holds on a user. Each service exports its part through a function
-- of its own, so that no service reads another's tables.

create table punit.exporter (
    service text primary key,
    fn      text not null,
    tabs    text[] not null
);
comment on table punit.exporter is
    'functions (user uuid) -> json, security definer, that export what a service holds on a user';
comment on column punit.exporter.tabs is
    'the registered tables (punit.user_table) that the function covers; punit.export_user fails if'
    ' no function covers a table';

insert into punit.exporter (service, fn, tabs) values ('punit', 'punit.export_unit', '{}');
