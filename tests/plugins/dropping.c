/* Drops the oldest table without having said that it is one to drop. */
#include "tests/plugins/bad.h"

STRATEGY("dropping")
{
	struct lsm_job job = JOB_OF(LSM_DROP, 0, LAST(v));

	(void)budget;
	if (v->n_tables)
		emit(ctx, &job);
}
