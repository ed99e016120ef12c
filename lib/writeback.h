/*
 * writeback.h - a log's bytes on their way to the disk before anybody waits.
 *
 * A log is synced before the next one is begun, whoever waits for that; so it
 * had better be written by then.  What is full of it is taken out of the map
 * and handed to the disk piece by piece; that may take a while, and where the
 * handle has threads (STORE_BACKGROUND) one of its own does it.
 *
 * Nothing depends on it: a failure shows when the log is synced.
 */
#ifndef LIB_WRITEBACK_H
#define LIB_WRITEBACK_H

#include "lib/engine.h"

int writeback_new(struct writeback **out, struct store_error *err);

/* The log of `m` has grown from `from` to `upto` bytes.  No lock is held. */
void writeback_log(struct store *db, struct memtable *m, uint64_t from,
		   uint64_t upto);

/* Wait until what it was told of is done; ends the thread.  NULL is fine. */
void writeback_close(struct store *db);

#endif
