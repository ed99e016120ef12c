/* Data blocks that go from one table into another as they are. */
#include "lib/wholeblock.h"

#include "lib/cache.h"
#include "lib/names.h"
#include "tests/unit/tables.h"

#define NOW 1000u

/* Values that any codec makes smaller. */
static struct records puts_of(size_t n, size_t value)
{
	struct records rs = { calloc(n, sizeof(struct record)), n };
	unsigned seed = 5;

	for (size_t i = 0; i < n; i++) {
		struct record *r = &rs.r[i];
		struct buf unit = BUF_INIT;

		buf_reserve(&r->key, 32);
		r->key.len = (size_t)sprintf((char *)r->key.data, "user:%08zu",
					     i * 10);
		r->kind = ENTRY_PUT;
		random_bytes(&unit, 25, &seed);
		while (r->value.len < value)
			buf_append_slice(&r->value, buf_slice(&unit));
		buf_free(&unit);
	}
	return rs;
}

/* ---- a table made out of another ---- */

struct making {
	struct dir d;
	struct options o;
	struct counters counters;
	uint64_t blocks; /* of the first one */
};

static int same_random(void *p, size_t n)
{
	memset(p, 7, n);
	return 0;
}

static struct making making_begin(const struct records *rs)
{
	struct making m = { .d = scratch_open() };
	struct build_spec spec;
	struct table_meta meta;

	options_default(&m.o);
	spec = spec_make(&m.d, &m.o, CODEC_LZ4, 1);
	meta = table_make(&spec, rs);
	table_meta_release(&meta);
	return m;
}

static int count_data(void *ctx, const char *kind, uint64_t off,
		      uint64_t stored, uint64_t decoded, const char *codec)
{
	(void)off, (void)stored, (void)decoded, (void)codec;
	*(uint64_t *)ctx += strcmp(kind, "data") == 0;
	return 0;
}

static struct iter *walk_of(const struct making *m, uint64_t number,
			    uint64_t *blocks)
{
	struct store_error err = STORE_ERROR_INIT;
	struct table *t;
	struct iter *it;

	CHECK_OK(table_open(&t, &m->d, number, NULL, NULL, &err), err);
	CHECK_OK(table_blocks(t, count_data, blocks, &err), err);
	CHECK_OK(table_iter(t, true, &it, &err), err);
	table_close(t);
	return it;
}

/* Table 2, of table 1: block by block, where that is to be had. */
static void add_blocks(struct making *m, struct build *b, uint64_t interval)
{
	struct store_error err = STORE_ERROR_INIT;
	struct wholeblock w = WHOLEBLOCK_INIT;
	struct iter *it = walk_of(m, 1, &m->blocks);
	int r = it->ops->first(it, &err);

	while (r > 0) {
		bool whole = false;

		CHECK(it->e.leads == it->ops->block(it, &w.b));
		if (it->e.leads &&
		    wholeblock_look(&w, NOW, interval, &err) == 1) {
			r = build_add_block(b, it, &w, &err);
			CHECK_OK(r, err);
			whole = r == 1;
		}
		if (!whole)
			CHECK_OK(build_add(b, it, &err), err);
		r = (whole ? it->ops->skip : it->ops->next)(it, &err);
	}
	CHECK_OK(r, err);
	wholeblock_release(&w);
	iter_close(it);
}

/* Table 2 holds `first`, if given, and `rs`. */
static void check_made(const struct making *m, const struct record *first,
		       const struct records *rs)
{
	struct store_error err = STORE_ERROR_INIT;
	uint64_t blocks = 0;
	struct iter *it = walk_of(m, 2, &blocks);
	int r = it->ops->first(it, &err);

	if (first) {
		CHECK(r == 1 && entry_is(it, first, &err) == 1);
		r = it->ops->next(it, &err);
	}
	for (size_t i = 0; i < rs->n; i++) {
		CHECK(r == 1 && entry_is(it, &rs->r[i], &err) == 1);
		r = it->ops->next(it, &err);
	}
	CHECK(r == 0);
	iter_close(it);
}

