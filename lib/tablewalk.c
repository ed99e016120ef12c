#include "lib/tablewalk.h"

#include "formats/bloom.h"

static const char disagree[] = "index and data disagree";

struct walk {
	struct table *t;
	const struct table_visitor *v;
	uint64_t pos; /* everything before it has been accounted for */
	struct window index_w, data_w, chunk_w;
	struct buf last;       /* the last key seen */
	struct buf separator;  /* of the data block before this one */
	struct buf offsets;    /* a chunk map */
	struct block_reader r; /* of the data block */
	uint64_t data_blocks;
};

static int report(struct walk *w, const char *kind, uint64_t off,
		  uint64_t stored, uint64_t decoded, uint8_t codec)
{
	if (!w->v->block)
		return 0;
	return w->v->block(w->v->ctx, kind, off, stored, decoded,
			   codec_name(codec));
}

/* The next part of the file lies at `off` and is `len` long. */
static int account(struct walk *w, uint64_t off, uint64_t len,
		   struct store_error *err)
{
	if (off != w->pos)
		return table_corrupt(w->t, w->pos,
				     "bytes that belong to nothing", err);
	w->pos = off + len;
	return 0;
}

/* Read, check and decode a block; `b` tells how it was stored. */
static int fetch(struct walk *w, struct window *win, struct sst_place place,
		 enum sst_kind kind, struct sst_block *b, struct block **out,
		 struct store_error *err)
{
	int r = table_stored(w->t, win, place, kind, b, err);

	if (r < 0)
		return r;
	*out = block_new(b->decoded);
	if (!*out)
		return store_nomem(err);
	r = table_decode(w->t, place, b, (*out)->data, err);
	if (r < 0) {
		block_release(*out);
		*out = NULL;
	}
	return r;
}

/* Account for a block that was fetched, and report it. */
static int settle(struct walk *w, struct sst_place place, enum sst_kind kind,
		  const struct sst_block *b, struct store_error *err)
{
	int r = account(w, place.off, place.len, err);

	if (r < 0)
		return r;
	return report(w, sst_kind_name(kind), place.off, place.len, b->decoded,
		      b->codec);
}

/* Both at once, for a block whose contents are not looked at here. */
static int pass(struct walk *w, struct window *win, struct sst_place place,
		enum sst_kind kind, uint32_t *decoded, struct store_error *err)
{
	struct block *b = NULL;
	struct sst_block stored;
	int r = fetch(w, win, place, kind, &stored, &b, err);

	if (r == 0) {
		*decoded = stored.decoded;
		r = settle(w, place, kind, &stored, err);
	}
	block_release(b);
	return r;
}

static int walk_chunks(struct walk *w, uint64_t block_off,
		       const struct block_entry *e, struct store_error *err)
{
	struct block_chunks c;
	struct sst_place map;
	uint32_t decoded;
	int r;

	if (!block_chunks(e, &c))
		return table_corrupt(w->t, block_off, "a malformed entry", err);
	map = (struct sst_place){ c.map_off, c.map_len };
	r = table_chunkmap(w->t, &w->index_w, &c, &w->offsets, err);
	for (uint64_t i = 0; r == 0 && i < sst_chunk_count(c.value_len); i++) {
		struct sst_place chunk = sst_chunk_place(&w->offsets, i);

		r = pass(w, &w->chunk_w, chunk, SST_CHUNKS, &decoded, err);
		if (r == 0 && decoded != sst_chunk_len(c.value_len, i))
			r = table_corrupt(w->t, chunk.off,
					  "a chunk of another length", err);
	}
	if (r == 0)
		r = pass(w, &w->chunk_w, map, SST_CHUNKMAP, &decoded, err);
	return r;
}

static int reader_error(struct walk *w, uint64_t off,
			const struct block_reader *r, int s,
			struct store_error *err)
{
	return s == -2 ? store_nomem(err)
		       : table_corrupt(w->t, off, r->why, err);
}

