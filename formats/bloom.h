/*
 * bloom.h - a bit vector, and a Bloom filter over it.
 *
 * The filter is blocked: a key's hash picks one block of 64 bytes and six
 * bits in it, so a lookup touches one cache line.  It answers "certainly not
 * there" or "perhaps"; with 10 bits a key about one absent key in a hundred
 * gets a "perhaps".
 *
 * In a file the blocks lie in pages of BLOOM_PAGE bytes, 63 blocks and a tail
 * with a checksum, so that a lookup reads one page and can believe it.
 * Bytes: formats/sstable.md.
 */
#ifndef FORMATS_BLOOM_H
#define FORMATS_BLOOM_H

#include "formats/bytes.h"

struct bits {
	uint8_t *bytes; /* owned; bit i is bit i % 8 of byte i / 8 */
	uint64_t n;
};

#define BITS_INIT ((struct bits){ NULL, 0 })

/* `n` bits, all clear; -1 on no memory. */
int bits_init(struct bits *b, uint64_t n);
/* A BITS_INIT or a released one is fine. */
void bits_release(struct bits *b);

static inline uint64_t bits_size(const struct bits *b)
{
	return b->n;
}

static inline void bits_set(struct bits *b, uint64_t i)
{
	b->bytes[i / 8] |= (uint8_t)(1u << i % 8);
}

static inline bool bits_test(const struct bits *b, uint64_t i)
{
	return b->bytes[i / 8] >> i % 8 & 1;
}

/* On disk: never change. */
#define BLOOM_BLOCK 64u
#define BLOOM_PROBES 6u
#define BLOOM_PAGE 4096u
#define BLOOM_PAGE_BLOCKS 63u

/* How a key is hashed before the filter sees it. */
uint64_t bloom_hash(struct slice key);

/* Blocks for `keys` keys at `bits_per_key`; at least 1, 0 for 0 bits. */
uint64_t bloom_blocks(uint64_t keys, uint64_t bits_per_key);

/* The block of `n` > 0 that a hash belongs to. */
uint64_t bloom_block_of(uint64_t hash, uint64_t n);

/* `b` holds whole blocks: bits_init(b, blocks * BLOOM_BLOCK * 8). */
void bloom_add(struct bits *b, uint64_t hash);
bool bloom_test(const struct bits *b, uint64_t hash);
/* The same for one block's 64 bytes, wherever they lie. */
bool bloom_test_block(const uint8_t *block, uint64_t hash);

/* Pages that `blocks` take, the bytes of all, and of page `p`. */
uint64_t bloom_pages(uint64_t blocks);
uint64_t bloom_bytes(uint64_t blocks);
size_t bloom_page_len(uint64_t blocks, uint64_t p);

/*
 * Write page `p` to `out`, bloom_page_len() bytes.  `salt` is the table's;
 * the page's place goes into the checksum, too.
 */
void bloom_page_encode(const struct bits *b, uint64_t p, uint64_t salt,
		       uint8_t *out);
bool bloom_page_check(struct slice page, uint64_t p, uint64_t salt);

#endif
