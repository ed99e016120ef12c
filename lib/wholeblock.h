/*
 * wholeblock.h - a data block of an old table that may go into a new one as it
 * is: compressed already.
 *
 * That saves what costs a merge most, but only where no other source has keys
 * between those of the block, and nothing in it has changed its meaning.  Its
 * keys are looked at all the same, for the filter and to be sure of them.
 */
#ifndef LIB_WHOLEBLOCK_H
#define LIB_WHOLEBLOCK_H

#include "formats/block.h"
#include "lib/iter.h"

struct wholeblock {
	struct iter_block b;
	struct block_reader r; /* r.key is the last one */
	struct buf hashes;     /* of its keys, uint64_t each, for the filter */
	uint64_t entries, bytes; /* of keys and values */
};

#define WHOLEBLOCK_INIT ((struct wholeblock){ .entries = 0 })
void wholeblock_release(struct wholeblock *w);

/*
 * Look through w->b, which iter->ops->block() gave.  1: nothing but puts, none
 * of them chunked or expired at `now_ms`, keys ascending up to b->last, a
 * restart point each `interval` entries; the rest of *w is filled, and valid as
 * long as w->b is.  0: it must be gone through entry by entry, also where it is
 * damaged: that tells how.
 *   STORE_ESYSTEM  no memory
 */
int wholeblock_look(struct wholeblock *w, uint64_t now_ms, uint64_t interval,
		    struct store_error *err);

#endif
