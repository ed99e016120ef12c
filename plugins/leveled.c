/*
 * leveled - one sorted run a level, each level a ratio larger than the one
 * above: few places to look a key up in and little space, for more writing.
 *
 * The last level is the measure: level i should hold the last level's bytes
 * divided by ratio^(last - i), so that what lies above it is about a ninth of
 * the store at the default ratio, whatever the store's size.  Level 0 goes
 * into the first level that is large enough for it to be worth rewriting;
 * when even level 1 is much larger than what level 0 brings, the last level
 * is moved one down (nothing is read for that) and the levels above follow by
 * moves, which makes room for a small level on top.  So a small flush into a
 * large store never rewrites a large part of it.
 */
#include "plugins/strategy.h"

/* A store this small needs no further levels. */
#define SMALL_LEVEL (UINT64_C(1) << 20)
/*
 * A small level, too, is cut into about so many tables, unless they become
 * too small: what is pushed down should be little more than what is due.
 */
#define TABLES_A_LEVEL 64
#define SMALL_TABLE (UINT64_C(128) << 10)
#define LARGE_TABLE (UINT64_C(8) << 20)

struct leveled {
	const struct lsm_view *v;
	lsm_emit *emit;
	void *ctx;
	size_t last; /* the deepest level with tables, at least 1 */
	uint64_t small_level, small_table;
	uint64_t target[64]; /* bytes a level should hold, by level */
	size_t n;	     /* inputs of the job being made: view indexes */
	uint64_t bytes, tombstones;
	bool claimed; /* one of them is */
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t level_bytes(const struct lsm_view *v, size_t level)
{
	return level < v->n_levels ? v->levels[level].bytes : 0;
}

/* The one run of a level below 0, or an empty one. */
static struct lsm_run level_run(const struct lsm_view *v, size_t level)
{
	if (level >= v->n_levels || v->levels[level].n == 0)
		return (struct lsm_run){ .n = 0 };
	return v->runs[v->levels[level].first];
}

static void leveled_init(struct leveled *l, const struct lsm_view *v,
			 lsm_emit *emit, void *ctx)
{
	*l = (struct leveled){ .v = v, .emit = emit, .ctx = ctx, .last = 1 };
	if (v->n_levels > 2)
		l->last = v->n_levels - 1;
	if (l->last >= sizeof(l->target) / sizeof(l->target[0]))
		l->last = sizeof(l->target) / sizeof(l->target[0]) - 1;
	l->small_level = least(v->table_bytes, SMALL_LEVEL);
	l->small_table = least(v->table_bytes, SMALL_TABLE);
	l->target[l->last] = level_bytes(v, l->last);
	for (size_t i = l->last; i-- > 1;)
		l->target[i] = l->target[i + 1] / v->level_ratio;
}

/* Where to cut tables of `level` when `more` bytes come to it. */
static uint64_t table_target(const struct leveled *l, size_t level,
			     uint64_t more)
{
	uint64_t most = l->v->table_bytes;
	uint64_t want = (level_bytes(l->v, level) + more) / TABLES_A_LEVEL;

	for (size_t i = 2; i < level && most < l->v->table_bytes_max; i++)
		most *= 2;
	if (most > l->v->table_bytes_max)
		most = l->v->table_bytes_max;
	if (want < l->small_table)
		want = l->small_table;
	return least(want, most);
}

/* ---- the inputs of a job ---- */

static void job_clear(struct leveled *l)
{
	l->n = 0;
	l->bytes = 0;
	l->tombstones = 0;
	l->claimed = false;
}

static void job_add(struct leveled *l, size_t index)
{
	const struct lsm_table *t = &l->v->tables[index];

	l->v->scratch[l->n++] = index;
	l->bytes += t->bytes;
	l->tombstones += t->tombstones;
	l->claimed |= t->claimed;
}

static void job_add_tables(struct leveled *l, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		job_add(l, first + i);
}

/* Does table `index` overlap one of the first `n` inputs? */
static bool job_touches(const struct leveled *l, size_t n, size_t index)
{
	const struct lsm_table *t = l->v->tables;

	for (size_t i = 0; i < n; i++)
		if (lsm_overlap(&t[l->v->scratch[i]], &t[index]))
			return true;
	return false;
}

/* All tables of `level` that overlap an input go along. */
static void job_add_overlapping(struct leveled *l, size_t level)
{
	struct lsm_run run = level_run(l->v, level);
	size_t n = l->n;

	for (size_t i = 0; i < run.n; i++)
		if (job_touches(l, n, run.first + i))
			job_add(l, run.first + i);
}

/*
 * A neighbour in the output level that is much too small goes along, too: so
 * tables that had to be cut short heal.
 */
static void job_add_small(struct leveled *l, struct lsm_run run, size_t begin,
			  size_t end, uint64_t target)
{
	const struct lsm_table *t = l->v->tables + run.first;

	if (begin > 0 && t[begin - 1].bytes < target / 4 &&
	    !t[begin - 1].claimed)
		job_add(l, run.first + begin - 1);
	if (end < run.n && t[end].bytes < target / 4 && !t[end].claimed)
		job_add(l, run.first + end);
}

/* The same around all that the inputs span. */
static void add_small_beside(struct leveled *l, size_t level)
{
	struct lsm_run run = level_run(l->v, level);
	const struct lsm_table *in = l->v->tables, *t = in + run.first;
	struct lsm_key low = in[l->v->scratch[0]].smallest;
	struct lsm_key high = in[l->v->scratch[0]].largest;
	size_t begin = 0, end = run.n;

	for (size_t i = 1; i < l->n; i++) {
		const struct lsm_table *x = &in[l->v->scratch[i]];

		if (lsm_key_cmp(x->smallest, low) < 0)
			low = x->smallest;
		if (lsm_key_cmp(x->largest, high) > 0)
			high = x->largest;
	}
	while (begin < run.n && lsm_key_cmp(t[begin].largest, low) < 0)
		begin++;
	while (end > begin && lsm_key_cmp(t[end - 1].smallest, high) > 0)
		end--;
	job_add_small(l, run, begin, end, table_target(l, level, l->bytes));
}

static bool job_emit(struct leveled *l, enum lsm_kind kind, size_t level,
		     bool into, const char *why)
{
	struct lsm_job job = {
		.kind = kind,
		.level = (uint32_t)level,
		.run = into ? 0 : LSM_NEW_RUN,
		.inputs = l->v->scratch,
		.n_inputs = l->n,
		.why = why,
	};

	job.table_bytes = table_target(l, level, l->bytes);
	for (size_t i = 0; i < l->n; i++)
		l->v->scratch[i] = l->v->tables[l->v->scratch[i]].number;
	return l->emit(l->ctx, &job);
}

/* ---- level 0 ---- */

static bool level0_due(const struct lsm_view *v)
{
	return v->n_levels && v->levels[0].n &&
	       (v->levels[0].n >= v->level0_runs ||
		v->levels[0].bytes >= v->level0_bytes);
}

/* Oldest runs first, as many as a job may read, at least one. */
static void add_oldest(struct leveled *l)
{
	const struct lsm_level *zero = &l->v->levels[0];

	for (size_t i = zero->n; i-- > 0;) {
		const struct lsm_run *run = &l->v->runs[zero->first + i];

		if (l->n &&
		    (run->claimed || l->bytes + run->bytes > l->v->job_bytes))
			break;
		job_add_tables(l, run->first, run->n);
	}
}

/* No two of the inputs overlap. */
static bool inputs_disjoint(const struct leveled *l)
{
	for (size_t i = 1; i < l->n; i++)
		if (job_touches(l, i, l->v->scratch[i]))
			return false;
	return true;
}

/*
 * Would the inputs, as they are, be good tables of `level`?  Not if one would
 * be a large part of it, for then whatever is merged into it later rewrites
 * that part; nor if they add to a crowd of tables that are much too small.
 */
static bool may_move(const struct leveled *l, size_t level)
{
	uint64_t all = level_bytes(l->v, level) + l->bytes;

	for (size_t i = 0; i < l->n; i++) {
		uint64_t bytes = l->v->tables[l->v->scratch[i]].bytes;

		if (bytes > LARGE_TABLE && bytes > all / 8)
			return false;
	}
	if (level_run(l->v, level).n >= TABLES_A_LEVEL &&
	    l->bytes / l->n < table_target(l, level, l->bytes) / 4)
		return false;
	return !l->tombstones && inputs_disjoint(l);
}

static bool move_last_down(struct leveled *l, bool *more)
{
	struct lsm_run run = level_run(l->v, l->last);

	if (run.claimed || l->last + 1 >= l->v->max_levels)
		return false;
	job_clear(l);
	job_add_tables(l, run.first, run.n);
	*more = job_emit(l, LSM_MOVE, l->last + 1, false,
			 "room for a smaller level above");
	return true;
}

/*
 * Level 0 into the first level that half deserves it, everything it overlaps
 * on the way included.  Returns the deepest level the job touches, 0 when
 * there is none.
 */
static size_t plan_level0(struct leveled *l, bool *more)
{
	const struct lsm_view *v = l->v;
	uint64_t measure;
	size_t out = 1, n;

	job_clear(l);
	add_oldest(l);
	if (l->claimed)
		return 0;
	measure = l->bytes > l->small_level ? l->bytes : l->small_level;
	if (l->target[1] / v->level_ratio > measure / 2 &&
	    move_last_down(l, more))
		return l->last + 1;
	while (out < l->last && l->target[out] < l->bytes / 2)
		out++;
	n = l->n;
	for (size_t i = 1; i <= out; i++)
		job_add_overlapping(l, i);
	if (l->claimed)
		return 0;
	if (l->n == n && may_move(l, out)) {
		*more = job_emit(l, LSM_MOVE, out, level_run(v, out).n,
				 "level 0, nothing overlaps");
		return out;
	}
	add_small_beside(l, out);
	*more = job_emit(l, LSM_MERGE, out, level_run(v, out).n,
			 "level 0 is full");
	return out;
}

/* ---- a level over its size ---- */

static uint64_t excess(const struct leveled *l, size_t level)
{
	uint64_t bytes = level_bytes(l->v, level);
	uint64_t limit = l->target[level];

	if (limit < l->small_level)
		limit = l->small_level;
	return level < l->last && bytes > limit ? bytes - limit : 0;
}

/* The tables of a run that overlap one: [begin, end) and their bytes. */
struct below {
	size_t begin, end;
	uint64_t bytes;
	bool claimed;
};

/* `b` is what the table before had: both runs are ascending. */
static void below_advance(const struct lsm_view *v, struct lsm_run run,
			  const struct lsm_table *t, struct below *b)
{
	const struct lsm_table *o = v->tables + run.first;

	while (b->begin < run.n &&
	       lsm_key_cmp(o[b->begin].largest, t->smallest) < 0)
		b->begin++;
	b->bytes = 0;
	b->claimed = false;
	for (b->end = b->begin;
	     b->end < run.n && lsm_key_cmp(o[b->end].smallest, t->largest) <= 0;
	     b->end++) {
		b->bytes += o[b->end].bytes;
		b->claimed |= o[b->end].claimed;
	}
}

/* Tables that overlap nothing below change their level unread. */
static bool plan_moves(struct leveled *l, size_t level, uint64_t over,
		       bool *more)
{
	struct lsm_run from = level_run(l->v, level);
	struct lsm_run to = level_run(l->v, level + 1);
	struct below b = { 0 };

	job_clear(l);
	for (size_t i = 0; i < from.n && l->bytes < over; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];

		below_advance(l->v, to, t, &b);
		/* In the last level a merge rids us of its tombstones. */
		if (b.end == b.begin && !t->claimed &&
		    (!t->tombstones || level + 1 < l->last))
			job_add(l, from.first + i);
	}
	if (l->n == 0)
		return false;
	*more = job_emit(l, LSM_MOVE, level + 1, to.n,
			 "level over its size, nothing overlaps");
	return true;
}

