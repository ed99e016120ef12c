/*
 * inspect.h - looking at a store, or at any one of its files, without
 * changing anything: what lsm-dump and lsm-stat print and lsm-verify checks;
 * and what lsm-sim foresees, of a store or of none.
 *
 * Whoever inspects repairs nothing: no tree is rebuilt, no install finished,
 * no torn tail cut.  It takes only the locks that every reader takes (ALIVE
 * and a pin, both shared), so it works beside writers, flushes and
 * compactions, and where it may not write.  Living memory that is not to be
 * believed is left aside, and the durable files are read alone.
 */
#ifndef LIB_INSPECT_H
#define LIB_INSPECT_H

#include "lib/store.h"

#include <stdbool.h>

/* ---- lsm-dump ---- */

/*
 * One JSON document, members as formats/dump.md tells, handed to `sink` piece
 * by piece.  It is whole and valid also when damage ends it early: then the
 * object that could not be finished has a member "error", and the error is
 * returned.
 *   STORE_ENOSTORE  there is no such store or file
 *   STORE_ECORRUPT  damaged, or not a file of a store
 */
int inspect_store(const char *dir, int64_t timeout_ms, store_sink *sink,
		  void *ctx, struct store_error *err);
/*
 * A single .sst, .wal, .idx, .ver, STATE or MANIFEST.json, wherever it lies.
 * What it is, its name tells, or else its first bytes.
 */
int inspect_file(const char *path, store_sink *sink, void *ctx,
		 struct store_error *err);

/* An entry of a table or a log, or a live record of the store. */
struct inspect_record {
	enum store_kind kind;
	struct slice key;
	uint64_t expires_ms; /* 0: never */
	uint64_t value_len;
	const char *file; /* where it lies: a name in the store's directory */
	void *value;	  /* for inspect_value() */
};

/* `record` is valid until the callback returns; a negative result stops. */
typedef int inspect_record_fn(void *ctx, const struct inspect_record *record,
			      struct store_error *err);

/* The value, as store_read() hands it over. */
int inspect_value(const struct inspect_record *record, store_sink *sink,
		  void *ctx, struct store_error *err);

/* The live records of a snapshot of the store, in key order. */
int inspect_records(struct store *db, inspect_record_fn *fn, void *ctx,
		    struct store_error *err);
/*
 * Every entry of a .sst, in key order, or of a .wal, oldest first, deletes
 * and what is overwritten included.
 *   STORE_EINVAL  a file of another kind holds no records
 */
int inspect_file_records(const char *path, inspect_record_fn *fn, void *ctx,
			 struct store_error *err);

/* ---- lsm-stat ---- */

struct stat_run {
	uint32_t level;
	uint64_t tables, bytes, entries, tombstones;
	uint64_t oldest_tombstone_ms; /* Unix time; 0: none */
	uint64_t claimed;	      /* tables under work */
};

struct stat_log {
	uint64_t number;
	bool sealed;
	uint64_t bytes;
};

/* A role of LOCK, at one moment; who took it last is a hint. */
struct stat_lock {
	const char *role; /* "write", "manifest", ... */
	bool held;
	char tool[24]; /* "": not known */
	uint64_t pid;
};

enum stat_claimed {
	STAT_TABLE,   /* input of a compaction */
	STAT_LOG,     /* being flushed */
	STAT_DROPPED, /* about to be unlinked */
	STAT_NEW,     /* being built */
};

struct stat_claim {
	uint64_t number;
	enum stat_claimed what;
};

/* Generations [first, end) that somebody reads. */
struct stat_pin {
	uint64_t first, end;
};

#define STAT_LOCKS 5

struct stat_report {
	uint64_t generation, created_ms, now_ms;
	bool trusted; /* living memory is; else no lock is told */
	char strategy[33];
	uint64_t flushed_bytes;
	uint64_t *compacted_bytes; /* by output level */
	size_t n_compacted;
	uint64_t free_disk; /* UINT64_MAX: unknown */
	size_t n_levels;
	struct stat_run *runs; /* in the order of search */
	size_t n_runs;
	struct stat_log *logs; /* oldest first */
	size_t n_logs;
	struct stat_lock locks[STAT_LOCKS];
	size_t n_locks;
	struct stat_claim *claims; /* by number */
	size_t n_claims;
	struct stat_pin *pins; /* the lowest first; not our own */
	size_t n_pins;
	uint64_t dropped, dropped_bytes; /* files not named, and still there */
	struct store_pressure pressure;
	/*
	 * Amplification.  Write: bytes of tables written over bytes flushed,
	 * 0 before the first flush.  Estimates: space, all tables over those
	 * that overlap no larger run, 0 without tables; runs and logs that
	 * a lookup may have to ask, at most; data blocks it reads for nothing
	 * then, filters failing as their size lets expect.
	 */
	double write_amplification, space_amplification;
	uint64_t lookup_runs;
	double lookup_blocks;
};

#define STAT_REPORT_INIT ((struct stat_report){ .n_runs = 0 })

/* *out is STAT_REPORT_INIT, and the caller's until inspect_stat_release(). */
int inspect_stat(const char *dir, int64_t timeout_ms, struct stat_report *out,
		 struct store_error *err);
