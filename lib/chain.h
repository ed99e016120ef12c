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

/*
 * `numbers` (copied) are tables of one run, ascending by key, claimed by the
 * caller until the chain is closed.  The iterator has first, next, chunk and
 * close; it does not turn round.
 */
int chain_open(struct store *db, const uint64_t *numbers, size_t n,
	       struct iter **out, struct store_error *err);

#endif
