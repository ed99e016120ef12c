/*
 * leveled - one sorted run a level, each level a ratio larger than the one
 * above: few places to look a key up in and little space, for more writing.
 *
 * After LevelDB (doc/impl.md, "Compactions") and RocksDB's leveled compaction
 * (its wiki, "Leveled Compaction", the section on dynamic level sizes); the
 * deadline of tombstones after Lethe (SIGMOD 2020, section 4.1).
 *
 * The last level is the measure: level i should hold the last level's bytes
 * divided by ratio^(last - i), so that what lies above it is about a ninth of
 * the store at the default ratio, whatever the store's size.  Level 0 goes
 * into the first level that is large enough for it to be worth rewriting;
 * when even level 1 is much larger than what level 0 brings, the last level
 * is moved one down (nothing is read for that) and the levels above follow by
 * moves, which makes room for a small level on top.  So a small flush into a
 * large store never rewrites a large part of it.
 *
 * Space: what may be lost above the last level should come to no more than the
 * levels' shares: tombstones, with the entries that they may hide in the last
 * level, and of the rest the part that merges discard (lsm_waste()).  In a
 * store of only some flushes these shares are smaller than what level 0 brings
 * at once; as far as nothing is lost, levels may be larger.
 *
 * A level over its size gives many small jobs, each a few tables with what
 * they overlap below.  The key ranges of jobs that share a level are disjoint,
 * so each is right whether the others are carried out or not, now or at the
 * same time by somebody else.
 */
#include "plugins/strategy.h"

/* A store this small needs no further levels. */
#define SMALL_LEVEL (UINT64_C(1) << 20)
#define SMALL_LOSS (UINT64_C(64) << 10) /* nobody minds */
/*
 * The first level, if small, is cut into about so many tables, unless they
 * become too small: what is pushed down should be little more than what is
 * due.  And tables below should not be much larger, for at both ends of a job
 * a table is read that hardly belongs to it.
 */
#define FIRST_TABLES 16
#define ONLY_TABLES 64 /* when there is no level below */
#define SMALL_TABLE (UINT64_C(128) << 10)
#define LARGE_TABLE (UINT64_C(8) << 20)
/* What waits in level 0 goes together, up to so many times job_bytes. */
#define LEVEL0_JOBS 4
#define LEVELS 64

enum {
	TOMBSTONE_DEADLINE,
	N_OPTIONS,
};

static const struct lsm_option options[] = {
	[TOMBSTONE_DEADLINE] = LSM_DEADLINE_OPTION,
};

struct leveled {
	struct lsm_planner p;
	const struct lsm_view *v;
	size_t last; /* the deepest level with tables, at least 1 */
	uint64_t small_level, small_table, small_loss, first_bytes;
	uint64_t all;		 /* bytes */
	uint64_t base;		 /* of the last level, or of the oldest run */
	uint64_t hidden;	 /* bytes a tombstone may hide */
	double waste;		 /* part of what is above the last level */
	uint64_t target[LEVELS]; /* what a level should weigh */
	uint64_t weight[LEVELS]; /* bytes, and what tombstones hide */
	uint64_t lost[LEVELS];	 /* what of it merges would discard */
};

static uint64_t weight_of(const struct leveled *l, const struct lsm_table *t)
{
	return t->bytes + t->tombstones * l->hidden;
}

/* Without a level below, the oldest run is what others may have overwritten. */
static void weigh(struct leveled *l)
{
	const struct lsm_view *v = l->v;
	size_t above = v->n_tables;

	l->base = l->target[l->last];
	l->hidden = lsm_hidden_bytes(v);
	if (!l->base && v->n_runs) {
		l->base = v->runs[v->n_runs - 1].bytes;
		above = v->runs[v->n_runs - 1].first;
	}
	for (size_t i = 0; i < v->n_tables && v->tables[i].level < LEVELS;
	     i++) {
		const struct lsm_table *t = &v->tables[i];
		uint64_t weight = weight_of(l, t);
		double unseen = (double)t->bytes * (1 - l->waste);

		l->all += t->bytes;
		l->weight[t->level] += weight;
		l->lost[t->level] += i < above ? weight - (uint64_t)unseen : 0;
	}
}

