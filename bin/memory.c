/*
 * memory.c - the tools' own memcpy() and its like, where the C library is musl.
 *
 * A tool is started for one record, and musl starts a process in a third of
 * the time that glibc takes, which asks the processor what it is, at length.
 * But musl's copies and comparisons are made to be small, and bulk loads, scans
 * and lookups consist of short ones: these take 16 bytes at a time, which
 * every x86-64 can, and other processors eight or one.  Programs that are
 * linked with glibc do not have this file.
 *
 * Below: the checking names under which libraries that were compiled for glibc
 * call the same functions.  Their sizes were checked by whoever called us.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if !defined(__GLIBC__) || defined(MEMORY_TEST)

#ifndef MEMORY
#define MEMORY(name) name
#endif

/* From here on the processor's own copy is faster than ours. */
#define LARGE 1024u

typedef uint16_t __attribute__((may_alias, aligned(1))) u16;
typedef uint32_t __attribute__((may_alias, aligned(1))) u32;
typedef uint64_t __attribute__((may_alias, aligned(1))) u64;
/* 16 bytes, wherever they lie; as the compiler has it for this processor. */
typedef uint8_t __attribute__((vector_size(16))) v16;
typedef v16 __attribute__((may_alias, aligned(1))) u128;

void *MEMORY(memcpy)(void *restrict to, const void *restrict from, size_t n);
void *MEMORY(memmove)(void *to, const void *from, size_t n);
int MEMORY(memcmp)(const void *a, const void *b, size_t n);
void *MEMORY(memchr)(const void *s, int c, size_t n);

/*
 * At most 64 bytes: all that is read is read before any is written, so they
 * may overlap.  The second half of each pair ends where the whole ends.
 */
static inline void move_few(uint8_t *d, const uint8_t *s, size_t n)
{
	if (n > 32) {
		v16 a = *(const u128 *)s, b = *(const u128 *)(s + 16);
		v16 c = *(const u128 *)(s + n - 32);
		v16 e = *(const u128 *)(s + n - 16);

		*(u128 *)d = a;
		*(u128 *)(d + 16) = b;
		*(u128 *)(d + n - 32) = c;
		*(u128 *)(d + n - 16) = e;
	} else if (n >= 16) {
		v16 a = *(const u128 *)s, b = *(const u128 *)(s + n - 16);

		*(u128 *)d = a;
		*(u128 *)(d + n - 16) = b;
	} else if (n >= 8) {
		uint64_t a = *(const u64 *)s, b = *(const u64 *)(s + n - 8);

		*(u64 *)d = a;
		*(u64 *)(d + n - 8) = b;
	} else if (n >= 4) {
		uint32_t a = *(const u32 *)s, b = *(const u32 *)(s + n - 4);

		*(u32 *)d = a;
		*(u32 *)(d + n - 4) = b;
	} else if (n >= 2) {
		uint16_t a = *(const u16 *)s, b = *(const u16 *)(s + n - 2);

		*(u16 *)d = a;
		*(u16 *)(d + n - 2) = b;
	} else if (n) {
		*d = *s;
	}
}

/* 64 bytes, read before they are written. */
static inline void move_64(uint8_t *d, const uint8_t *s)
{
	v16 a = *(const u128 *)s, b = *(const u128 *)(s + 16);
	v16 c = *(const u128 *)(s + 32), e = *(const u128 *)(s + 48);

	*(u128 *)d = a;
	*(u128 *)(d + 16) = b;
	*(u128 *)(d + 32) = c;
	*(u128 *)(d + 48) = e;
}

void *MEMORY(memcpy)(void *restrict to, const void *restrict from, size_t n)
{
	const uint8_t *s = from;
	uint8_t *d = to;

	if (n <= 64) {
		move_few(d, s, n);
		return to;
	}
#ifdef __x86_64__
	if (n >= LARGE) {
		__asm__ volatile("rep movsb"
				 : "+D"(d), "+S"(s), "+c"(n)
				 :
				 : "memory");
		return to;
	}
#endif
	for (; n > 64; n -= 64, d += 64, s += 64)
		move_64(d, s);
	/* The last 64, some of which are there already. */
	move_64(d + n - 64, s + n - 64);
	return to;
}

