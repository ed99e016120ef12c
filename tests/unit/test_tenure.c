/*
 * test_tenure.c - WRITE by tenure (lib/tenure.h): one at a time whatever
 * happens to a tenant, and what he stores through maps is whole or not there.
 */
#include "formats/lock.h"
#include "lib/engine.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define TENANT_AFTER 600 /* puts after which a handle has its maps and all */

static struct store_error err;
static const char *dir;

/* What processes tell each other. */
static struct shared {
	atomic_int acked;  /* puts that the child was told are done */
	atomic_int inside; /* who holds WRITE; 0: nobody */
	atomic_int killed[8];
	atomic_int broken;
	atomic_long count;
	atomic_bool ready, go;
} * shared;

static void share(void)
{
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	memset(shared, 0, sizeof(*shared));
}

static void wait_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000,
				      .tv_nsec = ms % 1000 * 1000000L },
		  NULL);
}

static struct store *open_it(int64_t timeout_ms)
{
	struct store_config c = { .flags = STORE_CREATE | STORE_WRITE,
				  .timeout_ms = timeout_ms,
				  .tool = "test_tenure" };
	struct store *db = NULL;

	err = STORE_ERROR_INIT;
	CHECK_OK(store_open(&db, dir, &c, &err), err);
	return db;
}

static int put(struct store *db, int i)
{
	char k[16], v[40];

	snprintf(k, sizeof(k), "k%06d", i);
	snprintf(v, sizeof(v), "the value of record %06d", i);
	return store_put(db, slice_str(k), slice_str(v), STORE_NOSYNC, &err);
}

/* 1: there, whole; 0: not there. */
static int has(struct store *db, int i)
{
	struct buf v = BUF_INIT;
	char k[16], want[40];
	int r;

	snprintf(k, sizeof(k), "k%06d", i);
	snprintf(want, sizeof(want), "the value of record %06d", i);
	r = store_get(db, slice_str(k), &v, &err);
	CHECK_OK(r, err);
	CHECK(r == 0 || slice_eq(buf_slice(&v), slice_str(want)));
	buf_free(&v);
	return r;
}

/* The word in LOCK. */
static uint32_t word(void)
{
	uint32_t w = 0;
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/LOCK", dir);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	if (pread(fd, &w, sizeof(w), 0) < 0)
		w = 0;
	close(fd);
	return w;
}

/* In a child, after the tests' own handlers; how it ends is the last word. */
static pid_t in_child(void (*fn)(void))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setjmp(test_failed) == 0)
		fn();
	else
		_exit(1);
	_exit(0);
}

