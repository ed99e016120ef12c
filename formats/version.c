#include "formats/version.h"

#include "formats/versionpage.h"

void version_release(struct version *v)
{
	free(v->logs);
	free(v->runs);
	*v = VERSION_INIT;
}

/* ---- the header ---- */

struct counts {
	uint64_t pages;
	uint32_t options, logs, runs, levels;
};

/* Page 0 tells how long the header is; `head` gets all of it. */
static int read_header(struct pager *pg, struct counts *n, struct buf *head)
{
	uint64_t bytes, pages;
	const uint8_t *p;
	int r;

	if ((r = pager_read(pg, 0, &p)) < 0)
		return r;
	if (memcmp(p + H_MAGIC, VERSION_MAGIC, 8))
		return pager_corrupt(pg, 0, H_MAGIC, "not a version image");
	if (load_u16(p + H_MAJOR) != VERSION_MAJOR || load_u32(p + H_MUST))
		return pager_corrupt(pg, 0, H_MAJOR,
				     "an image of another format version");
	pg->manifest_checksum = load_u64(p + H_MANIFEST);
	n->pages = load_u64(p + H_PAGES);
	n->options = load_u32(p + H_OPTIONS);
	n->logs = load_u32(p + H_LOGS);
	n->runs = load_u32(p + H_RUNS);
	n->levels = load_u32(p + H_LEVELS);
	if (n->pages != pg->src->pages)
		return pager_corrupt(pg, 0, H_PAGES, "not as long as it says");
	if (n->options * sizeof(uint64_t) != sizeof(struct options))
		return pager_corrupt(pg, 0, H_OPTIONS, "not these options");
	if (n->runs > MANIFEST_MAX_RUNS || n->levels > MANIFEST_MAX_LEVELS)
		return pager_corrupt(pg, 0, H_RUNS, "too many runs");
	bytes = HEADER_BYTES + sizeof(struct options) +
		n->logs * (uint64_t)LOG_BYTES + n->runs * (uint64_t)RUN_BYTES;
	pages = pages_for(bytes, PAGE_PAYLOAD);
	if (pages > n->pages)
		return pager_corrupt(pg, 0, H_LOGS, "header ends early");
	for (uint64_t i = 0; i < pages; i++) {
		if ((r = pager_read(pg, i, &p)) < 0)
			return r;
		if (buf_append(head, p,
			       bytes - head->len < PAGE_PAYLOAD
				       ? bytes - head->len
				       : PAGE_PAYLOAD) < 0)
			return store_nomem(pg->err);
	}
	head->len = bytes;
	return 0;
}

static int decode_options(struct pager *pg, const uint8_t *p, struct options *o)
{
	for (const struct option_spec *s = option_specs; s->name; s++, p += 8) {
		uint64_t v = load_u64(p);

		memcpy((char *)o + s->offset, &v, sizeof(v));
	}
	if (options_check(o, NULL) < 0)
		return pager_corrupt(pg, 0, HEADER_BYTES, "bad options");
	return 0;
}

static int decode_logs(struct pager *pg, const uint8_t *p, uint32_t n,
		       struct version *v)
{
	v->logs = calloc((size_t)n + 1, sizeof(*v->logs));
	if (!v->logs)
		return store_nomem(pg->err);
	for (; v->n_logs < n; p += LOG_BYTES) {
		struct log_meta *log = &v->logs[v->n_logs++];

		log->number = load_u64(p);
		log->length = load_u64(p + 8);
		log->checksum = load_u64(p + 16);
		log->sealed = load_u64(p + 24) != 0;
		log->created_ms = load_u64(p + 32);
		if (log->number == 0 || log->number > NUMBER_MAX ||
		    load_u64(p + 24) > 1 || log->length > NUMBER_MAX ||
		    log->created_ms > NUMBER_MAX ||
		    (v->n_logs > 1 &&
		     (log[-1].number >= log->number || !log[-1].sealed)))
			return pager_corrupt(pg, 0, H_LOGS, "bad log");
	}
	return 0;
}

/*
 * One run, which must start at page *next: the parts of an image lie one
 * after another, so a run cannot reach into another or out of the image.
 */
