/*
 * tree.h - the persistent AVL tree over a log.
 *
 * Nodes of 32 bytes (formats/state.h), addressed by index; keys are compared
 * by eight of their bytes first, and by the log's where these are equal.
 * Nothing read from the file is believed: indexes, offsets, lengths and
 * heights are checked against the root's bounds, and the height bounds every
 * walk.  After Adelson-Velsky and Landis 1962; path copying after Driscoll,
 * Sarnak, Sleator and Tarjan 1989.
 */
#ifndef LIB_TREE_H
#define LIB_TREE_H

#include "lib/memtable.h"

/* One reader's way through one root. */
struct tree_reader {
	struct memtable *m;
	struct root at;
	struct window nodes, log;
	uint64_t peeks; /* so many keys of the log are read by view_peek() */
	bool skip_known;
	uint8_t skip[SKIP_MAX]; /* what at.skip keys begin with */
};

void tree_reader_init(struct tree_reader *t, struct memtable *m,
		      const struct root *at);
void tree_reader_release(struct tree_reader *t);

/*
 * Load node `i`, a copy, so that what is checked is what is used.  Its height
 * must be below `under`: every walk ends.
 */
int tree_load(struct tree_reader *t, uint64_t i, unsigned under,
	      struct tree_node *n, struct store_error *err);

/* Node `i` will be loaded: it may be far away by now. */
static inline void tree_prefetch(const struct tree_reader *t, uint64_t i)
{
	const uint8_t *map = atomic_load_explicit(&t->m->tree.view.map,
						  memory_order_relaxed);

	if (map && i < t->at.nodes)
		__builtin_prefetch(map + i * NODE_BYTES);
}

/* Does the entry of node `i` lie in the log as far as the root knows it? */
int tree_check(struct tree_reader *t, uint64_t i, const struct tree_node *n,
	       struct store_error *err);

/*
 * What a node holds of `key`: the eight bytes that follow the skip, as a
 * number, where it begins as the first key of the log does; 0 for a key that
 * is below all of these, or a part of the skip, UINT64_MAX for one above.  So
 * these numbers never contradict the keys' order.
 */
int tree_digest(struct tree_reader *t, struct slice key, uint64_t *digest,
		struct store_error *err);

/* The key of the log's first entry, valid until the next read of the log. */
int tree_first_key(struct tree_reader *t, struct slice *key,
		   struct store_error *err);

/* *c is the order of `key` to the node's, as the log has it. */
int tree_compare_keys(struct tree_reader *t, struct slice key,
		      const struct tree_node *n, int *c,
		      struct store_error *err);

/* The same, of a node of the tree: seldom does it take the log. */
int tree_compare(struct tree_reader *t, struct slice key, uint64_t digest,
		 const struct tree_node *n, int *c, struct store_error *err);

/* Find the node of `key`: 1, or 0. */
int tree_find(struct tree_reader *t, struct slice key, struct tree_node *n,
	      struct store_error *err);

/* The node's entry, its checksum verified; valid until the next read. */
int tree_entry(struct tree_reader *t, const struct tree_node *n,
	       struct wal_entry *e, struct store_error *err);

/* A walk in key order: the nodes from the root to where it stands. */
struct tree_walk {
	struct tree_node path[TREE_HEIGHT_MAX];
	uint8_t turn[TREE_HEIGHT_MAX]; /* the side taken below path[i] */
	uint32_t depth;		       /* 0: nowhere */
};

static inline const struct tree_node *tree_walk_node(const struct tree_walk *w)
{
	return &w->path[w->depth - 1];
}

/* 1 on a node, 0 none there.  side 0: from the left end; 1: the right. */
int tree_walk_end(struct tree_reader *t, struct tree_walk *w, int side,
		  struct store_error *err);
/* side 1: to the next node; 0: to the one before. */
int tree_walk_step(struct tree_reader *t, struct tree_walk *w, int side,
		   struct store_error *err);
/* The first node with a key >= `key`. */
int tree_walk_seek(struct tree_reader *t, struct tree_walk *w, struct slice key,
		   struct store_error *err);

#endif
