/*
 * order.h beside a plain comparison sort.
 */
#include "formats/wal.h"
#include "lib/order.h"
#include "tests/unit/test.h"

#include <stdio.h>

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

struct batch {
	struct buf bytes;
	uint32_t count;
};

static struct batch made;

static void start(void)
{
	buf_clear(&made.bytes);
	made.count = 0;
}

static void add(const void *key, size_t len)
{
	uint32_t n = made.count++;

	CHECK(wal_entry_append(&made.bytes, 1, slice_make(key, len),
			       slice_make(&n, sizeof(n)),
			       n % 3 ? 0 : 1000) == 0);
}

static const uint8_t *entries;

static int cmp(const void *a, const void *b)
{
	const struct order_item *x = a, *y = b;
	int c = slice_cmp(wal_entry_key(entries + x->off),
			  wal_entry_key(entries + y->off));

	return c ? c : (x->off > y->off) - (x->off < y->off);
}

/* What order_entries() makes of the batch is what qsort and a walk make. */
static void compare(void)
{
	size_t n = made.count;
	struct order_item *got = calloc(n + 1, sizeof(*got));
	struct order_item *spare = calloc(n + 1, sizeof(*spare));
	struct order_item *want = calloc(n + 1, sizeof(*want));
	uint64_t off = 0;
	size_t kept = 0;

	CHECK(got && spare && want);
	entries = made.bytes.data;
	for (size_t i = 0; i < n; i++) {
		want[i].off = (uint32_t)off;
		off += wal_entry_length(entries + off);
	}
	qsort(want, n, sizeof(*want), cmp);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n ||
		    !slice_eq(wal_entry_key(entries + want[i].off),
			      wal_entry_key(entries + want[i + 1].off)))
			want[kept++] = want[i];
	CHECK(order_entries(buf_slice(&made.bytes), made.count, got, spare) ==
	      (int64_t)kept);
	for (size_t i = 0; i < kept; i++)
		CHECK(got[i].off - got[i].tag == want[i].off);
	free(got);
	free(spare);
	free(want);
}

TEST(random_keys_are_sorted_and_the_last_of_each_is_kept)
{
	for (uint32_t n = 1; n < 3000; n = n * 2 + rnd(5)) {
		start();
		for (uint32_t i = 0; i < n; i++) {
			char key[20];
			int len = sprintf(key, "%u", rnd(n));

			add(key, (size_t)len);
		}
		compare();
	}
}

TEST(keys_that_agree_for_long_are_sorted_behind_what_they_share)
{
	start();
	for (uint32_t i = 0; i < 2000; i++) {
		char key[200];
		int len = sprintf(key,
				  "a prefix that is much longer than eight "
				  "bytes, then %s, and at last %u",
				  rnd(2) ? "one thing" : "another", rnd(700));

		add(key, (size_t)len);
	}
	compare();
}

/* Zeros are what short keys are padded with. */
TEST(keys_of_zeros_and_their_beginnings_are_told_apart)
{
	static const uint8_t bytes[] = { 0, 0, 1, 255 };
	uint8_t key[20];

	start();
	for (uint32_t i = 0; i < 5000; i++) {
		size_t len = 1 + rnd(sizeof(key));

		for (size_t k = 0; k < len; k++)
			key[k] = bytes[rnd(rnd(4) + 1)];
		add(key, len);
	}
	compare();
}

TEST(each_key_may_begin_the_next)
{
	static uint8_t key[3000];

	start();
	for (uint32_t i = 0; i < 1500; i++)
		add(key, 1 + rnd(sizeof(key)));
	compare();
}

TEST(one_key_many_times_is_one_entry_the_last)
{
	start();
	for (uint32_t i = 0; i < 1000; i++)
		add("the same", 8);
	compare();
}

TEST(sorted_and_nearly_sorted_entries_are_sorted)
{
	for (int swap = 0; swap < 2; swap++) {
		start();
		for (uint32_t i = 0; i < 1000; i++) {
			char key[20];

			sprintf(key, "%08u", swap && i == 999 ? 500 : i);
			add(key, 8);
		}
		compare();
	}
}

TEST(a_batch_that_ends_early_or_late_is_refused)
{
	struct order_item items[4], spare[4];

	start();
	add("one", 3);
	add("two", 3);
	CHECK(order_entries(buf_slice(&made.bytes), 2, items, spare) == 2);
	CHECK(order_entries(buf_slice(&made.bytes), 1, items, spare) == -1);
	CHECK(order_entries(buf_slice(&made.bytes), 3, items, spare) == -1);
	CHECK(order_entries(slice_make(made.bytes.data, made.bytes.len - 1), 2,
			    items, spare) == -1);
}

TEST_MAIN()
