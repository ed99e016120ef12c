#include "lib/edit.h"

#include <assert.h>

/* One entry of the batch, on its way into the tree. */
struct item {
	struct slice key;
	uint64_t prefix; /* tree_digest() */
	uint64_t off;	 /* in the log */
	uint32_t len;
	uint8_t kind;
};

/* Items [from, to) of the batch, ascending, each key once. */
struct span {
	uint32_t from, to;
};

/* A skip is chosen by so many pairs of neighbours at most, */
#define SKIP_SAMPLES 32
/* so that this many bytes count from the first in which they differ. */
#define SKIP_ROOM 5

/* A part of the tree; root 0: nothing, of height 0. */
struct part {
	uint32_t root;
	int height;
};

void tree_edit_init(struct tree_edit *e, struct memtable *m,
		    const struct root *at)
{
	tree_reader_init(&e->base, m, at);
	e->at = *at;
	e->nodes = BUF_INIT;
	e->batch = SLICE_NULL;
	e->items = NULL;
	e->tail = WINDOW_INIT(VIEW_PAGE);
}

void tree_edit_release(struct tree_edit *e)
{
	tree_reader_release(&e->base);
	window_release(&e->tail);
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

/* The node, ours to change: a copy, if it is published. */
static int own(struct tree_edit *e, uint32_t i, unsigned under, uint32_t *out,
	       struct store_error *err)
{
	struct tree_node n;
	int r;

	*out = i;
	if (is_new(e, i))
		return 0;
	r = tree_load(&e->base, i, under, &n, err);
	return r < 0 ? r : add_node(e, &n, out, err);
}

/*
 * Node `i` has become too high on side `s`: make its child, or its child's
 * inner child, the root of this part.
 */
static int rotate(struct tree_edit *e, uint32_t i, int s, const int h[2],
		  struct part *out, struct store_error *err)
{
	uint32_t ci = node(e, i)->child[s], gi;
	struct tree_node *n, *c, *g;
	int hc[2], hg[2], hn[2];
	int r;

	r = own(e, ci, TREE_HEIGHT_MAX + 1, &ci, err);
	if (r < 0)
		return r;
	n = node(e, i);
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
		*out = (struct part){ ci, c->height };
		return 0;
	}
	r = own(e, c->child[!s], c->height, &gi, err);
	if (r < 0)
		return r;
	n = node(e, i);
	c = node(e, ci);
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
	*out = (struct part){ gi, g->height };
	return 0;
}

/*
 * One part of `left`, then node `k`, which is ours, then `right`.  Where one
 * is higher, `k` goes down its inner edge to where the heights agree; what
 * comes of that is higher by at most one, so that a rotation mends it.
 */
static int join(struct tree_edit *e, struct part left, uint32_t k,
		struct part right, struct part *out, struct store_error *err)
{
	int s = left.height > right.height, h[2], r;
	struct part tall = s ? left : right, inner;
	struct tree_node *n;
	uint32_t i;

	if (left.height - right.height <= 1 &&
	    right.height - left.height <= 1) {
		n = node(e, k);
		n->child[0] = left.root;
		n->child[1] = right.root;
		set_heights(n, (int[2]){ left.height, right.height });
		*out = (struct part){ k, n->height };
		return 0;
	}
	r = own(e, tall.root, (unsigned)tall.height + 1, &i, err);
	if (r < 0)
		return r;
	n = node(e, i);
	heights(n, h);
	inner = (struct part){ n->child[s], h[s] };
	r = s ? join(e, inner, k, right, &inner, err)
	      : join(e, left, k, inner, &inner, err);
	if (r < 0)
		return r;
	n = node(e, i);
	n->child[s] = inner.root;
	h[s] = inner.height;
	if (h[s] - h[!s] > 1)
		return rotate(e, i, s, h, out, err);
	set_heights(n, h);
	*out = (struct part){ i, n->height };
	return 0;
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