static void leveled_init(struct leveled *l, const struct lsm_view *v,
			 lsm_emit *emit, void *ctx)
{
	*l = (struct leveled){ .v = v, .last = 1 };
	lsm_planner_init(&l->p, v, emit, ctx);
	if (v->n_levels > 2)
		l->last = lsm_least(v->n_levels - 1, LEVELS - 1);
	l->small_level = lsm_least(v->table_bytes, SMALL_LEVEL);
	l->small_table = lsm_least(v->table_bytes, SMALL_TABLE);
	l->waste = lsm_waste(v);
	l->target[l->last] = lsm_level_bytes(v, l->last);
	for (size_t i = l->last; i-- > 1;)
		l->target[i] = l->target[i + 1] / v->level_ratio;
	l->first_bytes = lsm_most(lsm_level_bytes(v, 1), l->target[1]);
	weigh(l);
	l->small_loss =
		lsm_least(l->small_level, lsm_most(l->base / 16, SMALL_LOSS));
}

/* Where to cut tables of `level` when `more` bytes come to it. */
static uint64_t table_target(const struct leveled *l, size_t level,
			     uint64_t more)
{
	uint64_t top = l->v->table_bytes;
	uint64_t want = l->first_bytes + (level == 1 ? more : 0);

	want = lsm_least(want / (l->last == 1 ? ONLY_TABLES : FIRST_TABLES),
			 top);
	for (size_t i = 2; i < level && top < l->v->table_bytes_max; i++) {
		top *= 2;
		want *= 2;
	}
	return lsm_least(lsm_most(want, l->small_table),
			 lsm_least(top, l->v->table_bytes_max));
}

/* Tombstones that may not stay any longer where they are. */
static bool is_late(const struct leveled *l, const struct lsm_table *t)
{
	return lsm_is_late(l->v, t,
			   lsm_stay_ms(l->v->options[TOMBSTONE_DEADLINE],
				       l->v->level_ratio, t->level, l->last));
}

/* ---- the inputs of a job ---- */

/*
 * All of levels [1, out) within the span of the inputs, so that nothing can
 * come from there to lie between the outputs; of `out` what an input overlaps.
 */
static void job_add_below(struct leveled *l, size_t out)
{
	size_t begin, end, n;
	struct lsm_run run;

	for (size_t i = 1; i < out; i++) {
		run = lsm_run_of(l->v, i, 0);
		lsm_within(l->v, run, l->p.low, l->p.high, &begin, &end);
		lsm_add(&l->p, run.first + begin, end - begin);
	}
	run = lsm_run_of(l->v, out, 0);
	lsm_within(l->v, run, l->p.low, l->p.high, &begin, &end);
	n = l->p.n;
	for (size_t i = begin; i < end; i++)
		if (lsm_touches(&l->p, n, run.first + i))
			lsm_add(&l->p, run.first + i, 1);
}

/*
 * A neighbour in the output level that is much too small goes along, too: so
 * tables that had to be cut short heal.
 */
static void job_add_small(struct leveled *l, size_t level)
{
	struct lsm_run run = lsm_run_of(l->v, level, 0);
	const struct lsm_table *t = l->v->tables + run.first;
	uint64_t small = table_target(l, level, l->p.bytes) / 4;
	size_t begin, end;

	lsm_within(l->v, run, l->p.low, l->p.high, &begin, &end);
	if (begin > 0 && t[begin - 1].bytes < small && !t[begin - 1].claimed &&
	    !lsm_is_taken(&l->p, level, t[begin - 1].smallest, l->p.low))
		lsm_add(&l->p, run.first + begin - 1, 1);
	if (end < run.n && t[end].bytes < small && !t[end].claimed &&
	    !lsm_is_taken(&l->p, level, l->p.high, t[end].largest))
		lsm_add(&l->p, run.first + end, 1);
}

static void job_end(struct leveled *l, enum lsm_kind kind, size_t level,
		    const char *why)
{
	bool into = level && lsm_is_single(l->v, level) &&
		    lsm_level_bytes(l->v, level);

	lsm_end(&l->p, kind, level, into ? 0 : LSM_NEW_RUN,
		table_target(l, level, l->p.bytes), why);
}

/* ---- level 0 ---- */

/* Is more lost above the last level than the levels' shares? */
static bool is_wasteful(const struct leveled *l)
{
	double shares = 1.25 / (double)(l->v->level_ratio - 1);
	uint64_t lost = 0;

	for (size_t i = 0; i < l->last; i++)
		lost += l->lost[i];
	return lost > l->small_loss &&
	       (double)lost * (1 + shares) > (double)l->all * shares;
}

