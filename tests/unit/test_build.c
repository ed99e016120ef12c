/* Tables: how they are cut into blocks, what is told, what is refused. */
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

static ssize_t full_disk(int fd, const void *p, size_t n, off_t off)
{
	(void)fd;
	(void)p;
	(void)n;
	(void)off;
	errno = ENOSPC;
	return -1;
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
