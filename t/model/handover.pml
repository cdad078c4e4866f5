/* The hand-over of doc/PROTOCOL.md: one user, three units. Safety.
 *
 * Each handler is one local transaction, so it is one atomic step here. There is no volatile state:
 * what a unit knows is in its row of punit.own. So a crash needs no step of its own. Before a step's
 * commit it is the step that did not happen, and after it the message that was lost.
 *
 * The network loses, doubles, delays and reorders without bound. So it is not a queue but the set of
 * all messages ever sent. Each of them may arrive at any later time, again and again, or never.
 *   requests  PULL and FENCE are in the set from the start, from any unit, with any base.
 *   answers   `pulled` is a snapshot of an owner: the answers to all PULLs made of it. offer[e] has
 *             FENCE's answers for the hand-over of epoch e, for every base they may have.
 *   the rest  RESOLVE(e) exists once offer[e] was made. RETIRE(e) and ACTIVE(e) are gone[e], and
 *             REFUSED(e) is refused[e], each with the bit of the unit that said it. The erasure
 *             exists once `erased` is set.
 *
 * A version here is one more than in SQL, so that 0 is "no copy": the user is created at ver 1. One
 * key stands for all rows, because a delta treats each key alone. A write puts the key, deletes it,
 * or touches another key. `dup` is the idempotency record of one request, a row that is only put.
 *
 * Features, -D:
 *   DELETE   put and delete the key
 *   COLLECT  tombstones (gc_ver)
 *   EVICT    cold copies
 *   ERASE    the user
 *   CLIENT   a request with an Idempotency-Key, repeated
 *   FORK     a new history from an older state, as FORCE and restored backups will need it
 *   ABORT    what FENCE sent cannot be applied
 *   CANCEL   moves at any moment
 * Bounds, -D: MAXE epochs, MAXV versions. Mutants, -DM_...: see t/model/check.
 */

#ifndef MAXE
#define MAXE 4
#endif
#ifndef MAXV
#define MAXV 3
#endif
#ifdef FORK
#define FORKS 2
#else
#define FORKS 1
#endif

mtype = { COPY, OWNED, FENCED, ERASED };

/* What travels in an answer, and what a row of punit.own stands for. */
typedef Rows {
	byte ver;      /* (fork, ver) names a prefix of one history; 0: nothing */
	byte fork;
	byte gc;       /* tombstones up to this ver are collected */
	byte row;      /* the ver of the key's row; 0: no row */
	byte tomb;     /* the ver of the key's last tombstone; 0: no tombstone, or collected */
	byte dup       /* the ver of the idempotency record; 0: no record */
};

typedef Own {
	mtype st;
	byte ep;
	byte floor;    /* refused_epoch */
	byte to;       /* FENCED: the unit that the user is given to, at epoch ep + 1 */
	Rows r
};

typedef Offer {
	bool made;
	byte from;
	byte to;
	Rows r         /* the final read, a step of its own after FENCE's commit; ver 0: not yet */
};

Own   u[3];
Rows  pulled;          /* a snapshot that PULL's answers were made of; ver 0: none */
Offer offer[MAXE+1];   /* by the epoch that is offered */
byte  gone[MAXE+1];    /* units that said "the user is mine since that epoch": RETIRE, or ACTIVE to a RESOLVE */
byte  refused[MAXE+1]; /* units that said REFUSED */

/* Ghosts: the truth, for the assertions alone. */
byte acked;                       /* ver of the last acknowledged write */
byte fork;                        /* the history that is valid */
byte owner[MAXE+1];               /* 1 + the unit ever named as owner from that epoch */
byte truth[FORKS*(MAXV+1)];       /* the key's row at each version of each history */
byte dup_at[FORKS*(MAXV+1)];      /* the idempotency record at each version */
byte effects;                     /* how often the client's request had its effect */
byte heard;                       /* units that the erasure has reached */
bool erased;

/* For the mutants that check in one step and write in a later one. */
bool seen_owned[3], seen_new[3];

#define BIT(x)      (1 << (x))
#define AT(f, v)    (((f) - 1) * (MAXV + 1) + (v))
#define HOLDER(x)   (u[x].st == OWNED || u[x].st == FENCED)
#define TRUE_ROWS(x) (u[x].r.ver == 0 || (u[x].r.row == truth[AT(u[x].r.fork, u[x].r.ver)] && \
                                          u[x].r.dup == dup_at[AT(u[x].r.fork, u[x].r.ver)]))
