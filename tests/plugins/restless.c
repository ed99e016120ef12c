/* Each job is right, and there is always another: the newest run again. */
#include "tests/plugins/bad.h"

STRATEGY("restless")
{
	struct lsm_job job = { .kind = LSM_MERGE,
			       .run = LSM_NEW_RUN,
			       .inputs = v->scratch,
			       .why = "once more" };

	(void)budget;
	if (v->n_tables == 0)
		return;
	job.level = v->tables[0].level;
	for (size_t i = 0; i < v->runs[0].n; i++)
		v->scratch[job.n_inputs++] = v->tables[i].number;
	emit(ctx, &job);
}
