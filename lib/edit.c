#include "lib/edit.h"

#include <assert.h>

/* One entry of the batch, on its way into the tree. */
struct item {
	struct slice key;
	uint64_t prefix;
	uint64_t off; /* in the log */
	uint32_t len;
	uint8_t kind;
};

void tree_edit_init(struct tree_edit *e, struct memtable *m,
		    const struct root *at)
{
	tree_reader_init(&e->base, m, at);
	e->at = *at;
	e->nodes = BUF_INIT;
	e->batch = SLICE_NULL;
}

void tree_edit_release(struct tree_edit *e)
{
	tree_reader_release(&e->base);
	buf_free(&e->nodes);
}

static bool is_new(const struct tree_edit *e, uint64_t i)
{
	return i >= e->base.at.nodes;
}

/* A node of ours; moves when another is added. */
static struct tree_node *node(struct tree_edit *e, uint64_t i)
{
	return (struct tree_node *)(void *)e->nodes.data +
	       (i - e->base.at.nodes);
}

static int add_node(struct tree_edit *e, const struct tree_node *n,
		    uint32_t *out, struct store_error *err)
{
	if (e->at.nodes >= UINT32_MAX)
		return store_fail(err, STORE_EBUG, "a tree of 2^32 nodes");
	if (buf_append(&e->nodes, n, sizeof(*n)) < 0)
		return store_nomem(err);
	*out = (uint32_t)e->at.nodes++;
	return 0;
}

/* Children's heights, from the node alone. */
static void heights(const struct tree_node *n, int h[2])
{
	int balance = (n->shape >> NODE_BALANCE_SHIFT) - 1;

	h[0] = n->height - 1 - (balance > 0);
	h[1] = n->height - 1 - (balance < 0);
}

static void set_heights(struct tree_node *n, const int h[2])
{
	n->height = (uint8_t)((h[0] > h[1] ? h[0] : h[1]) + 1);
	n->shape = (uint8_t)((n->shape & NODE_KIND) |
			     (h[1] - h[0] + 1) << NODE_BALANCE_SHIFT);
}

static void set_item(struct tree_node *n, const struct item *it)
{
	n->prefix = it->prefix;
	n->off = it->off;
	n->key_len = (uint16_t)it->key.len;
	n->entry_len = it->len;
	n->shape = (uint8_t)((n->shape & ~NODE_KIND) | it->kind);
}

/*
 * Node `i` has become too high on side `s`: make its child, or its child's
 * inner child, the root of this part.  Both lie on the path just inserted
 * into, so they are ours to change.
 */
static int rotate(struct tree_edit *e, uint32_t i, int s, const int h[2],
		  uint32_t *out, struct store_error *err)
{
	struct tree_node *n = node(e, i);
	uint32_t ci = n->child[s], gi;
	struct tree_node *c, *g;
	int hc[2], hg[2], hn[2];

	if (!is_new(e, ci))
		goto damaged;
	c = node(e, ci);
	heights(c, hc);
	if (hc[s] >= hc[!s]) {
		n->child[s] = c->child[!s];
		hn[s] = hc[!s];
		hn[!s] = h[!s];
		set_heights(n, hn);
		c->child[!s] = i;
		hc[!s] = n->height;
		set_heights(c, hc);
		*out = ci;
		return 0;
	}
	gi = c->child[!s];
	if (!is_new(e, gi))
		goto damaged;
	g = node(e, gi);
	heights(g, hg);
	c->child[!s] = g->child[s];
	hc[!s] = hg[s];
	set_heights(c, hc);
	n->child[s] = g->child[!s];
	hn[s] = hg[!s];
	hn[!s] = h[!s];
	set_heights(n, hn);
	g->child[s] = ci;
	g->child[!s] = i;
	hg[s] = c->height;
	hg[!s] = n->height;
	set_heights(g, hg);
	*out = gi;
	return 0;
damaged:
	return store_corrupt(err, e->base.m->dir->path,
			     e->base.m->tree.view.name,
			     (uint64_t)i * NODE_BYTES, "impossible balance");
}

