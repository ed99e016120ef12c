/*
 * rows.h - the works that a library is timed at.
 *
 * Only calls into the library are timed; keys and values are made in between.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "tests/bench/engine.h"
#include "tests/bench/usage.h"

struct run {
	/* as asked for */
	const struct row *row;
	const char *dir;
	uint64_t records, ops, batch, sync, key_len, value_len, cache_bytes;
	uint64_t warm;	       /* lookups before the clock starts */
	uint64_t writes_per_s; /* beside which reads are timed */
	/* what it works with */
	void *db;
	struct engine_op *chunk; /* keys and values of the next calls */
	uint8_t *keys, *pool;
	/* what came out */
	uint64_t done;	/* of what is counted: records, mostly */
	uint64_t found; /* of `done`, those that were there */
	uint64_t bytes; /* of the values seen, so that they are seen */
	uint64_t timed_ns;
	struct latency latency; /* of each call that writes */
};

struct row {
	const char *name;
	void (*run)(struct run *r);
	bool ordered; /* keys in order, each written once */
	bool writes;
	bool empties; /* begins with an empty database */
};

/* NULL: there is no such row. */
const struct row *row_find(const char *name);
/* Do it, with r->db open. */
void row_run(struct run *r);

#endif
