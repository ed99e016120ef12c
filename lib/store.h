/*
 * store.h - libstore, a key-value store that many processes share.
 *
 * A store is a directory.  Any number of processes may have it open and read
 * and write at once; there is no daemon.  What one has written every other
 * sees at once; a write that returned 0 with STORE_SYNC survives power loss.
 *
 *	struct store_error err = STORE_ERROR_INIT;
 *	struct store *db;
 *
 *	if (store_open(&db, "data", &(struct store_config){
 *			.flags = STORE_WRITE | STORE_CREATE }, &err) < 0 ||
 *	    store_put(db, slice_str("key"), slice_str("value"),
 *		      STORE_SYNC, &err) < 0)
 *		fprintf(stderr, "%s\n", err.text);
 *	store_close(db);
 *
 * Threads may share handles and snapshots, not iterators and batches.  A handle
 * is dead in a forked child: there, only exec or _exit.  The library prints
 * nothing, owns no signal, never exits, and starts no process, but for one:
 * what compacts, or judges a strategy's settings, asks the strategy in a
 * short-lived child (lib/ask.h): its crash or endless loop is but an error.
 *
 * Functions return 0 or more for success and a negative enum store_err
 * (formats/error.h); `err` then tells file, offset and cause.  Any function
 * that reads may return STORE_ECORRUPT or STORE_EIO; any that takes a lock
 * STORE_EBUSY, if a timeout was given; any at all STORE_ESYSTEM.
 *
 * Keys are 1 to STORE_KEY_MAX bytes, values 0 to STORE_VALUE_MAX, any bytes,
 * in memcmp order.  Ranges are half open: from <= key < to.
 */
#ifndef LIB_STORE_H
#define LIB_STORE_H

#include "formats/bytes.h"
#include "formats/error.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What follows, and nothing else, is what the shared library exports. */
#pragma GCC visibility push(default)

#define STORE_KEY_MAX 65535u
#define STORE_VALUE_MAX (1u << 30)

struct store;
struct store_snapshot;
struct store_iter;

struct store_record {
	struct slice key;
	struct slice value;
};

enum store_kind {
	STORE_PUT = 1,
	STORE_DELETE = 2,
};

/* One step of a batch, or what a key holds. */
struct store_entry {
	enum store_kind kind;
	struct slice key;
	struct slice value;  /* STORE_PUT */
	uint64_t expires_ms; /* Unix time from which it is absent; 0 never */
};

/* ---- opening ---- */

enum store_flags {
	STORE_READ = 0,
	STORE_WRITE = 1 << 0,	   /* may write */
	STORE_CREATE = 1 << 1,	   /* make the store if there is none */
	STORE_ONE_SHOT = 1 << 2,   /* one operation, then close: no cache */
	STORE_BACKGROUND = 1 << 3, /* flushes by a thread, and when closed */
};

struct store_setting_text {
	const char *name;
	const char *value;
};

struct store_config {
	unsigned flags;
	/*
	 * How long to wait for a lock: 0 for ever, STORE_NO_WAIT not at all,
	 * else milliseconds, after which STORE_EBUSY.  A wait is judged when
	 * a signal interrupts it: the caller arms an interval timer.  A write
	 * that is made, and waits for its sync only, is not given up.
	 */
	int64_t timeout_ms;
	size_t cache_bytes;  /* 0: the store's option */
	const char *tool;    /* shown to those who wait for us; or NULL */
	const char *plugins; /* directory of strategies; NULL: built in */
	/* STORE_CREATE: strategy and options of a new store */
	const char *strategy;
	const struct store_setting_text *settings;
	size_t n_settings;
	/* and the strategy's, as in store_change */
	const struct store_setting_text *strategy_settings;
	size_t n_strategy_settings;
};

#define STORE_NO_WAIT (-1)

/*
 * Open the store in directory `dir`.  `config` may be NULL (read only).
 *   STORE_ENOSTORE  no such directory, or no store in it
 *   STORE_ENOSPACE  STORE_CREATE: cannot create, or foreign files are there
 *   STORE_ECORRUPT  damaged, foreign, or of a newer format
 *   STORE_ECONFIG   a network filesystem; a bad setting
 *   STORE_EACCESS   may not write (STORE_WRITE) or not read
 * *out is NULL on failure.
 */
int store_open(struct store **out, const char *dir,
	       const struct store_config *config, struct store_error *err);

/*
 * Wait for asynchronous writes, and for flushes in the background, of the last
 * writes too, where that pays.  Snapshots and iterators are gone.  NULL: fine.
 */
void store_close(struct store *db);

