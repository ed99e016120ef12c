/* test_queue.c - the asynchronous queue: order, durability, depth, polling. */
#include "lib/os.h"
#include "lib/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <poll.h>
#include <unistd.h>

static struct store_error err;
static _Atomic int syncs;
static useconds_t sync_takes;

static int slow_fdatasync(int fd)
{
	(void)fd;
	syncs++;
	usleep(sync_takes);
	return 0;
}

static struct store *open_store(const char *dir)
{
	struct store_setting_text s[] = { { "queue_depth", "6000" } };
	struct store_config c = { .flags = STORE_WRITE | STORE_CREATE,
				  .settings = s,
				  .n_settings = 1 };
	struct store *db;

	err = STORE_ERROR_INIT;
	CHECK_OK(store_open(&db, dir, &c, &err), err);
	return db;
}

static struct slice key_of(int i)
{
	static char k[32];

	return slice_make(k, (size_t)snprintf(k, sizeof(k), "key%06d", i));
}

static uint64_t elapsed_ms(uint64_t since)
{
	return os.monotonic_ms() - since;
}

TEST(five_thousand_submits_return_within_one_sync_and_share_syncs)
{
	int (*real)(int) = os.fdatasync;
	struct store *db = open_store(scratch());
	struct store_completion c[100];
	uint64_t start, took;
	int n, done = 0;

	sync_takes = 200000;
	syncs = 0;
	os.fdatasync = slow_fdatasync;
	start = os.monotonic_ms();
	for (int i = 0; i < 5000; i++)
		CHECK_OK(store_submit_put(db, key_of(i), slice_str("v"), NULL,
					  NULL, &err),
			 err);
	took = elapsed_ms(start);
	CHECK(took < 200);
	sync_takes = 2000;
	while (done < 5000) {
		n = store_reap(db, c, 100, -1, &err);
		CHECK(n > 0);
		for (int i = 0; i < n; i++)
			CHECK(c[i].result == 0 &&
			      c[i].id == (uint64_t)(done + i + 1));
		done += n;
	}
	CHECK(syncs < 100);
	os.fdatasync = real;
	store_close(db);
}

TEST(operations_run_in_the_order_of_their_submits)
{
	struct store *db = open_store(scratch());
	struct store_completion c;
	struct slice k = slice_str("k");

	CHECK_OK(store_submit_get(db, k, NULL, NULL, &err), err);
	CHECK_OK(store_submit_put(db, k, slice_str("1"), NULL, NULL, &err),
		 err);
	CHECK_OK(store_submit_get(db, k, NULL, NULL, &err), err);
	CHECK_OK(store_submit_delete(db, k, &c, NULL, &err), err);
	CHECK_OK(store_submit_get(db, k, NULL, NULL, &err), err);
	CHECK(store_reap(db, &c, 1, -1, &err) == 1 && c.result == 0);
	CHECK(store_reap(db, &c, 1, -1, &err) == 1 && c.result == 0);
	CHECK(store_reap(db, &c, 1, -1, &err) == 1 && c.result == 1);
	CHECK(slice_eq(buf_slice(&c.value), slice_str("1")));
	buf_free(&c.value);
	CHECK(store_reap(db, &c, 1, -1, &err) == 1 && c.op == STORE_OP_DELETE &&
	      c.user == &c);
	CHECK(store_reap(db, &c, 1, -1, &err) == 1 && c.result == 0);
	CHECK(store_reap(db, &c, 1, -1, &err) == 0); /* none under way */
	store_close(db);
}

TEST(a_full_queue_refuses_and_a_reap_makes_room)
{
	struct store *db = open_store(scratch());
	struct store_completion c;
	int r;

	for (int i = 0; i < 6000; i++)
		CHECK_OK(store_submit_put(db, key_of(i), SLICE_NULL, NULL, NULL,
					  &err),
			 err);
	r = store_submit_put(db, key_of(1), SLICE_NULL, NULL, NULL, &err);
	CHECK(r == STORE_EFULL);
	err = STORE_ERROR_INIT;
	CHECK(store_reap(db, &c, 1, -1, &err) == 1);
	CHECK_OK(store_submit_put(db, key_of(1), SLICE_NULL, NULL, NULL, &err),
		 err);
	store_close(db);
}

TEST(the_eventfd_is_readable_while_completions_wait)
{
	struct store *db = open_store(scratch());
	struct pollfd p = { .events = POLLIN };
	struct store_completion c;

	p.fd = store_queue_fd(db, &err);
	CHECK(p.fd >= 3);
	CHECK(poll(&p, 1, 0) == 0);
	CHECK_OK(store_submit_put(db, key_of(1), SLICE_NULL, NULL, NULL, &err),
		 err);
	CHECK(poll(&p, 1, 10000) == 1);
	CHECK(store_reap(db, &c, 1, 0, &err) == 1);
	CHECK(poll(&p, 1, 0) == 0);
	store_close(db);
}

TEST(close_waits_for_writes)
{
	const char *dir = scratch();
	struct store *db = open_store(dir);
	struct buf v = BUF_INIT;

	for (int i = 0; i < 3000; i++)
		CHECK_OK(store_submit_put(db, key_of(i), slice_str("v"), NULL,
					  NULL, &err),
			 err);
	store_close(db);
	db = open_store(dir);
	for (int i = 0; i < 3000; i++)
		CHECK(store_get(db, key_of(i), &v, &err) == 1);
	buf_free(&v);
	store_close(db);
}

TEST(an_oversized_key_fails_at_submit)
{
	static uint8_t big[70000];
	struct store *db = open_store(scratch());

	CHECK(store_submit_put(db, slice_make(big, sizeof(big)), SLICE_NULL,
			       NULL, NULL, &err) == STORE_EINVAL);
	store_close(db);
}

TEST_MAIN()