#define HAS_ALL(x)   (u[x].r.ver == acked && u[x].r.fork == fork)

#define ONE_OWNER      ((u[0].st == OWNED) + (u[1].st == OWNED) + (u[2].st == OWNED) <= 1)
#define OWNER_HAS_ALL  ((u[0].st != OWNED || HAS_ALL(0)) && (u[1].st != OWNED || HAS_ALL(1)) && \
                        (u[2].st != OWNED || HAS_ALL(2)))
#define NOTHING_LOST   (erased || (HOLDER(0) && HAS_ALL(0)) || (HOLDER(1) && HAS_ALL(1)) || (HOLDER(2) && HAS_ALL(2)))
#define ERASED_STAYS   (!erased || (u[0].st != OWNED && u[1].st != OWNED && u[2].st != OWNED))
#define COPY_IS_PREFIX (TRUE_ROWS(0) && TRUE_ROWS(1) && TRUE_ROWS(2))
#define EXACTLY_ONCE   (effects <= 1)
#define NO_ROWS_LEFT   ((!(heard & 1) || u[0].r.ver == 0) && (!(heard & 2) || u[1].r.ver == 0) && \
                        (!(heard & 4) || u[2].r.ver == 0))

/* All false, so that a failed assertion prints its name. */
bool one_owner, owner_has_all, nothing_lost, erased_stays, copy_is_prefix, exactly_once, no_rows_left, next_ver, one_name;

/* Checks every state. */
proctype Monitor() {
	if
	:: atomic { !ONE_OWNER      -> assert(one_owner) }
	:: atomic { !OWNER_HAS_ALL  -> assert(owner_has_all) }
	:: atomic { !NOTHING_LOST   -> assert(nothing_lost) }
	:: atomic { !ERASED_STAYS   -> assert(erased_stays) }
	:: atomic { !COPY_IS_PREFIX -> assert(copy_is_prefix) }
	:: atomic { !EXACTLY_ONCE   -> assert(exactly_once) }
	:: atomic { !NO_ROWS_LEFT   -> assert(no_rows_left) }
	fi
}

/* Answers, tokens and the directory name an owner by epoch, so an epoch must never name two. */
inline name(e_, x_) {
	if :: owner[e_] != 0 && owner[e_] != x_ + 1 -> assert(one_name) :: else fi;
	owner[e_] = x_ + 1
}

inline copy_rows(to_, from_) {
	to_.ver = from_.ver; to_.fork = from_.fork; to_.gc = from_.gc;
	to_.row = from_.row; to_.tomb = from_.tomb; to_.dup = from_.dup
}

/* A writing transaction: bump, then the rows. */
inline write(x_, key_) {
	u[x_].r.ver++;
	if :: u[x_].r.ver != acked + 1 -> assert(next_ver) :: else fi;
	acked++;
	if
	:: key_ == 1 -> u[x_].r.row = u[x_].r.ver
	:: key_ == 2 -> u[x_].r.row = 0; u[x_].r.tomb = u[x_].r.ver
	:: key_ == 3 -> u[x_].r.dup = u[x_].r.ver; effects++
	:: else
	fi;
	truth[AT(fork, acked)] = u[x_].r.row;
	dup_at[AT(fork, acked)] = u[x_].r.dup
}

/* S answers a base below its gc_ver with all rows, so T clears first. Otherwise T buries, removes
 * and enters. */
inline apply(x_, rows_, base_) {
	if
	:: base_ < rows_.gc -> u[x_].r.row = rows_.row; u[x_].r.tomb = rows_.tomb; u[x_].r.dup = rows_.dup
	:: else ->
#ifdef M_ENTER_THEN_BURY
		if :: rows_.row > base_ -> u[x_].r.row = rows_.row :: else fi;
#endif
		if :: rows_.tomb > base_ -> u[x_].r.row = 0; u[x_].r.tomb = rows_.tomb :: else fi;
#ifndef M_ENTER_THEN_BURY
		if :: rows_.row > base_ -> u[x_].r.row = rows_.row :: else fi;
#endif
#ifndef M_DEDUP_STAYS
		if :: rows_.dup > base_ -> u[x_].r.dup = rows_.dup :: else fi
#endif
	fi;
	u[x_].r.ver = rows_.ver;
	u[x_].r.fork = rows_.fork;
#ifndef M_GC_BEHIND
	if :: rows_.gc > u[x_].r.gc -> u[x_].r.gc = rows_.gc :: else fi
#endif
}