/* 1 when store_open() made the store, 0 when it was there. */
int store_created(const struct store *db);

/* ---- reading ---- */

/*
 * The newest value of `key`: 1 and *value (contents replaced), or 0 when it
 * is absent.  Takes no lock and waits for nobody.
 */
int store_get(struct store *db, struct slice key, struct buf *value,
	      struct store_error *err);

/*
 * The same, the value handed to `sink` in pieces of at most 64 KiB, so that
 * a large one needs no memory.  A sink that returns a negative value stops,
 * and that value is returned.  sink may be NULL: is the key there?
 */
typedef int store_sink(void *ctx, struct slice piece);
int store_read(struct store *db, struct slice key, store_sink *sink, void *ctx,
	       struct store_error *err);

/*
 * The same, the value not copied where it lies in memory: it stays as it is
 * until `pin`, zeroed at first, is used again, or released, which must be
 * before store_close().  A pin is of one thread at a time.
 */
struct store_pin {
	struct slice value;
	struct buf own; /* private, as is the rest */
	void *lender, (*give_back)(void *lender);
};

int store_get_pinned(struct store *db, struct slice key, struct store_pin *pin,
		     struct store_error *err);
void store_pin_release(struct store_pin *pin);

/*
 * Many keys at once: each block that holds some of them is read once, and up
 * to `workers` threads (the caller's is one) share the work.  All keys are
 * looked up in the state of one moment of the call.  `fn` hears of each, once,
 * in no order, from any of the threads, for different keys at the same time;
 * what it returns, if negative, ends the call and is its result.
 *   STORE_EINVAL  one of the keys is empty or too long; nothing was told
 */
struct store_found {
	size_t index;	 /* of the key in `keys` */
	unsigned worker; /* which thread tells, from 0 */
	int found;
	int large; /* above 32 KiB: not handed over, see store_read() */
	struct slice value; /* valid in the call */
};
typedef int store_many_fn(void *ctx, const struct store_found *found);
int store_get_many(struct store *db, const struct slice *keys, size_t n,
		   unsigned workers, store_many_fn *fn, void *ctx,
		   struct store_error *err);

/*
 * A snapshot: the store as it is now, whatever happens to it afterwards.
 * Its files stay until it is freed, which must be before store_close().
 */
int store_snapshot(struct store *db, struct store_snapshot **out,
		   struct store_error *err);
void store_snapshot_free(struct store_snapshot *snap);
int store_snapshot_get(struct store_snapshot *snap, struct slice key,
		       struct buf *value, struct store_error *err);

/*
 * For threads that walk parts of a snapshot, each with its own iterator: a key
 * *to above `from` with about `bytes` of tables between (1), or 0, no cut.
 */
int store_cut(struct store_snapshot *snap, struct slice from, uint64_t bytes,
	      struct buf *to, struct store_error *err);

/*
 * Walk the live records of a snapshot, or, with snap NULL, of the store as it
 * is now.  The movers return 1 when there is a record, 0 when there is none.
 */
int store_iter_open(struct store *db, struct store_snapshot *snap,
		    struct store_iter **out, struct store_error *err);
void store_iter_close(struct store_iter *it);
int store_iter_first(struct store_iter *it, struct store_error *err);
int store_iter_last(struct store_iter *it, struct store_error *err);
/* The first record with a key >= `key`. */
int store_iter_seek(struct store_iter *it, struct slice key,
		    struct store_error *err);
/* The last record with a key < `key`. */
int store_iter_seek_before(struct store_iter *it, struct slice key,
			   struct store_error *err);
int store_iter_next(struct store_iter *it, struct store_error *err);
int store_iter_prev(struct store_iter *it, struct store_error *err);
/* Valid until the next move. */
struct slice store_iter_key(const struct store_iter *it);
uint64_t store_iter_value_len(const struct store_iter *it);
/* The value, read when it is asked for; valid until the next move. */
int store_iter_value(struct store_iter *it, struct slice *value,
		     struct store_error *err);
/* The value in pieces, as store_read(). */
int store_iter_read(struct store_iter *it, store_sink *sink, void *ctx,
		    struct store_error *err);

/* ---- writing ---- */

enum store_sync {
	STORE_SYNC = 0,	  /* return when it survives power loss */
	STORE_NOSYNC = 1, /* return when every process sees it */
};

/*
 * A batch is applied whole or not at all, whatever happens; of several steps
 * on one key the last wins.  STORE_BATCH_INIT; keys and values are copied.
 */
struct store_batch {
	struct buf bytes; /* as the log will hold it: header, entries */
	uint32_t count;
};

#define STORE_BATCH_INIT ((struct store_batch){ BUF_INIT, 0 })

