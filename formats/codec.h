/*
 * codec.h - compression of blocks: none, LZ4 or Zstandard.
 *
 * The decoded length is known from elsewhere, is bounded by the caller, and
 * is all that is ever allocated, so a small block cannot unfold into a large
 * one.
 */
#ifndef FORMATS_CODEC_H
#define FORMATS_CODEC_H

#include "formats/bytes.h"
#include "formats/options.h"

/* Working memory of a writer, reused from block to block. */
struct packer {
	enum codec codec;
	struct buf out;
	void *ctx;
};

#define PACKER_INIT ((struct packer){ .codec = CODEC_NONE })

/* -1: no memory. */
int packer_init(struct packer *p, enum codec codec);
void packer_release(struct packer *p);

/*
 * Compress `in` with the packer's codec if that saves at least an eighth,
 * else leave it as it is.  *out is borrowed, from the packer or from `in`,
 * until the next call.  Returns the codec used, or -1 on no memory.
 */
int packer_pack(struct packer *p, struct slice in, struct slice *out);

/*
 * Decode `in` into exactly `len` bytes at `out`.  False when the codec is
 * unknown, the bytes are malformed, or they decode to another length.
 */
bool codec_unpack(uint8_t codec, struct slice in, uint8_t *out, size_t len);

/* "none", "lz4", "zstd"; "unknown" for anything else. */
const char *codec_name(uint8_t codec);

#endif
