/* Merges a table that is not there. */
#include "tests/plugins/bad.h"

STRATEGY("unknown")
{
	static const uint64_t number = UINT64_C(1) << 50;
	struct lsm_job job = { .kind = LSM_MERGE,
			       .level = 1,
			       .run = LSM_NEW_RUN,
			       .inputs = &number,
			       .n_inputs = 1 };

	(void)budget;
	if (v->n_tables)
		emit(ctx, &job);
}