/* STORE_EINVAL: empty or too long key, too long value, batch over 4 GiB. */
int store_batch_add(struct store_batch *b, const struct store_entry *e,
		    struct store_error *err);
int store_batch_put(struct store_batch *b, struct slice key, struct slice value,
		    struct store_error *err);
int store_batch_delete(struct store_batch *b, struct slice key,
		       struct store_error *err);
void store_batch_clear(struct store_batch *b);
void store_batch_free(struct store_batch *b);

/*
 * Commit a batch; one thread at a time, for it is sealed in place.  Empty: 0.
 *   STORE_EINVAL   larger than the write buffer allows (formats/wal.md)
 *   STORE_ENOSPACE nothing was written
 *   STORE_EIO      a sync that was to cover it failed: the batch is in doubt
 *   STORE_EACCESS  the handle was not opened with STORE_WRITE
 * A memtable that is full is flushed by the writer that filled it, after its
 * own write is safe, or, with STORE_BACKGROUND, beside further writes; if that
 * fails, the write still succeeds and store_warning() tells.
 */
int store_write(struct store *db, struct store_batch *b, enum store_sync sync,
		struct store_error *err);
int store_put(struct store *db, struct slice key, struct slice value,
	      enum store_sync sync, struct store_error *err);
/* Deleting an absent key succeeds. */
int store_delete(struct store *db, struct slice key, enum store_sync sync,
		 struct store_error *err);
/* Make durable everything that is visible now. */
int store_sync(struct store *db, struct store_error *err);

/* The largest batch store_write() takes, in bytes of store_batch.bytes.len. */
uint64_t store_batch_limit(const struct store *db);

/*
 * Bulk load: what is larger than the write buffer need not go through the
 * log.  Batches are put in order in memory and written as tables by threads of
 * the load, while the caller fills the next; store_load_commit() returns when
 * all of it is visible and durable.  A load may be followed by another; one
 * thread at a time uses it.
 *
 * Without `atomic` each batch becomes visible by itself, in the order they
 * were added, as soon as it is written; what was visible stays when a later
 * one fails.  With it all become visible at once, by the commit, whatever
 * their size, or, if anything fails, none.  Either hides what is older and is
 * hidden by what is written after it became visible.
 *
 * store_load_open, {store_batch_put... until full, store_load_add}...,
 * store_load_commit, store_load_free, in this order.
 */
struct store_load;

int store_load_open(struct store *db, int atomic, struct store_load **out,
		    struct store_error *err);
/*
 * Is the batch as large as a load wants them: with what sorting it takes, a
 * third of load_memory, store_load_piece() bytes?  A load holds three of them.
 */
int store_load_is_full(struct store *db, const struct store_batch *b);
uint64_t store_load_piece(struct store *db);
/*
 * Take over a batch, which is left empty, with memory for the next one.  Waits
 * while two are being written.  A batch larger than wanted, up to 4 GiB, will
 * do.  An error is the load's first, of whichever batch, and is repeated;
 * nothing that is not yet visible will be.
 */
int store_load_add(struct store_load *l, struct store_batch *b,
		   struct store_error *err);
int store_load_commit(struct store_load *l, struct store_error *err);
/* Drops what was not committed.  Before store_close(); NULL is fine. */
void store_load_free(struct store_load *l);

/* What went wrong since the last call beside what succeeded: 1 and *err. */
int store_warning(struct store *db, struct store_error *err);

/* ---- configuration ---- */

enum store_option_type {
	STORE_COUNT = 0,
	STORE_BYTES = 1, /* its text may end in K, M, G */
	STORE_WORD = 2,	 /* one of `words`; the numbers are indexes */
};

struct store_option {
	const char *name;
	enum store_option_type type;
	uint64_t value, def, min, max;
	const char *const *words; /* ends with NULL; of others NULL */
	const char *help;	  /* one line */
};

/* What a store is set to, as it was when it was asked. */
struct store_configuration {
	struct store_option *options;
	size_t n_options;
	char *strategy;
	struct store_setting_text *settings; /* the strategy's, by name */
	size_t n_settings;
};

/*
 * *out is the caller's until store_configuration_free().  `db` NULL: what a
 * new store has where nothing is said.
 */
int store_configuration(struct store *db, struct store_configuration *out,
			struct store_error *err);
void store_configuration_free(struct store_configuration *c);

/*
 * What is to be different; the rest stays.  A value "default" takes a setting
 * back.  Another strategy begins without settings, the same one keeps those
 * it has.  Whether the strategy is there, and what its settings mean, only
 * lsm-compact knows: here they need but be short and printable.
 */
