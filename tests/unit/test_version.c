#include "formats/version.h"

#include "formats/versionpage.h"
#include "tests/unit/manifests.h"
#include "tests/unit/test.h"

/* An image in memory, handed out page by page, as pread would. */
struct image {
	struct manifest m;
	struct buf bytes;
	uint64_t checksum;
	struct page_source src;
	uint8_t *window;
	unsigned reads;
};

static int read_page(void *ctx, void *window, uint64_t n, const uint8_t **page,
		     struct store_error *err)
{
	struct image *im = ctx;

	im->reads++;
	if (n >= im->bytes.len / VERSION_PAGE)
		return store_corrupt(err, "dir", "7.ver", n * VERSION_PAGE,
				     "ends early");
	memcpy(window, im->bytes.data + n * VERSION_PAGE, VERSION_PAGE);
	*page = window;
	return 0;
}

static void image_make(struct image *im)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf text = BUF_INIT;

	CHECK_OK(manifest_format(&im->m, &text, &im->checksum, &err), err);
	CHECK_OK(version_encode(&im->m, im->checksum, &im->bytes, &err), err);
	CHECK(im->bytes.len % VERSION_PAGE == 0);
	im->src = (struct page_source){ .read = read_page,
					.ctx = im,
					.pages = im->bytes.len / VERSION_PAGE,
					.dir = "dir",
					.name = "7.ver" };
	im->window = malloc(VERSION_PAGE);
	buf_free(&text);
}

static void image_free(struct image *im)
{
	manifest_release(&im->m);
	buf_free(&im->bytes);
	free(im->window);
	*im = (struct image){ .reads = 0 };
}

/* Make every page's checksum right again, whatever the pages say. */
static void image_seal(struct image *im)
{
	uint64_t sum = load_u64(im->bytes.data + H_MANIFEST);

	for (uint64_t n = 0; n < im->src.pages; n++) {
		uint8_t *page = im->bytes.data + n * VERSION_PAGE;

		put_u64(page + PAGE_PAYLOAD, version_page_sum(page, n, sum));
	}
}

static bool told(const struct version_table *t, const struct table_meta *m)
{
	return t->number == m->number && t->bytes == m->bytes &&
	       t->entries == m->entries && t->age_first == m->age_first &&
	       t->age_last == m->age_last && t->checksum == m->checksum;
}

/* What version_find() must say, the slow way. */
static size_t find_slowly(const struct run *run, struct slice key, bool *in)
{
	size_t i = 0;

	while (i < run->n &&
	       slice_cmp(buf_slice(&run->tables[i].largest), key) < 0)
		i++;
	*in = i < run->n &&
	      slice_cmp(buf_slice(&run->tables[i].smallest), key) <= 0;
	return i;
}

static void look(struct image *im, const struct version *v, size_t r,
		 struct slice key)
{
	const struct version_run *vr = &v->runs[r];
	const struct run *run = &im->m.levels[vr->level].runs[vr->index];
	struct store_error err = STORE_ERROR_INIT;
	struct version_table t;
	uint64_t index;
	bool in;
	size_t at = find_slowly(run, key, &in);
	int got;

	got = version_find(v, &im->src, im->window, vr, key, &index, &t, &err);
	CHECK_OK(got, err);
	CHECK(got == (in ? 1 : 0));
	CHECK(!got || (index == at && told(&t, &run->tables[at])));

	got = version_seek(v, &im->src, im->window, vr, key, &index, &t, &err);
	CHECK_OK(got, err);
	CHECK(got == (at < run->n));
	CHECK(index == at);
	CHECK(!got || told(&t, &run->tables[at]));
}

/* The key itself, just below it, and just above. */
static void look_around(struct image *im, const struct version *v, size_t r,
			const struct buf *key)
{
	struct buf k = BUF_INIT;

	CHECK(!buf_assign(&k, buf_slice(key)));
	look(im, v, r, buf_slice(&k));
	CHECK(!buf_append_u8(&k, 0));
	look(im, v, r, buf_slice(&k));
	k.len -= 2;
	look(im, v, r, buf_slice(&k));
	CHECK(!buf_append_u8(&k, (uint8_t)(key->data[key->len - 1] - 1)));
	look(im, v, r, buf_slice(&k));
	CHECK(!buf_append(&k, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9));
	look(im, v, r, buf_slice(&k));
	buf_free(&k);
}