static int decode_run(struct pager *pg, const uint8_t *p, uint64_t pages,
		      uint64_t *next, struct version_run *run)
{
	uint64_t entries, top, keys;

	*run = (struct version_run){
		.level = load_u32(p),
		.index = load_u32(p + 4),
		.tables = load_u64(p + 8),
		.bytes = load_u64(p + 16),
		.age_last = load_u64(p + 24),
		.first_page = load_u64(p + 32),
		.top_page = load_u64(p + 40),
		.keys_page = load_u64(p + 48),
		.keys_bytes = load_u64(p + 56),
	};
	entries = entry_pages(run->tables);
	top = top_pages(run->tables);
	keys = pages_for(run->keys_bytes, PAGE_PAYLOAD);
	/* each below 2^60, so that the sum is one */
	if (run->tables == 0 || entries > pages || top > pages ||
	    keys > pages || entries + top + keys > pages - *next)
		return pager_corrupt(pg, 0, H_RUNS, "run out of bounds");
	if (run->first_page != *next || run->top_page != *next + entries ||
	    run->keys_page != *next + entries + top)
		return pager_corrupt(pg, 0, H_RUNS, "run out of place");
	*next += entries + top + keys;
	return 0;
}

static int decode_runs(struct pager *pg, const uint8_t *p,
		       const struct counts *n, uint64_t next, struct version *v)
{
	uint64_t tables = 0;
	int r;

	v->runs = calloc((size_t)n->runs + 1, sizeof(*v->runs));
	if (!v->runs)
		return store_nomem(pg->err);
	for (; v->n_runs < n->runs; p += RUN_BYTES) {
		struct version_run *run = &v->runs[v->n_runs];
		bool first;

		if ((r = decode_run(pg, p, n->pages, &next, run)) < 0)
			return r;
		first = v->n_runs == 0 || run[-1].level < run->level;
		if (run->level >= n->levels || run->bytes > NUMBER_MAX ||
		    (first ? run->index != 0
			   : run->level != run[-1].level ||
				     run->index != run[-1].index + 1))
			return pager_corrupt(pg, 0, H_RUNS, "bad run");
		tables += run->tables;
		v->table_bytes += run->bytes;
		if (run->level == 0) {
			v->level0_runs++;
			v->level0_bytes += run->bytes;
		}
		v->n_runs++;
	}
	if (next != n->pages || tables != v->tables)
		return pager_corrupt(pg, 0, H_PAGES,
				     "runs do not fill the image");
	return 0;
}

int version_open(struct version *v, const struct page_source *src, void *window,
		 struct store_error *err)
{
	struct pager pg = pager_make(src, window, 0, err);
	struct buf head = BUF_INIT;
	struct counts n = { 0 };
	uint8_t *p;
	int r;

	if ((r = read_header(&pg, &n, &head)) < 0)
		goto out;
	p = head.data;
	memcpy(v->uuid, p + H_UUID, sizeof(v->uuid));
	v->generation = load_u64(p + H_GENERATION);
	v->manifest_checksum = pg.manifest_checksum;
	v->tables = load_u64(p + H_TABLES);
	v->n_levels = n.levels;
	if (v->generation == 0 || v->generation > NUMBER_MAX) {
		r = pager_corrupt(&pg, 0, H_GENERATION, "bad generation");
		goto out;
	}
	p += HEADER_BYTES;
	if ((r = decode_options(&pg, p, &v->options)) < 0)
		goto out;
	p += sizeof(struct options);
	if ((r = decode_logs(&pg, p, n.logs, v)) < 0)
		goto out;
	p += n.logs * (size_t)LOG_BYTES;
	r = decode_runs(&pg, p, &n, pages_for(head.len, PAGE_PAYLOAD), v);
out:
	buf_free(&head);
	if (r < 0)
		version_release(v);
	return r;
}

/* ---- finding ---- */

/* Is the largest key of entry `index`, with this prefix, at least `key`? */
static int reaches(struct pager *pg, const struct version_run *run,
		   uint64_t index, uint64_t prefix, struct slice key, bool *yes)
{
	struct version_entry e;
	int r, order;

	if (prefix != slice_prefix(key)) {
		*yes = prefix > slice_prefix(key);
		return 0;
	}
	if ((r = pager_entry(pg, run, index, &e)) < 0 ||
	    (r = pager_compare(pg, run, key, &e.largest, &order)) < 0)
		return r;
	*yes = order <= 0;
	return 0;
}

