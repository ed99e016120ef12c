#include "lib/plan.h"

#include "lib/ask.h"

#include <inttypes.h>
#include <stdio.h>

/* A store merged into one run is cut into about so many tables. */
#define WHOLE_TABLES 64
#define SMALL_TABLE (UINT64_C(128) << 10)

/* ---- validating job after job ---- */

struct checked {
	const char *who; /* for messages */
	const struct survey *s;
	const struct options *options;
	bool drops;
	bool *used; /* by index of the table: stands in an earlier job */
	struct refusal why;
	struct store_error *err;
};

uint64_t plan_table_bytes(const struct options *o, uint32_t level)
{
	uint64_t bytes = o->table_bytes;

	for (uint32_t i = 2; i < level && bytes < o->table_bytes_max; i++)
		bytes *= 2;
	return bytes < o->table_bytes_max ? bytes : o->table_bytes_max;
}

static int refused(struct checked *c, const char *text)
{
	snprintf(c->why.text, sizeof(c->why.text), "%s", text);
	return 0;
}

/* Tables of earlier jobs are taken; so are this one's, from now on. */
static int take_inputs(struct checked *c, struct plan_job *j)
{
	j->bytes = 0;
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
static int check_next(struct checked *c, struct plan_job *j)
{
	int r;

	if (!j->table_bytes)
		j->table_bytes = plan_table_bytes(c->options, j->level);
	r = plan_job_check(j, c->s, c->drops, &c->why, c->err);
	return r == 1 ? take_inputs(c, j) : r;
}

static int fail_job(const struct checked *c, size_t index, int r)
{
	if (r < 0)
		return r;
	return store_fail(c->err, STORE_ECONFIG,
			  "%s: plan refused: job %zu: %s", c->who, index + 1,
			  c->why.text);
}

static int checked_open(struct checked *c)
{
	c->used = calloc(c->s->view.n_tables + 1, sizeof(*c->used));
	return c->used ? 0 : store_nomem(c->err);
}

int plan_check(struct plan *p, const char *who, const struct survey *s,
	       const struct options *options, bool drops,
	       struct store_error *err)
{
	struct checked c = { .who = who,
			     .s = s,
			     .options = options,
			     .drops = drops,
			     .err = err };
	int r = checked_open(&c);

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		r = check_next(&c, &p->jobs[i]);
		r = r == 1 ? 0 : fail_job(&c, i, r);
	}
	free(c.used);
	return r;
}

/* ---- what a job that ended early has left ---- */

static bool is_leftover(const struct survey *s, size_t at)
{
	return s->trimmed[at] && !s->tables[at].claimed;
}

/* Into p->jobs[p->n]: it stays where it is, without what it has lost. */
static int take_leftover(struct checked *c, struct plan *p, size_t at)
{
	const struct lsm_table *t = &c->s->tables[at];
	struct plan_job *j = &p->jobs[p->n];
	int r;

	*j = (struct plan_job){ .kind = LSM_MERGE,
				.level = t->level,
				.into = t->number,
				.n_inputs = 1 };
	snprintf(j->why, sizeof(j->why), "%s",
		 "a table that an earlier job has written half");
	j->inputs = malloc(sizeof(*j->inputs));
	if (!j->inputs)
		return store_nomem(c->err);
	j->inputs[0] = t->number;
	p->n++;
	r = check_next(c, j);
	return r == 1 ? 0 : fail_job(c, p->n - 1, r);
}

/* They are work as much as what the strategy finds, after all of that. */
static int take_leftovers(struct checked *c, struct plan *p, size_t most)
{
	const struct lsm_view *v = &c->s->view;
	bool rests = p->n == 0;
	size_t n = 0;
	int r = 0;

	if (v->trigger == LSM_ALL)
		return 0;
	for (size_t i = 0; i < v->n_tables; i++) {
		n += is_leftover(c->s, i);
		p->need += is_leftover(c->s, i) ? c->s->tables[i].bytes : 0;
	}
	if (n == 0 || !rests)
		return 0;
	free(p->jobs);
	p->jobs = calloc(n, sizeof(*p->jobs));
	if (!p->jobs)
		return store_nomem(c->err);
	for (size_t i = 0; r == 0 && p->n < most && i < v->n_tables; i++)
		if (is_leftover(c->s, i))
			r = take_leftover(c, p, i);
	return r;
}

/* ---- what a strategy answers ---- */

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

