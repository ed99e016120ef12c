#include "lib/plan.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>

/* Calls a strategy gets to notice that its budget is used up. */
#define PATIENCE 1000
/* A store merged into one run is cut into about so many tables. */
#define WHOLE_TABLES 64
#define SMALL_TABLE (UINT64_C(128) << 10)

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

/* ---- collecting ---- */

struct collect {
	struct plan *plan;
	const struct survey *s;
	const struct lsm_strategy *strategy;
	const struct options *options;
	struct lsm_budget left;
	bool *used; /* by index of the table: stands in an earlier job */
	bool full;
	bool failed;
	struct refusal why;
	struct store_error *err;
	unsigned patience;
	jmp_buf enough;
};

/* Cut the output of `level` here when the strategy has no opinion. */
static uint64_t default_table_bytes(const struct options *o, uint32_t level)
{
	uint64_t bytes = o->table_bytes;

	for (uint32_t i = 2; i < level && bytes < o->table_bytes_max; i++)
		bytes *= 2;
	return bytes < o->table_bytes_max ? bytes : o->table_bytes_max;
}

static void copy_why(struct plan_job *j, const char *why)
{
	size_t n = 0;

	for (; why && why[n] && n < sizeof(j->why) - 1; n++)
		j->why[n] = why[n] >= 0x20 && why[n] < 0x7f ? why[n] : '?';
	j->why[n] = '\0';
}

/* Name the run by one of its tables: its index may change under us. */
static bool name_run(struct plan_job *j, const struct lsm_view *v, uint32_t run)
{
	const struct lsm_level *level;

	if (run == LSM_NEW_RUN || j->kind == LSM_DROP || j->kind == LSM_FLUSH)
		return true;
	if (j->level >= v->n_levels || run >= v->levels[j->level].n)
		return false;
	level = &v->levels[j->level];
	j->into = v->tables[v->runs[level->first + run].first].number;
	return true;
}

static int refused(struct collect *c, const char *text)
{
	snprintf(c->why.text, sizeof(c->why.text), "%s", text);
	return 0;
}

/* Tables of earlier jobs are taken; so are this one's, from now on. */
static int take_inputs(struct collect *c, struct plan_job *j)
{
	for (size_t i = 0; i < j->n_inputs; i++) {
		size_t at = survey_find(c->s, j->inputs[i]);

		if (c->used[at])
			return refused(c, "an input stands in another job");
		c->used[at] = true;
		j->bytes += c->s->tables[at].bytes;
	}
	return 1;
}

/* 1, 0 refused, or an error. */
static int add_job(struct collect *c, const struct lsm_job *job)
{
	const struct lsm_view *v = &c->s->view;
	struct plan_job j = { .kind = job->kind, .level = job->level };
	struct plan_job *jobs;
	int r;

	if ((!job->inputs && job->kind != LSM_FLUSH) ||
	    job->n_inputs > v->n_tables)
		return refused(c, "it has more inputs than there are tables");
	if (!name_run(&j, v, job->run))
		return refused(c, "the run it goes into is not there");
	j.table_bytes = job->table_bytes;
	if (!j.table_bytes)
		j.table_bytes = default_table_bytes(c->options, j.level);
	copy_why(&j, job->why);
	j.n_inputs = job->n_inputs;
	j.inputs = malloc((j.n_inputs + 1) * sizeof(*j.inputs));
	if (!j.inputs)
		return store_nomem(c->err);
	if (j.n_inputs)
		memcpy(j.inputs, job->inputs, j.n_inputs * sizeof(*j.inputs));
	r = plan_job_check(&j, c->s, c->strategy->flags & LSM_STRATEGY_DROPS,
			   &c->why, c->err);
	if (r == 1)
		r = take_inputs(c, &j);
	if (r == 1) {
		jobs = realloc(c->plan->jobs, (c->plan->n + 1) * sizeof(*jobs));
		if (jobs) {
			c->plan->jobs = jobs;
			jobs[c->plan->n++] = j;
			return 1;
		}
		r = store_nomem(c->err);
	}
	plan_job_release(&j);
	return r;
}

static bool emit(void *ctx, const struct lsm_job *job)
{
	struct collect *c = ctx;
	uint64_t bytes;

	if (c->full || c->failed) {
		/*
		 * Planning allocates nothing and holds nothing, so there is
		 * nothing to lose in leaving a strategy that never ends.
		 */
		if (c->patience-- == 0) {
			refused(c, "the strategy goes on for ever");
			c->failed = true;
			longjmp(c->enough, 1);
		}
		return false;
	}
	if (add_job(c, job) <= 0) {
		c->failed = true;
		return false;
	}
	bytes = c->plan->jobs[c->plan->n - 1].bytes;
	c->left.jobs--;
	c->left.bytes -= bytes < c->left.bytes ? bytes : c->left.bytes;
	c->full = c->left.jobs == 0 || c->left.bytes == 0;
	return !c->full;
}

/* In a function of its own: what setjmp() keeps must not change under it. */
static void ask(struct collect *c, const struct lsm_budget *budget)
{
	if (setjmp(c->enough) == 0)
		c->strategy->plan(&c->s->view, budget, emit, c);
}

int plan_make(struct plan *p, const struct lsm_strategy *strategy,
	      const struct survey *s, const struct options *options,
	      const struct lsm_budget *budget, struct store_error *err)
{
	struct collect c = {
		.plan = p,
		.s = s,
		.strategy = strategy,
		.options = options,
		.left = *budget,
		.full = budget->jobs == 0 || budget->bytes == 0,
		.err = err,
		.patience = PATIENCE,
	};
	int r = 0;

	c.used = calloc(s->view.n_tables + 1, sizeof(*c.used));
	if (!c.used)
		return store_nomem(err);
	ask(&c, budget);
	if (c.failed && c.why.text[0])
		r = store_fail(err, STORE_ECONFIG,
			       "strategy %s: plan refused: job %zu: %s",
			       strategy->name, p->n + 1, c.why.text);
	else if (c.failed)
		r = STORE_ESYSTEM;
	free(c.used);
	if (r < 0)
		plan_release(p);
	return r;
}

/* Even a small store has tables to choose from, later. */
static uint64_t whole_table_bytes(const struct options *o,
				  const struct plan_job *j)
{
	uint64_t most = default_table_bytes(o, j->level);
	uint64_t least =
		o->table_bytes < SMALL_TABLE ? o->table_bytes : SMALL_TABLE;
	uint64_t want = j->bytes / WHOLE_TABLES;

	return want < least ? least : want < most ? want : most;
}

int plan_everything(struct plan_job *j, const struct survey *s,
		    const struct options *options, struct store_error *err)
{
	const struct lsm_view *v = &s->view;
	uint64_t tombstones = 0;

	*j = (struct plan_job){ .kind = LSM_MERGE };
	for (size_t i = 0; i < v->n_tables; i++)
		tombstones += v->tables[i].tombstones;
	if (v->n_runs == 0 || (v->n_runs == 1 && tombstones == 0))
		return 0;
	j->inputs = malloc(v->n_tables * sizeof(*j->inputs));
	if (!j->inputs)
		return store_nomem(err);
	for (size_t i = 0; i < v->n_tables; i++) {
		j->inputs[j->n_inputs++] = v->tables[i].number;
		j->bytes += v->tables[i].bytes;
	}
	j->level = v->n_levels > 1 ? (uint32_t)v->n_levels - 1 : 1;
	j->table_bytes = whole_table_bytes(options, j);
	copy_why(j, "everything into one run");
	return 0;
}
