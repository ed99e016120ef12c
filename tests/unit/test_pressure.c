/*
 * Level 0 that grows faster than it is merged: writers are slowed down while
 * somebody merges, by a measure, and never for long.
 */
#include "lib/engine.h"
#include "lib/install.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define SOFT 2
#define HARD 6

static struct store_error err;
static struct store *db;    /* writes */
static struct store *other; /* merges, or so its claims say */

static uint64_t slept_us;
static uint64_t end_job_at_us; /* the other's job ends when this was slept */
static uint64_t table;	       /* what it claims; 0: nothing */

static void fake_sleep(uint64_t us)
{
	slept_us += us;
	if (table && slept_us >= end_job_at_us) {
		lock_unclaim(&other->lock, table);
		table = 0;
	}
}

static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static void add_runs(int n)
{
	for (int i = 0; i < n; i++) {
		CHECK_OK(store_put(db, slice_str("k"), slice_str("v"),
				   STORE_NOSYNC, &err),
			 err);
		CHECK_OK(store_flush(db, &err), err);
	}
	db->throttle.owed_us = 0; /* for these */
}

static void open_with(const char *maintenance, int runs)
{
	const struct store_setting_text settings[] = {
		{ "level0_runs", "2" },
		{ "level0_hard", "6" },
		{ "maintenance", maintenance },
	};
	struct store_config config = { .flags = STORE_WRITE | STORE_CREATE,
				       .settings = settings,
				       .n_settings = 3 };
	const char *dir = scratch();

	err = STORE_ERROR_INIT;
	os.fsync = os.fdatasync = no_sync;
	os.sleep_us = fake_sleep;
	CHECK_OK(store_open(&db, dir, &config, &err), err);
	CHECK_OK(store_open(&other, dir,
			    &(struct store_config){ .flags = STORE_WRITE },
			    &err),
		 err);
	table = 0;
	add_runs(runs);
}

/* Another process takes a table of the store for a job. */
static void begin_job(uint64_t until_us)
{
	struct manifest m = MANIFEST_INIT;

	CHECK_OK(install_manifest(other, &m, &err), err);
	table = m.levels[0].runs[0].tables[0].number;
	manifest_release(&m);
	CHECK(lock_claim(&other->lock, table, &err) == 1);
	end_job_at_us = until_us;
}

static void close_both(void)
{
	store_close(other);
	store_close(db);
}

static struct excess excess_now(void)
{
	struct generation *g;
	struct excess e;

	CHECK_OK(generation_current(db, &g, &err), err);
	e = excess_of(&g->v.options, g->v.level0_runs);
	generation_close(g);
	return e;
}

/* What a write that took so long waits. */
static uint64_t wait_after(uint64_t took_us)
{
	struct excess e = excess_now();

	slept_us = 0;
	throttle(db, &e, took_us);
	return slept_us;
}

TEST(up_to_the_soft_limit_nobody_waits)
{
	open_with("auto", SOFT);
	begin_job(UINT64_MAX);
	CHECK(wait_after(1000000) == 0);
	close_both();
}

TEST(over_it_a_write_waits_in_proportion_while_a_job_is_under_way)
{
	open_with("auto", SOFT + 2);
	CHECK(wait_after(10000) == 0); /* nobody merges */
	begin_job(UINT64_MAX);
	CHECK(wait_after(10000) == 10000); /* half-way: 2 over, 2 left */
	add_runs(1);
	CHECK(wait_after(10000) == 30000); /* 3 over, 1 left */
	close_both();
}

TEST(waits_too_short_to_sleep_add_up)
{
	uint64_t total = 0;

	open_with("auto", SOFT + 2);
	begin_job(UINT64_MAX);
	for (int i = 0; i < 100; i++) {
		uint64_t us = wait_after(100);

		CHECK(us == 0 || us == 1000);
		total += us;
	}
	CHECK(total == 10000);
	close_both();
}

