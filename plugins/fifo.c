/*
 * fifo - the oldest data goes, whole tables at a time: for what is of use only
 * for some time or up to some size, such as logs and measurements.
 *
 * After RocksDB's FIFO compaction (its wiki, "FIFO compaction style", with
 * ttl and allow_compaction).
 *
 * While all tables together hold more than max_bytes, or the oldest one was
 * finished more than max_age ago, the oldest is dropped, with all it holds.
 * Of two tables with a key in common the one searched first is younger, so the
 * oldest hides nothing; where one has to stay, because it is in a job under
 * way, all younger ones stay, too.  The finished table is the measure, so
 * nothing younger than max_age is ever dropped, and some that is older waits
 * for the rest of its table.
 *
 * Level 0 is emptied into level 1 when it holds level0_runs runs, which
 * become one, unread if their keys ascend with time: no byte is merged more
 * than once.  With neither option set nothing is ever dropped.
 */
#include "plugins/planner.h"

enum {
	MAX_BYTES,
	MAX_AGE,
	N_OPTIONS,
};

static const struct lsm_option options[] = {
	[MAX_BYTES] = { .name = "max_bytes",
			.type = LSM_BYTES,
			.max = UINT64_C(1) << 60,
			.help = "bytes of tables above which the oldest are "
				"dropped; 0: no bound" },
	[MAX_AGE] = { .name = "max_age",
		      .type = LSM_SECONDS,
		      .max = UINT64_C(3200000000),
		      .help = "age from which a table is dropped; 0: none" },
};

static bool is_old(const struct lsm_view *v, const struct lsm_table *t)
{
	uint64_t ms = v->options[MAX_AGE] * 1000;

	return ms && v->now_ms >= t->created_ms &&
	       v->now_ms - t->created_ms >= ms;
}

/* By how much is the store over its size? */
static uint64_t excess(const struct lsm_view *v)
{
	uint64_t bytes = 0, most = v->options[MAX_BYTES];

	for (size_t i = 0; i < v->n_levels; i++)
		bytes += v->levels[i].bytes;
	return most && bytes > most ? bytes - most : 0;
}

/* Indexes of tables, in v->scratch: let heap[at] sink to its place. */
static void sift(const struct lsm_view *v, size_t at, size_t n)
{
	uint64_t *heap = v->scratch, moved = heap[at];

	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && v->tables[heap[child + 1]].age_last >
					     v->tables[heap[child]].age_last)
			child++;
		if (v->tables[moved].age_last >=
		    v->tables[heap[child]].age_last)
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
}

static void sort_by_age(const struct lsm_view *v)
{
	uint64_t *heap = v->scratch;
	size_t n = v->n_tables;

	for (size_t i = 0; i < n; i++)
		heap[i] = i;
	for (size_t i = n / 2; i-- > 0;)
		sift(v, i, n);
	while (n > 1) {
		uint64_t top = heap[0];

		heap[0] = heap[--n];
		heap[n] = top;
		sift(v, 0, n);
	}
}

/*
 * Tables in the order of their age, into the job if there is one; up to the
 * first that stays, for only what is younger could lie over it.  Returns the
 * bytes of those to drop.  (A job's inputs, too, stand in the scratch: there
 * are never more of them than were read from it.)
 */
static uint64_t drop_oldest(const struct lsm_view *v, struct lsm_planner *p)
{
	uint64_t over = excess(v), bytes = 0, last = UINT64_MAX;

	if (!over && !v->options[MAX_AGE])
		return 0;
	sort_by_age(v);
	for (size_t i = 0; i < v->n_tables; i++) {
		size_t at = v->scratch[i];
		const struct lsm_table *t = &v->tables[at];

		if (t->age_last > last)
			break;
		if (t->claimed || (!over && !is_old(v, t))) {
			last = t->age_last;
			continue;
		}
		bytes += t->bytes;
		over -= lsm_least(over, t->bytes);
		if (p)
			lsm_add(p, at, 1);
	}
	return bytes;
}

static bool level0_due(const struct lsm_view *v)
{
	return v->n_levels && v->levels[0].n &&
	       (v->levels[0].n >= v->level0_runs ||
		v->levels[0].bytes >= v->level0_bytes);
}

/* A run whose keys all lie above those of level 1 goes on where that ends. */
static bool goes_on(const struct lsm_view *v, const struct lsm_planner *p)
{
	struct lsm_run run = lsm_run_of(v, 1, 0);
	size_t begin, end;

	if (run.n == 0)
		return false;
	lsm_within(v, run, p->low, p->high, &begin, &end);
	return begin == end;
}

static void plan_level0(struct lsm_planner *p)
{
	const struct lsm_view *v = p->v;
	bool move;

	lsm_begin(p);
	lsm_add_runs(p, 0, v->levels[0].n);
	if (p->busy)
		return;
	move = lsm_may_move(p);
	lsm_end(p, move ? LSM_MOVE : LSM_MERGE, 1,
		move && goes_on(v, p) ? 0 : LSM_NEW_RUN, 0, "level 0 is full");
}

static void fifo_plan(const struct lsm_view *v, const struct lsm_budget *budget,
		      lsm_emit *emit, void *ctx)
{
	struct lsm_planner p;

	(void)budget; /* emit keeps it */
	lsm_planner_init(&p, v, emit, ctx);
	lsm_begin(&p);
	drop_oldest(v, &p);
	if (p.n)
		lsm_end(&p, LSM_DROP, 0, LSM_NEW_RUN, 0,
			excess(v) ? "over max_bytes" : "older than max_age");
	if (p.more && level0_due(v))
		plan_level0(&p);
}

static uint64_t fifo_need(const struct lsm_view *v)
{
	return drop_oldest(v, NULL) + (level0_due(v) ? v->levels[0].bytes : 0);
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "fifo",
	.summary = "drops the oldest tables, by size or age",
	.flags = LSM_STRATEGY_DROPS,
	.options = options,
	.n_options = N_OPTIONS,
	.need = fifo_need,
	.plan = fifo_plan,
};