struct store_change {
	const char *strategy; /* NULL: the same */
	const struct store_setting_text *settings;
	size_t n_settings;
	const struct store_setting_text *strategy_settings;
	size_t n_strategy_settings;
};

/*
 * Change the configuration, all of it at once or, on failure, nothing.  Every
 * handle of every process goes by it from its next operation; cache_bytes,
 * queue_depth and the limit of a batch are those of when a handle was opened,
 * and tables that are there stay as they are until they are merged.
 *   STORE_ECONFIG  an unknown option, or a value out of its bounds
 *   STORE_EACCESS  the handle was not opened with STORE_WRITE
 */
int store_configure(struct store *db, const struct store_change *change,
		    struct store_error *err);

/*
 * What a strategy is and which settings it takes, as lines of JSON (see
 * formats/config.md), handed to `sink`; its code is loaded for that.  With
 * settings: judged, and told as their values.  `plugins` as in store_config.
 *   STORE_ECONFIG  no such strategy, or refused; a setting it does not take
 */
int store_strategy(const char *plugins, const char *name,
		   const struct store_setting_text *settings, size_t n,
		   store_sink *sink, void *ctx, struct store_error *err);

/* ---- maintenance ---- */

/*
 * Bring the memtable into tables, with a second thread, and sweep files that
 * nothing needs any more, in any case.  Returns how many logs were flushed.
 */
int store_flush(struct store *db, struct store_error *err);
/* Would store_flush() write a table?  1 or 0. */
int store_flush_is_needed(struct store *db, struct store_error *err);

/* How far a compaction has come; bytes are of its jobs' input. */
struct store_progress {
	uint64_t bytes_done, bytes_total; /* the total grows with each plan */
	uint64_t jobs_done;
	const char *what; /* why the job under way is done; valid in the call */
};

struct store_compact_config {
	const char *strategy; /* this run only; NULL: the store's */
	int all; /* until the strategy plans nothing and one run is left */
	/*
	 * With a length in either: nothing but this: the tables that touch
	 * [from, to) are merged into the deepest level.  Length 0: open.
	 */
	struct slice from, to;
	uint64_t max_bytes; /* input that jobs may read; 0: no limit */
	uint64_t rate;	    /* bytes written a second; 0: no limit */
	uint64_t until_ms;  /* Unix time at which to end; 0: none */
	unsigned workers;   /* jobs at a time; above 1, two threads each */
	/*
	 * When it becomes nonzero: end at the next table boundary and keep
	 * what is finished.  May be NULL; a signal handler may set it.
	 */
	const volatile sig_atomic_t *stop;
	/*
	 * Called now and then, about ten times a second and at the end of a
	 * job, by one thread at a time; no lock is held.  May be NULL.
	 */
	void (*progress)(void *ctx, const struct store_progress *p);
	void *progress_ctx;
};

struct store_compact_result {
	uint64_t jobs;
	uint64_t tables_in, tables_out;
	uint64_t bytes_in, bytes_out;
	uint64_t dropped; /* entries: overwritten, deleted or expired */
	uint64_t busy;	  /* jobs left to another process */
	int stopped;	  /* stop, time or budget ended it; work was left */
};

/*
 * One round of compaction: ask the strategy for jobs and carry them out.
 * `result` may be NULL.  Outputs are installed piece by piece, so a run that
 * is stopped, by a limit or by a signal, keeps what it has done; it returns 0
 * and says `stopped`.  With `jobs` 0 and `busy` above it, nothing was done
 * because other processes are doing it.
 *   STORE_ECONFIG  unknown or refused strategy, or a refused plan
 *   STORE_EINVAL   `from` is not below `to`
 *   STORE_ENOSPACE the disk is too full for even one piece of a job
 */
int store_compact(struct store *db, const struct store_compact_config *config,
		  struct store_compact_result *result, struct store_error *err);

struct store_need {
	uint64_t bytes; /* that compaction would read by and by, roughly */
	char why[64]; /* what comes first, in words; "" when it is under way */
};

/*
 * Is compaction due, by the store's strategy or (not NULL) another?  1 or 0,
 * and *need.  A handle that only reads will do.
 *   STORE_ECONFIG  as store_compact()
 */
int store_compact_need(struct store *db, const char *strategy,
		       struct store_need *need, struct store_error *err);

/* How far flushes are ahead of compaction. */
enum store_pressure_level {
	STORE_PRESSURE_NONE = 0,
	STORE_PRESSURE_SOFT = 1, /* compaction is due */
	STORE_PRESSURE_HARD = 2, /* and overdue */
};