void inspect_stat_release(struct stat_report *s);

/* ---- lsm-sim ---- */

enum sim_workload {
	SIM_UNIFORM = 0,    /* first writes in random order, even updates */
	SIM_ZIPF = 1,	    /* the same, but few keys get most updates */
	SIM_SEQUENTIAL = 2, /* in the order of the keys */
	SIM_TIMESERIES = 3, /* keys are times; a tenth comes late; no updates */
	SIM_DELETES = 4,    /* as SIM_UNIFORM, updates are deletes in part */
};

struct sim_config {
	const char *plugins; /* as in store_config */
	/* NULL: those of the store, or of a new store */
	const char *strategy;
	const struct store_setting_text *settings; /* of the store */
	size_t n_settings;
	const struct store_setting_text *strategy_settings;
	size_t n_strategy_settings;
	/* begin with the tables of this store; NULL: with none */
	const char *dir;
	int64_t timeout_ms;
	enum sim_workload workload;
	uint64_t records; /* keys written for the first time */
	uint64_t updates; /* writes after that, of keys that are there */
	/*
	 * With `dir` its tables tell the size of a key, and of a value, if
	 * that is 0 here.
	 */
	uint64_t key_bytes, value_bytes;
	unsigned deletes; /* percent of the updates */
	unsigned stored;  /* percent that compression leaves of the data */
	uint64_t ingest;  /* bytes of keys and values a second; 0: writers
			     wait after each flush until nothing is due */
	uint64_t disk;	  /* bytes a second; at least 1 */
	bool every_flush; /* compaction starts after each, not at the soft
			     limit of level 0 */
	bool checked;	  /* check the manifest after each job */
};

/* A workload by its name; false: there is none. */
bool sim_workload_of(const char *name, enum sim_workload *workload);
const char *sim_workload_name(enum sim_workload workload);

struct sim_level {
	uint64_t runs, tables, bytes, entries, tombstones;
	uint64_t written; /* to it, by flushes and compaction */
};

struct sim_report {
	char strategy[33];
	uint64_t key_bytes, value_bytes; /* as given, or as the store has */
	uint64_t writes, flushes, jobs;
	double user_bytes; /* of keys and values written */
	uint64_t flushed_bytes, compacted_bytes, read_bytes; /* of tables */
	/*
	 * Write: bytes written to tables over bytes flushed; 0 without a
	 * flush.  Space: bytes of tables over those of one run of the same
	 * content, at the end and at the worst of about a hundred looks; 0
	 * without tables.  Read: runs that may hold a key, at the end, on
	 * average of the looks, at most; data blocks then read in vain.
	 */
	double write, space, space_max;
	double runs, runs_mean, runs_max, blocks;
	uint64_t tables, tables_max, bytes, bytes_max;
	struct sim_level *levels;
	size_t n_levels;
	/*
	 * With an ingest rate.  Seconds in all; by which writers were slowed
	 * down, and which they waited at the hard limit; the longest wait for
	 * a job; flushes that found the hard limit reached.  The ingest that
	 * the disk could keep up with.
	 */
	double seconds, slowed, stalled, longest;
	uint64_t over_hard;
	double sustainable;
};

#define SIM_REPORT_INIT ((struct sim_report){ .writes = 0 })

/*
 * Simulate; then, until nothing is due any more.  *out is SIM_REPORT_INIT, and
 * the caller's until inspect_sim_release().  Loads the strategy, and runs it
 * in this process, with no protection from what it does.
 *   STORE_ECONFIG  no such strategy, a bad setting, a refused plan, or a
 *                  strategy that finds no end
 *   STORE_ENOSTORE, STORE_ECORRUPT  `dir`
 */
int inspect_sim(const struct sim_config *config, struct sim_report *out,
		struct store_error *err);
void inspect_sim_release(struct sim_report *r);

/* ---- lsm-verify ---- */

struct finding {
	const char *code; /* one of finding_codes */
	const char *file; /* in the store's directory */
	uint64_t offset;  /* STORE_NO_OFFSET when none helps */
	const char *text;
	bool fatal; /* damage; else a note */
};

struct finding_code {
	const char *code;
	bool fatal;
	const char *text; /* what it means, in one line */
};

/* Every code there is; ends with code == NULL. */
extern const struct finding_code finding_codes[];

/* Append it as one line of JSON. */
int finding_json(const struct finding *f, struct buf *out,
		 struct store_error *err);

/* Valid until it returns; a negative result stops the verification. */
typedef int finding_fn(void *ctx, const struct finding *finding);

struct verify_config {
	int64_t timeout_ms; /* as in store_config */
	bool strict;	    /* a file that nothing needs is damage */
	finding_fn *found;  /* or NULL */
	void *ctx;
};

/*
 * Check every checksum and every invariant of the store, one generation of
 * it, which stays pinned meanwhile.
 *   0  sound
 *   1  damaged: `err` says the first fatal finding
 *   STORE_ENOSTORE  there is no store; or another reason why it could not be
 *                   verified
 */
int verify_store(const char *dir, const struct verify_config *config,
		 struct store_error *err);

#endif
