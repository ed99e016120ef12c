#include "lib/batch.h"

/* Entries of `bytes` come: room for them, and for the header of the first. */
static int begin(struct store_batch *b, size_t bytes)
{
	if (b->bytes.len)
		return buf_reserve(&b->bytes, bytes);
	if (buf_reserve(&b->bytes, WAL_BATCH_HEADER + bytes) < 0)
		return -1;
	return buf_append_zeros(&b->bytes, WAL_BATCH_HEADER);
}

int store_batch_add(struct store_batch *b, const struct store_entry *e,
		    struct store_error *err)
{
	if (e->key.len == 0 || e->key.len > STORE_KEY_MAX)
		return store_fail(err, STORE_EINVAL,
				  "a key of %zu bytes: it must have 1 to %u",
				  e->key.len, STORE_KEY_MAX);
	if (e->kind == STORE_PUT && e->value.len > STORE_VALUE_MAX)
		return store_fail(err, STORE_EINVAL,
				  "a value of %zu bytes: the limit is %u",
				  e->value.len, STORE_VALUE_MAX);
	if (e->kind != STORE_PUT && e->kind != STORE_DELETE)
		return store_fail(err, STORE_EINVAL, "unknown kind of entry");
	if (b->count == UINT32_MAX || b->bytes.len > UINT32_MAX)
		return store_fail(err, STORE_EINVAL, "batch over 4 GiB");
	if (begin(b, WAL_ENTRY_HEADER + sizeof(e->expires_ms) + e->key.len +
			     (e->kind == STORE_PUT ? e->value.len : 0)) < 0 ||
	    wal_entry_append(&b->bytes, (uint8_t)e->kind, e->key,
			     e->kind == STORE_PUT ? e->value : SLICE_NULL,
			     e->kind == STORE_PUT ? e->expires_ms : 0) < 0)
		return store_nomem(err);
	b->count++;
	return 0;
}

int store_batch_put(struct store_batch *b, struct slice key, struct slice value,
		    struct store_error *err)
{
	return store_batch_add(b,
			       &(struct store_entry){ .kind = STORE_PUT,
						      .key = key,
						      .value = value },
			       err);
}

int store_batch_delete(struct store_batch *b, struct slice key,
		       struct store_error *err)
{
	return store_batch_add(
		b, &(struct store_entry){ .kind = STORE_DELETE, .key = key },
		err);
}

void store_batch_clear(struct store_batch *b)
{
	buf_clear(&b->bytes);
	b->count = 0;
}

void store_batch_free(struct store_batch *b)
{
	buf_free(&b->bytes);
	b->count = 0;
}

int batch_join(struct store_batch *b, const struct store_batch *more)
{
	struct slice entries = batch_entries(more);

	if (begin(b, entries.len) < 0 ||
	    buf_append_slice(&b->bytes, entries) < 0)
		return -1;
	b->count += more->count;
	return 0;
}

int batch_seal(struct store_batch *b, uint64_t salt, uint64_t synced,
	       uint64_t seed, uint64_t *checksum, struct store_error *err)
{
	uint8_t *p = b->bytes.data;

	if (b->bytes.len < WAL_BATCH_HEADER ||
	    !wal_entries_seal(p + WAL_BATCH_HEADER,
			      b->bytes.len - WAL_BATCH_HEADER, b->count, salt))
		return store_fail(err, STORE_EINVAL,
				  "a batch that store_batch_add did not make");
	*checksum = wal_batch_seal(p, b->bytes.len, b->count, synced, seed);
	return 0;
}