static void check_lookups(const struct making *m, const struct records *rs)
{
	struct store_error err = STORE_ERROR_INIT;
	struct lookup l = LOOKUP_INIT;
	struct table *t;

	CHECK_OK(table_open(&t, &m->d, 2, NULL, NULL, &err), err);
	for (size_t i = 0; i < rs->n; i++) {
		struct slice key = buf_slice(&rs->r[i].key);

		CHECK(table_get(t, key, table_hash(key), &l, &err) == 1);
		CHECK(lookup_is(t, &l, &rs->r[i], &err) == 1);
		lookup_release(&l);
	}
	table_close(t);
}

static struct build *make_begin(struct making *m, struct build_spec *spec)
{
	struct store_error err = STORE_ERROR_INIT;
	struct os real = os;
	struct build *b;

	spec->counters = &m->counters;
	os.random = same_random;
	CHECK_OK(build_open(&b, spec, &err), err);
	os = real;
	return b;
}

static void make_end(struct build *b, uint64_t entries)
{
	struct store_error err = STORE_ERROR_INIT;
	struct table_meta meta;

	CHECK_OK(build_finish(b, &meta, &err), err);
	CHECK(meta.entries == entries && meta.tombstones == 0);
	table_meta_release(&meta);
}

/* How many of its blocks went whole into another with such options. */
static uint64_t moved_with(const struct records *rs, const struct options *o,
			   enum codec codec)
{
	struct making m = making_begin(rs);
	struct build_spec spec = spec_make(&m.d, o, codec, 2);
	struct build *b = make_begin(&m, &spec);
	uint64_t moved;

	add_blocks(&m, b, o->restart_interval);
	make_end(b, rs->n);
	check_made(&m, NULL, rs);
	check_lookups(&m, rs);
	moved = m.counters.blocks_moved;
	CHECK(m.blocks > 60 && moved <= m.blocks);
	scratch_close(&m.d);
	/* the last one may be too small */
	return moved < m.blocks - 1 ? moved : UINT64_MAX;
}

TEST(a_table_of_whole_blocks_holds_what_the_old_one_did)
{
	struct records small = puts_of(3000, 100), large = puts_of(400, 1000);
	struct records huge = puts_of(100, 20000);
	struct options o;

	options_default(&o);
	CHECK(moved_with(&small, &o, CODEC_LZ4) == UINT64_MAX);
	CHECK(moved_with(&large, &o, CODEC_LZ4) == UINT64_MAX);
	CHECK(moved_with(&huge, &o, CODEC_LZ4) == UINT64_MAX);
	records_free(&small);
	records_free(&large);
	records_free(&huge);
}

TEST(a_block_that_the_options_would_not_make_goes_entry_by_entry)
{
	struct records rs = puts_of(3000, 100);
	struct options o;

	options_default(&o);
	CHECK(moved_with(&rs, &o, CODEC_NONE) == 0);
	CHECK(moved_with(&rs, &o, CODEC_ZSTD) == 0);
	o.restart_interval = 8;
	CHECK(moved_with(&rs, &o, CODEC_LZ4) == 0);
	options_default(&o);
	o.block_bytes = 16384;
	CHECK(moved_with(&rs, &o, CODEC_LZ4) == 0);
	o.block_bytes = 1024;
	CHECK(moved_with(&rs, &o, CODEC_LZ4) == 0);
	options_default(&o);
	o.filter_bits = 0;
	CHECK(moved_with(&rs, &o, CODEC_LZ4) == UINT64_MAX);
	records_free(&rs);
}

/* One more entry in front: the blocks behind it fall into step again. */
static void check_step(size_t n, size_t value)
{
	struct records rs = puts_of(n, value);
	struct record first = { .kind = ENTRY_PUT };
	struct store_error err = STORE_ERROR_INIT;
	struct making m = making_begin(&rs);
	struct build_spec spec = spec_make(&m.d, &m.o, CODEC_LZ4, 2);
	struct build *b = make_begin(&m, &spec);

	buf_append_slice(&first.key, slice_str("a"));
	CHECK_OK(record_add(b, &first, &err), err);
	add_blocks(&m, b, m.o.restart_interval);
	make_end(b, rs.n + 1);
	check_made(&m, &first, &rs);
	check_lookups(&m, &rs);
	CHECK(m.counters.blocks_moved >= m.blocks - 2);
	CHECK(m.counters.blocks_moved < m.blocks);
	buf_free(&first.key);
	records_free(&rs);
	scratch_close(&m.d);
}

