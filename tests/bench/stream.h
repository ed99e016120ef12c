/*
 * stream.h - the writes and lookups of which amplification.py measures the
 * amplification: the same for all that are compared, one by one.
 *
 * Every workload writes records 0 to RECORDS-1 first, in no order of their
 * keys.  Then
 *
 *	uniform		nothing
 *	zipf		RECORDS overwrites, of keys by Zipf's law
 *	delete-heavy	a delete of every second record
 *	overwrite	RECORDS * 5 overwrites, of any key alike
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include "tests/bench/workload.h"

#define STREAM_KEY 16
#define STREAM_VALUE 100
#define STREAM_BATCH 100 /* writes that go together */

struct stream {
	uint64_t records, writes, at;
	bool deletes, by_zipf;
	struct workload_zipf zipf;
};

struct stream_op {
	uint8_t key[STREAM_KEY], value[STREAM_VALUE];
	bool deletes; /* then there is no value */
};

/* False: there is no such workload. */
bool stream_init(struct stream *s, const char *workload, uint64_t records);
/* The next write, or false. */
bool stream_next(struct stream *s, struct stream_op *op);

/*
 * The key of lookup i; one that is there after any of the workloads, or one
 * that never was.
 */
void stream_lookup(uint64_t records, bool present, uint64_t i,
		   uint8_t key[STREAM_KEY]);

#endif
