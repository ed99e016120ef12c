/*
 * tablewalk.h - every byte of a table, in file order, each block checked and
 * in its place: for lsm-verify and lsm-dump.
 */
#ifndef LIB_TABLEWALK_H
#define LIB_TABLEWALK_H

#include "lib/tablefile.h"

struct table_visitor {
	table_block_fn *block; /* or NULL */
	/* Each entry, `off` being its block's place; or NULL. */
	int (*entry)(void *ctx, uint64_t off, struct slice key,
		     const struct block_entry *e, struct store_error *err);
	void *ctx;
};

/*
 * Visit the data blocks in order, each after the chunks its entries have,
 * then filter, index (leaves first), properties, footer.  Checks on the way
 * that all parts lie one behind the other, that keys ascend, that the index
 * tells the truth about what is below it.  A visitor that returns non-zero
 * ends the walk, and that is returned.
 */
int table_walk(struct table *t, const struct table_visitor *v,
	       struct store_error *err);

#endif
