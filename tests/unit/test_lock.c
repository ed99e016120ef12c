/* test_lock.c - waiting within a handle: timeouts, claims, the wall clock. */
#include "lib/lock.h"
#include "lib/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HOUR 3600

static struct store_error err;
static _Atomic long jump; /* of the wall clock, in seconds */

/* In place of libc's, for the whole program. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, clock, t);

	if (clock == CLOCK_REALTIME)
		t->tv_sec += jump;
	return r;
}

struct handle {
	struct dir dir;
	struct lock lock;
};

static void open_handle(struct handle *h, int64_t timeout_ms)
{
	const char *dir = scratch();

	err = STORE_ERROR_INIT;
	jump = 0;
	if (mkdir(dir, 0777) < 0)
		abort();
	CHECK_OK(dir_open(&h->dir, dir, &err), err);
	CHECK_OK(lock_open(&h->lock, &h->dir, true, true, timeout_ms, &err),
		 err);
}

static void close_handle(struct handle *h)
{
	lock_close(&h->lock);
	dir_close(&h->dir);
}

/* What a second thread does with a handle, and how it went. */
struct other {
	struct handle *h;
	bool claims; /* wait for claim 7; else for WRITE */
	bool patient;
	int r;
	uint64_t took_ms;
	struct store_error err;
};

static void *wait_there(void *ctx)
{
	struct other *o = ctx;
	uint64_t start = os.monotonic_ms();

	o->err = STORE_ERROR_INIT;
	lock_patient(o->patient);
	if (o->claims)
		o->r = lock_claim_wait(&o->h->lock, 7, &o->err);
	else
		o->r = lock_acquire(&o->h->lock, ROLE_WRITE, &o->err);
	if (!o->claims && o->r == 0)
		lock_release(&o->h->lock, ROLE_WRITE);
	o->took_ms = os.monotonic_ms() - start;
	return NULL;
}

static void held_by_us(struct handle *h, const struct other *o)
{
	if (o->claims)
		CHECK(lock_claim(&h->lock, 7, &err) == 1);
	else
		CHECK_OK(lock_acquire(&h->lock, ROLE_WRITE, &err), err);
}

static void let_go(struct handle *h, const struct other *o)
{
	if (o->claims)
		lock_unclaim(&h->lock, 7);
	else
		lock_release(&h->lock, ROLE_WRITE);
}

/* Another thread waits for what we hold for `held_ms`; the clock jumps. */
static void meet(struct other *o, int64_t timeout_ms, unsigned held_ms,
		 long jumps)
{
	struct handle h;
	pthread_t t;

	open_handle(&h, timeout_ms);
	o->h = &h;
	held_by_us(&h, o);
	jump = jumps;
	if (pthread_create(&t, NULL, wait_there, o) != 0)
		abort();
	usleep(held_ms * 1000);
	let_go(&h, o);
	pthread_join(t, NULL);
	close_handle(&h);
}

TEST(a_role_that_another_thread_holds_is_busy_after_the_timeout_whatever_the_clock_does)
{
	static const long jumps[] = { 0, HOUR, -HOUR };

	for (int i = 0; i < 3; i++) {
		struct other o = { .claims = false };

		meet(&o, 100, 600, jumps[i]);
		CHECK(o.r == STORE_EBUSY);
		CHECK(o.took_ms >= 100 && o.took_ms < 500);
	}
}

TEST(a_role_that_another_thread_gives_back_in_time_is_got)
{
	struct other o = { .claims = false };

	meet(&o, 5000, 100, -HOUR);
	CHECK_OK(o.r, o.err);
	CHECK(o.took_ms >= 50 && o.took_ms < 4000);
}

TEST(who_does_not_wait_for_a_role_is_told_at_once)
{
	struct other o = { .claims = false };

	meet(&o, STORE_NO_WAIT, 300, 0);
	CHECK(o.r == STORE_EBUSY);
	CHECK(o.took_ms < 200);
}

TEST(a_patient_thread_waits_whatever_the_handle_says)
{
	struct other o = { .patient = true };

	meet(&o, STORE_NO_WAIT, 100, 0);
	CHECK_OK(o.r, o.err);
	meet(&o, 20, 100, 0);
	CHECK_OK(o.r, o.err);
}

TEST(a_claim_of_another_thread_is_waited_for_until_it_is_given_back)
{
	struct other o = { .claims = true };

	meet(&o, 0, 100, HOUR);
	CHECK_OK(o.r, o.err);
	CHECK(o.took_ms >= 50 && o.took_ms < 4000);
}

TEST(a_claim_of_another_thread_is_busy_after_the_timeout_or_at_once)
{
	struct other o = { .claims = true };

	meet(&o, 100, 600, -HOUR);
	CHECK(o.r == STORE_EBUSY);
	CHECK(o.took_ms >= 100 && o.took_ms < 500);
	meet(&o, STORE_NO_WAIT, 300, 0);
	CHECK(o.r == STORE_EBUSY);
	CHECK(o.took_ms < 200);
}

/* ---- the queue's reaper ---- */

static int slow_fdatasync(int fd)
{
	(void)fd;
	usleep(600000);
	return 0;
}

TEST(a_reaper_waits_as_long_as_it_says_whatever_the_clock_does)
{
	int (*real)(int) = os.fdatasync;
	struct store_config c = { .flags = STORE_WRITE | STORE_CREATE };
	struct store_completion done;
	struct store *db;
	uint64_t start, took;
	int n;

	err = STORE_ERROR_INIT;
	jump = 0;
	CHECK_OK(store_open(&db, scratch(), &c, &err), err);
	os.fdatasync = slow_fdatasync;
	CHECK_OK(store_submit_put(db, slice_str("k"), slice_str("v"), NULL,
				  NULL, &err),
		 err);
	jump = -HOUR;
	start = os.monotonic_ms();
	n = store_reap(db, &done, 1, 100, &err);
	took = os.monotonic_ms() - start;
	os.fdatasync = real;
	CHECK(n == 0);
	CHECK(took >= 100 && took < 500);
	CHECK(store_reap(db, &done, 1, -1, &err) == 1);
	buf_free(&done.value);
	store_close(db);
}

TEST_MAIN()
