/* Follows a pointer to nowhere, after a job that is right. */
#include "tests/plugins/bad.h"

STRATEGY("crashing")
{
	struct lsm_job job =
		JOB_OF(LSM_MERGE, v->tables[LAST(v)].level, LAST(v));
	const uint64_t *volatile nowhere = (const uint64_t *)(uintptr_t)8;

	(void)budget;
	emit(ctx, &job);
	job.inputs = nowhere;
	emit(ctx, &job);
}
