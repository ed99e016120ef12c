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
 * This header needs nothing but the C library and compiles alone.  What the
 * strategies beside it share to make their plans is in planner.h; nobody has to
 * use that.  The manual page is lsm-strategies(7).
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
 * What part of the newer tables is overwritten?  Three times that of all that
 * was flushed which is not there any more: an estimate, for who has begun to
 * overwrite may go on.  All of it as long as no merge has shown anything; a
 * quarter, for who has not so far may begin to.
 */
static inline double lsm_waste(const struct lsm_view *v)
{
	uint64_t all = 0;
	double part = 1;

	for (size_t i = 0; i < v->n_runs; i++)
		all += v->runs[i].bytes;
	if (v->compacted_bytes)
		part = 3 * ((double)v->flushed_bytes - (double)all) /
		       (double)lsm_most(v->flushed_bytes, 1);
	return part < 0.25 ? 0.25 : part < 1 ? part : 1;
}

/* A plugin's only export. */
__attribute__((
	visibility("default"))) extern const struct lsm_strategy lsm_strategy;

#endif
