#include "lib/tablefile.h"

/* One block on the way from the root (rung 0) down to the data block. */
struct rung {
	struct block *block; /* NULL for the root, which the table keeps */
	struct buf bytes;    /* a stream's instead, one after the other */
	struct sst_place place;
	struct block_reader r;
};

struct table_iter {
	struct iter it;
	struct table *t;
	bool stream;
	unsigned near;	   /* data blocks that are still near to a seek */
	unsigned patience; /* to ask the cache for what is behind those */
	uint64_t behind;   /* where the next one may be in the cache */
	unsigned fetch;	   /* so many parts of it are still to be asked for */
	bool backward; /* to the block before: more before it will be wanted */
	struct window index_w, data_w, chunk_w;
	size_t ahead; /* what data_w reads when it goes on and on */
	struct block_chunks chunks; /* of the current entry, if chunked */
	struct buf offsets;	    /* its chunk map; empty until asked for */
	struct buf chunk;
	struct buf border;	 /* last key of the data block just left */
	struct sst_block stored; /* the data block, if it streamed by */
	uint32_t depth;
	struct rung rungs[]; /* [depth] is the data block */
};

/* So much is read for a seek, and so many blocks are looked for in the cache.
 */
#define SEEK_AHEAD (8u << 10)
#define SEEK_BLOCKS 4u
/* So many more misses than hits, and the cache is not asked any more. */
#define PATIENCE 4u
/* KiB of the block behind that are asked for, one each step. */
#define BEHIND_PARTS 5u

enum mover { FIRST, LAST, SEEK, SEEK_BEFORE };

static const char disagree[] = "index and data disagree";

static struct rung *leaf(struct table_iter *ti)
{
	return &ti->rungs[ti->depth];
}

static int rung_error(struct table_iter *ti, const struct rung *l, int r,
		      struct store_error *err)
{
	return r == -2 ? store_nomem(err)
		       : table_corrupt(ti->t, l->place.off, l->r.why, err);
}

/* A window is filled from what is asked for on: let that begin earlier. */
static int read_before(struct table_iter *ti, struct window *w,
		       struct sst_place place, struct store_error *err)
{
	uint64_t size = ti->t->size, end, from = 0;
	struct slice unused;

	if (place.off > size || place.len > size - place.off ||
	    place.len > w->ahead)
		return 0; /* not sound, perhaps: who reads it says so */
	end = place.off + place.len;
	if (w->owner == &ti->t->view && w->off <= place.off &&
	    end <= w->off + w->len)
		return 0;
	if (end > w->ahead)
		from = end - w->ahead;
	return view_read(&ti->t->view, w, from, (size_t)(end - from), size,
			 &unused, err);
}

/*
 * A stream passes by blocks that the cache is not to hold: it decodes each
 * over the one before, where the core's own caches have it.
 */
static int stream_block(struct table_iter *ti, struct rung *l, struct window *w,
			enum sst_kind kind, struct slice *bytes,
			struct store_error *err)
{
	struct sst_block b;
	int r = ti->backward ? read_before(ti, w, l->place, err) : 0;

	if (r == 0)
		r = table_stored(ti->t, w, l->place, kind, &b, err);
	if (r < 0)
		return r;
	/* Who seeks may want little; who goes on gets more each time. */
	if (w == &ti->data_w && w->ahead < ti->ahead)
		w->ahead *= 2;
	buf_clear(&l->bytes);
	if (buf_reserve(&l->bytes, b.decoded) < 0)
		return store_nomem(err);
	*bytes = slice_make(l->bytes.data, b.decoded);
	r = table_decode(ti->t, l->place, &b, l->bytes.data, err);
	if (r == 0 && kind == SST_DATA)
		ti->stored = b;
	return r;
}

static int kept_block(struct table_iter *ti, struct rung *l, struct window *w,
		      enum sst_kind kind, struct slice *bytes,
		      struct store_error *err)
{
	int r = table_block(ti->t, w, l->place, kind, true, &l->block, err);

	if (r == 0)
		*bytes = slice_make(l->block->data, l->block->len);
	return r;
}

