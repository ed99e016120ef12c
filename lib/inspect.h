/*
 * inspect.h - looking at a store, or at any one of its files, without
 * changing anything: what lsm-dump prints and lsm-verify checks.
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
