#include "lib/tail.h"

static int damaged(const struct tree_reader *t, uint64_t i, const char *why,
		   struct store_error *err)
{
	return store_corrupt(err, t->m->dir->path, t->m->tree.view.name,
			     (t->at.nodes - t->at.tail + i) * NODE_BYTES, why);
}

int tail_nodes(struct tree_reader *t, struct slice *nodes,
	       struct store_error *err)
{
	return view_read(&t->m->tree.view, &t->nodes,
			 (t->at.nodes - t->at.tail) * NODE_BYTES,
			 (size_t)t->at.tail * NODE_BYTES,
			 t->at.nodes * NODE_BYTES, nodes, err);
}

static int check(struct tree_reader *t, uint64_t i, const struct tree_node *n,
		 struct store_error *err)
{
	if (n->height != 1 || n->shape >> NODE_BALANCE_SHIFT != 1)
		return damaged(t, i, "a node of the tail is no leaf", err);
	if (n->off < WAL_HEADER + WAL_BATCH_HEADER)
		return damaged(t, i, "entry out of the log's bounds", err);
	return tree_check(t, t->at.nodes - t->at.tail + i, n, err);
}

int tail_load(struct tree_reader *t, uint64_t i, struct tree_node *n,
	      struct store_error *err)
{
	struct slice nodes;
	int r = tail_nodes(t, &nodes, err);

	if (r < 0)
		return r;
	memcpy(n, nodes.data + i * NODE_BYTES, sizeof(*n));
	return check(t, i, n, err);
}

/* A key as it lies in the log, which must be the one that was put there. */
static int check_key(struct tree_reader *t, uint64_t i,
		     const struct tree_node *n, struct slice key,
		     struct store_error *err)
{
	if (n->key_len == key.len && n->prefix == slice_prefix(key) &&
	    n->hash == tail_hash(key))
		return 0;
	return damaged(t, i, "a node and its entry disagree", err);
}

static int find(struct tree_reader *t, struct slice key, struct tree_node *n,
		struct store_error *err)
{
	uint64_t hash = tail_hash(key), prefix = slice_prefix(key);
	struct wal_entry e;
	struct slice nodes;
	int c, r = tail_nodes(t, &nodes, err);

	if (r < 0)
		return r;
	for (uint64_t i = t->at.tail; i-- > 0;) {
		memcpy(n, nodes.data + i * NODE_BYTES, sizeof(*n));
		if (n->hash != hash || n->key_len != key.len)
			continue;
		r = check(t, i, n, err);
		c = 1;
		if (r == 0 && n->prefix == prefix)
			r = tree_compare_keys(t, key, n, &c, err);
		if (r < 0 || c == 0)
			return r < 0 ? r : 1;
		/* Another key of this hash, or a damaged one? */
		r = tree_entry(t, n, &e, err);
		if (r == 0)
			r = check_key(t, i, n, e.key, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tail_or_tree_find(struct tree_reader *t, struct slice key,
		      struct tree_node *n, struct store_error *err)
{
	int r = t->at.tail ? find(t, key, n, err) : 0;

	return r ? r : tree_find(t, key, n, err);
}

int64_t tail_order(struct tree_reader *t, struct window *w,
		   struct order_item *items, struct order_item *spare,
		   struct slice *batch, uint64_t *start,
		   struct store_error *err)
{
	const uint8_t *entries = NULL;
	struct wal_entry e;
	struct tree_node n;
	struct slice nodes;
	const char *why;
	uint64_t first = 0, at;
	int64_t kept;
	int r = tail_nodes(t, &nodes, err);

	for (uint64_t i = 0; r == 0 && i < t->at.tail; i++) {
		memcpy(&n, nodes.data + i * NODE_BYTES, sizeof(n));
		r = check(t, i, &n, err);
		if (r == 0 && i == 0) {
			first = n.off;
			*start = first - WAL_BATCH_HEADER;
			r = view_read(&t->m->log, w, *start,
				      (size_t)(t->at.log_bytes - *start),
				      t->at.log_bytes, batch, err);
			entries = batch->data + WAL_BATCH_HEADER;
		}
		if (r < 0)
			break;
		if (n.off < first || n.off - first > UINT32_MAX - n.entry_len)
			return damaged(t, i, "the tail is not in order", err);
		at = n.off - first;
		if (!wal_entry_decode(slice_make(entries + at, n.entry_len), &e,
				      &why))
			return store_corrupt(err, t->m->dir->path,
					     t->m->log.name, n.off, why);
		r = check_key(t, i, &n, e.key, err);
		items[i] = (struct order_item){
			.off = (uint32_t)(e.key.data - entries),
			.key_len = (uint16_t)e.key.len,
			.tag = (uint16_t)(e.key.data - entries - at)
		};
	}
	if (r < 0)
		return r;
	kept = order_newest(entries, items, spare, (uint32_t)t->at.tail);
	return kept < 0 ? store_nomem(err) : kept;
}
