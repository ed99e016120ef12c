/*
 * sync.h - group sync: one fdatasync for every writer it covers (W8 of
 * formats/manifest.md).
 */
#ifndef LIB_SYNC_H
#define LIB_SYNC_H

#include "lib/engine.h"

/* As `upto`: sync whatever is known, for a cut that must be durable. */
#define SYNC_ANYHOW UINT64_MAX

/*
 * Return when log `m` is durable up to `upto`.  Whoever finds nobody syncing
 * leads: it syncs all that is published; the others wait for it.
 * 0 durable; 1 the log is poisoned: its sync failed, or its leader died, and
 * the caller must have it healed (writer.h) and then knows; or
 *   STORE_EIO  this caller's own fdatasync failed: in doubt
 * The caller may hold WRITE, no other lock.
 */
int sync_wait(struct store *db, struct memtable *m, uint64_t upto,
	      struct store_error *err);

/*
 * Is log `m` durable up to `upto`, or, if it was healed, a table with all of
 * that?  1 or 0.
 */
int sync_covers(struct memtable *m, uint64_t upto, struct store_error *err);

/*
 * Is log `m` poisoned?  1 or 0.  Settles a leader that died between mark and
 * record.  The caller holds WRITE.
 */
int sync_poisoned(struct store *db, struct memtable *m,
		  struct store_error *err);

#endif
