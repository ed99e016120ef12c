/* Sinks the newest table below older ones that overlap it. */
#include "tests/plugins/bad.h"

STRATEGY("skipping")
{
	struct lsm_job job = JOB_OF(LSM_MERGE, (uint32_t)v->n_levels, 0);

	(void)budget;
	if (v->n_runs >= 2)
		emit(ctx, &job);
}
