#include "formats/bloom.h"

#include <xxhash.h>

#define PAGE_TAIL 64u

int bits_init(struct bits *b, uint64_t n)
{
	b->bytes = calloc((size_t)(n / 8 + 1), 1);
	if (!b->bytes)
		return -1;
	b->n = n;
	return 0;
}

void bits_release(struct bits *b)
{
	free(b->bytes);
	*b = BITS_INIT;
}

uint64_t bloom_hash(struct slice key)
{
	return XXH3_64bits(key.data, key.len);
}

uint64_t bloom_blocks(uint64_t keys, uint64_t bits_per_key)
{
	uint64_t n =
		(keys * bits_per_key + BLOOM_BLOCK * 8 - 1) / (BLOOM_BLOCK * 8);

	if (bits_per_key == 0)
		return 0;
	return n ? n : 1;
}

uint64_t bloom_block_of(uint64_t hash, uint64_t n)
{
	return (uint64_t)((unsigned __int128)hash * n >> 64);
}

/*
 * The keys of one block share the top bits of their hashes, so the hash is
 * mixed once more before six fields of nine bits are cut from it.
 */
static uint64_t remix(uint64_t hash)
{
	hash = (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

void bloom_add(struct bits *b, uint64_t hash)
{
	uint64_t base = bloom_block_of(hash, b->n / (BLOOM_BLOCK * 8)) *
			BLOOM_BLOCK * 8;
	uint64_t g = remix(hash);

	for (unsigned i = 0; i < BLOOM_PROBES; i++, g >>= 9)
		bits_set(b, base + (g & 511));
}

bool bloom_test_block(const uint8_t *block, uint64_t hash)
{
	uint64_t g = remix(hash);

	for (unsigned i = 0; i < BLOOM_PROBES; i++, g >>= 9)
		if (!(block[(g & 511) / 8] >> (g & 7) & 1))
			return false;
	return true;
}

bool bloom_test(const struct bits *b, uint64_t hash)
{
	uint64_t block = bloom_block_of(hash, b->n / (BLOOM_BLOCK * 8));

	return bloom_test_block(b->bytes + block * BLOOM_BLOCK, hash);
}

uint64_t bloom_pages(uint64_t blocks)
{
	return blocks / BLOOM_PAGE_BLOCKS + (blocks % BLOOM_PAGE_BLOCKS != 0);
}

uint64_t bloom_bytes(uint64_t blocks)
{
	return blocks * BLOOM_BLOCK + bloom_pages(blocks) * PAGE_TAIL;
}

size_t bloom_page_len(uint64_t blocks, uint64_t p)
{
	uint64_t left = blocks - p * BLOOM_PAGE_BLOCKS;

	if (left > BLOOM_PAGE_BLOCKS)
		left = BLOOM_PAGE_BLOCKS;
	return (size_t)left * BLOOM_BLOCK + PAGE_TAIL;
}

/* Of all but the checksum, which ends the page. */
static uint64_t page_sum(const uint8_t *page, size_t len, uint64_t p,
			 uint64_t salt)
{
	return XXH3_64bits_withSeed(page, len - 8, salt ^ p);
}

void bloom_page_encode(const struct bits *b, uint64_t p, uint64_t salt,
		       uint8_t *out)
{
	size_t len = bloom_page_len(b->n / (BLOOM_BLOCK * 8), p);
	size_t body = len - PAGE_TAIL;

	memcpy(out, b->bytes + p * BLOOM_PAGE_BLOCKS * BLOOM_BLOCK, body);
	memset(out + body, 0, PAGE_TAIL);
	put_u64(out + len - 8, page_sum(out, len, p, salt));
}

bool bloom_page_check(struct slice page, uint64_t p, uint64_t salt)
{
	return page.len > PAGE_TAIL &&
	       load_u64(page.data + page.len - 8) ==
		       page_sum(page.data, page.len, p, salt);
}
