#include "lib/table.h"

#include "formats/bloom.h"
#include "lib/guide.h"

/* What holds the value of a lookup, but for the memory of `value`. */
static void let_go(struct lookup *l)
{
	table_close(l->table);
	l->table = NULL;
	if (l->lender)
		l->give_back(l->lender);
	l->lender = NULL;
}

void lookup_release(struct lookup *l)
{
	buf_free(&l->value);
	let_go(l);
	*l = LOOKUP_INIT;
}

/* Of so many lookups, about, it is remembered that the key was absent. */
#define ABSENT_MOST 8u

uint64_t table_hash(struct slice key)
{
	return bloom_hash(key);
}

/* From the root down: the one data block that may hold `key`, or 0. */
static int find_in_index(struct table *t, struct window *w, struct slice key,
			 struct sst_place *place, struct store_error *err)
{
	struct block *b = NULL;
	struct block_entry e;
	struct slice bytes;
	const char *why;
	bool equal;
	int r;

	*place = t->footer.root;
	r = table_root(t, w, &bytes, err);
	for (uint32_t level = 0; r == 0; level++) {
		uint64_t off = place->off;

		r = block_find(bytes, key, &e, &equal, &why);
		if (r > 0 && !block_place(&e, &place->off, &place->len)) {
			why = "a malformed entry";
			r = -1;
		}
		if (r < 0)
			r = table_corrupt(t, off, why, err);
		block_release(b); /* `e` is of no use any more */
		if (r <= 0 || level + 1 == t->footer.depth)
			return r;
		r = table_block(t, w, *place, SST_INDEX, true, &b, err);
		if (r == 0)
			bytes = slice_make(b->data, b->len);
	}
	return r;
}

/* Are most keys absent? */
static bool expects_absence(struct table *t)
{
	return atomic_load_explicit(&t->absent, memory_order_relaxed) >
	       ABSENT_MOST / 2;
}

/* What the filter has said of one more. */
static void remember(struct table *t, bool absent)
{
	unsigned n = atomic_load_explicit(&t->absent, memory_order_relaxed);

	if (absent ? n < ABSENT_MOST : n > 0)
		atomic_store_explicit(&t->absent, absent ? n + 1 : n - 1,
				      memory_order_relaxed);
}

/*
 * The block that may hold `key`, if the filter lets it pass: 1, or 0.  With a
 * guide, what the filter says comes from memory while the block is looked for,
 * and the way to the block while the filter is asked; unless, by the lookups
 * before, it will say no.
 */
static int find_block(struct table *t, struct window *w, struct slice key,
		      uint64_t hash, struct sst_place *place,
		      struct guide_block **known, struct store_error *err)
{
	struct guide *g;
	int found = -1, r;

	table_filter_prefetch(t, hash);
	g = guide_of(t, w);
	if (g && expects_absence(t)) {
		r = table_ask(t, w, hash, err);
		remember(t, r == 0);
		if (r > 0)
			found = guide_find(g, key, known);
	} else {
		if (g)
			found = guide_find(g, key, known);
		if (found > 0) {
			if (!cache_is_full(t->cache))
				guide_prefetch(*known);
			cache_prefetch(t->cache, t->footer.number,
				       (*known)->place.off);
		}
		r = table_ask(t, w, hash, err);
		remember(t, r == 0);
	}
	if (r <= 0)
		return r;
	if (found < 0)
		return find_in_index(t, w, key, place, err);
	if (found > 0)
		*place = (*known)->place;
	return found;
}

static void give_back(void *lender)
{
	block_release(lender);
}

/* The value stays in the block, where there is one, which is then `l`'s. */
static int keep_value(struct slice value, struct block **b, struct lookup *l,
		      struct store_error *err)
{
	if (!*b)
		return buf_assign(&l->value, value) < 0 ? store_nomem(err) : 1;
	l->borrowed = value;
	l->lender = *b;
	l->give_back = give_back;
	*b = NULL;
	return 1;
}

static int fill(struct table *t, struct window *w, const struct block_entry *e,
		uint64_t off, struct block **b, struct lookup *l,
		struct store_error *err)
{
	struct block_chunks c;
	int r;

	l->kind = (enum entry_kind)e->kind;
	l->expires_ms = e->expires_ms;
	l->value_len = e->value.len;
	l->chunked = e->chunked;
	if (!e->chunked)
		return keep_value(e->value, b, l, err);
	if (!block_chunks(e, &c))
		return table_corrupt(t, off, "a malformed entry", err);
	r = table_chunkmap(t, w, &c, &l->value, err);
	if (r < 0)
		return r;
	l->value_len = c.value_len;
	l->map_off = c.map_off;
	l->table = t;
	table_ref(t);
	return 1;
}

int table_get(struct table *t, struct slice key, uint64_t hash,
	      struct lookup *l, struct store_error *err)
{
	uint8_t room[WINDOW_ROOM], data[TABLE_ROOM];
	struct window w = WINDOW_IN(room);
	struct guide_block *known = NULL;
	struct slice bytes;
	struct sst_place place;
	struct block *b = NULL;
	struct block_entry e;
	const char *why;
	bool equal;
	int r;

	let_go(l);
	/* What lies beside it would be forgotten before it is asked for. */
	if (t->cache && cache_is_full(t->cache))
		w.ahead = 0;
	if ((r = find_block(t, &w, key, hash, &place, &known, err)) <= 0 ||
	    (r = table_data(t, &w, place, data, &b, &bytes, err)) < 0)
		goto out;
	if (known && b)
		guide_remember(known, b);
	r = block_find(bytes, key, &e, &equal, &why);
	if (r < 0)
		r = table_corrupt(t, place.off, why, err);
	else if (r > 0 && !equal)
		r = 0;
	else if (r > 0 && e.kind == BLOCK_INDEX)
		r = table_corrupt(t, place.off, "a malformed entry", err);
	else if (r > 0)
		r = fill(t, &w, &e, place.off, &b, l, err);
out:
	block_release(b);
	window_release(&w);
	return r;
}

int table_chunk(struct table *t, const struct lookup *l, uint64_t i,
		struct buf *out, struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	int r = table_chunk_read(t, &w, &l->value, l->value_len, i, out, err);

	window_release(&w);
	return r;
}

/* The properties tell the same as the footer, where both tell. */
static const char *compare(const struct table_props *p,
			   const struct sst_footer *f)
{
	if (memcmp(p->uuid, f->uuid, sizeof(p->uuid)) ||
	    p->number != f->number || p->entries != f->entries ||
	    p->tombstones != f->tombstones)
		return "properties and footer disagree";
	if (slice_cmp(buf_slice(&p->smallest), buf_slice(&p->largest)) > 0)
		return "the smallest key is above the largest";
	return NULL;
}

int table_props(struct table *t, struct table_props *p, struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	struct sst_place place = t->footer.properties;
	struct block *b = NULL;
	const char *why;
	int r;

	r = table_block(t, &w, place, SST_PROPERTIES, false, &b, err);
	if (r < 0)
		goto out;
	why = props_decode(slice_make(b->data, b->len), p);
	if (!why)
		why = compare(p, &t->footer);
	if (why) {
		r = table_corrupt(t, place.off, why, err);
		table_props_release(p);
	}
out:
	block_release(b);
	window_release(&w);
	return r;
}