TEST(at_the_hard_limit_a_write_waits_for_the_job_and_no_longer)
{
	open_with("auto", HARD);
	begin_job(40000);
	CHECK(wait_after(1) == 40000);
	CHECK(wait_after(1) == 0);
	close_both();
}

TEST(a_job_that_never_ends_holds_a_write_for_a_second_and_a_handle_for_ten)
{
	uint64_t total = 0;

	open_with("auto", HARD + 3);
	begin_job(UINT64_MAX);
	for (int i = 0; i < 50; i++) {
		uint64_t us = wait_after(1);

		CHECK(us <= 1000000);
		total += us;
	}
	CHECK(total == 10000000);
	/* The next job has its own ten. */
	lock_unclaim(&other->lock, table);
	add_runs(1);
	begin_job(UINT64_MAX);
	CHECK(wait_after(1) == 1000000);
	close_both();
}

TEST(under_cron_nobody_waits)
{
	open_with("cron", HARD + 1);
	begin_job(UINT64_MAX);
	CHECK(wait_after(1000000) == 0);
	close_both();
}

TEST(a_flush_and_a_sweep_are_no_compaction)
{
	open_with("auto", HARD);
	CHECK(lock_claim(&other->lock, 900, &err) == 1);
	CHECK(wait_after(1) == 0);
	CHECK(lock_claim(&other->lock, 901, &err) == 1); /* beside it */
	CHECK(wait_after(1) == 0);
	close_both();
}

TEST(a_put_waits_outside_all_locks)
{
	struct store_pressure p;

	open_with("auto", HARD);
	begin_job(20000);
	slept_us = 0;
	CHECK_OK(
		store_put(db, slice_str("a"), slice_str("b"), STORE_SYNC, &err),
		err);
	CHECK(slept_us == 20000);
	CHECK(store_warning(db, &err) == 0);
	CHECK_OK(store_pressure(db, &p, &err), err);
	CHECK(p.level == STORE_PRESSURE_HARD && p.table_under_work == 0);
	close_both();
}

TEST(pressure_tells_the_limits_and_the_job)
{
	struct store_pressure p;

	open_with("auto", SOFT - 1);
	CHECK_OK(store_pressure(db, &p, &err), err);
	CHECK(p.level == STORE_PRESSURE_NONE && p.level0_runs == SOFT - 1);
	CHECK(p.soft_runs == SOFT && p.hard_runs == HARD && p.automatic);
	CHECK(p.level0_bytes > 0 && p.soft_bytes == UINT64_C(256) << 20);
	CHECK(p.sealed_max == 4 && p.job_bytes == UINT64_C(256) << 20);
	add_runs(1);
	begin_job(UINT64_MAX);
	CHECK_OK(store_pressure(db, &p, &err), err);
	CHECK(p.level == STORE_PRESSURE_SOFT && p.table_under_work == table);
	close_both();
}

TEST(locks_are_listed_from_the_lowest_whoever_holds_them)
{
	static const uint64_t claims[] = { 50, 7, 8, 31, 9 };
	static const uint64_t want[][2] = { { 7, 10 }, { 31, 32 }, { 50, 51 } };
	uint64_t at = LOCK_CLAIM, start, end;

	open_with("auto", 1);
	for (int i = 0; i < 5; i++)
		CHECK(lock_claim(i % 2 ? &other->lock : &db->lock, claims[i],
				 &err) == 1);
	/* 7 and 9 are one's, 8 the other's, so the kernel does not join them */
	for (int i = 0; i < 3; i++) {
		uint64_t first = at;

		do {
			CHECK(lock_next(&db->lock, at, LOCK_PIN, &start, &end,
					&err) == 1);
			if (at == first)
				first = start;
			CHECK(at == LOCK_CLAIM || start >= at);
			at = end;
		} while (at - LOCK_CLAIM < want[i][1]);
		CHECK(first - LOCK_CLAIM == want[i][0]);
		CHECK(end - LOCK_CLAIM == want[i][1]);
	}
	CHECK(lock_next(&db->lock, at, LOCK_PIN, &start, &end, &err) == 0);
	close_both();
}

TEST_MAIN()
