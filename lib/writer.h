/*
 * writer.h - holding WRITE: W1 to W3, rotation (R0 to R2) and healing of
 * formats/manifest.md.
 */
#ifndef LIB_WRITER_H
#define LIB_WRITER_H

#include "lib/engine.h"

/*
 * Take WRITE and make sure of the ground: the newest generation, no install
 * half-done, the active log not poisoned (else it is healed), and cut back to
 * its published length.  *g gets a reference; writer_leave() drops both.
 * The caller holds no lock.
 */
int writer_enter(struct store *db, struct generation **g,
		 struct store_error *err);
void writer_leave(struct store *db, struct generation *g);

/* Under WRITE: the published root, from memory if nobody else was here. */
int writer_root(struct store *db, struct memtable *m, struct root *at,
		struct store_error *err);

/*
 * Under WRITE: seal the active log, if there is one and it holds anything,
 * and install a new, empty one.  *g is exchanged for the new generation.
 * 1: the log turned out to be poisoned: leave, and enter again.
 */
int writer_rotate(struct store *db, struct generation **g,
		  struct store_error *err);

#endif
