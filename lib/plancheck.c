/*
 * The rules a job must keep: plan_job_check().
 */
#include "lib/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define TABLE_BYTES_MIN (UINT64_C(4) << 10)
#define TABLE_BYTES_MAX (UINT64_C(4) << 30)

__attribute__((format(printf, 2, 3))) static int refuse(struct refusal *why,
							const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return 0;
}

struct check {
	const struct plan_job *j;
	const struct survey *s;
	const struct lsm_view *v;
	const bool *input; /* by index of the table */
	struct refusal *why;
	size_t place;
};

static int check_inputs(struct check *c, bool *input)
{
	const struct plan_job *j = c->j;

	if (j->n_inputs == 0)
		return refuse(c->why, "it has no inputs");
	for (size_t i = 0; i < j->n_inputs; i++) {
		size_t at = survey_find(c->s, j->inputs[i]);

		if (at == c->v->n_tables)
			return refuse(c->why,
				      "input %" PRIu64 " is not in the store",
				      j->inputs[i]);
		if (c->v->tables[at].claimed)
			return refuse(c->why,
				      "input %" PRIu64 " is in another job",
				      j->inputs[i]);
		if (c->input[at])
			return refuse(c->why, "input %" PRIu64 " stands twice",
				      j->inputs[i]);
		input[at] = true;
	}
	return 1;
}

/* The newest age of what stays in a run; 0 when nothing does. */
static uint64_t age_of_rest(const struct lsm_view *v, const bool *input,
			    const struct lsm_run *run)
{
	uint64_t age = 0;

	for (size_t i = run->first; i < run->first + run->n; i++)
		if (!input[i] && v->tables[i].age_last > age)
			age = v->tables[i].age_last;
	return age;
}

static bool has_input(const struct check *c, const struct lsm_run *run)
{
	for (size_t i = run->first; i < run->first + run->n; i++)
		if (c->input[i])
			return true;
	return false;
}

/*
 * The first input of run `x` that overlaps a table of run `y` which stays (or,
 * with `stays` false, which is an input, too).
 */
static bool meet(const struct check *c, const struct lsm_run *x,
		 const struct lsm_run *y, bool stays, size_t at[2])
{
	const struct lsm_table *t = c->v->tables;
	size_t i = x->first, j = y->first;

	while (i < x->first + x->n && j < y->first + y->n) {
		struct slice i_end = survey_key(t[i].largest);
		struct slice j_end = survey_key(t[j].largest);

		at[0] = i;
		at[1] = j;
		if (c->input[i] && c->input[j] != stays &&
		    slice_cmp(i_end, survey_key(t[j].smallest)) >= 0 &&
		    slice_cmp(j_end, survey_key(t[i].smallest)) >= 0)
			return true;
		if (slice_cmp(i_end, j_end) < 0)
			i++;
		else
			j++;
	}
	return false;
}

/* By age: before the first run of the level of which something older stays. */
static size_t place_by_age(const struct check *c, const struct lsm_level *level)
{
	const struct lsm_view *v = c->v;
	uint64_t age = 0;

	for (size_t i = 0; i < v->n_tables; i++)
		if (c->input[i] && v->tables[i].age_last > age)
			age = v->tables[i].age_last;
	for (size_t i = level->first; i < level->first + level->n; i++) {
		uint64_t rest = age_of_rest(v, c->input, &v->runs[i]);

		if (rest && rest < age)
			return i;
	}
	return level->first + level->n;
}

/*
 * A run may hold old tables beside new ones, so its age alone does not tell
 * what may stand before it: where an input overlaps a table that stays, the
 * new run must stand on the input's side of that.
 */
static size_t place_new_run(const struct check *c,
			    const struct lsm_level *level)
{
	const struct lsm_view *v = c->v;
	size_t at = place_by_age(c, level), pair[2];
	size_t low = level->first, high = level->first + level->n;

	for (size_t x = 0; x < v->n_runs; x++) {
		if (!has_input(c, &v->runs[x]))
			continue;
		for (size_t y = low; y < high; y++) {
			if (x == y ||
			    !meet(c, &v->runs[x], &v->runs[y], true, pair))
				continue;
			if (y < x)
				low = y + 1;
			else
				high = y;
		}
	}
	return at < low ? low : at > high ? high : at;
}

