/*
 * cache.h - one cache of decoded blocks for a handle, shared by its threads.
 *
 * A block is found by (file number, offset), is immutable, and is counted:
 * whoever got it releases it, and it is freed when it has left the cache and
 * the last holder let go.  Who leaves first is found by the second-chance rule
 * (Corbato 1968): the oldest that was not asked for since it was last looked
 * at, so that asking for a block changes no list.
 */
#ifndef LIB_CACHE_H
#define LIB_CACHE_H

#include "formats/bytes.h"

#include <stdatomic.h>

struct cache;

typedef _Atomic(struct block *) block_link;

struct block {
	uint8_t *data;
	size_t len;
	/* private to cache.c below */
	atomic_uint refs;
	uint64_t file, off;
	block_link hash_next;
	struct block *newer, *older;
	bool cached, asked;
};

/* NULL on no memory.  `bytes` bounds the decoded bytes kept. */
struct cache *cache_new(size_t bytes);
/* Every block must have been released. */
void cache_free(struct cache *c);

/* Where a block's bytes lie, as b->data says. */
static inline const uint8_t *block_bytes(const struct block *b)
{
	return (const uint8_t *)(b + 1);
}

/* A block with room for `len` bytes and one reference, or NULL. */
struct block *block_new(size_t len);
void block_release(struct block *b); /* NULL is fine */

/* The block, with a reference for the caller, or NULL. */
struct block *cache_get(struct cache *c, uint64_t file, uint64_t off);
/* Has a block ever had to leave it? */
bool cache_is_full(const struct cache *c);
/*
 * Should the block, which is not there, be offered?  Always, until the cache is
 * full: then one that is asked for again before it is forgotten who asked, for
 * another has to leave for it (a doorkeeper, after TinyLFU: Einziger, Friedman
 * and Manes 2017).
 */
bool cache_wants(struct cache *c, uint64_t file, uint64_t off);

/*
 * The same block will be asked for soon: ask memory for where it stands, and
 * some hundred instructions later for the block itself, its first KiB (part 0),
 * its second, and so on; there may be less of it, or nothing any more.
 */
void cache_prefetch(struct cache *c, uint64_t file, uint64_t off);
void cache_prefetch_block(struct cache *c, uint64_t file, uint64_t off,
			  unsigned part);
/*
 * Offer a block the caller holds (its own reference stays).  If the same one
 * is there already, nothing happens.
 */
void cache_put(struct cache *c, uint64_t file, uint64_t off, struct block *b);

/*
 * Take `bytes` out of what the cache may hold, for who keeps something by
 * itself: false when that would be more than half of it.
 */
bool cache_lend(struct cache *c, size_t bytes);
void cache_take_back(struct cache *c, size_t bytes);

#endif
