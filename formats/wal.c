#include "formats/wal.h"

#include "formats/manifest.h" /* KEY_MAX, VALUE_MAX */

#include <xxhash.h>

static const uint8_t magic[8] = "lsm wal\n";

/* Offsets in the header; see wal.md. */
enum {
	H_MAGIC = 0,
	H_MAJOR = 8,
	H_MINOR = 10,
	H_MUST = 12,
	H_UUID = 16,
	H_NUMBER = 32,
	H_SALT = 40,
	H_MAY = 48,
	H_CHECKSUM = 56,
};

/* Offsets in a batch. */
enum {
	B_CHECKSUM = 0,
	B_LENGTH = 8,
	B_SYNCED = 16,
	B_COUNT = 24,
	B_FLAGS = 28,
	B_RESERVED = 32,
};

/* Offsets in an entry. */
enum {
	E_CHECKSUM = 0,
	E_KIND = 4,
	E_FLAGS = 5,
	E_KEY_LEN = 6,
	E_VALUE_LEN = 8,
};

void wal_header_encode(uint8_t *p, const struct wal_header *h)
{
	memset(p, 0, WAL_HEADER);
	memcpy(p + H_MAGIC, magic, sizeof(magic));
	put_u16(p + H_MAJOR, WAL_MAJOR);
	put_u16(p + H_MINOR, WAL_MINOR);
	memcpy(p + H_UUID, h->uuid, sizeof(h->uuid));
	put_u64(p + H_NUMBER, h->number);
	put_u64(p + H_SALT, h->salt);
	put_u64(p + H_CHECKSUM, XXH3_64bits(p, H_CHECKSUM));
}

int wal_header_decode(struct slice file, struct wal_header *h, const char **why)
{
	const uint8_t *p = file.data;

	if (file.len < WAL_HEADER) {
		*why = "too short for a log's header";
	} else if (memcmp(p + H_MAGIC, magic, sizeof(magic))) {
		*why = "not a write-ahead log";
	} else if (load_u64(p + H_CHECKSUM) != XXH3_64bits(p, H_CHECKSUM)) {
		*why = "bad header checksum";
	} else if (load_u16(p + H_MAJOR) != WAL_MAJOR || load_u32(p + H_MUST)) {
		*why = "a log of a newer format version";
	} else {
		memcpy(h->uuid, p + H_UUID, sizeof(h->uuid));
		h->number = load_u64(p + H_NUMBER);
		h->salt = load_u64(p + H_SALT);
		return 0;
	}
	return STORE_ECORRUPT;
}

uint64_t wal_batch_seal(uint8_t *batch, uint64_t length, uint32_t count,
			uint64_t synced, uint64_t seed)
{
	uint64_t sum;

	put_u64(batch + B_LENGTH, length);
	put_u64(batch + B_SYNCED, synced);
	put_u32(batch + B_COUNT, count);
	put_u32(batch + B_FLAGS, 0);
	put_u64(batch + B_RESERVED, 0);
	sum = XXH3_64bits_withSeed(batch + B_LENGTH, length - B_LENGTH, seed);
	put_u64(batch + B_CHECKSUM, sum);
	return sum;
}

bool wal_batch_header(struct slice head, uint64_t left, struct wal_batch *b)
{
	if (head.len < WAL_BATCH_HEADER || left < WAL_BATCH_HEADER)
		return false;
	b->checksum = load_u64(head.data + B_CHECKSUM);
	b->length = load_u64(head.data + B_LENGTH);
	b->synced = load_u64(head.data + B_SYNCED);
	b->count = load_u32(head.data + B_COUNT);
	return b->count > 0 && b->length >= WAL_BATCH_HEADER &&
	       b->length <= left && load_u32(head.data + B_FLAGS) == 0 &&
	       load_u64(head.data + B_RESERVED) == 0 &&
	       (b->length - WAL_BATCH_HEADER) / WAL_ENTRY_HEADER >= b->count;
}

bool wal_batch_check(struct slice batch, uint64_t seed)
{
	return batch.len >= WAL_BATCH_HEADER &&
	       load_u64(batch.data + B_CHECKSUM) ==
		       XXH3_64bits_withSeed(batch.data + B_LENGTH,
					    batch.len - B_LENGTH, seed);
}