	if (n->off < start)
		return tree_compare(&e->base, it->key, it->prefix, n, c, err);
	bytes = slice_make(e->batch.data + (n->off - start), n->entry_len);
	if (!wal_entry_decode(bytes, &other, &why))
		return store_fail(err, STORE_EBUG, "batch: %s", why);
	*c = slice_cmp(it->key, other.key);
	return 0;
}

/* Item `i` of the batch. */
static int item(const struct tree_edit *e, uint32_t i, struct item *it,
		struct store_error *err)
{
	const struct order_item *o = &e->items[i];
	uint64_t at = WAL_BATCH_HEADER + o->off - o->tag;
	struct wal_entry en;
	const char *why;

	if (!wal_entry_decode(slice_make(e->batch.data + at, e->batch.len - at),
			      &en, &why))
		return store_corrupt(err, e->base.m->dir->path,
				     e->base.m->log.name, e->at.log_bytes + at,
				     why);
	*it = (struct item){ .key = en.key,
			     .prefix = o->prefix,
			     .off = e->at.log_bytes + at,
			     .len = (uint32_t)en.length,
			     .kind = en.kind };
	return 0;
}

static struct slice key_of(const struct tree_edit *e, uint32_t i)
{
	return slice_make(e->batch.data + WAL_BATCH_HEADER + e->items[i].off,
			  e->items[i].key_len);
}

/* How many bytes two keys have in common. */
/*
 * Of the n items, in order, which are the first of all, or those behind the
 * first of all: what is not worth comparing.  Where neighbours differ there
 * should be room behind for keys between them, and before, for keys beyond all
 * of these; the more, where keys end there.
 */
static int choose_skip(struct tree_edit *e, uint32_t n, struct store_error *err)
{
	uint32_t step = (n + SKIP_SAMPLES - 1) / SKIP_SAMPLES, pairs = 0;
	struct slice low = key_of(e, 0), first;
	size_t near = 0, len = low.len,
	       skip = slice_common(low, key_of(e, n - 1));
	int r;

	for (uint32_t i = 0; i + 1 < n; i += step, pairs++) {
		struct slice next = key_of(e, i + 1);

		near += slice_common(key_of(e, i), next);
		len = next.len > len ? next.len : len;
	}
	near = near / pairs + SKIP_ROOM;
	near = near < len ? near : len;
	near = near > 8 ? near - 8 : 0;
	skip = near < skip ? near : skip;
	skip = skip < SKIP_MAX ? skip : SKIP_MAX;
	if (skip && e->base.at.log_bytes > WAL_HEADER) {
		r = tree_first_key(&e->base, &first, err);
		if (r < 0)
			return r;
		near = slice_common(low, first);
		skip = near < skip ? near : skip;
	}
	memcpy(e->base.skip, low.data, skip);
	e->at.skip = e->base.at.skip = skip;
	e->base.skip_known = true;
	return 0;
}

/* What is compared of the items' keys, in place of what sorted them. */
static int digest(struct tree_edit *e, uint32_t n, struct store_error *err)
{
	struct item it;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = item(e, i, &it, err);
		if (r == 0)
			r = tree_digest(&e->base, it.key, &e->items[i].prefix,
					err);
	}
	return r;
}

/* A part of nothing but items, as low as can be. */
static int build(struct tree_edit *e, struct span s, struct part *out,
		 struct store_error *err)
{
	struct tree_node n = { .height = 1, .shape = 1 << NODE_BALANCE_SHIFT };
	uint32_t middle = s.from + (s.to - s.from) / 2, k;
	struct part left = { 0, 0 }, right = { 0, 0 };
	struct item it;
	int r = 0;

	if (middle > s.from)
		r = build(e, (struct span){ s.from, middle }, &left, err);
	if (r == 0 && middle + 1 < s.to)
		r = build(e, (struct span){ middle + 1, s.to }, &right, err);
	if (r == 0)
		r = item(e, middle, &it, err);
	if (r < 0)
		return r;
	set_item(&n, &it);
	r = add_node(e, &n, &k, err);
	e->at.entries++;
	return r < 0 ? r : join(e, left, k, right, out, err);
}

