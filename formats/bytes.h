/*
 * bytes.h - the bricks every codec is built from: slice, buf, cursor.
 *
 * A slice is borrowed memory: a pointer and a length, never owned, never
 * NUL-terminated.  A buf is owned memory that grows.  A cursor reads a slice
 * from front to back and cannot leave it.  Integers in files are
 * little-endian; the put_ and get_ functions here are the only place that
 * knows.
 *
 * No function here makes a system call.  Installed with store.h, which uses
 * slice and buf.
 */
#ifndef FORMATS_BYTES_H
#define FORMATS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct slice {
	const uint8_t *data;
	size_t len;
};

#define SLICE_NULL ((struct slice){ NULL, 0 })

static inline struct slice slice_make(const void *data, size_t len)
{
	return (struct slice){ data, len };
}

/* The bytes of a C string, without its NUL. */
static inline struct slice slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, strlen(s) };
}

/* memcmp order, a shorter slice before its extensions: <0, 0 or >0. */
static inline int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n ? memcmp(a.data, b.data, n) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || !memcmp(a.data, b.data, a.len));
}

/* How many bytes they begin with in common. */
static inline size_t slice_common(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len, i = 0;

	while (i < n && a.data[i] == b.data[i])
		i++;
	return i;
}

/* Nothing but zeros? */
static inline bool slice_zero(struct slice s)
{
	return s.len == 0 ||
	       (s.data[0] == 0 && !memcmp(s.data, s.data + 1, s.len - 1));
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len &&
	       (prefix.len == 0 || !memcmp(s.data, prefix.data, prefix.len));
}

/*
 * The first 8 bytes of a key as a big-endian integer, a short key padded with
 * zeros.  If the prefixes of two keys differ, they order as the keys do.
 */
static inline uint64_t slice_prefix(struct slice key)
{
	uint64_t v = 0;

	if (key.len >= 8) {
		memcpy(&v, key.data, 8);
		return __builtin_bswap64(v);
	}
	for (size_t i = 0; i < key.len; i++)
		v |= (uint64_t)key.data[i] << (56 - 8 * i);
	return v;
}

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

#define BUF_INIT ((struct buf){ NULL, 0, 0 })

static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->data, b->len };
}

/* Empty it, keep its memory. */
static inline void buf_clear(struct buf *b)
{
	b->len = 0;
}

/* Release the memory; the buf is empty and may be used again. */
static inline void buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

/*
 * Room for `more` bytes past b->len.  These return 0, or -1 when there is no
 * memory (or the length would overflow); the contents are then untouched.
 */
int buf_reserve(struct buf *b, size_t more);

static inline int buf_append(struct buf *b, const void *data, size_t len)
{
	if (len > b->cap - b->len && buf_reserve(b, len) < 0)
		return -1;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static inline int buf_append_slice(struct buf *b, struct slice s)
{
	return buf_append(b, s.data, s.len);
}

int buf_append_u8(struct buf *b, uint8_t v);
int buf_append_u16(struct buf *b, uint16_t v);
int buf_append_u32(struct buf *b, uint32_t v);
int buf_append_u64(struct buf *b, uint64_t v);
int buf_append_varint(struct buf *b, uint64_t v);
int buf_append_zeros(struct buf *b, size_t len);
/* Replace the contents by a copy of `s`, which may not lie in `b`. */
int buf_assign(struct buf *b, struct slice s);

static inline void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)v);
	put_u16(p + 2, (uint16_t)(v >> 16));
}

static inline void put_u64(uint8_t *p, uint64_t v)
{
	put_u32(p, (uint32_t)v);
	put_u32(p + 4, (uint32_t)(v >> 32));
}

/* Unchecked loads, for memory whose bounds the caller has compared. */
static inline uint16_t load_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load_u32(const uint8_t *p)
{
	return (uint32_t)load_u16(p) | (uint32_t)load_u16(p + 2) << 16;
}

static inline uint64_t load_u64(const uint8_t *p)
{
	return (uint64_t)load_u32(p) | (uint64_t)load_u32(p + 4) << 32;
}

/* LEB128, at most 10 bytes; returns the number of bytes written. */
size_t put_varint(uint8_t *p, uint64_t v);

/* A bounded reader: every get_ returns false, and moves nothing, when short. */
struct cursor {
	const uint8_t *p;
	const uint8_t *end;
};

static inline struct cursor cursor_make(struct slice s)
{
	return (struct cursor){ s.data, s.len ? s.data + s.len : s.data };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

bool get_u8(struct cursor *c, uint8_t *v);
bool get_u16(struct cursor *c, uint16_t *v);
bool get_u32(struct cursor *c, uint32_t *v);
bool get_u64(struct cursor *c, uint64_t *v);
/* Refuses more than 10 bytes and bits beyond 64. */
bool get_varint(struct cursor *c, uint64_t *v);
/* `len` bytes, borrowed from the cursor's memory. */
bool get_bytes(struct cursor *c, size_t len, struct slice *s);

#endif
