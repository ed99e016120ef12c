/*
 * job.h - carrying out one job of a plan: C3 and C4 of formats/manifest.md.
 *
 * A merge reads its inputs newest first and writes what is left of them as
 * new tables: the newest entry of each key, without tombstones and expired
 * entries under which nothing older can lie.  No store-wide lock is held while
 * it works; the one install at the end is all that others see.
 */
#ifndef LIB_JOB_H
#define LIB_JOB_H

#include "lib/engine.h"
#include "lib/plan.h"

/*
 * Carry out `j`, whose inputs the caller has claimed, and which
 * plan_job_check() has found right for `s`, the survey of `m`, both read
 * after the claims.  Adds to *result.
 * Returns 1 when it is done, 0 when the store has changed so that it is right
 * no more: nothing was installed.
 *   STORE_ENOSPACE  the disk is too full for it, or became so
 */
int job_run(struct store *db, const struct plan_job *j, const struct survey *s,
	    const struct manifest *m, struct store_compact_result *result,
	    struct store_error *err);

#endif
