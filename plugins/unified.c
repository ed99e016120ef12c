/*
 * unified - one strategy from leveled to tiered, by one number that may change
 * at any time.
 *
 * After Cassandra's Unified Compaction Strategy (CEP-26, and "Unified
 * Compaction Strategy" in its documentation, section "Size-based leveling").
 * `scaling` is its W: the fan factor f is 2 - W below zero, where two runs of
 * one size are merged (leveled), and 2 + W above, where it takes f of them
 * (tiered); at 0 the two are the same.  More negative: less to read through
 * and less space; more positive: less writing.
 *
 * The levels that count are classes of size: class i holds runs of base * f^i
 * bytes up to base * f^(i+1), whatever level they lie in; so a change of W
 * leaves nothing to be undone.  When a class has as many runs as it takes,
 * all of them become one, together with what is older if that makes its class
 * full.
 *
 * Two things are other than there.  Its classes are of density, bytes over the
 * share of the token space that a table covers, so that a level can be cut
 * into shards; keys that are strings of bytes have no such measure, and here a
 * run counts as a whole.  And runs here are ordered by age, and only
 * neighbours in age are merged: so a run that is older than one of a larger
 * class counts as one of that class.  The memtable's runs wait in level 0
 * until there are level0_runs of them, as under any strategy; base is what
 * these bring, write_buffer times level0_runs.
 *
 * tombstone_deadline after Lethe (SIGMOD 2020, section 4.1).
 */
#include "plugins/planner.h"

enum {
	SCALING,
	TOMBSTONE_DEADLINE,
	N_OPTIONS,
};

static const struct lsm_option options[] = {
	[SCALING] = { .name = "scaling",
		      .type = LSM_SIGNED,
		      .def = 2,
		      .min = (uint64_t)-30,
		      .max = 30,
		      .help = "W: below 0 leveled with factor 2 - W, above "
			      "tiered with factor 2 + W" },
	[TOMBSTONE_DEADLINE] = LSM_DEADLINE_OPTION,
};

struct unified {
	struct lsm_planner p;
	const struct lsm_view *v;
	uint64_t factor, threshold, base;
};

static void unified_init(struct unified *u, const struct lsm_view *v,
			 lsm_emit *emit, void *ctx)
{
	int64_t w = (int64_t)v->options[SCALING];

	lsm_planner_init(&u->p, v, emit, ctx);
	u->p.own_runs = true;
	u->v = v;
	u->factor = (uint64_t)(w < 0 ? 2 - w : 2 + w);
	u->threshold = w < 0 ? 2 : u->factor;
	u->base = v->write_buffer * lsm_most(v->level0_runs, 1);
}

static size_t class_of(const struct unified *u, uint64_t bytes)
{
	size_t class = 0;

	for (; bytes / u->base >= u->factor; class ++)
		bytes /= u->factor;
	return class;
}

/* Runs [first, end) of the view, which are of one class. */
struct group {
	size_t first, end, class;
};

/* The group that begins with run `first`, none newer being below `class`. */
static struct group group_at(const struct unified *u, size_t first,
			     size_t class)
{
	const struct lsm_view *v = u->v;
	struct group g = { first, first, class };

	while (g.end < v->n_runs) {
		size_t next = class_of(u, v->runs[g.end].bytes);

		if (g.end == first)
			g.class = lsm_most(class, next);
		else if (next > g.class)
			break;
		g.end++;
	}
	return g;
}

/* Runs in level 0 stand at the front, and are a group of their own. */
static size_t level0_runs(const struct lsm_view *v)
{
	return v->n_levels ? v->levels[0].n : 0;
}

static bool level0_due(const struct lsm_view *v)
{
	size_t n = level0_runs(v);

	return n &&
	       (n >= v->level0_runs || v->levels[0].bytes >= v->level0_bytes);
}

static bool is_due(const struct unified *u, const struct group *g)
{
	return g->end - g->first >= u->threshold;
}

/*
 * Runs [first, end) become one, and older ones with them as long as these,
 * with it, would be as many as their class takes.  Its level: below level 0,
 * and neither above a newer nor below an older run.  Returns where it ends.
 */
static size_t plan_runs(struct unified *u, size_t first, size_t end,
			const char *why)
{
	const struct lsm_view *v = u->v;
	uint64_t bytes = 0;
	size_t level, top;

	for (size_t i = first; i < end; i++)
		bytes += v->runs[i].bytes;
	for (;;) {
		struct group g = group_at(u, end, class_of(u, bytes));

		if (g.class != class_of(u, bytes) ||
		    g.end - end + 1 < u->threshold)
			break;
		for (; end < g.end; end++)
			bytes += v->runs[end].bytes;
		if (end == v->n_runs)
			break;
	}
	top = v->tables[v->runs[end - 1].first].level;
	level = lsm_most(class_of(u, bytes) + 1, top);
	if (end < v->n_runs)
		level = lsm_least(level, v->tables[v->runs[end].first].level);
	lsm_begin(&u->p);
	lsm_add_runs(&u->p, first, end - first);
	if (!u->p.busy)
		lsm_end(&u->p, lsm_may_move(&u->p) ? LSM_MOVE : LSM_MERGE,
			lsm_least(level, v->max_levels - 1), LSM_NEW_RUN, 0,
			why);
	return end;
}

/* All groups in turn; the bytes of those that are due. */
static uint64_t walk(struct unified *u, bool emit)
{
	const struct lsm_view *v = u->v;
	size_t at = level0_runs(v), class = 0;
	uint64_t due = 0;

	if (level0_due(v)) {
		due += v->levels[0].bytes;
		if (emit && u->p.more)
			at = plan_runs(u, 0, at, "level 0 is full");
	}
	while (at < v->n_runs) {
		struct group g = group_at(u, at, class);

		at = g.end;
		class = g.class;
		if (!is_due(u, &g))
			continue;
		for (size_t i = g.first; i < g.end; i++)
			due += v->runs[i].bytes;
		if (emit && u->p.more)
			at = plan_runs(u, g.first, g.end, "class is full");
	}
	return due;
}

static void unified_plan(const struct lsm_view *v,
			 const struct lsm_budget *budget, lsm_emit *emit,
			 void *ctx)
{
	uint64_t seconds = v->options[TOMBSTONE_DEADLINE];
	struct unified u;

	(void)budget; /* emit keeps it */
	unified_init(&u, v, emit, ctx);
	lsm_flush_late(&u.p, seconds);
	lsm_push_late(&u.p, seconds);
	walk(&u, true);
}

static uint64_t unified_need(const struct lsm_view *v)
{
	uint64_t seconds = v->options[TOMBSTONE_DEADLINE];
	struct unified u;

	unified_init(&u, v, NULL, NULL);
	return walk(&u, false) + lsm_late_bytes(v, seconds) +
	       (lsm_log_is_late(v, seconds) ? v->log_bytes : 0);
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "unified",
	.summary = "from leveled to tiered by one number",
	.options = options,
	.n_options = N_OPTIONS,
	.need = unified_need,
	.plan = unified_plan,
};