static bool level0_due(const struct leveled *l)
{
	const struct lsm_view *v = l->v;
	bool late = false;

	if (lsm_level_bytes(v, 0) == 0)
		return false;
	for (size_t i = 0; i < v->n_tables && v->tables[i].level == 0; i++)
		late |= is_late(l, &v->tables[i]);
	return late || v->levels[0].n >= v->level0_runs ||
	       v->levels[0].bytes >= v->level0_bytes || is_wasteful(l);
}

/* Oldest runs first, as many as may go at once, at least one. */
static void add_oldest(struct leveled *l)
{
	lsm_begin(&l->p);
	for (size_t i = l->v->levels[0].n; i-- > 0;) {
		const struct lsm_run *run = &l->v->runs[i];

		if (l->p.n &&
		    (run->claimed || (l->p.bytes + run->bytes) / LEVEL0_JOBS >=
					     l->v->job_bytes))
			break;
		lsm_add(&l->p, run->first, run->n);
	}
}

/*
 * Would the inputs, as they are, be good tables of `level`?  Not if one would
 * be a large part of it, for then whatever is merged into it later rewrites
 * that part; nor if they add to a crowd of tables that are much too small.
 */
static bool may_move(const struct leveled *l, size_t level)
{
	uint64_t all = lsm_level_bytes(l->v, level) + l->p.bytes;

	for (size_t i = 0; i < l->p.n; i++) {
		uint64_t bytes = l->v->tables[l->v->scratch[i]].bytes;

		if (bytes > LARGE_TABLE && bytes > all / 8)
			return false;
	}
	if (lsm_run_of(l->v, level, 0).n >= ONLY_TABLES &&
	    l->p.bytes / l->p.n < table_target(l, level, l->p.bytes) / 4)
		return false;
	return lsm_may_move(&l->p);
}

static bool move_last_down(struct leveled *l)
{
	struct lsm_run run = lsm_run_of(l->v, l->last, 0);

	lsm_begin(&l->p);
	lsm_add(&l->p, run.first, run.n);
	if (l->p.busy || l->last + 1 >= l->v->max_levels)
		return false;
	job_end(l, LSM_MOVE, l->last + 1, "room for a smaller level above");
	return true;
}

/* Down with the inputs from level 0, unless they meet somebody's job. */
static bool level0_down(struct leveled *l, size_t out)
{
	size_t n = l->p.n;

	job_add_below(l, out);
	if (l->p.busy)
		return false;
	if (l->p.n == n && may_move(l, out)) {
		job_end(l, LSM_MOVE, out, "level 0, nothing overlaps");
		return true;
	}
	job_add_small(l, out);
	job_end(l, LSM_MERGE, out, "level 0 is full");
	return true;
}

/* The oldest run, as large as a loaded one may be, goes down in parts. */
static void level0_parts(struct leveled *l, struct lsm_run run, size_t out)
{
	const struct lsm_table *t = l->v->tables + run.first;

	for (size_t i = 0; i < run.n && l->p.more;) {
		lsm_begin(&l->p);
		do
			lsm_add(&l->p, run.first + i++, 1);
		while (i < run.n && l->p.bytes + t[i].bytes <= l->v->job_bytes);
		if (!l->p.busy)
			level0_down(l, out);
	}
}

/*
 * Its way down may be somebody's: meanwhile the newest runs become one, so
 * that there are fewer places to look in.
 */
static void level0_gather(struct leveled *l, size_t out)
{
	bool claimed = false;
	size_t n = 0;

	for (size_t i = 0; i <= out && i < l->v->n_levels; i++)
		claimed |= l->v->levels[i].claimed;
	lsm_begin(&l->p);
	for (; claimed && n < l->v->levels[0].n; n++) {
		const struct lsm_run *run = &l->v->runs[n];

		if (run->claimed || (n > 1 && run->bytes > l->p.bytes))
			break;
		lsm_add(&l->p, run->first, run->n);
	}
	if (n >= l->v->level0_runs && n > 1)
		job_end(l, LSM_MERGE, 0,
			"level 0 is full and its way down busy");
}

/*
 * Level 0 into the first level that half deserves it, everything it overlaps
 * on the way included.  Levels up to `sound` have one run each.  Returns the
 * deepest level of its way.
 */