size_t plan_job_place(const struct plan_job *j, const struct survey *s,
		      const bool *input)
{
	const struct lsm_view *v = &s->view;
	const struct check c = { .j = j, .s = s, .v = v, .input = input };

	if (j->level >= v->n_levels)
		return 2 * v->n_runs;
	if (j->into)
		return 2 * (v->levels[j->level].first +
			    v->tables[survey_find(s, j->into)].run) +
		       1;
	return 2 * place_new_run(&c, &v->levels[j->level]);
}

static int check_output(struct check *c)
{
	const struct plan_job *j = c->j;
	const struct lsm_view *v = c->v;
	size_t at;

	if (j->level >= v->max_levels)
		return refuse(c->why, "there is no level %" PRIu32, j->level);
	if (j->table_bytes < TABLE_BYTES_MIN ||
	    j->table_bytes > TABLE_BYTES_MAX)
		return refuse(c->why, "tables of %" PRIu64 " bytes",
			      j->table_bytes);
	at = survey_find(c->s, j->into);
	if (j->into && (at == v->n_tables || v->tables[at].level != j->level))
		return refuse(c->why, "the run it goes into is not there");
	c->place = plan_job_place(j, c->s, c->input);
	return 1;
}

/*
 * An input of run `x` and a table that stays in run `t` may overlap only if
 * the output keeps to the same side of `t` as the input: else the order of
 * search of two versions of a key would turn round.  Dropping a table that
 * hides another would bring the older version back.
 */
static bool pair_is_safe(const struct check *c, size_t x, size_t t)
{
	if (c->j->kind == LSM_DROP)
		return t <= x;
	return x == t || (t < x ? 2 * t + 1 < c->place : 2 * t + 1 > c->place);
}

static int check_order(const struct check *c)
{
	const struct lsm_view *v = c->v;
	size_t at[2];

	for (size_t x = 0; x < v->n_runs; x++) {
		if (!has_input(c, &v->runs[x]))
			continue;
		for (size_t y = 0; y < v->n_runs; y++)
			if (!pair_is_safe(c, x, y) &&
			    meet(c, &v->runs[x], &v->runs[y], true, at))
				return refuse(c->why,
					      "input %" PRIu64 " would pass "
					      "table %" PRIu64 ", which "
					      "overlaps it and stays",
					      v->tables[at[0]].number,
					      v->tables[at[1]].number);
	}
	return 1;
}

/* What is moved is not rewritten: it must be able to be one run. */
static int check_move(const struct check *c)
{
	const struct lsm_view *v = c->v;
	size_t sources = 0, at[2];
	bool moves = false;

	for (size_t i = 0; i < v->n_tables; i++)
		moves |= c->input[i] && v->tables[i].level != c->j->level;
	for (size_t x = 0; x < v->n_runs; x++) {
		if (!has_input(c, &v->runs[x]))
			continue;
		sources++;
		for (size_t y = x + 1; y < v->n_runs; y++)
			if (meet(c, &v->runs[x], &v->runs[y], false, at))
				return refuse(c->why,
					      "inputs %" PRIu64 " and "
					      "%" PRIu64 " overlap and "
					      "cannot be one run unread",
					      v->tables[at[0]].number,
					      v->tables[at[1]].number);
	}
	if (!moves && sources < 2)
		return refuse(c->why, "it moves nothing anywhere");
	return 1;
}

static int check_job(struct check *c, bool *input, bool drops)
{
	int r = check_inputs(c, input);

	if (r == 1 && c->j->kind == LSM_DROP && !drops)
		r = refuse(c->why, "the strategy does not say that it drops");
	if (r == 1 && c->j->kind != LSM_DROP)
		r = check_output(c);
	if (r == 1)
		r = check_order(c);
	if (r == 1 && c->j->kind == LSM_MOVE)
		r = check_move(c);
	return r;
}

int plan_job_check(const struct plan_job *j, const struct survey *s, bool drops,
		   struct refusal *why, struct store_error *err)
{
	struct check c = { .j = j, .s = s, .v = &s->view, .why = why };
	bool *input;
	int r;

	if (j->kind == LSM_FLUSH)
		return j->n_inputs ? refuse(why, "a flush has no inputs") : 1;
	if (j->kind != LSM_MERGE && j->kind != LSM_MOVE && j->kind != LSM_DROP)
		return refuse(why, "there is no such kind of job");
	input = calloc(s->view.n_tables + 1, sizeof(*input));
	if (!input)
		return store_nomem(err);
	c.input = input;
	r = check_job(&c, input, drops);
	free(input);
	return r;
}
