/*
 * Compaction piece by piece: wherever a merge is cut, the store answers as
 * before, forwards, backwards and from any key; and what was done stays done.
 */
#include "tests/unit/pieces.h"

static void pieces_of(const char *strategy, uint64_t seed)
{
	struct model m = { .seed = seed }, before;
	struct store *db = new_store_with(strategy, "2", "4K");
	struct store_error err = STORE_ERROR_INIT;
	struct watch w = { .m = &m, .before = &before, .calls_left = -1 };

	w.db = open_again(NULL);
	fill(db, &m, 10);
	before = m;
	CHECK_OK(store_snapshot(w.db, &w.snap, &err), err);
	for (int i = 0; i < 4; i++)
		fill_plain(db, &m);
	compact_watched(db, &w, 0);
	compact_watched(db, &w, 1);
	CHECK(w.pieces > 6 && w.trimmed > 3);
	CHECK(count_trimmed(db) == 0);
	check_walks(w.db, w.snap, &before);
	store_snapshot_free(w.snap);
	check_walks(db, NULL, &m);
	flush(db); /* sweeps */
	check_no_orphans(db);
	store_close(w.db);
	store_close(db);
	remove_store();
}

TEST(every_piece_of_leveled_leaves_a_store_that_answers_as_before)
{
	pieces_of("leveled", 11);
}

TEST(every_piece_of_tiered_leaves_a_store_that_answers_as_before)
{
	pieces_of("tiered", 12);
}

/* The same store, opened anew without its rebuildable files. */
static struct store *without_living(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;
	char name[NAME_SIZE];

	name_make(name, FILE_VER, generation(db));
	CHECK_OK(os_unlink(&db->dir, name, &err), err);
	CHECK_OK(os_unlink(&db->dir, NAME_STATE, &err), err);
	store_close(db);
	return open_again(NULL);
}

static void stop_everywhere(const char *strategy, uint64_t seed)
{
	unsigned stopped = 0;

	for (int calls = 0; calls < 20; calls += 1 + calls / 3) {
		struct model m = { .seed = seed };
		struct store *db = new_store_with(strategy, "2", "16K");
		struct store_compact_result r;
		struct watch w = { .calls_left = calls };

		fill(db, &m, 8);
		for (int i = 0; i < 3; i++)
			fill_plain(db, &m);
		w.db = db;
		r = compact_watched(db, &w, 1);
		CHECK(!r.stopped || r.jobs > 0);
		stopped += (unsigned)r.stopped;
		check_no_orphans(db);
		db = without_living(db);
		check_model(db, &m);
		check_walks(db, NULL, &m);
		check_sound();
		for (int i = 0; i < 2; i++) {
			write_some(db, &m);
			flush(db);
		}
		compact(db, NULL, 0);
		check_walks(db, NULL, &m);
		compact(db, NULL, 1);
		check_walks(db, NULL, &m);
		CHECK(count_trimmed(db) == 0 && sum_tombstones(db) == 0);
		check_no_orphans(db);
		store_close(db);
		remove_store();
	}
	CHECK(stopped >= 5);
}

TEST(leveled_may_be_stopped_at_any_table)
{
	stop_everywhere("leveled", 21);
}

TEST(tiered_may_be_stopped_at_any_table)
{
	stop_everywhere("tiered", 22);
}

/* ---- what was done stays done ---- */

TEST(a_merge_that_is_stopped_again_and_again_comes_to_its_end)
{
	struct model m = { .seed = 31 };
	struct store *db = new_store_with("leveled", "12", "4K");
	struct store_compact_result r = { .stopped = 1 };
	uint64_t all, read = 0;
	int runs = 0;

	for (int i = 0; i < 5; i++)
		fill_plain(db, &m);
	all = table_bytes(db);
	for (; r.stopped; runs++) {
		struct watch w = { .db = db, .calls_left = 3 };

		CHECK(runs < 100);
		r = compact_watched(db, &w, 1);
		read += r.bytes_in;
		check_model(db, &m);
	}
	CHECK(runs > 3);
	CHECK(count_trimmed(db) == 0);
	/* trimmed tables count whole, so the rest of each is told again */
	CHECK(read < 4 * all);
	store_close(db);
	remove_store();
}

TEST(a_table_of_the_last_level_that_nothing_overlaps_is_not_read_again)
{
	struct store *db = new_store("leveled", "12");
	struct model m = { .seed = 32 };
	struct store_compact_result r;
	struct store_stat stat;
	struct store_error err = STORE_ERROR_INIT;

	for (int i = 0; i < 4; i++)
		fill_plain(db, &m);
	compact(db, NULL, 1);
	m.version[9] = ++m.clock;
	CHECK_OK(store_put(db, key_of(9), value_of(9, m.version[9]),
			   STORE_NOSYNC, &err),
		 err);
	flush(db);
	CHECK_OK(store_stat(db, &stat, &err), err);
	CHECK(stat.tables > 4);
	r = compact(db, NULL, 1);
	CHECK(r.jobs == 1 && r.tables_in <= 3);
	CHECK_OK(store_stat(db, &stat, &err), err);
	CHECK(stat.runs == 1);
	check_walks(db, NULL, &m);
	check_no_orphans(db);
	store_close(db);
	remove_store();
}