/*
 * What is in the cache behind a seek need not be decoded; where little is there
 * it is soon asked no more.  Not backwards, against what the processor fetches
 * ahead, nor by who walks through all of it: decoding is as quick.
 */
static bool found_block(struct table_iter *ti, struct rung *l,
			struct slice *bytes)
{
	if (!ti->patience)
		return false;
	l->block = table_cached(ti->t, l->place.off, true);
	if (!l->block) {
		ti->patience--;
		return false;
	}
	if (ti->patience < PATIENCE)
		ti->patience++;
	*bytes = slice_make(l->block->data, l->block->len);
	return true;
}

/* Data blocks lie one behind the other: the next one may soon be wanted. */
static void expect_behind(struct table_iter *ti, const struct rung *l)
{
	if (!ti->t->cache)
		return;
	ti->behind = l->place.off + l->place.len;
	ti->fetch = BEHIND_PARTS;
	cache_prefetch(ti->t->cache, ti->t->footer.number, ti->behind);
}

/* Load the block that the current entry of the rung above names. */
static int load_rung(struct table_iter *ti, uint32_t n, struct store_error *err)
{
	struct rung *l = &ti->rungs[n];
	bool data = n == ti->depth;
	struct window *w = data ? &ti->data_w : &ti->index_w;
	struct slice bytes = SLICE_NULL;
	int r;

	l->r.valid = false;
	if (data)
		ti->stored.payload = SLICE_NULL;
	block_release(l->block);
	l->block = NULL;
	if (n == 0) {
		l->place = ti->t->footer.root;
		r = table_root(ti->t, w, &bytes, err);
	} else if (!block_place(&l[-1].r.e, &l->place.off, &l->place.len)) {
		return table_corrupt(ti->t, l[-1].place.off,
				     "a malformed entry", err);
	} else {
		bool keep =
			!ti->stream || (ti->t->cache && (!data || ti->near));

		r = 0;
		if (keep || !found_block(ti, l, &bytes))
			r = (keep ? kept_block : stream_block)(
				ti, l, w, data ? SST_DATA : SST_INDEX, &bytes,
				err);
		if (data && (keep || ti->patience))
			expect_behind(ti, l);
		if (data && ti->near)
			ti->near--;
	}
	if (r < 0)
		return r;
	return block_reader_open(&l->r, bytes) ? 0 : rung_error(ti, l, -1, err);
}

/*
 * Where to go in an index block: to the first separator >= key, for there the
 * key would be.  For what lies before a key above all, that is the last.
 */
static int move_index(struct block_reader *r, enum mover how, struct slice key)
{
	int s;

	if (how == FIRST)
		return block_first(r);
	if (how == LAST)
		return block_last(r);
	s = block_seek(r, key);
	return s == 0 && how == SEEK_BEFORE ? block_last(r) : s;
}

static int move_data(struct block_reader *r, enum mover how, struct slice key)
{
	switch (how) {
	case FIRST:
		return block_first(r);
	case LAST:
		return block_last(r);
	case SEEK:
		return block_seek(r, key);
	default:
		return block_seek_before(r, key);
	}
}

/*
 * From rung `n`, whose block the rung above names, down to an entry; 0 when
 * a block has none in the direction asked for.
 */
static int descend(struct table_iter *ti, uint32_t n, enum mover how,
		   struct slice key, struct store_error *err)
{
	int r = 1;

	for (; r > 0 && n <= ti->depth; n++) {
		struct rung *l = &ti->rungs[n];

		r = load_rung(ti, n, err);
		if (r < 0)
			return r;
		r = n == ti->depth ? move_data(&l->r, how, key)
				   : move_index(&l->r, how, key);
		if (r < 0)
			return rung_error(ti, l, r, err);
		/* an index block ends with the separator that named it */
		if (r == 0 && n > 0 && n < ti->depth)
			return table_corrupt(ti->t, l->place.off, disagree,
					     err);
	}
	return r;
}

