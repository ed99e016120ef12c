#include "lib/store.h"

#include "lib/create.h"
#include "lib/engine.h"
#include "lib/flush.h"
#include "lib/flusher.h"
#include "lib/install.h"
#include "lib/queue.h"
#include "lib/rebuild.h"
#include "lib/tables.h"
#include "lib/trust.h"
#include "lib/writeback.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* "lsm-put (pid 12)", from STATE: a hint, never a basis for anything. */
static void read_hint(void *ctx, enum lock_role role, char *text, size_t n)
{
	struct store *db = ctx;
	struct hint h;
	size_t got;

	if (!db->state_open ||
	    os_read_some(db->state.view.fd, &h, sizeof(h),
			 STATE_HINTS_OFF + (uint64_t)role * sizeof(h), &got,
			 &db->dir, NAME_STATE, NULL) < 0 ||
	    got < sizeof(h) || !hint_ok(&h))
		return;
	for (char *p = h.tool; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	snprintf(text, n, "%s (pid %llu)", h.tool, (unsigned long long)h.pid);
}

bool hint_write(struct store *db, enum lock_role role)
{
	uint64_t off = STATE_HINTS_OFF + (uint64_t)role * sizeof(struct hint);
	const uint8_t *map = atomic_load(&db->state.view.map);
	struct hint h = { .pid = db->pid };

	memcpy(h.tool, db->tool, sizeof(h.tool));
	hint_seal(&h);
	/* Who takes a role again and again finds it still says so. */
	if (map && memcmp(map + off, &h, sizeof(h)) == 0)
		return true;
	os_write(db->state.view.fd, &h, sizeof(h), off, &db->dir, NAME_STATE,
		 NULL);
	return false;
}

void store_warn(struct store *db, struct store_error *err)
{
	pthread_mutex_lock(&db->mutex);
	if (db->warning.code == 0)
		db->warning = *err;
	pthread_mutex_unlock(&db->mutex);
	*err = STORE_ERROR_INIT;
}

int store_warning(struct store *db, struct store_error *err)
{
	int r;

	pthread_mutex_lock(&db->mutex);
	r = db->warning.code != 0;
	if (r)
		*err = db->warning;
	db->warning = STORE_ERROR_INIT;
	pthread_mutex_unlock(&db->mutex);
	return r;
}

static int no_store(const char *path, struct store_error *err)
{
	return store_fail(err, STORE_ENOSTORE, "%s: no store here", path);
}

/*
 * LOCK, writable if it may be: a reader, too, may have to repair the living
 * memory.  STORE_EGONE: there is none.
 */
static int open_lock(struct store *db, bool create, int64_t timeout_ms,
		     struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	int r = lock_open(&db->lock, &db->dir, true, create, timeout_ms, &e);

	if (r == STORE_EACCESS && !db->write) {
		e = STORE_ERROR_INIT;
		r = lock_open(&db->lock, &db->dir, false, false, timeout_ms,
			      &e);
	}
	if (r < 0 && r != STORE_EGONE && err)
		*err = e;
	db->lock.hint = read_hint;
	db->lock.hint_ctx = db;
	return r;
}

static bool has_manifest(struct store *db)
{
	struct stat st;

	return os.fstatat(db->dir.fd, NAME_MANIFEST, &st) == 0;
}

/* The directory and LOCK, made if there are none and they may be. */
static int open_dir(struct store *db, const char *path,
		    const struct store_config *config, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	bool create = config->flags & STORE_CREATE;
	int r = dir_open(&db->dir, path, &e);

	if (r == STORE_ENOSTORE && create) {
		r = create_judge(config, err);
		if (r == 0)
			r = create_dir(&db->dir, path, err);
	} else if (r < 0 && err) {
		*err = e;
	}
	if (r < 0)
		return r;
	r = open_lock(db, false, config->timeout_ms, err);
	if (r != STORE_EGONE)
		return r;
	/* A copy without LOCK is a store all the same. */
	if (!has_manifest(db)) {
		if (!create)
			return no_store(path, err);
		r = create_check(&db->dir, err);
		if (r == 0)
			r = create_judge(config, err);
		if (r < 0)
			return r;
	}
	r = open_lock(db, true, config->timeout_ms, err);
	if (r == STORE_EGONE)
		r = no_store(path, err);
	return r;
}

/* LOCK without a manifest: a create that broke off, or less. */
static int finish_create(struct store *db, const char *path,
			 const struct store_config *config,
			 struct store_error *err)
{
	int r;

	if (!(config->flags & STORE_CREATE)) {
		r = create_check(&db->dir, err);
		return r == STORE_ECORRUPT ? r : no_store(path, err);
	}
	r = create_store(db, config, err);
	db->created = r == 1;
	return r < 0 ? r : 0;
}

static int enter(struct store *db, const char *path,
		 const struct store_config *config, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct generation *g;
	int r;

	/* STATE in place means that the manifest is; else look for it. */
	r = rebuild_open_state(db, false, NULL);
	if ((r < 0 || !db->state_open) && !has_manifest(db)) {
		r = finish_create(db, path, config, err);
		if (r < 0)
			return r;
	}
	r = trust_enter(db, false, &e);
	if (r == STORE_EGONE) { /* STATE without a manifest */
		e = STORE_ERROR_INIT;
		r = finish_create(db, path, config, err);
		if (r < 0)
			return r;
		r = trust_enter(db, false, &e);
	}
	if (r == 0)
		r = generation_current(db, &g, &e);
	if (r == 0 && db->installing) {
		generation_close(g);
		install_settle_dead(db);
		r = generation_current(db, &g, &e);
	}
	if (r == STORE_ECORRUPT && db->alive && db->lock.writable) {
		/* STATE is sound, a tree is not: somebody removed it. */
		e = STORE_ERROR_INIT;
		trust_leave(db);
		r = trust_enter(db, true, &e);
		if (r == 0)
			r = generation_current(db, &g, &e);
	}
	/* Whatever else was found wrong first. */
	if (r < 0 && !has_manifest(db)) {
		e = STORE_ERROR_INIT;
		r = create_check(&db->dir, &e);
		if (r == 0)
			return no_store(path, err);
	}
	if (r < 0) {
		if (err && err->code == 0)
			*err = e;
		return r;
	}
	db->batch_limit = g->v.options.write_buffer;
	db->load_memory = g->v.options.load_memory;
	if (!db->one_shot) {
		uint64_t bytes = config->cache_bytes ? config->cache_bytes
						     : g->v.options.cache_bytes;

		db->cache = cache_new((size_t)bytes);
		if (!db->cache)
			r = store_nomem(err);
	}
	generation_close(g);
	return r;
}

int store_open(struct store **out, const char *dir,
	       const struct store_config *config, struct store_error *err)
{
	static const struct store_config defaults;
	struct store *db = calloc(1, sizeof(*db));
	int r;

	*out = NULL;
	if (!db)
		return store_nomem(err);
	if (!config)
		config = &defaults;
	db->dir = DIR_INIT;
	db->lock.fd = db->lock.probe = -1;
	db->pid = (uint64_t)os.getpid();
	db->write = config->flags & (STORE_WRITE | STORE_CREATE);
	db->one_shot = config->flags & STORE_ONE_SHOT;
	snprintf(db->tool, sizeof(db->tool), "%s",
		 config->tool ? config->tool : "libstore");
	pthread_mutex_init(&db->mutex, NULL);
	pthread_mutex_init(&db->sync_mutex, NULL);
	pthread_cond_init(&db->sync_done, NULL);
	db->tables = tables_new(db);
	if (config->plugins)
		db->plugins = strdup(config->plugins);
	if (!db->tables || (config->plugins && !db->plugins))
		r = store_nomem(err);
	else
		r = open_dir(db, dir, config, err);
	if (r == 0)
		r = enter(db, dir, config, err);
	if (r == 0 && db->write && config->flags & STORE_BACKGROUND)
		r = flusher_new(&db->flusher, err);
	if (r == 0 && db->flusher)
		r = writeback_new(&db->writeback, err);
	if (r < 0) {
		store_close(db);
		return r;
	}
	*out = db;
	return 0;
}

void store_close(struct store *db)
{
	if (!db)
		return;
	queue_close(db);
	if (db->flusher)
		flush_at_rest(db);
	flusher_close(db);
	writeback_close(db);
	generation_close(db->current);
	tables_free(db->tables);
	if (db->cache)
		cache_free(db->cache);
	if (db->state_open)
		living_close(&db->state);
	if (db->lock.fd >= 0)
		lock_close(&db->lock);
	dir_close(&db->dir);
	pthread_mutex_destroy(&db->mutex);
	pthread_mutex_destroy(&db->sync_mutex);
	pthread_cond_destroy(&db->sync_done);
	free(db->plugins);
	free(db);
}

int store_created(const struct store *db)
{
	return db->created;
}

static void stat_logs(const struct generation *g, struct store_stat *s)
{
	struct root at;
	uint64_t keys;

	for (size_t i = 0; i < g->n_logs; i++) {
		if (memtable_root(g->logs[i], &at, NULL) < 0 ||
		    memtable_keys(g->logs[i], &at, &keys, NULL) < 0)
			continue;
		s->logs++;
		s->log_bytes += at.log_bytes;
		s->log_entries += keys;
	}
}

int store_stat(struct store *db, struct store_stat *s, struct store_error *err)
{
	const struct counters *c = &db->counters;
	struct generation *g;
	int r = generation_current(db, &g, err);

	if (r < 0)
		return r;
	*s = (struct store_stat){
		.generation = g->number,
		.levels = g->v.n_levels,
		.runs = g->v.n_runs,
		.tables = g->v.tables,
		.table_bytes = g->v.table_bytes,
		.level0_runs = g->v.level0_runs,
		.cache_bytes = g->v.options.cache_bytes,
		.write_buffer = g->v.options.write_buffer,
		.queue_depth = g->v.options.queue_depth,
		.blocks_read = c->blocks_read,
		.cache_hits = c->cache_hits,
		.filter_probes = c->filter_probes,
		.filter_negatives = c->filter_negatives,
		.tables_opened = c->tables_opened,
		.batches = c->batches,
		.syncs = c->syncs,
		.bytes_written = c->bytes_written,
	};
	stat_logs(g, s);
	generation_close(g);
	return 0;
}
