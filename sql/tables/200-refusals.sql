-- What this unit refused from its peers.

create table punit.refusal (
    peer    text not null,
    source  text not null check (source in ('mesh', 'message', 'call', 'move')),
    rule    text not null,
    n       bigint not null default 0,
    last_at timestamptz not null default now(),
    last    text,
    primary key (peer, source, rule)
);
comment on table punit.refusal is
    'local: how often a peer said what it may not say, by the rule that it broke';
comment on column punit.refusal.source is
    'mesh: a replicated row. message: what a message asks for. call: a function that the peer'
    ' called. move: rows of a hand-over. Each has its own row, so that none waits for another';
comment on column punit.refusal.last is 'what was refused last: ids only';

grant select on punit.refusal to punit_mover, punit_gridd;
