/* Many sources as one: against a plain model, in both directions. */
#include "lib/merge.h"
#include "tests/unit/test.h"

/* ---- how the numbers from 0 on are spelled as keys, in their order ---- */

#define KEYS 100
#define SPELLED (KEYS + 2) /* one may look for more than there is */

static struct spelling {
	uint8_t bytes[32];
	size_t len;
} spelling[SPELLED];

static void spell_in_four_bytes(void)
{
	for (int k = 0; k < SPELLED; k++) {
		spelling[k] = (struct spelling){ .len = 4 };
		spelling[k].bytes[3] = (uint8_t)k;
	}
}

static struct slice key_of(uint32_t k)
{
	return slice_make(spelling[k].bytes, spelling[k].len);
}

static int cmp_spelling(const void *a, const void *b)
{
	const struct spelling *x = a, *y = b;

	return slice_cmp(slice_make(x->bytes, x->len),
			 slice_make(y->bytes, y->len));
}

static bool is_spelled(const struct spelling *s, int n)
{
	for (int i = 0; i < n; i++)
		if (cmp_spelling(s, &spelling[i]) == 0)
			return true;
	return false;
}

/*
 * Long beginnings in common, which change on the way; keys that begin others,
 * that end with zeros, that are all ones.
 */
static void spell_in_words(unsigned seed)
{
	static const char stems[][21] = { "a", "user:", "user:profile:",
					  "user:profile:\0\0\0\0\0\0\0",
					  "\xff\xff\xff\xff\xff\xff\xff\xff" };
	static const size_t lens[] = { 1, 5, 13, 20, 8 };
	static const uint8_t letters[] = { 0, 'a', 0xff };

	for (int n = 0; n < SPELLED;) {
		unsigned stem = (unsigned)rand_r(&seed) % 5;
		size_t more = (size_t)rand_r(&seed) % 10;
		struct spelling s = { .len = lens[stem] };

		memcpy(s.bytes, stems[stem], s.len);
		while (more--)
			s.bytes[s.len++] = letters[rand_r(&seed) % 3];
		if (!is_spelled(&s, n))
			spelling[n++] = s;
	}
	qsort(spelling, SPELLED, sizeof(spelling[0]), cmp_spelling);
}

static void spell(int round)
{
	if (round % 2)
		spell_in_words((unsigned)round);
	else
		spell_in_four_bytes();
}

static uint32_t number(struct slice key)
{
	for (uint32_t k = 0; k < SPELLED; k++)
		if (slice_eq(key_of(k), key))
			return k;
	return UINT32_MAX;
}

/* ---- a source: sorted numbers; the value says whose it is ---- */

struct source {
	struct iter it;
	uint32_t keys[64];
	int n, at; /* at == -1 or n: nowhere */
	uint8_t id;
	int fail_at; /* a move to this index fails; -2: never */
};

static int closed;

static int stand(struct source *s, int at, struct store_error *err)
{
	s->at = at;
	if (at == s->fail_at)
		return store_fail(err, STORE_EIO, "made to fail");
	if (at < 0 || at >= s->n) {
		s->at = -1;
		return 0;
	}
	s->it.e = (struct entry){ .kind = ENTRY_PUT,
				  .key = key_of(s->keys[at]),
				  .value = slice_make(&s->id, 1),
				  .value_len = 1 };
	return 1;
}

static int src_first(struct iter *it, struct store_error *err)
{
	return stand((struct source *)it, 0, err);
}

static int src_last(struct iter *it, struct store_error *err)
{
	return stand((struct source *)it, ((struct source *)it)->n - 1, err);
}

static int src_lower(struct source *s, struct slice key)
{
	int i = 0;

	while (i < s->n && s->keys[i] < number(key))
		i++;
	return i;
}

static int src_seek(struct iter *it, struct slice key, struct store_error *err)
{
	struct source *s = (struct source *)it;

	return stand(s, src_lower(s, key), err);
}

static int src_before(struct iter *it, struct slice key,
		      struct store_error *err)
{
	struct source *s = (struct source *)it;

	return stand(s, src_lower(s, key) - 1, err);
}

static int src_next(struct iter *it, struct store_error *err)
{
	struct source *s = (struct source *)it;

	return s->at < 0 ? 0 : stand(s, s->at + 1, err);
}

static int src_prev(struct iter *it, struct store_error *err)
{
	struct source *s = (struct source *)it;

	return s->at < 0 ? 0 : stand(s, s->at - 1, err);
}

static int src_chunk(struct iter *it, uint64_t i, struct slice *out,
		     struct store_error *err)
{
	(void)i;
	(void)err;
	*out = slice_make(&((struct source *)it)->id, 1);
	return 0;
}

static void src_close(struct iter *it)
{
	closed++;
	free(it);
}

