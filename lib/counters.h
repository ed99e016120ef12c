/*
 * counters.h - what a handle has done so far; store_stat() reports it.
 *
 * Relaxed atomics: figures for people and tests, never for decisions.
 */
#ifndef LIB_COUNTERS_H
#define LIB_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct counters {
	atomic_uint_fast64_t blocks_read; /* decoded from a file */
	atomic_uint_fast64_t cache_hits;
	atomic_uint_fast64_t filter_probes;
	atomic_uint_fast64_t filter_negatives; /* table skipped */
	atomic_uint_fast64_t syncs;	       /* fdatasync of a log */
	atomic_uint_fast64_t batches;	       /* committed */
	atomic_uint_fast64_t tables_opened;
	atomic_uint_fast64_t bytes_written; /* to tables */
	atomic_uint_fast64_t blocks_moved;  /* from one into another, whole */
};

#define COUNT(c, what, n)                                                      \
	do {                                                                   \
		if (c)                                                         \
			atomic_fetch_add_explicit(&(c)->what, (n),             \
						  memory_order_relaxed);       \
	} while (0)

#endif
