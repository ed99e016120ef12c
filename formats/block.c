#include "formats/block.h"

#include "formats/manifest.h" /* KEY_MAX */

/* An entry as it lies in the block, its key not yet put together. */
struct raw {
	uint32_t shared;
	struct slice suffix;
	uint32_t next; /* offset behind it */
};

static const char cut_short[] = "an entry is cut short";
static const char malformed[] = "a malformed entry";
static const char out_of_order[] = "keys out of order";
static const char bad_frame[] = "bad restart points";

void block_reader_release(struct block_reader *r)
{
	buf_free(&r->key);
	*r = BLOCK_READER_INIT;
}

/* The entries and the restart points of a block, or false. */
static bool frame(struct slice block, uint32_t *end, uint32_t *n)
{
	uint64_t tail;

	if (block.len < 8 || block.len > UINT32_MAX)
		return false;
	*n = load_u32(block.data + block.len - 4);
	tail = 4 + (uint64_t)*n * 4;
	if (*n == 0 || tail >= block.len)
		return false;
	*end = (uint32_t)(block.len - tail);
	return true;
}

static bool varint(struct cursor *c, uint64_t *v)
{
	if (c->p < c->end && *c->p < 0x80) {
		*v = *c->p++;
		return true;
	}
	return get_varint(c, v);
}

static bool take(struct cursor *c, uint64_t len, struct slice *s)
{
	if (cursor_left(c) < len)
		return false;
	*s = slice_make(c->p, (size_t)len);
	c->p += len;
	return true;
}

static bool tag_ok(uint8_t tag, const struct block_entry *e)
{
	if (tag & ~(0x0f | BLOCK_EXPIRES | BLOCK_CHUNKED))
		return false;
	switch (e->kind) {
	case BLOCK_PUT:
		return e->chunked || e->value.len <= BLOCK_VALUE_MAX;
	case BLOCK_DELETE:
		return tag == BLOCK_DELETE && e->value.len == 0;
	case BLOCK_INDEX:
		return tag == BLOCK_INDEX;
	default:
		return false;
	}
}

/* Decode the entry at `off`; NULL when it is sound, else what is wrong. */
static const char *decode_any(const uint8_t *data, uint32_t off, uint32_t end,
			      struct raw *raw, struct block_entry *e)
{
	struct cursor c;
	uint64_t shared, unshared, len;
	struct slice one;
	uint8_t tag;

	if (off >= end)
		return bad_frame;
	c = cursor_make(slice_make(data + off, end - off));
	if (!varint(&c, &shared) || !varint(&c, &unshared) ||
	    !take(&c, 1, &one))
		return cut_short;
	tag = one.data[0];
	e->kind = tag & 0x0f;
	e->chunked = tag & BLOCK_CHUNKED;
	e->expires_ms = 0;
	if (tag & BLOCK_EXPIRES &&
	    (!varint(&c, &e->expires_ms) || e->expires_ms == 0))
		return malformed;
	if (shared > KEY_MAX || unshared > KEY_MAX ||
	    shared + unshared > KEY_MAX || unshared == 0)
		return malformed;
	if (!varint(&c, &len) || !take(&c, unshared, &raw->suffix) ||
	    !take(&c, len, &e->value))
		return cut_short;
	if (!tag_ok(tag, e))
		return malformed;
	raw->shared = (uint32_t)shared;
	raw->next = (uint32_t)(c.p - data);
	return NULL;
}

/*
 * Nearly every entry is a put or a place, with lengths of one byte, that of
 * the value of two at most: those are decoded without a cursor.  False when
 * it is another one, or not sound.
 */
static inline bool decode_usual(const uint8_t *data, uint32_t off, uint32_t end,
				struct raw *raw, struct block_entry *e)
{
	const uint8_t *p = data + off;
	uint32_t left = off < end ? end - off : 0, head = 4, len;

	if (left < 8 || (p[0] | p[1]) & 0x80 || p[1] == 0 ||
	    (p[2] != BLOCK_PUT && p[2] != BLOCK_INDEX))
		return false;
	len = p[3];
	if (len & 0x80) {
		if (p[4] & 0x80)
			return false;
		len = (len & 0x7f) | (uint32_t)p[4] << 7;
		head = 5;
	}
	if (head + p[1] + len > left)
		return false;
	e->kind = p[2];
	e->chunked = false;
	e->expires_ms = 0;
	e->value = slice_make(p + head + p[1], len);
	raw->shared = p[0];
	raw->suffix = slice_make(p + head, p[1]);
	raw->next = off + head + p[1] + len;
	return true;
}