/* The table that takes the fewest bytes with it for its own. */
static size_t best_table(const struct leveled *l, struct lsm_run from,
			 struct lsm_run to, struct below *best)
{
	size_t found = from.n;
	struct below b = { 0 };
	double ratio, lowest = 0;

	for (size_t i = 0; i < from.n; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];

		below_advance(l->v, to, t, &b);
		ratio = (double)b.bytes / (double)(t->bytes + 1);
		if (t->claimed || b.claimed ||
		    (found < from.n && ratio >= lowest))
			continue;
		found = i;
		lowest = ratio;
		*best = b;
	}
	return found;
}

/* The best table and its right neighbours, with what they overlap. */
static bool plan_push(struct leveled *l, size_t level, uint64_t over,
		      bool *more)
{
	struct lsm_run from = level_run(l->v, level);
	struct lsm_run to = level_run(l->v, level + 1);
	struct below all = { 0 }, b;
	size_t first = best_table(l, from, to, &all);
	uint64_t own = 0, read = all.bytes;

	if (first == from.n)
		return false;
	job_clear(l);
	b = all;
	for (size_t i = first; i < from.n && own < over; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];
		size_t seen = all.end;

		below_advance(l->v, to, t, &b);
		if (i > first) {
			/* What the table before overlaps counts once. */
			for (size_t j = b.begin; j < b.end; j++)
				if (j >= seen)
					read += l->v->tables[to.first + j]
							.bytes;
			if (t->claimed || b.claimed ||
			    own + t->bytes + read > l->v->job_bytes)
				break;
		}
		job_add(l, from.first + i);
		own += t->bytes;
		if (b.end > all.end)
			all.end = b.end;
	}
	job_add_tables(l, to.first + all.begin, all.end - all.begin);
	job_add_small(l, to, all.begin, all.end,
		      table_target(l, level + 1, l->bytes));
	*more = job_emit(l, LSM_MERGE, level + 1, to.n, "level over its size");
	return true;
}