/*
 * Where node `n` divides the items: *at is the first that is not below it;
 * *same tells whether it has the node's key, and is then *it.
 */
static int divide(struct tree_edit *e, struct span s, const struct tree_node *n,
		  uint32_t *at, bool *same, struct item *it,
		  struct store_error *err)
{
	int c, r;

	*same = false;
	while (s.from < s.to) {
		uint32_t middle = s.from + (s.to - s.from) / 2;
		uint64_t prefix = e->items[middle].prefix;

		r = 0;
		if (prefix != n->prefix) {
			c = prefix < n->prefix ? -1 : 1;
		} else {
			r = item(e, middle, it, err);
			if (r == 0)
				r = order(e, it, n, &c, err);
		}
		if (r < 0)
			return r;
		if (c == 0) {
			*same = true;
			*at = middle;
			return 0;
		}
		if (c < 0)
			s.from = middle + 1;
		else
			s.to = middle;
	}
	*at = s.from;
	return 0;
}

/*
 * Part `i`, not of height `under`, with at least one item put in.  What no
 * item belongs to is taken over as it is.
 */
static int unite(struct tree_edit *e, uint32_t i, unsigned under, struct span s,
		 struct part *out, struct store_error *err)
{
	struct part sides[2];
	struct tree_node n;
	struct item it;
	uint32_t at = 0;
	bool same = false;
	int h[2], r;

	if (!i)
		return build(e, s, out, err);
	r = fetch(e, i, under, &n, err);
	if (r < 0)
		return r;
	/* While the items are divided, both are on their way. */
	tree_prefetch(&e->base, n.child[0]);
	tree_prefetch(&e->base, n.child[1]);
	r = divide(e, s, &n, &at, &same, &it, err);
	if (r < 0)
		return r;
	heights(&n, h);
	sides[0] = (struct part){ n.child[0], h[0] };
	sides[1] = (struct part){ n.child[1], h[1] };
	if (at > s.from)
		r = unite(e, n.child[0], n.height, (struct span){ s.from, at },
			  &sides[0], err);
	if (r == 0 && at + same < s.to)
		r = unite(e, n.child[1], n.height,
			  (struct span){ at + same, s.to }, &sides[1], err);
	if (r == 0 && !is_new(e, i))
		r = add_node(e, &n, &i, err);
	if (r < 0)
		return r;
	if (same)
		set_item(node(e, i), &it);
	return join(e, sides[0], i, sides[1], out, err);
}

/* The batch's entries in order, of each key the last: how many, or an error. */
static int64_t sort(struct tree_edit *e, uint32_t count,
		    struct store_error *err)
{
	uint64_t at = WAL_BATCH_HEADER;
	struct wal_entry en;
	const char *why;
	int64_t n;

	e->items = malloc(2 * (size_t)count * sizeof(*e->items));
	if (!e->items)
		return store_nomem(err);
	n = order_entries(slice_make(e->batch.data + at, e->batch.len - at),
			  count, e->items, e->items + count);
	if (n >= 0)
		return n;
	for (uint32_t i = 0; i < count; i++, at += en.length)
		if (!wal_entry_decode(
			    slice_make(e->batch.data + at, e->batch.len - at),
			    &en, &why))
			return store_corrupt(err, e->base.m->dir->path,
					     e->base.m->log.name,
					     e->at.log_bytes + at, why);
	return store_nomem(err);
}

/* e->items[0..n) of e->batch into the tree. */
static int unite_items(struct tree_edit *e, uint32_t n, struct store_error *err)
{
	struct part all = { (uint32_t)e->at.root, 0 };
	int r = digest(e, n, err);

	/* A key that is there already lies anywhere in the log. */
	e->base.peeks = n;
	if (r == 0)
		r = unite(e, all.root, TREE_HEIGHT_MAX + 1,
			  (struct span){ 0, n }, &all, err);
	if (r == 0)
		e->at.root = all.root;
	return r;
}

