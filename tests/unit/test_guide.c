/*
 * test_guide.c - the flat index: made when it pays, and it finds exactly what
 * the index finds.
 */
#include "lib/guide.h"
#include "tests/unit/tables.h"

#define CACHE (16u << 20)

struct pair {
	struct dir dir;
	struct options options;
	struct records rs;
	struct table_meta meta;
	struct cache *cache;
	struct table *guided, *plain; /* the same file */
};

/* Keys of a kind: `make` writes the one of number i. */
typedef void key_fn(struct buf *key, size_t i, unsigned *seed);

static void setup(struct pair *p, size_t n, key_fn *make, size_t cache)
{
	struct store_error err = STORE_ERROR_INIT;
	struct build_spec spec;
	unsigned seed = 7;

	memset(p, 0, sizeof(*p));
	p->dir = scratch_open();
	options_default(&p->options);
	p->options.block_bytes = 256;
	p->rs = (struct records){ calloc(n, sizeof(struct record)), n };
	for (size_t i = 0; i < n; i++) {
		make(&p->rs.r[i].key, i, &seed);
		p->rs.r[i].kind = ENTRY_PUT;
		random_bytes(&p->rs.r[i].value, 20, &seed);
	}
	records_sort(&p->rs);
	spec = spec_make(&p->dir, &p->options, CODEC_LZ4, 42);
	p->meta = table_make(&spec, &p->rs);
	p->cache = cache_new(cache);
	CHECK_OK(table_open(&p->guided, &p->dir, 42, p->cache, NULL, &err),
		 err);
	CHECK_OK(table_open(&p->plain, &p->dir, 42, NULL, NULL, &err), err);
}

/* Half of what the cache was made with can be had again: of the guide, too. */
static void teardown(struct pair *p, size_t cache)
{
	table_close(p->guided);
	table_close(p->plain);
	CHECK(cache_lend(p->cache, cache / 2));
	cache_free(p->cache);
	table_meta_release(&p->meta);
	records_free(&p->rs);
	scratch_close(&p->dir);
}

/* Ask until there is a guide, or there could have been one. */
static struct guide *guide_after(struct pair *p, uint64_t lookups)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	struct guide *g = NULL;

	for (uint64_t i = 0; !g && i < lookups; i++)
		g = guide_of(p->guided, &w);
	window_release(&w);
	return g;
}

static int get(struct table *t, struct slice key, struct lookup *l)
{
	struct store_error err = STORE_ERROR_INIT;
	int r = table_get(t, key, table_hash(key), l, &err);

	CHECK_OK(r, err);
	return r;
}

static void check_same(struct pair *p, struct slice key)
{
	struct lookup a = LOOKUP_INIT, b = LOOKUP_INIT;
	int r = get(p->guided, key, &a);

	CHECK(r == get(p->plain, key, &b));
	CHECK(r == records_have(&p->rs, key));
	CHECK(slice_eq(lookup_value(&a), lookup_value(&b)));
	lookup_release(&a);
	lookup_release(&b);
}

