/*
 * Damaged and hostile tables: every changed byte is found by verification,
 * and no reader ever gives a wrong value for it, or crashes.
 */
#include "formats/bloom.h"
#include "formats/sstable.h"
#include "tests/unit/tables.h"

#include <xxhash.h>

#define NAME "000042.sst"

struct fixture {
	struct dir dir;
	struct options options;
	struct records rs;
	struct table_meta meta;
	struct buf file; /* as it was built */
	int fd;
	uint64_t salt;
};

static void setup(struct fixture *f, enum codec codec, size_t n)
{
	struct store_error err = STORE_ERROR_INIT;
	struct sst_footer footer;
	struct build_spec spec;

	memset(f, 0, sizeof(*f));
	f->dir = scratch_open();
	options_default(&f->options);
	f->options.block_bytes = 512;
	f->rs = records_make(n, false, 11);
	/* one value in chunks; zeros, so that it stays small where packed */
	buf_append_zeros(&f->rs.r[n / 2].value, CHUNK_BYTES + 5);
	f->rs.r[n / 2].kind = ENTRY_PUT;
	spec = spec_make(&f->dir, &f->options, codec, 42);
	f->meta = table_make(&spec, &f->rs);
	CHECK_OK(os_read_file(&f->dir, NAME, SIZE_MAX / 2, &f->file, &err),
		 err);
	CHECK(!sst_footer_decode(f->file.data + f->file.len - SST_FOOTER,
				 f->file.len, &footer));
	f->salt = footer.salt;
	f->fd = os_open(&f->dir, NAME, O_RDWR, 0, &err);
	CHECK_OK(f->fd, err);
}

static void teardown(struct fixture *f)
{
	os_close(f->fd);
	buf_free(&f->file);
	table_meta_release(&f->meta);
	records_free(&f->rs);
	scratch_close(&f->dir);
}

static void patch(struct fixture *f, size_t off, const void *p, size_t n)
{
	CHECK(pwrite(f->fd, p, n, (off_t)off) == (ssize_t)n);
}

/*
 * Look up every record and walk both ways.  If `honest`, each answer must be
 * right or an error: a table whose checksums fail never lies.  A table that
 * lies on purpose must only not crash.
 */
static void read_all(struct fixture *f, struct table *t, bool honest)
{
	struct lookup l = LOOKUP_INIT;
	struct store_error err;
	struct iter *it;
	size_t i = 0;
	int r, same;

	for (i = 0; i < f->rs.n; i++) {
		struct slice key = buf_slice(&f->rs.r[i].key);

		err = STORE_ERROR_INIT;
		r = table_get(t, key, table_hash(key), &l, &err);
		same = r > 0 ? lookup_is(t, &l, &f->rs.r[i], &err) : r;
		CHECK(!honest || same == 1 || same == STORE_ECORRUPT);
	}
	lookup_release(&l);
	err = STORE_ERROR_INIT;
	CHECK_OK(table_iter(t, true, &it, &err), err);
	for (i = 0, r = it->ops->first(it, &err); r > 0; i++) {
		CHECK(i < f->rs.n || !honest);
		same = entry_is(it, &f->rs.r[i % f->rs.n], &err);
		CHECK(!honest || same == 1 || same == STORE_ECORRUPT);
		r = it->ops->next(it, &err);
	}
	CHECK(r < 0 || i == f->rs.n || !honest);
	err = STORE_ERROR_INIT;
	for (i = 0, r = it->ops->last(it, &err); r > 0; i++)
		r = it->ops->prev(it, &err);
	CHECK(r < 0 || i == f->rs.n || !honest);
	for (i = 0; i < f->rs.n; i += 3) {
		it->ops->seek(it, buf_slice(&f->rs.r[i].key), NULL);
		it->ops->seek_before(it, buf_slice(&f->rs.r[i].key), NULL);
	}
	iter_close(it);
}

