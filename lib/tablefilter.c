/*
 * The filter of a table: its pages, kept or cached, and asking it.
 */
#include "formats/bloom.h"
#include "lib/tablefile.h"

int table_filter_page(struct table *t, struct window *w, uint64_t p,
		      bool cached, struct block **out, struct store_error *err)
{
	uint64_t off = t->footer.filter_off + p * BLOOM_PAGE;
	struct block *b = table_cached(t, off, cached);
	struct slice page;
	int r;

	if (b) {
		*out = b;
		return 0;
	}
	r = table_read(t, w, off, bloom_page_len(t->footer.filter_blocks, p),
		       &page, err);
	if (r < 0)
		return r;
	if (!bloom_page_check(page, p, t->footer.salt))
		return table_corrupt(t, off, "bad checksum of a filter page",
				     err);
	COUNT(t->counters, blocks_read, 1);
	b = block_new(page.len);
	if (!b)
		return store_nomem(err);
	memcpy(b->data, page.data, page.len);
	if (cached && t->cache)
		cache_put(t->cache, t->footer.number, off, b);
	*out = b;
	return 0;
}

/* The pages that the table keeps, or NULL: then they go through the cache. */
static _Atomic(struct block *) *kept_pages(struct table *t)
{
	_Atomic(struct block *) *kept =
		atomic_load_explicit(&t->filter, memory_order_acquire);
	_Atomic(struct block *) *none = NULL;
	uint64_t blocks = t->footer.filter_blocks;

	if (kept || !t->cache)
		return kept;
	if (!cache_lend(t->cache, bloom_bytes(blocks)))
		return NULL;
	kept = calloc(bloom_pages(blocks), sizeof(*kept));
	if (kept && atomic_compare_exchange_strong(&t->filter, &none, kept))
		return kept;
	free(kept);
	cache_take_back(t->cache, bloom_bytes(blocks));
	return none;
}

void table_filter_release(struct table *t)
{
	_Atomic(struct block *) *kept = atomic_load(&t->filter);
	uint64_t blocks = t->footer.filter_blocks;

	if (!kept)
		return;
	for (uint64_t p = 0; p < bloom_pages(blocks); p++)
		block_release(atomic_load(&kept[p]));
	free(kept);
	cache_take_back(t->cache, bloom_bytes(blocks));
}

/* Not by page->data, which is one more line of memory to wait for. */
static const uint8_t *filter_block(const struct block *page, uint64_t n)
{
	return block_bytes(page) + n % BLOOM_PAGE_BLOCKS * BLOOM_BLOCK;
}

static bool test_page(const struct block *page, uint64_t n, uint64_t hash)
{
	return bloom_test_block(filter_block(page, n), hash);
}

void table_filter_prefetch(const struct table *t, uint64_t hash)
{
	_Atomic(struct block *) *kept =
		atomic_load_explicit(&t->filter, memory_order_acquire);
	const struct block *page;
	uint64_t n;

	if (!kept || t->footer.filter_blocks == 0)
		return;
	n = bloom_block_of(hash, t->footer.filter_blocks);
	page = atomic_load_explicit(&kept[n / BLOOM_PAGE_BLOCKS],
				    memory_order_acquire);
	if (page)
		__builtin_prefetch(filter_block(page, n));
}

int table_ask(struct table *t, struct window *w, uint64_t hash,
	      struct store_error *err)
{
	struct block *page = NULL, *none = NULL;
	_Atomic(struct block *) *kept;
	uint64_t n, p;
	int r;

	if (t->footer.filter_blocks == 0)
		return 1;
	COUNT(t->counters, filter_probes, 1);
	n = bloom_block_of(hash, t->footer.filter_blocks);
	p = n / BLOOM_PAGE_BLOCKS;
	kept = kept_pages(t);
	if (kept)
		page = atomic_load_explicit(&kept[p], memory_order_acquire);
	if (page) {
		COUNT(t->counters, cache_hits, 1);
		r = test_page(page, n, hash);
	} else {
		r = table_filter_page(t, w, p, !kept, &page, err);
		if (r < 0)
			return r;
		r = test_page(page, n, hash);
		/* Ours becomes the table's, unless another was quicker. */
		if (!kept ||
		    !atomic_compare_exchange_strong(&kept[p], &none, page))
			block_release(page);
	}
	if (r == 0)
		COUNT(t->counters, filter_negatives, 1);
	return r;
}
