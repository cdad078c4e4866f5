-- Since when a refusal is counted.

alter table punit.refusal add column first_at timestamptz;
alter table punit.refusal alter column first_at set default now();
comment on column punit.refusal.first_at is
    'since when this count runs; null: since before this unit kept that time';
