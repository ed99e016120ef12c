/* The bricks: slices order, bufs grow, cursors stay inside. */
#include "formats/bytes.h"
#include "tests/unit/test.h"

TEST(a_short_slice_sorts_before_its_extensions)
{
	CHECK(slice_cmp(slice_str("ab"), slice_str("abc")) < 0);
	CHECK(slice_cmp(slice_str("abc"), slice_str("ab")) > 0);
	CHECK(slice_cmp(slice_str("b"), slice_str("abc")) > 0);
	CHECK(slice_cmp(SLICE_NULL, slice_str("a")) < 0);
	CHECK(slice_cmp(SLICE_NULL, SLICE_NULL) == 0);
	CHECK(slice_cmp(slice_make("\xff", 1), slice_make("\x7f", 1)) > 0);
}

TEST(slices_are_equal_when_all_their_bytes_are)
{
	CHECK(slice_eq(slice_make("a\0b", 3), slice_make("a\0b", 3)));
	CHECK(!slice_eq(slice_make("a\0b", 3), slice_make("a\0c", 3)));
	CHECK(!slice_eq(slice_str("a"), slice_str("ab")));
	CHECK(slice_eq(SLICE_NULL, slice_str("")));
	CHECK(slice_has_prefix(slice_str("abc"), slice_str("ab")));
	CHECK(slice_has_prefix(slice_str("abc"), SLICE_NULL));
	CHECK(!slice_has_prefix(slice_str("ab"), slice_str("abc")));
}

TEST(prefixes_that_differ_order_as_their_keys_do)
{
	static const char *const keys[] = { "",		"\x01",	    "a",
					    "abcdefg",	"abcdefgh", "abcdefghi",
					    "abcdefgi", "b",	    "\xff" };

	for (size_t i = 0; i < 9; i++)
		for (size_t j = 0; j < 9; j++) {
			struct slice a = slice_str(keys[i]);
			struct slice b = slice_str(keys[j]);
			uint64_t x = slice_prefix(a), y = slice_prefix(b);

			if (x != y)
				CHECK((x < y) == (slice_cmp(a, b) < 0));
		}
}

TEST(a_buf_grows_and_keeps_its_bytes)
{
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < 100000; i++)
		CHECK(buf_append_u32(&b, i) == 0);
	CHECK(b.len == 400000);
	for (uint32_t i = 0; i < 100000; i++)
		CHECK(load_u32(b.data + 4 * i) == i);
	CHECK(buf_reserve(&b, SIZE_MAX - 8) < 0);
	CHECK(b.len == 400000);
	CHECK(buf_assign(&b, slice_str("xyz")) == 0);
	CHECK(slice_eq(buf_slice(&b), slice_str("xyz")));
	CHECK(buf_append_zeros(&b, 2) == 0);
	CHECK(slice_eq(buf_slice(&b), slice_make("xyz\0\0", 5)));
	buf_free(&b);
	buf_free(&b);
	CHECK(b.data == NULL && b.len == 0);
}

TEST(integers_are_little_endian)
{
	struct buf b = BUF_INIT;
	struct cursor c;
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	buf_append_u8(&b, 0x01);
	buf_append_u16(&b, 0x0302);
	buf_append_u32(&b, 0x07060504);
	buf_append_u64(&b, UINT64_C(0x0f0e0d0c0b0a0908));
	for (uint8_t i = 0; i < 15; i++)
		CHECK(b.data[i] == i + 1);
	c = cursor_make(buf_slice(&b));
	CHECK(get_u8(&c, &v8) && v8 == 0x01);
	CHECK(get_u16(&c, &v16) && v16 == 0x0302);
	CHECK(get_u32(&c, &v32) && v32 == 0x07060504);
	CHECK(get_u64(&c, &v64) && v64 == UINT64_C(0x0f0e0d0c0b0a0908));
	CHECK(cursor_left(&c) == 0 && !get_u8(&c, &v8));
	buf_free(&b);
}

TEST(a_varint_comes_back_and_a_cut_one_moves_nothing)
{
	for (unsigned shift = 0; shift < 64; shift++)
		for (int d = -1; d <= 1; d++) {
			uint64_t v = (UINT64_C(1) << shift) + (uint64_t)d, w;
			uint8_t p[10];
			size_t n = put_varint(p, v);
			struct cursor c = cursor_make(slice_make(p, n));

			CHECK(n >= 1 && n <= 10);
			CHECK(get_varint(&c, &w) && w == v);
			CHECK(cursor_left(&c) == 0);
			c = cursor_make(slice_make(p, n - 1));
			CHECK(!get_varint(&c, &w) && cursor_left(&c) == n - 1);
		}
}

TEST(a_varint_beyond_64_bits_is_refused)
{
	uint8_t p[11];
	struct cursor c;
	uint64_t v;

	memset(p, 0xff, sizeof(p));
	p[9] = 1;
	c = cursor_make(slice_make(p, 10));
	CHECK(get_varint(&c, &v) && v == UINT64_MAX);
	p[9] = 2;
	c = cursor_make(slice_make(p, 10));
	CHECK(!get_varint(&c, &v));
	p[9] = 0x80;
	p[10] = 0;
	c = cursor_make(slice_make(p, 11));
	CHECK(!get_varint(&c, &v));
}

TEST(a_cursor_never_gives_more_than_there_is)
{
	struct cursor c = cursor_make(slice_str("abc"));
	struct slice s;

	CHECK(!get_bytes(&c, 4, &s));
	CHECK(!get_bytes(&c, SIZE_MAX, &s));
	CHECK(get_bytes(&c, 3, &s) && slice_eq(s, slice_str("abc")));
	CHECK(get_bytes(&c, 0, &s) && s.len == 0);
	c = cursor_make(SLICE_NULL);
	CHECK(cursor_left(&c) == 0);
}

TEST_MAIN()