/* ---- the plan ---- */

/* Another strategy left several runs in a level: first make them one. */
static bool plan_unite(struct leveled *l, bool *more)
{
	bool any = false;

	for (size_t i = 1; i < l->v->n_levels && *more; i++) {
		const struct lsm_level *level = &l->v->levels[i];

		if (level->n < 2)
			continue;
		any = true;
		if (level->claimed)
			continue;
		job_clear(l);
		for (size_t j = 0; j < level->n; j++)
			job_add_tables(l, l->v->runs[level->first + j].first,
				       l->v->runs[level->first + j].n);
		*more = job_emit(l, LSM_MERGE, i, false,
				 "several runs in a level");
	}
	return any;
}

static void leveled_plan(const struct lsm_view *v,
			 const struct lsm_budget *budget, lsm_emit *emit,
			 void *ctx)
{
	struct leveled l;
	bool more = true;
	size_t level = 1;

	(void)budget; /* emit keeps it */
	leveled_init(&l, v, emit, ctx);
	if (plan_unite(&l, &more))
		return;
	if (level0_due(v))
		level = plan_level0(&l, &more) + 1;
	/* Jobs of one plan share no level, so each is right by itself. */
	for (; level < l.last && more; level++) {
		uint64_t over = excess(&l, level);

		if (over && (plan_moves(&l, level, over, &more) ||
			     plan_push(&l, level, over, &more)))
			level++;
	}
}

static uint64_t leveled_need(const struct lsm_view *v)
{
	struct leveled l;
	uint64_t need = 0;

	leveled_init(&l, v, NULL, NULL);
	if (level0_due(v))
		need = v->levels[0].bytes;
	for (size_t i = 1; i < v->n_levels; i++)
		need += v->levels[i].n > 1 ? v->levels[i].bytes : 0;
	for (size_t i = 1; i < l.last; i++)
		need += excess(&l, i);
	return need;
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "leveled",
	.summary = "one run a level: fast reads and little space",
	.need = leveled_need,
	.plan = leveled_plan,
};
