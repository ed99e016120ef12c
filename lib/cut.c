/*
 * Cutting a snapshot in parts: store_cut() of store.h.
 *
 * The run that holds the most is the measure.  Where tables are small the cut
 * is between two of them, which opens none; inside of a large one it is where
 * its index says that a block ends.
 */
#include "formats/block.h"
#include "lib/snapshot.h"
#include "lib/tablefile.h"
#include "lib/tables.h"

/* A walk through the index of a table, from `from` on. */
struct walk {
	struct table *t;
	struct window w;
	struct slice from;
	uint64_t bytes; /* of data blocks to pass by */
	bool begun;
	uint64_t begin; /* where the first of them lies */
	uint64_t past;	/* so many bytes were passed by */
	struct buf *to;
};

static int walk_index(struct walk *k, struct sst_place place, uint32_t level,
		      struct store_error *err);

/* At an entry of an index block of `level`: 1 when this is the place to cut. */
static int visit(struct walk *k, const struct block_reader *r,
		 struct sst_place in, uint32_t level, struct store_error *err)
{
	struct slice key = buf_slice(&r->key);
	struct sst_place place;

	if (!block_place(&r->e, &place.off, &place.len))
		return table_corrupt(k->t, in.off, "a malformed entry", err);
	if (level + 1 < k->t->footer.depth)
		return walk_index(k, place, level + 1, err);
	if (!k->begun)
		k->begin = place.off;
	k->begun = true;
	k->past = place.off - k->begin;
	if (place.off < k->begin || k->past < k->bytes ||
	    slice_cmp(key, k->from) <= 0)
		return 0;
	return buf_assign(k->to, key) < 0 ? store_nomem(err) : 1;
}

/* The block at `place`, of a level of the index: 0 is the root. */
static int walk_index(struct walk *k, struct sst_place place, uint32_t level,
		      struct store_error *err)
{
	struct block_reader r = BLOCK_READER_INIT;
	struct block *b = NULL;
	struct slice bytes;
	int moved, hit;

	if (level == 0) {
		hit = table_root(k->t, &k->w, &bytes, err);
	} else {
		hit = table_block(k->t, &k->w, place, SST_INDEX, true, &b, err);
		if (hit == 0)
			bytes = slice_make(b->data, b->len);
	}
	if (hit < 0)
		return hit;
	moved = !block_reader_open(&r, bytes) ? -1
		: k->begun		      ? block_first(&r)
					      : block_seek(&r, k->from);
	while (hit == 0 && moved > 0) {
		hit = visit(k, &r, place, level, err);
		if (hit == 0)
			moved = block_next(&r);
	}
	if (moved < 0)
		hit = moved == -2 ? store_nomem(err)
				  : table_corrupt(k->t, place.off, r.why, err);
	block_reader_release(&r);
	block_release(b);
	return hit;
}

/* 1 and *to; 0 when the rest of the table has fewer bytes, *past of them. */
static int cut_table(struct store *db, uint64_t number, struct slice from,
		     uint64_t bytes, uint64_t *past, struct buf *to,
		     struct store_error *err)
{
	struct walk k = { .w = WINDOW_INIT(VIEW_PAGE),
			  .from = from,
			  .bytes = bytes,
			  .to = to };
	int r = tables_get(db, number, &k.t, err);

	if (r < 0)
		return r;
	r = walk_index(&k, k.t->footer.root, 0, err);
	*past = k.past;
	window_release(&k.w);
	table_close(k.t);
	return r;
}

/* From table `index` of the run on, in which `from` lies. */
static int cut_run(struct store_snapshot *s, const struct version_run *run,
		   uint64_t index, struct version_table *vt, struct slice from,
		   uint64_t bytes, struct buf *to, struct store_error *err)
{
	const struct version *v = &s->g->v;
	struct window w = WINDOW_INIT(VIEW_PAGE);
	uint64_t sum = 0;
	int r = 0;

	while (r == 0) {
		uint64_t past = vt->bytes;

		if (vt->bytes > bytes)
			r = cut_table(s->db, vt->number, from, bytes - sum,
				      &past, to, err);
		sum += past;
		if (r != 0 || ++index == run->tables)
			break;
		r = sum < bytes ? version_table_at(v, &s->g->source, &w, run,
						   index, vt, err)
				: version_smallest(v, &s->g->source, &w, run,
						   index, to, err);
		if (r == 0 && sum >= bytes) {
			r = 1;
			break;
		}
	}
	window_release(&w);
	return r;
}

/* The largest run that has anything at or above `from`: 1, or 0. */
static int largest_run(struct store_snapshot *s, struct slice from,
		       const struct version_run **run, uint64_t *index,
		       struct version_table *vt, struct store_error *err)
{
	const struct version *v = &s->g->v;
	struct window w = WINDOW_INIT(VIEW_PAGE);
	int r = 0;

	*run = NULL;
	for (size_t i = 0; r >= 0 && i < v->n_runs; i++) {
		struct version_table found;
		uint64_t at;

		if (*run && v->runs[i].bytes <= (*run)->bytes)
			continue;
		r = version_seek(v, &s->g->source, &w, &v->runs[i], from, &at,
				 &found, err);
		if (r > 0) {
			*run = &v->runs[i];
			*index = at;
			*vt = found;
		}
	}
	window_release(&w);
	return r < 0 ? r : *run != NULL;
}

int store_cut(struct store_snapshot *s, struct slice from, uint64_t bytes,
	      struct buf *to, struct store_error *err)
{
	const struct version_run *run;
	struct version_table vt;
	uint64_t index = 0;
	int r = largest_run(s, from, &run, &index, &vt, err);

	if (r > 0)
		r = cut_run(s, run, index, &vt, from, bytes, to, err);
	/* The smallest key of a table may be what we began with. */
	if (r > 0 && slice_cmp(buf_slice(to), from) <= 0)
		r = 0;
	if (r == STORE_EGONE) {
		/* Whoever walks there says so. */
		if (err)
			*err = STORE_ERROR_INIT;
		r = 0;
	}
	return r;
}
