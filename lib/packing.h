/*
 * packing.h - the data blocks of a table being built, compressed, summed up
 * and written by a thread of their own.
 *
 * Blocks are collected to a packet; while the thread works on one, the next is
 * collected.  Who has the next one full before the thread is done compresses
 * what it can of it instead of waiting.  What is written is the same as without
 * all that, and so is where a table ends: packing_bytes() goes by what had been
 * written one packet ago, however fast the thread is.
 *
 * Used by build.c alone.  Until packing_end() output and places are the
 * thread's.
 */
#ifndef LIB_PACKING_H
#define LIB_PACKING_H

#include "lib/buildindex.h"

struct packing;

/* `o` and `places` outlive it.  The thread begins with the first packet. */
int packing_new(struct packing **out, struct tableout *o, struct places *places,
		struct store_error *err);
/* Gives it up: waits, and ends the thread.  NULL: fine. */
void packing_free(struct packing *p);

/* End what `w` holds, take it as the next block, clear `w`. */
int packing_add(struct packing *p, struct block_writer *w,
		struct store_error *err);
/* Take one as it was stored in another table (copied). */
int packing_move(struct packing *p, const struct sst_block *b,
		 struct store_error *err);
/*
 * The separator of the block added last; to be called before the next one.
 * A full packet then goes to the thread, when that has done the one before.  An
 * error is the thread's first, of whichever packet.
 */
int packing_name(struct packing *p, struct slice separator,
		 struct store_error *err);
/* All that was added is written; then as packing_free(), also on failure. */
int packing_end(struct packing *p, struct store_error *err);

/* What output and places will take, about, with all blocks that were added. */
uint64_t packing_bytes(const struct packing *p);

#endif
