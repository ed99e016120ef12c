/*
 * Compaction piece by piece: wherever a merge is cut, the store answers as
 * before, forwards, backwards and from any key; and what was done stays done.
 */
#define KEYS 1500u

#include "lib/inspect.h"
#include "lib/table.h"
#include "tests/unit/compacting.h"

static struct slice key_of(unsigned k)
{
	static char key[16];

	snprintf(key, sizeof(key), "k%05u", k);
	return slice_str(key);
}

/* The first key of the model at or above `k`, or KEYS. */
static unsigned present_from(const struct model *m, unsigned k)
{
	while (k < KEYS && m->version[k] == 0)
		k++;
	return k;
}

static void check_at(struct store_iter *it, const struct model *m, unsigned k,
		     int r)
{
	struct store_error err = STORE_ERROR_INIT;
	struct slice value;

	CHECK(r == (k < KEYS));
	if (r == 0)
		return;
	CHECK(slice_eq(store_iter_key(it), key_of(k)));
	CHECK_OK(store_iter_value(it, &value, &err), err);
	CHECK(slice_eq(value, value_of(k, m->version[k])));
}

/* Both ways, and turning round at every seventh key. */
static void check_walks(struct store *db, struct store_snapshot *snap,
			const struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_iter *it;
	unsigned k = 0, last = KEYS;
	int r;

	CHECK_OK(store_iter_open(db, snap, &it, &err), err);
	for (r = store_iter_first(it, &err);; r = store_iter_next(it, &err)) {
		k = present_from(m, k);
		check_at(it, m, k, r);
		if (r == 0)
			break;
		last = k++;
	}
	for (r = store_iter_last(it, &err); last < KEYS;
	     r = store_iter_prev(it, &err)) {
		check_at(it, m, last, r);
		while (last > 0 && m->version[--last] == 0)
			;
		if (m->version[last] == 0 || last == 0)
			break;
	}
	for (k = 0; k < KEYS; k += 7) {
		unsigned at = present_from(m, k), before = k;

		check_at(it, m, at, store_iter_seek(it, key_of(k), &err));
		while (before > 0 && m->version[before - 1] == 0)
			before--;
		r = store_iter_seek_before(it, key_of(k), &err);
		check_at(it, m, before > 0 ? before - 1 : KEYS, r);
		if (r == 1)
			check_at(it, m, at, store_iter_next(it, &err));
	}
	store_iter_close(it);
}

static void check_sound(void)
{
	struct verify_config config = { .strict = false };
	struct store_error err = STORE_ERROR_INIT;
	int r = verify_store(path, &config, &err);

	if (r != 0)
		CHECK(r == 0);
}

static size_t count_trimmed(struct store *db)
{
	struct manifest m = manifest(db);
	size_t n = 0;

	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t r = 0; r < m.levels[l].n; r++)
			for (size_t i = 0; i < m.levels[l].runs[r].n; i++)
				n += m.levels[l].runs[r].tables[i].trimmed;
	manifest_release(&m);
	return n;
}

static uint64_t generation(struct store *db)
{
	struct manifest m = manifest(db);
	uint64_t g = m.generation;

	manifest_release(&m);
	return g;
}

/* A handle that looks on while another one compacts. */
struct watch {
	struct store *db;
	const struct model *m, *before;
	struct store_snapshot *snap; /* taken when the store was `before` */
	uint64_t generation;
	unsigned pieces, trimmed;
	volatile sig_atomic_t stop;
	int calls_left; /* until the flag is raised; negative: never */
};

static void look_on(void *ctx, const struct store_progress *p)
{
	struct watch *w = ctx;
	uint64_t g = generation(w->db);

	CHECK(p->bytes_done <= p->bytes_total);
	if (w->calls_left >= 0 && w->calls_left-- == 0)
		w->stop = 1;
	if (!w->m || g == w->generation)
		return;
	w->generation = g;
	w->pieces++;
	w->trimmed += count_trimmed(w->db) > 0;
	check_model(w->db, w->m);
	check_walks(w->db, NULL, w->m);
	if (w->snap)
		check_walks(w->db, w->snap, w->before);
	check_sound();
}

static struct store_compact_result compact_watched(struct store *db,
						   struct watch *w, int all)
{
	struct store_compact_config config = { .all = all,
					       .stop = &w->stop,
					       .progress = look_on,
					       .progress_ctx = w };
	struct store_compact_result result;
	struct store_error err = STORE_ERROR_INIT;

	w->generation = generation(db);
	CHECK_OK(store_compact(db, &config, &result, &err), err);
	return result;
}

/* Some runs over a store that is compacted already. */
static void fill(struct store *db, struct model *m, int runs)
{
	for (int i = 0; i < runs; i++) {
		write_some(db, m);
		flush(db);
		if (i == runs / 2)
			compact(db, NULL, 1);
	}
}

/* Runs side by side, nothing compacted yet. */
static void fill_flat(struct store *db, struct model *m, int runs)
{
	for (int i = 0; i < runs; i++) {
		for (int k = 0; k < 3; k++)
			write_some(db, m);
		flush(db);
	}
}

/* One run over all keys, half of them, with short values. */
static void fill_plain(struct store *db, struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;

	for (unsigned k = 0; k < KEYS; k++) {
		if (roll(m, 2))
			continue;
		m->clock += m->clock % 97 == 96 ? 2 : 1;
		m->version[k] = m->clock;
		CHECK_OK(store_put(db, key_of(k), value_of(k, m->clock),
				   STORE_NOSYNC, &err),
			 err);
	}
	flush(db);
}

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

static uint64_t table_bytes(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_stat stat;

	CHECK_OK(store_stat(db, &stat, &err), err);
	return stat.table_bytes;
}

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
	struct store *db = new_store_with("leveled", "12", "4K");
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

/* ---- limits ---- */

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
	CHECK(!r.stopped && r.jobs == 1);
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