inline no_rows(x_) {
	u[x_].r.ver = 0; u[x_].r.fork = 0; u[x_].r.row = 0; u[x_].r.tomb = 0; u[x_].r.dup = 0
}

/* As if there had never been a row in punit.own. */
inline no_row(x_) {
	no_rows(x_); u[x_].st = COPY; u[x_].ep = 0; u[x_].floor = 0; u[x_].to = 0; u[x_].r.gc = 1
}
#define NEVER_SEEN(x) (u[x].st == COPY && u[x].ep == 0 && u[x].floor == 0 && u[x].r.ver == 0)

/* The guards, and the mutants that lack one. */
#ifdef M_PULL_ANY_STATE
#define PULL_STATE(x) true
#else
#define PULL_STATE(x) (u[x].st == COPY)
#endif
#ifdef M_NO_FORK
#define SAME_FORK(x, rows) true
#else
#define SAME_FORK(x, rows) (u[x].r.fork == rows.fork)
#endif
#ifdef M_NO_VERSION
#define FROM_BASE(x, b)    (u[x].r.ver != 0)
#define NEWER(x, rows)     true
#define NOT_OLDER(x, rows) true
#else
#define FROM_BASE(x, b)    (b <= u[x].r.ver)
#define NEWER(x, rows)     (u[x].r.ver < rows.ver)
#define NOT_OLDER(x, rows) (u[x].r.ver <= rows.ver)
#endif
#ifdef M_NO_EPOCH
#define EPOCH(x, e) true
#else
#define EPOCH(x, e) (e > u[x].ep)
#endif
#ifdef M_NO_REFUSED_EPOCH
#define FLOOR(x, e) true
#else
#define FLOOR(x, e) (e > u[x].floor)
#endif
/* RETIRE(e), ACTIVE(e) and REFUSED(e) at x: do unit and epoch match the ones that the user is given to? */
#define OTHERS(x) (BIT(0) + BIT(1) + BIT(2) - BIT(x))
#ifdef M_RETIRE_ANY
#define RETIRE_FITS(x, e) (gone[e] & OTHERS(x))
#else
#define RETIRE_FITS(x, e) ((gone[e] & BIT(u[x].to)) && u[x].ep + 1 == e)
#endif
#ifdef M_REFUSED_ANY
#define REFUSED_FITS(x, e) (refused[e] & OTHERS(x))
#else
#define REFUSED_FITS(x, e) ((refused[e] & BIT(u[x].to)) && u[x].ep + 1 == e)
#endif
#ifdef M_ERASED_REFUSES
#define MAY_REFUSE(x, e) (u[x].st == ERASED || (u[x].st == COPY && e > u[x].ep))
#else
#define MAY_REFUSE(x, e) (u[x].st == COPY && e > u[x].ep)
#endif

/* PULL(b) was answered in full, or as a delta that fits this copy. */
#define PULL_FITS(x, rows, b) \
	(b < rows.gc || (SAME_FORK(x, rows) && FROM_BASE(x, b) && NEWER(x, rows)))
/* The same for the final rows. Full ones may replace a copy of another fork, whatever its ver. */
#define FINAL_FITS(x, rows, b) \
	(b < rows.gc -> (!SAME_FORK(x, rows) || NOT_OLDER(x, rows)) \
	              : (SAME_FORK(x, rows) && FROM_BASE(x, b) && NOT_OLDER(x, rows)))

/* T promises never to activate the epoch. This is an upsert. */
inline refuse(x_, e_) {
#ifdef M_REFUSE_NO_ROW
	if :: !NEVER_SEEN(x_) && e_ > u[x_].floor -> u[x_].floor = e_ :: else fi;
#else
	if :: e_ > u[x_].floor -> u[x_].floor = e_ :: else fi;
#endif
	refused[e_] = refused[e_] | BIT(x_)
}

#define OWNER (u[0].st == OWNED -> 0 : (u[1].st == OWNED -> 1 : (u[2].st == OWNED -> 2 : 3)))

/* PULL's answer arrives, for any base. */
inline pull(rows_) {
	select(b : 0 .. rows_.ver);
	if :: PULL_FITS(i, rows_, b) -> d_step { apply(i, rows_, b) } :: else fi;
	b = 0
}

