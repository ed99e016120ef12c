/*
 * strategy.h - the whole ABI between lsm-compact and a compaction strategy.
 *
 * A strategy is a pure function from a view of the tree to a plan.  It is a
 * shared object lsm-strategy-NAME.so with one exported data symbol,
 * `lsm_strategy`.  It does no I/O, takes no lock, allocates nothing, starts
 * nothing, keeps no state: the same view gives the same plan.  Its functions
 * are called in a child process that can only compute, and every job is
 * validated before a byte is touched, so a wrong plan is refused and loses
 * nothing; but its constructors run where it is loaded.
 *
 * This header needs nothing but the C library and compiles alone.  The manual
 * page is lsm-strategies(7).
 */
#ifndef LSM_STRATEGY_H
#define LSM_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Raised whenever a struct or a meaning in this file changes. */
#define LSM_STRATEGY_ABI 3u

/* ---- what a strategy sees ---- */

struct lsm_key {
	const uint8_t *data;
	size_t len; /* 1 to 65,535; order is memcmp order, shorter first */
};

struct lsm_table {
	uint64_t number;	      /* names the table in a job */
	uint32_t level, run;	      /* run 0 is the newest of its level */
	uint64_t age_first, age_last; /* larger is newer */
	uint64_t bytes;
	uint64_t entries;	      /* tombstones included */
	uint64_t tombstones;	      /* deletes not yet dropped */
	uint64_t oldest_tombstone_ms; /* Unix time; 0 when there is none */
	uint64_t created_ms;
	struct lsm_key smallest, largest;
	uint64_t overlap_below; /* bytes it overlaps in the next level with
				   tables */
	bool claimed;		/* part of a job under way: leave it alone */
};

/* A run: tables [first, first + n) of the view, ascending and disjoint. */
struct lsm_run {
	size_t first, n;
	uint64_t bytes;
	bool claimed; /* some table of it is */
};

/* A level: runs [first, first + n) of the view, newest first. */
struct lsm_level {
	size_t first, n;
	uint64_t bytes;
	bool claimed; /* some table of it is */
};

enum lsm_trigger {
	LSM_DUE = 0, /* do what is due now */
	LSM_ALL = 1, /* everything will be merged when nothing is due */
};

/*
 * Tables and runs stand in the order in which a key is searched: levels
 * downwards, runs of a level newest first, tables of a run ascending.  A level
 * between two others may be empty; the last one is not.
 */
struct lsm_view {
	const struct lsm_table *tables;
	size_t n_tables;
	const struct lsm_run *runs;
	size_t n_runs;
	const struct lsm_level *levels;
	size_t n_levels;
	size_t max_levels; /* a job's level must be below this */

	/* options of the store */
	uint64_t write_buffer;		    /* what a flush brings, about */
	uint64_t level0_runs, level0_bytes; /* compaction is due */
	uint64_t level_ratio;
	uint64_t table_bytes, table_bytes_max;
	uint64_t job_bytes; /* what one job should read at most */

	const uint64_t *options; /* the strategy's own, in its order */
	/*
	 * The memtable, which is older than no table: bytes in its logs, 0
	 * when they are empty; when the oldest of them was made.
	 */
	uint64_t log_bytes, log_created_ms;
	/*
	 * Bytes of tables written by flushes and loads since the store was
	 * made; what is there now is less by what merges discarded.
	 */
	uint64_t flushed_bytes;
	uint64_t compacted_bytes; /* likewise, written by merges */

	uint64_t now_ms;
	uint64_t free_disk;  /* bytes; UINT64_MAX when unknown */
	uint64_t oldest_pin; /* oldest generation a reader depends on, or
				UINT64_MAX: its files keep their space */
	uint64_t generation; /* the one this is a view of */
	uint32_t trigger;    /* enum lsm_trigger */

	uint64_t *scratch; /* room for n_tables numbers, the strategy's to
			      write job inputs in while it plans */
};

/* ---- what a strategy proposes ---- */

enum lsm_kind {
	LSM_MERGE = 1, /* read the inputs, write new tables */
	LSM_MOVE = 2,  /* the inputs change their level, unread */
	LSM_DROP = 3,  /* the inputs go, with all they hold */
	LSM_FLUSH = 4, /* the memtable becomes tables; no inputs, no output */
};

#define LSM_NEW_RUN UINT32_MAX

struct lsm_job {
	uint32_t kind;	/* enum lsm_kind */
	uint32_t level; /* where the output goes; of no meaning for a drop */
	/*
	 * LSM_NEW_RUN: a run of its own, placed by age among those there.
	 * Else: among the tables of this run, which must not overlap.
	 */
	uint32_t run;
	const uint64_t *inputs; /* table numbers in any order, each once */
	size_t n_inputs;
	uint64_t table_bytes; /* cut the output here; 0: the engine's choice */
	const char *why;      /* a few words for people */
};