void *MEMORY(memmove)(void *to, const void *from, size_t n)
{
	const uint8_t *s = from;
	uint8_t *d = to;

	if (n <= 64) {
		move_few(d, s, n);
		return to;
	}
	if ((uintptr_t)d - (uintptr_t)s >= n) {
		/* Nothing is written that is yet to be read, if we go up. */
		uint8_t *last = d + n - 64;
		v16 a = *(const u128 *)(s + n - 64);
		v16 b = *(const u128 *)(s + n - 48);
		v16 c = *(const u128 *)(s + n - 32);
		v16 e = *(const u128 *)(s + n - 16);

		for (; n > 64; n -= 64, d += 64, s += 64)
			move_64(d, s);
		*(u128 *)last = a;
		*(u128 *)(last + 16) = b;
		*(u128 *)(last + 32) = c;
		*(u128 *)(last + 48) = e;
		return to;
	}
	for (; n > 64; n -= 64)
		move_64(d + n - 64, s + n - 64);
	move_few(d, s, n);
	return to;
}

#ifdef __SSE2__
#include <emmintrin.h>

/* A bit for each byte of which both are the same. */
static inline unsigned same_16(const uint8_t *a, const uint8_t *b)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
	__m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);

	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y));
}
#else
static inline unsigned same_16(const uint8_t *a, const uint8_t *b)
{
	unsigned m = 0;

	for (unsigned i = 0; i < 16; i++)
		m |= (unsigned)(a[i] == b[i]) << i;
	return m;
}
#endif

static inline int differ(const uint8_t *a, const uint8_t *b, unsigned same)
{
	unsigned i = (unsigned)__builtin_ctz(~same);

	return a[i] - b[i];
}

int MEMORY(memcmp)(const void *x, const void *y, size_t n)
{
	const uint8_t *a = x, *b = y;
	unsigned same;

	if (n < 16) {
		if (n >= 8) {
			uint64_t p = *(const u64 *)a, q = *(const u64 *)b;

			if (p != q)
				goto bytes;
			a += n - 8;
			b += n - 8;
			n = 8;
		}
	bytes:
		for (; n && *a == *b; n--, a++, b++)
			;
		return n ? *a - *b : 0;
	}
	for (; n > 16; n -= 16, a += 16, b += 16) {
		same = same_16(a, b);
		if (same != 0xffff)
			return differ(a, b, same);
	}
	/* The last 16, some of which have been seen to be the same. */
	a += n;
	b += n;
	same = same_16(a - 16, b - 16);
	return same == 0xffff ? 0 : differ(a - 16, b - 16, same);
}

void *MEMORY(memchr)(const void *x, int c, size_t n)
{
	const uint8_t *s = x;
	uint8_t of[16];
	unsigned same;

	for (unsigned i = 0; i < 16; i++)
		of[i] = (uint8_t)c;
	for (; n >= 16; n -= 16, s += 16) {
		same = same_16(s, of);
		if (same)
			return (void *)(uintptr_t)(s + __builtin_ctz(same));
	}
	for (; n; n--, s++)
		if (*s == (uint8_t)c)
			return (void *)(uintptr_t)s;
	return NULL;
}

#ifndef MEMORY_TEST

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t n, size_t room);
int __snprintf_chk(char *to, size_t n, int flag, size_t room,
		   const char *format, ...);
int __vsnprintf_chk(char *to, size_t n, int flag, size_t room,
		    const char *format, va_list args);

void *__memcpy_chk(void *to, const void *from, size_t n, size_t room)
{
	(void)room;
	return memcpy(to, from, n);
}

char *__strncpy_chk(char *to, const char *from, size_t n, size_t room)
{
	(void)room;
	return strncpy(to, from, n);
}

int __vsnprintf_chk(char *to, size_t n, int flag, size_t room,
		    const char *format, va_list args)
{
	(void)flag;
	(void)room;
	return vsnprintf(to, n, format, args);
}

int __snprintf_chk(char *to, size_t n, int flag, size_t room,
		   const char *format, ...)
{
	va_list args;
	int r;

	va_start(args, format);
	r = __vsnprintf_chk(to, n, flag, room, format, args);
	va_end(args);
	return r;
}

#endif
#endif
