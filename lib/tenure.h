/*
 * tenure.h - WRITE, again and again, without a system call.
 *
 * The byte WRITE of LOCK costs two calls each time it is taken, which is more
 * than what most writers do under it.  So who has had it several times in a
 * row, with nobody else in between, may stay its tenant: under the byte he
 * puts his id into a word in LOCK's first page, which he maps, and lets go of
 * the byte.  From then on he takes WRITE by making the word busy, and gives
 * it back likewise, each by one compare-and-swap.
 *
 * The byte is the lock as before.  Whoever gets it looks at the word, and if
 * there is a tenant puts an end to that: at once if he is idle, stopped or
 * not; if he is busy, once he has let go or died.  A tenant lives as long as
 * he locks the byte of his id.  The word means nothing to who does not hold
 * one or the other; what a crash leaves in it is the id of nobody alive.
 * Bytes: formats/lock.md.  After lock reservation (Kawachiya, Koseki and
 * Onodera, OOPSLA 2002).
 */
#ifndef LIB_TENURE_H
#define LIB_TENURE_H

#include "lib/os.h"

#include <stdatomic.h>

struct tenure {
	_Atomic uint32_t *page; /* LOCK's first, mapped; NULL: not yet */
	uint32_t id;		/* ours; 0: we never were a tenant */
	unsigned turns;		/* had in a row; to become one */
	bool refused;		/* it cannot be had here */
	bool busy;		/* we hold WRITE by it */
	bool terminal;		/* we have one: Ctrl-Z may come */
};

/* Take WRITE as its tenant: false if we are none (any more). */
bool tenure_enter(struct tenure *t);
/* Give it back; wakes who waits. */
void tenure_leave(struct tenure *t);

/*
 * Under the byte WRITE of `fd`: become the tenant.  Where that is not
 * possible nothing happens.
 */
void tenure_begin(struct tenure *t, int fd, const struct dir *dir);

/*
 * Under the byte WRITE of `fd`: nobody is the tenant any more: 1.  A busy one
 * is waited for until `deadline` of the monotonic clock in ms (0: for ever),
 * or if not `wait` hardly at all: 0.
 */
int tenure_end(struct tenure *t, int fd, const struct dir *dir, bool wait,
	       uint64_t deadline, struct store_error *err);

/* Does a living tenant hold WRITE?  `probe` is a description without locks. */
bool tenure_busy(int probe);

/* Before the descriptor is closed: the id is given up. */
void tenure_close(struct tenure *t);
/* In a forked child: it is the parent's. */
void tenure_forget(struct tenure *t);

#endif