/* To the neighbouring data block: its first or its last entry. */
static int cross(struct table_iter *ti, bool forward, struct store_error *err)
{
	ti->backward = !forward;
	if (!forward)
		ti->patience = 0;
	for (uint32_t n = ti->depth; n-- > 0;) {
		struct rung *l = &ti->rungs[n];
		int r = forward ? block_next(&l->r) : block_prev(&l->r);

		if (r < 0)
			return rung_error(ti, l, r, err);
		if (r > 0)
			return descend(ti, n + 1, forward ? FIRST : LAST,
				       SLICE_NULL, err);
	}
	return 0;
}

/* The same, but refuse to go backwards, whatever the file says. */
static int cross_checked(struct table_iter *ti, bool forward,
			 struct store_error *err)
{
	struct buf *key = &leaf(ti)->r.key;
	struct buf swap = ti->border;
	int r, d;

	ti->border = *key;
	*key = swap;
	r = cross(ti, forward, err);
	if (r <= 0)
		return r;
	d = slice_cmp(buf_slice(key), buf_slice(&ti->border));
	if (forward ? d <= 0 : d >= 0)
		return table_corrupt(ti->t, leaf(ti)->place.off,
				     "keys out of order", err);
	return r;
}

/* Show the entry where the leaf stands. */
static int show(struct table_iter *ti, struct store_error *err)
{
	struct rung *l = leaf(ti);
	const struct block_entry *b = &l->r.e;
	struct entry *e = &ti->it.e;

	buf_clear(&ti->offsets);
	if (b->kind == BLOCK_INDEX ||
	    (b->chunked && !block_chunks(b, &ti->chunks))) {
		l->r.valid = false;
		return table_corrupt(ti->t, l->place.off, "a malformed entry",
				     err);
	}
	e->kind = (enum entry_kind)b->kind;
	e->key = buf_slice(&l->r.key);
	e->expires_ms = b->expires_ms;
	e->chunked = b->chunked;
	e->leads = l->r.off == 0 && ti->stored.payload.len;
	e->value = b->value;
	e->value_len = b->value.len;
	if (b->chunked) {
		e->value = SLICE_NULL;
		e->value_len = ti->chunks.value_len;
	}
	return 1;
}

/* The same after a move that gave `r`, or be nowhere. */
static int settle(struct table_iter *ti, int r, struct store_error *err)
{
	if (r > 0)
		return show(ti, err);
	leaf(ti)->r.valid = false;
	return r;
}

static int iter_position(struct iter *it, enum mover how, struct slice key,
			 struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	bool forward = how == FIRST || how == SEEK;
	int r, d;

	leaf(ti)->r.valid = false;
	ti->backward = false;
	ti->near = 0;
	ti->patience = how == SEEK ? PATIENCE : 0;
	if (ti->stream && (how == SEEK || how == SEEK_BEFORE)) {
		ti->near = SEEK_BLOCKS;
		ti->data_w.ahead = SEEK_AHEAD;
	}
	r = descend(ti, 0, how, key, err);
	/* the block where the key belongs has nothing on that side of it */
	if (r == 0 && ti->rungs[0].r.valid)
		r = cross(ti, forward, err);
	if (r > 0 && (how == SEEK || how == SEEK_BEFORE)) {
		d = slice_cmp(buf_slice(&leaf(ti)->r.key), key);
		if (forward ? d < 0 : d >= 0)
			r = table_corrupt(ti->t, leaf(ti)->place.off, disagree,
					  err);
	}
	return settle(ti, r, err);
}

static int iter_first(struct iter *it, struct store_error *err)
{
	return iter_position(it, FIRST, SLICE_NULL, err);
}

static int iter_last(struct iter *it, struct store_error *err)
{
	return iter_position(it, LAST, SLICE_NULL, err);
}

static int iter_seek(struct iter *it, struct slice key, struct store_error *err)
{
	return iter_position(it, SEEK, key, err);
}

static int iter_seek_before(struct iter *it, struct slice key,
			    struct store_error *err)
{
	return iter_position(it, SEEK_BEFORE, key, err);
}

/* The leaf has nothing more (0), or is damaged. */
static int leave(struct table_iter *ti, int r, bool forward,
		 struct store_error *err)
{
	if (r < 0)
		r = rung_error(ti, leaf(ti), r, err);
	else
		r = cross_checked(ti, forward, err);
	return settle(ti, r, err);
}

