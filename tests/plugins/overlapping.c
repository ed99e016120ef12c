/* Puts the newest table into the deepest run, whatever it overlaps there. */
#include "tests/plugins/bad.h"

STRATEGY("overlapping")
{
	struct lsm_job job = JOB_OF(LSM_MERGE, 0, 0);

	(void)budget;
	if (v->n_levels < 2)
		return;
	job.level = (uint32_t)v->n_levels - 1;
	job.run = 0;
	emit(ctx, &job);
}
