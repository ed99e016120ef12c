#include "lib/tablefile.h"

/* One block on the way from the root (rung 0) down to the data block. */
struct rung {
	struct block *block; /* NULL for the root, which the table keeps */
	struct sst_place place;
	struct block_reader r;
};

struct table_iter {
	struct iter it;
	struct table *t;
	bool stream;
	struct window index_w, data_w, chunk_w;
	struct block_chunks chunks; /* of the current entry, if chunked */
	struct buf offsets;	    /* its chunk map; empty until asked for */
	struct buf chunk;
	struct buf border; /* last key of the data block just left */
	uint32_t depth;
	struct rung rungs[]; /* [depth] is the data block */
};

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

/* Load the block that the current entry of the rung above names. */
static int load_rung(struct table_iter *ti, uint32_t n, struct store_error *err)
{
	struct rung *l = &ti->rungs[n];
	bool data = n == ti->depth;
	struct slice bytes;
	int r;

	l->r.valid = false;
	block_release(l->block);
	l->block = NULL;
	if (n == 0) {
		l->place = ti->t->footer.root;
		r = table_root(ti->t, &ti->index_w, &bytes, err);
	} else if (!block_place(&l[-1].r.e, &l->place.off, &l->place.len)) {
		return table_corrupt(ti->t, l[-1].place.off,
				     "a malformed entry", err);
	} else {
		r = table_block(ti->t, data ? &ti->data_w : &ti->index_w,
				l->place, data ? SST_DATA : SST_INDEX,
				!ti->stream, &l->block, err);
		if (r == 0)
			bytes = slice_make(l->block->data, l->block->len);
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

/* Show where the leaf stands, or be nowhere. */
static int show(struct table_iter *ti, int r, struct store_error *err)
{
	struct block_reader *l = &leaf(ti)->r;
	struct entry *e = &ti->it.e;

	buf_clear(&ti->offsets);
	if (r > 0 && l->e.kind == BLOCK_INDEX)
		r = table_corrupt(ti->t, leaf(ti)->place.off,
				  "a malformed entry", err);
	if (r > 0 && l->e.chunked && !block_chunks(&l->e, &ti->chunks))
		r = table_corrupt(ti->t, leaf(ti)->place.off,
				  "a malformed entry", err);
	if (r <= 0) {
		l->valid = false;
		return r;
	}
	e->kind = (enum entry_kind)l->e.kind;
	e->key = buf_slice(&l->key);
	e->expires_ms = l->e.expires_ms;
	e->chunked = l->e.chunked;
	e->value = e->chunked ? SLICE_NULL : l->e.value;
	e->value_len = e->chunked ? ti->chunks.value_len : e->value.len;
	return r;
}

static int iter_position(struct iter *it, enum mover how, struct slice key,
			 struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	bool forward = how == FIRST || how == SEEK;
	int r, d;

	leaf(ti)->r.valid = false;
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
	return show(ti, r, err);
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

static int iter_step(struct iter *it, bool forward, struct store_error *err)
{
	struct table_iter *ti = (struct table_iter *)it;
	struct rung *l = leaf(ti);
	int r;

	if (!l->r.valid)
		return 0;
	r = forward ? block_next(&l->r) : block_prev(&l->r);
	if (r < 0)
		r = rung_error(ti, l, r, err);
	else if (r == 0)
		r = cross_checked(ti, forward, err);
	return show(ti, r, err);
}

static int iter_next(struct iter *it, struct store_error *err)
{
	return iter_step(it, true, err);
}

static int iter_prev(struct iter *it, struct store_error *err)
{
	return iter_step(it, false, err);
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

static void close_iter(struct iter *it)
{
	struct table_iter *ti = (struct table_iter *)it;

	for (uint32_t n = 0; n <= ti->depth; n++) {
		block_release(ti->rungs[n].block);
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
	ti->data_w = WINDOW_INIT(ahead);
	ti->chunk_w = WINDOW_INIT(ahead);
	*out = &ti->it;
	return 0;
}
