-- Names that are called or read by what a table says are plain names, and nothing else.

alter table punit.message_handler
    add check (fn ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$'),
    add column says text not null default 'owner' check (says in ('owner', 'self'));
comment on column punit.message_handler.says is
    'who may send the message. owner: a unit that owns, or owned, the user whom it is about; any'
    ' unit if it is about nobody. self: this unit, to itself';
update punit.message_handler set says = 'self' where kind = 'forget';

alter table punit.forgetter add check (fn ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$');
alter table punit.exporter add check (fn ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$');
alter table punit.user_table add check (tab ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$');
alter table punit.user_reference
    add check (ref_tab ~ '^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$');
