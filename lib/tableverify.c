#include "formats/bloom.h"
#include "lib/tablewalk.h"

#include <xxhash.h>

struct verify {
	struct table *t;
	struct window filter_w;
	uint64_t entries, tombstones;
	struct buf smallest, largest;
};

/* A key that the filter denies would be lost to every lookup. */
static int check_filter(struct verify *v, uint64_t off, struct slice key,
			struct store_error *err)
{
	uint64_t blocks = v->t->footer.filter_blocks, hash = bloom_hash(key);
	struct block *page;
	uint64_t n;
	int r;

	if (blocks == 0)
		return 0;
	n = bloom_block_of(hash, blocks);
	r = table_filter_page(v->t, &v->filter_w, n / BLOOM_PAGE_BLOCKS, false,
			      &page, err);
	if (r < 0)
		return r;
	if (!bloom_test_block(page->data + n % BLOOM_PAGE_BLOCKS * BLOOM_BLOCK,
			      hash))
		r = table_corrupt(v->t, off,
				  "the filter denies a key that is here", err);
	block_release(page);
	return r;
}

static int on_entry(void *ctx, uint64_t off, struct slice key,
		    const struct block_entry *e, struct store_error *err)
{
	struct verify *v = ctx;

	if (v->entries++ == 0 && buf_assign(&v->smallest, key) < 0)
		return store_nomem(err);
	v->tombstones += e->kind == BLOCK_DELETE;
	if (buf_assign(&v->largest, key) < 0)
		return store_nomem(err);
	return check_filter(v, off, key, err);
}

/* The properties against what was counted. */
static int check_props(struct verify *v, const struct table_props *p,
		       struct store_error *err)
{
	const char *why = NULL;

	if (p->entries != v->entries || p->tombstones != v->tombstones)
		why = "another number of entries than the properties tell";
	else if (!slice_eq(buf_slice(&p->smallest), buf_slice(&v->smallest)) ||
		 !slice_eq(buf_slice(&p->largest), buf_slice(&v->largest)))
		why = "another range of keys than the properties tell";
	else if ((p->oldest_tombstone_ms != 0) != (p->tombstones != 0))
		why = "an age of tombstones that are not there";
	return why ? table_corrupt(v->t, v->t->footer.properties.off, why, err)
		   : 0;
}

/* The properties against what the manifest says. */
static const char *compare(const struct table_props *p,
			   const struct table_meta *m)
{
	if (p->number != m->number)
		return "another number than the manifest tells";
	if (p->age_first != m->age_first || p->age_last != m->age_last)
		return "another age than the manifest tells";
	if (p->entries != m->entries || p->tombstones != m->tombstones ||
	    p->oldest_tombstone_ms != m->oldest_tombstone_ms)
		return "another number of entries than the manifest tells";
	if (p->created_ms != m->created_ms)
		return "another time of creation than the manifest tells";
	if (m->trimmed &&
	    slice_cmp(buf_slice(&p->smallest), buf_slice(&m->smallest)) >= 0)
		return "a range that the manifest calls trimmed, and is not";
	if ((!m->trimmed &&
	     !slice_eq(buf_slice(&p->smallest), buf_slice(&m->smallest))) ||
	    !slice_eq(buf_slice(&p->largest), buf_slice(&m->largest)))
		return "another range of keys than the manifest tells";
	return NULL;
}

static int file_sum(struct table *t, uint64_t *sum, struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_STREAM);
	XXH3_state_t *state = XXH3_createState();
	struct slice s;
	int r = state ? 0 : store_nomem(err);

	if (r == 0)
		XXH3_64bits_reset(state);
	for (uint64_t off = 0; r == 0 && off < t->size; off += s.len) {
		uint64_t left = t->size - off;

		r = view_read(&t->view, &w, off,
			      left < VIEW_STREAM ? (size_t)left : VIEW_STREAM,
			      t->size, &s, err);
		if (r == 0)
			XXH3_64bits_update(state, s.data, s.len);
	}
	if (r == 0)
		*sum = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	window_release(&w);
	return r;
}

static int check_meta(struct table *t, const struct table_props *p,
		      const struct table_meta *m, struct store_error *err)
{
	const char *why = compare(p, m);
	uint64_t sum = 0;
	int r;

	if (t->size != m->bytes)
		why = "another size than the manifest tells";
	if (why)
		return table_corrupt(t, STORE_NO_OFFSET, why, err);
	r = file_sum(t, &sum, err);
	if (r < 0 || sum == m->checksum)
		return r;
	return table_corrupt(t, STORE_NO_OFFSET,
			     "another checksum than the manifest tells", err);
}

int table_verify(struct table *t, const struct table_meta *meta,
		 struct store_error *err)
{
	struct verify v = { .t = t, .filter_w = WINDOW_INIT(VIEW_PAGE) };
	struct table_visitor visitor = { .entry = on_entry, .ctx = &v };
	struct table_props p = TABLE_PROPS_INIT;
	int r;

	if ((r = table_walk(t, &visitor, err)) < 0 ||
	    (r = table_props(t, &p, err)) < 0 ||
	    (r = check_props(&v, &p, err)) < 0)
		goto out;
	if (meta)
		r = check_meta(t, &p, meta, err);
out:
	table_props_release(&p);
	window_release(&v.filter_w);
	buf_free(&v.smallest);
	buf_free(&v.largest);
	return r;
}
