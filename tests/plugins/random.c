/*
 * Any job at all: of the tables, levels, runs and kinds there are, and now and
 * then of those there are not.  Most can be right, many are not, and which it
 * will be depends on the view's generation and the option `seed` alone.
 */
#include "plugins/strategy.h"

/* splitmix64 */
static uint64_t roll(uint64_t *state, uint64_t n)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % n;
}

/* Runs [a, b) of the view, each table with odds of `of` in 8. */
static void take_runs(const struct lsm_view *v, struct lsm_job *j,
		      uint64_t *state, size_t a, size_t b, uint64_t of)
{
	for (size_t r = a; r < b; r++)
		for (size_t i = 0; i < v->runs[r].n; i++)
			if (roll(state, 8) < of)
				v->scratch[j->n_inputs++] =
					v->tables[v->runs[r].first + i].number;
}

static bool touches(const struct lsm_table *t, struct lsm_key low,
		    struct lsm_key high)
{
	return lsm_key_cmp(t->smallest, high) <= 0 &&
	       lsm_key_cmp(low, t->largest) <= 0;
}

/* A table of run `a` and all that it drags along in runs [a, b). */
static void take_closure(const struct lsm_view *v, struct lsm_job *j,
			 uint64_t *state, size_t a, size_t b)
{
	size_t first = v->runs[a].first;
	size_t end = v->runs[b - 1].first + v->runs[b - 1].n;
	const struct lsm_table *t =
		&v->tables[first + roll(state, v->runs[a].n)];
	struct lsm_key low = t->smallest, high = t->largest;
	bool grown = true;

	while (grown) {
		grown = false;
		for (size_t i = first; i < end; i++) {
			t = &v->tables[i];
			if (!touches(t, low, high))
				continue;
			if (lsm_key_cmp(t->smallest, low) < 0) {
				low = t->smallest;
				grown = true;
			}
			if (lsm_key_cmp(t->largest, high) > 0) {
				high = t->largest;
				grown = true;
			}
		}
	}
	for (size_t i = first; i < end; i++)
		if (touches(&v->tables[i], low, high))
			v->scratch[j->n_inputs++] = v->tables[i].number;
}

static uint32_t level_of(const struct lsm_view *v, size_t run)
{
	return v->tables[v->runs[run].first].level;
}

static void take_inputs(const struct lsm_view *v, struct lsm_job *j,
			uint64_t *state)
{
	size_t a = roll(state, v->n_runs);
	size_t b = a + 1 + roll(state, v->n_runs - a);

	if (roll(state, 2)) /* to the end of a level: it may sink */
		while (b < v->n_runs && level_of(v, b) == level_of(v, b - 1))
			b++;
	switch (roll(state, 8)) {
	case 0: /* one table */
		v->scratch[j->n_inputs++] =
			v->tables[roll(state, v->n_tables)].number;
		break;
	case 1: /* whole runs, neighbours in age */
	case 2:
		take_runs(v, j, state, a, b, 8);
		break;
	case 3: /* parts of them */
		take_runs(v, j, state, a, b, 1 + roll(state, 7));
		break;
	case 4: /* from here and there */
		take_runs(v, j, state, 0, v->n_runs, 1 + roll(state, 4));
		break;
	default:
		take_closure(v, j, state, a, b);
	}
	/* what is twice there, or not at all */
	if (j->n_inputs && j->n_inputs < v->n_tables && roll(state, 30) == 0)
		v->scratch[j->n_inputs++] =
			roll(state, 2) ? v->scratch[0] : roll(state, 5000);
}

/* Where it can go if anywhere: as deep as the deepest of the inputs. */
static uint32_t deepest(const struct lsm_view *v, const struct lsm_job *j)
{
	uint32_t level = 0;

	for (size_t i = 0; i < v->n_tables; i++)
		for (size_t n = 0; n < j->n_inputs; n++)
			if (j->inputs[n] == v->tables[i].number &&
			    v->tables[i].level > level)
				level = v->tables[i].level;
	return level;
}

static bool random_job(const struct lsm_view *v, uint64_t *state,
		       lsm_emit *emit, void *ctx)
{
	static const uint32_t kinds[] = { LSM_MERGE, LSM_MERGE, LSM_MERGE,
					  LSM_MERGE, LSM_MERGE, LSM_MOVE,
					  LSM_MOVE };
	struct lsm_job j = { .kind = kinds[roll(state, 7)],
			     .inputs = v->scratch,
			     .why = "at random" };

	if (roll(state, 40) == 0)
		j.kind = (uint32_t)roll(state, 6);
	take_inputs(v, &j, state);
	j.level = deepest(v, &j) + (roll(state, 3) == 0);
	if (roll(state, 8) == 0)
		j.level = (uint32_t)roll(state, v->n_levels + 1);
	if (roll(state, 40) == 0)
		j.level = (uint32_t)roll(state, 100);
	j.run = roll(state, 6) ? LSM_NEW_RUN : (uint32_t)roll(state, 3);
	j.table_bytes = roll(state, 40) ? UINT64_C(4096) << roll(state, 4)
					: roll(state, 5000);
	return emit(ctx, &j);
}

/* `seed`, the generation and what is asked make up the odds of everything. */
static uint64_t state_of(const struct lsm_view *v)
{
	return v->options[0] * 1000003 + v->generation;
}

static bool wants(const struct lsm_view *v, uint64_t *state)
{
	*state = state_of(v);
	return v->n_tables && roll(state, 5);
}

static uint64_t need(const struct lsm_view *v)
{
	uint64_t state;

	return wants(v, &state);
}

static void plan(const struct lsm_view *v, const struct lsm_budget *budget,
		 lsm_emit *emit, void *ctx)
{
	uint64_t state, jobs;

	(void)budget;
	if (!wants(v, &state))
		return;
	jobs = roll(&state, 4) ? 1 : 2;
	while (jobs-- && random_job(v, &state, emit, ctx))
		;
}

static const struct lsm_option options[] = {
	{ "seed", LSM_COUNT, 1, 0, UINT64_MAX, "another seed, other plans" },
};

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "random",
	.summary = "for tests: any plan at all",
	.options = options,
	.n_options = 1,
	.need = need,
	.plan = plan,
};
