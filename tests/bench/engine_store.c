/*
 * engine_store.c - libstore.
 *
 * The library starts no compaction by itself; a thread does it here, when
 * store_pressure() says that it is due, as the background jobs of the others.
 * A round under way is finished before the store is closed.
 */
#include "lib/store.h"
#include "tests/bench/engine.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct database {
	struct store *db;
	struct store_batch batch;
	pthread_t compactor;
	volatile sig_atomic_t stop;   /* when the round under way is done */
	volatile sig_atomic_t cancel; /* that round */
};

struct reader {
	struct store *db;
	struct store_iter *it;
	struct store_pin value;
	struct store_error err;
};

static void check(int r, const struct store_error *err)
{
	if (r < 0)
		engine_die("libstore", err->text);
}

static void *compact_when_due(void *arg)
{
	struct database *d = arg;
	struct store_error err = STORE_ERROR_INIT;
	struct store_compact_config config = { .stop = &d->cancel };
	struct store_pressure p;

	while (!d->stop) {
		check(store_pressure(d->db, &p, &err), &err);
		if (p.level >= STORE_PRESSURE_SOFT)
			check(store_compact(d->db, &config, NULL, &err), &err);
		else
			nanosleep(&(struct timespec){ .tv_nsec = 5000000 },
				  NULL);
	}
	return NULL;
}

static void start(struct database *d)
{
	d->stop = d->cancel = 0;
	if (pthread_create(&d->compactor, NULL, compact_when_due, d))
		engine_die("libstore", "no thread");
}

static void stop(struct database *d)
{
	d->stop = 1;
	pthread_join(d->compactor, NULL);
}

static void *open_store(const struct engine_config *config)
{
	struct store_error err = STORE_ERROR_INIT;
	struct database *d = calloc(1, sizeof(*d));

	if (!d)
		engine_die("libstore", "no memory");
	d->batch = STORE_BATCH_INIT;
	check(store_open(&d->db, config->dir,
			 &(struct store_config){
				 .flags = STORE_WRITE | STORE_CREATE |
					  STORE_BACKGROUND,
				 .cache_bytes = config->cache_bytes },
			 &err),
	      &err);
	start(d);
	return d;
}

static void close_store(void *db)
{
	struct database *d = db;

	stop(d);
	store_batch_free(&d->batch);
	store_close(d->db);
	free(d);
}

static void write_store(void *db, const struct engine_op *ops, size_t n,
			bool sync)
{
	struct database *d = db;
	struct store_error err = STORE_ERROR_INIT;
	enum store_sync how = sync ? STORE_SYNC : STORE_NOSYNC;

	if (n == 1) {
		check(ops->value.data
			      ? store_put(d->db, ops->key, ops->value, how,
					  &err)
			      : store_delete(d->db, ops->key, how, &err),
		      &err);
		return;
	}
	store_batch_clear(&d->batch);
	for (size_t i = 0; i < n; i++)
		check(ops[i].value.data
			      ? store_batch_put(&d->batch, ops[i].key,
						ops[i].value, &err)
			      : store_batch_delete(&d->batch, ops[i].key, &err),
		      &err);
	check(store_write(d->db, &d->batch, how, &err), &err);
}

static void compact_store(void *db)
{
	struct database *d = db;
	struct store_error err = STORE_ERROR_INIT;
	struct store_compact_config config = { .all = 1, .workers = 2 };

	d->cancel = 1;
	stop(d);
	check(store_flush(d->db, &err), &err);
	check(store_compact(d->db, &config, NULL, &err), &err);
	start(d);
}

static void *open_reader(void *db)
{
	struct database *d = db;
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		engine_die("libstore", "no memory");
	r->db = d->db;
	return r;
}

static void close_reader(void *reader)
{
	struct reader *r = reader;

	if (r->it)
		store_iter_close(r->it);
	store_pin_release(&r->value);
	free(r);
}

static bool get(void *reader, struct slice key, struct slice *value)
{
	struct reader *r = reader;
	int found = store_get_pinned(r->db, key, &r->value, &r->err);

	check(found, &r->err);
	*value = r->value.value;
	return found > 0;
}

static void begin(struct reader *r)
{
	if (r->it)
		store_iter_close(r->it);
	check(store_iter_open(r->db, NULL, &r->it, &r->err), &r->err);
}

static bool stand(struct reader *r, int there, struct engine_op *at,
		  struct store_error *err)
{
	check(there, err);
	if (there == 0)
		return false;
	at->key = store_iter_key(r->it);
	check(store_iter_value(r->it, &at->value, err), err);
	return true;
}

static bool first(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	return stand(r, store_iter_first(r->it, &r->err), at, &r->err);
}

static bool last(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	return stand(r, store_iter_last(r->it, &r->err), at, &r->err);
}

static bool seek(void *reader, struct slice key, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	return stand(r, store_iter_seek(r->it, key, &r->err), at, &r->err);
}

static bool next(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	return stand(r, store_iter_next(r->it, &r->err), at, &r->err);
}

static bool prev(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	return stand(r, store_iter_prev(r->it, &r->err), at, &r->err);
}

const struct engine engine = {
	.name = "ours",
	.settings =
		"defaults (WAL, checksums, LZ4, 64 MiB write buffer, 3 KiB "
		"blocks, Bloom filter 10 bits); STORE_BACKGROUND; "
		"store_get_pinned; one thread compacts when store_pressure() "
		"says so",
	.open = open_store,
	.close = close_store,
	.write = write_store,
	.compact = compact_store,
	.reader_open = open_reader,
	.reader_close = close_reader,
	.get = get,
	.first = first,
	.last = last,
	.seek = seek,
	.next = next,
	.prev = prev,
};