static size_t plan_level0(struct leveled *l, size_t sound)
{
	struct lsm_run oldest = l->v->runs[l->v->levels[0].n - 1];
	bool parts =
		oldest.n > 1 && oldest.bytes / LEVEL0_JOBS >= l->v->job_bytes;
	size_t out = 1;

	add_oldest(l);
	if (l->target[1] / l->v->level_ratio >
		    lsm_most(l->p.bytes, l->small_level) / 4 &&
	    l->last <= sound && move_last_down(l))
		return l->last + 1;
	add_oldest(l);
	while (out < lsm_least(l->last, sound) &&
	       l->target[out] < l->p.bytes / 4)
		out++;
	if (sound && parts)
		level0_parts(l, oldest, out);
	else if (!sound || l->p.busy || !level0_down(l, out))
		level0_gather(l, out);
	return out;
}

/* ---- a level over its size ---- */

static uint64_t excess(const struct leveled *l, size_t level)
{
	uint64_t limit = lsm_most(l->target[level], l->small_level);
	uint64_t may_lose = lsm_most(l->target[level], l->small_loss);
	uint64_t weight = l->weight[level], lost = l->lost[level];

	/* Level 0 brings so much at once; room for it twice, if it is free. */
	if (level + 1 == l->last)
		limit = lsm_most(limit,
				 2 * l->v->level0_runs * l->v->write_buffer);
	return level < l->last ? lsm_most(weight - lsm_least(weight, limit),
					  lost - lsm_least(lost, may_lose))
			       : 0;
}

/* What a table overlaps in the level below: [begin, end) of its run. */
struct below {
	size_t begin, end;
	uint64_t bytes;
};

/* False: the table or what it overlaps is in another job. */
static bool find_below(const struct leveled *l, const struct lsm_table *t,
		       struct below *b)
{
	struct lsm_run run = lsm_run_of(l->v, t->level + 1, 0);
	const struct lsm_table *o = l->v->tables + run.first;
	struct lsm_key low = t->smallest, high = t->largest;

	lsm_within(l->v, run, low, high, &b->begin, &b->end);
	b->bytes = 0;
	if (t->claimed)
		return false;
	for (size_t i = b->begin; i < b->end; i++) {
		b->bytes += o[i].bytes;
		if (o[i].claimed)
			return false;
	}
	if (b->begin < b->end) {
		if (lsm_key_cmp(o[b->begin].smallest, low) < 0)
			low = o[b->begin].smallest;
		if (lsm_key_cmp(o[b->end - 1].largest, high) > 0)
			high = o[b->end - 1].largest;
	} else if (b->begin > 0 && b->end < run.n && o[b->begin - 1].claimed &&
		   o[b->end].claimed) {
		/* Between two inputs of one job its output may come to lie. */
		return false;
	}
	return !lsm_is_taken(&l->p, t->level, t->smallest, t->largest) &&
	       !lsm_is_taken(&l->p, t->level + 1, low, high);
}

/* What overlaps nothing below changes its level unread; returns its weight. */
static uint64_t plan_moves(struct leveled *l, size_t level, uint64_t over)
{
	struct lsm_run from = lsm_run_of(l->v, level, 0);
	uint64_t gone = 0;
	struct below b;

	lsm_begin(&l->p);
	for (size_t i = 0; i < from.n && gone < over; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];

		/* In the last level a merge rids us of its tombstones. */
		if ((t->tombstones && level + 1 == l->last) ||
		    !find_below(l, t, &b) || b.end > b.begin)
			continue;
		lsm_add(&l->p, from.first + i, 1);
		gone += weight_of(l, t);
	}
	if (l->p.n)
		job_end(l, LSM_MOVE, level + 1,
			"level over its size, nothing overlaps");
	return gone;
}

/* The table that takes the fewest bytes with it; or the first that is late. */
static size_t best_table(const struct leveled *l, struct lsm_run from,
			 bool late)
{
	size_t found = from.n;
	double ratio, lowest = 0;
	struct below b;

	for (size_t i = 0; i < from.n; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];

		if ((late && !is_late(l, t)) || !find_below(l, t, &b))
			continue;
		ratio = (double)b.bytes / (double)(weight_of(l, t) + 1);
		if (found < from.n && (late || ratio >= lowest))
			continue;
		found = i;
		lowest = ratio;
	}
	return found;
}

/*
 * The best table and its right neighbours, with what they overlap.  Returns
 * what they weigh; 0: there is none that is free.
 */
