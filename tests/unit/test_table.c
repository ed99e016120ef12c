/* Tables: what was built is what is read, by every way of reading. */
#include "formats/bloom.h"
#include "lib/tablefile.h"
#include "tests/unit/tables.h"

#include <pthread.h>

struct fixture {
	struct dir dir;
	struct options options;
	struct records rs;
	struct table_meta meta;
	struct cache *cache;
	struct counters counters;
	struct table *t;
};

static void setup(struct fixture *f, size_t n, bool large, enum codec codec,
		  uint64_t block_bytes, uint64_t restart, size_t cache)
{
	struct store_error err = STORE_ERROR_INIT;
	struct build_spec spec;

	memset(f, 0, sizeof(*f));
	f->dir = scratch_open();
	options_default(&f->options);
	f->options.block_bytes = block_bytes;
	f->options.restart_interval = restart;
	f->rs = records_make(n, large, (unsigned)(n + codec));
	spec = spec_make(&f->dir, &f->options, codec, 42);
	f->meta = table_make(&spec, &f->rs);
	f->cache = cache ? cache_new(cache) : NULL;
	CHECK_OK(table_open(&f->t, &f->dir, 42, f->cache, &f->counters, &err),
		 err);
}

static void teardown(struct fixture *f)
{
	table_close(f->t);
	cache_free(f->cache);
	table_meta_release(&f->meta);
	records_free(&f->rs);
	scratch_close(&f->dir);
}

static int get(struct table *t, struct slice key, struct lookup *l)
{
	struct store_error err = STORE_ERROR_INIT;
	int r = table_get(t, key, table_hash(key), l, &err);

	CHECK_OK(r, err);
	return r;
}

static void check_lookups(struct fixture *f)
{
	struct store_error err = STORE_ERROR_INIT;
	struct lookup l = LOOKUP_INIT;

	for (size_t i = 0; i < f->rs.n; i++) {
		struct record *r = &f->rs.r[i];
		struct buf other = BUF_INIT;

		CHECK(get(f->t, buf_slice(&r->key), &l) == 1);
		CHECK(lookup_is(f->t, &l, r, &err) == 1);
		/* its extension, and what it extends, mostly absent */
		buf_assign(&other, buf_slice(&r->key));
		buf_append_u8(&other, 0);
		CHECK(get(f->t, buf_slice(&other), &l) ==
		      records_have(&f->rs, buf_slice(&other)));
		other.len -= 2;
		CHECK(get(f->t, buf_slice(&other), &l) ==
		      records_have(&f->rs, buf_slice(&other)));
		buf_free(&other);
	}
	CHECK(get(f->t, slice_str("a"), &l) == 0);
	CHECK(get(f->t, slice_str("z"), &l) == 0);
	lookup_release(&l);
}

static void check_walks(struct fixture *f, bool stream)
{
	struct store_error err = STORE_ERROR_INIT;
	struct iter *it;
	size_t i = 0;
	int r;

	CHECK_OK(table_iter(f->t, stream, &it, &err), err);
	for (r = it->ops->first(it, &err); r > 0; r = it->ops->next(it, &err))
		CHECK(entry_is(it, &f->rs.r[i++], &err) == 1);
	CHECK_OK(r, err);
	CHECK(i == f->rs.n);
	CHECK(it->ops->next(it, &err) == 0 && it->ops->prev(it, &err) == 0);
	for (r = it->ops->last(it, &err); r > 0; r = it->ops->prev(it, &err))
		CHECK(entry_is(it, &f->rs.r[--i], &err) == 1);
	CHECK_OK(r, err);
	CHECK(i == 0);
	iter_close(it);
}

/* Stands on record `i`, or nowhere when there is none. */
static void check_at(struct fixture *f, struct iter *it, int r, size_t i)
{
	struct store_error err = STORE_ERROR_INIT;

	CHECK(r == (i < f->rs.n));
	if (r > 0)
		CHECK(entry_is(it, &f->rs.r[i], &err) == 1);
}

