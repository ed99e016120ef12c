/*
 * job.h - carrying out one job of a plan: C3 and C4 of formats/manifest.md.
 *
 * A merge reads its inputs newest first and writes what is left of them as
 * new tables: the newest entry of each key, without tombstones and expired
 * entries under which nothing older can lie.  No store-wide lock is held while
 * it works.  What it has written is installed piece by piece (piece.h), and
 * whoever ends it (pace.h) gets what was written so far installed, too.
 */
#ifndef LIB_JOB_H
#define LIB_JOB_H

#include "lib/engine.h"
#include "lib/outlook.h"
#include "lib/pace.h"
#include "lib/plan.h"

/* How a job ended that did not fail. */
enum job_end {
	JOB_DONE = 1,
	JOB_STOPPED = 2, /* pace said so; what was done is installed */
	JOB_PART = 3,	 /* a smaller one was: the disk is too full for this */
	JOB_REFUSED = 0, /* the store has changed: the rest is left as it is */
};

/*
 * Carry out `j`, whose inputs the caller has claimed, and which
 * plan_job_check() has found right for `o`, read after the claims, which it
 * gives back.  `threads`: above 1, a second one packs what is written.  Adds
 * what came of it to *result, also when it fails half-way.  Returns an enum
 * job_end, or
 *   STORE_ENOSPACE  the disk is too full for it, or became so
 */
int job_run(struct store *db, const struct plan_job *j, const struct outlook *o,
	    unsigned threads, struct pace *pace,
	    struct store_compact_result *result, struct store_error *err);

#endif
