/*
 * chain.h - some tables of one run, one behind the other, read once from
 * front to back: a source of a merge.
 *
 * Each table is opened when it is reached and closed when it is left, so a
 * chain holds one open table however long it is.
 */
#ifndef LIB_CHAIN_H
#define LIB_CHAIN_H

#include "lib/engine.h"
#include "lib/passing.h"

struct chain_table {
	uint64_t number;
	struct slice from; /* of a trimmed one, else empty: begin here */
};

/*
 * `tables` (copied, but not the keys) are of one run, ascending by key,
 * claimed by the caller until the chain is past them.  Which of them the page
 * cache had, `passing` is told as they are reached.  The iterator has first,
 * next, chunk, block, skip and close; it does not turn round.
 */
int chain_open(struct store *db, const struct chain_table *tables, size_t n,
	       struct passing *passing, struct iter **out,
	       struct store_error *err);

#endif
