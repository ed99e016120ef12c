#include "formats/bytes.h"

int buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->len, more, &need))
		return -1;
	if (need <= b->cap)
		return 0;
	cap = b->cap ? b->cap : 64;
	while (cap < need)
		if (__builtin_mul_overflow(cap, (size_t)2, &cap))
			return -1;
	p = realloc(b->data, cap);
	if (!p)
		return -1;
	b->data = p;
	b->cap = cap;
	return 0;
}

int buf_append_u8(struct buf *b, uint8_t v)
{
	return buf_append(b, &v, 1);
}

int buf_append_u16(struct buf *b, uint16_t v)
{
	uint8_t p[2];

	put_u16(p, v);
	return buf_append(b, p, sizeof(p));
}

int buf_append_u32(struct buf *b, uint32_t v)
{
	uint8_t p[4];

	put_u32(p, v);
	return buf_append(b, p, sizeof(p));
}

int buf_append_u64(struct buf *b, uint64_t v)
{
	uint8_t p[8];

	put_u64(p, v);
	return buf_append(b, p, sizeof(p));
}

int buf_append_varint(struct buf *b, uint64_t v)
{
	uint8_t p[10];

	return buf_append(b, p, put_varint(p, v));
}

int buf_append_zeros(struct buf *b, size_t len)
{
	if (buf_reserve(b, len) < 0)
		return -1;
	if (len)
		memset(b->data + b->len, 0, len);
	b->len += len;
	return 0;
}

int buf_assign(struct buf *b, struct slice s)
{
	buf_clear(b);
	return buf_append_slice(b, s);
}

size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		p[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	p[n++] = (uint8_t)v;
	return n;
}

bool get_u8(struct cursor *c, uint8_t *v)
{
	if (cursor_left(c) < 1)
		return false;
	*v = *c->p++;
	return true;
}

bool get_u16(struct cursor *c, uint16_t *v)
{
	if (cursor_left(c) < 2)
		return false;
	*v = load_u16(c->p);
	c->p += 2;
	return true;
}

bool get_u32(struct cursor *c, uint32_t *v)
{
	if (cursor_left(c) < 4)
		return false;
	*v = load_u32(c->p);
	c->p += 4;
	return true;
}

bool get_u64(struct cursor *c, uint64_t *v)
{
	if (cursor_left(c) < 8)
		return false;
	*v = load_u64(c->p);
	c->p += 8;
	return true;
}

bool get_varint(struct cursor *c, uint64_t *v)
{
	uint64_t r = 0;
	size_t left = cursor_left(c);

	for (size_t i = 0; i < 10 && i < left; i++) {
		uint8_t b = c->p[i];

		if (i == 9 && b > 1)
			return false;
		r |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80)) {
			*v = r;
			c->p += i + 1;
			return true;
		}
	}
	return false;
}

bool get_bytes(struct cursor *c, size_t len, struct slice *s)
{
	if (cursor_left(c) < len)
		return false;
	*s = slice_make(c->p, len);
	c->p += len;
	return true;
}
