/*
 * buildindex.h - the index of a table being built: places by separator, kept
 * in memory until the data is written, then written level by level.
 */
#ifndef LIB_BUILDINDEX_H
#define LIB_BUILDINDEX_H

#include "lib/tableout.h"

/* What one level of the index will be made of. */
struct places {
	struct buf bytes; /* each: varint key length, key, varint off, len */
	uint64_t n;
};

/* Keys of what lies at `at` are <= `separator`; those of the next are above. */
int places_add(struct places *p, struct slice separator, struct sst_place at,
	       struct store_error *err);
void places_release(struct places *p);

/*
 * Write all levels, from the leaves, which name `data`, up to the one block
 * that is the root.  Sets the footer's index_off, root and depth.
 */
int buildindex_write(struct tableout *o, const struct places *data,
		     struct sst_footer *f, struct store_error *err);

#endif
