#include "lib/verifytree.h"

#include "lib/tail.h"

struct survey_tree {
	struct tree_reader *t;
	tree_node_fn *fn;
	void *ctx;
	uint64_t nodes;
};

static int damaged(struct tree_reader *t, uint64_t node, const char *why,
		   struct store_error *err)
{
	return store_corrupt(err, t->m->dir->path, t->m->tree.view.name,
			     node * NODE_BYTES, why);
}

/*
 * Recursion is bounded by the heights, which fall on every way down, and the
 * number of visits by that of the entries.
 */
static int survey_node(struct survey_tree *s, uint64_t i, unsigned under,
		       unsigned *height, struct store_error *err)
{
	unsigned h[2] = { 0, 0 };
	struct tree_node n;
	int balance, r;

	r = tree_load(s->t, i, under, &n, err);
	if (r == 0 && s->nodes++ >= s->t->at.entries)
		r = damaged(s->t, i, "more nodes than the root tells", err);
	if (r == 0 && n.child[0])
		r = survey_node(s, n.child[0], n.height, &h[0], err);
	if (r == 0 && s->fn)
		r = s->fn(s->ctx, i, &n, err);
	if (r == 0 && n.child[1])
		r = survey_node(s, n.child[1], n.height, &h[1], err);
	if (r < 0)
		return r;
	balance = (int)h[1] - (int)h[0];
	*height = (h[0] > h[1] ? h[0] : h[1]) + 1;
	if (balance < -1 || balance > 1)
		return damaged(s->t, i, "out of balance", err);
	if (n.height != *height || n.shape >> NODE_BALANCE_SHIFT != balance + 1)
		return damaged(s->t, i, "height or balance is not its own",
			       err);
	return 0;
}

int tree_survey(struct tree_reader *t, tree_node_fn *fn, void *ctx,
		unsigned *height, struct store_error *err)
{
	struct survey_tree s = { .t = t, .fn = fn, .ctx = ctx };
	struct tree_node n;
	int r = 0;

	*height = 0;
	if (t->at.root)
		r = survey_node(&s, t->at.root, TREE_HEIGHT_MAX + 1, height,
				err);
	if (r == 0 && s.nodes != t->at.entries)
		r = store_corrupt(err, t->m->dir->path, t->m->tree.view.name,
				  IDX_COMMIT_OFF,
				  "another number of nodes than the root "
				  "tells");
	for (uint64_t i = 0; r == 0 && i < t->at.tail; i++)
		r = tail_load(t, i, &n, err);
	return r;
}

/* ---- against the log ---- */

struct sorting {
	struct tree_reader *t;
	struct window other; /* the second key of a comparison */
	int r;
	struct store_error *err;
};

static int read_key(struct sorting *s, struct window *w,
		    const struct log_entry *e, struct slice *key)
{
	uint64_t head = WAL_ENTRY_HEADER;
	struct slice bytes;
	int r;

	*key = SLICE_NULL;
	r = view_read(&s->t->m->log, w, e->off, WAL_ENTRY_HEADER,
		      s->t->at.log_bytes, &bytes, s->err);
	if (r == 0 && bytes.data[5] & WAL_EXPIRES)
		head += 8;
	if (r == 0)
		r = view_read(&s->t->m->log, w, e->off + head, e->key_len,
			      s->t->at.log_bytes, key, s->err);
	return r;
}

/* The order of the keys alone; a failure is kept, and ends the comparing. */
static int compare_keys(struct sorting *s, const struct log_entry *a,
			const struct log_entry *b)
{
	struct slice x, y;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	if (a->key_len <= 8 && b->key_len <= 8)
		return (a->key_len > b->key_len) - (a->key_len < b->key_len);
	if (s->r < 0)
		return 0;
	s->r = read_key(s, &s->t->log, a, &x);
	if (s->r == 0)
		s->r = read_key(s, &s->other, b, &y);
	return s->r < 0 ? 0 : slice_cmp(x, y);
}

/* Keys ascending, of one key the newest entry first. */
static int by_key(const void *x, const void *y, void *ctx)
{
	const struct log_entry *a = x, *b = y;
	int c = compare_keys(ctx, a, b);

	return c ? c : (a->off < b->off) - (a->off > b->off);
}

struct matching {
	struct sorting *s;
	const struct log_entry *entries; /* the newest of each key, sorted */
	size_t n, next;
};

static int same_entry(struct tree_reader *t, uint64_t index,
		      const struct tree_node *n, const struct log_entry *e,
		      struct store_error *err)
{
	if (n->prefix != e->prefix || n->key_len != e->key_len ||
	    n->entry_len != e->len || (n->shape & NODE_KIND) != e->kind)
		return damaged(t, index, "a node and its entry disagree", err);
	return 0;
}

static int match(void *ctx, uint64_t index, const struct tree_node *n,
		 struct store_error *err)
{
	struct matching *m = ctx;
	struct tree_reader *t = m->s->t;
	struct log_entry e;
	struct slice key;
	int r;

	if (m->next == m->n)
		return damaged(t, index, "a key that the log does not hold",
			       err);
	e = m->entries[m->next++];
	if (n->off != e.off)
		return damaged(t, index,
			       "not the newest entry of the key that comes "
			       "next",
			       err);
	r = read_key(m->s, &m->s->other, &e, &key);
	if (r == 0)
		r = tree_digest(t, key, &e.prefix, err);
	return r < 0 ? r : same_entry(t, index, n, &e, err);
}

/* The last `t->at.tail` of the log's entries. */
static int match_tail(struct tree_reader *t, const struct log_entry *entries,
		      struct store_error *err)
{
	uint64_t first = t->at.nodes - t->at.tail;
	struct tree_node n;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < t->at.tail; i++) {
		r = tail_load(t, i, &n, err);
		if (r == 0 &&
		    (n.off != entries[i].off || n.hash != entries[i].hash))
			r = damaged(t, first + i,
				    "not the entry of the tail that comes next",
				    err);
		if (r == 0)
			r = same_entry(t, first + i, &n, &entries[i], err);
	}
	return r;
}

int tree_verify(struct tree_reader *t, struct log_entry *entries, size_t n,
		struct store_error *err)
{
	struct sorting s = { .t = t,
			     .other = WINDOW_INIT(VIEW_PAGE),
			     .err = err };
	struct matching m = { .s = &s, .entries = entries };
	unsigned height;
	int r;

	if (n < t->at.tail)
		return store_corrupt(err, t->m->dir->path, t->m->tree.view.name,
				     IDX_COMMIT_OFF,
				     "a tail of more entries than the log has");
	n -= t->at.tail;
	r = match_tail(t, entries + n, err);
	if (r < 0)
		return r;
	if (n)
		qsort_r(entries, n, sizeof(*entries), by_key, &s);
	for (size_t i = 0; i < n; i++)
		if (m.n == 0 ||
		    compare_keys(&s, &entries[m.n - 1], &entries[i]))
			entries[m.n++] = entries[i];
	r = s.r;
	if (r == 0)
		r = tree_survey(t, match, &m, &height, err);
	if (r == 0 && m.next != m.n)
		r = store_corrupt(err, t->m->dir->path, t->m->tree.view.name,
				  IDX_COMMIT_OFF,
				  "a key of the log is not in the tree");
	window_release(&s.other);
	return r;
}
