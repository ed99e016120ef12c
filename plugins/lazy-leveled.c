/*
 * lazy-leveled - several runs a level above, one in the last: writing nearly
 * as little as tiered, space and long scans nearly as leveled.
 *
 * After Dostoevsky (Dayan and Idreos, SIGMOD 2018, section 4.1, "Lazy
 * Leveling"): merging in the smaller levels does little for space and scans,
 * so it is done only in the largest.
 *
 * When a level above the last holds min_runs runs, its oldest ones become one
 * run of the next level.  The last level takes what is above it when of that
 * more may be lost than max_space_percent of it: what its tombstones may hide,
 * and of the rest the part that merges were seen to discard (lsm_waste()).  The
 * paper has fixed capacities; here, as the last level is the measure, a level
 * more comes when the one above the last is full and yet too small to be worth
 * rewriting the last for: the last level moves one down, unread.
 */
#include "plugins/planner.h"

enum {
	MIN_RUNS,
	MAX_SPACE_PERCENT,
	TOMBSTONE_DEADLINE,
	N_OPTIONS,
};

static const struct lsm_option options[] = {
	[MIN_RUNS] = { .name = "min_runs",
		       .type = LSM_COUNT,
		       .def = 4,
		       .min = 2,
		       .max = 64,
		       .help = "runs of a level above the last from which "
			       "they are merged" },
	[MAX_SPACE_PERCENT] = { .name = "max_space_percent",
				.type = LSM_COUNT,
				.def = 33,
				.min = 5,
				.max = 400,
				.help = "what lies above the last level, in "
					"percent of it, before it is merged "
					"into it" },
	[TOMBSTONE_DEADLINE] = LSM_DEADLINE_OPTION,
};

/* A store this small wastes little in all. */
#define SMALL_STORE (UINT64_C(1) << 20)

/* The last level, at least 1, and the index of its first run. */
static size_t last_level(const struct lsm_view *v, size_t *run)
{
	size_t last = v->n_levels > 1 ? v->n_levels - 1 : 1;

	*run = last < v->n_levels ? v->levels[last].first : v->n_runs;
	return last;
}

static bool is_full(const struct lsm_view *v, size_t level)
{
	const struct lsm_level *l = &v->levels[level];
	uint64_t runs = v->options[MIN_RUNS];

	if (level == 0)
		runs = lsm_most(lsm_least(runs, v->level0_runs), 1);
	return l->n >= runs ||
	       (level == 0 && l->n && l->bytes >= v->level0_bytes);
}

/*
 * Do the first `n_above` runs weigh too much for the others, if of what is
 * overwritten there this part counts, and of what is deleted all?
 */
static bool outweighs(const struct lsm_view *v, size_t n_above,
		      uint64_t percent, double part)
{
	uint64_t bytes = 0, dead = 0, hidden = lsm_hidden_bytes(v), last = 0;

	for (size_t i = n_above; i < v->n_runs; i++)
		last += v->runs[i].bytes;
	for (size_t i = 0; i < v->runs[n_above].first; i++) {
		bytes += v->tables[i].bytes;
		dead += v->tables[i].tombstones * hidden;
	}
	return bytes + dead > lsm_least(v->table_bytes, SMALL_STORE) &&
	       (double)bytes * part + (double)dead >
		       (double)last * (double)percent / 100;
}

/*
 * Where nothing lies in the last level yet, the first runs wait as in any
 * other, unless much of the oldest is deleted.
 */
static bool last_is_due(const struct lsm_view *v)
{
	uint64_t percent = v->options[MAX_SPACE_PERCENT];
	size_t run, last = last_level(v, &run);

	if (last < v->n_levels && v->levels[last].n > 1)
		return true;
	if (run == v->n_runs)
		return v->n_runs &&
		       (is_full(v, 0) || outweighs(v, run - 1, percent, 0));
	return outweighs(v, run, percent, lsm_waste(v));
}

/*
 * The last level with what is above it, from the bottom up until the rest
 * weighs less than half of what it may.
 */