/* A lookup in `block` finds the very entry that the reader stands on. */
static int check_find(struct walk *w, uint64_t off, const struct block *block,
		      const struct block_reader *r, struct store_error *err)
{
	struct block_entry e;
	const char *why;
	bool equal;

	if (block_find(slice_make(block->data, block->len), buf_slice(&r->key),
		       &e, &equal, &why) == 1 &&
	    equal && e.value.data == r->e.value.data)
		return 0;
	return table_corrupt(w->t, off, "bad restart points", err);
}

/* The current entry of a data block, which lies at `off`. */
static int walk_entry(struct walk *w, uint64_t off, const struct block *block,
		      struct store_error *err)
{
	struct slice key = buf_slice(&w->r.key);
	int r;

	if ((r = check_find(w, off, block, &w->r, err)) < 0)
		return r;
	if (w->r.e.kind == BLOCK_INDEX)
		return table_corrupt(w->t, off, "a malformed entry", err);
	if (w->last.len && slice_cmp(buf_slice(&w->last), key) >= 0)
		return table_corrupt(w->t, off, "keys out of order", err);
	if (w->r.e.chunked && (r = walk_chunks(w, off, &w->r.e, err)))
		return r;
	if (w->v->entry && (r = w->v->entry(w->v->ctx, off, key, &w->r.e, err)))
		return r;
	return buf_assign(&w->last, key) < 0 ? store_nomem(err) : 0;
}

/*
 * A data block that the index says holds the keys above the separator before
 * it, up to `separator`.  Its chunks lie before it in the file, so they are
 * accounted for first.
 */
static int walk_data(struct walk *w, struct sst_place place,
		     struct slice separator, struct store_error *err)
{
	struct block *b = NULL;
	struct sst_block stored;
	int r, s;

	r = fetch(w, &w->data_w, place, SST_DATA, &stored, &b, err);
	if (r < 0)
		return r;
	s = block_reader_open(&w->r, slice_make(b->data, b->len))
		    ? block_first(&w->r)
		    : -1;
	if (s > 0 && w->separator.len &&
	    slice_cmp(buf_slice(&w->r.key), buf_slice(&w->separator)) <= 0)
		r = table_corrupt(w->t, place.off, disagree, err);
	while (r == 0 && s > 0) {
		r = walk_entry(w, place.off, b, err);
		if (r == 0)
			s = block_next(&w->r);
	}
	if (r == 0 && s < 0)
		r = reader_error(w, place.off, &w->r, s, err);
	if (r == 0 && slice_cmp(buf_slice(&w->last), separator) > 0)
		r = table_corrupt(w->t, place.off, disagree, err);
	if (r == 0)
		r = settle(w, place, SST_DATA, &stored, err);
	if (r == 0 && buf_assign(&w->separator, separator) < 0)
		r = store_nomem(err);
	w->data_blocks++;
	block_release(b);
	return r;
}

/* Where a walk of one level of the index is. */
struct spot {
	uint32_t level;	 /* of this block; the root is 0 */
	uint32_t target; /* the level whose blocks are to be visited */
	struct sst_place place;
	struct slice upper; /* the separator that named it; the root: empty */
};

static int walk_index(struct walk *w, struct spot at, struct store_error *err);

/* What the current entry of an index block names. */
static int walk_child(struct walk *w, const struct spot *at,
		      const struct block_reader *rd, struct store_error *err)
{
	struct spot child = { .level = at->level + 1,
			      .target = at->target,
			      .upper = buf_slice(&rd->key) };

	if (!block_place(&rd->e, &child.place.off, &child.place.len))
		return table_corrupt(w->t, at->place.off, "a malformed entry",
				     err);
	if (at->level == at->target)
		return 0;
	return child.level == w->t->footer.depth
		       ? walk_data(w, child.place, child.upper, err)
		       : walk_index(w, child, err);
}

/*
 * From an index block down to all blocks of the target level.  Recursion ends
 * at the depth that the footer tells, SST_DEPTH_MAX at most.
 */
