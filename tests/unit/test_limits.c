/*
 * Limits of a compaction: budget, time, rate, a range of keys, threads; and
 * what a strategy is told.
 */
#include "tests/unit/pieces.h"

TEST(a_budget_ends_a_run_and_says_that_work_is_left)
{
	struct model m = { .seed = 51 };
	struct store *db = new_store("leveled", "12");
	struct store_compact_config config = { .all = 1 };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;
	uint64_t all;

	fill_flat(db, &m, 8);
	all = table_bytes(db);
	CHECK(all > 300000);
	config.max_bytes = 100000;
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(r.stopped && r.jobs == 1);
	CHECK(r.bytes_in >= 100000 && r.bytes_in < 100000 + 3 * CHUNK_BYTES);
	check_model(db, &m);
	config.max_bytes = 10 * all;
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(!r.stopped && r.jobs > 0);
	check_model(db, &m);
	store_close(db);
	remove_store();
}

TEST(a_time_that_is_past_leaves_everything_as_it_is)
{
	struct store *db = new_store("leveled", "1");
	struct store_compact_config config = { .all = 1, .until_ms = 1 };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;
	uint64_t before;

	put(db, "a", "1");
	flush(db);
	put(db, "a", "2");
	flush(db);
	before = generation(db);
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(r.stopped && r.jobs == 0 && generation(db) == before);
	config.until_ms = os.now_ms() + 3600000;
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(!r.stopped && r.jobs == 1);
	/* nothing is left to do, so nothing was ended */
	config.until_ms = 1;
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(!r.stopped && r.jobs == 0);
	store_close(db);
	remove_store();
}

static uint64_t slept;

static void count_sleep(uint64_t us)
{
	struct timespec t = { 0, (long)us * 1000 };

	CHECK(us <= 100000);
	slept += us;
	nanosleep(&t, NULL);
}

TEST(a_rate_is_kept_by_sleeping_in_short_naps)
{
	struct model m = { .seed = 52 };
	struct store *db = new_store("leveled", "12");
	struct store_compact_config config = { .all = 1, .rate = 200000 };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;
	void (*real)(uint64_t us) = os.sleep_us;
	uint64_t start, took;

	for (int i = 0; i < 3; i++)
		fill_plain(db, &m);
	slept = 0;
	os.sleep_us = count_sleep;
	start = os.monotonic_ms();
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	took = os.monotonic_ms() - start;
	os.sleep_us = real;
	CHECK(r.bytes_out > 40000 && slept > 0);
	/* a credit of 100 ms at the start */
	CHECK(took + 150 >= r.bytes_out * 1000 / config.rate);
	store_close(db);
	remove_store();
}

/* ---- a range ---- */

TEST(a_range_goes_to_the_deepest_level_and_the_rest_stays)
{
	struct model m = { .seed = 61 };
	struct store *db = new_store("leveled", "12");
	struct store_compact_config config = { .all = 0 };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;
	struct manifest after;

	fill_flat(db, &m, 4);
	compact(db, NULL, 1);
	for (unsigned k = 100; k < 200; k++) {
		m.version[k] = 0;
		CHECK_OK(store_delete(db, key_of(k), STORE_NOSYNC, &err), err);
	}
	flush(db);
	put(db, "k00300x", "above");
	flush(db);
	CHECK(sum_tombstones(db) == 100);
	config.from = slice_str("k00150");
	config.to = slice_str("k00160");
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(r.jobs == 1 && sum_tombstones(db) == 0);
	after = manifest(db);
	CHECK(after.levels[0].n == 1); /* k00300x is where it was */
	manifest_release(&after);
	check_model(db, &m);
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	CHECK(r.jobs == 0);
	config.from = config.to;
	CHECK(store_compact(db, &config, &r, &err) == STORE_EINVAL);
	store_close(db);
	remove_store();
}

/* ---- threads, and what a view tells ---- */

TEST(workers_share_the_jobs_and_keep_every_answer)
{
	struct model m = { .seed = 71 };
	struct store *db = new_store_with("leveled", "2", "16K");
	struct store_compact_config config = { .workers = 4 };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;

	for (int i = 0; i < 12; i++) {
		fill_flat(db, &m, 3);
		config.all = i % 3 == 2;
		CHECK_OK(store_compact(db, &config, &r, &err), err);
		check_model(db, &m);
		check_no_orphans(db);
	}
	check_walks(db, NULL, &m);
	check_sound();
	store_close(db);
	remove_store();
}

TEST(a_strategy_sees_the_log_and_may_ask_for_a_flush)
{
	struct store *db = new_store("leveled", "9");
	struct store_compact_result r;
	struct store_stat stat;
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m;
	uint64_t made;

	store_close(db);
	db = open_again(BAD_PLUGINS);
	r = compact(db, "flushing", 0);
	CHECK(r.jobs == 0); /* there is no log at all */
	CHECK_OK(store_delete(db, slice_str("a"), STORE_NOSYNC, &err), err);
	m = manifest(db);
	CHECK(m.n_logs == 1);
	made = m.logs[0].created_ms;
	manifest_release(&m);
	CHECK(made > 0 && made <= os.now_ms());
	usleep(3000);
	r = compact(db, "flushing", 0);
	CHECK(r.jobs == 1);
	CHECK_OK(store_stat(db, &stat, &err), err);
	CHECK(stat.tables == 1 && stat.log_entries == 0);
	/* the delete is as old as its log, not as the flush */
	m = manifest(db);
	CHECK(m.levels[0].runs[0].tables[0].oldest_tombstone_ms == made);
	CHECK(m.levels[0].runs[0].tables[0].created_ms > made);
	manifest_release(&m);
	r = compact(db, "flushing", 0);
	CHECK(r.jobs == 0);
	store_close(db);
	remove_store();
}

TEST_MAIN()