/* The first page of entries whose last one reaches `key`, by the top index. */
static int seek_page(struct pager *pg, const struct version_run *run,
		     struct slice key, uint64_t *page)
{
	uint64_t pages = entry_pages(run->tables), lo = 0, hi = pages;
	const uint8_t *p;
	int r;

	while (pages > 1 && lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;
		uint64_t last = (mid + 1) * PAGE_ENTRIES - 1, prefix;
		bool yes;

		if (last >= run->tables)
			last = run->tables - 1;
		if ((r = pager_read(pg, run->top_page + mid / PAGE_PREFIXES,
				    &p)) < 0)
			return r;
		prefix = load_u64(p + mid % PAGE_PREFIXES * 8);
		if ((r = reaches(pg, run, last, prefix, key, &yes)) < 0)
			return r;
		if (yes)
			hi = mid;
		else
			lo = mid + 1;
	}
	*page = lo;
	return 0;
}

/* The first entry whose largest key is >= `key`, or run->tables. */
static int seek(struct pager *pg, const struct version_run *run,
		struct slice key, uint64_t *index)
{
	uint64_t page, lo, hi;
	const uint8_t *p;
	int r;

	if ((r = seek_page(pg, run, key, &page)) < 0)
		return r;
	lo = page * PAGE_ENTRIES;
	hi = lo + PAGE_ENTRIES;
	if (lo > run->tables)
		lo = run->tables;
	if (hi > run->tables)
		hi = run->tables;
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2, prefix;
		bool yes;

		if ((r = pager_read(pg, run->first_page + page, &p)) < 0)
			return r;
		prefix = load_u64(p + mid % PAGE_ENTRIES * ENTRY_BYTES +
				  E_LARGEST);
		if ((r = reaches(pg, run, mid, prefix, key, &yes)) < 0)
			return r;
		if (yes)
			hi = mid;
		else
			lo = mid + 1;
	}
	*index = lo;
	return 0;
}

int version_find(const struct version *v, const struct page_source *src,
		 void *window, const struct version_run *run, struct slice key,
		 uint64_t *index, struct version_table *t,
		 struct store_error *err)
{
	struct pager pg = pager_make(src, window, v->manifest_checksum, err);
	struct version_entry e;
	int r, order;

	if ((r = seek(&pg, run, key, index)) < 0)
		return r;
	if (*index == run->tables)
		return 0;
	if ((r = pager_entry(&pg, run, *index, &e)) < 0 ||
	    (r = pager_compare(&pg, run, key, &e.smallest, &order)) < 0)
		return r;
	*t = e.table;
	return order >= 0;
}

int version_seek(const struct version *v, const struct page_source *src,
		 void *window, const struct version_run *run, struct slice key,
		 uint64_t *index, struct version_table *t,
		 struct store_error *err)
{
	struct pager pg = pager_make(src, window, v->manifest_checksum, err);
	struct version_entry e;
	int r;

	if ((r = seek(&pg, run, key, index)) < 0)
		return r;
	if (*index == run->tables)
		return 0;
	if ((r = pager_entry(&pg, run, *index, &e)) < 0)
		return r;
	*t = e.table;
	return 1;
}

int version_table_at(const struct version *v, const struct page_source *src,
		     void *window, const struct version_run *run,
		     uint64_t index, struct version_table *t,
		     struct store_error *err)
{
	struct pager pg = pager_make(src, window, v->manifest_checksum, err);
	struct version_entry e;
	int r;

	if ((r = pager_entry(&pg, run, index, &e)) < 0)
		return r;
	*t = e.table;
	return 0;
}

int version_smallest(const struct version *v, const struct page_source *src,
		     void *window, const struct version_run *run,
		     uint64_t index, struct buf *out, struct store_error *err)
{
	struct pager pg = pager_make(src, window, v->manifest_checksum, err);
	struct version_entry e;
	int r = pager_entry(&pg, run, index, &e);

	return r < 0 ? r : pager_key(&pg, run, &e.smallest, out);
}

int version_bounds(const struct version *v, const struct page_source *src,
		   void *window, const struct version_run *run, uint64_t index,
		   struct buf *smallest, struct buf *largest,
		   struct store_error *err)
{
	struct pager pg = pager_make(src, window, v->manifest_checksum, err);
	struct version_entry e;
	int r = pager_entry(&pg, run, index, &e);

	if (r == 0)
		r = pager_key(&pg, run, &e.smallest, smallest);
	return r < 0 ? r : pager_key(&pg, run, &e.largest, largest);
}
