/*
 * store_compact(): whatever is merged, moved and dropped, the store answers
 * as before; and what is not to be trusted is refused before anything is lost.
 */
#include "tests/unit/compacting.h"

#include <errno.h>

static void check_shape(struct store *db, const char *strategy, unsigned runs)
{
	struct manifest m = manifest(db);
	bool leveled = !strcmp(strategy, "leveled");

	for (size_t l = 0; l < m.n_levels; l++)
		CHECK(m.levels[l].n <= (l && leveled ? 1 : l ? 4 : runs));
	manifest_release(&m);
}

static void rounds(const char *strategy, uint64_t seed)
{
	struct model m = { .seed = seed };
	struct store *db = new_store(strategy, "3");

	for (int i = 0; i < 15; i++) {
		for (unsigned n = 1 + roll(&m, 4); n; n--) {
			write_some(db, &m);
			flush(db);
		}
		compact(db, NULL, 0);
		check_shape(db, strategy, 3);
		check_no_orphans(db);
		check_model(db, &m);
	}
	compact(db, NULL, 1);
	check_no_orphans(db);
	check_model(db, &m);
	CHECK(sum_tombstones(db) == 0);
	store_close(db);
	remove_store();
}

TEST(leveled_rounds_keep_every_answer)
{
	rounds("leveled", 1);
}

TEST(tiered_rounds_keep_every_answer)
{
	rounds("tiered", 2);
}

TEST(strategies_may_take_turns)
{
	struct model m = { .seed = 3 };
	struct store *db = new_store("leveled", "2");

	for (int i = 0; i < 12; i++) {
		write_some(db, &m);
		flush(db);
		compact(db, roll(&m, 2) ? "tiered" : "leveled", 0);
		check_model(db, &m);
	}
	store_close(db);
	remove_store();
}

/* ---- what is kept and what goes ---- */

TEST(nothing_is_due_in_an_empty_store)
{
	struct store *db = new_store("leveled", "1");
	struct store_compact_result r = compact(db, NULL, 1);

	CHECK(r.jobs == 0 && r.bytes_out == 0);
	store_close(db);
	remove_store();
}

TEST(all_leaves_one_run_and_no_tombstone)
{
	struct store *db = new_store("leveled", "9");
	struct store_compact_result r;
	struct store_stat stat;
	struct store_error err = STORE_ERROR_INIT;

	put(db, "a", "1");
	put(db, "b", "1");
	flush(db);
	CHECK_OK(store_delete(db, slice_str("a"), STORE_NOSYNC, &err), err);
	put(db, "b", "2");
	flush(db);
	r = compact(db, NULL, 1);
	CHECK(r.jobs == 1 && r.tables_in == 2 && r.tables_out == 1);
	CHECK(r.dropped == 3); /* both of a, the older b */
	CHECK(sum_tombstones(db) == 0);
	CHECK_OK(store_stat(db, &stat, &err), err);
	CHECK(stat.runs == 1);
	r = compact(db, NULL, 1);
	CHECK(r.jobs == 0);
	store_close(db);
	remove_store();
}

TEST(runs_that_overlap_nothing_are_moved_unread)
{
	struct store *db = new_store("leveled", "3");
	struct store_compact_result r;
	struct manifest before, after;
	const struct run *run;

	for (const char *k = "abc"; *k; k++) {
		put(db, (const char[]){ *k, '\0' }, "1");
		flush(db);
	}
	before = manifest(db);
	r = compact(db, NULL, 0);
	CHECK(r.jobs == 1 && r.bytes_out == 0);
	after = manifest(db);
	CHECK(after.n_levels == 2 && after.levels[1].n == 1);
	run = &after.levels[1].runs[0];
	CHECK(run->n == 3 && after.n_dropped == 0);
	for (size_t i = 0; i < 3; i++)
		CHECK(run->tables[i].number ==
		      before.levels[0].runs[2 - i].tables[0].number);
	manifest_release(&before);
	manifest_release(&after);
	check_no_orphans(db);
	store_close(db);
	remove_store();
}

static void write_one(struct store *db, struct model *m, unsigned k, bool gone)
{
	struct store_error err = STORE_ERROR_INIT;
	char key[16];

	snprintf(key, sizeof(key), "k%05u", k);
	m->version[k] = gone ? 0 : ++m->clock;
	if (gone)
		CHECK_OK(store_delete(db, slice_str(key), STORE_NOSYNC, &err),
			 err);
	else
		CHECK_OK(store_put(db, slice_str(key),
				   value_of(k, m->version[k]), STORE_NOSYNC,
				   &err),
			 err);
}

