/*
 * planner.h - a plan in the making: what the strategies in this directory
 * share.
 *
 * A job is made of lsm_begin(), lsm_add()... and, unless it turns out busy,
 * lsm_end(), which emits it and remembers where it works, so that no two jobs
 * of a plan meet.  Then what is asked of levels with one run each, and what a
 * deadline of tombstones takes.  Nothing here is part of the ABI: strategy.h is
 * all that a strategy has to include.
 */
#ifndef LSM_PLANNER_H
#define LSM_PLANNER_H

#include "plugins/strategy.h"

/*
 * Where a job of this plan works: levels [from, to], keys [low, high].  Jobs
 * whose spans are disjoint may be carried out in any order, or at once.
 */
struct lsm_span {
	size_t from, to;
	struct lsm_key low, high;
};

#define LSM_SPANS 32 /* jobs of a plan that is made with what follows */

/*
 * What plan() has emitted, and the job it is making, whose inputs stand in
 * view->scratch as indexes of tables: lsm_begin(), lsm_add()..., and then,
 * unless it is busy, lsm_end().
 */
struct lsm_planner {
	const struct lsm_view *v;
	lsm_emit *emit;
	void *ctx;
	bool more; /* emit would take another job */
	/*
	 * Jobs make runs of their own, newer than all that is in their level:
	 * so nothing in it is in their way.  False: they go among its tables.
	 */
	bool own_runs;
	struct lsm_span done[LSM_SPANS];
	size_t n_done;
	/* the job: how many inputs, their levels, what they hold and span */
	size_t n, top, bottom;
	uint64_t bytes, tombstones;
	struct lsm_key low, high;
	bool busy; /* one is claimed, or where a job of the plan works */
};

static inline void lsm_planner_init(struct lsm_planner *p,
				    const struct lsm_view *v, lsm_emit *emit,
				    void *ctx)
{
	*p = (struct lsm_planner){
		.v = v, .emit = emit, .ctx = ctx, .more = true
	};
}

/* Does a job of this plan work in this level and these keys? */
static inline bool lsm_is_taken(const struct lsm_planner *p, size_t level,
				struct lsm_key low, struct lsm_key high)
{
	for (size_t i = 0; i < p->n_done; i++) {
		const struct lsm_span *s = &p->done[i];

		if (s->from <= level && level <= s->to &&
		    lsm_key_cmp(s->low, high) <= 0 &&
		    lsm_key_cmp(low, s->high) <= 0)
			return true;
	}
	return false;
}

/* Is this table in nobody's job, and not where one of this plan works? */
static inline bool lsm_is_free(const struct lsm_planner *p, size_t index)
{
	const struct lsm_table *t = &p->v->tables[index];

	return !t->claimed &&
	       !lsm_is_taken(p, t->level, t->smallest, t->largest);
}

static inline void lsm_begin(struct lsm_planner *p)
{
	p->n = 0;
	p->bytes = 0;
	p->tombstones = 0;
	p->busy = false;
}

/* Tables [first, first + n) of the view go along. */
static inline void lsm_add(struct lsm_planner *p, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		const struct lsm_table *t = &p->v->tables[i];

		if (p->n == 0 || lsm_key_cmp(t->smallest, p->low) < 0)
			p->low = t->smallest;
		if (p->n == 0 || lsm_key_cmp(t->largest, p->high) > 0)
			p->high = t->largest;
		if (p->n == 0 || t->level < p->top)
			p->top = t->level;
		if (p->n == 0 || t->level > p->bottom)
			p->bottom = t->level;
		p->v->scratch[p->n++] = i;
		p->bytes += t->bytes;
		p->tombstones += t->tombstones;
		p->busy |= !lsm_is_free(p, i);
	}
}

/* All of runs [first, first + n) of the view. */
static inline void lsm_add_runs(struct lsm_planner *p, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		lsm_add(p, p->v->runs[i].first, p->v->runs[i].n);
}

/* Does table `index` overlap one of the first `n` inputs? */
static inline bool lsm_touches(const struct lsm_planner *p, size_t n,
			       size_t index)
{
	const struct lsm_table *t = p->v->tables;

	for (size_t i = 0; i < n; i++)
		if (lsm_overlap(&t[p->v->scratch[i]], &t[index]))
			return true;
	return false;
}

/*
 * Could the inputs be one run as they are, with nothing to get rid of?  Tables
 * of a run do not overlap; one beyond all of the runs before needs no look.
 */