static void plan_last(struct lsm_planner *p)
{
	const struct lsm_view *v = p->v;
	size_t run, last = last_level(v, &run), level = last;
	uint64_t percent = v->options[MAX_SPACE_PERCENT], rest = 0, all = 0;
	size_t first = run;
	bool alone = !lsm_is_single(v, last);

	for (size_t i = 0; i < v->n_runs; i++) {
		all += i < run ? 0 : v->runs[i].bytes;
		rest += i < run ? v->runs[i].bytes : 0;
	}
	while (level > 0 &&
	       ((first == run && !alone) || rest / percent > all / 200)) {
		level--;
		first = v->levels[level].first;
		rest -= v->levels[level].bytes;
	}
	lsm_begin(p);
	lsm_add_runs(p, first, v->n_runs - first);
	if (!p->busy)
		lsm_end(p, lsm_may_move(p) ? LSM_MOVE : LSM_MERGE, last,
			LSM_NEW_RUN, 0,
			"what is above the last level outweighs it");
}

/*
 * A full level that is not the last but one sinks into the next.  Of that one
 * the oldest would be the last level's: that makes room by sinking itself.
 */
static void plan_level(struct lsm_planner *p, size_t level, size_t last)
{
	const struct lsm_view *v = p->v;
	const struct lsm_level *l = &v->levels[level];
	struct lsm_run oldest = lsm_run_of(v, last, 0);
	uint64_t runs = v->options[MIN_RUNS], bytes = 0;
	size_t n = 0;

	lsm_begin(p);
	if (level + 1 == last && last + 1 < v->max_levels) {
		lsm_add(p, oldest.first, oldest.n);
		if (!p->busy)
			lsm_end(p, LSM_MOVE, last + 1, LSM_NEW_RUN, 0,
				"room for a level above the last");
		return;
	}
	while (n < l->n) {
		const struct lsm_run *run = &v->runs[l->first + l->n - 1 - n];

		bytes += run->bytes;
		if (n >= runs && (bytes > v->job_bytes || run->claimed))
			break;
		n++;
	}
	lsm_add_runs(p, l->first + l->n - n, n);
	if (!p->busy)
		lsm_end(p, lsm_may_move(p) ? LSM_MOVE : LSM_MERGE,
			level + 1 == last ? level : level + 1, LSM_NEW_RUN, 0,
			"level is full");
}

static void lazy_plan(const struct lsm_view *v, const struct lsm_budget *budget,
		      lsm_emit *emit, void *ctx)
{
	struct lsm_planner p;
	size_t run, last = last_level(v, &run);

	(void)budget; /* emit keeps it */
	lsm_planner_init(&p, v, emit, ctx);
	p.own_runs = true;
	lsm_flush_late(&p, v->options[TOMBSTONE_DEADLINE]);
	if (p.more && last_is_due(v))
		plan_last(&p);
	else if (p.more)
		lsm_push_late(&p, v->options[TOMBSTONE_DEADLINE]);
	for (size_t i = 0; run < v->n_runs && i < last && p.more; i++)
		if (is_full(v, i) && (i + 1 < last || !last_is_due(v)))
			plan_level(&p, i, last);
}

static uint64_t lazy_need(const struct lsm_view *v)
{
	uint64_t seconds = v->options[TOMBSTONE_DEADLINE];
	size_t run, last = last_level(v, &run);
	uint64_t need = lsm_late_bytes(v, seconds);

	if (lsm_log_is_late(v, seconds))
		need += v->log_bytes;
	if (last_is_due(v))
		for (size_t i = 0; i < v->n_levels; i++)
			need += v->levels[i].bytes;
	for (size_t i = 0; run < v->n_runs && i < last; i++)
		need += is_full(v, i) ? v->levels[i].bytes : 0;
	return need;
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "lazy-leveled",
	.summary = "several runs a level above, one in the last",
	.options = options,
	.n_options = N_OPTIONS,
	.need = lazy_need,
	.plan = lazy_plan,
};
