/*
 * block.h - a decoded block of entries, keys sharing their prefixes: what a
 * table's data blocks and index blocks are inside.
 *
 * Bytes: formats/sstable.md.  A block_reader borrows the block's memory; it
 * never leaves it, whatever the bytes say, and every mover that meets
 * nonsense (a length beyond the block, a key out of order) fails with *why
 * set in the reader.
 */
#ifndef FORMATS_BLOCK_H
#define FORMATS_BLOCK_H

#include "formats/bytes.h"

/* On disk (low half of an entry's tag): never renumber. */
enum block_kind {
	BLOCK_PUT = 1,
	BLOCK_DELETE = 2,
	BLOCK_INDEX = 3, /* the value says where a block lies */
};

/* On disk (high half of an entry's tag): never renumber. */
enum block_flag {
	BLOCK_EXPIRES = 0x10, /* a varint of expiry follows the tag */
	BLOCK_CHUNKED = 0x20, /* the value says where the chunks lie */
};

/* A longer value lies in the file as chunks. */
#define BLOCK_VALUE_MAX 32768u

struct block_entry {
	enum block_kind kind;
	bool chunked;
	uint64_t expires_ms; /* 0: never */
	struct slice value;
};

/* ---- writing ---- */

struct block_writer {
	struct buf bytes;
	struct buf restarts; /* u32 each */
	struct buf last;     /* the key added last */
	uint32_t interval;   /* entries from one restart point to the next */
	uint32_t since;	     /* entries since the last one */
	uint64_t count;
};

#define BLOCK_WRITER_INIT(interval_)                                           \
	((struct block_writer){ .interval = (interval_) })

void block_writer_release(struct block_writer *w);
/* Start the next block; `last` is kept. */
void block_writer_clear(struct block_writer *w);
/* Append; keys must ascend within the block.  -1: no memory. */
int block_writer_add(struct block_writer *w, struct slice key,
		     const struct block_entry *e);
/* Bytes of the block if it ended here, and at most with one more entry. */
size_t block_writer_size(const struct block_writer *w);
size_t block_writer_size_with(const struct block_writer *w, size_t key_len,
			      size_t value_len);
/* End the block with its restart points; -1: no memory. */
int block_writer_end(struct block_writer *w);

/* ---- reading ---- */

struct block_reader {
	const uint8_t *data;
	uint32_t end; /* of the entries; the restart points follow */
	uint32_t n_restarts;
	uint32_t off, next; /* of the current entry and behind it */
	bool valid;	    /* stands on an entry */
	struct buf key;	    /* of the current entry, owned */
	struct block_entry e;
	const char *why; /* of the last failure */
};

#define BLOCK_READER_INIT ((struct block_reader){ .data = NULL })

void block_reader_release(struct block_reader *r);

/*
 * Read another block; false when its frame is damaged.  The reader then
 * stands nowhere.
 */
bool block_reader_open(struct block_reader *r, struct slice block);

/* Is the entry it stands on restart point `i`, as a lookup will want it? */
bool block_restarts(const struct block_reader *r, uint32_t i);

/*
 * Movers: 1 on an entry, 0 when there is none in that direction (or, for
 * next and prev, when it stood nowhere), -1 for a damaged block, -2 for no
 * memory.
 */
int block_first(struct block_reader *r);
int block_last(struct block_reader *r);
int block_next(struct block_reader *r);
int block_prev(struct block_reader *r);
/* The first entry with a key >= `key`. */
int block_seek(struct block_reader *r, struct slice key);
/* The last entry with a key < `key`. */
int block_seek_before(struct block_reader *r, struct slice key);

/*
 * The first entry with a key >= `key`, without a reader, an allocation or a
 * copy of any key: for lookups.  1 and *e, *equal telling whether the key is
 * `key` itself; 0 when there is none; -1 and *why for a damaged block.
 */
int block_find(struct slice block, struct slice key, struct block_entry *e,
	       bool *equal, const char **why);

/* The place a BLOCK_INDEX entry names; false when malformed. */
bool block_place(const struct block_entry *e, uint64_t *off, uint32_t *len);

/* What the value of a chunked entry says; false when malformed. */
struct block_chunks {
	uint64_t value_len;
	uint64_t map_off;
	uint32_t map_len;
};
bool block_chunks(const struct block_entry *e, struct block_chunks *c);

#endif
