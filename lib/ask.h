/*
 * ask.h - putting questions to a strategy, in a process of its own.
 *
 * A strategy is somebody's code.  A crash, a call of exit(), or a loop without
 * end in it must harm neither the store nor who compacts it, so its functions
 * (check, need, plan) run in a short-lived child, the one process that this
 * library ever starts.  The child can compute and nothing else (confine.h); it
 * writes its answers into memory that both share; the parent waits for it,
 * copies them, and believes none of them: counts and lengths are checked here,
 * what the jobs mean in plancheck.c.  What the child is not protected from is
 * the loading of a plugin, which runs its constructors (plugin.h).
 *
 * Costs: a fork, so some tenth of a millisecond in a small process and more
 * in one with much memory; no descriptor, no signal handler.  SIGCHLD may be
 * ignored, or its handler may reap all it sees: what counts is that the
 * child has marked its answers as finished.  All signals wait while the fork
 * itself is made.  The host's pthread_atfork handlers run.
 *
 * lsm-sim, which asks a million times and has no store to lose, uses
 * ask_here().
 */
#ifndef LIB_ASK_H
#define LIB_ASK_H

#include "formats/error.h"
#include "formats/plan.h"
#include "lib/confine.h"
#include "lib/survey.h"

#define ASK_JOBS_MAX 4096 /* jobs of one answer; a budget may say less */
#define ASK_TEXT 200

/* What to ask; several things at once cost no more than one. */
struct question {
	const struct lsm_strategy *strategy;
	const uint64_t *options;	 /* check() these; or NULL */
	const struct survey *survey;	 /* need() of its view; or NULL */
	const struct lsm_budget *budget; /* and plan() within it; or NULL */
};

/* A job as it was emitted. */
struct answer_job {
	uint32_t kind, level, run;
	uint64_t table_bytes;
	uint64_t n_inputs; /* at most as many as there are tables */
	char why[PLAN_WHY];
};

/* In the answerer's words, but within bounds; texts end with a NUL. */
struct answer {
	char objection[ASK_TEXT]; /* of check(); "" when there is none */
	uint64_t need;
	struct answer_job *jobs;
	size_t n_jobs;
	const uint64_t *inputs; /* of the jobs, one behind the other */
	/*
	 * Is the job after these wrong in itself?  It then has more inputs
	 * than there are tables, or none where there should be.
	 */
	bool broken;
	void *memory;
};

#define ANSWER_INIT ((struct answer){ .memory = NULL })

/*
 * Ask in a child.  *a is ANSWER_INIT.
 *   STORE_ECONFIG  the strategy crashed, ended the process, found no end in
 *                  time, emitted without end, or wrote where it should not
 *   STORE_ESYSTEM  no memory, or no process to be had
 */
int ask(struct answer *a, const struct question *q, struct store_error *err);

/* The same in this process: harm done is done. */
int ask_here(struct answer *a, const struct question *q,
	     struct store_error *err);

void answer_release(struct answer *a);

/* Time for one ask(); a test may want less. */
extern struct confines ask_confines;

#endif
