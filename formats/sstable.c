#include "formats/sstable.h"

#include "formats/bloom.h"
#include "formats/manifest.h" /* NUMBER_MAX, VALUE_MAX */

#include <xxhash.h>

static const uint8_t magic[8] = "lsm sst\n";

/* Offsets in a block's trailer; see sstable.md. */
enum {
	T_CODEC = 0,
	T_KIND = 1,
	T_DECODED = 2,
	T_CHECKSUM = 6,
};

/* Offsets in the footer. */
enum {
	F_MAGIC = 0,
	F_MAJOR = 8,
	F_MINOR = 10,
	F_MUST = 12,
	F_MAY = 16,
	F_DEPTH = 20,
	F_UUID = 24,
	F_NUMBER = 40,
	F_SALT = 48,
	F_FILE_BYTES = 56,
	F_DATA_BYTES = 64,
	F_FILTER_OFF = 72,
	F_FILTER_BLOCKS = 80,
	F_INDEX_OFF = 88,
	F_ROOT_OFF = 96,
	F_ROOT_LEN = 104,
	F_PROPERTIES_LEN = 108,
	F_PROPERTIES_OFF = 112,
	F_DATA_BLOCKS = 120,
	F_ENTRIES = 128,
	F_TOMBSTONES = 136,
	F_RESERVED = 144,
	F_CHECKSUM = 152,
};

const char *sst_kind_name(enum sst_kind kind)
{
	static const char *const names[] = {
		[SST_DATA] = "data",
		[SST_CHUNKS] = "chunk",
		[SST_CHUNKMAP] = "chunkmap",
		[SST_INDEX] = "index",
		[SST_PROPERTIES] = "properties",
	};

	return names[kind];
}

size_t sst_decoded_max(enum sst_kind kind)
{
	switch (kind) {
	case SST_CHUNKS:
		return SST_CHUNK;
	case SST_CHUNKMAP:
		return 8 + 4 * (VALUE_MAX / SST_CHUNK);
	case SST_PROPERTIES:
		return 16u << 20;
	default:
		return 2u << 20;
	}
}

/* The place goes into the checksum, so that a misplaced block is caught. */
static uint64_t block_sum(const uint8_t *p, size_t len, uint64_t salt,
			  uint64_t off)
{
	return XXH3_64bits_withSeed(p, len, salt ^ off);
}

int sst_block_move(struct buf *out, const struct sst_block *b,
		   enum sst_kind kind, uint64_t salt, uint64_t off)
{
	size_t start = out->len;

	if (buf_append_slice(out, b->payload) < 0 ||
	    buf_append_u8(out, b->codec) < 0 ||
	    buf_append_u8(out, (uint8_t)kind) < 0 ||
	    buf_append_u32(out, b->decoded) < 0)
		return -1;
	return buf_append_u64(
		out, block_sum(out->data + start, out->len - start, salt, off));
}

int sst_block_append(struct buf *out, struct packer *packer,
		     struct slice payload, enum sst_kind kind, uint64_t salt,
		     uint64_t off)
{
	struct sst_block b = { .decoded = (uint32_t)payload.len };
	int codec = packer_pack(packer, payload, &b.payload);

	if (codec < 0)
		return -1;
	b.codec = (uint8_t)codec;
	return sst_block_move(out, &b, kind, salt, off);
}

const char *sst_block_check(struct slice stored, enum sst_kind kind,
			    uint64_t salt, uint64_t off, struct sst_block *b)
{
	const uint8_t *t;
	size_t n;

	if (stored.len < SST_TRAILER)
		return "too short for a block";
	n = stored.len - SST_TRAILER;
	t = stored.data + n;
	if (load_u64(t + T_CHECKSUM) !=
	    block_sum(stored.data, n + T_CHECKSUM, salt, off))
		return "bad checksum";
	if (t[T_KIND] != kind)
		return "a block of another kind";
	b->payload = slice_make(stored.data, n);
	b->codec = t[T_CODEC];
	b->decoded = load_u32(t + T_DECODED);
	if (b->codec > CODEC_ZSTD)
		return "unknown compression";
	if (b->decoded > sst_decoded_max(kind) || n > b->decoded)
		return "a block with an impossible length";
	return NULL;
}

void sst_footer_encode(uint8_t *p, const struct sst_footer *f)
{
	memset(p, 0, SST_FOOTER);
	memcpy(p + F_MAGIC, magic, sizeof(magic));
	put_u16(p + F_MAJOR, SST_MAJOR);
	put_u16(p + F_MINOR, SST_MINOR);
	put_u32(p + F_DEPTH, f->depth);
	memcpy(p + F_UUID, f->uuid, sizeof(f->uuid));
	put_u64(p + F_NUMBER, f->number);
	put_u64(p + F_SALT, f->salt);
	put_u64(p + F_FILE_BYTES, f->file_bytes);
	put_u64(p + F_DATA_BYTES, f->data_bytes);
	put_u64(p + F_FILTER_OFF, f->filter_off);
	put_u64(p + F_FILTER_BLOCKS, f->filter_blocks);
	put_u64(p + F_INDEX_OFF, f->index_off);
	put_u64(p + F_ROOT_OFF, f->root.off);
	put_u32(p + F_ROOT_LEN, f->root.len);
	put_u32(p + F_PROPERTIES_LEN, f->properties.len);
	put_u64(p + F_PROPERTIES_OFF, f->properties.off);
	put_u64(p + F_DATA_BLOCKS, f->data_blocks);
	put_u64(p + F_ENTRIES, f->entries);
	put_u64(p + F_TOMBSTONES, f->tombstones);
	put_u64(p + F_CHECKSUM, XXH3_64bits(p, F_CHECKSUM));
}

