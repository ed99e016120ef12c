/*
 * cache.h - one cache of decoded blocks for a handle, shared by its threads.
 *
 * A block is found by (file number, offset), is immutable, and is counted:
 * whoever got it releases it, and it is freed when it has left the cache and
 * the last holder let go.  Least recently used blocks leave first.
 */
#ifndef LIB_CACHE_H
#define LIB_CACHE_H

#include "formats/bytes.h"

#include <stdatomic.h>

struct cache;

struct block {
	uint8_t *data;
	size_t len;
	/* private to cache.c below */
	atomic_uint refs;
	uint64_t file, off;
	struct block *hash_next, *newer, *older;
	bool cached;
};

/* NULL on no memory.  `bytes` bounds the decoded bytes kept. */
struct cache *cache_new(size_t bytes);
/* Every block must have been released. */
void cache_free(struct cache *c);

/* A block with room for `len` bytes and one reference, or NULL. */
struct block *block_new(size_t len);
void block_release(struct block *b); /* NULL is fine */

/* The block, with a reference for the caller, or NULL. */
struct block *cache_get(struct cache *c, uint64_t file, uint64_t off);
/*
 * Offer a block the caller holds (its own reference stays).  If the same one
 * is there already, nothing happens.
 */
void cache_put(struct cache *c, uint64_t file, uint64_t off, struct block *b);

#endif