/* As if what the tail holds were one batch that is committed now. */
static int unite_tail(struct tree_edit *e, struct store_error *err)
{
	struct order_item items[2 * TAIL_NODES], *many = NULL;
	uint64_t end = e->at.log_bytes, start = 0;
	int64_t n;
	int r;

	e->items = items;
	/* Another version of this program may leave longer ones. */
	if (e->at.tail > TAIL_NODES) {
		many = malloc(2 * e->at.tail * sizeof(*many));
		if (!many)
			return store_nomem(err);
		e->items = many;
	}
	n = tail_order(&e->base, &e->tail, e->items, e->items + e->at.tail,
		       &e->batch, &start, err);
	r = n < 0 ? (int)n : 0;
	if (n > 1 && !e->at.root && !e->at.skip)
		r = choose_skip(e, (uint32_t)n, err);
	if (r == 0 && n > 0) {
		e->at.log_bytes = start;
		r = unite_items(e, (uint32_t)n, err);
		e->at.log_bytes = end;
	}
	free(many);
	e->items = NULL;
	e->at.tail = 0;
	return r;
}

static void count_batch(struct tree_edit *e, struct slice batch, uint64_t chain)
{
	e->at.log_bytes += batch.len;
	e->at.chain = chain;
	e->at.batches++;
}

int tree_edit_batch(struct tree_edit *e, struct slice batch, uint32_t count,
		    uint64_t chain, struct store_error *err)
{
	/* An entry alone may be larger than what can be sorted. */
	struct order_item one = { .off = WAL_ENTRY_HEADER,
				  .tag = WAL_ENTRY_HEADER };
	struct order_item *items = &one;
	int64_t n = 1;
	int r = 0;

	e->batch = batch;
	if (count != 1) {
		n = sort(e, count, err);
		items = e->items;
	}
	if (n < 0)
		r = (int)n;
	else if (n > 1 && !e->at.root)
		r = choose_skip(e, (uint32_t)n, err);
	if (r == 0 && e->at.tail)
		r = unite_tail(e, err);
	e->batch = batch;
	e->items = items;
	if (r == 0 && n > 0)
		r = unite_items(e, (uint32_t)n, err);
	if (items != &one)
		free(items);
	e->items = NULL;
	if (r == 0)
		count_batch(e, batch, chain);
	return r;
}

/* The entries of the batch behind the tail. */
static int lengthen(struct tree_edit *e, struct slice batch, uint32_t count,
		    struct store_error *err)
{
	struct tree_node n = { .height = 1, .shape = 1 << NODE_BALANCE_SHIFT };
	uint64_t at = WAL_BATCH_HEADER;
	struct wal_entry en;
	const char *why;
	uint32_t index;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++, at += en.length) {
		if (!wal_entry_decode(
			    slice_make(batch.data + at, batch.len - at), &en,
			    &why))
			return store_fail(err, STORE_EBUG, "batch: %s", why);
		set_item(&n, &(struct item){ .key = en.key,
					     .prefix = slice_prefix(en.key),
					     .off = e->at.log_bytes + at,
					     .len = (uint32_t)en.length,
					     .kind = en.kind });
		n.hash = tail_hash(en.key);
		r = add_node(e, &n, &index, err);
	}
	e->at.tail += count;
	return r;
}

int tree_edit_commit(struct tree_edit *e, struct slice batch, uint32_t count,
		     uint64_t chain, struct store_error *err)
{
	int r = 0;

	if (count > TAIL_BATCH_NODES || batch.len > TAIL_BATCH_BYTES)
		return tree_edit_batch(e, batch, count, chain, err);
	if (e->at.tail + count > TAIL_NODES)
		r = unite_tail(e, err);
	if (r == 0)
		r = lengthen(e, batch, count, err);
	if (r == 0)
		count_batch(e, batch, chain);
	return r;
}
