/*
 * verifytree.h - the whole of a tree, node by node: its shape, and what its
 * nodes say of the log.
 */
#ifndef LIB_VERIFYTREE_H
#define LIB_VERIFYTREE_H

#include "lib/tree.h"

/* Called for each node in key order; a negative result stops. */
typedef int tree_node_fn(void *ctx, uint64_t index, const struct tree_node *n,
			 struct store_error *err);

/*
 * Visit every node of the root in `t`: indexes and entries within bounds,
 * heights and balances what they must be, as many nodes as the root tells;
 * and those of the tail, which `fn` is not told of.  *height is that of the
 * tree.  Reads nothing of the log.
 */
int tree_survey(struct tree_reader *t, tree_node_fn *fn, void *ctx,
		unsigned *height, struct store_error *err);

/* An entry of the log, as walking it finds it. */
struct log_entry {
	uint64_t prefix;
	uint64_t hash; /* tail_hash() */
	uint64_t off;
	uint32_t len;
	uint16_t key_len;
	uint8_t kind;
};

/*
 * Does the tail hold the last entries, and the tree exactly the newest of each
 * key among the others?  `entries` are all of the log up to the root, in its
 * order; they are sorted.
 */
int tree_verify(struct tree_reader *t, struct log_entry *entries, size_t n,
		struct store_error *err);

#endif
