#include "lib/tablescan.h"

#include "lib/tablefile.h"

/* So many entries of the index are gone through before it is searched. */
#define STEPS 8

void tablescan_init(struct tablescan *s, struct table *t)
{
	*s = (struct tablescan){ .t = t, .w = WINDOW_INIT(VIEW_PAGE) };
}

void tablescan_release(struct tablescan *s)
{
	window_release(&s->w);
	buf_free(&s->index.bytes);
	buf_free(&s->data.bytes);
	block_reader_release(&s->at);
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
	/* No cache keeps it for the next batch: a map, in time, does. */
	view_count(&s->t->view);
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

/* Does the entry that `at` stands on lead to where `key` is, if it is? */
static bool leads_to(const struct tablescan *s, struct slice key)
{
	return s->at.valid && slice_cmp(key, buf_slice(&s->at.key)) <= 0;
}

/* Where the lowest index block that is searched lies. */
static uint64_t index_off(const struct tablescan *s)
{
	return s->t->footer.depth > 1 ? s->index.place.off
				      : s->t->footer.root.off;
}

/* What a mover of `at` returned, with its failures told. */
static int moved(const struct tablescan *s, int r, struct store_error *err)
{
	if (r == -2)
		return store_nomem(err);
	return r < 0 ? table_corrupt(s->t, index_off(s), s->at.why, err) : r;
}

/*
 * From the root down.  Only the lowest level stays: with a level between,
 * which few tables have, that one is loaded in its place first.
 */
static int search(struct tablescan *s, struct slice key,
		  struct store_error *err)
{
	struct sst_place place = s->t->footer.root;
	struct slice in;
	int r = table_root(s->t, &s->w, &in, err);

	s->at.valid = false;
	for (uint32_t level = 1; r == 0 && level < s->t->footer.depth;
	     level++) {
		uint64_t off = place.off;

		r = descend(s, in, off, key, &place, err);
		if (r <= 0)
			return r;
		r = load(s, &s->index, place, SST_INDEX, err);
		in = buf_slice(&s->index.bytes);
	}
	if (r < 0)
		return r;
	r = block_reader_open(&s->at, in) ? block_seek(&s->at, key) : -1;
	return moved(s, r, err);
}

/* Move `at` up to what leads to `key`: 1, or 0 when all keys are below it. */
static int move(struct tablescan *s, struct slice key, struct store_error *err)
{
	int r = s->at.valid;

	for (unsigned i = 0; r > 0 && i < STEPS; i++) {
		r = block_next(&s->at);
		if (r > 0 && leads_to(s, key))
			return r;
	}
	return r < 0 ? moved(s, r, err) : search(s, key, err);
}

/* Load the data block that `at` leads to. */
static int load_data(struct tablescan *s, struct store_error *err)
{
	struct sst_place place;

	if (!block_place(&s->at.e, &place.off, &place.len))
		return table_corrupt(s->t, index_off(s), "a malformed entry",
				     err);
	return load(s, &s->data, place, SST_DATA, err);
}

void tablescan_prefetch(const struct tablescan *s, uint64_t hash)
{
	table_filter_prefetch(s->t, hash);
}

/*
 * The filter is asked only where it may save loading a block: it is one line
 * of memory for each key, and a counter that all threads write.
 */
int tablescan_get(struct tablescan *s, struct slice key, uint64_t hash,
		  struct table_hit *hit, struct store_error *err)
{
	struct block_entry e;
	const char *why;
	bool equal;
	int r;

	if (!leads_to(s, key) &&
	    ((r = table_ask(s->t, &s->w, hash, err)) <= 0 ||
	     (r = move(s, key, err)) <= 0 || (r = load_data(s, err)) < 0))
		return r;
	r = block_find(buf_slice(&s->data.bytes), key, &e, &equal, &why);
	if (r > 0 && equal && e.kind == BLOCK_INDEX) {
		why = "a malformed entry";
		r = -1;
	}
	if (r < 0)
		return table_corrupt(s->t, s->data.place.off, why, err);
	if (r == 0 || !equal)
		return 0;
	*hit = (struct table_hit){ .kind = (enum entry_kind)e.kind,
				   .chunked = e.chunked,
				   .expires_ms = e.expires_ms,
				   .value = e.value };
	return 1;
}
