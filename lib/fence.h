/*
 * fence.h - how far a table that a merge writes may reach, and what lies
 * beneath its keys.
 *
 * An output's age is the span of the inputs whose ranges it meets.  Of two
 * tables that overlap the one searched first must be newer, so an output ends
 * where, by reaching on, its age would reach past that of a table that stays
 * and that it would come to overlap; or where it would reach into its own
 * run.  One key alone always fits.
 *
 * A tombstone may go when no table that stays and is searched later has the
 * key in its range.
 *
 * Keys are given in ascending order.  The survey must stay.
 */
#ifndef LIB_FENCE_H
#define LIB_FENCE_H

#include "lib/plan.h"

enum fence_side {
	FENCE_INPUT, /* its entries are in the output */
	FENCE_NEWER, /* stays, and is searched before the output */
	FENCE_OLDER, /* stays, and is searched after it */
	FENCE_OWN,   /* stays, or comes, in the run the output goes into */
};

struct fence_table {
	const struct lsm_table *t;
	enum fence_side side;
};

/* What the tables that an output overlaps amount to. */
struct fence_span {
	uint64_t first, last; /* ages of the inputs */
	uint64_t newer;	      /* the oldest age of what is searched before */
	uint64_t older;	      /* the newest age of what is searched after */
	bool own;
};

struct fence {
	struct fence_table *tables; /* by smallest key */
	size_t n, next;		    /* those before `next` have begun */
	size_t *active;		    /* that the output overlaps */
	size_t n_active;
	struct fence_span span;
	const struct lsm_view *view;
	size_t *below; /* for each run searched later: the table we are at */
	size_t place;
	bool *input; /* by index of the table in the view */
	bool *carried;
};

#define FENCE_INIT ((struct fence){ .tables = NULL })

/*
 * For a job that plan_job_check() has found right for `s`.  Inputs that are
 * `carried` come into the output's run unread, so they are of its own.  *f is
 * FENCE_INIT; on failure (no memory) it is released.
 */
int fence_make(struct fence *f, const struct plan_job *j,
	       const struct survey *s, const uint64_t *carried,
	       size_t n_carried, struct store_error *err);
void fence_release(struct fence *f);

/* An output begins with `key`. */
void fence_begin(struct fence *f, struct slice key);
/* May it reach on to `key`?  If so, it does. */
bool fence_reach(struct fence *f, struct slice key);
/* The age of the output as far as it reaches. */
void fence_age(const struct fence *f, uint64_t *first, uint64_t *last);

/* Could something older than the output hold `key`? */
bool fence_hides(struct fence *f, struct slice key);

#endif
