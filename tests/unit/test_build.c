/* Tables: how they are cut into blocks, what is told, what is refused. */
#include "lib/passing.h"
#include "tests/unit/tables.h"

#include <errno.h>

static int count_data(void *ctx, const char *kind, uint64_t off,
		      uint64_t stored, uint64_t decoded, const char *codec)
{
	(void)off, (void)stored, (void)decoded, (void)codec;
	*(int *)ctx += strcmp(kind, "data") == 0;
	return 0;
}

/* Data blocks of 3 KiB that twelve values of such a length take. */
static int blocks_of(size_t value)
{
	struct dir d = scratch_open();
	struct records rs = records_make(12, false, 3);
	struct store_error err = STORE_ERROR_INIT;
	struct table_meta meta;
	struct build_spec spec;
	struct options o;
	struct table *t;
	int n = 0;

	options_default(&o);
	o.block_bytes = 3072;
	for (size_t i = 0; i < rs.n; i++) {
		rs.r[i].kind = ENTRY_PUT;
		buf_clear(&rs.r[i].value);
		buf_append_zeros(&rs.r[i].value, value);
	}
	spec = spec_make(&d, &o, CODEC_LZ4, 42);
	meta = table_make(&spec, &rs);
	CHECK_OK(table_open(&t, &d, 42, NULL, NULL, &err), err);
	CHECK_OK(table_blocks(t, count_data, &n, &err), err);
	table_close(t);
	table_meta_release(&meta);
	records_free(&rs);
	scratch_close(&d);
	return n;
}

TEST(a_block_holds_four_large_records_unless_they_take_twice_its_bytes)
{
	CHECK(blocks_of(600) == 3);
	CHECK(blocks_of(1000) == 3);
	CHECK(blocks_of(1500) == 3);
	CHECK(blocks_of(2000) == 4);
	CHECK(blocks_of(4000) == 12);
}

static int same_random(void *p, size_t n)
{
	memset(p, 7, n);
	return 0;
}

/* The bytes of the table, and in *asked what build_bytes() said last. */
static struct buf bytes_of(const struct records *rs, bool packs,
			   uint64_t *asked)
{
	struct dir d = scratch_open();
	struct store_error err = STORE_ERROR_INIT;
	struct os real = os;
	struct buf all = BUF_INIT;
	struct table_meta meta;
	struct build_spec spec;
	struct options o;
	struct build *b;
	int fd;

	options_default(&o);
	spec = spec_make(&d, &o, CODEC_LZ4, 42);
	spec.packs = packs;
	os.random = same_random;
	CHECK_OK(build_open(&b, &spec, &err), err);
	os = real;
	for (size_t i = 0; i < rs->n; i++)
		CHECK_OK(record_add(b, &rs->r[i], &err), err);
	*asked = build_bytes(b);
	CHECK_OK(build_finish(b, &meta, &err), err);
	buf_reserve(&all, meta.bytes);
	fd = os_open(&d, "000042.sst", O_RDONLY, 0, &err);
	CHECK_OK(fd, err);
	CHECK(read(fd, all.data, meta.bytes) == (ssize_t)meta.bytes);
	all.len = meta.bytes;
	os_close(fd);
	table_meta_release(&meta);
	scratch_close(&d);
	return all;
}

static void check_packs(size_t n, bool large)
{
	struct records rs = records_make(n, large, 5);
	uint64_t alone, two, again;
	struct buf a = bytes_of(&rs, false, &alone);
	struct buf b = bytes_of(&rs, true, &two);
	struct buf c = bytes_of(&rs, true, &again);

	CHECK(slice_eq(buf_slice(&a), buf_slice(&b)));
	CHECK(slice_eq(buf_slice(&a), buf_slice(&c)));
	CHECK(two == again);
	CHECK(two > alone / 100 * 98 && two < alone / 100 * 102);
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
	records_free(&rs);
}

TEST(a_thread_that_packs_writes_the_same_table_and_says_as_long_it_is)
{
	check_packs(60000, false);
	check_packs(5000, true);
}

static ssize_t full_disk(int fd, const void *p, size_t n, off_t off)
{
	(void)fd;
	(void)p;
	(void)n;
	(void)off;
	errno = ENOSPC;
	return -1;
}

