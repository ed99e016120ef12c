/*
 * leveled - one sorted run a level, those above the last a small part of it:
 * few places to look a key up in and little space, for more writing.
 *
 * After LevelDB (doc/impl.md, "Compactions") and RocksDB's leveled compaction
 * (its wiki, "Leveled Compaction", the section on dynamic level sizes); the
 * deadline of tombstones after Lethe (SIGMOD 2020, section 4.1).
 *
 * What comes from level 0 is merged into level 1 again and again, at the price
 * of that level each time, until a merge of the next would have cost no more:
 * then both go into that one, and so on down.  The larger what level 0 brings
 * the sooner that is: behind a writer who is ahead of us level 0 soon goes to
 * the last level at once.  But level 0 does not rewrite all of a last level
 * that is much larger than itself, however seldom, as long as there is time to
 * push the level above down in parts.  When a level would be rewritten too
 * often before it goes down, the last level is moved one down (nothing is read
 * for that) and the levels above follow by moves, which makes room for a small
 * level on top.
 *
 * The last level is the measure of the others.  None above it should hold more
 * than its bytes divided by the ratio, and a quarter more: where that is
 * exceeded tables are pushed into the next level, those that take the fewest
 * bytes with them.  What may be lost above the last level should come to little
 * more for all of them together, a quarter of it left to level 0: tombstones,
 * with the entries that they may hide below, and of the rest the part that
 * merges discard (lsm_waste()).  As far as nothing is lost, levels may be
 * larger, up to half of the last.
 *
 * A level over its size gives many small jobs, each a few tables with what
 * they overlap below.  The key ranges of jobs that share a level are disjoint,
 * so each is right whether the others are carried out or not, now or at the
 * same time by somebody else.
 */
#include "plugins/planner.h"

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
/* Level 0 merges the whole last level when that comes to no more than this. */
#define WHOLE_MERGE 18 /* times what it brings */
/* As far as nothing is lost, so many times what level 0 is due at. */
#define FREE_BATCHES 8
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
	uint64_t small_level, small_table, first_bytes;
	uint64_t limit;	 /* of a level above the last, before it is pushed */
	uint64_t all;	 /* bytes */
	uint64_t base;	 /* of the last level, or of the oldest run */
	uint64_t hidden; /* bytes a tombstone may hide */
	double waste;	 /* part of what is above the last level */
	uint64_t weight[LEVELS]; /* bytes, and what tombstones hide */
	uint64_t lost[LEVELS];	 /* what of it merges would discard */
	uint64_t may_lose;	 /* of all above the last level */
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

	l->base = lsm_level_bytes(v, l->last);
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

		l->weight[t->level] += weight;
		l->all += t->bytes;
		l->lost[t->level] += i < above ? weight - (uint64_t)unseen : 0;
	}
}

/* What is lost in levels [from, to]. */
static uint64_t lost_in(const struct leveled *l, size_t from, size_t to)
{
	uint64_t lost = 0;

	for (; from <= to; from++)
		lost += l->lost[from];
	return lost;
}