static void check_seeks(struct fixture *f)
{
	struct store_error err = STORE_ERROR_INIT;
	unsigned seed = 5;
	struct iter *it;

	CHECK_OK(table_iter(f->t, false, &it, &err), err);
	for (size_t n = 0; n < f->rs.n; n++) {
		size_t i = (size_t)rand_r(&seed) % f->rs.n;
		struct buf key = BUF_INIT;

		buf_assign(&key, buf_slice(&f->rs.r[i].key));
		check_at(f, it, it->ops->seek(it, buf_slice(&key), &err), i);
		check_at(f, it, it->ops->prev(it, &err), i - 1);
		check_at(f, it, it->ops->seek_before(it, buf_slice(&key), &err),
			 i - 1);
		if (i > 0)
			check_at(f, it, it->ops->next(it, &err), i);
		buf_append_u8(&key, 0);
		check_at(f, it, it->ops->seek(it, buf_slice(&key), &err),
			 i + 1);
		check_at(f, it, it->ops->seek_before(it, buf_slice(&key), &err),
			 i);
		check_at(f, it, it->ops->next(it, &err), i + 1);
		buf_free(&key);
	}
	check_at(f, it, it->ops->seek(it, slice_str("a"), &err), 0);
	check_at(f, it, it->ops->seek(it, slice_str("z"), &err), f->rs.n);
	check_at(f, it, it->ops->seek_before(it, slice_str("a"), &err),
		 f->rs.n);
	check_at(f, it, it->ops->seek_before(it, slice_str("z"), &err),
		 f->rs.n - 1);
	iter_close(it);
}

static void check_all(struct fixture *f)
{
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(table_verify(f->t, &f->meta, &err), err);
	check_lookups(f);
	check_walks(f, false);
	check_walks(f, true);
	check_seeks(f);
}

TEST(a_table_gives_back_what_was_put_in_whatever_its_shape)
{
	static const uint64_t blocks[] = { 256, 4096, 65536 };
	struct fixture f;

	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++)
		for (int i = 0; i < 3; i++) {
			setup(&f, 2000, false, c, blocks[i],
			      i == 0 ? 1 : (uint64_t)i * 16,
			      c == CODEC_LZ4 ? 1u << 20 : 0);
			check_all(&f);
			teardown(&f);
		}
}

TEST(long_keys_and_values_in_chunks_come_back)
{
	struct fixture f;

	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		setup(&f, 600, true, c, 4096, 16, 1u << 20);
		check_all(&f);
		teardown(&f);
	}
}

TEST(a_table_of_one_entry_works)
{
	struct fixture f;

	setup(&f, 1, false, CODEC_LZ4, 4096, 16, 0);
	check_all(&f);
	teardown(&f);
}

TEST(a_deep_index_finds_everything)
{
	struct fixture f = { .dir = scratch_open() };
	struct store_error err = STORE_ERROR_INIT;
	struct build_spec spec;
	unsigned seed = 9;

	options_default(&f.options);
	f.options.block_bytes = 256;
	f.rs = (struct records){ calloc(300, sizeof(struct record)), 300 };
	for (size_t i = 0; i < 300; i++) {
		f.rs.r[i].kind = ENTRY_PUT;
		random_bytes(&f.rs.r[i].key, 3000, &seed);
		f.rs.r[i].key.data[2990] = (uint8_t)i;
		memset(f.rs.r[i].key.data, 'k', 2985);
	}
	records_sort(&f.rs);
	spec = spec_make(&f.dir, &f.options, CODEC_LZ4, 42);
	f.meta = table_make(&spec, &f.rs);
	CHECK_OK(table_open(&f.t, &f.dir, 42, NULL, NULL, &err), err);
	check_all(&f);
	teardown(&f);
}

