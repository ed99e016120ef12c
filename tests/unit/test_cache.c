/* The cache of decoded blocks: found, counted, bounded, oldest first out. */
#include "lib/cache.h"
#include "tests/unit/test.h"

#include <pthread.h>

static void put(struct cache *c, uint64_t file, uint64_t off, size_t len)
{
	struct block *b = block_new(len);

	CHECK(b && b->len == len);
	memset(b->data, (int)(file + off), len);
	cache_put(c, file, off, b);
	block_release(b);
}

static bool has(struct cache *c, uint64_t file, uint64_t off)
{
	struct block *b = cache_get(c, file, off);
	bool found = b && b->data[0] == (uint8_t)(file + off);

	block_release(b);
	return found;
}

TEST(a_block_is_found_by_file_and_offset)
{
	struct cache *c = cache_new(1 << 20);

	put(c, 1, 0, 100);
	put(c, 1, 100, 100);
	put(c, 2, 0, 100);
	CHECK(has(c, 1, 0) && has(c, 1, 100) && has(c, 2, 0));
	CHECK(!has(c, 2, 100) && !has(c, 3, 0));
	cache_free(c);
}

TEST(the_least_recently_used_block_leaves_first)
{
	struct cache *c = cache_new(10000);

	for (uint64_t i = 0; i < 8; i++)
		put(c, 1, i, 1000);
	CHECK(has(c, 1, 0)); /* and is the newest now */
	put(c, 1, 8, 1000);
	CHECK(!has(c, 1, 1));
	CHECK(has(c, 1, 0) && has(c, 1, 2) && has(c, 1, 8));
	cache_free(c);
}

TEST(the_cache_stays_within_its_bytes)
{
	struct cache *c = cache_new(100000);
	size_t kept = 0;

	for (uint64_t i = 0; i < 1000; i++)
		put(c, i, i, 1000);
	for (uint64_t i = 0; i < 1000; i++)
		kept += has(c, i, i) ? 1000 : 0;
	CHECK(kept <= 100000 && kept >= 80000);
	put(c, 5000, 0, 200000); /* too large: not kept, evicts nothing */
	CHECK(!has(c, 5000, 0) && has(c, 999, 999));
	cache_free(c);
}

TEST(a_block_in_use_outlives_its_place_in_the_cache)
{
	struct cache *c = cache_new(5000);
	struct block *b;

	put(c, 1, 7, 1000);
	b = cache_get(c, 1, 7);
	for (uint64_t i = 0; i < 100; i++)
		put(c, 2, i, 1000);
	CHECK(!has(c, 1, 7));
	CHECK(b->data[0] == 8 && b->data[999] == 8);
	block_release(b);
	cache_free(c);
}

TEST(offering_a_block_twice_changes_nothing)
{
	struct cache *c = cache_new(5000);
	struct block *first, *second = block_new(1000);

	put(c, 1, 7, 1000);
	first = cache_get(c, 1, 7);
	memset(second->data, 0, 1000);
	cache_put(c, 1, 7, second);
	cache_put(c, 1, 7, first);
	block_release(first);
	CHECK(has(c, 1, 7));
	block_release(second);
	cache_free(c);
}

TEST(a_cache_of_no_bytes_keeps_nothing)
{
	struct cache *c = cache_new(0);

	put(c, 1, 1, 10);
	CHECK(!has(c, 1, 1));
	cache_free(c);
}

TEST(a_cache_is_full_from_when_a_block_has_to_leave_it)
{
	struct cache *c = cache_new(5000);

	for (uint64_t off = 0; off < 4; off++) {
		put(c, 1, off, 1000);
		CHECK(!cache_is_full(c));
	}
	put(c, 1, 4, 1000);
	CHECK(cache_is_full(c));
	cache_free(c);
}

static void *worker(void *arg)
{
	struct cache *c = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;

	for (int i = 0; i < 20000; i++) {
		uint64_t off = (uint64_t)rand_r(&seed) % 200;
		struct block *b = cache_get(c, 1, off);

		if (!b) {
			b = block_new(500);
			memset(b->data, (int)(1 + off), 500);
			cache_put(c, 1, off, b);
		}
		if (b->data[0] != (uint8_t)(1 + off) ||
		    b->data[499] != (uint8_t)(1 + off))
			return arg;
		block_release(b);
	}
	return NULL;
}

TEST(a_full_cache_wants_only_blocks_that_are_asked_for_again)
{
	struct cache *c = cache_new(20000);
	uint64_t i = 0;

	while (!cache_is_full(c)) {
		CHECK(cache_wants(c, 1, i) && cache_wants(c, 1, i));
		put(c, 1, i++, 1000);
	}
	CHECK(!cache_wants(c, 2, 0));
	CHECK(cache_wants(c, 2, 0));
	/* Who asked is forgotten when there were many others. */
	for (i = 1; i < 10000; i++)
		cache_wants(c, 2, i);
	CHECK(!cache_wants(c, 2, 0));
	cache_free(c);
}

TEST(threads_share_a_cache)
{
	struct cache *c = cache_new(50000);
	pthread_t t[4];
	void *bad = NULL, *r;

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, worker, c) == 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		bad = r ? r : bad;
	}
	CHECK(!bad);
	cache_free(c);
}

TEST_MAIN()