/* Each fourth key leads a block of four. */
#define BLOCK 4

static int src_block(const struct iter *it, struct iter_block *b)
{
	const struct source *s = (const struct source *)it;
	int last = s->at + BLOCK - 1;

	if (s->at < 0 || s->at % BLOCK)
		return 0;
	b->last = key_of(s->keys[last < s->n ? last : s->n - 1]);
	return 1;
}

static int src_skip(struct iter *it, struct store_error *err)
{
	struct source *s = (struct source *)it;

	return s->at < 0 ? 0 : stand(s, s->at + BLOCK, err);
}

static const struct iter_ops src_ops = {
	.first = src_first,
	.last = src_last,
	.seek = src_seek,
	.seek_before = src_before,
	.next = src_next,
	.prev = src_prev,
	.chunk = src_chunk,
	.close = src_close,
	.block = src_block,
	.skip = src_skip,
};

/* ---- the model: for each key the newest source that holds it ---- */

struct model {
	int newest[KEYS]; /* source, or -1 */
	uint64_t hidden;
};

static struct iter *make(int n, unsigned *seed, unsigned density,
			 struct model *m)
{
	struct iter *sources[300], *merge = NULL;
	struct store_error err = STORE_ERROR_INIT;

	for (int k = 0; k < KEYS; k++)
		m->newest[k] = -1;
	m->hidden = 0;
	for (int i = 0; i < n; i++) {
		struct source *s = calloc(1, sizeof(*s));

		s->it.ops = &src_ops;
		s->at = -1;
		s->id = (uint8_t)i;
		s->fail_at = -2;
		for (uint32_t k = 0; k < KEYS && s->n < 64; k++) {
			if ((unsigned)rand_r(seed) % 100 >= density)
				continue;
			s->keys[s->n++] = k;
			if (m->newest[k] < 0)
				m->newest[k] = i;
			else
				m->hidden++;
		}
		sources[i] = &s->it;
	}
	CHECK_OK(merge_open(&merge, sources, (size_t)n, &err), err);
	return merge;
}

static int model_from(const struct model *m, int k, int step)
{
	while (k >= 0 && k < KEYS && m->newest[k] < 0)
		k += step;
	return k < 0 || k >= KEYS ? -1 : k;
}

/* The merge stands where the model says: at `k`, or nowhere. */
static void agree(struct iter *it, int r, const struct model *m, int k)
{
	CHECK(r == (k >= 0));
	if (k < 0)
		return;
	CHECK(number(it->e.key) == (uint32_t)k);
	CHECK(it->e.value.data[0] == (uint8_t)m->newest[k]);
}

TEST(a_merge_of_nothing_is_empty)
{
	struct store_error err = STORE_ERROR_INIT;
	struct iter *it;

	CHECK_OK(merge_open(&it, NULL, 0, &err), err);
	CHECK(it->ops->first(it, &err) == 0);
	CHECK(it->ops->last(it, &err) == 0);
	CHECK(it->ops->seek(it, slice_str("a"), &err) == 0);
	CHECK(it->ops->seek_before(it, slice_str("a"), &err) == 0);
	CHECK(it->ops->next(it, &err) == 0);
	CHECK(it->ops->prev(it, &err) == 0);
	iter_close(it);
}

/* All of it, there and back. */
static void walk_through(struct iter *it, const struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;
	int k = model_from(m, 0, 1);
	int r = it->ops->first(it, &err);

	for (; k >= 0; k = model_from(m, k + 1, 1)) {
		agree(it, r, m, k);
		r = it->ops->next(it, &err);
	}
	CHECK(r == 0 && it->ops->next(it, &err) == 0);
	CHECK(merge_hidden(it) == m->hidden);
	k = model_from(m, KEYS - 1, -1);
	r = it->ops->last(it, &err);
	for (; k >= 0; k = model_from(m, k - 1, -1)) {
		agree(it, r, m, k);
		r = it->ops->prev(it, &err);
	}
	CHECK(r == 0);
}

static void walk_many_through(void)
{
	static const int counts[] = { 1, 2, 3, 7, 16, 33, 300 };
	unsigned seed = 1;

	for (int c = 0; c < 7; c++)
		for (unsigned density = 1; density <= 60; density += 20) {
			struct model m;
			struct iter *it = make(counts[c], &seed, density, &m);

			walk_through(it, &m);
			iter_close(it);
		}
}

TEST(forwards_and_backwards_show_the_newest_of_each_key)
{
	spell_in_four_bytes();
	walk_many_through();
	for (unsigned seed = 0; seed < 10; seed++) {
		spell_in_words(seed);
		walk_many_through();
	}
}

