/*
 * test_memory.c - the tools' own memcpy() and its like against plain loops:
 * every length and place that takes another way, and nothing beyond.
 */
#include "tests/unit/test.h"

#include <sys/mman.h>

#define MEMORY_TEST
#define MEMORY(name) tool_##name
#include "bin/memory.c"

#define MOST 400u
#define ROOM 2048u

/* Ends where no byte may be touched, as it begins. */
static uint8_t *fenced(void)
{
	uint8_t *p = mmap(NULL, 3 * 4096, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	CHECK(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
	return p + 4096;
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rand_r(&seed);
}

static int sign(int c)
{
	return (c > 0) - (c < 0);
}

static void check_copy(uint8_t *a, uint8_t *b, size_t n)
{
	/* At both ends of their pages, in turn. */
	for (int ends = 0; ends < 4; ends++) {
		uint8_t *s = ends & 1 ? a + 4096 - n : a;
		uint8_t *d = ends & 2 ? b + 4096 - n : b;

		fill(a, 4096, (unsigned)n);
		memset(b, 0x5a, 4096);
		CHECK(tool_memcpy(d, s, n) == d);
		for (size_t i = 0; i < n; i++)
			CHECK(d[i] == s[i]);
		for (uint8_t *p = b; p < b + 4096; p++)
			CHECK((p >= d && p < d + n) || *p == 0x5a);
	}
}

TEST(memcpy_copies_just_what_it_is_told)
{
	uint8_t *a = fenced(), *b = fenced();

	for (size_t n = 0; n < MOST; n++)
		check_copy(a, b, n);
	for (size_t n = LARGE - 3; n < LARGE + 3; n++)
		check_copy(a, b, n);
	check_copy(a, b, 4096);
}

TEST(memmove_is_right_however_the_two_overlap)
{
	static uint8_t is[ROOM], was[ROOM];

	for (size_t n = 0; n < 300; n += n < 140 ? 1 : 13)
		for (int by = -200; by <= 200; by++) {
			uint8_t *s = is + ROOM / 2, *d = s + by;

			fill(is, ROOM, (unsigned)n + 7);
			memcpy(was, is, ROOM);
			CHECK(tool_memmove(d, s, n) == d);
			for (size_t i = 0; i < ROOM; i++) {
				size_t at = i - (size_t)(d - is);

				CHECK(is[i] ==
				      (at < n ? was[ROOM / 2 + at] : was[i]));
			}
		}
}

TEST(memcmp_finds_the_first_byte_that_differs_and_its_order)
{
	uint8_t *a = fenced() + 4096 - MOST, *b = fenced();

	for (size_t n = 0; n <= 100; n++) {
		uint8_t *x = a + MOST - n;

		fill(x, n, 3);
		memcpy(b, x, n);
		CHECK(tool_memcmp(x, b, n) == 0);
		for (size_t i = 0; i < n; i++) {
			uint8_t was = b[i];

			for (int v = 0; v < 256; v += 51) {
				b[i] = (uint8_t)v;
				/* What comes after it tells the opposite. */
				if (i + 1 < n)
					b[i + 1] ^= v > was ? 0 : 0xff;
				CHECK(sign(tool_memcmp(x, b, n)) ==
				      sign(memcmp(x, b, n)));
				memcpy(b, x, n);
			}
		}
	}
}

TEST(memchr_finds_the_first_of_several_and_looks_no_farther)
{
	uint8_t *a = fenced();

	for (size_t n = 0; n <= 100; n++) {
		uint8_t *p = a + 4096 - n;

		memset(a, 'x', 4096);
		CHECK(tool_memchr(p, 'y', n) == NULL);
		for (size_t i = n; i-- > 0;) {
			p[i] = 'y';
			CHECK(tool_memchr(p, 'y', n) == p + i);
			CHECK(tool_memchr(p, 0x100 + 'y', n) == p + i);
		}
		memset(a, 'y', 4096);
		CHECK(tool_memchr(a, 'x', n) == NULL);
	}
}

TEST_MAIN()
