/*
 * tiered - several sorted runs a level, merged when there are enough of them:
 * each byte is written about once a level, for more places to look in and
 * more space.
 *
 * When a level holds min_runs runs, its oldest ones become one run of the
 * next level.  When all runs but the oldest hold more than max_space_percent
 * of what the oldest holds, most of it may be overwritten or deleted: then
 * everything is merged.
 */
#include "plugins/strategy.h"

enum {
	MIN_RUNS,
	MAX_SPACE_PERCENT,
	N_OPTIONS,
};

static const struct lsm_option options[] = {
	[MIN_RUNS] = { .name = "min_runs",
		       .type = LSM_COUNT,
		       .def = 4,
		       .min = 2,
		       .max = 64,
		       .help = "runs of a level from which they are merged" },
	[MAX_SPACE_PERCENT] = { .name = "max_space_percent",
				.type = LSM_COUNT,
				.def = 200,
				.min = 25,
				.max = 10000,
				.help = "newer runs, in percent of the oldest, "
					"above which all are merged" },
};

/* How many runs a level may come to; writers slow down at level0_runs. */
static size_t limit(const struct lsm_view *v, size_t level)
{
	uint64_t runs = v->options[MIN_RUNS];

	if (level == 0 && v->level0_runs < runs)
		runs = v->level0_runs;
	return runs < 2 ? 2 : (size_t)runs;
}

static bool is_due(const struct lsm_view *v, size_t level)
{
	const struct lsm_level *l = &v->levels[level];

	return l->n >= limit(v, level) ||
	       (level == 0 && l->n >= 2 && l->bytes >= v->level0_bytes);
}

static uint64_t total_bytes(const struct lsm_view *v)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < v->n_levels; i++)
		bytes += v->levels[i].bytes;
	return bytes;
}

/* Level 0 alone is bounded by its runs; so is what it may waste. */
static bool is_wasteful(const struct lsm_view *v)
{
	uint64_t oldest;

	if (v->n_levels < 2 || v->n_runs < 2)
		return false;
	oldest = v->runs[v->n_runs - 1].bytes;
	return (total_bytes(v) - oldest) / v->options[MAX_SPACE_PERCENT] >
	       oldest / 100;
}

static bool runs_disjoint(const struct lsm_view *v, const struct lsm_run *a,
			  const struct lsm_run *b)
{
	const struct lsm_table *x = v->tables + a->first;
	const struct lsm_table *y = v->tables + b->first;

	for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
		if (lsm_key_cmp(x[i].largest, y[j].smallest) < 0)
			i++;
		else if (lsm_key_cmp(y[j].largest, x[i].smallest) < 0)
			j++;
		else
			return false;
	}
	return true;
}

/* Could runs [first, first + n) be one run as they are, with no loss? */
static bool may_move(const struct lsm_view *v, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		for (size_t t = 0; t < v->runs[i].n; t++)
			if (v->tables[v->runs[i].first + t].tombstones)
				return false;
		for (size_t j = i + 1; j < first + n; j++)
			if (!runs_disjoint(v, &v->runs[i], &v->runs[j]))
				return false;
	}
	return true;
}

/* Runs [first, first + n) become one run of `level`. */
static bool emit_runs(const struct lsm_view *v, size_t first, size_t n,
		      size_t level, const char *why, lsm_emit *emit, void *ctx)
{
	struct lsm_job job = {
		.kind = LSM_MERGE,
		.level = (uint32_t)level,
		.run = LSM_NEW_RUN,
		.inputs = v->scratch,
		.why = why,
	};

	for (size_t i = first; i < first + n; i++) {
		const struct lsm_run *run = &v->runs[i];

		for (size_t t = 0; t < run->n; t++)
			v->scratch[job.n_inputs++] =
				v->tables[run->first + t].number;
	}
	if (may_move(v, first, n))
		job.kind = LSM_MOVE;
	return emit(ctx, &job);
}

/*
 * The oldest runs of a level: as many as make it due, and more as long as a
 * job may read them.  Only the oldest may sink without passing another.
 */
static bool plan_level(const struct lsm_view *v, size_t level, lsm_emit *emit,
		       void *ctx)
{
	const struct lsm_level *l = &v->levels[level];
	size_t least = l->n < limit(v, level) ? l->n : limit(v, level);
	size_t to = level + 1 < v->max_levels ? level + 1 : level;
	size_t n = 0;
	uint64_t bytes = 0;

	while (n < l->n) {
		const struct lsm_run *run = &v->runs[l->first + l->n - 1 - n];

		if (run->claimed)
			break;
		bytes += run->bytes;
		if (n >= least && bytes > v->job_bytes)
			break;
		n++;
	}
	if (n < least)
		return true;
	return emit_runs(v, l->first + l->n - n, n, to, "level is full", emit,
			 ctx);
}

static void tiered_plan(const struct lsm_view *v,
			const struct lsm_budget *budget, lsm_emit *emit,
			void *ctx)
{
	bool more = true, claimed = false;

	(void)budget; /* emit keeps it */
	for (size_t i = 0; i < v->n_levels; i++)
		claimed |= v->levels[i].claimed;
	if (!claimed && is_wasteful(v)) {
		emit_runs(v, 0, v->n_runs, v->n_levels - 1,
			  "newer runs outweigh the oldest", emit, ctx);
		return;
	}
	for (size_t i = 0; i < v->n_levels && more; i++)
		if (v->levels[i].n && is_due(v, i))
			more = plan_level(v, i, emit, ctx);
}

static uint64_t tiered_need(const struct lsm_view *v)
{
	uint64_t need = 0;

	if (is_wasteful(v))
		return total_bytes(v);
	for (size_t i = 0; i < v->n_levels; i++)
		need += is_due(v, i) ? v->levels[i].bytes : 0;
	return need;
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "tiered",
	.summary = "several runs a level: little writing, more space",
	.options = options,
	.n_options = N_OPTIONS,
	.need = tiered_need,
	.plan = tiered_plan,
};
