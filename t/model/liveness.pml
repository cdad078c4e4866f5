/* The hand-over of doc/PROTOCOL.md: one user, three units. Liveness: a FENCED user does not stay so,
 * and a request for a move ends, once the network is fair.
 *
 * Each unit has two processes: the mover that drives moves to it, and the sweeper that looks for users
 * that hang here. The mesh (outbox, directory) is a process too. spin gives them weak fairness (pan -f).
 *
 * A call to a unit is one step with three outcomes: lost, done but the answer lost, done. Until the
 * process Network has healed, calls are lost, movers forget what they hold, and RESOLVE comes too
 * early, all without bound and in any order. From then on calls arrive. A network that may lose for
 * ever would make every schedule that loses all fair, and no claim would hold (M_NEVER_HEALS).
 *
 * Rows and versions are left to handover.pml. Bounds, -D: REQUESTS moves requested, SPARE aborts,
 * cancels and early refusals. So epochs stay below REQUESTS + 2 * SPARE + 2.
 */

#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef SPARE
#define SPARE 2
#endif

mtype = { COPY, OWNED, FENCED, ERASED };
mtype = { NONE, WANTED, FENCE, RETIRE, REFUSE };   /* punit.move.phase, of moves to this unit */

typedef Own {
	mtype st;
	byte ep;
	byte floor;        /* refused_epoch */
	byte to;           /* FENCED */
	byte hint;         /* COPY: the owner and its epoch, as far as this unit knows */
	byte hint_ep;
	mtype phase;
	byte from;         /* the unit that the move talks to, and the user's epoch there */
	byte from_ep;
	bool got           /* FENCE's answer is here, in memory only */
};

Own  u[3];
byte requests = REQUESTS;
byte spare = SPARE;
byte home[3];          /* the directory: the epoch since which a unit owned the user */
bool healed, erased;

#ifdef M_NEVER_HEALS
#define HEALS false
#else
#define HEALS true
#endif

inline to_copy(s_, t_, e_) {
	u[s_].st = COPY; u[s_].ep = e_; u[s_].to = 0; u[s_].hint = t_; u[s_].hint_ep = u[s_].ep
}

inline unfence(s_) {
	u[s_].st = OWNED; u[s_].to = 0;
#ifndef M_UNFENCE_SAME_EPOCH
	u[s_].ep = u[s_].ep + 2;
#endif
	home[s_] = u[s_].ep
}

/* FENCE(from_ep, to t) at s. `heard_`: the answer comes back. As long as a FENCE may be out, the move
 * is bound to s. The answer that FENCE changed nothing frees it. */
inline fence(s_, t_, heard_) {
	if
	:: u[s_].st == OWNED && u[s_].ep == u[t_].from_ep -> u[s_].st = FENCED; u[s_].to = t_; u[t_].got = heard_
	:: u[s_].st == FENCED && u[s_].to == t_ && u[s_].ep == u[t_].from_ep -> u[t_].got = heard_
	:: else ->
		if
		:: !heard_
		:: heard_ && u[s_].st == ERASED -> ended(t_)
		:: heard_ && (u[s_].st == OWNED || (u[s_].st == FENCED && u[s_].to == t_)) -> u[t_].from_ep = u[s_].ep
		:: heard_ && u[s_].st == FENCED && u[s_].to != t_ -> u[t_].phase = WANTED; learn(t_, u[s_].to, u[s_].ep + 1)
		:: heard_ && u[s_].st == COPY -> u[t_].phase = WANTED; learn(t_, u[s_].hint, u[s_].hint_ep)
		fi
	fi
}

/* Only later news counts. */
inline learn(t_, unit_, ep_) {
	if
	:: unit_ != t_ && ep_ > u[t_].from_ep -> u[t_].from = unit_; u[t_].from_ep = ep_
	:: else
	fi
}

inline ended(t_) {
	u[t_].phase = NONE; u[t_].from = 0; u[t_].from_ep = 0; u[t_].got = false
}

/* RETIRE(e) and REFUSED(e) of t at s. */
#define WAITS_FOR(s, t, e) (u[s].st == FENCED && u[s].to == t && u[s].ep + 1 == e)

