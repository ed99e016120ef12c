/* Takes what is claimed, and only that. */
#include "tests/plugins/bad.h"

STRATEGY("claiming")
{
	(void)budget;
	for (size_t i = 0; i < v->n_tables; i++) {
		struct lsm_job job = JOB_OF(LSM_MERGE, v->tables[i].level, i);

		if (v->tables[i].claimed)
			emit(ctx, &job);
	}
}