static int iter_next(struct iter *it, struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	struct block_reader *l = &leaf(ti)->r;
	int r;

	if (!l->valid)
		return 0;
	if (ti->fetch)
		cache_prefetch_block(ti->t->cache, ti->t->footer.number,
				     ti->behind, BEHIND_PARTS - ti->fetch--);
	r = block_next(l);
	return r > 0 ? show(ti, err) : leave(ti, r, true, err);
}

static int iter_prev(struct iter *it, struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	struct block_reader *l = &leaf(ti)->r;
	int r;

	if (!l->valid)
		return 0;
	r = block_prev(l);
	return r > 0 ? show(ti, err) : leave(ti, r, false, err);
}

static int iter_chunk(struct iter *it, uint64_t i, struct slice *out,
		      struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	int r;

	if (!leaf(ti)->r.valid || !it->e.chunked)
		return store_fail(err, STORE_EINVAL, "no chunked value here");
	if (ti->offsets.len == 0 &&
	    (r = table_chunkmap(ti->t, &ti->chunk_w, &ti->chunks, &ti->offsets,
				err)) < 0) {
		buf_clear(&ti->offsets);
		return r;
	}
	r = table_chunk_read(ti->t, &ti->chunk_w, &ti->offsets,
			     ti->chunks.value_len, i, &ti->chunk, err);
	*out = buf_slice(&ti->chunk);
	return r;
}

static int iter_block(const struct iter *it, struct iter_block *b)
{
	const struct table_iter *ti = (const struct table_iter *)it;
	const struct rung *l = &ti->rungs[ti->depth];

	if (!l->r.valid || !it->e.leads)
		return 0;
	b->bytes = slice_make(l->bytes.data, ti->stored.decoded);
	b->stored = ti->stored;
	b->last = buf_slice(&l[-1].r.key);
	return 1;
}

/* What comes next must be above all that may have been in the block. */
static int iter_skip(struct iter *it, struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	struct rung *l = leaf(ti);

	if (!l->r.valid)
		return 0;
	if (buf_assign(&l->r.key, buf_slice(&l[-1].r.key)) < 0)
		return settle(ti, store_nomem(err), err);
	return leave(ti, 0, true, err);
}

static void close_iter(struct iter *it)
{
	struct table_iter *ti = (struct table_iter *)it;

	for (uint32_t n = 0; n <= ti->depth; n++) {
		block_release(ti->rungs[n].block);
		buf_free(&ti->rungs[n].bytes);
		block_reader_release(&ti->rungs[n].r);
	}
	window_release(&ti->index_w);
	window_release(&ti->data_w);
	window_release(&ti->chunk_w);
	buf_free(&ti->offsets);
	buf_free(&ti->chunk);
	buf_free(&ti->border);
	table_close(ti->t);
	free(ti);
}

static const struct iter_ops table_iter_ops = {
	.first = iter_first,
	.last = iter_last,
	.seek = iter_seek,
	.seek_before = iter_seek_before,
	.next = iter_next,
	.prev = iter_prev,
	.chunk = iter_chunk,
	.close = close_iter,
	.block = iter_block,
	.skip = iter_skip,
};

int table_iter(struct table *t, bool stream, struct iter **out,
	       struct store_error *err)
{
	uint32_t depth = t->footer.depth;
	size_t ahead = stream ? VIEW_BLOCKS : VIEW_PAGE;
	struct table_iter *ti =
		calloc(1, sizeof(*ti) + (depth + 1) * sizeof(struct rung));

	if (!ti)
		return store_nomem(err);
	ti->it.ops = &table_iter_ops;
	ti->t = t;
	table_ref(t);
	ti->stream = stream;
	ti->depth = depth;
	ti->index_w = WINDOW_INIT(VIEW_PAGE);
	ti->ahead = ahead;
	ti->data_w = WINDOW_INIT(ahead);
	ti->chunk_w = WINDOW_INIT(ahead);
	*out = &ti->it;
	return 0;
}
