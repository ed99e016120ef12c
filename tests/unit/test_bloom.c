/* The bit vector, and how often the Bloom filter over it is wrong. */
#include "formats/bloom.h"
#include "tests/unit/test.h"

#include <stdio.h>

static uint64_t hash_of(uint64_t i)
{
	char key[32];

	return bloom_hash(
		slice_make(key, (size_t)snprintf(key, sizeof(key), "key%016llx",
						 (unsigned long long)i)));
}

static void fill(struct bits *b, uint64_t n, uint64_t per_key)
{
	CHECK(bits_init(b, bloom_blocks(n, per_key) * BLOOM_BLOCK * 8) == 0);
	for (uint64_t i = 0; i < n; i++)
		bloom_add(b, hash_of(i));
}

/* Of absent keys, those the filter lets through, in per cent. */
static double false_positives(uint64_t n, uint64_t per_key)
{
	struct bits b = BITS_INIT;
	uint64_t wrong = 0, asked = 200000;

	fill(&b, n, per_key);
	for (uint64_t i = 0; i < asked; i++)
		wrong += bloom_test(&b, hash_of(n + i));
	bits_release(&b);
	return 100.0 * (double)wrong / (double)asked;
}

TEST(a_bit_vector_holds_what_was_set_and_nothing_else)
{
	struct bits b = BITS_INIT;

	CHECK(bits_init(&b, 1001) == 0);
	CHECK(bits_size(&b) == 1001);
	for (uint64_t i = 0; i < 1001; i += 7)
		bits_set(&b, i);
	for (uint64_t i = 0; i < 1001; i++)
		CHECK(bits_test(&b, i) == (i % 7 == 0));
	bits_release(&b);
	bits_release(&b);
	CHECK(bits_size(&b) == 0);
}

TEST(every_key_that_was_added_is_found)
{
	struct bits b = BITS_INIT;

	fill(&b, 50000, 10);
	for (uint64_t i = 0; i < 50000; i++)
		CHECK(bloom_test(&b, hash_of(i)));
	bits_release(&b);
}

TEST(ten_bits_a_key_let_at_most_1_2_per_cent_through)
{
	double small = false_positives(1000, 10);
	double large = false_positives(1000000, 10);

	printf("# false positives: %.2f %% of 1,000, %.2f %% of 1,000,000\n",
	       small, large);
	CHECK(small <= 1.2);
	CHECK(large <= 1.2);
}

TEST(more_bits_a_key_let_fewer_through)
{
	double five = false_positives(100000, 5);
	double sixteen = false_positives(100000, 16);

	printf("# 5 bits: %.2f %%, 16 bits: %.2f %%\n", five, sixteen);
	CHECK(five < 15 && sixteen < 0.2);
}

TEST(the_number_of_blocks_follows_keys_and_bits)
{
	CHECK(bloom_blocks(1000, 0) == 0);
	CHECK(bloom_blocks(0, 10) == 1);
	CHECK(bloom_blocks(51, 10) == 1);
	CHECK(bloom_blocks(52, 10) == 2);
	CHECK(bloom_pages(63) == 1 && bloom_pages(64) == 2);
	CHECK(bloom_page_len(64, 0) == BLOOM_PAGE);
	CHECK(bloom_page_len(64, 1) == 128);
	CHECK(bloom_bytes(64) == BLOOM_PAGE + 128);
	CHECK(bloom_bytes(0) == 0);
	CHECK(bloom_block_of(0, 64) == 0);
	CHECK(bloom_block_of(UINT64_MAX, 64) == 63);
}

TEST(pages_answer_as_the_vector_does)
{
	struct bits b = BITS_INIT;
	uint8_t page[BLOOM_PAGE];
	uint64_t blocks;

	fill(&b, 20000, 10);
	blocks = bits_size(&b) / (BLOOM_BLOCK * 8);
	for (uint64_t p = 0; p < bloom_pages(blocks); p++) {
		size_t len = bloom_page_len(blocks, p);

		bloom_page_encode(&b, p, 99, page);
		CHECK(bloom_page_check(slice_make(page, len), p, 99));
		for (uint64_t i = 0; i < 40000; i++) {
			uint64_t n = bloom_block_of(hash_of(i), blocks);
			const uint8_t *at;

			if (n / BLOOM_PAGE_BLOCKS != p)
				continue;
			at = page + n % BLOOM_PAGE_BLOCKS * BLOOM_BLOCK;
			CHECK(bloom_test_block(at, hash_of(i)) ==
			      bloom_test(&b, hash_of(i)));
		}
	}
	bits_release(&b);
}

TEST(a_changed_or_misplaced_page_is_noticed)
{
	struct bits b = BITS_INIT;
	uint8_t page[BLOOM_PAGE];
	struct slice s = slice_make(page, BLOOM_PAGE);

	fill(&b, 10000, 10);
	bloom_page_encode(&b, 1, 99, page);
	CHECK(!bloom_page_check(s, 0, 99));
	CHECK(!bloom_page_check(s, 1, 98));
	CHECK(!bloom_page_check(slice_make(page, 8), 1, 99));
	for (size_t i = 0; i < BLOOM_PAGE; i++) {
		page[i] ^= 1;
		CHECK(!bloom_page_check(s, 1, 99));
		page[i] ^= 1;
	}
	bits_release(&b);
}

TEST_MAIN()
