/*
 * versionpage.h - the layout of a version image, and reading its pages.
 *
 * Private to the files version*.c.  The meaning of each field is told in
 * formats/version.md.
 */
#ifndef FORMATS_VERSIONPAGE_H
#define FORMATS_VERSIONPAGE_H

#include "formats/version.h"

#define VERSION_MAGIC "lsm ver\n" /* 8 bytes, without a NUL */
#define VERSION_MAJOR 1u
#define VERSION_MINOR 0u

#define PAGE_PAYLOAD (VERSION_PAGE - 8u) /* its checksum follows */
#define ENTRY_BYTES 80u
#define PAGE_ENTRIES (PAGE_PAYLOAD / ENTRY_BYTES)
#define PAGE_PREFIXES (PAGE_PAYLOAD / 8u)

/* Offsets in the header. */
enum {
	H_MAGIC = 0,
	H_MAJOR = 8,
	H_MINOR = 10,
	H_MUST = 12,
	H_UUID = 16,
	H_GENERATION = 32,
	H_MANIFEST = 40,
	H_PAGES = 48,
	H_TABLES = 56,
	H_OPTIONS = 64, /* how many, as the three that follow */
	H_LOGS = 68,
	H_RUNS = 72,
	H_LEVELS = 76,
	HEADER_BYTES = 80,
	LOG_BYTES = 40,
	RUN_BYTES = 64,
};

/* Offsets in an entry. */
enum {
	E_NUMBER = 0,
	E_BYTES = 8,
	E_ENTRIES = 16,
	E_AGE_FIRST = 24,
	E_AGE_LAST = 32,
	E_CHECKSUM = 40,
	E_SMALLEST = 48, /* first 8 bytes, as the next */
	E_LARGEST = 56,
	E_KEYS = 64, /* where the rest of both lies in the heap */
	E_SMALLEST_LEN = 72,
	E_LARGEST_LEN = 74,
	E_FLAGS = 76,
};

/* In an entry's flags; the other bits are 0. */
#define ENTRY_TRIMMED 1u

struct version_key {
	uint64_t prefix;
	uint64_t rest; /* offset in the heap of what follows 8 bytes */
	uint32_t len;
};

struct version_entry {
	struct version_table table;
	struct version_key smallest, largest;
};

/* Pages of one image through one window; the last one read stays at hand. */
struct pager {
	const struct page_source *src;
	void *window;
	uint64_t manifest_checksum;
	uint64_t n; /* which page is at hand; UINT64_MAX: none */
	const uint8_t *page;
	struct store_error *err;
};

static inline uint64_t pages_for(uint64_t n, uint64_t per_page)
{
	return n / per_page + (n % per_page != 0);
}

/* How many pages the entries and the top index of a run take. */
static inline uint64_t entry_pages(uint64_t tables)
{
	return pages_for(tables, PAGE_ENTRIES);
}

static inline uint64_t top_pages(uint64_t tables)
{
	uint64_t n = entry_pages(tables);

	return n > 1 ? pages_for(n, PAGE_PREFIXES) : 0;
}

/* The part of a key that lies in the heap. */
static inline uint64_t rest_len(uint64_t key_len)
{
	return key_len > 8 ? key_len - 8 : 0;
}

/* What the last 8 bytes of page `n` must say. */
uint64_t version_page_sum(const uint8_t *page, uint64_t n,
			  uint64_t manifest_checksum);

struct pager pager_make(const struct page_source *src, void *window,
			uint64_t manifest_checksum, struct store_error *err);

/* Page `n`, its checksum compared; valid until another one is read. */
int pager_read(struct pager *pg, uint64_t n, const uint8_t **page);

/* Damage at `off` of page `n`: STORE_ECORRUPT. */
int pager_corrupt(const struct pager *pg, uint64_t n, uint64_t off,
		  const char *why);

/* Entry `index` of a run, its bounds checked. */
int pager_entry(struct pager *pg, const struct version_run *run, uint64_t index,
		struct version_entry *e);

/* How `key` compares to a key of the run: *order < 0, 0 or > 0. */
int pager_compare(struct pager *pg, const struct version_run *run,
		  struct slice key, const struct version_key *k, int *order);

/* The whole key, replacing the contents of `out`. */
int pager_key(struct pager *pg, const struct version_run *run,
	      const struct version_key *k, struct buf *out);

#endif
