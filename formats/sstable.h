/*
 * sstable.h - the bytes of a sorted table, NNNNNN.sst: stored blocks, chunk
 * maps, separators and the footer.
 *
 * What is inside a data or index block is formats/block.h's, the filter is
 * formats/bloom.h's, the properties are formats/props.h's.  Byte by byte:
 * formats/sstable.md.
 *
 * Pure functions over memory.  lib/build.h writes tables, lib/table.h reads.
 */
#ifndef FORMATS_SSTABLE_H
#define FORMATS_SSTABLE_H

#include "formats/bytes.h"
#include "formats/codec.h"
#include "formats/error.h"

#define SST_MAJOR 1u
#define SST_MINOR 0u
#define SST_FOOTER 160u
#define SST_TRAILER 14u
#define SST_CHUNK 65536u      /* decoded bytes of every chunk but the last */
#define SST_INDEX_BYTES 4096u /* an index block is ended here */
#define SST_INDEX_RESTART 8u  /* its restart interval */
#define SST_DEPTH_MAX 32u     /* levels of index */

/* On disk (block trailer): never renumber. */
enum sst_kind {
	SST_DATA = 1,
	SST_CHUNKS = 2,
	SST_CHUNKMAP = 3,
	SST_INDEX = 4,
	SST_PROPERTIES = 5,
};

/* "data", "chunk", "chunkmap", "index", "properties". */
const char *sst_kind_name(enum sst_kind kind);

/* The most a block of this kind may decode to. */
size_t sst_decoded_max(enum sst_kind kind);

/*
 * Append a stored block to `out`: the payload, compressed where that pays,
 * and its trailer.  `off` is where the block will lie in the file.  -1: no
 * memory.
 */
int sst_block_append(struct buf *out, struct packer *packer,
		     struct slice payload, enum sst_kind kind, uint64_t salt,
		     uint64_t off);

struct sst_block {
	struct slice payload; /* borrowed, still packed */
	uint8_t codec;
	uint32_t decoded; /* at most sst_decoded_max() */
};

/* The same for a block as it was stored elsewhere. */
int sst_block_move(struct buf *out, const struct sst_block *b,
		   enum sst_kind kind, uint64_t salt, uint64_t off);

/*
 * Check a stored block, which was found at `off` where one of `kind` should
 * be: NULL, or what is wrong.
 */
const char *sst_block_check(struct slice stored, enum sst_kind kind,
			    uint64_t salt, uint64_t off, struct sst_block *b);

/* A place in the file: a stored block, trailer included. */
struct sst_place {
	uint64_t off;
	uint32_t len;
};

struct sst_footer {
	uint8_t uuid[16]; /* of the store */
	uint64_t number;
	uint64_t salt;
	uint64_t file_bytes;
	uint64_t data_bytes;	/* data, chunk and chunkmap blocks: [0, this) */
	uint64_t filter_off;	/* zeros, fewer than 4096, may lie before it */
	uint64_t filter_blocks; /* 0: no filter */
	uint64_t index_off;	/* leaves first, the root last */
	struct sst_place root;
	struct sst_place properties; /* right behind the root */
	uint32_t depth;		     /* index levels, at least 1 */
	uint64_t data_blocks;
	uint64_t entries;
	uint64_t tombstones;
};

/* Write SST_FOOTER bytes to `p`. */
void sst_footer_encode(uint8_t *p, const struct sst_footer *f);
/*
 * Decode the footer of a file of `file_bytes`; every place in it then lies
 * inside the file, one part right behind the other.  NULL, or what is wrong.
 */
const char *sst_footer_decode(const uint8_t *p, uint64_t file_bytes,
			      struct sst_footer *f);

/*
 * A short key that separates `before` from `after`, which is above it:
 * before <= separator < after.  Borrowed from one of the two.
 */
struct slice sst_separator(struct slice before, struct slice after);

/* ---- chunk maps ---- */

static inline uint64_t sst_chunk_count(uint64_t value_len)
{
	return (value_len + SST_CHUNK - 1) / SST_CHUNK;
}

/* Decoded bytes of chunk `i` of a value. */
static inline uint32_t sst_chunk_len(uint64_t value_len, uint64_t i)
{
	uint64_t left = value_len - i * SST_CHUNK;

	return left < SST_CHUNK ? (uint32_t)left : SST_CHUNK;
}

/*
 * Check a decoded chunk map, of a value of `value_len` bytes, which lies at
 * `map_off`: the chunks are one behind the other and end where it starts.
 * Puts chunk_count + 1 offsets (uint64_t, of this machine) into `offsets`:
 * chunk i is [offsets[i], offsets[i + 1]).  0; -1: malformed; -2: no memory.
 */
int sst_chunkmap_decode(struct slice map, uint64_t value_len, uint64_t map_off,
			struct buf *offsets);

/* Chunk `i` of such offsets. */
struct sst_place sst_chunk_place(const struct buf *offsets, uint64_t i);

#endif
