/*
 * iter.h - walking entries in key order: what a memtable, a table, a run and
 * a merge of them have in common.
 *
 * An iterator is nowhere until it is positioned.  The movers return 1 when it
 * stands on an entry (`e`), 0 when there is none in that direction, or a
 * negative error, after which it is nowhere.  `e` and what it points to stay
 * valid until the next move.  One thread at a time.
 */
#ifndef LIB_ITER_H
#define LIB_ITER_H

#include "formats/sstable.h"

/* A value above this lies in a table as chunks of CHUNK_BYTES. */
#define VALUE_INLINE_MAX 32768u
#define CHUNK_BYTES 65536u

/* On disk (log, table): never renumber. */
enum entry_kind {
	ENTRY_PUT = 1,
	ENTRY_DELETE = 2,
};

struct entry {
	enum entry_kind kind;
	struct slice key;
	struct slice value;  /* not set when chunked */
	uint64_t value_len;  /* always set */
	uint64_t expires_ms; /* Unix time; 0: never */
	bool chunked;	     /* read it with iter->ops->chunk */
	bool leads;	     /* a block that iter->ops->block gives */
};

/* Entries that lie in a table as one data block. */
struct iter_block {
	struct slice bytes;	 /* decoded: formats/block.h */
	struct sst_block stored; /* as it lies there */
	struct slice last;	 /* not below any key of it */
};

struct iter;

typedef int iter_move(struct iter *it, struct store_error *err);

struct iter_ops {
	iter_move *first, *last;
	/* the first entry with a key >= `key` */
	int (*seek)(struct iter *it, struct slice key, struct store_error *err);
	/* the last entry with a key < `key` */
	int (*seek_before)(struct iter *it, struct slice key,
			   struct store_error *err);
	iter_move *next, *prev;
	/*
	 * Chunk `i` of the current entry's value: *out is CHUNK_BYTES long,
	 * the last one shorter; valid until the next call.  Only when chunked.
	 */
	int (*chunk)(struct iter *it, uint64_t i, struct slice *out,
		     struct store_error *err);
	void (*close)(struct iter *it);
	/*
	 * NULL where no entry leads: the block that the current one leads, if
	 * its entries are the next to be shown, one behind the other: 1, else
	 * 0.  Valid until the next move.
	 */
	int (*block)(const struct iter *it, struct iter_block *b);
	/* As next, past that block. */
	iter_move *skip;
};

struct iter {
	const struct iter_ops *ops;
	struct entry e;
};

static inline void iter_close(struct iter *it)
{
	if (it)
		it->ops->close(it);
}

static inline uint64_t chunk_count(uint64_t value_len)
{
	return (value_len + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

#endif
