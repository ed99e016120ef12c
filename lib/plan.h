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

#include "formats/plan.h"
#include "lib/survey.h"

#include <assert.h>

/* How a job and a plan look: formats/plan.h. */
static_assert((int)PLAN_MERGE == (int)LSM_MERGE &&
		      (int)PLAN_MOVE == (int)LSM_MOVE &&
		      (int)PLAN_DROP == (int)LSM_DROP &&
		      (int)PLAN_FLUSH == (int)LSM_FLUSH,
	      "kinds of jobs have one number");

/* Why a job was refused: text for a message. */
struct refusal {
	char text[200];
};

/*
 * A job that was stopped or killed leaves tables of which it has written a
 * part, while their files still hold all of it: space, and deleted values whose
 * tombstones may be gone.  No strategy sees that.  So when a strategy has come
 * to rest, and has not merged them away, the plan is to rewrite each where it
 * is.  (Not where everything will be merged anyway: LSM_ALL.)
 */

/*
 * Ask `strategy` what waits and for jobs within `budget`, in a process of its
 * own (lib/ask.h), and validate each.  *p is PLAN_INIT; on failure it is
 * released.
 *   STORE_ECONFIG  a job, or the way it was emitted, is refused; or the
 *                  strategy crashed, or came to no end
 */
int plan_make(struct plan *p, const struct lsm_strategy *strategy,
	      const struct survey *s, const struct options *options,
	      const struct lsm_budget *budget, struct store_error *err);

/* The same, the strategy called in this process: for simulations. */
int plan_make_here(struct plan *p, const struct lsm_strategy *strategy,
		   const struct survey *s, const struct options *options,
		   const struct lsm_budget *budget, struct store_error *err);

/*
 * Validate a plan that came as text, in its order: tables that stand in two
 * jobs included.  Fills in what the text may leave open: table_bytes, bytes.
 * `who` begins the message.  STORE_ECONFIG.
 */
int plan_check(struct plan *p, const char *who, const struct survey *s,
	       const struct options *options, bool drops,
	       struct store_error *err);

/*
 * Jobs of one plan are independent of each other, but the table by which one
 * names the run it goes into may be an input of another that came before, or
 * have moved to another level.  Then, for the survey of now, the job is given
 * another name of the same run, if that is the only one of its level, or none,
 * if the level is empty.
 */
void plan_job_refresh(struct plan_job *j, const struct survey *s);

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

/* Cut the output of `level` here when the strategy has no opinion. */
uint64_t plan_table_bytes(const struct options *o, uint32_t level);

/*
 * The job that merges everything into one run of the deepest level (at least
 * 1).  Zeroed when one run without tombstones, of which every file holds no
 * more than is to be seen, or none, is all there is.
 */
int plan_everything(struct plan_job *j, const struct survey *s,
		    const struct options *options, struct store_error *err);

#endif
