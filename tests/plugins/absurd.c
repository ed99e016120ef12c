/* Goes a million levels down. */
#include "tests/plugins/bad.h"

STRATEGY("absurd")
{
	struct lsm_job job = JOB_OF(LSM_MERGE, 1000000, LAST(v));

	(void)budget;
	if (v->n_tables)
		emit(ctx, &job);
}