/* Every `step`th byte gets another value: noticed, and never believed. */
static void flip_all(enum codec codec)
{
	struct store_error err;
	struct fixture f;
	struct table *t;

	setup(&f, codec, 24);
	for (size_t i = 0; i < f.file.len; i++) {
		uint8_t bad = (uint8_t)(f.file.data[i] ^ (1u << i % 8));
		bool chunk = codec == CODEC_NONE && i > 2000 &&
			     i + 4000 < f.file.len;
		int r;

		if (chunk && i % 61) /* a long run of zeros, all alike */
			continue;
		err = STORE_ERROR_INIT;
		patch(&f, i, &bad, 1);
		r = table_open(&t, &f.dir, 42, NULL, NULL, &err);
		if (r == 0) {
			r = table_verify(t, NULL, &err);
			if (!chunk)
				read_all(&f, t, true);
			table_close(t);
		}
		CHECK(r == STORE_ECORRUPT);
		CHECK(strstr(err.text, NAME));
		patch(&f, i, &f.file.data[i], 1);
	}
	err = STORE_ERROR_INIT;
	CHECK_OK(table_open(&t, &f.dir, 42, NULL, NULL, &err), err);
	CHECK_OK(table_verify(t, &f.meta, &err), err);
	read_all(&f, t, true);
	table_close(t);
	teardown(&f);
}

TEST(any_changed_byte_is_found_without_compression)
{
	flip_all(CODEC_NONE);
}

TEST(any_changed_byte_is_found_with_lz4)
{
	flip_all(CODEC_LZ4);
}

TEST(any_changed_byte_is_found_with_zstd)
{
	flip_all(CODEC_ZSTD);
}

TEST(a_file_cut_anywhere_is_refused)
{
	struct store_error err;
	struct fixture f;
	struct table *t;

	setup(&f, CODEC_LZ4, 40);
	for (size_t n = f.file.len; n-- > 0;) {
		err = STORE_ERROR_INIT;
		CHECK(ftruncate(f.fd, (off_t)n) == 0);
		CHECK(table_open(&t, &f.dir, 42, NULL, NULL, &err) ==
		      STORE_ECORRUPT);
	}
	teardown(&f);
}

TEST(a_file_that_shrinks_while_open_is_an_error)
{
	struct store_error err = STORE_ERROR_INIT;
	struct fixture f;
	struct table *t;

	setup(&f, CODEC_LZ4, 40);
	CHECK_OK(table_open(&t, &f.dir, 42, NULL, NULL, &err), err);
	CHECK(ftruncate(f.fd, 100) == 0);
	read_all(&f, t, true);
	CHECK(table_verify(t, NULL, &err) == STORE_ECORRUPT);
	table_close(t);
	teardown(&f);
}

TEST(verification_compares_with_the_manifest)
{
	struct store_error err = STORE_ERROR_INIT;
	struct fixture f;
	struct table_meta m;
	struct table *t;

	setup(&f, CODEC_LZ4, 40);
	CHECK_OK(table_open(&t, &f.dir, 42, NULL, NULL, &err), err);
	CHECK_OK(table_verify(t, &f.meta, &err), err);
#define REFUSED(field)                                                         \
	do {                                                                   \
		m = f.meta;                                                    \
		m.field++;                                                     \
		CHECK(table_verify(t, &m, NULL) == STORE_ECORRUPT);            \
	} while (0)
	REFUSED(number);
	REFUSED(age_first);
	REFUSED(age_last);
	REFUSED(bytes);
	REFUSED(entries);
	REFUSED(tombstones);
	REFUSED(oldest_tombstone_ms);
	REFUSED(created_ms);
	REFUSED(checksum);
	REFUSED(smallest.data);
	m = f.meta;
	m.largest.len--;
	CHECK(table_verify(t, &m, NULL) == STORE_ECORRUPT);
	table_close(t);
	teardown(&f);
}

/* ---- tables that lie under good checksums ---- */

struct spot {
	enum sst_kind kind;
	uint64_t off, stored;
};