static void look_at_all(struct image *im, const struct version *v)
{
	for (size_t r = 0; r < v->n_runs; r++) {
		const struct version_run *vr = &v->runs[r];
		const struct run *run =
			&im->m.levels[vr->level].runs[vr->index];

		CHECK(vr->tables == run->n);
		for (size_t i = 0; i < run->n; i++) {
			struct store_error err = STORE_ERROR_INIT;
			struct version_table t;

			CHECK_OK(version_table_at(v, &im->src, im->window, vr,
						  i, &t, &err),
				 err);
			CHECK(told(&t, &run->tables[i]));
			look_around(im, v, r, &run->tables[i].smallest);
			look_around(im, v, r, &run->tables[i].largest);
		}
		look(im, v, r, SLICE_NULL);
	}
}

TEST(an_image_answers_as_its_manifest_does)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct image im = { .m = MANIFEST_INIT };
		struct store_error err = STORE_ERROR_INIT;
		struct version v = VERSION_INIT;
		uint64_t bytes = 0;

		random_manifest(&im.m, seed, seed % 8 * 60);
		image_make(&im);
		CHECK_OK(version_open(&v, &im.src, im.window, &err), err);
		CHECK(v.generation == im.m.generation);
		CHECK(v.manifest_checksum == im.checksum);
		CHECK(!memcmp(v.uuid, im.m.uuid, 16));
		CHECK(!memcmp(&v.options, &im.m.options, sizeof(v.options)));
		CHECK(v.n_logs == im.m.n_logs && v.n_levels == im.m.n_levels);
		for (size_t i = 0; i < v.n_logs; i++)
			CHECK(v.logs[i].number == im.m.logs[i].number &&
			      v.logs[i].sealed == im.m.logs[i].sealed &&
			      v.logs[i].length == im.m.logs[i].length &&
			      v.logs[i].checksum == im.m.logs[i].checksum);
		if (v.n_levels) {
			CHECK(v.level0_runs == im.m.levels[0].n);
			for (size_t r = 0; r < im.m.levels[0].n; r++)
				bytes += v.runs[r].bytes;
		}
		CHECK(v.level0_bytes == bytes);
		look_at_all(&im, &v);
		CHECK_OK(version_check(&im.src, im.window, &im.m, &err), err);
		CHECK_OK(version_check(&im.src, im.window, NULL, &err), err);
		version_release(&v);
		image_free(&im);
	}
}

/* Tables whose keys all begin alike, so that every comparison ties. */
static void tied_run(struct manifest *m, size_t n, size_t prefix)
{
	struct table_meta *t = calloc(n, sizeof(*t));
	char *key = malloc(prefix + 20);

	memset(key, 'p', prefix);
	for (size_t i = 0; i < n; i++) {
		char *end = key + prefix;

		snprintf(end, 20, "%08zu", 10 * i);
		t[i] = make_table(100 + i, 5, 5, key, key);
		snprintf(end, 20, "%08zu", 10 * i + 5);
		must(buf_assign(&t[i].largest, slice_str(key)));
	}
	m->next_number = 200 + n;
	m->generation = 7;
	add_run(m, 1, t, n);
	free(t);
	free(key);
}