TEST(blocks_that_nobody_wrote_into_go_on_as_they_are)
{
	struct store *db = new_store("leveled", "9");
	struct model m = { .seed = 4 };
	struct store_compact_result r;
	uint64_t before, moved;

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned k = round; k < KEYS; k += 1 + round)
			write_one(db, &m, k, false);
		flush(db);
	}
	compact(db, NULL, 1);
	write_one(db, &m, 50, false);
	write_one(db, &m, 200, true);
	write_one(db, &m, 300, false);
	flush(db);
	before = db->counters.blocks_moved;
	r = compact(db, NULL, 1);
	moved = db->counters.blocks_moved - before;
	CHECK(moved >= 12 && moved < 40);
	CHECK(r.dropped == 4); /* three older ones, the tombstone */
	check_model(db, &m);
	check_no_orphans(db);
	store_close(db);
	remove_store();
}

static bool in_cache;
static int put_out;

static ssize_t cached_or_not(int fd, void *p, size_t n, off_t off)
{
	if (in_cache)
		return pread(fd, p, n, off);
	errno = EAGAIN;
	return -1;
}

static int note_uncache(int fd, off_t off, off_t n)
{
	CHECK(fd >= 0 && off == 0 && n == 0);
	put_out++;
	return 0;
}

static ssize_t no_such_call(int fd, void *p, size_t n, off_t off)
{
	(void)fd, (void)p, (void)n, (void)off;
	errno = EOPNOTSUPP;
	return -1;
}

/* Whole files that a merge of three tables into one puts out of the cache. */
static int put_out_by_merge(void)
{
	struct store *db = new_store("leveled", "9");
	struct model m = { .seed = 6 };
	struct store_compact_result r;

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = i; k < 30; k += 1 + i)
			write_one(db, &m, k, false);
		flush(db);
	}
	put_out = 0;
	r = compact(db, NULL, 1);
	CHECK(r.tables_in == 3 && r.tables_out == 1);
	check_model(db, &m);
	store_close(db);
	remove_store();
	return put_out;
}

TEST(a_merge_leaves_the_page_cache_as_it_found_it)
{
	struct os real = os;

	os.pread_cached = cached_or_not;
	os.uncache = note_uncache;
	in_cache = true;
	CHECK(put_out_by_merge() == 0);
	in_cache = false;
	CHECK(put_out_by_merge() == 4);
	os.pread_cached = no_such_call;
	CHECK(put_out_by_merge() == 0);
	os = real;
}

TEST(all_of_nothing_but_tombstones_is_nothing)
{
	struct store *db = new_store("tiered", "9");
	struct store_stat stat;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_delete(db, slice_str("a"), STORE_NOSYNC, &err), err);
	flush(db);
	compact(db, NULL, 1);
	CHECK_OK(store_stat(db, &stat, &err), err);
	CHECK(stat.tables == 0);
	store_close(db);
	remove_store();
}

static void put_until(struct store *db, const char *key, uint64_t expires_ms)
{
	struct store_entry e = { .kind = STORE_PUT,
				 .key = slice_str(key),
				 .value = slice_str("short-lived"),
				 .expires_ms = expires_ms };
	struct store_batch b = STORE_BATCH_INIT;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_batch_add(&b, &e, &err), err);
	CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
	store_batch_free(&b);
}

TEST(an_expired_entry_does_not_uncover_an_older_one)
{
	struct store *db = new_store("tiered", "2");
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;
	char key[16];

	/* Two runs into level 1, much larger than the two that follow. */
	put(db, "a", "old");
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "c%d", i * 7919);
		put(db, key, key);
	}
	put(db, "z", "old");
	flush(db);
	put(db, "b", "old");
	flush(db);
	compact(db, NULL, 0);
	put_until(db, "a", 1);
	put(db, "n", "older");
	flush(db);
	put_until(db, "m", 1);
	put_until(db, "n", os.now_ms() + 1000000);
	flush(db);
	/* Merged above level 1, whose range has a, m and n in it. */
	r = compact(db, NULL, 0);
	CHECK(r.jobs == 1 && r.dropped == 1); /* the older n */
	CHECK(sum_tombstones(db) == 2);	      /* a and m */
	CHECK(store_get(db, slice_str("a"), &(struct buf){ 0 }, &err) == 0);
	r = compact(db, NULL, 1);
	CHECK(r.dropped == 3 && sum_tombstones(db) == 0);
	CHECK(store_read(db, slice_str("n"), NULL, NULL, &err) == 1);
	CHECK(store_read(db, slice_str("m"), NULL, NULL, &err) == 0);
	CHECK(store_read(db, slice_str("a"), NULL, NULL, &err) == 0);
	CHECK(store_read(db, slice_str("z"), NULL, NULL, &err) == 1);
	store_close(db);
	remove_store();
}