static uint64_t plan_push(struct leveled *l, size_t level, uint64_t over,
			  bool late)
{
	struct lsm_run from = lsm_run_of(l->v, level, 0);
	struct lsm_run to = lsm_run_of(l->v, level + 1, 0);
	size_t first = best_table(l, from, late), begin = 0, end = 0;
	uint64_t gone = 0;
	struct below b;

	lsm_begin(&l->p);
	for (size_t i = first; i < from.n && (late || gone < over); i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];
		bool may = find_below(l, t, &b);
		uint64_t more = t->bytes;

		/* What lies between two goes along: a job has no gaps. */
		begin = i == first ? b.begin : end;
		for (size_t j = begin; j < b.end; j++) {
			more += l->v->tables[to.first + j].bytes;
			may &= lsm_is_free(&l->p, to.first + j);
		}
		if (i > first && (!may || (late && !is_late(l, t)) ||
				  l->p.bytes + more > l->v->job_bytes))
			break;
		end = lsm_most(begin, b.end);
		lsm_add(&l->p, to.first + begin, end - begin);
		lsm_add(&l->p, from.first + i, 1);
		gone += weight_of(l, t);
	}
	if (l->p.n == 0)
		return 0;
	if (!late || l->p.tombstones)
		job_add_small(l, level + 1);
	job_end(l, LSM_MERGE, level + 1,
		late ? "tombstones near their deadline"
		     : "level over its size");
	return gone;
}

static void plan_level(struct leveled *l, size_t level)
{
	uint64_t over = excess(l, level), gone;

	while (l->p.more && plan_push(l, level, 0, true))
		;
	if (!l->p.more || !over)
		return;
	gone = plan_moves(l, level, over);
	over -= lsm_least(over, gone);
	for (gone = 1; l->p.more && over && gone; over -= lsm_least(over, gone))
		gone = plan_push(l, level, over, false);
}

/* ---- the plan ---- */

/* Tombstones in the last level hide nothing: another strategy left them. */
static void plan_last(struct leveled *l)
{
	struct lsm_run run = lsm_run_of(l->v, l->last, 0);

	for (size_t i = 0; i < run.n && l->p.more; i++) {
		lsm_begin(&l->p);
		lsm_add(&l->p, run.first + i, 1);
		if (!l->p.busy && is_late(l, &l->v->tables[run.first + i]))
			job_end(l, LSM_MERGE, l->last,
				"tombstones near their deadline");
	}
}

/*
 * Another strategy left several runs in a level: first make them one.
 * Returns the last level above those.
 */
static size_t plan_unite(struct leveled *l)
{
	size_t sound = LEVELS;

	for (size_t i = 1; i < l->v->n_levels; i++) {
		const struct lsm_level *level = &l->v->levels[i];

		if (level->n < 2)
			continue;
		sound = lsm_least(sound, i - 1);
		if (level->claimed || !l->p.more)
			continue;
		lsm_begin(&l->p);
		lsm_add_runs(&l->p, level->first, level->n);
		job_end(l, LSM_MERGE, i, "several runs in a level");
	}
	return sound;
}

static void leveled_plan(const struct lsm_view *v,
			 const struct lsm_budget *budget, lsm_emit *emit,
			 void *ctx)
{
	size_t level = 1, sound;
	struct leveled l;

	(void)budget; /* emit keeps it */
	leveled_init(&l, v, emit, ctx);
	lsm_flush_late(&l.p, v->options[TOMBSTONE_DEADLINE]);
	sound = plan_unite(&l);
	/* What is level 0's way stays free for it. */
	if (l.p.more && level0_due(&l))
		level = plan_level0(&l, sound) + 1;
	for (; level < lsm_least(l.last, sound) && l.p.more; level++)
		plan_level(&l, level);
	if (level <= l.last && l.last <= sound && l.p.more)
		plan_last(&l);
}

static uint64_t leveled_need(const struct lsm_view *v)
{
	struct leveled l;
	uint64_t need = 0;

	leveled_init(&l, v, NULL, NULL);
	if (lsm_log_is_late(v, v->options[TOMBSTONE_DEADLINE]))
		need = v->log_bytes;
	if (level0_due(&l))
		need += v->levels[0].bytes;
	for (size_t i = 1; i < v->n_levels; i++)
		need += v->levels[i].n > 1 ? v->levels[i].bytes : excess(&l, i);
	for (size_t i = 0; i < v->n_tables; i++)
		if (v->tables[i].level && is_late(&l, &v->tables[i]))
			need += v->tables[i].bytes;
	return need;
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "leveled",
	.summary = "one run a level: fast reads and little space",
	.options = options,
	.n_options = N_OPTIONS,
	.need = leveled_need,
	.plan = leveled_plan,
};
