#include "lib/logorder.h"

#include "formats/wal.h"
#include "lib/tail.h"

/* How far ahead an entry is asked for that will be needed. */
#define AHEAD 12u
/* And the whole of it, or so many bytes, a little later. */
#define WHOLE_AHEAD 6u
#define WHOLE_BYTES 1024u

struct log_iter {
	struct iter it;
	struct tree_reader t;
	struct window window;
	struct slice batch;
	bool whole;
	uint64_t start; /* of the batch in the log */
	struct order_item *items;
	size_t n;
	size_t at; /* n: nowhere */
};

static struct slice key_at(const struct log_iter *li, size_t i)
{
	return slice_make(li->batch.data + WAL_BATCH_HEADER + li->items[i].off,
			  li->items[i].key_len);
}

/* Entries lie in no order: their bytes are asked for before their turn. */
static void fetch_ahead(const struct log_iter *li, size_t at)
{
	const uint8_t *entries = li->batch.data + WAL_BATCH_HEADER, *q;
	const struct order_item *it;
	uint64_t n;

	if (at + AHEAD < li->n)
		__builtin_prefetch(entries + li->items[at + AHEAD].off);
	if (at + WHOLE_AHEAD >= li->n)
		return;
	it = &li->items[at + WHOLE_AHEAD];
	q = entries + it->off - it->tag;
	n = wal_entry_length(q);
	n = n < WHOLE_BYTES ? n : WHOLE_BYTES;
	for (uint64_t i = 64; i < n; i += 64)
		__builtin_prefetch(q + i);
}

static int show(struct log_iter *li, size_t at, struct store_error *err)
{
	const struct memtable *m = li->t.m;
	struct wal_entry e;
	struct slice s;
	const char *why;
	size_t off;

	li->at = at < li->n ? at : li->n;
	if (li->at == li->n)
		return 0;
	fetch_ahead(li, at);
	off = WAL_BATCH_HEADER + li->items[at].off - li->items[at].tag;
	s = slice_make(li->batch.data + off, li->batch.len - off);
	if (!wal_entry_decode(s, &e, &why) ||
	    !wal_entry_check(slice_make(s.data, (size_t)e.length), m->salt)) {
		li->at = li->n;
		return store_corrupt(err, m->dir->path, m->log.name,
				     li->start + off, "bad entry checksum");
	}
	li->it.e = (struct entry){ .kind = (enum entry_kind)e.kind,
				   .key = e.key,
				   .value = e.value,
				   .value_len = e.value.len,
				   .expires_ms = e.expires_ms };
	return 1;
}

