/*
 * recover.h - a tree from its log: what is done when the shared tree is lost,
 * or not to be believed.
 */
#ifndef LIB_RECOVER_H
#define LIB_RECOVER_H

#include "lib/memtable.h"

/*
 * Walk the log of `m` and build its tree in memory: *at is the root, *nodes
 * the nodes from NODE_FIRST on.  `synced` is a length known to be durable, 0
 * when none is.  A sealed log must be exactly what `meta` says; behind the
 * valid batches of the active one a torn tail is left alone (W3 cuts it).
 *   STORE_ECORRUPT  anything else: nothing may be cut
 */
int recover_tree(struct memtable *m, const struct log_meta *meta,
		 uint64_t synced, struct root *at, struct buf *nodes,
		 struct store_error *err);

/*
 * The same for healing: a batch past `synced` that fails ends the tree
 * whatever follows it, and *cut tells that one did.
 */
int recover_prefix(struct memtable *m, uint64_t limit, uint64_t synced,
		   struct root *at, struct buf *nodes, bool *cut,
		   struct store_error *err);

#endif
