-- Erasure: the functions that remove what other rows say of an erased user.

create table punit.forgetter (
    fn     text primary key,
    before boolean not null default false
);
comment on table punit.forgetter is
    'functions (user uuid) -> boolean that remove what a service holds of an erased user outside'
    ' the user''s own rows, a part at a time; true: there is more';
comment on column punit.forgetter.before is
    'the function reads the user''s rows: the owner calls it once, before they are deleted';

insert into punit.forgetter (fn) values ('punit.forget_moves'), ('punit.forget_messages');