/* Load a node, published or ours, as a copy. */
static int fetch(struct tree_edit *e, uint64_t i, unsigned under,
		 struct tree_node *n, struct store_error *err)
{
	if (!is_new(e, i))
		return tree_load(&e->base, i, under, n, err);
	*n = *node(e, i);
	return 0;
}

/* Order of the item's key to the node's, whose entry may be in our batch. */
static int order(struct tree_edit *e, const struct item *it,
		 const struct tree_node *n, int *c, struct store_error *err)
{
	uint64_t start = e->at.log_bytes; /* of the batch */
	struct wal_entry other = { 0 };
	struct slice bytes;
	const char *why;

	if (n->prefix != it->prefix || n->off < start)
		return tree_compare(&e->base, it->key, it->prefix, n, c, err);
	bytes = slice_make(e->batch.data + (n->off - start), n->entry_len);
	if (!wal_entry_decode(bytes, &other, &why))
		return store_fail(err, STORE_EBUG, "batch: %s", why);
	*c = slice_cmp(it->key, other.key);
	return 0;
}

static int insert(struct tree_edit *e, uint32_t i, unsigned under,
		  const struct item *it, uint32_t *out, struct store_error *err)
{
	struct tree_node n = { .height = 1, .shape = 1 << NODE_BALANCE_SHIFT };
	uint32_t child;
	int h[2];
	int c, s, r;

	if (!i) {
		set_item(&n, it);
		e->at.entries++;
		return add_node(e, &n, out, err);
	}
	r = fetch(e, i, under, &n, err);
	if (r == 0)
		r = order(e, it, &n, &c, err);
	if (r < 0)
		return r;
	if (!is_new(e, i)) {
		r = add_node(e, &n, &i, err);
		if (r < 0)
			return r;
	}
	*out = i;
	if (c == 0) {
		set_item(node(e, i), it);
		return 0;
	}
	s = c > 0;
	r = insert(e, n.child[s], n.height, it, &child, err);
	if (r < 0)
		return r;
	node(e, i)->child[s] = child;
	heights(&n, h);
	h[s] = node(e, child)->height;
	if (h[s] - h[!s] > 1)
		return rotate(e, i, s, h, out, err);
	set_heights(node(e, i), h);
	return 0;
}

static int item_cmp(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c;

	if (x->prefix != y->prefix)
		return x->prefix < y->prefix ? -1 : 1;
	c = slice_cmp(x->key, y->key);
	/* The later of two on one key wins: it is inserted last. */
	return c ? c : (x->off > y->off) - (x->off < y->off);
}

static int collect(struct tree_edit *e, struct item *items, uint32_t count,
		   struct store_error *err)
{
	uint64_t at = WAL_BATCH_HEADER;
	struct wal_entry en;
	const char *why;

	for (uint32_t i = 0; i < count; i++) {
		if (!wal_entry_decode(
			    slice_make(e->batch.data + at, e->batch.len - at),
			    &en, &why))
			return store_corrupt(err, e->base.m->dir->path,
					     e->base.m->log.name,
					     e->at.log_bytes + at, why);
		items[i] = (struct item){ .key = en.key,
					  .prefix = slice_prefix(en.key),
					  .off = e->at.log_bytes + at,
					  .len = (uint32_t)en.length,
					  .kind = en.kind };
		at += en.length;
	}
	return 0;
}

int tree_edit_batch(struct tree_edit *e, struct slice batch, uint32_t count,
		    uint64_t chain, struct store_error *err)
{
	struct item one, *items = &one;
	uint32_t root = (uint32_t)e->at.root;
	int r;

	if (count > 1) {
		items = malloc(count * sizeof(*items));
		if (!items)
			return store_nomem(err);
	}
	e->batch = batch;
	r = collect(e, items, count, err);
	if (r == 0 && count > 1)
		qsort(items, count, sizeof(*items), item_cmp);
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = insert(e, root, TREE_HEIGHT_MAX + 1, &items[i], &root, err);
	if (items != &one)
		free(items);
	if (r < 0)
		return r;
	e->at.root = root;
	e->at.log_bytes += batch.len;
	e->at.chain = chain;
	e->at.batches++;
	return 0;
}
