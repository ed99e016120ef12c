#include "formats/jsontext.h"

/* The bytes of the character at p[0], of which `left` are there; 0: bad. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c = p[0];
	size_t n;

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	n = c >= 0xf8 ? 0 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
	if (n == 0 || n > left)
		return 0;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c < 0xa0 || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

bool text_ok(struct slice s)
{
	size_t n;

	for (size_t i = 0; i < s.len; i += n) {
		n = utf8_length(s.data + i, s.len - i);
		if (n == 0)
			return false;
	}
	return true;
}

void hex_encode(char *out, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_decode(uint8_t *out, struct slice digits)
{
	if (digits.len % 2)
		return false;
	for (size_t i = 0; i < digits.len; i += 2) {
		int hi = digit(digits.data[i]), lo = digit(digits.data[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

void hex_encode_u64(char *out, uint64_t v)
{
	uint8_t p[8];

	put_u64(p, __builtin_bswap64(v));
	hex_encode(out, p, sizeof(p));
}

bool hex_decode_u64(uint64_t *v, struct slice digits)
{
	uint8_t p[8];

	if (digits.len != 16 || !hex_decode(p, digits))
		return false;
	*v = __builtin_bswap64(load_u64(p));
	return true;
}