TEST(what_a_thread_that_packs_could_not_write_is_told_and_leaves_no_file)
{
	struct dir d = scratch_open();
	struct store_error err = STORE_ERROR_INIT;
	struct records rs = records_make(60000, false, 5);
	struct os real = os;
	struct build_spec spec;
	struct options o;
	struct build *b;
	size_t i = 0;
	int r = 0;

	options_default(&o);
	spec = spec_make(&d, &o, CODEC_LZ4, 42);
	spec.packs = true;
	CHECK_OK(build_open(&b, &spec, &err), err);
	os.pwrite = full_disk;
	while (r == 0 && i < rs.n)
		r = record_add(b, &rs.r[i++], &err);
	os = real;
	CHECK(r == STORE_ENOSPACE && err.code == STORE_ENOSPACE);
	build_abort(b);
	CHECK(rmdir(d.path) == 0);
	records_free(&rs);
	dir_close(&d);
}

static off_t on_its_way; /* bytes, from the beginning of the file on */

static int note_writeback(int fd, off_t off, off_t n)
{
	(void)fd;
	if (off == on_its_way)
		on_its_way += n;
	return 0;
}

TEST(a_large_table_is_on_its_way_to_the_disk_while_it_is_written)
{
	struct dir d = scratch_open();
	struct records rs = records_make(12, false, 3);
	struct os real = os;
	struct table_meta meta;
	struct build_spec spec;
	struct options o;
	unsigned seed = 1;

	options_default(&o);
	for (size_t i = 0; i < rs.n; i++) {
		rs.r[i].kind = ENTRY_PUT;
		buf_clear(&rs.r[i].value);
		random_bytes(&rs.r[i].value, 60000, &seed);
	}
	spec = spec_make(&d, &o, CODEC_NONE, 42);
	os.writeback = note_writeback;
	meta = table_make(&spec, &rs);
	os = real;
	CHECK(on_its_way >= 512 << 10);
	CHECK((uint64_t)on_its_way <= meta.bytes);
	table_meta_release(&meta);
	records_free(&rs);
	scratch_close(&d);
}

static off_t put_out; /* bytes, from the beginning of the file on */

static int note_uncache(int fd, off_t off, off_t n)
{
	(void)fd;
	if (n == 0)
		put_out = -1;
	else if (off == put_out)
		put_out += n;
	return 0;
}

/* Bytes that went out of the page cache before the end, which put out all. */
static off_t put_out_with(struct passing *passing)
{
	struct dir d = scratch_open();
	struct records rs = records_make(300, false, 3);
	struct store_error err = STORE_ERROR_INIT;
	struct os real = os;
	struct table_meta meta;
	struct build_spec spec;
	struct options o;
	struct build *b;
	unsigned seed = 1;
	off_t early;

	options_default(&o);
	spec = spec_make(&d, &o, CODEC_NONE, 42);
	spec.passing = passing;
	put_out = 0;
	os.uncache = note_uncache;
	CHECK_OK(build_open(&b, &spec, &err), err);
	for (size_t i = 0; i < rs.n; i++) {
		rs.r[i].kind = ENTRY_PUT;
		buf_clear(&rs.r[i].value);
		random_bytes(&rs.r[i].value, 60000, &seed);
		CHECK_OK(record_add(b, &rs.r[i], &err), err);
	}
	early = put_out;
	CHECK_OK(build_finish(b, &meta, &err), err);
	os = real;
	CHECK(meta.bytes > 3 * PASSING_STEP);
	CHECK(early < (off_t)meta.bytes);
	CHECK(put_out == (early ? -1 : 0));
	table_meta_release(&meta);
	records_free(&rs);
	scratch_close(&d);
	return early;
}

TEST(a_table_of_what_the_page_cache_had_not_is_put_out_as_it_is_written)
{
	struct passing p = { .warm = 100, .cold = 101 };

	CHECK(put_out_with(&p) >= 2 * (off_t)PASSING_STEP);
	p.warm = 101;
	CHECK(put_out_with(&p) == 0);
	CHECK(put_out_with(NULL) == 0);
}

