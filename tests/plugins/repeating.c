/* Names one table twice, in one job or, when there is but one, in two. */
#include "tests/plugins/bad.h"

STRATEGY("repeating")
{
	struct lsm_job job = JOB_OF(LSM_MERGE, (uint32_t)v->n_levels, LAST(v));

	(void)budget;
	if (v->n_tables == 0)
		return;
	if (v->n_tables > 1) {
		v->scratch[0] = v->scratch[1] = job.inputs[0];
		job.inputs = v->scratch;
		job.n_inputs = 2;
	}
	emit(ctx, &job);
	emit(ctx, &job);
}
