/*
 * Checking a whole version image: version_check().
 */
#include "formats/versionpage.h"

/* A key shorter than 8 bytes leaves zeros behind it in its prefix. */
static bool prefix_ok(const struct version_key *k)
{
	return k->len >= 8 || (k->prefix & (UINT64_MAX >> (8 * k->len))) == 0;
}

struct walk {
	struct buf before; /* largest key of the entry before */
	struct buf smallest, largest;
	uint64_t heap, bytes, age_last;
};

static int check_entry(struct pager *pg, const struct version_run *run,
		       uint64_t i, struct walk *w)
{
	uint64_t page = run->first_page + i / PAGE_ENTRIES;
	uint64_t off = i % PAGE_ENTRIES * ENTRY_BYTES;
	struct version_entry e;
	const uint8_t *p;
	int r;

	if ((r = pager_entry(pg, run, i, &e)) < 0)
		return r;
	if (!prefix_ok(&e.smallest) || !prefix_ok(&e.largest) ||
	    e.smallest.rest != w->heap)
		return pager_corrupt(pg, page, off, "bad keys");
	w->heap += rest_len(e.smallest.len) + rest_len(e.largest.len);
	w->bytes += e.table.bytes;
	if (e.table.age_last > w->age_last)
		w->age_last = e.table.age_last;
	if ((r = pager_key(pg, run, &e.smallest, &w->smallest)) < 0 ||
	    (r = pager_key(pg, run, &e.largest, &w->largest)) < 0)
		return r;
	if (slice_cmp(buf_slice(&w->smallest), buf_slice(&w->largest)) > 0 ||
	    (i &&
	     slice_cmp(buf_slice(&w->before), buf_slice(&w->smallest)) >= 0))
		return pager_corrupt(pg, page, off, "entries not in order");
	if (buf_assign(&w->before, buf_slice(&w->largest)) < 0)
		return store_nomem(pg->err);
	if (run->tables > PAGE_ENTRIES &&
	    (i % PAGE_ENTRIES == PAGE_ENTRIES - 1 || i == run->tables - 1)) {
		uint64_t at = i / PAGE_ENTRIES;

		page = run->top_page + at / PAGE_PREFIXES;
		off = at % PAGE_PREFIXES * 8;
		if ((r = pager_read(pg, page, &p)) < 0)
			return r;
		if (load_u64(p + off) != e.largest.prefix)
			return pager_corrupt(pg, page, off, "bad top index");
	}
	return 0;
}

static int check_run(struct pager *pg, const struct version_run *run)
{
	struct walk w = { .heap = 0 };
	int r = 0;

	for (uint64_t i = 0; i < run->tables && r == 0; i++)
		r = check_entry(pg, run, i, &w);
	if (r == 0 && (w.heap != run->keys_bytes || w.bytes != run->bytes ||
		       w.age_last != run->age_last))
		r = pager_corrupt(pg, run->first_page, 0,
				  "a run's sums are wrong");
	buf_free(&w.before);
	buf_free(&w.smallest);
	buf_free(&w.largest);
	return r;
}

/* An image is made from the manifest alone: make it again and compare. */
static int check_manifest(struct pager *pg, const struct version *v,
			  const struct manifest *m)
{
	struct buf text = BUF_INIT, image = BUF_INIT;
	const uint8_t *p;
	uint64_t sum;
	int r;

	if ((r = manifest_format(m, &text, &sum, pg->err)) < 0)
		goto out;
	if (sum != v->manifest_checksum) {
		r = pager_corrupt(pg, 0, H_MANIFEST,
				  "not the image of this manifest");
		goto out;
	}
	if ((r = version_encode(m, sum, &image, pg->err)) < 0)
		goto out;
	if (image.len / VERSION_PAGE != pg->src->pages)
		r = pager_corrupt(pg, 0, H_PAGES, "not as long as it must be");
	for (uint64_t n = 0; r == 0 && n < pg->src->pages; n++) {
		if ((r = pager_read(pg, n, &p)) == 0 &&
		    memcmp(p, image.data + n * VERSION_PAGE, VERSION_PAGE))
			r = pager_corrupt(pg, n, 0,
					  "differs from the manifest");
	}
out:
	buf_free(&text);
	buf_free(&image);
	return r;
}

int version_check(const struct page_source *src, void *window,
		  const struct manifest *m, struct store_error *err)
{
	struct version v = VERSION_INIT;
	struct pager pg;
	const uint8_t *p;
	int r;

	if ((r = version_open(&v, src, window, err)) < 0)
		return r;
	pg = pager_make(src, window, v.manifest_checksum, err);
	for (uint64_t n = 0; r == 0 && n < src->pages; n++)
		r = pager_read(&pg, n, &p);
	for (size_t i = 0; r == 0 && i < v.n_runs; i++)
		r = check_run(&pg, &v.runs[i]);
	if (r == 0 && m)
		r = check_manifest(&pg, &v, m);
	version_release(&v);
	return r;
}