struct spots {
	struct spot s[100];
	size_t n;
};

static int on_block(void *ctx, const char *kind, uint64_t off, uint64_t stored,
		    uint64_t decoded, const char *codec)
{
	struct spots *s = ctx;

	(void)decoded;
	(void)codec;
	for (enum sst_kind k = SST_DATA; k <= SST_PROPERTIES; k++)
		if (!strcmp(kind, sst_kind_name(k)) && s->n < 100)
			s->s[s->n++] = (struct spot){ k, off, stored };
	return 0;
}

/* The block with one byte of payload or trailer changed, sealed again. */
static void reseal(struct fixture *f, const struct spot *s, size_t i,
		   uint8_t value, uint8_t *block)
{
	size_t n = (size_t)s->stored;

	memcpy(block, f->file.data + s->off, n);
	block[i] = value;
	put_u64(block + n - 8,
		XXH3_64bits_withSeed(block, n - 8, f->salt ^ s->off));
}

static void try_lies(enum codec codec, int rounds)
{
	struct spots spots = { .n = 0 };
	struct store_error err = STORE_ERROR_INIT;
	unsigned seed = (unsigned)codec + 1;
	uint8_t *block;
	struct fixture f;
	struct table *t;

	setup(&f, codec, 60);
	block = malloc(f.file.len);
	CHECK_OK(table_open(&t, &f.dir, 42, NULL, NULL, &err), err);
	CHECK_OK(table_blocks(t, on_block, &spots, &err), err);
	table_close(t);
	for (size_t s = 0; s < spots.n; s++)
		for (int i = 0; i < rounds; i++) {
			struct spot *at = &spots.s[s];
			size_t n = (size_t)at->stored;
			/* the end, with restart points and trailer, often */
			size_t from = i % 2 && n > 40 ? n - 40 : 0;
			size_t to = n - 8;
			struct table_props p = TABLE_PROPS_INIT;

			reseal(&f, at,
			       from + (size_t)rand_r(&seed) % (to - from),
			       (uint8_t)rand_r(&seed), block);
			patch(&f, at->off, block, n);
			CHECK_OK(table_open(&t, &f.dir, 42, NULL, NULL, &err),
				 err);
			table_verify(t, NULL, NULL);
			if (table_props(t, &p, NULL) == 0)
				table_props_release(&p);
			read_all(&f, t, false);
			table_close(t);
			patch(&f, at->off, f.file.data + at->off, n);
		}
	free(block);
	teardown(&f);
}

TEST(lies_under_good_checksums_do_not_crash)
{
	try_lies(CODEC_NONE, 100);
}

TEST(compressed_lies_under_good_checksums_do_not_crash)
{
	try_lies(CODEC_LZ4, 50);
	try_lies(CODEC_ZSTD, 50);
}

TEST(a_lying_footer_is_refused_or_harmless)
{
	struct store_error err;
	struct fixture f;
	struct table *t;
	unsigned seed = 3;

	setup(&f, CODEC_LZ4, 40);
	for (int i = 0; i < 4000; i++) {
		uint8_t p[SST_FOOTER];
		size_t at = (size_t)rand_r(&seed) % (SST_FOOTER - 8);

		memcpy(p, f.file.data + f.file.len - SST_FOOTER, SST_FOOTER);
		p[at] = (uint8_t)rand_r(&seed);
		if (i % 3 == 0)
			p[(size_t)rand_r(&seed) % (SST_FOOTER - 8)] ^= 1;
		put_u64(p + SST_FOOTER - 8, XXH3_64bits(p, SST_FOOTER - 8));
		patch(&f, f.file.len - SST_FOOTER, p, SST_FOOTER);
		err = STORE_ERROR_INIT;
		if (table_open(&t, &f.dir, 42, NULL, NULL, &err) < 0)
			continue;
		table_verify(t, NULL, NULL);
		read_all(&f, t, false);
		table_close(t);
	}
	teardown(&f);
}

TEST_MAIN()