struct store_pressure {
	enum store_pressure_level level;
	uint64_t level0_runs, level0_bytes;
	uint64_t soft_runs, soft_bytes, hard_runs; /* options */
	uint64_t sealed_logs, sealed_max;
	uint64_t job_bytes;	   /* option */
	uint64_t table_under_work; /* by anyone's compaction; 0: none, or
				      level NONE, or maintenance not auto */
	int automatic;		   /* maintenance: auto */
};

/*
 * Cheap enough for after every write.  Nothing comes of it by itself: the
 * library starts no compaction.  It slows writers down: where maintenance is
 * auto and a compaction is under way, a write that leaves level 0 above its
 * soft limit returns later, the more so the nearer the hard one, and at that
 * when the job is done; but after a second at most, and a handle waits ten
 * seconds for one job, not more.
 */
int store_pressure(struct store *db, struct store_pressure *p,
		   struct store_error *err);

/*
 * Plans as text (formats/plan.md).  What store_compact() with this `config`
 * (strategy, all, max_bytes; NULL: none of them) would begin with, appended to
 * `json`; nothing is changed, and a handle that only reads will do.
 *   STORE_ECONFIG  as store_compact()
 */
int store_compact_plan(struct store *db,
		       const struct store_compact_config *config,
		       struct buf *json, struct store_error *err);

/* What the strategy would be shown, as text; see store_compact_plan(). */
int store_compact_view(struct store *db,
		       const struct store_compact_config *config,
		       store_sink *sink, void *ctx, struct store_error *err);

/*
 * Carry out a plan, whoever wrote it, after the same checks as a strategy's;
 * no strategy is loaded.  `config` as for store_compact(), as far as it does
 * not say what to plan.  A job that cannot be done any more, because another
 * process was quicker, counts as `busy`.
 *   STORE_ECORRUPT  it is no plan
 *   STORE_ECONFIG   a plan for another store, or refused; nothing was done
 */
int store_compact_apply(struct store *db,
			const struct store_compact_config *config,
			struct slice json, struct store_compact_result *result,
			struct store_error *err);

struct store_stat {
	/* the store */
	uint64_t generation;
	uint64_t logs, log_bytes, log_entries;
	uint64_t levels, runs, tables, table_bytes;
	uint64_t level0_runs;
	uint64_t cache_bytes;  /* option */
	uint64_t write_buffer; /* option */
	uint64_t queue_depth;  /* option */
	/* this handle */
	uint64_t blocks_read;
	uint64_t cache_hits;
	uint64_t filter_probes;
	uint64_t filter_negatives;
	uint64_t tables_opened;
	uint64_t batches;
	uint64_t syncs;
	uint64_t bytes_written;
};

int store_stat(struct store *db, struct store_stat *stat,
	       struct store_error *err);

/* ---- asynchronous ---- */

enum store_op {
	STORE_OP_GET = 1,
	STORE_OP_PUT = 2,
	STORE_OP_DELETE = 3,
	STORE_OP_WRITE = 4,
};

struct store_completion {
	uint64_t id; /* what submit returned in *id */
	enum store_op op;
	void *user;	  /* as submitted */
	int result;	  /* get: 1 or 0; others 0; or a negative store_err */
	struct buf value; /* get: the value, now the caller's */
	struct store_error err;
};

/*
 * Queue an operation and return at once; a worker thread, started by the
 * first submit, carries operations out first in, first out.  Neighbouring
 * writes share a batch and an fdatasync, and complete when they are durable.
 * Keys, values and the batch are copied.  `id` may be NULL.
 *   STORE_EFULL  the queue is at its depth; reap, then try again
 */
int store_submit_get(struct store *db, struct slice key, void *user,
		     uint64_t *id, struct store_error *err);
int store_submit_put(struct store *db, struct slice key, struct slice value,
		     void *user, uint64_t *id, struct store_error *err);
int store_submit_delete(struct store *db, struct slice key, void *user,
			uint64_t *id, struct store_error *err);
int store_submit_write(struct store *db, const struct store_batch *b,
		       void *user, uint64_t *id, struct store_error *err);

/*
 * Take up to `n` completions, in the order of their submits.  Waits up to
 * `timeout_ms` (-1: for ever) for the first while operations are under way.
 * Returns how many, 0 when none came or none is under way.  The caller frees
 * each value.  Completions not reaped count against the depth.
 */
int store_reap(struct store *db, struct store_completion *c, int n,
	       int timeout_ms, struct store_error *err);

/*
 * An eventfd, readable while completions wait, for poll(); the handle's, not
 * to be read or closed by the caller.
 */
int store_queue_fd(struct store *db, struct store_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
