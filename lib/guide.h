/*
 * guide.h - the index of a table, flat, for tables that are looked into again
 * and again.
 *
 * The index on disk is a tree of blocks, made so that one lookup reads few of
 * them.  A guide has it as one array: of each data block's separator the eight
 * bytes that follow what all separators begin with, and beside it the block's
 * place.  A lookup is a binary search over whole numbers, without a cache to
 * ask, a key to put together or a pointer to follow; where eight bytes do not
 * tell, the index itself does.
 *
 * It is made when a table has been looked into so often that it pays, once,
 * if the cache has room for it, and kept until the table is closed.
 */
#ifndef LIB_GUIDE_H
#define LIB_GUIDE_H

#include "lib/tablefile.h"

struct guide;

/* A data block, and where in memory it was when it was last used. */
struct guide_block {
	struct sst_place place;
	_Atomic(const void *) begin, end; /* hints: only to prefetch */
};

/*
 * The guide of `t`, borrowed for as long as the table is open, or NULL: none
 * yet, or none to be had.  Counts a lookup.  What is damaged is for those to
 * tell who then use the index.
 */
struct guide *guide_of(struct table *t, struct window *w);

/*
 * The one data block that may hold `key`: 1 and *out, or 0 when it is above
 * all; -1: ask the index.
 */
int guide_find(struct guide *g, struct slice key, struct guide_block **out);

/* Its block is `b`, which will be asked for again. */
void guide_remember(struct guide_block *g, const struct block *b);
/* Ask for the memory that was it. */
void guide_prefetch(const struct guide_block *g);

/* For table_close(). */
void guide_release(struct table *t);

#endif