static inline bool lsm_may_move(const struct lsm_planner *p)
{
	const struct lsm_table *t = p->v->tables, *a, *low, *high;
	const uint64_t *in = p->v->scratch;
	size_t before = 0; /* inputs of other runs, within [low, high] */

	low = high = t + in[0];
	for (size_t i = 1; i < p->n && !p->tombstones; i++) {
		a = t + in[i];
		if (a->run != t[in[i - 1]].run ||
		    a->level != t[in[i - 1]].level)
			for (; before < i; before++) {
				const struct lsm_table *b = t + in[before];

				if (lsm_key_cmp(b->smallest, low->smallest) < 0)
					low = b;
				if (lsm_key_cmp(b->largest, high->largest) > 0)
					high = b;
			}
		if (before && lsm_key_cmp(a->smallest, high->largest) <= 0 &&
		    lsm_key_cmp(a->largest, low->smallest) >= 0 &&
		    lsm_touches(p, before, in[i]))
			return false;
	}
	return !p->tombstones;
}

/* Emit the job.  After that p->more tells whether to go on. */
static inline void lsm_end(struct lsm_planner *p, enum lsm_kind kind,
			   size_t level, uint32_t run, uint64_t table_bytes,
			   const char *why)
{
	struct lsm_job job = {
		.kind = kind,
		.level = (uint32_t)level,
		.run = run,
		.inputs = p->v->scratch,
		.n_inputs = p->n,
		.table_bytes = table_bytes,
		.why = why,
	};

	for (size_t i = 0; i < p->n; i++)
		p->v->scratch[i] = p->v->tables[p->v->scratch[i]].number;
	if (!p->own_runs)
		p->bottom = lsm_most(p->bottom, level);
	p->done[p->n_done++] =
		(struct lsm_span){ p->top, p->bottom, p->low, p->high };
	p->more = p->emit(p->ctx, &job) && p->n_done < LSM_SPANS;
}

/* ---- levels of one run each ---- */

/* What a table overlaps in the level below: [begin, end) of its run. */
struct lsm_below {
	size_t begin, end;
	uint64_t bytes;
};

/*
 * For a job that takes a table down into the level below, which has one run.
 * False: the table or what it overlaps is in another job.
 */
static inline bool lsm_find_below(const struct lsm_planner *p,
				  const struct lsm_table *t,
				  struct lsm_below *b)
{
	struct lsm_run run = lsm_run_of(p->v, t->level + 1, 0);
	const struct lsm_table *o = p->v->tables + run.first;
	struct lsm_key low = t->smallest, high = t->largest;

	lsm_within(p->v, run, low, high, &b->begin, &b->end);
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
	return !lsm_is_taken(p, t->level, t->smallest, t->largest) &&
	       !lsm_is_taken(p, t->level + 1, low, high);
}

/*
 * Another strategy left several runs in a level: first make them one.
 * Returns the last level above those; SIZE_MAX: there are none.
 */
static inline size_t lsm_unite(struct lsm_planner *p)
{
	size_t sound = SIZE_MAX;

	for (size_t i = 1; i < p->v->n_levels; i++) {
		const struct lsm_level *level = &p->v->levels[i];

		if (level->n < 2)
			continue;
		sound = lsm_least(sound, i - 1);
		if (level->claimed || !p->more)
			continue;
		lsm_begin(p);
		lsm_add_runs(p, level->first, level->n);
		lsm_end(p, LSM_MERGE, i, LSM_NEW_RUN, 0,
			"several runs in a level");
	}
	return sound;
}

/*
 * Level 0 is full and its way down, to level `out`, may be somebody's: then
 * meanwhile the newest runs become one, so that there are fewer places to look
 * in.
 */
static inline void lsm_gather(struct lsm_planner *p, size_t out)
{
	const struct lsm_view *v = p->v;
	bool claimed = false;
	size_t n = 0;

	for (size_t i = 0; i <= out && i < v->n_levels; i++)
		claimed |= v->levels[i].claimed;
	lsm_begin(p);
	for (; claimed && n < v->levels[0].n; n++) {
		const struct lsm_run *run = &v->runs[n];

		if (run->claimed || (n > 1 && run->bytes > p->bytes))
			break;
		lsm_add(p, run->first, run->n);
	}
	if (n >= v->level0_runs && n > 1)
		lsm_end(p, LSM_MERGE, 0, LSM_NEW_RUN, 0,
			"level 0 is full and its way down busy");
}

/* x to the power of 1/n; 1 when that is less. */
static inline double lsm_root(double x, size_t n)
{
	double low = 1, high = x > 1 ? x : 1;

	for (int i = 0; i < 50; i++) {
		double mid = (low + high) / 2, power = mid;

		for (size_t j = 1; j < n; j++)
			power *= mid;
		if (power > x)
			high = mid;
		else
			low = mid;
	}
	return low;
}

/* ---- tombstones, and their deadline ---- */

/* What a tombstone may hide: as much as an entry of the oldest run. */
static inline uint64_t lsm_hidden_bytes(const struct lsm_view *v)
{
	uint64_t entries = 0;
	struct lsm_run last;

	if (v->n_runs == 0)
		return 0;
	last = v->runs[v->n_runs - 1];
	for (size_t i = last.first; i < last.first + last.n; i++)
		entries += v->tables[i].entries;
	return entries ? last.bytes / entries : 0;
}