/* The commit of FENCE(ep, to t). The bounds leave an epoch for the return to OWNED. */
#define CAN_FENCE (u[i].st == OWNED && u[i].ep + 2 <= MAXE)
inline fence(t_) {
	u[i].st = FENCED; u[i].to = t_;
	name(u[i].ep + 1, t_);
	offer[u[i].ep + 1].made = true; offer[u[i].ep + 1].from = i; offer[u[i].ep + 1].to = t_
}

/* FENCE's answer arrives. */
#define CAN_ACTIVATE(e) (offer[e].made && offer[e].r.ver != 0 && offer[e].to == i && u[i].st == COPY && \
                         EPOCH(i, e) && FLOOR(i, e))
inline activate(e_) {
	select(b : 0 .. offer[e_].r.ver);
	if
	:: FINAL_FITS(i, offer[e_].r, b) ->
		d_step { apply(i, offer[e_].r, b); u[i].st = OWNED; u[i].ep = e_; gone[e_] = gone[e_] | BIT(i) }
		name(e_, i)
	:: else
	fi;
	b = 0
}

/* The same, but T cannot apply what arrived. */
#define CAN_ABORT(e) (offer[e].made && offer[e].r.ver != 0 && offer[e].to == i && MAY_REFUSE(i, e))
inline abort(e_) {
#ifdef M_ABORT_NO_COMMIT
	refused[e_] = refused[e_] | BIT(i);
#else
	refuse(i, e_);
#endif
}

/* RETIRE(e) or ACTIVE(e) arrives. */
#define CAN_RETIRE(e) (u[i].st == FENCED && offer[e].from == i && RETIRE_FITS(i, e))
inline retire(e_) {
	u[i].st = COPY; u[i].ep = e_; u[i].to = 0
}

/* RESOLVE(e) arrives. */
#define CAN_RESOLVE(e) (offer[e].made && offer[e].to == i && u[i].st != ERASED)
inline resolve(e_) {
	if :: u[i].ep >= e_ -> gone[e_] = gone[e_] | BIT(i) :: else -> refuse(i, e_) fi
}

/* An operator cancels the move while FENCE may be out. T refuses an epoch that it perhaps never got. */
#define CAN_CANCEL(e) (u[i].st == COPY && e > u[i].ep && e > u[i].floor && owner[e - 1] != 0)

/* REFUSED(e) arrives. Before FENCE, it acts as if FENCE had come just before. So a late FENCE finds
 * another epoch. */
#define CAN_UNFENCE(e) (e < MAXE && ((u[i].st == FENCED && offer[e].from == i && REFUSED_FITS(i, e)) || \
                                     (u[i].st == OWNED && refused[e] && u[i].ep + 1 == e)))
inline unfence(e_) {
	u[i].st = OWNED; u[i].to = 0;
#ifndef M_UNFENCE_SAME_EPOCH
	u[i].ep = e_ + 1;
#endif
	name(u[i].ep, i)
}

/* What may arrive at unit i of the hand-over of one epoch. */
#define HANDOVER(e) \
	:: atomic { CAN_ACTIVATE(e) -> activate(e) } \
	:: atomic { ABORTS && CAN_ABORT(e) -> abort(e) } \
	:: atomic { CANCELS && CAN_CANCEL(e) -> refuse(i, e) } \
	:: atomic { CAN_RETIRE(e) -> retire(e) } \
	:: atomic { CAN_RESOLVE(e) -> resolve(e) } \
	:: atomic { CAN_UNFENCE(e) -> unfence(e) }
#ifdef ABORT
#define ABORTS true
#else
#define ABORTS false
#endif
#ifdef CANCEL
#define CANCELS true
#else
#define CANCELS false
#endif

#define CAN_WRITE (u[i].st == OWNED && u[i].r.ver < MAXV)

