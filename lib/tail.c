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
		if (r == 0)
			r = tree_compare(t, key, prefix, n, &c, err);
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

struct tail_iter {
	struct iter it;
	struct tree_reader t;
	struct window window;
	struct slice batch;
	uint64_t start; /* of the batch in the log */
	struct order_item *items;
	size_t n;
	size_t at; /* n: nowhere */
};

static struct slice key_at(const struct tail_iter *ti, size_t i)
{
	return slice_make(ti->batch.data + WAL_BATCH_HEADER + ti->items[i].off,
			  ti->items[i].key_len);
}

static int show(struct tail_iter *ti, size_t at, struct store_error *err)
{
	const struct memtable *m = ti->t.m;
	struct wal_entry e;
	struct slice s;
	const char *why;
	size_t off;

	ti->at = at < ti->n ? at : ti->n;
	if (ti->at == ti->n)
		return 0;
	off = WAL_BATCH_HEADER + ti->items[at].off - ti->items[at].tag;
	s = slice_make(ti->batch.data + off, ti->batch.len - off);
	if (!wal_entry_decode(s, &e, &why) ||
	    !wal_entry_check(slice_make(s.data, (size_t)e.length), m->salt)) {
		ti->at = ti->n;
		return store_corrupt(err, m->dir->path, m->log.name,
				     ti->start + off, "bad entry checksum");
	}
	ti->it.e = (struct entry){ .kind = (enum entry_kind)e.kind,
				   .key = e.key,
				   .value = e.value,
				   .value_len = e.value.len,
				   .expires_ms = e.expires_ms };
	return 1;
}

/* The first that is not below `key`. */
static size_t first_from(const struct tail_iter *ti, struct slice key)
{
	size_t from = 0, to = ti->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (slice_cmp(key_at(ti, middle), key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static int ti_first(struct iter *it, struct store_error *err)
{
	return show((struct tail_iter *)it, 0, err);
}

static int ti_last(struct iter *it, struct store_error *err)
{
	struct tail_iter *ti = (struct tail_iter *)it;

	return show(ti, ti->n - 1, err);
}

static int ti_seek(struct iter *it, struct slice key, struct store_error *err)
{
	struct tail_iter *ti = (struct tail_iter *)it;

	return show(ti, first_from(ti, key), err);
}

static int ti_seek_before(struct iter *it, struct slice key,
			  struct store_error *err)
{
	struct tail_iter *ti = (struct tail_iter *)it;

	/* 0 - 1 is nowhere, too. */
	return show(ti, first_from(ti, key) - 1, err);
}

static int ti_next(struct iter *it, struct store_error *err)
{
	struct tail_iter *ti = (struct tail_iter *)it;

	return ti->at == ti->n ? 0 : show(ti, ti->at + 1, err);
}

static int ti_prev(struct iter *it, struct store_error *err)
{
	struct tail_iter *ti = (struct tail_iter *)it;

	return ti->at == ti->n ? 0 : show(ti, ti->at - 1, err);
}

static int ti_chunk(struct iter *it, uint64_t i, struct slice *out,
		    struct store_error *err)
{
	(void)it;
	(void)i;
	(void)out;
	return store_fail(err, STORE_EBUG, "a memtable holds no chunks");
}

static void ti_close(struct iter *it)
{
	struct tail_iter *ti = (struct tail_iter *)it;

	memtable_close(ti->t.m);
	tree_reader_release(&ti->t);
	window_release(&ti->window);
	free(ti->items);
	free(ti);
}

static const struct iter_ops tail_ops = {
	.first = ti_first,
	.last = ti_last,
	.seek = ti_seek,
	.seek_before = ti_seek_before,
	.next = ti_next,
	.prev = ti_prev,
	.chunk = ti_chunk,
	.close = ti_close,
};

int tail_iter(struct memtable *m, const struct root *at, struct iter **out,
	      struct store_error *err)
{
	struct tail_iter *ti = calloc(1, sizeof(*ti));
	int64_t n;

	if (!ti)
		return store_nomem(err);
	ti->it.ops = &tail_ops;
	memtable_ref(m);
	tree_reader_init(&ti->t, m, at);
	ti->window = WINDOW_INIT(VIEW_PAGE);
	ti->items = malloc(2 * (size_t)at->tail * sizeof(*ti->items) + 1);
	n = ti->items ? tail_order(&ti->t, &ti->window, ti->items,
				   ti->items + at->tail, &ti->batch, &ti->start,
				   err)
		      : store_nomem(err);
	if (n < 0) {
		ti_close(&ti->it);
		return (int)n;
	}
	ti->n = ti->at = (size_t)n;
	*out = &ti->it;
	return 0;
}