TEST(the_properties_tell_what_the_builder_was_told)
{
	static const uint64_t replaces[] = { 7, 9 };
	struct dir d = scratch_open();
	struct records rs = records_make(500, false, 3);
	struct store_error err = STORE_ERROR_INIT;
	struct table_props p = TABLE_PROPS_INIT;
	struct table_meta meta;
	struct build_spec spec;
	struct options o;
	struct table *t;
	uint64_t dead = 0;

	options_default(&o);
	for (size_t i = 0; i < rs.n; i++)
		dead += rs.r[i].kind == ENTRY_DELETE;
	spec = spec_make(&d, &o, CODEC_LZ4, 42);
	spec.replaces = replaces;
	spec.n_replaces = 2;
	spec.oldest_tombstone_ms = 77;
	meta = table_make(&spec, &rs);
	CHECK_OK(table_open(&t, &d, 42, NULL, NULL, &err), err);
	CHECK_OK(table_props(t, &p, &err), err);
	CHECK(!memcmp(p.uuid, spec.uuid, 16) && p.number == 42);
	CHECK(p.age_first == 4 && p.age_last == 5);
	CHECK(p.level == 2 && p.run == 1 && p.created_ms == 1000);
	CHECK(p.entries == rs.n && p.tombstones == dead && dead > 0);
	CHECK(p.oldest_tombstone_ms == 77);
	CHECK(p.n_replaces == 2 && p.replaces[0] == 7 && p.replaces[1] == 9);
	CHECK(slice_eq(buf_slice(&p.smallest), buf_slice(&rs.r[0].key)));
	CHECK(slice_eq(buf_slice(&p.largest), buf_slice(&rs.r[rs.n - 1].key)));
	CHECK(meta.bytes == table_size(t));
	table_props_release(&p);
	table_close(t);
	table_meta_release(&meta);
	records_free(&rs);
	scratch_close(&d);
}

/* ---- building badly ---- */

static struct record record_of(const char *key)
{
	struct record r = { .kind = ENTRY_PUT };

	buf_append_slice(&r.key, slice_str(key));
	return r;
}

TEST(keys_that_do_not_ascend_are_a_bug)
{
	struct dir d = scratch_open();
	struct store_error err = STORE_ERROR_INIT;
	struct record a = record_of("a"), b = record_of("b");
	struct options o;
	struct build_spec spec;
	struct build *build;

	options_default(&o);
	spec = spec_make(&d, &o, CODEC_LZ4, 1);
	CHECK_OK(build_open(&build, &spec, &err), err);
	CHECK_OK(record_add(build, &b, &err), err);
	CHECK(record_add(build, &a, &err) == STORE_EBUG);
	CHECK(record_add(build, &b, NULL) == STORE_EBUG);
	build_abort(build);
	build_abort(NULL);
	CHECK(rmdir(d.path) == 0);
	buf_free(&a.key);
	buf_free(&b.key);
	dir_close(&d);
}

TEST(a_table_of_nothing_is_refused_and_leaves_no_file)
{
	struct dir d = scratch_open();
	struct store_error err = STORE_ERROR_INIT;
	struct table_meta meta;
	struct options o;
	struct build_spec spec;
	struct build *b;

	options_default(&o);
	spec = spec_make(&d, &o, CODEC_LZ4, 1);
	CHECK_OK(build_open(&b, &spec, &err), err);
	CHECK(build_finish(b, &meta, &err) == STORE_EBUG);
	CHECK(rmdir(d.path) == 0);
	dir_close(&d);
}

static int bad_fsync(int fd)
{
	(void)fd;
	errno = EIO;
	return -1;
}

TEST(a_full_disk_or_a_failed_sync_leaves_no_file)
{
	struct dir d = scratch_open();
	struct store_error err = STORE_ERROR_INIT;
	struct record a = record_of("a");
	struct os real = os;
	struct table_meta meta;
	struct options o;
	struct build_spec spec;
	struct build *b;
	int r;

	options_default(&o);
	spec = spec_make(&d, &o, CODEC_LZ4, 1);
	CHECK_OK(build_open(&b, &spec, &err), err);
	CHECK_OK(record_add(b, &a, &err), err);
	os.pwrite = full_disk;
	r = build_finish(b, &meta, &err);
	os = real;
	CHECK(r == STORE_ENOSPACE && strstr(err.text, "000001.sst.tmp"));
	err = STORE_ERROR_INIT;
	CHECK_OK(build_open(&b, &spec, &err), err);
	CHECK_OK(record_add(b, &a, &err), err);
	os.fsync = bad_fsync;
	r = build_finish(b, &meta, &err);
	os = real;
	CHECK(r == STORE_EIO);
	CHECK(rmdir(d.path) == 0);
	buf_free(&a.key);
	dir_close(&d);
}

TEST_MAIN()
