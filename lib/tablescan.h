/*
 * tablescan.h - looking up ascending keys in one table.
 *
 * The blocks of the index and of data that the last key needed stay decoded,
 * in the scan's own memory, for the next ones; nothing goes through the cache.
 * Where the index block has led to is kept, too: the next key is in the same
 * data block, or in one of the next, as a rule.  One thread at a time.
 */
#ifndef LIB_TABLESCAN_H
#define LIB_TABLESCAN_H

#include "formats/block.h"
#include "formats/sstable.h"
#include "lib/table.h"
#include "lib/view.h"

/* A decoded block, and where it lies in the file. */
struct tablescan_block {
	struct sst_place place; /* len 0: none */
	struct buf bytes;
};

struct tablescan {
	struct table *t; /* borrowed */
	struct window w;
	struct tablescan_block index, data;
	struct block_reader at; /* in the lowest index: leads to `data` */
};

struct table_hit {
	enum entry_kind kind;
	bool chunked;
	uint64_t expires_ms;
	struct slice value; /* unless chunked; valid until the next call */
};

void tablescan_init(struct tablescan *s, struct table *t);
void tablescan_release(struct tablescan *s);

/* A key of this table_hash() comes soon. */
void tablescan_prefetch(const struct tablescan *s, uint64_t hash);
/*
 * Find `key`, which is not below the one before it: 1 and *hit (a tombstone is
 * found, too), or 0.
 */
int tablescan_get(struct tablescan *s, struct slice key, uint64_t hash,
		  struct table_hit *hit, struct store_error *err);

#endif
