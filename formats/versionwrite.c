/*
 * Writing a version image: version_encode().
 */
#include "formats/versionpage.h"

/* Where the parts of a run lie, and what they hold. */
struct place {
	const struct run *run;
	uint32_t level, index;
	uint64_t bytes, age_last, keys_bytes;
	uint64_t first_page, top_page, keys_page;
};

static void measure(struct place *pl, uint64_t *next)
{
	for (size_t i = 0; i < pl->run->n; i++) {
		const struct table_meta *t = &pl->run->tables[i];

		pl->bytes += t->bytes;
		pl->keys_bytes +=
			rest_len(t->smallest.len) + rest_len(t->largest.len);
		if (t->age_last > pl->age_last)
			pl->age_last = t->age_last;
	}
	pl->first_page = *next;
	pl->top_page = pl->first_page + entry_pages(pl->run->n);
	pl->keys_page = pl->top_page + top_pages(pl->run->n);
	*next = pl->keys_page + pages_for(pl->keys_bytes, PAGE_PAYLOAD);
}

/* All runs in search order; the caller frees. */
static struct place *places_make(const struct manifest *m, size_t *n)
{
	struct place *places;
	size_t at = 0;

	*n = 0;
	for (size_t l = 0; l < m->n_levels; l++)
		*n += m->levels[l].n;
	places = calloc(*n + 1, sizeof(*places));
	if (!places)
		return NULL;
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			places[at++] =
				(struct place){ .run = &m->levels[l].runs[r],
						.level = (uint32_t)l,
						.index = (uint32_t)r };
	return places;
}

/* The rest returns 0, or -1 when there is no memory. */

/* Cut `part` into pages of `fill` bytes; their checksums come last. */
static int put_pages(struct buf *out, const struct buf *part, size_t fill)
{
	for (size_t off = 0; off < part->len; off += fill) {
		size_t n = part->len - off < fill ? part->len - off : fill;

		if (buf_append(out, part->data + off, n) < 0 ||
		    buf_append_zeros(out, VERSION_PAGE - n) < 0)
			return -1;
	}
	return 0;
}

static int put_log(struct buf *head, const struct log_meta *log)
{
	return buf_append_u64(head, log->number) < 0 ||
			       buf_append_u64(head, log->length) < 0 ||
			       buf_append_u64(head, log->checksum) < 0 ||
			       buf_append_u64(head, log->sealed) < 0 ||
			       buf_append_u64(head, log->created_ms) < 0
		       ? -1
		       : 0;
}

static int put_place(struct buf *head, const struct place *pl)
{
	return buf_append_u32(head, pl->level) < 0 ||
			       buf_append_u32(head, pl->index) < 0 ||
			       buf_append_u64(head, pl->run->n) < 0 ||
			       buf_append_u64(head, pl->bytes) < 0 ||
			       buf_append_u64(head, pl->age_last) < 0 ||
			       buf_append_u64(head, pl->first_page) < 0 ||
			       buf_append_u64(head, pl->top_page) < 0 ||
			       buf_append_u64(head, pl->keys_page) < 0 ||
			       buf_append_u64(head, pl->keys_bytes) < 0
		       ? -1
		       : 0;
}

static uint64_t header_bytes(const struct manifest *m, size_t n_runs)
{
	return HEADER_BYTES + sizeof(struct options) + m->n_logs * LOG_BYTES +
	       n_runs * RUN_BYTES;
}

static int put_header(struct buf *out, const struct manifest *m,
		      uint64_t manifest_checksum, const struct place *places,
		      size_t n_runs, uint64_t pages)
{
	struct buf head = BUF_INIT;
	uint8_t p[HEADER_BYTES] = { 0 };
	uint64_t tables = 0;
	int r = -1;

	for (size_t i = 0; i < n_runs; i++)
		tables += places[i].run->n;
	memcpy(p + H_MAGIC, VERSION_MAGIC, 8);
	put_u16(p + H_MAJOR, VERSION_MAJOR);
	put_u16(p + H_MINOR, VERSION_MINOR);
	memcpy(p + H_UUID, m->uuid, sizeof(m->uuid));
	put_u64(p + H_GENERATION, m->generation);
	put_u64(p + H_MANIFEST, manifest_checksum);
	put_u64(p + H_PAGES, pages);
	put_u64(p + H_TABLES, tables);
	put_u32(p + H_OPTIONS, sizeof(struct options) / sizeof(uint64_t));
	put_u32(p + H_LOGS, (uint32_t)m->n_logs);
	put_u32(p + H_RUNS, (uint32_t)n_runs);
	put_u32(p + H_LEVELS, (uint32_t)m->n_levels);
	if (buf_append(&head, p, sizeof(p)) < 0)
		goto out;
	for (const struct option_spec *s = option_specs; s->name; s++)
		if (buf_append_u64(&head, option_get(&m->options, s)) < 0)
			goto out;
	for (size_t i = 0; i < m->n_logs; i++)
		if (put_log(&head, &m->logs[i]) < 0)
			goto out;
	for (size_t i = 0; i < n_runs; i++)
		if (put_place(&head, &places[i]) < 0)
			goto out;
	r = put_pages(out, &head, PAGE_PAYLOAD);
out:
	buf_free(&head);
	return r;
}

