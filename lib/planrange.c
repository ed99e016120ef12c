#include "lib/planrange.h"

#include <stdio.h>

struct closure {
	const struct lsm_view *v;
	bool *input;   /* by index of the table */
	size_t *queue; /* inputs whose overlaps are to be looked at */
	size_t n, next;
};

static void add(struct closure *c, size_t table)
{
	if (c->input[table])
		return;
	c->input[table] = true;
	c->queue[c->n++] = table;
}

static bool touches(const struct lsm_table *t, struct slice from,
		    struct slice to)
{
	return slice_cmp(survey_key(t->largest), from) >= 0 &&
	       (to.len == 0 || slice_cmp(survey_key(t->smallest), to) < 0);
}

/* The tables of `run` that overlap `t`: it is ascending, so by halving. */
static void add_overlapping(struct closure *c, const struct lsm_run *run,
			    const struct lsm_table *t)
{
	size_t low = run->first, high = run->first + run->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (lsm_key_cmp(c->v->tables[mid].largest, t->smallest) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < run->first + run->n &&
	       lsm_key_cmp(c->v->tables[low].smallest, t->largest) <= 0;
	     low++)
		add(c, low);
}

/*
 * The output is searched last, so nothing that an input overlaps may stay
 * between the two: what it overlaps in later runs comes along.
 */
static void close_over(struct closure *c)
{
	const struct lsm_view *v = c->v;

	while (c->next < c->n) {
		const struct lsm_table *t = &v->tables[c->queue[c->next++]];
		size_t r = v->levels[t->level].first + t->run + 1;

		for (; r < v->n_runs; r++)
			add_overlapping(c, &v->runs[r], t);
	}
}

static bool is_done(const struct closure *c, const struct survey *s,
		    size_t deepest_run)
{
	for (size_t i = 0; i < c->n; i++) {
		size_t at = c->queue[i];

		if (at < c->v->runs[deepest_run].first ||
		    c->v->tables[at].tombstones || s->trimmed[at] ||
		    c->v->levels[0].n == c->v->n_runs)
			return false;
	}
	return true;
}

static int fill_job(struct plan_job *j, const struct closure *c,
		    const struct options *options, struct store_error *err)
{
	const struct lsm_view *v = c->v;
	const struct lsm_level *last = &v->levels[v->n_levels - 1];

	j->kind = LSM_MERGE;
	j->inputs = calloc(c->n, sizeof(*j->inputs));
	if (!j->inputs)
		return store_nomem(err);
	for (size_t i = 0; i < c->n; i++) {
		const struct lsm_table *t = &v->tables[c->queue[i]];

		j->inputs[j->n_inputs++] = t->number;
		j->bytes += t->bytes;
	}
	j->level = v->n_levels > 1 ? (uint32_t)v->n_levels - 1 : 1;
	if (v->n_levels > 1)
		j->into = v->tables[v->runs[last->first + last->n - 1].first]
				  .number;
	j->table_bytes = plan_table_bytes(options, j->level);
	snprintf(j->why, sizeof(j->why), "%s", "a range of keys");
	return 0;
}

int plan_range(struct plan_job *j, const struct survey *s,
	       const struct options *options, struct slice from,
	       struct slice to, struct store_error *err)
{
	struct closure c = { .v = &s->view };
	const struct lsm_view *v = c.v;
	int r = 0;

	*j = (struct plan_job){ .kind = LSM_MERGE };
	c.input = calloc(v->n_tables + 1, sizeof(*c.input));
	c.queue = calloc(v->n_tables + 1, sizeof(*c.queue));
	if (!c.input || !c.queue)
		r = store_nomem(err);
	for (size_t i = 0; r == 0 && i < v->n_tables; i++)
		if (touches(&v->tables[i], from, to))
			add(&c, i);
	if (r == 0)
		close_over(&c);
	if (r == 0 && c.n && !is_done(&c, s, v->n_runs - 1))
		r = fill_job(j, &c, options, err);
	free(c.input);
	free(c.queue);
	return r;
}