TEST(a_small_rest_takes_in_one_block_and_those_behind_it_stay_whole)
{
	check_step(3000, 100);
	check_step(400, 1000);
}

static struct buf file_of(const struct making *m, uint64_t number)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf all = BUF_INIT;
	char name[NAME_SIZE];
	struct stat st;
	int fd;

	name_make(name, FILE_SST, number);
	fd = os_open(&m->d, name, O_RDONLY, 0, &err);
	CHECK_OK(fd, err);
	CHECK(fstat(fd, &st) == 0);
	buf_reserve(&all, (size_t)st.st_size);
	CHECK(read(fd, all.data, (size_t)st.st_size) == st.st_size);
	all.len = (size_t)st.st_size;
	os_close(fd);
	return all;
}

TEST(a_thread_that_packs_writes_the_same)
{
	struct records rs = puts_of(30000, 100);
	struct making m = making_begin(&rs);
	struct buf file[2];

	for (int packs = 0; packs < 2; packs++) {
		struct store_error err = STORE_ERROR_INIT;
		struct record first = { .kind = ENTRY_PUT };
		struct build_spec spec = spec_make(&m.d, &m.o, CODEC_LZ4, 2);
		struct build *b;

		spec.packs = packs;
		b = make_begin(&m, &spec);
		buf_append_slice(&first.key, slice_str("a"));
		CHECK_OK(record_add(b, &first, &err), err);
		add_blocks(&m, b, m.o.restart_interval);
		make_end(b, rs.n + 1);
		check_made(&m, &first, &rs);
		file[packs] = file_of(&m, 2);
		buf_free(&first.key);
	}
	CHECK(slice_eq(buf_slice(&file[0]), buf_slice(&file[1])));
	buf_free(&file[0]);
	buf_free(&file[1]);
	records_free(&rs);
	scratch_close(&m.d);
}

TEST(only_what_was_read_for_it_alone_is_offered_not_what_a_cache_keeps)
{
	struct records rs = puts_of(3000, 100);
	struct making m = making_begin(&rs);
	struct cache *cache = cache_new(1 << 20);
	struct store_error err = STORE_ERROR_INIT;
	struct iter_block block;
	struct table *t;
	struct iter *it;

	CHECK_OK(table_open(&t, &m.d, 1, cache, NULL, &err), err);
	CHECK_OK(table_iter(t, true, &it, &err), err);
	table_close(t);
	CHECK(it->ops->first(it, &err) == 1 && it->e.leads);
	CHECK(it->ops->block(it, &block) == 1);
	CHECK(it->ops->next(it, &err) == 1 && !it->e.leads);
	CHECK(it->ops->block(it, &block) == 0);
	CHECK(it->ops->seek(it, buf_slice(&rs.r[0].key), &err) == 1);
	CHECK(!it->e.leads && it->ops->block(it, &block) == 0);
	iter_close(it);
	cache_free(cache);
	records_free(&rs);
	scratch_close(&m.d);
}

/* ---- what is in a block ---- */

/* One block of four entries, the third of them `r`. */
static struct buf block_with(const struct record *r)
{
	struct block_writer writer = BLOCK_WRITER_INIT(2);
	struct block_entry e = { .kind = BLOCK_PUT };
	struct block_entry third = { .kind = (enum block_kind)r->kind,
				     .chunked = r->value.len > 0,
				     .expires_ms = r->expires_ms,
				     .value = buf_slice(&r->value) };
	struct buf bytes;

	block_writer_add(&writer, slice_str("ka"), &e);
	block_writer_add(&writer, slice_str("kb"), &e);
	block_writer_add(&writer, slice_str("kc"), &third);
	block_writer_add(&writer, slice_str("kd"), &e);
	block_writer_end(&writer);
	bytes = writer.bytes;
	writer.bytes = BUF_INIT;
	block_writer_release(&writer);
	return bytes;
}