void plan_job_refresh(struct plan_job *j, const struct survey *s)
{
	const struct lsm_view *v = &s->view;
	size_t at = survey_find(s, j->into);

	if (!j->into || (at < v->n_tables && s->tables[at].level == j->level))
		return;
	if (j->level >= v->n_levels || v->levels[j->level].n == 0)
		j->into = 0;
	else if (v->levels[j->level].n == 1)
		name_run(j, v, 0);
}

/* The next job of the answer, into p->jobs[p->n]: 1, 0 refused, or an error. */
static int take_job(struct checked *c, struct plan *p,
		    const struct answer_job *from, const uint64_t *inputs)
{
	struct plan_job *j = &p->jobs[p->n];

	*j = (struct plan_job){ .kind = from->kind,
				.level = from->level,
				.table_bytes = from->table_bytes };
	memcpy(j->why, from->why, sizeof(j->why));
	if (!name_run(j, &c->s->view, from->run))
		return refused(c, "the run it goes into is not there");
	j->n_inputs = from->n_inputs;
	j->inputs = malloc((j->n_inputs + 1) * sizeof(*j->inputs));
	if (!j->inputs)
		return store_nomem(c->err);
	p->n++;
	memcpy(j->inputs, inputs, j->n_inputs * sizeof(*j->inputs));
	return check_next(c, j);
}

static int take_jobs(struct checked *c, struct plan *p, const struct answer *a)
{
	const uint64_t *inputs = a->inputs;
	int r = 1;

	p->jobs = calloc(a->n_jobs + 1, sizeof(*p->jobs));
	if (!p->jobs)
		return store_nomem(c->err);
	for (size_t i = 0; i < a->n_jobs; i++) {
		r = take_job(c, p, &a->jobs[i], inputs);
		if (r != 1)
			return fail_job(c, i, r);
		inputs += a->jobs[i].n_inputs;
	}
	if (a->broken) {
		refused(c, "it has more inputs than there are tables");
		return fail_job(c, a->n_jobs, 0);
	}
	p->need = a->need;
	return 0;
}

static int take_answer(struct plan *p, const struct question *q,
		       const struct answer *a, const struct options *options,
		       struct store_error *err)
{
	char who[64];
	struct checked c = { .who = who,
			     .s = q->survey,
			     .options = options,
			     .drops = q->strategy->flags & LSM_STRATEGY_DROPS,
			     .err = err };
	int r = checked_open(&c);

	snprintf(who, sizeof(who), "strategy %s", q->strategy->name);
	if (r == 0)
		r = take_jobs(&c, p, a);
	if (r == 0)
		r = take_leftovers(&c, p, q->budget->jobs);
	free(c.used);
	if (r < 0)
		plan_release(p);
	return r;
}

int plan_make(struct plan *p, const struct lsm_strategy *strategy,
	      const struct survey *s, const struct options *options,
	      const struct lsm_budget *budget, struct store_error *err)
{
	const struct question q = { .strategy = strategy,
				    .survey = s,
				    .budget = budget };
	struct answer a = ANSWER_INIT;
	int r = ask(&a, &q, err);

	if (r == 0)
		r = take_answer(p, &q, &a, options, err);
	answer_release(&a);
	return r;
}

int plan_make_here(struct plan *p, const struct lsm_strategy *strategy,
		   const struct survey *s, const struct options *options,
		   const struct lsm_budget *budget, struct store_error *err)
{
	const struct question q = { .strategy = strategy,
				    .survey = s,
				    .budget = budget };
	struct answer a = ANSWER_INIT;
	int r = ask_here(&a, &q, err);

	if (r == 0)
		r = take_answer(p, &q, &a, options, err);
	answer_release(&a);
	return r;
}

/* ---- a plan of our own ---- */

/* Even a small store has tables to choose from, later. */
static uint64_t whole_table_bytes(const struct options *o,
				  const struct plan_job *j)
{
	uint64_t most = plan_table_bytes(o, j->level);
	uint64_t least =
		o->table_bytes < SMALL_TABLE ? o->table_bytes : SMALL_TABLE;
	uint64_t want = j->bytes / WHOLE_TABLES;

	return want < least ? least : want < most ? want : most;
}

int plan_everything(struct plan_job *j, const struct survey *s,
		    const struct options *options, struct store_error *err)
{
	const struct lsm_view *v = &s->view;
	bool clean = true;

	*j = (struct plan_job){ .kind = LSM_MERGE };
	for (size_t i = 0; i < v->n_tables; i++)
		clean &= v->tables[i].tombstones == 0 && !s->trimmed[i];
	if (v->n_runs == 0 || (v->n_runs == 1 && clean))
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
	snprintf(j->why, sizeof(j->why), "everything into one run");
	return 0;
}