/* Unit i: its own steps, and what may arrive at it. */
proctype Unit(byte i) {
	byte b, t;

	do
	/* ---- writes */
#ifdef M_CHECK_WITHOUT_LOCK
	:: atomic { u[i].st == OWNED && !seen_owned[i] -> seen_owned[i] = true }
	:: atomic { seen_owned[i] && u[i].r.ver < MAXV -> seen_owned[i] = false; write(i, 0) }
#else
	:: atomic { CAN_WRITE -> write(i, 0) }
#endif
#ifdef DELETE
	:: atomic { CAN_WRITE -> write(i, 1) }
	:: atomic { CAN_WRITE && u[i].r.row != 0 -> write(i, 2) }
#endif
#ifdef CLIENT   /* The request, or its repetition after a lost answer, at any time and unit. */
#ifdef M_DEDUP_FIRST   /* Looks for the record in a snapshot from before the bump. */
	:: atomic { u[i].st == OWNED && u[i].r.dup == 0 && !seen_new[i] -> seen_new[i] = true }
	:: atomic { CAN_WRITE && seen_new[i] -> seen_new[i] = false; write(i, 3) }
#else
	:: atomic { CAN_WRITE && u[i].r.dup == 0 -> write(i, 3) }
#endif
#endif

	/* ---- PULL: a snapshot is taken, to arrive late. That one arrives, or one of this moment. */
	:: atomic { u[i].st == OWNED -> d_step { copy_rows(pulled, u[i].r) } }
	:: atomic { PULL_STATE(i) && pulled.ver != 0 -> pull(pulled) }
	:: atomic { PULL_STATE(i) && OWNER != 3 -> t = OWNER; pull(u[t].r); t = 0 }

	/* ---- the hand-over */
	:: atomic { CAN_FENCE -> if :: i != 0 -> t = 0 :: i != 1 -> t = 1 :: i != 2 -> t = 2 fi; fence(t); t = 0 }
	/* The final read, in a new snapshot. A repetition gives the same, except for collected tombstones. */
	:: atomic { u[i].st == FENCED -> d_step { copy_rows(offer[u[i].ep + 1].r, u[i].r) } }
#ifdef M_FINAL_READ_EARLY   /* In FENCE's own snapshot, which may be older than its lock. */
	:: atomic { CAN_FENCE -> d_step { copy_rows(offer[u[i].ep + 1].r, u[i].r) } }
#endif
	HANDOVER(2)
	HANDOVER(3)
#if MAXE >= 4
	HANDOVER(4)
#endif
#if MAXE >= 5
	HANDOVER(5)
#endif
#if MAXE >= 6
	HANDOVER(6)
#endif
#ifdef M_UNFENCE_BY_TIMER
	:: atomic { u[i].st == FENCED -> u[i].st = OWNED; u[i].to = 0; u[i].ep = u[i].ep + 2; name(u[i].ep, i) }
#endif

#ifdef COLLECT   /* Tombstones up to some ver, at any unit, in any state. */
	:: atomic { u[i].st != ERASED && u[i].r.gc < u[i].r.ver ->
		select(b : u[i].r.gc + 1 .. u[i].r.ver);
#ifndef M_COLLECT_SILENTLY
		u[i].r.gc = b;
#endif
		if :: u[i].r.tomb <= b -> u[i].r.tomb = 0 :: else fi;
		b = 0 }
#endif
#ifdef EVICT     /* A cold copy: the rows go, and the row of punit.own stays. */
	:: atomic { u[i].st == COPY && u[i].r.ver != 0 ->
#ifdef M_EVICT_DROPS_ROW
		no_row(i);
#else
		no_rows(i);
#endif
	}
#endif
#ifdef ERASE     /* At the owner, and elsewhere by the outbox, which keeps its message until the acknowledgement. */
	:: atomic { u[i].st == OWNED || (erased && !(heard & BIT(i))) ->
		erased = true;
		heard = heard | BIT(i);
#ifdef M_ERASE_DROPS_ROW
		no_row(i);
#else
		no_rows(i); u[i].st = ERASED; u[i].to = 0;
#endif
	}
#endif
#ifdef FORK      /* The owner goes on from an older state. What came after that is declared lost. */
	:: atomic { u[i].st == OWNED && fork == 1 ->
		select(b : u[i].r.gc .. u[i].r.ver);
		fork = 2; acked = b;
		u[i].r.fork = 2; u[i].r.ver = b; u[i].r.row = truth[AT(1, b)];
		/* The new history has no tombstones, so no delta may begin before it. */
		u[i].r.tomb = 0; u[i].r.gc = b;
		do :: b > 0 -> truth[AT(2, b)] = truth[AT(1, b)]; b-- :: else -> break od }
#endif
	od
}

init {
	atomic {
		u[0].st = OWNED; u[0].ep = 1; u[0].r.ver = 1; u[0].r.fork = 1; u[0].r.row = 1;
		u[1].st = COPY; u[2].st = COPY;
		u[0].r.gc = 1; u[1].r.gc = 1; u[2].r.gc = 1;
		acked = 1; fork = 1; owner[1] = 1; truth[AT(1, 1)] = 1;
		run Unit(0); run Unit(1); run Unit(2);
		run Monitor()
	}
}
