/*
 * lock.h - how processes exclude each other: byte ranges of the file LOCK.
 *
 * They are open-file-description locks, which the kernel drops when their
 * holder dies; so there is no stale lock, no pid to guess and nothing to
 * clean.  They do not exclude within one description, so each role has a gate
 * before its byte for the threads of a handle, and a handle keeps a table of
 * its claims and pins.
 *
 *	byte            role
 *	0 WRITE         append to the active log and publish; rotate
 *	1 MANIFEST      install a new generation
 *	2 SYNC          the leader of a group sync
 *	3 ALIVE         shared: uses STATE, .idx, .ver; exclusive: rebuilds them
 *	4 NUMBER        draw a file number
 *	8, 9 turns      exclusive: the sync of this turn (odd, even) is under
 *	                way; shared, for a moment: has waited for its end
 *	2^31 + id       tenant: who takes WRITE by a word in LOCK is alive
 *	2^32 + n        claim: file n is being built, flushed or merged
 *	2^62 + g        pin, shared: a reader depends on generation g's files
 *
 * Order: WRITE before SYNC, WRITE before MANIFEST, never SYNC and MANIFEST
 * together, NUMBER innermost; claims are tried, never waited for while
 * another lock is held.  lock.c asserts it.  After each acquisition whatever
 * was read before is stale: read it again.
 */
#ifndef LIB_LOCK_H
#define LIB_LOCK_H

#include "lib/names.h"
#include "lib/tenure.h"

#include <pthread.h>
#include <signal.h>

enum lock_role {
	ROLE_WRITE = 0,
	ROLE_MANIFEST = 1,
	ROLE_SYNC = 2,
	ROLE_ALIVE = 3,
	ROLE_NUMBER = 4,
	ROLES,
};

#define LOCK_TURNS 8 /* and 9 */
#define LOCK_CLAIM (UINT64_C(1) << 32)
#define LOCK_PIN (UINT64_C(1) << 62)

/* Who holds `role`, as text for a message; may leave it empty. */
typedef void lock_hint_fn(void *ctx, enum lock_role role, char *text, size_t n);

struct pin {
	uint64_t generation;
	unsigned count;
};

struct lock {
	const struct dir *dir;
	int fd;
	int probe; /* a description that holds no locks; opened when needed */
	bool writable;
	uint64_t inode;	      /* of LOCK when it was opened */
	struct tenure tenure; /* under WRITE */
	uint64_t seen_ms;     /* when it was last seen in the directory */
	int64_t timeout_ms;
	lock_hint_fn *hint;
	void *hint_ctx;
	/* which roles a thread of this handle has, or is about to get */
	pthread_mutex_t gate;
	bool taken[ROLES];
	pthread_cond_t given[ROLES]; /* back */
	pthread_mutex_t table;	     /* guards what follows */
	pthread_cond_t unclaimed;
	uint64_t *claims;
	size_t n_claims, cap_claims;
	struct pin *pins;
	size_t n_pins, cap_pins;
	struct lock *next; /* of this process's locks, for fork */
};

/*
 * Open LOCK.  `create`: make it if it is not there.  A process that may not
 * write gets it read-only, and can then take only shared locks.
 *   STORE_EGONE  there is no LOCK
 */
int lock_open(struct lock *l, const struct dir *dir, bool write, bool create,
	      int64_t timeout_ms, struct store_error *err);
/* Drops every lock. */
void lock_close(struct lock *l);

/*
 * Take a role exclusively; waits as long as the handle's timeout allows.
 * While WRITE or MANIFEST is held, job-control stops are blocked, but for a
 * tenant of WRITE without a terminal, whom none comes to.  That LOCK
 * is in its place is looked up each time, by a tenant ten times a second.
 *   STORE_EBUSY    not got in time; the message names the holder
 *   STORE_ECORRUPT LOCK was replaced: two processes would hold two locks
 */
int lock_acquire(struct lock *l, enum lock_role role, struct store_error *err);
/* 1 got, 0 busy. */
int lock_try(struct lock *l, enum lock_role role, struct store_error *err);
void lock_release(struct lock *l, enum lock_role role);

/*
 * Under WRITE: nobody but us had it since we had it last, if `again`.  After
 * some turns like that it is left to us until somebody else wants it: while
 * lock_tenant() nothing that is written under WRITE has changed meanwhile.
 */
void lock_again(struct lock *l, bool again);
static inline bool lock_tenant(const struct lock *l)
{
	return l->tenure.busy;
}

/*
 * From here to lock_patient(false) this thread waits for locks as long as it
 * takes, whatever the handle's timeout: "busy" would be untrue of what it has
 * already published.
 */
void lock_patient(bool on);

/*
 * A leader's turn, counted by syncs: taken before SYNC (1 got, 0 busy) and
 * given back after it.  Those who wait for a sync to end wait for its turn,
 * and not for SYNC, which the next leader may hold by the time they wake.
 */
int lock_turn_try(struct lock *l, uint64_t turn, struct store_error *err);
void lock_turn_release(struct lock *l, uint64_t turn);
/* Until nobody else holds the turn; takes nothing. */
int lock_turn_wait(struct lock *l, uint64_t turn, struct store_error *err);

/* ALIVE: shared waits; exclusive is only tried (1 got, 0 busy). */
int lock_alive(struct lock *l, struct store_error *err);
int lock_alive_try_exclusive(struct lock *l, struct store_error *err);
/* Exclusive to shared, without a gap. */
int lock_alive_share(struct lock *l, struct store_error *err);
void lock_alive_release(struct lock *l);

/*
 * Claim file `number`: 1 got, 0 somebody (perhaps a thread of this handle)
 * has it.  Granted once; lock_unclaim() gives it back.
 */
int lock_claim(struct lock *l, uint64_t number, struct store_error *err);
void lock_unclaim(struct lock *l, uint64_t number);
/*
 * Wait until nobody claims `number`; the caller holds no lock.
 *   STORE_EBUSY  not in time
 */
int lock_claim_wait(struct lock *l, uint64_t number, struct store_error *err);

/* Pin a generation; counted. */
int lock_pin(struct lock *l, uint64_t generation, struct store_error *err);
void lock_unpin(struct lock *l, uint64_t generation);
/* Is any generation from 0 to `last` pinned by anyone, us included?  1 or 0. */
int lock_pinned(struct lock *l, uint64_t last, struct store_error *err);

/*
 * For those who only look: is file `number` claimed, is a role taken, by
 * anyone, us included?  1 or 0, true at that moment.
 */
int lock_claimed(struct lock *l, uint64_t number, struct store_error *err);
/* The same for any of the files first to last. */
int lock_claimed_among(struct lock *l, uint64_t first, uint64_t last,
		       struct store_error *err);
int lock_held(struct lock *l, enum lock_role role, struct store_error *err);

/*
 * The lowest range of LOCK within [from, to) that anyone holds in any mode,
 * us included: 1 and [*start, *end), cut to that, or 0.
 */
int lock_next(struct lock *l, uint64_t from, uint64_t to, uint64_t *start,
	      uint64_t *end, struct store_error *err);

#endif