proctype Mover(byte t) {
	byte s;

	do
	:: atomic { u[t].phase == NONE && u[t].st == COPY && requests > 0 ->
		requests--;
		u[t].phase = WANTED; u[t].from = u[t].hint; u[t].from_ep = u[t].hint_ep }

	:: atomic { (u[t].phase == WANTED || u[t].phase == FENCE) && u[t].st == COPY && !u[t].got ->
		if :: u[t].phase == WANTED -> learn(t, u[t].hint, u[t].hint_ep) :: else fi;
		s = u[t].from; u[t].phase = FENCE;
		if
		:: !healed -> skip
		:: !healed -> fence(s, t, false)
		:: fence(s, t, true)
		fi;
		s = 0 }

	:: atomic { u[t].got && u[t].st == COPY ->     /* ACTIVATE. If it was refused, the owner's next answer decides. */
		u[t].got = false;
		if
		:: u[t].from_ep + 1 > u[t].ep && u[t].from_ep + 1 > u[t].floor ->
			u[t].st = OWNED; u[t].ep = u[t].from_ep + 1; u[t].phase = RETIRE; home[t] = u[t].ep
		:: else
		fi }
	:: atomic { u[t].phase == FENCE && u[t].st == COPY && spare > 0 ->   /* ABORT, or a cancel while FENCE may be out. */
		spare--; u[t].got = false;
		u[t].floor = u[t].from_ep + 1; u[t].phase = REFUSE }
	:: atomic { u[t].got && !healed -> u[t].got = false }
	/* Forgets the move, as a restored unit would. */
	:: atomic { u[t].phase == FENCE && u[t].st == COPY && !healed -> ended(t) }

	:: atomic { u[t].phase == RETIRE && (u[t].st == OWNED || u[t].st == COPY) ->
		s = u[t].from;
		if
		:: !healed
#ifdef M_RETIRE_ONCE
		   -> ended(t)
#endif
		:: WAITS_FOR(s, t, u[t].from_ep + 1) -> to_copy(s, t, u[t].from_ep + 1); if :: !healed :: ended(t) fi
		:: else -> ended(t)
		fi;
		s = 0 }
	:: atomic { u[t].phase == REFUSE && (u[t].st == OWNED || u[t].st == COPY) ->
		s = u[t].from;
		if
		:: !healed
		:: WAITS_FOR(s, t, u[t].from_ep + 1) || (u[s].st == OWNED && u[s].ep == u[t].from_ep) -> unfence(s); if :: !healed :: ended(t) fi
		:: else -> ended(t)
		fi;
		s = 0 }
	:: atomic { u[t].phase != NONE && u[t].st == ERASED -> ended(t) }
	:: atomic { (u[t].phase == WANTED || u[t].phase == FENCE) && u[t].st == OWNED -> ended(t) }
	od
}

/* RESOLVE(ep + 1). After healing, s sends it only if t is silent, that is, does not work on this very
 * hand-over. A unit infers that from the time that has passed. Before healing, it also comes too early. */
#define SILENT(s) (u[u[s].to].phase != FENCE || u[u[s].to].from != s || u[u[s].to].from_ep != u[s].ep || \
                   u[u[s].to].floor > u[s].ep)

proctype Sweeper(byte s) {
	byte t;

	do
#ifndef M_NO_RESOLVE
	:: atomic { u[s].st == FENCED && (SILENT(s) || (!healed && spare > 0)) ->
		t = u[s].to;
		if
		:: !healed
		:: u[t].st == ERASED
		:: u[t].st != ERASED && u[t].ep > u[s].ep ->
			if :: !healed :: to_copy(s, t, u[s].ep + 1) fi
		:: u[t].st != ERASED && u[t].ep <= u[s].ep ->
			if
			:: SILENT(s) || spare == 0
			:: else -> spare--
			fi;
			if :: u[t].floor <= u[s].ep -> u[t].floor = u[s].ep + 1 :: else fi;
			if :: !healed :: unfence(s) fi
		fi;
		t = 0 }
#endif
	/* The owner erases, and the others hear of it by the mesh. */
#ifdef ERASE
	:: atomic { u[s].st == OWNED && !erased -> erased = true; u[s].st = ERASED }
#endif
	:: false
	od
}

/* The mesh: erasures from the outbox, and the directory. */
#define NEWS(x, y) (x != y && home[y] > u[x].hint_ep && home[y] > u[x].ep && u[x].st == COPY)
inline tell(x_, y_) { u[x_].hint = y_; u[x_].hint_ep = home[y_] }

proctype Mesh() {
	do
#ifndef M_NO_OUTBOX
	:: atomic { erased && u[0].st != ERASED -> u[0].st = ERASED; u[0].to = 0 }
	:: atomic { erased && u[1].st != ERASED -> u[1].st = ERASED; u[1].to = 0 }
	:: atomic { erased && u[2].st != ERASED -> u[2].st = ERASED; u[2].to = 0 }
#endif
#ifndef M_NO_DIRECTORY
	:: atomic { NEWS(0, 1) -> tell(0, 1) }
	:: atomic { NEWS(0, 2) -> tell(0, 2) }
	:: atomic { NEWS(1, 0) -> tell(1, 0) }
	:: atomic { NEWS(1, 2) -> tell(1, 2) }
	:: atomic { NEWS(2, 0) -> tell(2, 0) }
	:: atomic { NEWS(2, 1) -> tell(2, 1) }
#endif
	:: false
	od
}

proctype Network() {
	HEALS -> healed = true
}

init {
	atomic {
		u[0].st = OWNED; u[0].ep = 1; u[1].st = COPY; u[2].st = COPY;
		u[1].hint_ep = 1; u[2].hint_ep = 1; home[0] = 1;
		u[0].phase = NONE; u[1].phase = NONE; u[2].phase = NONE;
		run Mover(0); run Mover(1); run Mover(2);
		run Sweeper(0); run Sweeper(1); run Sweeper(2);
		run Mesh(); run Network()
	}
}

ltl fenced_0_ends  { [] (u[0].st == FENCED -> <> (u[0].st != FENCED)) }
ltl fenced_1_ends  { [] (u[1].st == FENCED -> <> (u[1].st != FENCED)) }
ltl request_0_ends { [] (u[0].phase != NONE -> <> (u[0].phase == NONE)) }
ltl request_1_ends { [] (u[1].phase != NONE -> <> (u[1].phase == NONE)) }