TEST(a_table_copied_through_an_iterator_holds_the_same)
{
	struct store_error err = STORE_ERROR_INIT;
	struct build_spec spec;
	struct fixture f, g;
	struct build *b;
	struct iter *it;
	int r;

	setup(&f, 400, true, CODEC_NONE, 4096, 16, 0);
	g = f;
	spec = spec_make(&f.dir, &f.options, CODEC_ZSTD, 43);
	CHECK_OK(build_open(&b, &spec, &err), err);
	CHECK_OK(table_iter(f.t, true, &it, &err), err);
	for (r = it->ops->first(it, &err); r > 0; r = it->ops->next(it, &err)) {
		uint64_t before = build_bytes(b);

		CHECK_OK(build_add(b, it, &err), err);
		CHECK(build_bytes(b) > before || it->e.value_len < 4096);
		CHECK(slice_eq(build_last_key(b), it->e.key));
	}
	CHECK_OK(r, err);
	CHECK_OK(build_finish(b, &g.meta, &err), err);
	iter_close(it);
	CHECK_OK(table_open(&g.t, &f.dir, 43, NULL, NULL, &err), err);
	check_all(&g);
	table_close(g.t);
	table_meta_release(&g.meta);
	teardown(&f);
}

/* ---- how much is read ---- */

static ssize_t (*real_pread)(int fd, void *p, size_t n, off_t off);
static int preads;

static ssize_t count_pread(int fd, void *p, size_t n, off_t off)
{
	preads++;
	return real_pread(fd, p, n, off);
}

TEST(opening_reads_the_footer_and_a_lookup_one_page_a_level)
{
	struct store_error err = STORE_ERROR_INIT;
	struct lookup l = LOOKUP_INIT;
	struct table *t;
	struct fixture f;
	int r;

	setup(&f, 20000, false, CODEC_LZ4, 4096, 16, 0);
	real_pread = os.pread;
	os.pread = count_pread;
	preads = 0;
	r = table_open(&t, &f.dir, 42, NULL, NULL, &err);
	CHECK(r == 0 && preads == 1);
	r = get(t, buf_slice(&f.rs.r[777].key), &l);
	/* filter, root, leaf, data */
	CHECK(r == 1 && preads <= 1 + 4);
	preads = 0;
	r = get(t, slice_str("user:absent"), &l);
	CHECK(r == 0 && preads == 1);
	os.pread = real_pread;
	table_close(t);
	lookup_release(&l);
	teardown(&f);
}

TEST(a_table_of_a_page_is_read_once)
{
	struct fixture f;
	struct lookup l = LOOKUP_INIT;

	setup(&f, 12, false, CODEC_LZ4, 4096, 16, 0);
	CHECK(table_size(f.t) < TABLE_TAIL);
	real_pread = os.pread;
	os.pread = count_pread;
	preads = 0;
	for (size_t i = 0; i < f.rs.n; i++)
		CHECK(get(f.t, buf_slice(&f.rs.r[i].key), &l) == 1);
	CHECK(preads == 0);
	os.pread = real_pread;
	lookup_release(&l);
	teardown(&f);
}

TEST(the_cache_makes_the_second_lookup_read_nothing)
{
	struct lookup l = LOOKUP_INIT;
	struct fixture f;
	uint64_t read;

	setup(&f, 20000, false, CODEC_LZ4, 4096, 16, 1u << 24);
	get(f.t, buf_slice(&f.rs.r[777].key), &l);
	read = f.counters.blocks_read;
	CHECK(read >= 3 && read <= 4);
	get(f.t, buf_slice(&f.rs.r[777].key), &l);
	CHECK(f.counters.blocks_read == read);
	CHECK(f.counters.cache_hits >= 2);
	CHECK(f.counters.filter_probes == 2);
	CHECK(f.counters.filter_negatives == 0);
	lookup_release(&l);
	teardown(&f);
}

static size_t most_read;

static ssize_t measure_pread(int fd, void *p, size_t n, off_t off)
{
	most_read = n > most_read ? n : most_read;
	return real_pread(fd, p, n, off);
}

static bool is_mapped(const char *name)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[500];
	bool found = false;

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, name) != NULL;
	fclose(f);
	return found;
}

