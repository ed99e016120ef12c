#include "lib/buildindex.h"

void places_release(struct places *p)
{
	buf_free(&p->bytes);
	p->n = 0;
}

int places_add(struct places *p, struct slice separator, struct sst_place at,
	       struct store_error *err)
{
	if (buf_append_varint(&p->bytes, separator.len) < 0 ||
	    buf_append_slice(&p->bytes, separator) < 0 ||
	    buf_append_varint(&p->bytes, at.off) < 0 ||
	    buf_append_varint(&p->bytes, at.len) < 0)
		return store_nomem(err);
	p->n++;
	return 0;
}

/* The next entry; `value` is its place as an index entry holds it. */
static void places_next(struct cursor *c, struct slice *key,
			struct slice *value)
{
	const uint8_t *start;
	uint64_t v = 0;

	get_varint(c, &v);
	get_bytes(c, (size_t)v, key);
	start = c->p;
	get_varint(c, &v);
	get_varint(c, &v);
	*value = slice_make(start, (size_t)(c->p - start));
}

/*
 * Write the blocks of one level; `up` gets an entry for each.  A block has
 * two entries at least, so that every level is smaller than the one below.
 */
static int put_level(struct tableout *o, const struct places *level,
		     struct places *up, struct sst_place *last,
		     struct store_error *err)
{
	struct block_writer w = BLOCK_WRITER_INIT(SST_INDEX_RESTART);
	struct block_entry e = { .kind = BLOCK_INDEX };
	struct cursor c = cursor_make(buf_slice(&level->bytes));
	struct slice key;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < level->n; i++) {
		places_next(&c, &key, &e.value);
		if (block_writer_add(&w, key, &e) < 0) {
			r = store_nomem(err);
			break;
		}
		if (i + 1 < level->n &&
		    (w.count < 2 || block_writer_size(&w) < SST_INDEX_BYTES))
			continue;
		r = tableout_writer(o, &w, SST_INDEX, last, err);
		if (r == 0)
			r = places_add(up, key, *last, err);
	}
	block_writer_release(&w);
	return r;
}

int buildindex_write(struct tableout *o, const struct places *data,
		     struct sst_footer *f, struct store_error *err)
{
	struct places level = { .n = 0 }, up = { .n = 0 };
	int r;

	f->index_off = tableout_end(o);
	r = put_level(o, data, &level, &f->root, err);
	for (f->depth = 1; r == 0 && level.n > 1; f->depth++) {
		r = put_level(o, &level, &up, &f->root, err);
		places_release(&level);
		level = up;
		up = (struct places){ .n = 0 };
	}
	places_release(&level);
	return r;
}
