/* Batches: sealed where they lie, and good for more than one write. */
#include "lib/batch.h"
#include "tests/unit/compacting.h"

static struct store *store_at(const char *dir)
{
	struct store_config config = { .flags = STORE_WRITE | STORE_CREATE };
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;

	strcpy(path, dir);
	CHECK(mkdtemp(path));
	CHECK_OK(store_open(&db, path, &config, &err), err);
	return db;
}

static void check_value(struct store *db, const char *key, const char *value)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf b = BUF_INIT;

	CHECK(store_get(db, slice_str(key), &b, &err) == (value != NULL));
	CHECK(!value || slice_eq(buf_slice(&b), slice_str(value)));
	buf_free(&b);
}

/* What is in the log, not only in the tree. */
static void check_again(struct store **db, const char *key, const char *value)
{
	store_close(*db);
	*db = open_again(NULL);
	check_value(*db, key, value);
}

TEST(a_batch_may_be_written_again_and_into_another_store)
{
	struct store_batch b = STORE_BATCH_INIT;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_batch_put(&b, slice_str("a"), slice_str("1"), &err),
		 err);
	for (int i = 0; i < 2; i++) {
		struct store *db = store_at("/tmp/test-batch-XXXXXX");

		CHECK_OK(store_write(db, &b, STORE_SYNC, &err), err);
		put(db, "a", "2");
		CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
		check_again(&db, "a", "1");
		CHECK_OK(store_batch_delete(&b, slice_str("a"), &err), err);
		CHECK_OK(store_write(db, &b, STORE_SYNC, &err), err);
		check_again(&db, "a", NULL);
		store_batch_clear(&b);
		CHECK_OK(store_write(db, &b, STORE_SYNC, &err), err);
		CHECK_OK(store_batch_put(&b, slice_str("a"), slice_str("1"),
					 &err),
			 err);
		store_close(db);
		remove_store();
	}
	store_batch_free(&b);
}

TEST(joined_batches_are_one_after_the_other)
{
	struct store_batch all = STORE_BATCH_INIT, b = STORE_BATCH_INIT;
	struct store *db = store_at("/tmp/test-batch-XXXXXX");
	struct store_error err = STORE_ERROR_INIT;

	CHECK(batch_join(&all, &b) == 0 && all.count == 0);
	CHECK_OK(store_write(db, &all, STORE_SYNC, &err), err);
	CHECK_OK(store_batch_put(&b, slice_str("a"), slice_str("1"), &err),
		 err);
	CHECK(batch_join(&all, &b) == 0);
	store_batch_clear(&b);
	CHECK(batch_join(&all, &b) == 0);
	CHECK_OK(store_batch_put(&b, slice_str("a"), slice_str("2"), &err),
		 err);
	CHECK_OK(store_batch_put(&b, slice_str("b"), slice_str("3"), &err),
		 err);
	CHECK(batch_join(&all, &b) == 0 && all.count == 3);
	CHECK(batch_entries(&all).len == all.bytes.len - WAL_BATCH_HEADER);
	CHECK_OK(store_write(db, &all, STORE_SYNC, &err), err);
	check_again(&db, "a", "2");
	check_value(db, "b", "3");
	store_close(db);
	remove_store();
	store_batch_free(&all);
	store_batch_free(&b);
}

TEST(what_store_batch_add_did_not_make_is_refused)
{
	struct store_batch b = STORE_BATCH_INIT, none = { BUF_INIT, 1 };
	struct store *db = store_at("/tmp/test-batch-XXXXXX");
	struct store_error err = STORE_ERROR_INIT;

	CHECK(store_write(db, &none, STORE_SYNC, &err) == STORE_EINVAL);
	CHECK_OK(store_batch_put(&b, slice_str("a"), slice_str("1"), &err),
		 err);
	b.bytes.len--;
	CHECK(store_write(db, &b, STORE_SYNC, &err) == STORE_EINVAL);
	b.bytes.len++;
	b.count = 2;
	CHECK(store_write(db, &b, STORE_SYNC, &err) == STORE_EINVAL);
	check_again(&db, "a", NULL);
	b.count = 1;
	CHECK_OK(store_write(db, &b, STORE_SYNC, &err), err);
	check_again(&db, "a", "1");
	store_close(db);
	remove_store();
	store_batch_free(&b);
}

TEST_MAIN()
