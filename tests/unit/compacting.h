/*
 * compacting.h - what the tests of compaction share: small stores, a model of
 * what they should hold, and looks at what they do.
 */
#ifndef TESTS_UNIT_COMPACTING_H
#define TESTS_UNIT_COMPACTING_H

#include "lib/engine.h"
#include "lib/install.h"
#include "tests/unit/test.h"

#include <inttypes.h>
#include <unistd.h>

#define BAD_PLUGINS PLUGIN_DIR "/../tests/plugins"
#ifndef KEYS
#define KEYS 400u
#endif

static char path[64];

static inline int remove_one(void *ctx, const char *name)
{
	const struct dir *d = ctx;

	return os.unlinkat(d->fd, name);
}

static inline void remove_store(void)
{
	struct store_error err = STORE_ERROR_INIT;
	struct dir d;

	CHECK_OK(dir_open(&d, path, &err), err);
	CHECK(os.list(d.fd, remove_one, &d) == 0);
	dir_close(&d);
	CHECK(rmdir(path) == 0);
}

/* Nothing here is about power: the tests need not wait for the disk. */
static inline int no_sync(int fd)
{
	(void)fd;
	return 0;
}

/* A new store with small tables; a compaction's pieces are of job_bytes. */
static inline struct store *new_store_with(const char *strategy,
					   const char *level0_runs,
					   const char *job_bytes)
{
	const struct store_setting_text settings[] = {
		{ "table_bytes", "4K" },   { "table_bytes_max", "16K" },
		{ "block_bytes", "1K" },   { "level0_runs", level0_runs },
		{ "level_ratio", "3" },	   { "job_bytes", job_bytes },
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

static inline struct store *new_store(const char *strategy,
				      const char *level0_runs)
{
	return new_store_with(strategy, level0_runs, "64K");
}

static inline struct store *open_again(const char *plugins)
{
	struct store_config config = { .flags = STORE_WRITE,
				       .plugins = plugins };
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;

	CHECK_OK(store_open(&db, path, &config, &err), err);
	return db;
}

static inline void put(struct store *db, const char *key, const char *value)
{
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_put(db, slice_str(key), slice_str(value), STORE_NOSYNC,
			   &err),
		 err);
}

static inline void flush(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_flush(db, &err), err);
}

static inline struct store_compact_result compact(struct store *db,
						  const char *strategy, int all)
{
	struct store_compact_config config = { .strategy = strategy,
					       .all = all };
	struct store_compact_result result;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(store_compact(db, &config, &result, &err), err);
	return result;
}

static inline struct manifest manifest(struct store *db)
{
	struct manifest m = MANIFEST_INIT;
	struct store_error err = STORE_ERROR_INIT;

	CHECK_OK(install_manifest(db, &m, &err), err);
	return m;
}

static inline uint64_t sum_tombstones(struct store *db)
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

static inline int count_sst(void *ctx, const char *name)
{
	size_t *n = ctx, len = strlen(name);

	*n += len > 4 && !strcmp(name + len - 4, ".sst");
	return 0;
}

/* No file is left that nothing names. */
static inline void check_no_orphans(struct store *db)
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

static inline unsigned roll(struct model *m, unsigned n)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(m->seed >> 33) % n;
}

/* Now and then a value that lies in chunks. */
static inline struct slice value_of(unsigned key, unsigned version)
{
	static uint8_t value[100000];
	size_t n = version % 97 == 0 ? sizeof(value) - key : 20 + version % 90;

	for (size_t i = 0; i < n; i++)
		value[i] = (uint8_t)(key + version + i / 7);
	return slice_make(value, n);
}

static inline void write_some(struct store *db, struct model *m)
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

static inline void check_model(struct store *db, const struct model *m)
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

#endif