/* Each key, its neighbours, its beginnings, and both ends. */
static void check_all(struct pair *p)
{
	struct buf k = BUF_INIT;

	for (size_t i = 0; i < p->rs.n; i++) {
		buf_assign(&k, buf_slice(&p->rs.r[i].key));
		check_same(p, buf_slice(&k));
		k.data[k.len - 1]++;
		check_same(p, buf_slice(&k));
		k.data[k.len - 1] -= 2;
		check_same(p, buf_slice(&k));
		buf_append_u8(&k, 0xff);
		check_same(p, buf_slice(&k));
		for (k.len -= 2; k.len; k.len /= 2)
			check_same(p, buf_slice(&k));
	}
	buf_free(&k);
	check_same(p, slice_str("\x01"));
	check_same(p, slice_str("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
}

static void decimal(struct buf *key, size_t i, unsigned *seed)
{
	char text[32];

	(void)seed;
	buf_append(key, text,
		   (size_t)snprintf(text, sizeof(text), "user:%08zu", i * 3));
}

static void binary(struct buf *key, size_t i, unsigned *seed)
{
	size_t n = 1 + (size_t)rand_r(seed) % 12;

	(void)i;
	while (n--)
		buf_append_u8(key, (uint8_t)(rand_r(seed) >> 8));
}

/* Nine bytes and more of which only the last differ: marks are alike. */
static void alike(struct buf *key, size_t i, unsigned *seed)
{
	char text[64];

	(void)seed;
	buf_append(key, text,
		   (size_t)snprintf(text, sizeof(text), "%czzzzzzzzzzzz%06zu",
				    "abcd"[i % 4], i));
}

static void check_kind(key_fn *make)
{
	struct pair p;
	struct guide *g;

	setup(&p, 3000, make, CACHE);
	CHECK(guide_after(&p, 10) == NULL);
	g = guide_after(&p, 100000);
	CHECK(g);
	check_all(&p);
	CHECK(guide_after(&p, 1) == g);
	teardown(&p, CACHE);
}

TEST(a_guide_finds_keys_that_begin_alike)
{
	check_kind(decimal);
}

TEST(a_guide_finds_keys_of_any_bytes_and_lengths)
{
	check_kind(binary);
}

TEST(where_eight_bytes_do_not_tell_the_index_does)
{
	check_kind(alike);
}

TEST(a_guide_places_each_key_where_the_index_does_or_says_that_it_cannot)
{
	struct guide_block *at = NULL;
	size_t unknown = 0, last = 0;
	struct pair p;
	struct guide *g;

	setup(&p, 3000, decimal, CACHE);
	g = guide_after(&p, 100000);
	CHECK(g);
	for (size_t i = 0; i < p.rs.n; i++) {
		int r = guide_find(g, buf_slice(&p.rs.r[i].key), &at);

		CHECK(r != 0);
		unknown += r < 0;
		CHECK(r < 0 || at->place.off >= last);
		last = r < 0 ? last : (size_t)at->place.off;
	}
	/* Separators that are whole keys, at most one a block. */
	CHECK(unknown < p.rs.n / 4);
	CHECK(guide_find(g, slice_str("user:99999999"), &at) <= 0);
	CHECK(guide_find(g, slice_str("z"), &at) == 0);
	CHECK(guide_find(g, slice_str("a"), &at) == 1 && at->place.off == 0);
	CHECK(guide_find(g, slice_str("user"), &at) == 1 && at->place.off == 0);
	teardown(&p, CACHE);
}

TEST(there_is_no_guide_where_the_cache_has_no_room_for_it)
{
	struct pair p;

	setup(&p, 3000, decimal, 8192);
	CHECK(guide_after(&p, 100000) == NULL);
	check_all(&p);
	teardown(&p, 8192);
}

TEST(a_damaged_index_makes_no_guide_and_is_told_by_the_lookup)
{
	struct store_error err = STORE_ERROR_INIT;
	struct lookup l = LOOKUP_INIT;
	struct pair p;
	size_t told = 0;
	uint8_t byte;
	int fd;

	setup(&p, 4000, decimal, CACHE);
	fd = openat(p.dir.fd, "000042.sst", O_RDWR);
	CHECK(fd >= 0);
	/* In the first leaf; the root has been read at the end of the file. */
	CHECK(pread(fd, &byte, 1, (off_t)p.guided->footer.index_off + 5) == 1);
	byte ^= 1;
	CHECK(pwrite(fd, &byte, 1, (off_t)p.guided->footer.index_off + 5) == 1);
	close(fd);
	CHECK(p.guided->footer.depth > 1);
	CHECK(guide_after(&p, 100000) == NULL);
	for (size_t i = 0; i < p.rs.n; i++) {
		struct slice key = buf_slice(&p.rs.r[i].key);
		int r = table_get(p.guided, key, table_hash(key), &l, &err);

		CHECK(r == 1 || r == STORE_ECORRUPT);
		told += r < 0;
	}
	CHECK(told > 0 && told < p.rs.n);
	lookup_release(&l);
	teardown(&p, CACHE);
}

TEST_MAIN()