/* The first that is not below `key`. */
static size_t first_from(const struct log_iter *li, struct slice key)
{
	size_t from = 0, to = li->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (slice_cmp(key_at(li, middle), key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static int li_first(struct iter *it, struct store_error *err)
{
	return show((struct log_iter *)it, 0, err);
}

static int li_last(struct iter *it, struct store_error *err)
{
	struct log_iter *li = (struct log_iter *)it;

	return show(li, li->n - 1, err);
}

static int li_seek(struct iter *it, struct slice key, struct store_error *err)
{
	struct log_iter *li = (struct log_iter *)it;

	return show(li, first_from(li, key), err);
}

static int li_seek_before(struct iter *it, struct slice key,
			  struct store_error *err)
{
	struct log_iter *li = (struct log_iter *)it;

	/* 0 - 1 is nowhere, too. */
	return show(li, first_from(li, key) - 1, err);
}

static int li_next(struct iter *it, struct store_error *err)
{
	struct log_iter *li = (struct log_iter *)it;

	return li->at == li->n ? 0 : show(li, li->at + 1, err);
}

static int li_prev(struct iter *it, struct store_error *err)
{
	struct log_iter *li = (struct log_iter *)it;

	return li->at == li->n ? 0 : show(li, li->at - 1, err);
}

static int li_chunk(struct iter *it, uint64_t i, struct slice *out,
		    struct store_error *err)
{
	(void)it;
	(void)i;
	(void)out;
	return store_fail(err, STORE_EBUG, "a memtable holds no chunks");
}

static void li_close(struct iter *it)
{
	struct log_iter *li = (struct log_iter *)it;

	if (li->whole)
		view_forget(&li->t.m->log, 0, li->t.at.log_bytes);
	memtable_close(li->t.m);
	tree_reader_release(&li->t);
	window_release(&li->window);
	free(li->items);
	free(li);
}

static const struct iter_ops log_ops = {
	.first = li_first,
	.last = li_last,
	.seek = li_seek,
	.seek_before = li_seek_before,
	.next = li_next,
	.prev = li_prev,
	.chunk = li_chunk,
	.close = li_close,
};

static int damaged(const struct memtable *m, uint64_t off, const char *why,
		   struct store_error *err)
{
	return store_corrupt(err, m->dir->path, m->log.name, off, why);
}

/* The entries of the batch at `off`, behind the `n` that are there. */
static int add_batch(struct log_iter *li, uint64_t off,
		     const struct wal_batch *b, size_t *n, size_t *cap,
		     struct store_error *err)
{
	const uint8_t *entries = li->batch.data + WAL_BATCH_HEADER;
	uint64_t at = off - WAL_HEADER, end = at + b->length - WAL_BATCH_HEADER;
	struct order_item *grown;
	struct wal_entry e;
	const char *why;

	for (uint32_t i = 0; i < b->count; i++, at += e.length) {
		if (!wal_entry_decode(
			    slice_make(entries + at, (size_t)(end - at)), &e,
			    &why))
			return damaged(li->t.m,
				       WAL_HEADER + WAL_BATCH_HEADER + at, why,
				       err);
		if (*n == *cap) {
			*cap *= 2;
			grown = realloc(li->items, *cap * sizeof(*grown));
			if (!grown)
				return store_nomem(err);
			li->items = grown;
		}
		li->items[(*n)++] = (struct order_item){
			.off = (uint32_t)(e.key.data - entries),
			.key_len = (uint16_t)e.key.len,
			.tag = (uint16_t)(e.key.data - entries - at)
		};
	}
	if (at != end)
		return damaged(li->t.m, WAL_HEADER + WAL_BATCH_HEADER + at,
			       "a batch holds more than its entries", err);
	return 0;
}

/*
 * Every entry of the log as an item.  Entries are checked when they are shown,
 * so of the batches it is enough that they fill the log to its published end.
 */
static int collect(struct log_iter *li, size_t *n, struct store_error *err)
{
	const struct root *at = &li->t.at;
	size_t cap = (size_t)(at->entries + at->tail) + 1;
	uint64_t off = WAL_HEADER, left, chain = li->t.m->salt;
	struct wal_batch b;
	int r = 0;

	li->items = malloc(cap * sizeof(*li->items));
	if (!li->items)
		return store_nomem(err);
	for (; r == 0 && off < at->log_bytes; off += b.length) {
		left = at->log_bytes - off;
		if (!wal_batch_header(
			    slice_make(li->batch.data + (off - WAL_HEADER),
				       (size_t)left),
			    left, &b))
			return damaged(li->t.m, off, "damaged batch", err);
		r = add_batch(li, off, &b, n, &cap, err);
		chain = b.checksum;
	}
	if (r == 0 && chain != at->chain)
		r = damaged(li->t.m, off,
			    "another checksum than its tree tells", err);
	return r;
}

static int64_t order_whole(struct log_iter *li, struct store_error *err)
{
	struct memtable *m = li->t.m;
	uint64_t limit = li->t.at.log_bytes;
	struct order_item *grown;
	int64_t kept;
	size_t n = 0;
	int r;

	/* In no order, and all of it. */
	view_map(&m->log, true);
	li->whole = true;
	li->start = WAL_HEADER;
	r = view_read(&m->log, &li->window, WAL_HEADER,
		      (size_t)(limit - WAL_HEADER), limit, &li->batch, err);
	if (r == 0)
		r = collect(li, &n, err);
	if (r < 0)
		return r;
	grown = realloc(li->items, (2 * n + 1) * sizeof(*grown));
	if (!grown)
		return store_nomem(err);
	li->items = grown;
	kept = order_newest(li->batch.data + WAL_BATCH_HEADER, li->items,
			    li->items + n, (uint32_t)n);
	return kept < 0 ? store_nomem(err) : kept;
}

static int64_t order_tail(struct log_iter *li, struct store_error *err)
{
	uint64_t n = li->t.at.tail;

	li->items = malloc((2 * (size_t)n + 1) * sizeof(*li->items));
	if (!li->items)
		return store_nomem(err);
	return tail_order(&li->t, &li->window, li->items, li->items + n,
			  &li->batch, &li->start, err);
}

static int open_iter(struct memtable *m, const struct root *at,
		     int64_t (*order)(struct log_iter *li,
				      struct store_error *err),
		     struct iter **out, struct store_error *err)
{
	struct log_iter *li = calloc(1, sizeof(*li));
	int64_t n;

	if (!li)
		return store_nomem(err);
	li->it.ops = &log_ops;
	memtable_ref(m);
	tree_reader_init(&li->t, m, at);
	li->window = WINDOW_INIT(VIEW_PAGE);
	n = order(li, err);
	if (n < 0) {
		li_close(&li->it);
		return (int)n;
	}
	li->n = li->at = (size_t)n;
	*out = &li->it;
	return 0;
}

int logorder_iter(struct memtable *m, const struct root *at, struct iter **out,
		  struct store_error *err)
{
	/* What is sorted lies within 4 GiB.  An empty log has no order. */
	if (root_empty(at) || at->log_bytes > UINT32_MAX)
		return memtable_iter(m, at, out, err);
	return open_iter(m, at, order_whole, out, err);
}

int logorder_tail(struct memtable *m, const struct root *at, struct iter **out,
		  struct store_error *err)
{
	return open_iter(m, at, order_tail, out, err);
}