TEST(keys_that_tie_are_compared_whole_across_pages)
{
	static const struct {
		size_t tables, prefix;
	} cases[] = { { 1, 8 },	    { 51, 8 },	  { 52, 7 }, { 102, 9 },
		      { 400, 100 }, { 60, 9000 }, { 300, 0 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct image im = { .m = MANIFEST_INIT };
		struct store_error err = STORE_ERROR_INIT;
		struct version v = VERSION_INIT;

		start_manifest(&im.m);
		tied_run(&im.m, cases[i].tables, cases[i].prefix);
		image_make(&im);
		CHECK_OK(version_open(&v, &im.src, im.window, &err), err);
		look_at_all(&im, &v);
		CHECK_OK(version_check(&im.src, im.window, &im.m, &err), err);
		version_release(&v);
		image_free(&im);
	}
}

TEST(a_lookup_reads_one_page_or_two_when_prefixes_decide)
{
	struct image im = { .m = MANIFEST_INIT };
	struct store_error err = STORE_ERROR_INIT;
	struct version v = VERSION_INIT;
	struct version_table t;
	uint64_t index;

	start_manifest(&im.m);
	tied_run(&im.m, 20000, 0);
	image_make(&im);
	CHECK_OK(version_open(&v, &im.src, im.window, &err), err);
	for (unsigned i = 0; i < 20000; i += 7) {
		char key[20];

		snprintf(key, sizeof(key), "%08uzz", 10 * i + 3);
		im.reads = 0;
		CHECK(version_find(&v, &im.src, im.window, &v.runs[0],
				   slice_str(key), &index, &t, &err) == 1);
		CHECK(index == i && im.reads == 2);
	}
	version_release(&v);
	image_free(&im);

	start_manifest(&im.m);
	tied_run(&im.m, 51, 0);
	image_make(&im);
	CHECK_OK(version_open(&v, &im.src, im.window, &err), err);
	im.reads = 0;
	CHECK(version_find(&v, &im.src, im.window, &v.runs[0],
			   slice_str("00000103"), &index, &t, &err) == 1);
	CHECK(index == 10 && im.reads == 1);
	version_release(&v);
	image_free(&im);
}

TEST(a_run_of_many_pages_has_a_top_index_of_several)
{
	struct image im = { .m = MANIFEST_INIT };
	struct store_error err = STORE_ERROR_INIT;
	struct version v = VERSION_INIT;

	start_manifest(&im.m);
	tied_run(&im.m, PAGE_ENTRIES * PAGE_PREFIXES + 60, 0);
	image_make(&im);
	CHECK_OK(version_open(&v, &im.src, im.window, &err), err);
	CHECK(v.runs[0].keys_page - v.runs[0].top_page == 2);
	for (unsigned i = 0; i < 26000; i += 97) {
		struct version_table t;
		uint64_t index;
		char key[20];

		snprintf(key, sizeof(key), "%08u", 10 * i + 5);
		CHECK(version_find(&v, &im.src, im.window, &v.runs[0],
				   slice_str(key), &index, &t, &err) == 1);
		CHECK(index == i);
	}
	CHECK_OK(version_check(&im.src, im.window, NULL, &err), err);
	version_release(&v);
	image_free(&im);
}

/* Small, but with every kind of page. */
static void small_image(struct image *im)
{
	small_manifest(&im->m);
	tied_run(&im->m, 60, 9);
	image_make(im);
}

/* Ask everything; any answer will do but a crash. */
static void ask(struct image *im)
{
	static const char *const keys[] = {
		"", "k20", "ppppppppp00000123", "zzz", "ppppppppp", "\xff"
	};
	struct version v = VERSION_INIT;
	struct version_table t;
	uint64_t index;

	if (version_open(&v, &im->src, im->window, NULL) < 0)
		return;
	for (size_t r = 0; r < v.n_runs; r++) {
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
			version_find(&v, &im->src, im->window, &v.runs[r],
				     slice_str(keys[k]), &index, &t, NULL);
			version_seek(&v, &im->src, im->window, &v.runs[r],
				     slice_str(keys[k]), &index, &t, NULL);
		}
		for (uint64_t i = 0; i < v.runs[r].tables && i < 200; i++)
			version_table_at(&v, &im->src, im->window, &v.runs[r],
					 i, &t, NULL);
	}
	version_release(&v);
	version_check(&im->src, im->window, NULL, NULL);
}

/* The answer of an image that was changed: right, or damaged. */
static void right_or_corrupt(struct image *im, struct slice key)
{
	struct version v = VERSION_INIT;
	struct version_table t;
	uint64_t index;
	bool in;
	int r;

	r = version_open(&v, &im->src, im->window, NULL);
	CHECK(r == 0 || r == STORE_ECORRUPT);
	for (size_t i = 0; i < v.n_runs; i++) {
		const struct version_run *vr = &v.runs[i];
		const struct run *run =
			&im->m.levels[vr->level].runs[vr->index];
		size_t at = find_slowly(run, key, &in);

		r = version_find(&v, &im->src, im->window, vr, key, &index, &t,
				 NULL);
		CHECK(r == STORE_ECORRUPT || r == in);
		CHECK(r != 1 || told(&t, &run->tables[at]));
	}
	version_release(&v);
}

