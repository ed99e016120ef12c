/*
 * batch.h - a batch as the log will hold it (formats/wal.md): room for its
 * header, and its entries.  It is sealed where it lies, so a write copies it
 * once, to the file.
 *
 * What fills batches is in store.h.
 */
#ifndef LIB_BATCH_H
#define LIB_BATCH_H

#include "formats/wal.h"
#include "lib/store.h"

/* Without the header; empty: SLICE_NULL. */
static inline struct slice batch_entries(const struct store_batch *b)
{
	if (b->bytes.len < WAL_BATCH_HEADER)
		return SLICE_NULL;
	return slice_make(b->bytes.data + WAL_BATCH_HEADER,
			  b->bytes.len - WAL_BATCH_HEADER);
}

/* The entries of `more` behind those of `b`.  -1: no memory, *b as it was. */
int batch_join(struct store_batch *b, const struct store_batch *more);

/*
 * Fill in header and checksums for a place behind a batch of checksum `seed`,
 * in a log of such a salt; wal_batch_seal() tells of the rest.
 *   STORE_EINVAL  what store_batch_add() did not make
 */
int batch_seal(struct store_batch *b, uint64_t salt, uint64_t synced,
	       uint64_t seed, uint64_t *checksum, struct store_error *err);

#endif
