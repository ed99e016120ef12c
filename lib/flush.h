/*
 * flush.h - sealed logs to tables: F1 to F4 of formats/manifest.md.
 */
#ifndef LIB_FLUSH_H
#define LIB_FLUSH_H

#include "lib/engine.h"

/*
 * Write the oldest sealed log as a run of level 0 and install it: 1 when one
 * was flushed, 0 when there is none, 2 when another process has claimed it
 * (*busy is its number).  The caller may hold WRITE (healing, load), no other
 * lock.
 */
int flush_oldest(struct store *db, uint64_t *busy, struct store_error *err);

/*
 * All sealed logs that nobody else is at, then sweep; no lock is held.  The
 * write that filled one is safe already: what goes wrong is a warning.
 */
void flush_sealed(struct store *db);

/*
 * Before a handle that flushes in the background is closed: flush what is in
 * the active log, too, if this handle has written, and if that makes no run of
 * which compaction would soon have to be afraid: the log has a quarter of its
 * size, or level 0 has hardly any runs.  At rest a table is half as large, and
 * has a filter.  What goes wrong is a warning.
 */
void flush_at_rest(struct store *db);

/*
 * Write memtable `m` as of `at` as tables of level 0, claimed but not
 * installed: *tables (metas, numbers claimed) are the caller's.  The log was
 * made at `since_ms`, and no delete in it is older.
 */
int flush_build(struct store *db, struct memtable *m, const struct root *at,
		const struct options *options, uint64_t since_ms,
		struct table_meta **tables, size_t *n, struct store_error *err);
/* Release the metas; `unlink`: and the files.  Gives the claims back. */
void flush_discard(struct store *db, struct table_meta *tables, size_t n,
		   bool unlink);

#endif
