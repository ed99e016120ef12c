/*
 * tablefile.h - the inside of an open table: its footer, and reading single
 * blocks of it.  Shared by what looks up (table.c), iterates (tableiter.c)
 * and walks the whole file (tablewalk.c); nobody else includes it.
 *
 * Everything here may be called by many threads; a window belongs to one.
 */
#ifndef LIB_TABLEFILE_H
#define LIB_TABLEFILE_H

#include "formats/block.h"
#include "formats/sstable.h"
#include "lib/table.h"
#include "lib/view.h"

/* So much of the end is read when a table is opened: as a rule the root, too.
 */
#define TABLE_TAIL 4096u

struct guide;

struct table {
	struct view view;
	uint64_t size;
	struct sst_footer footer;
	uint8_t tail[TABLE_TAIL];
	size_t tail_len;
	struct cache *cache;	   /* or NULL */
	struct counters *counters; /* or NULL */
	atomic_uint refs;
	atomic_uint_fast64_t lookups;  /* before there was a guide */
	atomic_uint absent;	       /* of the last lookups; see table.c */
	_Atomic(struct guide *) guide; /* guide.h */
	_Atomic(struct block *) root;  /* kept from its first use on */
	/*
	 * Where the cache has room for it, pages of the filter, each kept from
	 * its first use on; NULL while nothing was asked.
	 */
	_Atomic(_Atomic(struct block *) *) filter;
};

/* STORE_ECORRUPT, naming the table's file. */
int table_corrupt(const struct table *t, uint64_t off, const char *why,
		  struct store_error *err);

/* Bytes of the file, valid like view_read()'s: of its end without a read. */
int table_read(struct table *t, struct window *w, uint64_t off, size_t len,
	       struct slice *out, struct store_error *err);
/* Read a stored block and check it; b->payload is valid like view_read()'s. */
int table_stored(struct table *t, struct window *w, struct sst_place place,
		 enum sst_kind kind, struct sst_block *b,
		 struct store_error *err);
/* Decode it to `out`, b->decoded bytes. */
int table_decode(const struct table *t, struct sst_place place,
		 const struct sst_block *b, uint8_t *out,
		 struct store_error *err);

/*
 * A decoded block with a reference for the caller, from the cache if `cached`
 * and there is one.
 */
int table_block(struct table *t, struct window *w, struct sst_place place,
		enum sst_kind kind, bool cached, struct block **out,
		struct store_error *err);

/*
 * A data block, to be looked at once: *bytes lie in *out, or, where it comes
 * from no cache and goes into none, in `room`, and *out is NULL.
 */
#define TABLE_ROOM ((size_t)8192)
int table_data(struct table *t, struct window *w, struct sst_place place,
	       uint8_t room[TABLE_ROOM], struct block **out,
	       struct slice *bytes, struct store_error *err);
/* The root of the index, borrowed for as long as the table is open. */
int table_root(struct table *t, struct window *w, struct slice *out,
	       struct store_error *err);

/* The cached block at `off`, if `cached` and there is one, or NULL. */
struct block *table_cached(struct table *t, uint64_t off, bool cached);

/* Page `p` of the filter, checked, with a reference for the caller. */
int table_filter_page(struct table *t, struct window *w, uint64_t p,
		      bool cached, struct block **out, struct store_error *err);
/* 0: a key of this hash is certainly not there; 1: perhaps. */
int table_ask(struct table *t, struct window *w, uint64_t hash,
	      struct store_error *err);
/* The same will be asked soon. */
void table_filter_prefetch(const struct table *t, uint64_t hash);
/* For table_close(). */
void table_filter_release(struct table *t);

/* The offsets of a value's chunks (sst_chunk_place()), replacing `out`. */
int table_chunkmap(struct table *t, struct window *w,
		   const struct block_chunks *c, struct buf *out,
		   struct store_error *err);
/* Chunk `i` of such a value, decoded, replacing `out`. */
int table_chunk_read(struct table *t, struct window *w,
		     const struct buf *offsets, uint64_t value_len, uint64_t i,
		     struct buf *out, struct store_error *err);

#endif
