/*
 * edit.h - inserting a batch into a tree: new nodes, over a published root.
 *
 * Nodes that are published are never touched: those on the way from the root
 * to each changed key are copied, and a copy is changed in place as long as
 * this edit lasts.  A batch is put into order, divided at each node it comes
 * to, and what comes of both sides is joined again, so that every node is
 * looked at once: m entries into a tree of n cost m log(n / m) steps and
 * copies (Blelloch, Ferizovic and Sun, Just Join for Parallel Ordered Sets,
 * 2016).  A node tells by its height and balance how high its children are.
 */
#ifndef LIB_EDIT_H
#define LIB_EDIT_H

#include "lib/tail.h"

/* A commit in the making: new nodes in private memory over a published root. */
struct tree_edit {
	struct tree_reader base;
	struct root at;	    /* of the tree with the edit */
	struct buf nodes;   /* new ones, from index base.at.nodes on */
	struct slice batch; /* bytes appended to the log, at at.log_bytes */
	struct order_item *items; /* of the batch, in order */
	struct window tail;	  /* of the log, while the tail is put in */
};

void tree_edit_init(struct tree_edit *e, struct memtable *m,
		    const struct root *at);
void tree_edit_release(struct tree_edit *e);

/*
 * Put the entries of a batch, which lies (or will lie) in the log behind
 * e->at.log_bytes, into the tree, the tail before them, and count its length
 * and checksum in e->at.  The batch's memory must stay until the edit is
 * released or the next batch.
 */
int tree_edit_batch(struct tree_edit *e, struct slice batch, uint32_t count,
		    uint64_t chain, struct store_error *err);

/*
 * The same for a commit: a small batch becomes, or lengthens, the tail; one
 * that it has no room for puts the old tail into the tree first.
 */
int tree_edit_commit(struct tree_edit *e, struct slice batch, uint32_t count,
		     uint64_t chain, struct store_error *err);

#endif
