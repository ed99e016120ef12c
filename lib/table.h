/*
 * table.h - reading one SSTable.
 *
 * An open table is immutable and may be read by many threads.  Opening reads
 * the footer; nothing else is read before it is needed, so opening and
 * searching cost the same at any size.  Every block's checksum is checked at
 * every decode, every length before it is used: a hostile file is
 * STORE_ECORRUPT, never a crash.  Bytes: formats/sstable.md.
 */
#ifndef LIB_TABLE_H
#define LIB_TABLE_H

#include "formats/manifest.h"
#include "formats/props.h"
#include "lib/cache.h"
#include "lib/counters.h"
#include "lib/iter.h"
#include "lib/os.h"

struct table;

/*
 * Open NNNNNN.sst.  `cache` and `counters` may be NULL, and outlive the table.
 *   STORE_EGONE     it is not there
 *   STORE_ECORRUPT  footer damaged, unknown version, or not a table
 */
int table_open(struct table **out, const struct dir *dir, uint64_t number,
	       struct cache *cache, struct counters *counters,
	       struct store_error *err);
/* The same for a file by any name, its number unknown: lsm-dump FILE. */
int table_open_name(struct table **out, const struct dir *dir, const char *name,
		    struct store_error *err);
void table_ref(struct table *t);
/* Drops one reference; the last one closes.  NULL is fine. */
void table_close(struct table *t);

uint64_t table_size(const struct table *t);

/*
 * Is most of it not in the page cache?  If so, all that is read of it from now
 * on is put out again behind its readers.  Before it is read by anybody.
 */
bool table_pass(struct table *t);

/* The result of a lookup. */
struct lookup {
	enum entry_kind kind;
	uint64_t expires_ms;
	uint64_t value_len;
	struct buf value; /* the whole value; chunked: where its chunks lie */
	bool chunked;	  /* then read it with table_chunk() */
	struct table *table; /* chunked: a reference, or NULL */
	uint64_t map_off;    /* chunked: of the chunk map, for messages */
	/* The value in a cached block, or a large one in a log's map: then
	 * `value` is not it. */
	struct slice borrowed;
	void *lender; /* what keeps it there, or NULL */
	void (*give_back)(void *lender);
};

#define LOOKUP_INIT ((struct lookup){ .kind = ENTRY_PUT })
void lookup_release(struct lookup *l);

/* A value that is not chunked, valid until the lookup is released or reused. */
static inline struct slice lookup_value(const struct lookup *l)
{
	return l->lender ? l->borrowed : buf_slice(&l->value);
}

/* The hash the filter is asked with; the same for every table. */
uint64_t table_hash(struct slice key);

/*
 * Find `key`: 1 and *l (a tombstone is found, too), or 0.  Asks the filter
 * first.  `l` is LOOKUP_INIT or released; its value buffer is reused.
 */
int table_get(struct table *t, struct slice key, uint64_t hash,
	      struct lookup *l, struct store_error *err);

/* Chunk `i` of a chunked value, replacing the contents of `out`. */
int table_chunk(struct table *t, const struct lookup *l, uint64_t i,
		struct buf *out, struct store_error *err);

/*
 * Iterate; keeps a reference to the table.  `stream`: read 1 MiB at a time
 * and bypass the cache, for scans, compaction and verification.
 */
int table_iter(struct table *t, bool stream, struct iter **out,
	       struct store_error *err);

/* Read and check the properties block; *p is TABLE_PROPS_INIT. */
int table_props(struct table *t, struct table_props *p,
		struct store_error *err);

/*
 * Verify everything: each block of each kind, order of keys, index against
 * data, filter against keys, counts against properties, no byte of the file
 * uncovered; with `meta`, against what the manifest says, whole-file checksum
 * included.  STORE_ECORRUPT names the first fault.
 */
int table_verify(struct table *t, const struct table_meta *meta,
		 struct store_error *err);

/*
 * For lsm-dump: calls `fn` for each block in file order with its kind
 * ("data", "chunk", "chunkmap", "index", "filter", "properties", "footer").
 */
typedef int table_block_fn(void *ctx, const char *kind, uint64_t off,
			   uint64_t stored, uint64_t decoded,
			   const char *codec);
int table_blocks(struct table *t, table_block_fn *fn, void *ctx,
		 struct store_error *err);

#endif
