/*
 * flusher.h - flushes in the background: one thread of a handle that brings
 * into tables what the handle's writers have filled, so that no write waits
 * for a flush before there are as many sealed logs as there may be.
 *
 * It is started by the first memtable that is full.  What it does is what the
 * writer would have done (flush.h), under the same claims: a sealed log is
 * durable, and if the thread never comes to it another writer will, of this
 * process or of any.
 */
#ifndef LIB_FLUSHER_H
#define LIB_FLUSHER_H

#include "lib/engine.h"

int flusher_new(struct flusher **out, struct store_error *err);

/*
 * There is a sealed log.  No lock is held.  False when there is no thread to
 * be had: the caller flushes.  What goes wrong is told by store_warning().
 */
bool flusher_wake(struct store *db);

/* Wait until it has flushed all it was told of; ends it.  NULL is fine. */
void flusher_close(struct store *db);

#endif
