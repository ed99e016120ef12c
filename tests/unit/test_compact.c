/*
 * store_compact(): whatever is merged, moved and dropped, the store answers
 * as before; and what is not to be trusted is refused before anything is lost.
 */
#include "lib/engine.h"
#include "lib/install.h"
#include "tests/unit/test.h"

#include <inttypes.h>
#include <unistd.h>

#define BAD_PLUGINS PLUGIN_DIR "/../tests/plugins"
#define KEYS 400

static char path[64];

static int remove_one(void *ctx, const char *name)
{
	const struct dir *d = ctx;

	return os.unlinkat(d->fd, name);
}

static void remove_store(void)
{
	struct store_error err = STORE_ERROR_INIT;
	struct dir d;

	CHECK_OK(dir_open(&d, path, &err), err);
	CHECK(os.list(d.fd, remove_one, &d) == 0);
	dir_close(&d);
	CHECK(rmdir(path) == 0);
}

/* Nothing here is about power: the tests need not wait for the disk. */
static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

/* A new store with small tables. */
static struct store *new_store(const char *strategy, const char *level0_runs)
{
	const struct store_setting_text settings[] = {
		{ "table_bytes", "4K" },   { "table_bytes_max", "16K" },
		{ "block_bytes", "1K" },   { "level0_runs", level0_runs },
		{ "level_ratio", "3" },	   { "job_bytes", "64K" },
		{ "compression", "none" }, { "compression_last", "lz4" },
	};
	struct store_config config = {
		.flags = STORE_WRITE | STORE_CREATE,
		.strategy = strategy,
		.settings = settings,
		.n_settings = sizeof(settings) / sizeof(settings[0]),
	};
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;

	os.fsync = os.fdatasync = no_sync;
	strcpy(path, "/tmp/test-compact-XXXXXX");
	CHECK(mkdtemp(path));
	CHECK_OK(store_open(&db, path, &config, &err), err);
	return db;
}

static struct store *open_again(const char *plugins)
{
	struct store_config config = { .flags = STORE_WRITE,
				       .plugins = plugins };
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;

	CHECK_OK(store_open(&db, path, &config, &err), err);
	return db;
}

static void put(struct store *db, const char *key, const char *value)
{
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_put(db, slice_str(key), slice_str(value), STORE_NOSYNC,
			   &err),
		 err);
}

static void flush(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_flush(db, &err), err);
}

static struct store_compact_result compact(struct store *db,
					   const char *strategy, int all)
{
	struct store_compact_config config = { .strategy = strategy,
					       .all = all };
	struct store_compact_result result;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_compact(db, &config, &result, &err), err);
	return result;
}

static struct manifest manifest(struct store *db)
{
	struct manifest m = MANIFEST_INIT;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(install_manifest(db, &m, &err), err);
	return m;
}

static uint64_t sum_tombstones(struct store *db)
{
	struct manifest m = manifest(db);
	uint64_t n = 0;

	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t r = 0; r < m.levels[l].n; r++)
			for (size_t i = 0; i < m.levels[l].runs[r].n; i++)
				n += m.levels[l].runs[r].tables[i].tombstones;
	manifest_release(&m);
	return n;
}

static int count_sst(void *ctx, const char *name)
{
	size_t *n = ctx, len = strlen(name);

	*n += len > 4 && !strcmp(name + len - 4, ".sst");
	return 0;
}

/* No file is left that nothing names. */
static void check_no_orphans(struct store *db)
{
	struct store_stat stat;
	struct store_error err = STORE_ERROR_INIT;
	size_t n = 0;

	CHECK_OK(store_stat(db, &stat, &err), err);
	CHECK(os.list(db->dir.fd, count_sst, &n) == 0);
	CHECK(n == stat.tables);
}

/* ---- the model ---- */

struct model {
	unsigned version[KEYS]; /* 0: absent */
	unsigned clock;
	uint64_t seed;
};

static unsigned roll(struct model *m, unsigned n)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(m->seed >> 33) % n;
}

/* Now and then a value that lies in chunks. */
static struct slice value_of(unsigned key, unsigned version)
{
	static uint8_t value[100000];
	size_t n = version % 97 == 0 ? sizeof(value) - key : 20 + version % 90;

	for (size_t i = 0; i < n; i++)
		value[i] = (uint8_t)(key + version + i / 7);
	return slice_make(value, n);
}

static void write_some(struct store *db, struct model *m)
{
	struct store_batch b = STORE_BATCH_INIT;
	struct store_error err = STORE_ERROR_INIT;
	unsigned from = roll(m, KEYS), often = 1 + roll(m, 5);
	char key[16];

	for (unsigned k = from; k < KEYS && k < from + 150; k++) {
		struct store_entry e = { .kind = STORE_PUT };

		if (roll(m, often))
			continue;
		m->version[k] = roll(m, 4) ? ++m->clock : 0;
		snprintf(key, sizeof(key), "k%05u", k);
		e.key = slice_str(key);
		if (m->version[k])
			e.value = value_of(k, m->version[k]);
		else
			e.kind = STORE_DELETE;
		CHECK_OK(store_batch_add(&b, &e, &err), err);
	}
	CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
	store_batch_free(&b);
}

static void check_model(struct store *db, const struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf value = BUF_INIT;
	char key[16];

	for (unsigned k = 0; k < KEYS; k++) {
		int r;

		snprintf(key, sizeof(key), "k%05u", k);
		r = store_get(db, slice_str(key), &value, &err);
		CHECK(r == (m->version[k] != 0));
		CHECK(!r ||
		      slice_eq(buf_slice(&value), value_of(k, m->version[k])));
	}
	buf_free(&value);
}

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