static int walk_index(struct walk *w, struct spot at, struct store_error *err)
{
	struct block_reader rd = BLOCK_READER_INIT;
	struct sst_block stored;
	struct block *b = NULL;
	int r, s = 0;

	r = fetch(w, &w->index_w, at.place, SST_INDEX, &stored, &b, err);
	if (r == 0 && at.level == at.target)
		r = settle(w, at.place, SST_INDEX, &stored, err);
	if (r == 0)
		s = block_reader_open(&rd, slice_make(b->data, b->len))
			    ? block_first(&rd)
			    : -1;
	while (r == 0 && s > 0) {
		r = check_find(w, at.place.off, b, &rd, err);
		if (r == 0)
			r = walk_child(w, &at, &rd, err);
		if (r == 0)
			s = block_next(&rd);
	}
	if (r == 0 && s < 0)
		r = reader_error(w, at.place.off, &rd, s, err);
	if (r == 0 && at.upper.len && !slice_eq(buf_slice(&rd.key), at.upper))
		r = table_corrupt(w->t, at.place.off, "index levels disagree",
				  err);
	block_reader_release(&rd);
	block_release(b);
	return r;
}

static int walk_target(struct walk *w, uint32_t target, struct store_error *err)
{
	struct spot root = { .target = target, .place = w->t->footer.root };

	return walk_index(w, root, err);
}

/* The zeros that bring the filter to a page's start, and its pages. */
static int walk_filter(struct walk *w, struct store_error *err)
{
	const struct sst_footer *f = &w->t->footer;
	struct slice pad;
	struct block *b;
	int r;

	r = view_read(&w->t->view, &w->index_w, w->pos,
		      (size_t)(f->filter_off - w->pos), w->t->size, &pad, err);
	for (size_t i = 0; r == 0 && i < pad.len; i++)
		if (pad.data[i])
			r = table_corrupt(w->t, w->pos + i,
					  "padding that is not zero", err);
	w->pos = f->filter_off;
	for (uint64_t p = 0; r == 0 && p < bloom_pages(f->filter_blocks); p++) {
		uint64_t len = bloom_page_len(f->filter_blocks, p);

		r = table_filter_page(w->t, &w->index_w, p, false, &b, err);
		if (r < 0)
			break;
		block_release(b);
		r = report(w, "filter", w->pos, len, len, CODEC_NONE);
		w->pos += len;
	}
	return r;
}

static int walk_footer(struct walk *w, struct store_error *err)
{
	struct sst_footer again;
	struct slice bytes;
	const char *why;
	int r;

	r = view_read(&w->t->view, &w->index_w, w->pos, SST_FOOTER, w->t->size,
		      &bytes, err);
	if (r < 0)
		return r;
	why = sst_footer_decode(bytes.data, w->t->size, &again);
	if (!why && again.data_blocks != w->data_blocks)
		why = "another number of data blocks than the footer tells";
	if (why)
		return table_corrupt(w->t, w->pos, why, err);
	return report(w, "footer", w->pos, SST_FOOTER, SST_FOOTER, CODEC_NONE);
}

int table_walk(struct table *t, const struct table_visitor *v,
	       struct store_error *err)
{
	const struct sst_footer *f = &t->footer;
	struct walk w = { .t = t,
			  .v = v,
			  .index_w = WINDOW_INIT(VIEW_PAGE),
			  .data_w = WINDOW_INIT(VIEW_STREAM),
			  .chunk_w = WINDOW_INIT(VIEW_STREAM) };
	uint32_t decoded;
	int r;

	r = walk_target(&w, f->depth, err);
	if (r == 0 && w.pos != f->data_bytes)
		r = table_corrupt(t, w.pos, "bytes that belong to nothing",
				  err);
	if (r == 0)
		r = walk_filter(&w, err);
	for (uint32_t level = f->depth; r == 0 && level-- > 0;)
		r = walk_target(&w, level, err);
	if (r == 0)
		r = pass(&w, &w.index_w, f->properties, SST_PROPERTIES,
			 &decoded, err);
	if (r == 0)
		r = walk_footer(&w, err);
	window_release(&w.index_w);
	window_release(&w.data_w);
	window_release(&w.chunk_w);
	buf_free(&w.last);
	buf_free(&w.separator);
	buf_free(&w.offsets);
	block_reader_release(&w.r);
	return r;
}

int table_blocks(struct table *t, table_block_fn *fn, void *ctx,
		 struct store_error *err)
{
	struct table_visitor v = { .block = fn, .ctx = ctx };

	return table_walk(t, &v, err);
}
