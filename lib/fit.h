/*
 * fit.h - a smaller job, where the disk is too full for the one that is due.
 *
 * A merge needs room for what its inputs hold at the worst border (piece.h):
 * a table of each run.  Many runs of large tables, as a store has that was not
 * compacted for long, may need more than there is; yet some of them do not,
 * and when these have become one, that has one table at a border, too.  So
 * step by step the job comes to fit.
 */
#ifndef LIB_FIT_H
#define LIB_FIT_H

#include "lib/plan.h"

/*
 * Of the runs that are inputs of merge `j` as a whole, take those neighbours
 * that fit into `room` bytes and of which fewest are read for each run less:
 * they become one, in the level of the oldest of them.  1 and *small, which
 * the caller releases; 0 when no two fit.
 */
int fit_smaller(struct plan_job *small, const struct plan_job *j,
		const struct survey *s, const struct options *options,
		uint64_t room, struct store_error *err);

#endif