/* What one plan may hold. */
struct lsm_budget {
	size_t jobs;
	uint64_t bytes; /* of input, the last job excepted */
};

/*
 * Hand over one job, which is copied.  Returns true when more may follow,
 * false when the budget is used up.  Whoever goes on and on after that is
 * stopped for good.
 */
typedef bool lsm_emit(void *ctx, const struct lsm_job *job);

/* ---- what a strategy is ---- */

enum lsm_option_type {
	LSM_COUNT = 0,
	LSM_BYTES = 1,	 /* its text may end in K, M, G */
	LSM_SECONDS = 2, /* its text may end in s, m, h, d, w */
	LSM_SIGNED = 3,	 /* an int64_t, like its def, min and max */
};

struct lsm_option {
	const char *name; /* [a-z][a-z0-9_]*, at most 63 bytes */
	uint32_t type;	  /* enum lsm_option_type */
	uint64_t def, min, max;
	const char *help; /* one line */
};

#define LSM_OPTIONS_MAX 64

/* flags */
#define LSM_STRATEGY_DROPS 1u /* it may emit LSM_DROP */

struct lsm_strategy {
	uint32_t abi;	     /* LSM_STRATEGY_ABI */
	uint32_t size;	     /* sizeof(struct lsm_strategy) */
	const char *name;    /* as in the file's name; [a-z0-9][a-z0-9_-]* */
	const char *summary; /* one line */
	uint32_t flags;
	const struct lsm_option *options; /* or NULL */
	size_t n_options;

	/*
	 * Do the option values, each within its bounds, fit together?  NULL,
	 * or a static text that says what does not.  May be NULL.
	 */
	const char *(*check)(const uint64_t *options);

	/*
	 * How much work waits: the bytes that plan() would have read by and
	 * by, roughly; 0 exactly when plan() would emit nothing.  Cheap.
	 */
	uint64_t (*need)(const struct lsm_view *view);

	/*
	 * Emit the jobs that are due, most useful first.  Each must be right
	 * by itself, whether the others are carried out or not; no table may
	 * stand in two.  After they are done the strategy is asked again,
	 * until it emits nothing.
	 */
	void (*plan)(const struct lsm_view *view,
		     const struct lsm_budget *budget, lsm_emit *emit,
		     void *ctx);
};

/* ---- what most of them need ---- */

static inline int lsm_key_cmp(struct lsm_key a, struct lsm_key b)
{
	int r = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static inline bool lsm_overlap(const struct lsm_table *a,
			       const struct lsm_table *b)
{
	return lsm_key_cmp(a->smallest, b->largest) <= 0 &&
	       lsm_key_cmp(b->smallest, a->largest) <= 0;
}

/* The tables of a run that reach into [low, high]: [*begin, *end) of it. */
static inline void lsm_within(const struct lsm_view *v, struct lsm_run run,
			      struct lsm_key low, struct lsm_key high,
			      size_t *begin, size_t *end)
{
	const struct lsm_table *t = v->tables + run.first;
	size_t a = 0, b = run.n;

	while (a < b) {
		size_t mid = a + (b - a) / 2;

		if (lsm_key_cmp(t[mid].largest, low) < 0)
			a = mid + 1;
		else
			b = mid;
	}
	*begin = a;
	while (a < run.n && lsm_key_cmp(t[a].smallest, high) <= 0)
		a++;
	*end = a;
}

static inline uint64_t lsm_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t lsm_most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Run `i` of a level, 0 the newest; an empty one when it is not there. */
static inline struct lsm_run lsm_run_of(const struct lsm_view *v, size_t level,
					size_t i)
{
	if (level >= v->n_levels || i >= v->levels[level].n)
		return (struct lsm_run){ .n = 0 };
	return v->runs[v->levels[level].first + i];
}

static inline uint64_t lsm_level_bytes(const struct lsm_view *v, size_t level)
{
	return level < v->n_levels ? v->levels[level].bytes : 0;
}

/* Of a level below 0 that should have one run: is it, or none, all it has? */
static inline bool lsm_is_single(const struct lsm_view *v, size_t level)
{
	return level >= v->n_levels || v->levels[level].n < 2;
}

/*
 * What part of the newer tables is overwritten?  Twice that of all that was
 * flushed which is not there any more: an estimate.  All of it as long as no
 * merge has shown anything; a quarter, for who has not so far may begin to.
 */
static inline double lsm_waste(const struct lsm_view *v)
{
	uint64_t all = 0;
	double part = 1;

	for (size_t i = 0; i < v->n_runs; i++)
		all += v->runs[i].bytes;
	if (v->compacted_bytes)
		part = 2 * ((double)v->flushed_bytes - (double)all) /
		       (double)lsm_most(v->flushed_bytes, 1);
	return part < 0.25 ? 0.25 : part < 1 ? part : 1;
}

/* ---- a plan in the making ---- */

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

/* A plugin's only export. */
__attribute__((
	visibility("default"))) extern const struct lsm_strategy lsm_strategy;

#endif
