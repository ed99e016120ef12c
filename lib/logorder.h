/*
 * logorder.h - a log in the order of its keys, by sorting it.
 *
 * The tree gives the same, as it grows and for whoever wants a part.  Who
 * wants all of it once, to make a table, reads the log from end to end and
 * sorts what it holds: that takes no longer than a walk, and no memory for a
 * tree of which most nodes are of older roots.
 */
#ifndef LIB_LOGORDER_H
#define LIB_LOGORDER_H

#include "lib/memtable.h"

/*
 * Iterate over all of `at`, of each key the newest entry; keeps a reference.
 * The checksum of an entry is compared as it comes, and batches must follow
 * each other to the published end of the log.
 *   STORE_ECORRUPT  the log is not what was published
 */
int logorder_iter(struct memtable *m, const struct root *at, struct iter **out,
		  struct store_error *err);

/* The same, over the tail of `at` alone. */
int logorder_tail(struct memtable *m, const struct root *at, struct iter **out,
		  struct store_error *err);

#endif