static void load_footer(const uint8_t *p, struct sst_footer *f)
{
	memcpy(f->uuid, p + F_UUID, sizeof(f->uuid));
	f->depth = load_u32(p + F_DEPTH);
	f->number = load_u64(p + F_NUMBER);
	f->salt = load_u64(p + F_SALT);
	f->file_bytes = load_u64(p + F_FILE_BYTES);
	f->data_bytes = load_u64(p + F_DATA_BYTES);
	f->filter_off = load_u64(p + F_FILTER_OFF);
	f->filter_blocks = load_u64(p + F_FILTER_BLOCKS);
	f->index_off = load_u64(p + F_INDEX_OFF);
	f->root.off = load_u64(p + F_ROOT_OFF);
	f->root.len = load_u32(p + F_ROOT_LEN);
	f->properties.len = load_u32(p + F_PROPERTIES_LEN);
	f->properties.off = load_u64(p + F_PROPERTIES_OFF);
	f->data_blocks = load_u64(p + F_DATA_BLOCKS);
	f->entries = load_u64(p + F_ENTRIES);
	f->tombstones = load_u64(p + F_TOMBSTONES);
}

/* One part right behind the other, from the data to the end of the file. */
static bool parts_ok(const struct sst_footer *f)
{
	uint64_t n = f->file_bytes; /* below 2^63: no sum here can overflow */

	return f->data_bytes <= n && f->filter_off <= n &&
	       f->filter_blocks <= n / BLOOM_BLOCK && f->root.off <= n &&
	       f->filter_off >= f->data_bytes &&
	       f->filter_off - f->data_bytes < BLOOM_PAGE &&
	       f->index_off == f->filter_off + bloom_bytes(f->filter_blocks) &&
	       f->root.off >= f->index_off &&
	       f->properties.off == f->root.off + f->root.len &&
	       n == f->properties.off + f->properties.len + SST_FOOTER;
}

const char *sst_footer_decode(const uint8_t *p, uint64_t file_bytes,
			      struct sst_footer *f)
{
	if (memcmp(p + F_MAGIC, magic, sizeof(magic)))
		return "not a table, or cut short";
	if (load_u64(p + F_CHECKSUM) != XXH3_64bits(p, F_CHECKSUM))
		return "bad footer checksum";
	if (load_u16(p + F_MAJOR) != SST_MAJOR || load_u32(p + F_MUST))
		return "a table of a newer format version";
	load_footer(p, f);
	if (f->file_bytes != file_bytes || file_bytes > INT64_MAX)
		return "the file has another length than its footer says";
	if (!parts_ok(f) || load_u64(p + F_RESERVED))
		return "the footer's places do not fit the file";
	if (f->depth < 1 || f->depth > SST_DEPTH_MAX ||
	    f->number > NUMBER_MAX || f->tombstones > f->entries ||
	    f->data_blocks > f->entries || f->data_blocks < 1)
		return "the footer's counts are impossible";
	return NULL;
}

struct slice sst_separator(struct slice before, struct slice after)
{
	size_t n = before.len < after.len ? before.len : after.len, i = 0;

	while (i < n && before.data[i] == after.data[i])
		i++;
	/* `after` up to the first difference is above `before`, and shorter
	 * than `after` unless that is its last byte */
	if (i < n && i + 1 < after.len)
		return slice_make(after.data, i + 1);
	return before;
}

int sst_chunkmap_decode(struct slice map, uint64_t value_len, uint64_t map_off,
			struct buf *offsets)
{
	uint64_t n = sst_chunk_count(value_len), off;

	if (value_len == 0 || value_len > VALUE_MAX || map.len != 8 + n * 4)
		return -1;
	buf_clear(offsets);
	if (buf_reserve(offsets, (size_t)(n + 1) * 8) < 0)
		return -2;
	off = load_u64(map.data);
	for (uint64_t i = 0; off <= map_off; i++) {
		buf_append(offsets, &off, 8);
		if (i == n)
			return off == map_off ? 0 : -1;
		off += load_u32(map.data + 8 + i * 4);
	}
	return -1;
}

struct sst_place sst_chunk_place(const struct buf *offsets, uint64_t i)
{
	uint64_t pair[2];

	memcpy(pair, offsets->data + i * 8, sizeof(pair));
	return (struct sst_place){ pair[0], (uint32_t)(pair[1] - pair[0]) };
}
