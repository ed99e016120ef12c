/*
 * version.h - the version image NNNNNN.ver: one generation of the manifest in
 * binary, so that a lookup reads two or three pages instead of parsing JSON.
 *
 * Pages of 4 KiB, each with its own checksum.  The header page holds the
 * generation, the checksum of the manifest it images, the options, the logs'
 * and runs' places; each run is a sorted array of fixed-size entries with
 * 8-byte key prefixes under a small top index, so that finding the one table
 * of a run that may hold a key reads two pages.  Bytes: formats/version.md.
 *
 * Reading goes through a page source, so the same code reads a file by pread,
 * a map, and an image just encoded in memory.  Every number read is checked
 * before it is used; a damaged image is STORE_ECORRUPT, and the caller falls
 * back to MANIFEST.json, for an image holds nothing of its own.
 */
#ifndef FORMATS_VERSION_H
#define FORMATS_VERSION_H

#include "formats/manifest.h"

#define VERSION_PAGE 4096u

/*
 * Page `n` into *page: 4,096 bytes, valid until the next call with the same
 * `window`.  A source that ends before the page returns STORE_ECORRUPT.
 */
struct page_source {
	int (*read)(void *ctx, void *window, uint64_t n, const uint8_t **page,
		    struct store_error *err);
	void *ctx;
	uint64_t pages;	 /* in the source */
	const char *dir; /* for messages */
	const char *name;
};

/* Append the image of `m`, whose text has `manifest_checksum`, to `out`. */
int version_encode(const struct manifest *m, uint64_t manifest_checksum,
		   struct buf *out, struct store_error *err);

struct version_run {
	uint32_t level;
	uint32_t index; /* in its level, newest first */
	uint64_t tables;
	uint64_t first_page; /* of the entries */
	uint64_t top_page;   /* of the top index */
	uint64_t keys_page;  /* of the heap that holds the rest of long keys */
	uint64_t keys_bytes; /* in the heap */
	uint64_t bytes;	     /* of its tables */
	uint64_t age_last;
};

/* A decoded header: small, owned, immutable; shared between threads. */
struct version {
	uint8_t uuid[16];
	uint64_t generation;
	uint64_t manifest_checksum;
	uint64_t tables;
	struct options options;
	struct log_meta *logs; /* oldest first */
	size_t n_logs;
	struct version_run *runs; /* in search order */
	size_t n_runs;
	size_t n_levels;
	uint32_t level0_runs;
	uint64_t level0_bytes;
	uint64_t table_bytes; /* of all tables */
};

#define VERSION_INIT ((struct version){ .tables = 0 })

/*
 * Read and check the header (and its continuation pages).  `window` as in
 * page_source.  *v is VERSION_INIT; on failure it is released.
 */
int version_open(struct version *v, const struct page_source *src, void *window,
		 struct store_error *err);
void version_release(struct version *v);

/* One table as the image tells it. */
struct version_table {
	uint64_t number;
	uint64_t bytes;
	uint64_t entries;
	uint64_t age_first, age_last;
	uint64_t checksum;
	bool trimmed; /* the file holds keys below the range, which are not to
			 be seen */
};

/*
 * The table of `run` whose range may hold `key`: 1 and *t, or 0 when none
 * can.  *index is its place in the run.
 */
int version_find(const struct version *v, const struct page_source *src,
		 void *window, const struct version_run *run, struct slice key,
		 uint64_t *index, struct version_table *t,
		 struct store_error *err);

/*
 * For iterators: the first table of the run with largest >= key (1), or 0 when
 * all lie before it, *index then being run->tables.  An empty key finds the
 * first table.
 */
int version_seek(const struct version *v, const struct page_source *src,
		 void *window, const struct version_run *run, struct slice key,
		 uint64_t *index, struct version_table *t,
		 struct store_error *err);

/* Its smallest key as the manifest has it, replacing the contents of `out`. */
int version_smallest(const struct version *v, const struct page_source *src,
		     void *window, const struct version_run *run,
		     uint64_t index, struct buf *out, struct store_error *err);

/* Both its keys. */
int version_bounds(const struct version *v, const struct page_source *src,
		   void *window, const struct version_run *run, uint64_t index,
		   struct buf *smallest, struct buf *largest,
		   struct store_error *err);

/* Table `index` of the run. */
int version_table_at(const struct version *v, const struct page_source *src,
		     void *window, const struct version_run *run,
		     uint64_t index, struct version_table *t,
		     struct store_error *err);

/*
 * Every page's checksum and every entry against the rest of the image; and,
 * when `m` is not NULL, against the manifest.  For lsm-verify.
 */
int version_check(const struct page_source *src, void *window,
		  const struct manifest *m, struct store_error *err);

#endif
