/*
 * planrange.h - the job that compacts a range of keys: --from and --to.
 */
#ifndef LIB_PLANRANGE_H
#define LIB_PLANRANGE_H

#include "lib/plan.h"

/*
 * The job that merges the tables which touch [from, to) into the last run of
 * the deepest level (at least 1), with all that lies beneath them: whatever
 * overlaps an input and is searched after it.  An empty key: no bound.
 * Zeroed when the range lies in that run alone and holds no tombstones.
 */
int plan_range(struct plan_job *j, const struct survey *s,
	       const struct options *options, struct slice from,
	       struct slice to, struct store_error *err);

#endif