TEST(every_flipped_byte_is_found_and_gives_no_wrong_answer)
{
	struct image im = { .m = MANIFEST_INIT };
	struct store_error err = STORE_ERROR_INIT;

	small_image(&im);
	CHECK_OK(version_check(&im.src, im.window, &im.m, &err), err);
	for (size_t i = 0; i < im.bytes.len; i++) {
		im.bytes.data[i] ^= (uint8_t)(1 << i % 8);
		CHECK(version_check(&im.src, im.window, NULL, NULL) ==
		      STORE_ECORRUPT);
		right_or_corrupt(&im, slice_str("k45"));
		right_or_corrupt(&im, slice_str("ppppppppp00000123"));
		im.bytes.data[i] ^= (uint8_t)(1 << i % 8);
	}
	image_free(&im);
}

TEST(an_image_cut_short_or_made_longer_is_refused)
{
	struct image im = { .m = MANIFEST_INIT };

	small_image(&im);
	for (uint64_t n = 0; n < im.src.pages; n++) {
		struct page_source src = im.src;
		struct version v = VERSION_INIT;

		src.pages = n;
		CHECK(version_open(&v, &src, im.window, NULL) ==
		      STORE_ECORRUPT);
	}
	CHECK(!buf_append_zeros(&im.bytes, VERSION_PAGE));
	im.src.pages++;
	CHECK(version_check(&im.src, im.window, NULL, NULL) == STORE_ECORRUPT);
	image_free(&im);
}

TEST(pages_of_two_images_do_not_mix)
{
	struct image a = { .m = MANIFEST_INIT }, b = { .m = MANIFEST_INIT };

	small_image(&a);
	small_manifest(&b.m);
	tied_run(&b.m, 60, 9);
	b.m.flushed_bytes++;
	image_make(&b);
	CHECK(a.bytes.len == b.bytes.len);
	for (uint64_t n = 0; n < a.src.pages; n++) {
		uint8_t saved[VERSION_PAGE];
		uint8_t *page = a.bytes.data + n * VERSION_PAGE;

		memcpy(saved, page, VERSION_PAGE);
		memcpy(page, b.bytes.data + n * VERSION_PAGE, VERSION_PAGE);
		CHECK(version_check(&a.src, a.window, NULL, NULL) ==
		      STORE_ECORRUPT);
		memcpy(page, saved, VERSION_PAGE);
	}
	CHECK(version_check(&b.src, b.window, &a.m, NULL) == STORE_ECORRUPT);
	CHECK(version_check(&a.src, a.window, &a.m, NULL) == 0);
	image_free(&a);
	image_free(&b);
}

/* Put a number that has been trouble before, or any byte, somewhere. */
static void damage(struct buf *bytes, uint64_t *s)
{
	static const uint64_t bad[] = { 0,	    1,		2,
					UINT64_MAX, 1ull << 63, 1ull << 53,
					0xffffffff, 4088 };
	/* half of them where the header's numbers are */
	size_t reach = next_random(s) % 2 ? 600 : bytes->len;
	size_t at = next_random(s) % reach;

	if (next_random(s) % 2)
		put_u64(bytes->data + (at & ~(size_t)7),
			bad[next_random(s) % 8]);
	else
		bytes->data[at] = (uint8_t)next_random(s);
}

TEST(bytes_changed_under_right_checksums_never_crash)
{
	struct image im = { .m = MANIFEST_INIT };
	struct buf good = BUF_INIT;
	uint64_t s = 12345;

	small_image(&im);
	CHECK(!buf_assign(&good, buf_slice(&im.bytes)));
	for (int round = 0; round < 12000; round++) {
		memcpy(im.bytes.data, good.data, good.len);
		for (uint64_t k = 1 + next_random(&s) % 3; k; k--)
			damage(&im.bytes, &s);
		image_seal(&im);
		ask(&im);
	}
	buf_free(&good);
	image_free(&im);
}

TEST(random_pages_under_right_checksums_never_crash)
{
	struct image im = { .m = MANIFEST_INIT };
	uint8_t head[1024];
	uint64_t s = 99;

	small_image(&im);
	memcpy(head, im.bytes.data, sizeof(head));
	for (int round = 0; round < 2000; round++) {
		for (size_t i = 0; i < im.bytes.len; i++)
			im.bytes.data[i] = (uint8_t)next_random(&s);
		/* a header that leads into the noise, or its first words */
		memcpy(im.bytes.data, head,
		       round % 4 ? sizeof(head) : HEADER_BYTES);
		image_seal(&im);
		ask(&im);
	}
	image_free(&im);
}

TEST_MAIN()