/* From the shown entry to `last` all is of its source, as the model has it. */
static int check_block(const struct model *m, int k, struct slice last)
{
	int source = m->newest[k], next = k;

	while (next >= 0 && next < KEYS &&
	       slice_cmp(key_of((uint32_t)next), last) <= 0) {
		CHECK(m->newest[next] == source);
		next = model_from(m, next + 1, 1);
	}
	return next;
}

/* Whole blocks where they are offered; how many that were. */
static int walk_by_blocks(struct iter *it, const struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;
	struct iter_block b;
	int k = model_from(m, 0, 1), blocks = 0;
	int r = it->ops->first(it, &err);

	while (k >= 0) {
		agree(it, r, m, k);
		if (it->ops->block(it, &b)) {
			k = check_block(m, k, b.last);
			r = it->ops->skip(it, &err);
			blocks++;
		} else {
			k = model_from(m, k + 1, 1);
			r = it->ops->next(it, &err);
		}
	}
	CHECK(r == 0 && !it->ops->block(it, &b));
	CHECK(it->ops->skip(it, &err) == 0);
	CHECK(merge_hidden(it) == m->hidden);
	return blocks;
}

TEST(a_block_is_offered_where_nobody_else_has_a_key_in_it)
{
	unsigned seed = 11;
	int blocks = 0;

	for (int round = 0; round < 400; round++) {
		struct model m;
		struct iter *it;

		spell(round);
		it = make(1 + round % 9, &seed, round % 3 ? 2 : 15, &m);
		blocks += walk_by_blocks(it, &m);
		iter_close(it);
	}
	CHECK(blocks > 400);
}

static void walk_about(struct iter *it, const struct model *m, unsigned *seed)
{
	struct store_error err = STORE_ERROR_INIT;
	int k = -1, r;

	for (int i = 0; i < 300; i++) {
		uint32_t to = (uint32_t)rand_r(seed) % SPELLED;
		int how = k < 0 ? rand_r(seed) % 4 : rand_r(seed) % 12;

		if (how == 0) {
			r = it->ops->seek(it, key_of(to), &err);
			k = model_from(m, (int)to, 1);
		} else if (how == 1) {
			r = it->ops->seek_before(it, key_of(to), &err);
			k = model_from(m, to > KEYS ? KEYS - 1 : (int)to - 1,
				       -1);
		} else if (how == 2) {
			r = it->ops->first(it, &err);
			k = model_from(m, 0, 1);
		} else if (how == 3) {
			r = it->ops->last(it, &err);
			k = model_from(m, KEYS - 1, -1);
		} else if (how < 8) {
			r = it->ops->next(it, &err);
			k = model_from(m, k + 1, 1);
		} else {
			r = it->ops->prev(it, &err);
			k = model_from(m, k - 1, -1);
		}
		agree(it, r, m, k);
	}
}

TEST(any_walk_agrees_with_the_model)
{
	unsigned seed = 7;

	for (int round = 0; round < 400; round++) {
		struct model m;
		struct iter *it;

		spell(round);
		it = make(1 + round % 9, &seed, 15, &m);
		walk_about(it, &m, &seed);
		iter_close(it);
	}
}

TEST(chunks_come_from_the_source_that_is_shown)
{
	struct store_error err = STORE_ERROR_INIT;
	unsigned seed = 3;
	struct model m;
	struct slice chunk;
	struct iter *it;

	spell_in_four_bytes();
	it = make(5, &seed, 40, &m);
	for (int r = it->ops->first(it, &err); r > 0;
	     r = it->ops->next(it, &err)) {
		CHECK_OK(it->ops->chunk(it, 0, &chunk, &err), err);
		CHECK(chunk.data[0] == it->e.value.data[0]);
	}
	iter_close(it);
}

TEST(a_source_that_fails_is_reported_and_leaves_the_merge_nowhere)
{
	struct store_error err = STORE_ERROR_INIT;
	struct iter *sources[3], *it;

	closed = 0;
	spell_in_four_bytes();
	for (int i = 0; i < 3; i++) {
		struct source *s = calloc(1, sizeof(*s));

		s->it.ops = &src_ops;
		s->at = -1;
		s->n = 3;
		for (uint32_t k = 0; k < 3; k++)
			s->keys[k] = k * 3 + (uint32_t)i;
		s->fail_at = i == 1 ? 1 : -2;
		sources[i] = &s->it;
	}
	CHECK_OK(merge_open(&it, sources, 3, &err), err);
	CHECK(it->ops->first(it, &err) == 1);
	CHECK(it->ops->next(it, &err) == 1);
	CHECK(it->ops->next(it, &err) == STORE_EIO);
	CHECK(err.code == STORE_EIO);
	CHECK(it->ops->next(it, &err) == 0);
	iter_close(it);
	CHECK(closed == 3);
}

TEST_MAIN()