TEST(beside_a_cache_that_is_too_small_a_lookup_reads_its_block_and_maps_nothing)
{
	struct lookup l = LOOKUP_INIT;
	struct fixture f;

	setup(&f, 20000, false, CODEC_LZ4, 4096, 16, 100000);
	for (size_t i = 0; !cache_is_full(f.cache); i++)
		CHECK(get(f.t, buf_slice(&f.rs.r[i].key), &l) == 1);
	real_pread = os.pread;
	os.pread = measure_pread;
	most_read = 0;
	for (size_t i = 0; i < f.rs.n; i++) {
		size_t k = i * 7919 % f.rs.n;

		CHECK(get(f.t, buf_slice(&f.rs.r[k].key), &l) == 1);
		CHECK(slice_eq(lookup_value(&l), buf_slice(&f.rs.r[k].value)) ||
		      l.kind == ENTRY_DELETE || l.chunked);
	}
	os.pread = real_pread;
	/* No page that a block only touches. */
	CHECK(most_read > 500 && most_read < 4096 + 500);
	CHECK(!is_mapped(".sst"));
	lookup_release(&l);
	teardown(&f);
}

TEST(an_absent_key_costs_one_filter_probe)
{
	struct lookup l = LOOKUP_INIT;
	struct fixture f;
	char key[32];

	setup(&f, 5000, false, CODEC_LZ4, 4096, 16, 1u << 24);
	for (int i = 0; i < 10000; i++) {
		int n = snprintf(key, sizeof(key), "user:absent%d", i);

		CHECK(get(f.t, slice_make(key, (size_t)n), &l) == 0);
	}
	CHECK(f.counters.filter_probes == 10000);
	CHECK(f.counters.filter_negatives >= 9850);
	lookup_release(&l);
	teardown(&f);
}

TEST(a_table_without_filter_is_still_searched)
{
	struct fixture f = { .dir = scratch_open() };
	struct store_error err = STORE_ERROR_INIT;
	struct build_spec spec;

	options_default(&f.options);
	f.options.filter_bits = 0;
	f.rs = records_make(500, false, 3);
	spec = spec_make(&f.dir, &f.options, CODEC_LZ4, 42);
	f.meta = table_make(&spec, &f.rs);
	CHECK_OK(table_open(&f.t, &f.dir, 42, NULL, &f.counters, &err), err);
	check_all(&f);
	CHECK(f.counters.filter_probes == 0);
	teardown(&f);
}

static void *reader(void *arg)
{
	struct fixture *f = arg;
	struct lookup l = LOOKUP_INIT;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	void *bad = NULL;

	for (int i = 0; i < 3000 && !bad; i++) {
		struct record *r = &f->rs.r[(size_t)rand_r(&seed) % f->rs.n];
		struct slice key = buf_slice(&r->key);

		if (table_get(f->t, key, table_hash(key), &l, NULL) != 1 ||
		    lookup_is(f->t, &l, r, NULL) != 1)
			bad = r;
	}
	lookup_release(&l);
	return bad;
}

TEST(threads_share_a_table)
{
	struct fixture f;
	pthread_t t[4];
	void *bad = NULL, *r;

	setup(&f, 3000, true, CODEC_ZSTD, 4096, 16, 1u << 16);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, reader, &f) == 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		bad = r ? r : bad;
	}
	CHECK(!bad);
	teardown(&f);
}

TEST(a_table_under_another_number_is_refused)
{
	struct store_error err = STORE_ERROR_INIT;
	struct fixture f;
	struct table *t;

	setup(&f, 10, false, CODEC_LZ4, 4096, 16, 0);
	CHECK_OK(os_rename(&f.dir, "000042.sst", "000043.sst", &err), err);
	CHECK(table_open(&t, &f.dir, 42, NULL, NULL, NULL) == STORE_EGONE);
	CHECK(table_open(&t, &f.dir, 43, NULL, NULL, &err) == STORE_ECORRUPT);
	err = STORE_ERROR_INIT;
	CHECK_OK(table_open_name(&t, &f.dir, "000043.sst", &err), err);
	CHECK_OK(table_verify(t, &f.meta, &err), err);
	table_close(t);
	teardown(&f);
}

TEST_MAIN()
