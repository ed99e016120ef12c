/*
 * tiered - several sorted runs a level, merged when there are enough of them:
 * each byte is written about once a level, for more places to look in and
 * more space.
 *
 * Size-tiered compaction as in Bigtable (OSDI 2006, section 5.4, "merging
 * compaction") and Cassandra's SizeTieredCompactionStrategy; the bounds on
 * runs and on space after RocksDB's universal compaction (its wiki, "Universal
 * Compaction", sections on space amplification and on sorted runs).
 *
 * When a level holds min_runs runs, its oldest ones become one run of the
 * next level; one that this would fill goes along, and so on.  When all runs
 * but the oldest hold more than max_space_percent of what the oldest holds,
 * most of it may be overwritten or deleted: then everything is merged.  When
 * there are more than max_runs in all, the newest of them, which are the
 * smallest, become one.
 */
#include "plugins/planner.h"

enum {
	MIN_RUNS,
	MAX_SPACE_PERCENT,
	MAX_RUNS,
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
	[MAX_RUNS] = { .name = "max_runs",
		       .type = LSM_COUNT,
		       .def = 32,
		       .min = 2,
		       .max = 2048,
		       .help = "runs in all, above which the newest are "
			       "merged" },
};

static const char *tiered_check(const uint64_t *o)
{
	return o[MAX_RUNS] < o[MIN_RUNS] ? "max_runs is below min_runs" : NULL;
}

/* How many runs a level may come to; writers slow down at level0_runs. */
static size_t limit(const struct lsm_view *v, size_t level)
{
	uint64_t runs = v->options[MIN_RUNS];

	if (level == 0)
		runs = lsm_least(runs, v->level0_runs);
	return lsm_most(runs, 2);
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

/* Runs beyond the bound, which one more that is merged with them rids of. */
static size_t too_many(const struct lsm_view *v)
{
	uint64_t most = v->options[MAX_RUNS];

	return v->n_runs > most ? v->n_runs - (size_t)most + 1 : 0;
}

/* Runs [first, first + n) become one of `level`, unless one is claimed. */
static void merge_runs(struct lsm_planner *p, size_t first, size_t n,
		       size_t level, const char *why)
{
	lsm_begin(p);
	lsm_add_runs(p, first, n);
	if (!p->busy)
		lsm_end(p, lsm_may_move(p) ? LSM_MOVE : LSM_MERGE, level,
			LSM_NEW_RUN, 0, why);
}

/*
 * The oldest runs of a level: as many as make it due, and more as long as a
 * job may read them.  Only the oldest may sink without passing another.  Where
 * one run more would make the next level due, all of that goes along: so what
 * would at once be read again is not written there.
 */
static void plan_level(struct lsm_planner *p, size_t level)
{
	const struct lsm_view *v = p->v;
	const struct lsm_level *l = &v->levels[level];
	size_t least = lsm_least(l->n, limit(v, level)), n = 0;
	size_t to = level, below = 0;
	uint64_t bytes = 0;

	while (n < l->n) {
		const struct lsm_run *run = &v->runs[l->first + l->n - 1 - n];

		bytes += run->bytes;
		if (n >= least && (bytes > v->job_bytes || run->claimed))
			break;
		n++;
	}
	for (; to + 1 < v->max_levels; below += v->levels[to].n)
		if (++to >= v->n_levels || v->levels[to].claimed ||
		    v->levels[to].n + 1 < limit(v, to))
			break;
	merge_runs(p, l->first + l->n - n, n + below, to, "level is full");
}

static void tiered_plan(const struct lsm_view *v,
			const struct lsm_budget *budget, lsm_emit *emit,
			void *ctx)
{
	struct lsm_planner p;
	size_t newest = too_many(v);

	(void)budget; /* emit keeps it */
	lsm_planner_init(&p, v, emit, ctx);
	p.own_runs = true;
	if (is_wasteful(v))
		merge_runs(&p, 0, v->n_runs, v->n_levels - 1,
			   "newer runs outweigh the oldest");
	if (p.more && newest)
		merge_runs(&p, 0, newest,
			   v->tables[v->runs[newest - 1].first].level,
			   "too many runs");
	for (size_t i = 0; i < v->n_levels && p.more; i++)
		if (is_due(v, i))
			plan_level(&p, i);
}

static uint64_t tiered_need(const struct lsm_view *v)
{
	uint64_t need = 0;

	if (is_wasteful(v))
		return total_bytes(v);
	for (size_t i = 0; i < too_many(v); i++)
		need += v->runs[i].bytes;
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
	.check = tiered_check,
	.need = tiered_need,
	.plan = tiered_plan,
};