bool wal_batch_check_behind(struct slice batch, uint64_t seed, size_t n)
{
	uint8_t want[8];

	if (batch.len < WAL_BATCH_HEADER || n > sizeof(want))
		return false;
	put_u64(want, XXH3_64bits_withSeed(batch.data + B_LENGTH,
					   batch.len - B_LENGTH, seed));
	return !memcmp(batch.data + B_CHECKSUM + n, want + n, sizeof(want) - n);
}

int wal_entry_append(struct buf *out, uint8_t kind, struct slice key,
		     struct slice value, uint64_t expires_ms)
{
	size_t head = WAL_ENTRY_HEADER + (expires_ms ? 8 : 0);
	uint8_t *p;

	if (buf_reserve(out, head + key.len + value.len) < 0)
		return -1;
	p = out->data + out->len;
	put_u32(p + E_CHECKSUM, 0);
	p[E_KIND] = kind;
	p[E_FLAGS] = expires_ms ? WAL_EXPIRES : 0;
	put_u16(p + E_KEY_LEN, (uint16_t)key.len);
	put_u32(p + E_VALUE_LEN, (uint32_t)value.len);
	if (expires_ms)
		put_u64(p + WAL_ENTRY_HEADER, expires_ms);
	memcpy(p + head, key.data, key.len);
	if (value.len)
		memcpy(p + head + key.len, value.data, value.len);
	out->len += head + key.len + value.len;
	return 0;
}

uint64_t wal_entry_length(const uint8_t *head)
{
	return WAL_ENTRY_HEADER +
	       (head[E_FLAGS] & WAL_EXPIRES ? UINT64_C(8) : 0) +
	       load_u16(head + E_KEY_LEN) + load_u32(head + E_VALUE_LEN);
}

struct slice wal_entry_key(const uint8_t *head)
{
	return slice_make(head + WAL_ENTRY_HEADER +
				  (head[E_FLAGS] & WAL_EXPIRES ? 8 : 0),
			  load_u16(head + E_KEY_LEN));
}

static uint32_t entry_sum(const uint8_t *p, uint64_t length, uint64_t salt)
{
	return (uint32_t)XXH3_64bits_withSeed(p + E_KIND, length - E_KIND,
					      salt);
}

bool wal_entries_seal(uint8_t *entries, uint64_t length, uint32_t count,
		      uint64_t salt)
{
	uint64_t off = 0, n;

	for (uint32_t i = 0; i < count; i++) {
		if (length - off < WAL_ENTRY_HEADER)
			return false;
		n = wal_entry_length(entries + off);
		if (n > length - off)
			return false;
		put_u32(entries + off + E_CHECKSUM,
			entry_sum(entries + off, n, salt));
		off += n;
	}
	return off == length;
}

bool wal_entry_decode(struct slice bytes, struct wal_entry *e, const char **why)
{
	const uint8_t *p = bytes.data;
	uint64_t head = WAL_ENTRY_HEADER;
	uint32_t key_len, value_len;

	*why = "entry is cut short";
	if (bytes.len < WAL_ENTRY_HEADER)
		return false;
	e->length = wal_entry_length(p);
	if (e->length > bytes.len)
		return false;
	e->kind = p[E_KIND];
	e->expires_ms = 0;
	key_len = load_u16(p + E_KEY_LEN);
	value_len = load_u32(p + E_VALUE_LEN);
	*why = "entry is malformed";
	if ((e->kind != 1 && e->kind != 2) || p[E_FLAGS] & ~WAL_EXPIRES ||
	    key_len == 0 || value_len > VALUE_MAX ||
	    (e->kind == 2 && (value_len || p[E_FLAGS])))
		return false;
	if (p[E_FLAGS] & WAL_EXPIRES) {
		e->expires_ms = load_u64(p + head);
		if (e->expires_ms == 0)
			return false;
		head += 8;
	}
	e->key = slice_make(p + head, key_len);
	e->value = slice_make(p + head + key_len, value_len);
	return true;
}

bool wal_entry_check(struct slice entry, uint64_t salt)
{
	return entry.len >= WAL_ENTRY_HEADER &&
	       load_u32(entry.data + E_CHECKSUM) ==
		       entry_sum(entry.data, entry.len, salt);
}
