#include "formats/plan.h"

void plan_job_release(struct plan_job *j)
{
	free(j->inputs);
	*j = (struct plan_job){ .kind = 0 };
}

void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		plan_job_release(&p->jobs[i]);
	free(p->jobs);
	*p = PLAN_INIT;
}
