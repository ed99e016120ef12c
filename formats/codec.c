#include "formats/codec.h"

#include <lz4.h>
#include <stdatomic.h>
#include <zstd.h>

#define ZSTD_LEVEL 3
#define SPARES 4

/*
 * A Zstandard decompressor is 150 KiB and takes longer to make than a block
 * to decode, so a few are kept.  A thread takes one out and puts it back
 * whole; nobody ever shares one.
 */
static _Atomic(ZSTD_DCtx *) spares[SPARES];

__attribute__((destructor)) static void spares_free(void)
{
	for (int i = 0; i < SPARES; i++) {
		ZSTD_DCtx *d = atomic_exchange(&spares[i], NULL);

		if (d) /* else not even a page of code is touched */
			ZSTD_freeDCtx(d);
	}
}

static ZSTD_DCtx *spare_take(void)
{
	for (int i = 0; i < SPARES; i++) {
		ZSTD_DCtx *d = atomic_exchange(&spares[i], NULL);

		if (d)
			return d;
	}
	return ZSTD_createDCtx();
}

static void spare_give(ZSTD_DCtx *d)
{
	for (int i = 0; d && i < SPARES; i++) {
		ZSTD_DCtx *none = NULL;

		if (atomic_compare_exchange_strong(&spares[i], &none, d))
			return;
	}
	ZSTD_freeDCtx(d);
}

int packer_init(struct packer *p, enum codec codec)
{
	*p = PACKER_INIT;
	p->codec = codec;
	if (codec == CODEC_LZ4)
		p->ctx = malloc((size_t)LZ4_sizeofState());
	else if (codec == CODEC_ZSTD)
		p->ctx = ZSTD_createCCtx();
	return codec == CODEC_NONE || p->ctx ? 0 : -1;
}

void packer_release(struct packer *p)
{
	if (p->codec == CODEC_ZSTD)
		ZSTD_freeCCtx(p->ctx);
	else
		free(p->ctx);
	buf_free(&p->out);
	*p = PACKER_INIT;
}

int packer_pack(struct packer *p, struct slice in, struct slice *out)
{
	size_t most = in.len - in.len / 8; /* worth keeping up to here */
	size_t n = 0;

	*out = in;
	if (p->codec == CODEC_NONE || in.len < 16 || in.len > INT32_MAX)
		return CODEC_NONE;
	buf_clear(&p->out);
	if (buf_reserve(&p->out, most) < 0)
		return -1;
	/* a result that does not fit `most` is refused by both: n is 0 */
	if (p->codec == CODEC_LZ4) {
		int r = LZ4_compress_fast_extState(
			p->ctx, (const char *)in.data, (char *)p->out.data,
			(int)in.len, (int)most, 1);

		n = r > 0 ? (size_t)r : 0;
	} else {
		n = ZSTD_compressCCtx(p->ctx, p->out.data, most, in.data,
				      in.len, ZSTD_LEVEL);
		if (ZSTD_isError(n))
			n = 0;
	}
	if (n == 0)
		return CODEC_NONE;
	*out = slice_make(p->out.data, n);
	return (int)p->codec;
}

static bool unpack_zstd(struct slice in, uint8_t *out, size_t len)
{
	ZSTD_DCtx *d = spare_take();
	size_t n;

	if (!d)
		return false;
	n = ZSTD_decompressDCtx(d, out, len, in.data, in.len);
	spare_give(d);
	return !ZSTD_isError(n) && n == len;
}

bool codec_unpack(uint8_t codec, struct slice in, uint8_t *out, size_t len)
{
	switch (codec) {
	case CODEC_NONE:
		if (in.len != len)
			return false;
		if (len)
			memcpy(out, in.data, len);
		return true;
	case CODEC_LZ4:
		return in.len <= INT32_MAX && len <= INT32_MAX &&
		       LZ4_decompress_safe((const char *)in.data, (char *)out,
					   (int)in.len, (int)len) == (int)len;
	case CODEC_ZSTD:
		return unpack_zstd(in, out, len);
	default:
		return false;
	}
}

const char *codec_name(uint8_t codec)
{
	static const char *const names[] = { "none", "lz4", "zstd" };

	return codec < 3 ? names[codec] : "unknown";
}
