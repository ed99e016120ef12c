/*
 * manifest.h - what a store consists of, and MANIFEST.json, its durable text.
 *
 * A manifest in memory is the version of the store at one generation: logs,
 * levels of runs of tables, options.  It owns everything it points to.
 * manifest_parse() accepts only what manifest_format() would write, byte for
 * byte; the bytes, and the numbered protocols by which processes replace the
 * file, are in formats/manifest.md.
 */
#ifndef FORMATS_MANIFEST_H
#define FORMATS_MANIFEST_H

#include "formats/bytes.h"
#include "formats/error.h"
#include "formats/options.h"

/* The first member, and what follows the checksum's digits at the end. */
#define MANIFEST_FORMAT "lsm manifest"
#define MANIFEST_END "\"\n}\n"
#define MANIFEST_MAJOR 1
#define MANIFEST_MAX_BYTES (64u << 20)
#define MANIFEST_MAX_LEVELS 32
#define MANIFEST_MAX_RUNS 16384 /* in all; each pair of them is compared */
#define KEY_MAX 65535u
#define VALUE_MAX (1u << 30)
#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

struct table_meta {
	uint64_t number;
	uint64_t age_first, age_last; /* log numbers its data came from */
	uint64_t bytes;		      /* of the file */
	uint64_t entries;	      /* tombstones included */
	uint64_t tombstones;
	uint64_t oldest_tombstone_ms; /* creation time; 0 when none */
	uint64_t created_ms;	      /* Unix time */
	uint64_t checksum;	      /* XXH3-64 over the whole file */
	/*
	 * Keys, owned.  Of a trimmed table `smallest` is a bound, raised by a
	 * merge that has written what lies below it elsewhere: the file holds
	 * more, and what it holds below the bound is not part of the store.
	 * Its counts are of the whole file.
	 */
	struct buf smallest, largest;
	bool trimmed;
};

struct run {
	struct table_meta *tables; /* ascending, disjoint */
	size_t n;
};

struct level {
	struct run *runs; /* newest first */
	size_t n;
};

struct log_meta {
	uint64_t number;
	bool sealed;
	uint64_t created_ms; /* Unix time */
	uint64_t length;     /* sealed: bytes, header included */
	uint64_t checksum;   /* sealed: of its last batch (chained) */
};

struct dropped {
	uint64_t number; /* a file no longer named, not yet seen gone */
	uint64_t last;	 /* the last generation that named it */
};

struct setting {
	char *name;
	char *value;
};

struct manifest {
	uint32_t minor; /* format version, as read; a new one has 0 */
	uint8_t uuid[16];
	uint64_t generation;
	uint64_t next_number; /* above every number in use */
	uint64_t created_ms;
	struct options options;
	char *strategy;		  /* name, [a-z0-9][a-z0-9_-]{0,31} */
	struct setting *settings; /* the strategy's, by name ascending */
	size_t n_settings;
	struct log_meta *logs; /* oldest first; only the last may be active */
	size_t n_logs;
	struct level *levels;
	size_t n_levels;
	uint64_t flushed_bytes; /* written so far by flush */
	uint64_t compacted_bytes[MANIFEST_MAX_LEVELS]; /* by output level */
	struct dropped *dropped;		       /* by number ascending */
	size_t n_dropped;
	struct buf may_ignore; /* JSON of that object, kept; empty: {} */
};

#define MANIFEST_INIT ((struct manifest){ .n_logs = 0 })

/* Releases everything; a MANIFEST_INIT or a released one is fine. */
void manifest_release(struct manifest *m);

/*
 * Parse the text of a MANIFEST.json.  `dir` and `name` are for messages.
 * Checks the checksum, that the text is canonical, every bound, and
 * manifest_check().  *m must be MANIFEST_INIT; on failure it is released.
 *   STORE_ECORRUPT  damaged, not canonical, unknown key or newer major
 *                   version, or an invariant broken
 *   STORE_ESYSTEM   no memory
 */
int manifest_parse(struct manifest *m, struct slice text, const char *dir,
		   const char *name, struct store_error *err);

/*
 * Append the canonical text to `out`; *checksum is the XXH3-64 of exactly
 * those bytes, by which STATE and the version image name this manifest.
 */
int manifest_format(const struct manifest *m, struct buf *out,
		    uint64_t *checksum, struct store_error *err);

/* The checksum manifest_format() gives, of a text read from a file. */
uint64_t manifest_checksum(struct slice text);

/*
 * The invariants of a version: ranges in a run disjoint and ascending; of two
 * runs that overlap, the one searched first has the larger ages; no log is
 * older than a run; only the last log is active; numbers unique and below
 * next_number.  STORE_ECORRUPT (`dir`/`name` in the message) names the first
 * that fails.
 */
int manifest_check(const struct manifest *m, const char *dir, const char *name,
		   struct store_error *err);

/*
 * Editing.  Each returns 0, STORE_ESYSTEM, or STORE_EBUG when what it should
 * remove is not there; none checks invariants, so edit first, then
 * manifest_check().  A removed file joins `dropped` with last = generation.
 */
int manifest_add_log(struct manifest *m, uint64_t number, uint64_t created_ms,
		     struct store_error *err);
int manifest_seal_log(struct manifest *m, uint64_t number, uint64_t length,
		      uint64_t checksum, struct store_error *err);
int manifest_remove_log(struct manifest *m, uint64_t number,
			struct store_error *err);
int manifest_remove_table(struct manifest *m, uint64_t number,
			  struct store_error *err);
/*
 * Of table `number` only what is at or above `from` still counts; `from` is
 * above its smallest key and not above its largest.
 */
int manifest_trim_table(struct manifest *m, uint64_t number, struct slice from,
			struct store_error *err);
/*
 * Put a run of `n` tables (metas copied) into `level`, placed by age among
 * the runs there: before the first run whose age_last is smaller.  n == 0 does
 * nothing.
 */
int manifest_add_run(struct manifest *m, uint32_t level,
		     const struct table_meta *tables, size_t n,
		     struct store_error *err);
/* The same at a place of the caller's choice, at most the number of runs. */
int manifest_insert_run(struct manifest *m, uint32_t level, size_t at,
			const struct table_meta *tables, size_t n,
			struct store_error *err);
/*
 * Add tables to an existing run of `level`, the one at index `run`, each at
 * its place by key.
 */
int manifest_add_tables(struct manifest *m, uint32_t level, size_t run,
			const struct table_meta *tables, size_t n,
			struct store_error *err);
/* Drop empty runs and empty levels at the end; call after removing tables. */
void manifest_trim(struct manifest *m);

/* Find a table; false when it is not named. */
bool manifest_find_table(const struct manifest *m, uint64_t number,
			 size_t *level, size_t *run, size_t *index);
const struct log_meta *manifest_find_log(const struct manifest *m,
					 uint64_t number);
/* The active log, or NULL. */
const struct log_meta *manifest_active_log(const struct manifest *m);
/* Is file `number` named, as log or table? */
bool manifest_names(const struct manifest *m, uint64_t number);

/* Deep copy of one meta; table_meta_release() frees its keys. */
int table_meta_copy(struct table_meta *dst, const struct table_meta *src,
		    struct store_error *err);
void table_meta_release(struct table_meta *t);

/* Name rule shared by strategy names in manifests and plugin files. */
bool strategy_name_ok(const char *name);

#endif
