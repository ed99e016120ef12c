/*
 * plan.h - what a strategy proposes, collected and validated.
 *
 * The engine trusts no plan.  A job is refused unless its inputs exist, are
 * free and stand in it once; its level exists or may; and every table that
 * stays keeps its place in the order of search relative to every input it
 * overlaps, so that a newer entry can never come to lie under an older one.
 * A refused plan is refused whole, with a message, and nothing is touched.
 */
#ifndef LIB_PLAN_H
#define LIB_PLAN_H

#include "lib/survey.h"

/* A job, independent of the view it was made from. */
struct plan_job {
	enum lsm_kind kind;
	uint32_t level; /* of the output */
	uint64_t into;	/* a table of the run it goes into; 0: a new run */
	uint64_t *inputs;
	size_t n_inputs;
	uint64_t bytes;	      /* of the inputs */
	uint64_t table_bytes; /* cut the output here; never 0 */
	char why[64];
};

struct plan {
	struct plan_job *jobs;
	size_t n;
};

#define PLAN_INIT ((struct plan){ NULL, 0 })

void plan_release(struct plan *p);
void plan_job_release(struct plan_job *j);

/* Why a job was refused: text for a message. */
struct refusal {
	char text[200];
};

/*
 * Ask `strategy` for jobs within `budget` and validate each.  *p is PLAN_INIT;
 * on failure it is released.
 *   STORE_ECONFIG  a job, or the way it was emitted, is refused
 */
int plan_make(struct plan *p, const struct lsm_strategy *strategy,
	      const struct survey *s, const struct options *options,
	      const struct lsm_budget *budget, struct store_error *err);

/*
 * Is the job right for this survey?  1, or 0 with the reason.  Also for a
 * second look at a job that was planned from an older view.  `drops`: the
 * strategy may drop tables.  STORE_ESYSTEM.
 */
int plan_job_check(const struct plan_job *j, const struct survey *s, bool drops,
		   struct refusal *why, struct store_error *err);

/*
 * Where the output of a job that check found right will be searched: run r of
 * the view is at place 2r + 1, a new run before it at 2r.  `input` tells the
 * inputs by their index.
 */
size_t plan_job_place(const struct plan_job *j, const struct survey *s,
		      const bool *input);

/*
 * The job that merges everything into one run of the deepest level (at least
 * 1).  Zeroed when one run without tombstones, or none, is all there is.
 */
int plan_everything(struct plan_job *j, const struct survey *s,
		    const struct options *options, struct store_error *err);

#endif