static inline const char *decode(const uint8_t *data, uint32_t off,
				 uint32_t end, struct raw *raw,
				 struct block_entry *e)
{
	return decode_usual(data, off, end, raw, e)
		       ? NULL
		       : decode_any(data, off, end, raw, e);
}

static uint32_t restart(const uint8_t *data, uint32_t end, uint32_t i)
{
	return load_u32(data + end + (size_t)i * 4);
}

/*
 * What is looked at next lies one line behind the other, but the processor sees
 * that late: the lines of about half the way to the next restart point.
 */
static void prefetch(const uint8_t *data, uint32_t off, uint32_t end)
{
	uint32_t last = end - off < 1024 ? end : off + 1024;

	for (; off < last; off += 64)
		__builtin_prefetch(data + off);
}

/*
 * Behind an entry of such a length no line follows the other.  Where those
 * behind it begin is not known, but of one length they often are.
 */
#define LARGE 512u
#define LARGE_AHEAD 4u

static void prefetch_large(const uint8_t *data, uint32_t off, uint32_t end,
			   uint32_t length)
{
	for (unsigned i = 0; i < LARGE_AHEAD && off < end; i++, off += length)
		__builtin_prefetch(data + off);
}

/*
 * The last restart point whose key is < `key`, or the first.  Keys there are
 * whole, so they are compared where they lie.
 */
static const char *restart_before(const uint8_t *data, uint32_t end, uint32_t n,
				  struct slice key, uint32_t *off)
{
	uint32_t lo = 0, hi = n - 1;
	struct block_entry e;
	struct raw raw;
	const char *why;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo + 1) / 2;

		why = decode(data, restart(data, end, mid), end, &raw, &e);
		if (why)
			return why;
		if (raw.shared)
			return bad_frame;
		if (slice_cmp(raw.suffix, key) < 0)
			lo = mid;
		else
			hi = mid - 1;
	}
	*off = restart(data, end, lo);
	return NULL;
}

bool block_reader_open(struct block_reader *r, struct slice block)
{
	r->valid = false;
	r->off = r->next = 0;
	r->data = block.data;
	r->why = bad_frame;
	return frame(block, &r->end, &r->n_restarts) &&
	       restart(r->data, r->end, 0) == 0;
}

bool block_restarts(const struct block_reader *r, uint32_t i)
{
	return r->valid && i < r->n_restarts &&
	       restart(r->data, r->end, i) == r->off && r->data[r->off] == 0;
}

static int fail(struct block_reader *r, const char *why)
{
	r->valid = false;
	r->why = why;
	return -1;
}

/*
 * Load the entry at `off`.  `follows`: the key buffer holds the entry before
 * it; a key that is not above that one is refused.  Else the entry is a
 * restart point.
 */
static int load(struct block_reader *r, uint32_t off, bool follows)
{
	struct raw raw;
	const char *why = decode(r->data, off, r->end, &raw, &r->e);
	size_t shared = raw.shared;

	if (why)
		return fail(r, why);
	if (!follows && shared)
		return fail(r, bad_frame);
	if (follows) {
		size_t left = r->key.len - shared;
		size_t n = left < raw.suffix.len ? left : raw.suffix.len;
		int d;

		if (shared > r->key.len)
			return fail(r, malformed);
		d = n ? memcmp(raw.suffix.data, r->key.data + shared, n) : 0;
		if (d < 0 || (d == 0 && raw.suffix.len <= left))
			return fail(r, out_of_order);
	}
	r->key.len = shared;
	if (buf_append_slice(&r->key, raw.suffix) < 0) {
		fail(r, "out of memory");
		return -2;
	}
	r->off = off;
	r->next = raw.next;
	r->valid = true;
	return 1;
}

/*
 * To the entry behind the current one.  As a rule its first byte that is not
 * shared is above the one in its place, and the key buffer has room for it:
 * then that is all to be checked.
 */
static int load_next(struct block_reader *r)
{
	uint8_t *key = r->key.data;
	struct raw raw;

	if (!decode_usual(r->data, r->next, r->end, &raw, &r->e) ||
	    raw.shared >= r->key.len || raw.suffix.data[0] <= key[raw.shared] ||
	    raw.suffix.len > r->key.cap - raw.shared)
		return load(r, r->next, true);
	memcpy(key + raw.shared, raw.suffix.data, raw.suffix.len);
	r->key.len = raw.shared + raw.suffix.len;
	r->off = r->next;
	r->next = raw.next;
	return 1;
}

