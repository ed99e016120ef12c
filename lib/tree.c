#include "lib/tree.h"

void tree_reader_init(struct tree_reader *t, struct memtable *m,
		      const struct root *at)
{
	*t = (struct tree_reader){ .m = m,
				   .at = *at,
				   .nodes = WINDOW_INIT(VIEW_PAGE),
				   .log = WINDOW_INIT(VIEW_PAGE) };
}

void tree_reader_release(struct tree_reader *t)
{
	window_release(&t->nodes);
	window_release(&t->log);
}

static int damaged(const struct tree_reader *t, uint64_t node, const char *why,
		   struct store_error *err)
{
	return store_corrupt(err, t->m->dir->path, t->m->tree.view.name,
			     node * NODE_BYTES, why);
}

int tree_check(struct tree_reader *t, uint64_t i, const struct tree_node *n,
	       struct store_error *err)
{
	if (n->off < WAL_HEADER || n->off > t->at.log_bytes ||
	    n->entry_len > t->at.log_bytes - n->off ||
	    n->entry_len < WAL_ENTRY_HEADER + (uint32_t)n->key_len)
		return damaged(t, i, "entry out of the log's bounds", err);
	return 0;
}

int tree_load(struct tree_reader *t, uint64_t i, unsigned under,
	      struct tree_node *n, struct store_error *err)
{
	struct slice s;
	int r;

	if (i < NODE_FIRST || i >= t->at.nodes)
		return damaged(t, i, "child index out of bounds", err);
	r = view_read(&t->m->tree.view, &t->nodes, i * NODE_BYTES, NODE_BYTES,
		      t->at.nodes * NODE_BYTES, &s, err);
	if (r < 0)
		return r;
	memcpy(n, s.data, sizeof(*n));
	if (n->height == 0 || n->height >= under)
		return damaged(t, i, "impossible height", err);
	return tree_check(t, i, n, err);
}

/* The key of a node, from the log; valid until the next read of the log. */
static int node_key(struct tree_reader *t, const struct tree_node *n,
		    struct slice *key, struct store_error *err)
{
	size_t head = WAL_ENTRY_HEADER;
	size_t want = head + 8 + n->key_len;
	struct slice s = SLICE_NULL;
	int r;

	if (want > n->entry_len)
		want = n->entry_len;
	r = (t->peeks ? view_peek : view_read)(&t->m->log, &t->log, n->off,
					       want, t->at.log_bytes, &s, err);
	t->peeks -= t->peeks > 0;
	if (r < 0)
		return r;
	if (s.data[5] & WAL_EXPIRES)
		head += 8;
	if (load_u16(s.data + 6) != n->key_len || head + n->key_len > s.len)
		return damaged(t, 0, "a node and its entry disagree", err);
	*key = slice_make(s.data + head, n->key_len);
	return 0;
}

int tree_first_key(struct tree_reader *t, struct slice *key,
		   struct store_error *err)
{
	struct tree_node first = { .off = WAL_HEADER + WAL_BATCH_HEADER };
	uint64_t limit = t->at.log_bytes;
	struct slice s;
	int r = view_read(&t->m->log, &t->log, first.off, WAL_ENTRY_HEADER,
			  limit, &s, err);

	if (r < 0)
		return r;
	first.key_len = load_u16(s.data + 6);
	first.entry_len = WAL_ENTRY_HEADER + 8 + (uint32_t)first.key_len;
	if (first.entry_len > limit - first.off)
		first.entry_len = (uint32_t)(limit - first.off);
	return node_key(t, &first, key, err);
}

static int load_skip(struct tree_reader *t, struct store_error *err)
{
	struct slice key;
	int r = tree_first_key(t, &key, err);

	if (r < 0)
		return r;
	if (key.len < t->at.skip)
		return damaged(t, 0, "skips more than the first key has", err);
	memcpy(t->skip, key.data, t->at.skip);
	t->skip_known = true;
	return 0;
}

int tree_digest(struct tree_reader *t, struct slice key, uint64_t *digest,
		struct store_error *err)
{
	size_t skip = t->at.skip;
	int c, r;

	if (skip == 0) {
		*digest = slice_prefix(key);
		return 0;
	}
	r = t->skip_known ? 0 : load_skip(t, err);
	if (r < 0)
		return r;
	c = memcmp(key.data, t->skip, key.len < skip ? key.len : skip);
	if (c > 0)
		*digest = UINT64_MAX;
	else if (c < 0 || key.len <= skip)
		*digest = 0;
	else
		*digest = slice_prefix(
			slice_make(key.data + skip, key.len - skip));
	return 0;
}

int tree_compare_keys(struct tree_reader *t, struct slice key,
		      const struct tree_node *n, int *c,
		      struct store_error *err)
{
	struct slice other = SLICE_NULL;
	int r = node_key(t, n, &other, err);

