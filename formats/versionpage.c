#include "formats/versionpage.h"

#include <xxhash.h>

/*
 * The seed ties a page to its place and, through the manifest's checksum, to
 * its image: an old page, or one of another image, does not pass.
 */
uint64_t version_page_sum(const uint8_t *page, uint64_t n,
			  uint64_t manifest_checksum)
{
	return XXH3_64bits_withSeed(page, PAGE_PAYLOAD,
				    n ? manifest_checksum + n : 0);
}

struct pager pager_make(const struct page_source *src, void *window,
			uint64_t manifest_checksum, struct store_error *err)
{
	return (struct pager){ .src = src,
			       .window = window,
			       .manifest_checksum = manifest_checksum,
			       .n = UINT64_MAX,
			       .err = err };
}

int pager_corrupt(const struct pager *pg, uint64_t n, uint64_t off,
		  const char *why)
{
	return store_corrupt(pg->err, pg->src->dir, pg->src->name,
			     n * VERSION_PAGE + off, why);
}

int pager_read(struct pager *pg, uint64_t n, const uint8_t **page)
{
	int r;

	if (n != pg->n) {
		pg->n = UINT64_MAX;
		if (n >= pg->src->pages)
			return pager_corrupt(pg, n, 0, "ends early");
		if ((r = pg->src->read(pg->src->ctx, pg->window, n, &pg->page,
				       pg->err)) < 0)
			return r;
		if (load_u64(pg->page + PAGE_PAYLOAD) !=
		    version_page_sum(pg->page, n, pg->manifest_checksum))
			return pager_corrupt(pg, n, PAGE_PAYLOAD,
					     "bad checksum");
		pg->n = n;
	}
	*page = pg->page;
	return 0;
}

static bool entry_ok(const struct version_run *run,
		     const struct version_entry *e, uint64_t heap_off)
{
	const struct version_table *t = &e->table;
	uint64_t rest = rest_len(e->smallest.len) + rest_len(e->largest.len);

	return t->number > 0 && t->number <= NUMBER_MAX && t->bytes > 0 &&
	       t->bytes <= NUMBER_MAX && t->entries > 0 &&
	       t->entries <= NUMBER_MAX && t->age_first > 0 &&
	       t->age_first <= t->age_last && t->age_last <= run->age_last &&
	       e->smallest.len > 0 && e->largest.len > 0 &&
	       heap_off <= run->keys_bytes &&
	       rest <= run->keys_bytes - heap_off;
}

int pager_entry(struct pager *pg, const struct version_run *run, uint64_t index,
		struct version_entry *e)
{
	uint64_t n = run->first_page + index / PAGE_ENTRIES;
	uint64_t off = index % PAGE_ENTRIES * ENTRY_BYTES;
	const uint8_t *p;
	uint64_t keys;
	int r;

	if (index >= run->tables)
		return store_fail(pg->err, STORE_EBUG,
				  "version image: no such table in the run");
	if ((r = pager_read(pg, n, &p)) < 0)
		return r;
	p += off;
	e->table = (struct version_table){
		.number = load_u64(p + E_NUMBER),
		.bytes = load_u64(p + E_BYTES),
		.entries = load_u64(p + E_ENTRIES),
		.age_first = load_u64(p + E_AGE_FIRST),
		.age_last = load_u64(p + E_AGE_LAST),
		.checksum = load_u64(p + E_CHECKSUM),
		.trimmed = load_u32(p + E_FLAGS) & ENTRY_TRIMMED,
	};
	keys = load_u64(p + E_KEYS);
	e->smallest = (struct version_key){
		.prefix = load_u64(p + E_SMALLEST),
		.rest = keys,
		.len = load_u16(p + E_SMALLEST_LEN),
	};
	e->largest = (struct version_key){
		.prefix = load_u64(p + E_LARGEST),
		.rest = keys + rest_len(e->smallest.len),
		.len = load_u16(p + E_LARGEST_LEN),
	};
	if (!entry_ok(run, e, keys) || load_u32(p + E_FLAGS) & ~ENTRY_TRIMMED)
		return pager_corrupt(pg, n, off, "bad entry");
	return 0;
}

/* The bytes of the heap from `off` to the end of its page, at most `max`. */
static int heap_part(struct pager *pg, const struct version_run *run,
		     uint64_t off, uint64_t max, struct slice *part)
{
	uint64_t at = off % PAGE_PAYLOAD, left = PAGE_PAYLOAD - at;
	const uint8_t *p = NULL;
	int r;

	if ((r = pager_read(pg, run->keys_page + off / PAGE_PAYLOAD, &p)) < 0)
		return r;
	*part = slice_make(p + at, max < left ? max : left);
	return 0;
}

int pager_compare(struct pager *pg, const struct version_run *run,
		  struct slice key, const struct version_key *k, int *order)
{
	uint64_t prefix = slice_prefix(key), done = 0, len = rest_len(k->len);
	struct slice part;
	int r;

	if (prefix != k->prefix) {
		*order = prefix < k->prefix ? -1 : 1;
		return 0;
	}
	*order = (key.len > k->len) - (key.len < k->len);
	if (key.len <= 8 || k->len <= 8)
		return 0; /* one is the other and more, be it zeros */

	key = slice_make(key.data + 8, key.len - 8);
	while (done < len && done < key.len) {
		struct slice mine;
		int c;

		if ((r = heap_part(pg, run, k->rest + done, len - done,
				   &part)) < 0)
			return r;
		if (part.len > key.len - done)
			part.len = key.len - done;
		mine = slice_make(key.data + done, part.len);
		if ((c = slice_cmp(mine, part)) != 0) {
			*order = c;
			return 0;
		}
		done += part.len;
	}
	return 0;
}

int pager_key(struct pager *pg, const struct version_run *run,
	      const struct version_key *k, struct buf *out)
{
	uint64_t done = 0, len = rest_len(k->len);
	struct slice part;
	uint8_t p[8];
	int r;

	buf_clear(out);
	put_u64(p, __builtin_bswap64(k->prefix));
	if (buf_append(out, p, k->len < 8 ? k->len : 8) < 0)
		return store_nomem(pg->err);
	for (; done < len; done += part.len) {
		if ((r = heap_part(pg, run, k->rest + done, len - done,
				   &part)) < 0)
			return r;
		if (buf_append_slice(out, part) < 0)
			return store_nomem(pg->err);
	}
	return 0;
}