static int end_of(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static bool ended_well(pid_t pid)
{
	int status = end_of(pid);

	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void await(atomic_bool *flag)
{
	for (int i = 0; !*flag && i < 20000; i++)
		wait_ms(1);
	CHECK(*flag);
}

/* ---- a tenant comes to be, and goes ---- */

TEST(who_writes_again_and_again_becomes_the_tenant_and_asks_the_kernel_no_more)
{
	struct store *db;

	share();
	dir = scratch();
	db = open_it(0);
	for (int i = 0; i < TENANT_AFTER; i++)
		CHECK_OK(put(db, i), err);
	CHECK(word() != 0 && !(word() & TENANT_BUSY));
	CHECK(db->lock.tenure.id == word() >> TENANT_ID_SHIFT);
	for (int i = 0; i < TENANT_AFTER; i++)
		CHECK(has(db, i));
	store_close(db);
	CHECK(word() == 0);
}

TEST(two_handles_that_write_by_turns_see_each_others_records)
{
	struct store *a, *b;
	int n = 0;

	share();
	dir = scratch();
	a = open_it(0);
	b = open_it(0);
	for (int round = 0; round < 40; round++) {
		struct store *db = round % 2 ? a : b;

		for (int i = 0; i < 7 * (round + 1); i++)
			CHECK_OK(put(db, n++), err);
		CHECK(has(a, n - 1) && has(b, n - 1));
	}
	for (int i = 0; i < n; i++)
		CHECK(has(a, i) && has(b, i));
	store_close(a);
	CHECK_OK(put(b, n), err);
	store_close(b);
}

static void write_and_stay(void)
{
	struct store *db = open_it(0);

	for (int i = 0; i < TENANT_AFTER; i++)
		CHECK_OK(put(db, i), err);
	shared->ready = true;
	while (!shared->go)
		wait_ms(1);
	for (int i = TENANT_AFTER + 10; i < TENANT_AFTER + 100; i++)
		CHECK_OK(put(db, i), err);
	CHECK(has(db, TENANT_AFTER));
	store_close(db);
}

TEST(a_tenant_who_is_stopped_while_idle_holds_nobody_up)
{
	struct store *db;
	pid_t pid;

	share();
	dir = scratch();
	db = open_it(100);
	pid = in_child(write_and_stay);
	await(&shared->ready);
	CHECK(word() != 0);
	CHECK(kill(pid, SIGSTOP) == 0);
	CHECK_OK(put(db, TENANT_AFTER), err);
	CHECK(word() == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	shared->go = true;
	CHECK(ended_well(pid));
	for (int i = 0; i <= TENANT_AFTER; i++)
		CHECK(has(db, i));
	for (int i = TENANT_AFTER + 10; i < TENANT_AFTER + 100; i++)
		CHECK(has(db, i));
	store_close(db);
}

TEST(a_tenant_who_was_killed_while_idle_holds_nobody_up)
{
	struct store *db;
	pid_t pid;

	share();
	dir = scratch();
	db = open_it(-1);
	pid = in_child(write_and_stay);
	await(&shared->ready);
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(WIFSIGNALED(end_of(pid)));
	CHECK(word() != 0);
	CHECK_OK(put(db, TENANT_AFTER), err);
	for (int i = 0; i <= TENANT_AFTER; i++)
		CHECK(has(db, i));
	store_close(db);
}

/* ---- while he is at it ---- */

static void (*real_poke)(int fd, off_t off, void *to, const void *p, size_t n);
static int pokes_left; /* until something happens */

static void slow_poke(int fd, off_t off, void *to, const void *p, size_t n)
{
	if (pokes_left-- == 0) {
		shared->ready = true;
		while (!shared->go)
			wait_ms(1);
	}
	real_poke(fd, off, to, p, n);
}

static void write_and_dawdle(void)
{
	struct store *db = open_it(0);

	for (int i = 0; i < TENANT_AFTER; i++)
		CHECK_OK(put(db, i), err);
	real_poke = os.poke;
	pokes_left = 1;
	os.poke = slow_poke;
	for (int i = TENANT_AFTER; i < TENANT_AFTER + 100; i++)
		CHECK_OK(put(db, i), err);
	store_close(db);
}

TEST(a_busy_tenant_is_waited_for_as_long_as_the_caller_says)
{
	struct store *soon, *late, *never;
	struct store_error e = STORE_ERROR_INIT;
	uint64_t start;
	pid_t pid;

	share();
	dir = scratch();
	never = open_it(-1);
	soon = open_it(100);
	late = open_it(0);
	pid = in_child(write_and_dawdle);
	await(&shared->ready);
	CHECK(word() & TENANT_BUSY);
	CHECK(lock_held(&late->lock, ROLE_WRITE, &err) == 1);
	CHECK(store_put(never, slice_str("x"), slice_str("y"), STORE_NOSYNC,
			&e) == STORE_EBUSY);
	CHECK(strstr(e.text, "test_tenure"));
	start = os.monotonic_us();
	CHECK(put(soon, 0) == STORE_EBUSY);
	CHECK(os.monotonic_us() - start > 80000);
	err = STORE_ERROR_INIT;
	/* Three who wait; he has been told, and hands over when he is done. */
	CHECK(word() & TENANT_WANTED);
	shared->go = true;
	CHECK_OK(put(late, TENANT_AFTER + 1000), err);
	CHECK(ended_well(pid));
	for (int i = 0; i < TENANT_AFTER + 100; i++)
		CHECK(has(late, i));
	CHECK(has(soon, TENANT_AFTER + 1000));
	store_close(never);
	store_close(soon);
	store_close(late);
}

/* Stores but the first part of it, and is no more. */
static void last_poke(int fd, off_t off, void *to, const void *p, size_t n)
{
	if (pokes_left-- > 0) {
		real_poke(fd, off, to, p, n);
		return;
	}
	real_poke(fd, off, to, p, n / 16 * 8);
	kill(getpid(), SIGKILL);
}

static int die_at;

static void write_and_die(void)
{
	struct store *db = open_it(0);

	for (int i = 0; i < TENANT_AFTER; i++) {
		CHECK_OK(put(db, i), err);
		shared->acked = i + 1;
	}
	real_poke = os.poke;
	pokes_left = die_at;
	os.poke = last_poke;
	for (int i = TENANT_AFTER;; i++) {
		CHECK_OK(put(db, i), err);
		shared->acked = i + 1;
	}
}

/* Nothing but the records; the living memory, or what is made of the log. */
static void check_records(struct store *db, int acked)
{
	struct store_iter *it;
	int n = 0, r;

	for (int i = 0; i < acked; i++)
		CHECK(has(db, i) == 1);
	CHECK(has(db, 999999) == 1);
	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	for (r = store_iter_first(it, &err); r == 1;
	     r = store_iter_next(it, &err))
		n++;
	CHECK_OK(r, err);
	store_iter_close(it);
	/* The one he was at may be there, whole. */
	CHECK(n == acked + 1 || (n == acked + 2 && has(db, acked)));
}

TEST(a_tenant_killed_at_any_store_through_a_map_has_written_his_batch_or_nothing)
{
	struct store *db;
	char command[300];
	pid_t pid;

	/* Each put stores four times; twice through all that may come. */
	for (die_at = 0; die_at < 12; die_at++) {
		share();
		dir = scratch();
		db = open_it(0);
		/* He has looked at the room once, and believes its beginning.
		 */
		for (int i = 0; i < 3; i++)
			CHECK_OK(store_put(db, slice_str("k000000"),
					   slice_str("another value"),
					   STORE_SYNC, &err),
				 err);
		pid = in_child(write_and_die);
		CHECK(WIFSIGNALED(end_of(pid)));
		CHECK(word() & TENANT_BUSY);
		CHECK(lock_held(&db->lock, ROLE_WRITE, &err) == 0);
		for (int i = 0; i < shared->acked; i++)
			CHECK(has(db, i) == 1);
		CHECK_OK(put(db, 999999), err);
		CHECK(word() == 0);
		check_records(db, shared->acked);
		store_close(db);
		snprintf(command, sizeof(command), "rm %s/STATE %s/*.idx", dir,
			 dir);
		CHECK(system(command) == 0);
		db = open_it(0);
		check_records(db, shared->acked);
		store_close(db);
	}
}

/* ---- what a crash, or a fork, leaves ---- */

TEST(what_lies_in_lock_after_a_crash_is_nobody)
{
	static const uint32_t words[] = { 1, 2, 3,	    4,
					  5, 7, 0xffffffff, 0xfffffffd };
	struct store *db;
	char path[300];
	uint32_t left[2];
	int fd;

	share();
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		dir = scratch();
		db = open_it(0);
		CHECK_OK(put(db, 1), err);
		store_close(db);
		left[0] = words[i];
		left[1] = i % 2 ? 0xffffffff : TENANT_ID_MAX;
		snprintf(path, sizeof(path), "%s/LOCK", dir);
		fd = open(path, O_WRONLY);
		CHECK(fd >= 0 && write(fd, left, sizeof(left)) == sizeof(left));
		close(fd);
		db = open_it(100);
		for (int k = 0; k < TENANT_AFTER; k++)
			CHECK_OK(put(db, k), err);
		CHECK(word() >> TENANT_ID_SHIFT == db->lock.tenure.id);
		CHECK(db->lock.tenure.id >= 1 &&
		      db->lock.tenure.id <= TENANT_ID_MAX);
		store_close(db);
	}
}

static struct store *forked;

static void use_it(void)
{
	CHECK(put(forked, 0) < 0);
	store_close(forked);
}

TEST(a_forked_child_is_no_tenant_and_takes_nothing_from_its_parent)
{
	uint32_t before;

	share();
	dir = scratch();
	forked = open_it(0);
	for (int i = 0; i < TENANT_AFTER; i++)
		CHECK_OK(put(forked, i), err);
	before = word();
	CHECK(before != 0);
	CHECK(ended_well(in_child(use_it)));
	CHECK(word() == before);
	for (int i = 0; i < 100; i++)
		CHECK_OK(put(forked, i), err);
	CHECK(word() == before);
	store_close(forked);
}

TEST(lock_that_was_replaced_is_noticed_by_a_tenant_too)
{
	struct store *db;
	char command[300];
	int r = 0;

	share();
	dir = scratch();
	db = open_it(0);
	for (int i = 0; i < TENANT_AFTER; i++)
		CHECK_OK(put(db, i), err);
	snprintf(command, sizeof(command), "rm %s/LOCK; : > %s/LOCK", dir, dir);
	CHECK(system(command) == 0);
	for (int i = 0; r == 0 && i < 100; i++) {
		wait_ms(20);
		r = put(db, i);
	}
	CHECK(r == STORE_ECORRUPT);
	store_close(db);
}

/* ---- many at once ---- */

static int me; /* 1 and up */

/* Alone with WRITE, or after somebody who died with it. */
static void critical(void)
{
	int other = shared->inside;
	long n;

	if (other && !shared->killed[other])
		shared->broken = 1;
	shared->inside = me;
	n = shared->count;
	if (n % 64 == 0)
		sched_yield();
	shared->count = n + 1;
	if (shared->inside != me)
		shared->broken = 2;
	shared->inside = 0;
}

static void hammer(void)
{
	struct dir d;
	struct lock l;
	int last = 0;

	CHECK_OK(dir_open(&d, dir, &err), err);
	CHECK_OK(lock_open(&l, &d, true, true, 0, &err), err);
	while (!shared->go) {
		for (int burst = 1 + rand() % 200; burst > 0; burst--) {
			CHECK_OK(lock_acquire(&l, ROLE_WRITE, &err), err);
			if (!lock_tenant(&l))
				lock_again(&l, last++ % 50 != 0);
			critical();
			lock_release(&l, ROLE_WRITE);
			shared->acked++;
		}
		if (rand() % 4 == 0)
			wait_ms(rand() % 3);
	}
	lock_close(&l);
	dir_close(&d);
}

TEST(of_many_processes_one_at_a_time_has_write_though_some_are_killed_with_it)
{
	pid_t pids[8] = { 0 };
	struct store *db;

	share();
	dir = scratch();
	db = open_it(0);
	for (me = 1; me < 8; me++) {
		srand((unsigned)me);
		pids[me] = in_child(hammer);
	}
	for (int i = 1; i <= 4; i++) {
		wait_ms(150);
		/* First the word, then the deed: who comes next must know. */
		shared->killed[i] = 1;
		CHECK(kill(pids[i], SIGKILL) == 0);
		CHECK(WIFSIGNALED(end_of(pids[i])));
	}
	wait_ms(150);
	shared->go = true;
	for (int i = 5; i < 8; i++)
		CHECK(ended_well(pids[i]));
	CHECK(shared->broken == 0);
	/* Each of those killed may have counted, and not told. */
	CHECK(shared->count >= shared->acked && shared->acked > 10000);
	CHECK(shared->count <= shared->acked + 4);
	store_close(db);
}

TEST_MAIN()