static int put_rest(struct buf *heap, const struct buf *key)
{
	uint64_t n = rest_len(key->len);

	return n ? buf_append(heap, key->data + 8, n) : 0;
}

static int put_entry(struct buf *entries, struct buf *heap,
		     const struct table_meta *t)
{
	uint8_t p[ENTRY_BYTES] = { 0 };

	put_u64(p + E_NUMBER, t->number);
	put_u64(p + E_BYTES, t->bytes);
	put_u64(p + E_ENTRIES, t->entries);
	put_u64(p + E_AGE_FIRST, t->age_first);
	put_u64(p + E_AGE_LAST, t->age_last);
	put_u64(p + E_CHECKSUM, t->checksum);
	put_u64(p + E_SMALLEST, slice_prefix(buf_slice(&t->smallest)));
	put_u64(p + E_LARGEST, slice_prefix(buf_slice(&t->largest)));
	put_u64(p + E_KEYS, heap->len);
	put_u16(p + E_SMALLEST_LEN, (uint16_t)t->smallest.len);
	put_u16(p + E_LARGEST_LEN, (uint16_t)t->largest.len);
	put_u32(p + E_FLAGS, t->trimmed ? ENTRY_TRIMMED : 0);
	if (buf_append(entries, p, sizeof(p)) < 0 ||
	    put_rest(heap, &t->smallest) < 0 || put_rest(heap, &t->largest) < 0)
		return -1;
	return 0;
}

static int put_run(struct buf *out, const struct run *run)
{
	struct buf entries = BUF_INIT, top = BUF_INIT, heap = BUF_INIT;
	int r = -1;

	for (size_t i = 0; i < run->n; i++) {
		const struct table_meta *t = &run->tables[i];
		uint64_t largest = slice_prefix(buf_slice(&t->largest));

		if (put_entry(&entries, &heap, t) < 0)
			goto out;
		if ((i % PAGE_ENTRIES == PAGE_ENTRIES - 1 || i == run->n - 1) &&
		    run->n > PAGE_ENTRIES && buf_append_u64(&top, largest) < 0)
			goto out;
	}
	if (put_pages(out, &entries, PAGE_ENTRIES * ENTRY_BYTES) < 0 ||
	    put_pages(out, &top, PAGE_PAYLOAD) < 0)
		goto out;
	r = put_pages(out, &heap, PAGE_PAYLOAD);
out:
	buf_free(&entries);
	buf_free(&top);
	buf_free(&heap);
	return r;
}

int version_encode(const struct manifest *m, uint64_t manifest_checksum,
		   struct buf *out, struct store_error *err)
{
	size_t start = out->len, n_runs;
	struct place *places = places_make(m, &n_runs);
	uint64_t pages;
	int r = -1;

	if (!places)
		return store_nomem(err);
	pages = pages_for(header_bytes(m, n_runs), PAGE_PAYLOAD);
	for (size_t i = 0; i < n_runs; i++)
		measure(&places[i], &pages);
	if (put_header(out, m, manifest_checksum, places, n_runs, pages) < 0)
		goto out;
	for (size_t i = 0; i < n_runs; i++)
		if (put_run(out, places[i].run) < 0)
			goto out;
	for (uint64_t n = 0; n < pages; n++) {
		uint8_t *page = out->data + start + n * VERSION_PAGE;

		put_u64(page + PAGE_PAYLOAD,
			version_page_sum(page, n, manifest_checksum));
	}
	r = 0;
out:
	free(places);
	if (r < 0) {
		out->len = start;
		return store_nomem(err);
	}
	return 0;
}
