/* Proposes for ever, whatever it is told. */
#include "tests/plugins/bad.h"

STRATEGY("endless")
{
	struct lsm_job job = JOB_OF(LSM_MERGE, (uint32_t)v->n_levels, LAST(v));

	(void)budget;
	while (v->n_tables)
		emit(ctx, &job);
}
