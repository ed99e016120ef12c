#include "formats/block.h"

/* shared, unshared, tag, expiry, value length: at most this much */
#define ENTRY_HEAD_MAX (5 + 5 + 1 + 10 + 5)

void block_writer_release(struct block_writer *w)
{
	buf_free(&w->bytes);
	buf_free(&w->restarts);
	buf_free(&w->last);
}

void block_writer_clear(struct block_writer *w)
{
	buf_clear(&w->bytes);
	buf_clear(&w->restarts);
	w->since = 0;
	w->count = 0;
}

size_t block_writer_size(const struct block_writer *w)
{
	return w->bytes.len + w->restarts.len + 4;
}

size_t block_writer_size_with(const struct block_writer *w, size_t key_len,
			      size_t value_len)
{
	return block_writer_size(w) + 4 + ENTRY_HEAD_MAX + key_len + value_len;
}

int block_writer_add(struct block_writer *w, struct slice key,
		     const struct block_entry *e)
{
	size_t shared = 0;
	uint8_t tag = (uint8_t)e->kind;

	if (e->expires_ms)
		tag |= BLOCK_EXPIRES;
	if (e->chunked)
		tag |= BLOCK_CHUNKED;
	if (w->count == 0 || w->since == w->interval) {
		if (buf_append_u32(&w->restarts, (uint32_t)w->bytes.len) < 0)
			return -1;
		w->since = 0;
	} else {
		while (shared < w->last.len && shared < key.len &&
		       w->last.data[shared] == key.data[shared])
			shared++;
	}
	if (buf_append_varint(&w->bytes, shared) < 0 ||
	    buf_append_varint(&w->bytes, key.len - shared) < 0 ||
	    buf_append_u8(&w->bytes, tag) < 0 ||
	    (e->expires_ms &&
	     buf_append_varint(&w->bytes, e->expires_ms) < 0) ||
	    buf_append_varint(&w->bytes, e->value.len) < 0 ||
	    buf_append(&w->bytes, key.data + shared, key.len - shared) < 0 ||
	    buf_append_slice(&w->bytes, e->value) < 0 ||
	    buf_assign(&w->last, key) < 0)
		return -1;
	w->since++;
	w->count++;
	return 0;
}

int block_writer_end(struct block_writer *w)
{
	uint32_t n = (uint32_t)(w->restarts.len / 4);

	if (buf_append_slice(&w->bytes, buf_slice(&w->restarts)) < 0)
		return -1;
	return buf_append_u32(&w->bytes, n);
}
