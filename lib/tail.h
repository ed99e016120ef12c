/*
 * tail.h - what was committed last and is in no tree yet.
 *
 * To put one entry into a tree copies the nodes of a whole path; to put a
 * hundred in, in order, copies few more for all of them.  So a small commit
 * appends a node for each of its entries and leaves the tree alone: these
 * nodes are the tail, the last of the file, oldest first.  Whoever reads looks
 * through the tail before it looks into the tree, and the commit for which the
 * tail has become too long puts it into the tree (edit.h).  After the write
 * buffer of Bentley and Saxe's logarithmic method (1980), of one level.
 */
#ifndef LIB_TAIL_H
#define LIB_TAIL_H

#include "lib/order.h"
#include "lib/tree.h"

/* A commit leaves no longer a tail than this. */
#define TAIL_NODES 256u
/* A batch of more entries or bytes goes into the tree at once. */
#define TAIL_BATCH_NODES (TAIL_NODES / 4)
#define TAIL_BATCH_BYTES 8192u

/* The tail's nodes, unchecked, valid until the next read of nodes. */
int tail_nodes(struct tree_reader *t, struct slice *nodes,
	       struct store_error *err);

/* Load node `i` of the tail, which has a hash and no children. */
int tail_load(struct tree_reader *t, uint64_t i, struct tree_node *n,
	      struct store_error *err);

/* Find the newest node of `key`, in the tail or in the tree: 1, or 0. */
int tail_or_tree_find(struct tree_reader *t, struct slice key,
		      struct tree_node *n, struct store_error *err);

/*
 * The tail in the order of its keys, of each key the newest entry: items[0..),
 * as order_entries() gives them, how many is returned.  *batch is what of the
 * log it spans, from *start on, with the header of its first batch, and lies
 * in `w`.  `items` and `spare` have room for t->at.tail each.  Keys are those
 * that were put there, by their hashes; checksums are not compared.
 */
int64_t tail_order(struct tree_reader *t, struct window *w,
		   struct order_item *items, struct order_item *spare,
		   struct slice *batch, uint64_t *start,
		   struct store_error *err);

#endif