static void leveled_init(struct leveled *l, const struct lsm_view *v,
			 lsm_emit *emit, void *ctx)
{
	uint64_t base, free, live, least;

	*l = (struct leveled){ .v = v, .last = 1 };
	lsm_planner_init(&l->p, v, emit, ctx);
	if (v->n_levels > 2)
		l->last = lsm_least(v->n_levels - 1, LEVELS - 1);
	l->small_level = lsm_least(v->table_bytes, SMALL_LEVEL);
	l->small_table = lsm_least(v->table_bytes, SMALL_TABLE);
	l->waste = lsm_waste(v);
	weigh(l);
	base = lsm_level_bytes(v, l->last);
	free = (uint64_t)((1 - l->waste) *
			  (double)(FREE_BATCHES * v->level0_runs *
				   v->write_buffer));
	l->limit = lsm_most(base / 4 * 5 / v->level_ratio,
			    lsm_least(base / 2, free));
	l->limit = lsm_most(l->limit, l->small_level);
	l->first_bytes = lsm_most(lsm_level_bytes(v, 1), base / v->level_ratio);
	least = lsm_least(l->small_level, lsm_most(l->base / 16, SMALL_LOSS));
	live = l->all - lsm_least(l->all, lost_in(l, 0, l->last - 1));
	l->may_lose = lsm_most(live / 5 * 7 / v->level_ratio, least);
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

static bool level0_due(const struct leveled *l)
{
	const struct lsm_view *v = l->v;
	bool late = false;

	if (lsm_level_bytes(v, 0) == 0)
		return false;
	for (size_t i = 0; i < v->n_tables && v->tables[i].level == 0; i++)
		late |= is_late(l, &v->tables[i]);
	return late || v->levels[0].n >= v->level0_runs ||
	       v->levels[0].bytes >= v->level0_bytes ||
	       lost_in(l, 0, l->last - 1) > l->may_lose;
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
	if (l->p.n == 0 || l->p.busy || l->last + 1 >= l->v->max_levels)
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
 * Where what is to come from level 0 goes, at most to `last`.  Batches of b
 * bytes that are merged into a level, until it holds s, have rewritten it for
 * about s^2 / 2b bytes; who goes down with all of it rewrites the level below.
 * What is written comes to least where these are alike; to go down at half of
 * that costs little more, and leaves less above.
 */
static size_t level0_way(const struct leveled *l, size_t last)
{
	double batch = (double)l->p.bytes, all = batch, below;
	size_t out = 1;

	for (; out < last; out++, batch = all) {
		all += (double)lsm_level_bytes(l->v, out);
		below = (double)lsm_level_bytes(l->v, out + 1);
		if (out + 1 == l->last &&
		    lsm_level_bytes(l->v, out) <= l->limit &&
		    all + below > WHOLE_MERGE * (double)l->p.bytes)
			break;
		/* What a level may not hold it would have to push at once. */
		if (all * all < batch * below &&
		    (out + 1 == l->last || batch <= (double)l->limit))
			break;
	}
	return out;
}

/*
 * How often would a level be rewritten before it goes down, if all did so
 * alike?  Either until the next costs no more or until they are full.
 */
static bool needs_level(const struct leveled *l)
{
	double batch = (double)lsm_most(l->p.bytes, l->small_level);
	double all = (double)lsm_level_bytes(l->v, l->last) / batch;
	double often = lsm_root(2 * all, l->last);
	uint64_t most;

	if (l->last > 1) {
		double full = lsm_root((double)l->limit / batch, l->last - 1);

		often = often < full ? often : full;
	}
	/* A first level above is one run more to look in: for more only. */
	most = l->v->level_ratio * (l->last > 1 ? 5 : 7);
	return often > (double)lsm_most(most, 40) / 20;
}

/*
 * Level 0 down, everything it overlaps on the way included.  Levels up to
 * `sound` have one run each.  Returns the deepest level of its way.
 */
static size_t plan_level0(struct leveled *l, size_t sound)
{
	struct lsm_run oldest = l->v->runs[l->v->levels[0].n - 1];
	bool parts =
		oldest.n > 1 && oldest.bytes / LEVEL0_JOBS >= l->v->job_bytes;
	size_t out;

	add_oldest(l);
	if (l->last <= sound && needs_level(l) && move_last_down(l))
		return l->last + 1;
	add_oldest(l);
	out = level0_way(l, lsm_least(l->last, sound));
	if (sound && parts)
		level0_parts(l, oldest, out);
	else if (!sound || l->p.busy || !level0_down(l, out))
		lsm_gather(&l->p, out);
	return out;
}

/* ---- a level over its size ---- */

/* What overlaps nothing below changes its level unread; returns its weight. */
static uint64_t plan_moves(struct leveled *l, size_t level, uint64_t over)
{
	struct lsm_run from = lsm_run_of(l->v, level, 0);
	uint64_t gone = 0;
	struct lsm_below b;

	lsm_begin(&l->p);
	for (size_t i = 0; i < from.n && gone < over; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];

		/* In the last level a merge rids us of its tombstones. */
		if ((t->tombstones && level + 1 == l->last) ||
		    !lsm_find_below(&l->p, t, &b) || b.end > b.begin)
			continue;
		lsm_add(&l->p, from.first + i, 1);
		gone += weight_of(l, t);
	}
	if (l->p.n)
		job_end(l, LSM_MOVE, level + 1,
			"level over its size, nothing overlaps");
	return gone;
}

/* What takes the fewest bytes with it for each of its own; or one late. */
static size_t best_table(const struct leveled *l, struct lsm_run from,
			 bool late, double *lowest)
{
	size_t found = from.n;
	struct lsm_below b;
	double ratio;

	for (size_t i = 0; i < from.n; i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];

		if ((late && !is_late(l, t)) || !lsm_find_below(&l->p, t, &b))
			continue;
		ratio = (double)b.bytes / (double)(weight_of(l, t) + 1);
		if (found < from.n && (late || ratio >= *lowest))
			continue;
		found = i;
		*lowest = ratio;
	}
	return found;
}

