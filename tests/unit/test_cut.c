/*
 * test_cut.c - snapshots cut in parts for threads to walk.
 */
#include "tests/unit/compacting.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>

#define RECORDS 12000u
#define THREADS 3

static size_t key_of(char *k, size_t room, unsigned i)
{
	return (size_t)snprintf(k, room, "k%06u", i);
}

/* Keys in no order, `round` in their values. */
static void fill(struct store *db, unsigned n, unsigned round)
{
	struct store_batch b = STORE_BATCH_INIT;
	struct store_error err = STORE_ERROR_INIT;
	char k[16], v[80];

	for (unsigned i = 0; i < n; i++) {
		unsigned j = i * 7919u % n;

		snprintf(v, sizeof(v), "%u %060u", round, j);
		CHECK_OK(store_batch_put(&b,
					 slice_make(k, key_of(k, sizeof(k), j)),
					 slice_str(v), &err),
			 err);
		if (b.count == 100 || i + 1 == n) {
			CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
			store_batch_clear(&b);
		}
	}
	store_batch_free(&b);
}

static void close_and_remove(struct store *db)
{
	store_close(db);
	remove_store();
}

static int remove_table(void *ctx, const char *name)
{
	size_t len = strlen(name);

	return len > 4 && !strcmp(name + len - 4, ".sst")
		       ? remove_one(ctx, name)
		       : 0;
}

/*
 * Walk [from, to), or to the end: how many of RECORDS follow one another from
 * `next` on.
 */
static unsigned walk(struct store *db, struct store_snapshot *s,
		     struct slice from, const struct slice *to, unsigned next,
		     struct store_error *err)
{
	struct store_iter *it;
	unsigned n = 0;
	char k[16];
	int r = store_iter_open(db, s, &it, err);

	if (r == 0)
		r = from.len ? store_iter_seek(it, from, err)
			     : store_iter_first(it, err);
	while (r > 0 && (!to || slice_cmp(store_iter_key(it), *to) < 0)) {
		size_t len = key_of(k, sizeof(k), next + n);

		if (!slice_eq(store_iter_key(it), slice_make(k, len)))
			break;
		n++;
		r = store_iter_next(it, err);
	}
	if (r == 0 || (r > 0 && to))
		r = 0;
	store_iter_close(it);
	return r < 0 ? UINT32_MAX : n;
}

/* Cut, walk each part, and count them; all records must be met in order. */
static unsigned parts_of(struct store *db, uint64_t bytes, unsigned records)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf from = BUF_INIT, to = BUF_INIT;
	struct store_snapshot *s;
	unsigned parts = 0, met = 0;
	int r = 1;

	CHECK_OK(store_snapshot(db, &s, &err), err);
	while (r > 0) {
		struct slice end;
		unsigned n;

		r = store_cut(s, buf_slice(&from), bytes, &to, &err);
		CHECK_OK(r, err);
		end = buf_slice(&to);
		CHECK(r == 0 || slice_cmp(end, buf_slice(&from)) > 0);
		n = walk(db, s, buf_slice(&from), r ? &end : NULL, met, &err);
		CHECK(n <= records);
		met += n;
		parts++;
		CHECK(buf_assign(&from, end) == 0);
	}
	CHECK(met == records);
	store_snapshot_free(s);
	buf_free(&from);
	buf_free(&to);
	return parts;
}

TEST(parts_follow_one_another_and_hold_every_record)
{
	struct store *db = new_store("leveled", "4");
	unsigned parts;

	fill(db, RECORDS, 1);
	flush(db);
	compact(db, NULL, 1);
	fill(db, RECORDS / 3, 2); /* in younger runs, and in the log */
	parts = parts_of(db, 16384, RECORDS);
	CHECK(parts >= 10);
	CHECK(parts_of(db, 1, RECORDS) > parts);
	CHECK(parts_of(db, 131072, RECORDS) < parts);
	CHECK(parts_of(db, UINT64_MAX, RECORDS) == 1);
	close_and_remove(db);
}

TEST(what_no_table_holds_is_one_part)
{
	struct store *db = new_store("leveled", "4");

	CHECK(parts_of(db, 1, 0) == 1);
	fill(db, 20, 1);
	CHECK(parts_of(db, 1, 20) == 1);
	close_and_remove(db);
}

TEST(a_table_that_is_not_there_is_no_place_to_cut)
{
	struct store *db = new_store("leveled", "4");
	struct store_error err = STORE_ERROR_INIT;
	struct store_snapshot *s;
	struct buf to = BUF_INIT;
	struct dir d;

	fill(db, RECORDS, 1);
	flush(db);
	store_close(db);
	CHECK_OK(dir_open(&d, path, &err), err);
	CHECK(os.list(d.fd, remove_table, &d) == 0);
	dir_close(&d);
	db = open_again(NULL);
	CHECK_OK(store_snapshot(db, &s, &err), err);
	CHECK(store_cut(s, SLICE_NULL, 1, &to, &err) == 0);
	CHECK(err.code == 0);
	store_snapshot_free(s);
	buf_free(&to);
	close_and_remove(db);
}

/* ---- one snapshot, several threads ---- */

static struct store *shared_db;
static struct store_snapshot *shared;
static atomic_uint met;
static atomic_bool failed;

/* Every THREADS-th part, and its neighbours' cuts as well. */
static void *walker(void *arg)
{
	unsigned mine = (unsigned)(intptr_t)arg;
	struct store_error err = STORE_ERROR_INIT;
	struct buf from = BUF_INIT, to = BUF_INIT;
	int r = 1;

	for (unsigned part = 0; r > 0; part++) {
		struct slice end;
		unsigned n, next = 0;

		r = store_cut(shared, buf_slice(&from), 16384, &to, &err);
		end = buf_slice(&to);
		if (from.len)
			next = (unsigned)strtoul((char *)from.data + 1, NULL,
						 10);
		if (part % THREADS == mine) {
			n = walk(shared_db, shared, buf_slice(&from),
				 r > 0 ? &end : NULL, next, &err);
			failed = failed || n > RECORDS;
			met += n;
		}
		failed = failed || r < 0 || buf_assign(&from, end) < 0;
	}
	buf_free(&from);
	buf_free(&to);
	return NULL;
}

TEST(threads_walk_parts_of_one_snapshot_beside_a_writer)
{
	struct store_error err = STORE_ERROR_INIT;
	pthread_t threads[THREADS];

	shared_db = new_store("leveled", "4");
	fill(shared_db, RECORDS, 1);
	CHECK_OK(store_snapshot(shared_db, &shared, &err), err);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, walker,
				     (void *)(intptr_t)i) == 0);
	fill(shared_db, RECORDS, 2);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(!failed);
	CHECK(met == RECORDS);
	store_snapshot_free(shared);
	close_and_remove(shared_db);
}

TEST_MAIN()