int block_first(struct block_reader *r)
{
	return load(r, 0, false);
}

int block_next(struct block_reader *r)
{
	if (!r->valid)
		return 0;
	if (r->next == r->end) {
		r->valid = false;
		return 0;
	}
	return load_next(r);
}

/* From the restart point at `off` to the last entry that ends at `until`. */
static int walk_until(struct block_reader *r, uint32_t off, uint32_t until)
{
	int s = load(r, off, false);

	while (s > 0 && r->next < until)
		s = load_next(r);
	if (s > 0 && r->next != until)
		return fail(r, bad_frame);
	return s;
}

int block_last(struct block_reader *r)
{
	return walk_until(r, restart(r->data, r->end, r->n_restarts - 1),
			  r->end);
}

int block_prev(struct block_reader *r)
{
	uint32_t lo = 0, hi = r->n_restarts - 1;

	if (!r->valid)
		return 0;
	if (r->off == 0) {
		r->valid = false;
		return 0;
	}
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo + 1) / 2;

		if (restart(r->data, r->end, mid) < r->off)
			lo = mid;
		else
			hi = mid - 1;
	}
	return walk_until(r, restart(r->data, r->end, lo), r->off);
}

int block_seek(struct block_reader *r, struct slice key)
{
	uint32_t off;
	const char *why =
		restart_before(r->data, r->end, r->n_restarts, key, &off);
	int s;

	if (why)
		return fail(r, why);
	s = load(r, off, false);
	while (s > 0 && slice_cmp(buf_slice(&r->key), key) < 0)
		s = block_next(r);
	return s;
}

int block_seek_before(struct block_reader *r, struct slice key)
{
	int s = block_seek(r, key);

	if (s < 0)
		return s;
	return s > 0 ? block_prev(r) : block_last(r);
}

#define RESTARTS_FEW 8u

/*
 * From the restart point on, without putting keys together.  `match` is how
 * many bytes the last key, which was below `key`, has in common with it.  An
 * entry that shares more than that is below, too; one that shares less is
 * above; only one that shares exactly that much must be compared.
 */
int block_find(struct slice block, struct slice key, struct block_entry *e,
	       bool *equal, const char **why)
{
	uint32_t end, n, off;
	size_t match = 0;
	struct raw raw;

	*why = bad_frame;
	if (!frame(block, &end, &n))
		return -1;
	/* Few whole keys: all of them at once, not one after the other. */
	for (uint32_t i = 0; n <= RESTARTS_FEW && i < n; i++)
		__builtin_prefetch(block.data + restart(block.data, end, i));
	*why = restart_before(block.data, end, n, key, &off);
	if (*why)
		return -1;
	prefetch(block.data, off, end);
	for (uint32_t first = off; off < end; off = raw.next) {
		struct slice rest =
			slice_make(key.data + match, key.len - match);

		*why = decode(block.data, off, end, &raw, e);
		if (*why)
			return -1;
		if (off == first && raw.next - off >= LARGE)
			prefetch_large(block.data, raw.next, end,
				       raw.next - off);
		/*
		 * A restart point shares nothing though its key may: the last
		 * one below `key` is behind us, so this one is not below.
		 */
		*equal = raw.shared == 0 && slice_eq(raw.suffix, key);
		if (raw.shared < match)
			return 1;
		if (raw.shared == match) {
			size_t m = slice_common(raw.suffix, rest);

			*equal = m == rest.len && m == raw.suffix.len;
			if (*equal || m == rest.len ||
			    (m < raw.suffix.len &&
			     raw.suffix.data[m] > rest.data[m]))
				return 1;
			match += m;
		}
	}
	return 0;
}

bool block_place(const struct block_entry *e, uint64_t *off, uint32_t *len)
{
	struct cursor c = cursor_make(e->value);
	uint64_t n;

	if (e->kind != BLOCK_INDEX || !varint(&c, off) || !varint(&c, &n) ||
	    cursor_left(&c) || n > UINT32_MAX)
		return false;
	*len = (uint32_t)n;
	return true;
}

bool block_chunks(const struct block_entry *e, struct block_chunks *c)
{
	struct cursor in = cursor_make(e->value);
	uint64_t n;

	if (!e->chunked || !varint(&in, &c->value_len) ||
	    !varint(&in, &c->map_off) || !varint(&in, &n) || cursor_left(&in) ||
	    n > UINT32_MAX || c->value_len <= BLOCK_VALUE_MAX ||
	    c->value_len > VALUE_MAX)
		return false;
	c->map_len = (uint32_t)n;
	return true;
}
