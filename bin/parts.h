/*
 * parts.h - a range walked by several threads, part by part.
 *
 * The range is cut where the store's tables suggest it.  Each thread takes the
 * next part, walks it with an iterator of its own and collects what it prints;
 * that is written when all parts before it are.  A small range is one part,
 * and starts no thread.
 */
#ifndef BIN_PARTS_H
#define BIN_PARTS_H

#include "bin/range.h"
#include "bin/records.h"

/*
 * Walk `part` from its first to its last record; *n is how many there were.
 * Called by several threads at once, each with an iterator and an output that
 * are its own.
 */
typedef int parts_fn(void *ctx, struct store_iter *it, const struct range *part,
		     struct record_output *out, uint64_t *n,
		     struct store_error *err);

/*
 * All of `range`, ascending, as `snap` has it; *n records in all.  The output
 * ends with what was before the first error, which is returned.
 */
int parts_walk(struct store *db, struct store_snapshot *snap,
	       const struct range *range, enum record_format format,
	       parts_fn *fn, void *ctx, uint64_t *n, struct store_error *err);

#endif
