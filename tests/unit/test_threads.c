/*
 * test_threads.c - threads that share a handle: writers, readers of one key
 * and of many, iterators, loads, a flusher and the queue at once.  Also run
 * under ThreadSanitizer.
 */
#include "lib/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>

#define WRITERS 4
#define KEYS 400
#define ROUNDS 5
#define LOADS 3
#define LOADED 3000

static struct store *db;
static atomic_int failures;
static atomic_bool stop;
/* What each writer has had acknowledged of each of its keys. */
static atomic_int acked[WRITERS][KEYS];

#define EXPECT(cond, e)                                                        \
	do {                                                                   \
		if (!(cond)) {                                                 \
			printf("# line %d: %s: %s\n", __LINE__, #cond,         \
			       (e).text);                                      \
			failures++;                                            \
			return NULL;                                           \
		}                                                              \
	} while (0)

static size_t key_of(char *k, size_t n, int writer, int i)
{
	return (size_t)snprintf(k, n, "w%d-%05d", writer, i);
}

static void *writer(void *arg)
{
	int w = (int)(intptr_t)arg;
	struct store_error e = STORE_ERROR_INIT;
	char k[32], v[64];

	for (int round = 1; round <= ROUNDS; round++)
		for (int i = 0; i < KEYS; i++) {
			size_t kn = key_of(k, sizeof(k), w, i);
			size_t vn = (size_t)snprintf(v, sizeof(v), "%d %032d",
						     round, i);

			EXPECT(store_put(db, slice_make(k, kn),
					 slice_make(v, vn),
					 i % 50 ? STORE_NOSYNC : STORE_SYNC,
					 &e) == 0,
			       e);
			acked[w][i] = round;
		}
	return NULL;
}

static void *reader(void *arg)
{
	struct store_error e = STORE_ERROR_INIT;
	struct buf v = BUF_INIT;
	unsigned seed = (unsigned)(intptr_t)arg;
	char k[32];

	while (!stop) {
		int w = rand_r(&seed) % WRITERS, i = rand_r(&seed) % KEYS;
		int before = acked[w][i], r;

		r = store_get(db, slice_make(k, key_of(k, sizeof(k), w, i)), &v,
			      &e);
		EXPECT(r >= 0, e);
		EXPECT(r == 1 || before == 0, e);
		EXPECT(r == 0 || (v.len && v.data[0] - '0' >= before), e);
	}
	buf_free(&v);
	return NULL;
}

static void *scanner(void *arg)
{
	struct store_error e = STORE_ERROR_INIT;
	struct store_iter *it;
	struct slice v;
	int r, n, at_least;

	(void)arg;
	while (!stop) {
		at_least = 0;
		for (int w = 0; w < WRITERS; w++)
			for (int i = 0; i < KEYS; i++)
				at_least += acked[w][i] > 0;
		EXPECT(store_iter_open(db, NULL, &it, &e) == 0, e);
		n = 0;
		for (r = store_iter_first(it, &e); r == 1;
		     r = store_iter_next(it, &e)) {
			EXPECT(store_iter_value(it, &v, &e) == 0, e);
			n++;
		}
		EXPECT(r == 0, e);
		EXPECT(n >= at_least, e);
		store_iter_close(it);
	}
	return NULL;
}

/* What get_many() tells, from two threads at once. */
struct asked {
	int w[64], i[64], before[64];
};

static int hear(void *ctx, const struct store_found *f)
{
	const struct asked *a = ctx;

	if (!f->found)
		return a->before[f->index] ? STORE_EBUG : 0;
	return f->value.len && f->value.data[0] - '0' >= a->before[f->index]
		       ? 0
		       : STORE_EBUG;
}

static void *asker(void *arg)
{
	struct store_error e = STORE_ERROR_INIT;
	unsigned seed = (unsigned)(intptr_t)arg;
	static char text[64][32];
	struct slice keys[64];
	struct asked a;

	while (!stop) {
		for (int n = 0; n < 64; n++) {
			int w = rand_r(&seed) % WRITERS;
			int i = rand_r(&seed) % KEYS;

			a.before[n] = acked[w][i];
			keys[n] = slice_make(
				text[n],
				key_of(text[n], sizeof(text[n]), w, i));
		}
		EXPECT(store_get_many(db, keys, 64, 2, hear, &a, &e) == 0, e);
	}
	return NULL;
}