/*
 * A deadline of tombstones (Lethe: Sarkar et al., SIGMOD 2020, section 4.1): a
 * deleted value is gone for good when its tombstone has met all that is older,
 * in the last level at the latest.  It is so in `seconds` when the strategy
 * is asked at least every eighth of them, and all it emits is done within
 * another eighth: the memtable is flushed after an eighth, and tombstones have
 * left the level above the last after six.  The higher levels share that time
 * as they share the bytes, each `ratio` times less than the one below it, but
 * not less than an eighth.
 */
#define LSM_DEADLINE_OPTION                                                    \
	{                                                                      \
		.name = "tombstone_deadline", .type = LSM_SECONDS, .def = 0,   \
		.min = 0, .max = UINT64_C(3200000000),                         \
		.help = "a delete is physically done within this time; 0: "    \
			"when it comes to it",                                 \
	}

/* How old a tombstone in `level` may get; 0: there is no deadline. */
static inline uint64_t lsm_stay_ms(uint64_t seconds, uint64_t ratio,
				   size_t level, size_t last)
{
	uint64_t eighth = seconds * 125, ms = 6 * eighth;

	for (; level + 1 < last && ms > eighth; level++)
		ms /= ratio;
	return ms > eighth ? ms : eighth;
}

static inline bool lsm_is_late(const struct lsm_view *v,
			       const struct lsm_table *t, uint64_t stay_ms)
{
	return stay_ms && t->oldest_tombstone_ms &&
	       v->now_ms >= t->oldest_tombstone_ms &&
	       v->now_ms - t->oldest_tombstone_ms >= stay_ms;
}

static inline bool lsm_log_is_late(const struct lsm_view *v, uint64_t seconds)
{
	return seconds && v->log_bytes && v->now_ms >= v->log_created_ms &&
	       v->now_ms - v->log_created_ms >= seconds * 125;
}

/* The memtable first, if it may hold deletes that have waited long enough. */
static inline void lsm_flush_late(struct lsm_planner *p, uint64_t seconds)
{
	struct lsm_job job = {
		.kind = LSM_FLUSH,
		.why = "the memtable may hold deletes near their deadline",
	};

	if (lsm_log_is_late(p->v, seconds))
		p->more = p->emit(p->ctx, &job);
}

/* Of the tables that are late, in a tree of which only the last run counts. */
static inline uint64_t lsm_late_bytes(const struct lsm_view *v,
				      uint64_t seconds)
{
	uint64_t stay = lsm_stay_ms(seconds, 1, 0, 1), bytes = 0;

	for (size_t i = 0; i < v->n_tables; i++)
		if (lsm_is_late(v, &v->tables[i], stay))
			bytes += v->tables[i].bytes;
	return bytes;
}

/* Late tables of run `r` from `i` on, with all that they could hide. */
static inline void lsm_add_late(struct lsm_planner *p, size_t r, size_t i,
				uint64_t stay_ms)
{
	const struct lsm_view *v = p->v;
	size_t begin, end, stop = v->runs[r].first + v->runs[r].n;

	lsm_begin(p);
	do
		lsm_add(p, i++, 1);
	while (i < stop && lsm_is_late(v, &v->tables[i], stay_ms) &&
	       p->bytes + v->tables[i].bytes <= v->job_bytes);
	while (++r < v->n_runs) {
		lsm_within(v, v->runs[r], p->low, p->high, &begin, &end);
		lsm_add(p, v->runs[r].first + begin, end - begin);
	}
}

/*
 * What is late goes where it ends, a job for each range of keys that is free.
 * For strategies with one run in the deepest level, or content with one job.
 */
static inline void lsm_push_late(struct lsm_planner *p, uint64_t seconds)
{
	const struct lsm_view *v = p->v;
	uint64_t stay = lsm_stay_ms(seconds, 1, 0, 1);
	const struct lsm_level *last;
	bool own_runs = p->own_runs;

	if (v->n_runs == 0)
		return;
	last = &v->levels[v->n_levels - 1];
	for (size_t r = 0; r < v->n_runs && p->more; r++)
		for (size_t i = v->runs[r].first;
		     i < v->runs[r].first + v->runs[r].n && p->more; i++) {
			if (!lsm_is_late(v, &v->tables[i], stay) ||
			    v->tables[i].claimed)
				continue;
			lsm_add_late(p, r, i, stay);
			if (p->busy)
				continue;
			p->own_runs = false;
			lsm_end(p, LSM_MERGE, v->n_levels - 1,
				(uint32_t)last->n - 1, 0,
				"tombstones near their deadline");
			p->own_runs = own_runs;
			if (last->n > 1)
				return;
		}
}

#endif