TEST(a_snapshot_outlives_the_tables_it_reads)
{
	struct store *db = new_store("leveled", "1");
	struct model m = { .seed = 5 };
	struct store_error err = STORE_ERROR_INIT;
	struct store_snapshot *snap;
	struct buf value = BUF_INIT;

	put(db, "a", "before");
	flush(db);
	CHECK_OK(store_snapshot(db, &snap, &err), err);
	put(db, "a", "after");
	flush(db);
	write_some(db, &m);
	flush(db);
	compact(db, NULL, 1);
	CHECK(store_snapshot_get(snap, slice_str("a"), &value, &err) == 1);
	CHECK(slice_eq(buf_slice(&value), slice_str("before")));
	store_snapshot_free(snap);
	CHECK(store_get(db, slice_str("a"), &value, &err) == 1);
	CHECK(slice_eq(buf_slice(&value), slice_str("after")));
	buf_free(&value);
	store_close(db);
	remove_store();
}

/* ---- what is in the way ---- */

TEST(a_table_that_another_process_claims_is_left_to_it)
{
	struct store *db = new_store("tiered", "2"), *other;
	struct store_error err = STORE_ERROR_INIT;
	struct store_compact_result r;
	struct manifest m;
	uint64_t number;

	put(db, "a", "1");
	flush(db);
	put(db, "a", "2");
	flush(db);
	m = manifest(db);
	number = m.levels[0].runs[1].tables[0].number;
	manifest_release(&m);
	other = open_again(NULL);
	CHECK(lock_claim(&other->lock, number, &err) == 1);
	r = compact(db, NULL, 0);
	CHECK(r.jobs == 0 && r.busy == 1);
	lock_unclaim(&other->lock, number);
	r = compact(db, NULL, 0);
	CHECK(r.jobs == 1 && r.busy == 0);
	store_close(other);
	store_close(db);
	remove_store();
}

static uint64_t no_space(int fd)
{
	(void)fd;
	return 10;
}

TEST(a_disk_too_full_for_a_job_is_said_before_it_begins)
{
	struct store *db = new_store("tiered", "2");
	struct store_error err = STORE_ERROR_INIT;
	uint64_t (*real)(int fd) = os.free_bytes;

	put(db, "a", "1");
	flush(db);
	put(db, "a", "2");
	flush(db);
	os.free_bytes = no_space;
	CHECK(store_compact(db, NULL, NULL, &err) == STORE_ENOSPACE);
	os.free_bytes = real;
	CHECK(strstr(err.text, "only 10 are free"));
	check_no_orphans(db);
	store_close(db);
	remove_store();
}

TEST(a_reader_may_not_compact)
{
	struct store *db = new_store("tiered", "2");
	struct store_error err = STORE_ERROR_INIT;

	store_close(db);
	CHECK_OK(store_open(&db, path, NULL, &err), err);
	CHECK(store_compact(db, NULL, NULL, &err) == STORE_EACCESS);
	store_close(db);
	remove_store();
}

/* ---- what is not trusted ---- */

TEST(a_bad_plan_is_refused_and_loses_nothing)
{
	static const char *const bad[] = {
		"overlapping", "skipping", "unknown", "repeating", "absurd",
		"endless",     "dropping", "ancient", "misnamed",  "no-such"
	};
	struct model m = { .seed = 9 };
	struct store *db = new_store("leveled", "2");

	for (int i = 0; i < 4; i++) {
		write_some(db, &m);
		flush(db);
		if (i == 1)
			compact(db, NULL, 1);
	}
	store_close(db);
	db = open_again(BAD_PLUGINS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct store_compact_config config = { .strategy = bad[i] };
		struct store_error err = STORE_ERROR_INIT;

		CHECK(store_compact(db, &config, NULL, &err) == STORE_ECONFIG);
		CHECK(strstr(err.text, bad[i]));
	}
	check_model(db, &m);
	check_no_orphans(db);
	store_close(db);
	remove_store();
}

TEST(a_strategy_that_finds_no_end_is_stopped)
{
	struct store *db = new_store("leveled", "2");
	struct store_compact_result r;

	put(db, "a", "1");
	flush(db);
	store_close(db);
	db = open_again(BAD_PLUGINS);
	r = compact(db, "restless", 0);
	CHECK(r.jobs > 10 && r.jobs < 1000);
	store_close(db);
	remove_store();
}

TEST_MAIN()
