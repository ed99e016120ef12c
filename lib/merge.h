/*
 * merge.h - many sorted sources as one: the newest entry of each key.
 *
 * Sources are given newest first.  Where several hold a key, the entry of the
 * newest is shown, a tombstone like any other, and the older ones are passed
 * over: what a tombstone or an expired entry means is for the caller.  Works
 * in both directions.  Chunked values are read from the source they lie in.
 */
#ifndef LIB_MERGE_H
#define LIB_MERGE_H

#include "lib/iter.h"

/*
 * Takes over the `n` iterators, also on failure; merge->close closes them.
 * The array itself stays the caller's.  n may be 0: an empty iterator.
 */
int merge_open(struct iter **out, struct iter **sources, size_t n,
	       struct store_error *err);

/* The index of the source whose entry is shown; it must stand on one. */
size_t merge_source(const struct iter *merge);

/* How many older entries have been passed over so far. */
uint64_t merge_hidden(const struct iter *merge);

#endif