/*
 * The best table, with what it overlaps, and its right neighbours if they take
 * hardly more with them.  Returns what they weigh; 0: there is none free.
 */
static uint64_t plan_push(struct leveled *l, size_t level, uint64_t over,
			  bool late)
{
	struct lsm_run from = lsm_run_of(l->v, level, 0);
	struct lsm_run to = lsm_run_of(l->v, level + 1, 0);
	double lowest = 0;
	size_t first = best_table(l, from, late, &lowest), begin = 0, end = 0;
	struct lsm_below b;
	uint64_t gone = 0;

	lsm_begin(&l->p);
	for (size_t i = first; i < from.n && (late || gone < over); i++) {
		const struct lsm_table *t = &l->v->tables[from.first + i];
		bool may = lsm_find_below(&l->p, t, &b);
		uint64_t weight = weight_of(l, t), more = 0;

		/* What lies between two goes along: a job has no gaps. */
		begin = i == first ? b.begin : end;
		for (size_t j = begin; j < b.end; j++) {
			more += l->v->tables[to.first + j].bytes;
			may &= lsm_is_free(&l->p, to.first + j);
		}
		may &= late ? is_late(l, t)
			    : (double)more <= lowest * 5 / 4 * (double)weight;
		if (i > first &&
		    (!may || l->p.bytes + t->bytes + more > l->v->job_bytes))
			break;
		end = lsm_most(begin, b.end);
		lsm_add(&l->p, to.first + begin, end - begin);
		lsm_add(&l->p, from.first + i, 1);
		gone += weight;
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

/* What is to leave a level: what it weighs too much, or is lost too much. */
static uint64_t excess(const struct leveled *l, size_t level)
{
	uint64_t weight = l->weight[level], heavy, lost;

	if (level >= l->last)
		return 0;
	heavy = weight - lsm_least(weight, l->limit);
	lost = lost_in(l, 1, level);
	lost -= lsm_least(lost, l->may_lose / 4 * 3);
	return lsm_least(weight, lsm_most(heavy, lost));
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
 * Where much is deleted at once, pushing it down in parts would write more than
 * one merge of it all, if that is no larger than level 0's may be.
 */
static bool plan_whole(struct leveled *l, size_t sound)
{
	uint64_t hidden = 0;

	for (size_t i = 0; i < l->last; i++)
		hidden += l->weight[i] - lsm_level_bytes(l->v, i);
	if (hidden <= lsm_most(l->all / 3, l->may_lose) || l->last > sound ||
	    !lsm_level_bytes(l->v, l->last) ||
	    l->all / LEVEL0_JOBS > l->v->job_bytes)
		return false;
	lsm_begin(&l->p);
	lsm_add_runs(&l->p, 0, l->v->n_runs);
	if (l->p.busy)
		return false;
	job_end(l, LSM_MERGE, l->last, "much of it is deleted");
	return true;
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
	sound = lsm_least(lsm_unite(&l.p), LEVELS);
	if (l.p.more && plan_whole(&l, sound))
		return;
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