/* Loads, each of several batches, that become visible beside the others. */
static void *loader(void *arg)
{
	struct store_error e = STORE_ERROR_INIT;
	struct store_batch b = STORE_BATCH_INIT;
	struct store_load *l;
	char k[32];

	(void)arg;
	for (int round = 0; round < LOADS; round++) {
		EXPECT(store_load_open(db, round % 2, &l, &e) == 0, e);
		for (int i = 0; i < LOADED; i++) {
			size_t n = (size_t)snprintf(k, sizeof(k), "load%06d",
						    i * 7919 % LOADED);

			EXPECT(store_batch_put(&b, slice_make(k, n),
					       slice_str("loaded"), &e) == 0,
			       e);
			if (i % (LOADED / 3) == 0)
				EXPECT(store_load_add(l, &b, &e) == 0, e);
		}
		EXPECT(store_load_add(l, &b, &e) == 0, e);
		EXPECT(store_load_commit(l, &e) == 0, e);
		store_load_free(l);
	}
	store_batch_free(&b);
	return NULL;
}

static void *maintainer(void *arg)
{
	struct store_error e = STORE_ERROR_INIT;
	struct store_stat s;

	(void)arg;
	while (!stop) {
		EXPECT(store_flush(db, &e) >= 0, e);
		EXPECT(store_stat(db, &s, &e) == 0, e);
	}
	return NULL;
}

static void *submitter(void *arg)
{
	struct store_error e = STORE_ERROR_INIT;
	struct store_completion c;

	(void)arg;
	for (int i = 0; i < 300; i++) {
		EXPECT(store_submit_put(db, slice_str("async"), slice_str("v"),
					NULL, NULL, &e) == 0,
		       e);
		if (i % 3 == 0) {
			EXPECT(store_reap(db, &c, 1, -1, &e) == 1, e);
			EXPECT(c.result == 0, c.err);
		}
	}
	while (store_reap(db, &c, 1, -1, &e) == 1)
		EXPECT(c.result == 0, c.err);
	return NULL;
}

/* All of them at one handle, opened with `flags` besides. */
static void share(unsigned flags)
{
	struct store_setting_text s[] = { { "write_buffer", "64K" } };
	struct store_config c = { .flags = STORE_WRITE | STORE_CREATE | flags,
				  .settings = s,
				  .n_settings = 1 };
	struct store_error err = STORE_ERROR_INIT;
	enum { ENDING = WRITERS + 2, ALL = ENDING + 5 };
	pthread_t t[ALL];
	struct buf v = BUF_INIT;
	char k[32];

	stop = false;
	memset(acked, 0, sizeof(acked));
	CHECK_OK(store_open(&db, scratch(), &c, &err), err);
	for (int w = 0; w < WRITERS; w++)
		pthread_create(&t[w], NULL, writer, (void *)(intptr_t)w);
	pthread_create(&t[WRITERS], NULL, submitter, NULL);
	pthread_create(&t[WRITERS + 1], NULL, loader, NULL);
	pthread_create(&t[ENDING], NULL, reader, (void *)1);
	pthread_create(&t[ENDING + 1], NULL, reader, (void *)2);
	pthread_create(&t[ENDING + 2], NULL, asker, (void *)3);
	pthread_create(&t[ENDING + 3], NULL, scanner, NULL);
	pthread_create(&t[ENDING + 4], NULL, maintainer, NULL);
	for (int i = 0; i < ENDING; i++)
		pthread_join(t[i], NULL);
	stop = true;
	for (int i = ENDING; i < ALL; i++)
		pthread_join(t[i], NULL);
	CHECK(failures == 0);
	for (int w = 0; w < WRITERS; w++)
		for (int i = 0; i < KEYS; i++) {
			CHECK(store_get(
				      db,
				      slice_make(k, key_of(k, sizeof(k), w, i)),
				      &v, &err) == 1);
			CHECK(v.data[0] - '0' == ROUNDS);
		}
	for (int i = 0; i < LOADED; i++) {
		size_t n = (size_t)snprintf(k, sizeof(k), "load%06d", i);

		CHECK(store_get(db, slice_make(k, n), &v, &err) == 1);
	}
	buf_free(&v);
	store_close(db);
}

TEST(threads_that_share_a_handle_lose_nothing_and_read_what_was_acknowledged)
{
	share(0);
}

TEST(nor_do_they_when_another_thread_flushes)
{
	share(STORE_BACKGROUND);
}

TEST_MAIN()
