#include "lib/tablescan.h"

#include "lib/tablefile.h"

void tablescan_init(struct tablescan *s, struct table *t)
{
	*s = (struct tablescan){ .t = t, .w = WINDOW_INIT(VIEW_PAGE) };
}

void tablescan_release(struct tablescan *s)
{
	window_release(&s->w);
	buf_free(&s->index.bytes);
	buf_free(&s->data.bytes);
}

/* Make `b` the block at `place`, which it may be. */
static int load(struct tablescan *s, struct tablescan_block *b,
		struct sst_place place, enum sst_kind kind,
		struct store_error *err)
{
	struct sst_block stored;
	int r;

	if (b->place.len == place.len && b->place.off == place.off)
		return 0;
	b->place.len = 0;
	r = table_stored(s->t, &s->w, place, kind, &stored, err);
	if (r < 0)
		return r;
	buf_clear(&b->bytes);
	if (buf_reserve(&b->bytes, stored.decoded) < 0)
		return store_nomem(err);
	r = table_decode(s->t, place, &stored, b->bytes.data, err);
	if (r < 0)
		return r;
	b->bytes.len = stored.decoded;
	b->place = place;
	return 0;
}

/* One step down: the place that the index block `in`, at `off`, names. */
static int descend(struct tablescan *s, struct slice in, uint64_t off,
		   struct slice key, struct sst_place *place,
		   struct store_error *err)
{
	struct block_entry e;
	const char *why;
	bool equal;
	int r = block_find(in, key, &e, &equal, &why);

	if (r > 0 && !block_place(&e, &place->off, &place->len)) {
		why = "a malformed entry";
		r = -1;
	}
	return r < 0 ? table_corrupt(s->t, off, why, err) : r;
}

/*
 * From the root down.  Only the lowest level stays: with a level between,
 * which few tables have, that one is loaded in its place first.
 */
static int find_block(struct tablescan *s, struct slice key,
		      struct sst_place *place, struct store_error *err)
{
	struct slice in;
	int r;

	*place = s->t->footer.root;
	r = table_root(s->t, &s->w, &in, err);
	for (uint32_t level = 0; r == 0; level++) {
		uint64_t off = place->off;

		r = descend(s, in, off, key, place, err);
		if (r <= 0 || level + 1 == s->t->footer.depth)
			return r;
		r = load(s, &s->index, *place, SST_INDEX, err);
		in = buf_slice(&s->index.bytes);
	}
	return r;
}

void tablescan_prefetch(const struct tablescan *s, uint64_t hash)
{
	table_filter_prefetch(s->t, hash);
}

int tablescan_get(struct tablescan *s, struct slice key, uint64_t hash,
		  struct table_hit *hit, struct store_error *err)
{
	struct sst_place place;
	struct block_entry e;
	const char *why;
	bool equal;
	int r;

	if ((r = table_ask(s->t, &s->w, hash, err)) <= 0 ||
	    (r = find_block(s, key, &place, err)) <= 0 ||
	    (r = load(s, &s->data, place, SST_DATA, err)) < 0)
		return r;
	r = block_find(buf_slice(&s->data.bytes), key, &e, &equal, &why);
	if (r > 0 && equal && e.kind == BLOCK_INDEX) {
		why = "a malformed entry";
		r = -1;
	}
	if (r < 0)
		return table_corrupt(s->t, place.off, why, err);
	if (r == 0 || !equal)
		return 0;
	*hit = (struct table_hit){ .kind = (enum entry_kind)e.kind,
				   .chunked = e.chunked,
				   .expires_ms = e.expires_ms,
				   .value = e.value };
	return 1;
}