/* What looking through it says, and in *w what it found. */
static int look_for(struct wholeblock *w, struct slice bytes, const char *last,
		    uint64_t interval)
{
	struct store_error err = STORE_ERROR_INIT;

	*w = WHOLEBLOCK_INIT;
	w->b.bytes = bytes;
	w->b.last = slice_str(last);
	return wholeblock_look(w, NOW, interval, &err);
}

static int look_at(struct slice bytes, const char *last, uint64_t interval)
{
	struct wholeblock w;
	int s = look_for(&w, bytes, last, interval);

	wholeblock_release(&w);
	return s;
}

/* Each key is where a lookup looks for it. */
static void check_finds(struct slice bytes)
{
	struct block_reader r = BLOCK_READER_INIT;
	struct block_entry e;
	const char *why;
	bool equal;

	CHECK(block_reader_open(&r, bytes));
	for (int s = block_first(&r); s; s = block_next(&r)) {
		CHECK(s == 1);
		CHECK(block_find(bytes, buf_slice(&r.key), &e, &equal, &why) ==
			      1 &&
		      equal && e.value.data == r.e.value.data);
	}
	block_reader_release(&r);
}

static int look_with(const struct record *third)
{
	struct buf block = block_with(third);
	int s = look_at(buf_slice(&block), "kd", 2);

	buf_free(&block);
	return s;
}

TEST(looking_through_a_block_tells_what_a_table_must_know_of_it)
{
	struct record put = { .kind = ENTRY_PUT };
	struct buf block = block_with(&put);
	struct wholeblock w;
	uint64_t hash;

	CHECK(look_for(&w, buf_slice(&block), "kd", 2) == 1);
	CHECK(w.entries == 4 && w.bytes == 8);
	CHECK(w.hashes.len == 4 * sizeof(hash));
	memcpy(&hash, w.hashes.data + 2 * sizeof(hash), sizeof(hash));
	CHECK(hash == table_hash(slice_str("kc")));
	CHECK(slice_eq(buf_slice(&w.r.key), slice_str("kd")));
	wholeblock_release(&w);
	buf_free(&block);
}

TEST(only_puts_that_stay_as_they_are_stay_in_their_block)
{
	struct record put = { .kind = ENTRY_PUT };
	struct record later = { .kind = ENTRY_PUT, .expires_ms = NOW + 1 };
	struct record expired = { .kind = ENTRY_PUT, .expires_ms = NOW };
	struct record deleted = { .kind = ENTRY_DELETE };
	struct record chunked = { .kind = ENTRY_PUT };

	buf_append_slice(&chunked.value, slice_str("chunks"));
	CHECK(look_with(&put) == 1);
	CHECK(look_with(&later) == 1);
	CHECK(look_with(&expired) == 0);
	CHECK(look_with(&deleted) == 0);
	CHECK(look_with(&chunked) == 0);
	buf_free(&chunked.value);
}

TEST(a_block_that_is_not_sound_is_left_to_who_reads_it_entry_by_entry)
{
	struct record put = { .kind = ENTRY_PUT };
	struct buf block = block_with(&put);
	struct slice bytes = buf_slice(&block);

	CHECK(look_at(bytes, "kd", 2) == 1);
	CHECK(look_at(bytes, "kdd", 2) == 1);
	CHECK(look_at(bytes, "kc", 2) == 0); /* not what its index says */
	CHECK(look_at(bytes, "kd", 1) == 0);
	CHECK(look_at(bytes, "kd", 3) == 0);
	CHECK(look_at(bytes, "kd", 4) == 0);
	/* whatever byte is wrong, lookups find in it what they should */
	for (size_t i = 0; i < block.len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			block.data[i] ^= (uint8_t)(1u << bit);
			if (look_at(bytes, "kd", 2) == 1)
				check_finds(bytes);
			block.data[i] ^= (uint8_t)(1u << bit);
		}
	buf_free(&block);
}

TEST_MAIN()