	if (r == 0)
		*c = slice_cmp(key, other);
	return r;
}

int tree_compare(struct tree_reader *t, struct slice key, uint64_t digest,
		 const struct tree_node *n, int *c, struct store_error *err)
{
	size_t whole = t->at.skip + 8;

	if (digest != n->prefix) {
		*c = digest < n->prefix ? -1 : 1;
		return 0;
	}
	/* Between the ends both begin with the skip, and then as the digest. */
	if (key.len <= whole && n->key_len <= whole && digest != 0 &&
	    digest != UINT64_MAX) {
		*c = (key.len > n->key_len) - (key.len < n->key_len);
		return 0;
	}
	return tree_compare_keys(t, key, n, c, err);
}

int tree_find(struct tree_reader *t, struct slice key, struct tree_node *n,
	      struct store_error *err)
{
	uint64_t i = t->at.root, digest = 0;
	unsigned under = TREE_HEIGHT_MAX + 1;
	int c, r = tree_digest(t, key, &digest, err);

	if (r < 0)
		return r;
	while (i) {
		r = tree_load(t, i, under, n, err);
		if (r < 0)
			return r;
		r = tree_compare(t, key, digest, n, &c, err);
		if (r < 0)
			return r;
		if (c == 0)
			return 1;
		under = n->height;
		i = n->child[c > 0];
	}
	return 0;
}

int tree_entry(struct tree_reader *t, const struct tree_node *n,
	       struct wal_entry *e, struct store_error *err)
{
	const struct dir *dir = t->m->dir;
	struct slice s;
	const char *why;
	int r;

	/* A large one is looked at through a map, not copied. */
	if (n->entry_len > CHUNK_BYTES)
		view_map(&t->m->log, false);
	r = view_read(&t->m->log, &t->log, n->off, n->entry_len,
		      t->at.log_bytes, &s, err);
	if (r < 0)
		return r;
	if (!wal_entry_decode(s, e, &why))
		return store_corrupt(err, dir->path, t->m->log.name, n->off,
				     why);
	if (e->length != n->entry_len || !wal_entry_check(s, t->m->salt))
		return store_corrupt(err, dir->path, t->m->log.name, n->off,
				     "bad entry checksum");
	return 0;
}

/* Push node `i`, reached from the one on top by its `turn`. */
static int push(struct tree_reader *t, struct tree_walk *w, uint64_t i,
		int turn, struct store_error *err)
{
	unsigned under = TREE_HEIGHT_MAX + 1;
	int r;

	if (w->depth) {
		under = tree_walk_node(w)->height;
		w->turn[w->depth - 1] = (uint8_t)turn;
	}
	if (w->depth == TREE_HEIGHT_MAX)
		return damaged(t, i, "the tree is too high", err);
	r = tree_load(t, i, under, &w->path[w->depth], err);
	if (r < 0)
		w->depth = 0;
	else
		w->depth++;
	return r;
}

/* Push node `i`, reached by `turn`, and go on to the end of its `side`. */
static int descend(struct tree_reader *t, struct tree_walk *w, uint64_t i,
		   int turn, int side, struct store_error *err)
{
	int r;

	for (; i; turn = side, i = tree_walk_node(w)->child[side]) {
		r = push(t, w, i, turn, err);
		if (r < 0)
			return r;
	}
	return w->depth > 0;
}

int tree_walk_end(struct tree_reader *t, struct tree_walk *w, int side,
		  struct store_error *err)
{
	w->depth = 0;
	return descend(t, w, t->at.root, side, side, err);
}

int tree_walk_step(struct tree_reader *t, struct tree_walk *w, int side,
		   struct store_error *err)
{
	uint64_t below;

	if (w->depth == 0)
		return 0;
	below = tree_walk_node(w)->child[side];
	if (below)
		return descend(t, w, below, side, !side, err);
	/* Up, until we come from the other side. */
	do
		w->depth--;
	while (w->depth && w->turn[w->depth - 1] == side);
	return w->depth > 0;
}

int tree_walk_seek(struct tree_reader *t, struct tree_walk *w, struct slice key,
		   struct store_error *err)
{
	uint64_t i = t->at.root, digest = 0;
	uint32_t found = 0; /* depth of the last node with a key >= ours */
	int turn = 0;
	int c, r = tree_digest(t, key, &digest, err);

	w->depth = 0;
	if (r < 0)
		return r;
	while (i) {
		r = push(t, w, i, turn, err);
		if (r < 0)
			return r;
		r = tree_compare(t, key, digest, tree_walk_node(w), &c, err);
		if (r < 0)
			return r;
		if (c <= 0)
			found = w->depth;
		if (c == 0)
			break;
		turn = c > 0;
		i = tree_walk_node(w)->child[turn];
	}
	w->depth = found;
	return found > 0;
}