TEST(a_table_tells_what_it_was_made_of_to_its_end_and_in_part)
{
	struct model m = { .seed = 33 };
	struct store *db = new_store_with("tiered", "12", "4K");
	struct watch w = { .db = db, .calls_left = 4 };
	struct table_props p = TABLE_PROPS_INIT;
	struct store_error err = STORE_ERROR_INIT;
	struct manifest after;
	struct table *t;
	size_t trims = 0;

	fill_flat(db, &m, 4);
	CHECK(compact_watched(db, &w, 1).stopped);
	after = manifest(db);
	CHECK(after.n_levels == 2 && after.levels[1].n == 1);
	for (size_t i = 0; i < after.levels[1].runs[0].n; i++) {
		struct run *run = &after.levels[1].runs[0];

		table_props_release(&p);
		CHECK_OK(table_open(&t, &db->dir, run->tables[i].number, NULL,
				    NULL, &err),
			 err);
		CHECK_OK(table_props(t, &p, &err), err);
		table_close(t);
		for (size_t k = 0; k < p.n_replaces; k++)
			CHECK(!manifest_names(&after, p.replaces[k]));
		if (i + 1 < run->n)
			CHECK(slice_cmp(buf_slice(&p.trims_below),
					buf_slice(&run->tables[i + 1]
							   .smallest)) <= 0);
	}
	/* `p` is that of the last: its border is where the inputs begin now */
	for (size_t r = 0; r < after.levels[0].n; r++) {
		struct table_meta *in = after.levels[0].runs[r].tables;

		if (!in->trimmed)
			continue;
		trims++;
		CHECK(slice_eq(buf_slice(&in->smallest),
			       buf_slice(&p.trims_below)));
	}
	CHECK(trims > 0 && trims == p.n_trims);
	table_props_release(&p);
	manifest_release(&after);
	store_close(db);
	remove_store();
}

/* ---- what it leaves ---- */

static uint64_t need_of(struct store *db)
{
	struct store_need need;
	struct store_error err = STORE_ERROR_INIT;
	int r = store_compact_need(db, NULL, &need, &err);

	CHECK_OK(r, err);
	CHECK((r == 1) == (need.why[0] != '\0'));
	return need.bytes;
}

static void leave_nothing(const char *strategy)
{
	struct model m = { .seed = 34 };
	struct store *db = new_store_with(strategy, "12", "4K");
	struct watch w = { .db = db, .calls_left = 4 };
	struct store_compact_result r;
	struct store_stat before, after;
	struct store_error err = STORE_ERROR_INIT;

	fill_plain(db, &m);
	fill_plain(db, &m);
	fill_plain(db, &m);
	CHECK(need_of(db) == 0);
	CHECK(compact_watched(db, &w, 1).stopped);
	CHECK(count_trimmed(db) > 1 && need_of(db) > 0);
	CHECK_OK(store_stat(db, &before, &err), err);
	r = compact(db, NULL, 0);
	CHECK(r.jobs > 0 && count_trimmed(db) == 0 && need_of(db) == 0);
	CHECK_OK(store_stat(db, &after, &err), err);
	CHECK(after.runs <= before.runs);
	check_no_orphans(db);
	check_walks(db, NULL, &m);
	check_sound();
	store_close(db);
	remove_store();
}

TEST(tables_of_which_a_stopped_job_has_written_a_part_are_rewritten)
{
	leave_nothing("tiered");
	leave_nothing("lazy-leveled");
	leave_nothing("unified");
	leave_nothing("fifo");
}

/* ---- the disk ---- */

static uint64_t disk_bytes, peak;

static int add_bytes(void *ctx, const char *name)
{
	uint64_t *sum = ctx;
	struct stat st;
	char file[400];

	snprintf(file, sizeof(file), "%s/%s", path, name);
	if (strstr(name, ".sst") && stat(file, &st) == 0)
		*sum += (uint64_t)st.st_size;
	return 0;
}

/* A disk of disk_bytes with nothing but the store's tables on it. */
static uint64_t rest_of_disk(int fd)
{
	uint64_t used = 0;

	os.list(fd, add_bytes, &used);
	if (used > peak)
		peak = used;
	return used < disk_bytes ? disk_bytes - used : 0;
}

TEST(a_merge_larger_than_the_free_disk_runs_in_pieces_that_fit)
{
	struct model m = { .seed = 41 };
	struct store *db = new_store("leveled", "12");
	uint64_t (*real)(int fd) = os.free_bytes;
	struct store_compact_config config = { .all = 1 };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;

	for (int i = 0; i < 3; i++)
		fill_plain(db, &m);
	compact(db, NULL, 1);
	for (int i = 0; i < 3; i++)
		fill_plain(db, &m);
	disk_bytes = table_bytes(db) * 3 / 2;
	peak = 0;
	os.free_bytes = rest_of_disk;
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	os.free_bytes = real;
	CHECK(r.bytes_in > disk_bytes / 3 && peak <= disk_bytes);
	check_model(db, &m);
	check_no_orphans(db);
	store_close(db);
	remove_store();
}

/* Nobody compacted for long: a table of each run would not fit at once. */
static void many_runs(const char *strategy, int all)
{
	struct model m = { .seed = 42 };
	struct store *db = new_store_with(strategy, "12", "16K");
	uint64_t (*real)(int fd) = os.free_bytes;
	struct store_compact_config config = { .all = all };
	struct store_compact_result r;
	struct store_error err = STORE_ERROR_INIT;

	for (int i = 0; i < 40; i++)
		fill_plain(db, &m);
	disk_bytes = table_bytes(db) + 40000;
	peak = 0;
	os.free_bytes = rest_of_disk;
	CHECK_OK(store_compact(db, &config, &r, &err), err);
	os.free_bytes = real;
	CHECK(r.jobs > 1 && peak <= disk_bytes && need_of(db) == 0);
	check_walks(db, NULL, &m);
	check_no_orphans(db);
	check_sound();
	store_close(db);
	remove_store();
}

TEST(more_runs_than_fit_on_the_disk_are_merged_some_at_a_time)
{
	many_runs("tiered", 0);
	many_runs("lazy-leveled", 0);
	many_runs("unified", 0);
	many_runs("fifo", 0);
	many_runs("tiered", 1);
}

TEST_MAIN()
