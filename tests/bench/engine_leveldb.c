/*
 * engine_leveldb.c - LevelDB through its C interface.
 */
#include "tests/bench/engine.h"

#include <leveldb/c.h>

struct database {
	leveldb_t *db;
	leveldb_options_t *options;
	leveldb_cache_t *cache;
	leveldb_filterpolicy_t *filter;
	leveldb_writeoptions_t *plain, *durable;
	leveldb_writebatch_t *batch;
};

struct reader {
	leveldb_t *db;
	leveldb_readoptions_t *options;
	leveldb_iterator_t *it;
	char *value;
};

static void check(const char *error)
{
	if (error)
		engine_die("leveldb", error);
}

static void *open_leveldb(const struct engine_config *config)
{
	struct database *d = calloc(1, sizeof(*d));
	char *error = NULL;

	if (!d)
		engine_die("leveldb", "no memory");
	d->options = leveldb_options_create();
	d->cache = leveldb_cache_create_lru(config->cache_bytes);
	d->filter = leveldb_filterpolicy_create_bloom(10);
	leveldb_options_set_create_if_missing(d->options, 1);
	leveldb_options_set_cache(d->options, d->cache);
	leveldb_options_set_filter_policy(d->options, d->filter);
	leveldb_options_set_write_buffer_size(d->options, 64 << 20);
	leveldb_options_set_max_open_files(d->options, 4000);
	leveldb_options_set_compression(d->options, leveldb_snappy_compression);
	d->plain = leveldb_writeoptions_create();
	d->durable = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(d->durable, 1);
	d->batch = leveldb_writebatch_create();
	d->db = leveldb_open(d->options, config->dir, &error);
	check(error);
	return d;
}

static void close_leveldb(void *db)
{
	struct database *d = db;

	leveldb_close(d->db);
	leveldb_writebatch_destroy(d->batch);
	leveldb_writeoptions_destroy(d->plain);
	leveldb_writeoptions_destroy(d->durable);
	leveldb_options_destroy(d->options);
	leveldb_cache_destroy(d->cache);
	leveldb_filterpolicy_destroy(d->filter);
	free(d);
}

static void write_leveldb(void *db, const struct engine_op *ops, size_t n,
			  bool sync)
{
	struct database *d = db;
	char *error = NULL;

	leveldb_writebatch_clear(d->batch);
	for (size_t i = 0; i < n; i++)
		if (ops[i].value.data)
			leveldb_writebatch_put(
				d->batch, (const char *)ops[i].key.data,
				ops[i].key.len, (const char *)ops[i].value.data,
				ops[i].value.len);
		else
			leveldb_writebatch_delete(d->batch,
						  (const char *)ops[i].key.data,
						  ops[i].key.len);
	leveldb_write(d->db, sync ? d->durable : d->plain, d->batch, &error);
	check(error);
}

static void compact_leveldb(void *db)
{
	struct database *d = db;

	leveldb_compact_range(d->db, NULL, 0, NULL, 0);
}

static void *open_reader(void *db)
{
	struct database *d = db;
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		engine_die("leveldb", "no memory");
	r->db = d->db;
	r->options = leveldb_readoptions_create();
	leveldb_readoptions_set_verify_checksums(r->options, 1);
	return r;
}

static void close_reader(void *reader)
{
	struct reader *r = reader;

	leveldb_free(r->value);
	if (r->it)
		leveldb_iter_destroy(r->it);
	leveldb_readoptions_destroy(r->options);
	free(r);
}

static bool get(void *reader, struct slice key, struct slice *value)
{
	struct reader *r = reader;
	char *error = NULL;

	leveldb_free(r->value);
	r->value = leveldb_get(r->db, r->options, (const char *)key.data,
			       key.len, &value->len, &error);
	check(error);
	value->data = (const uint8_t *)r->value;
	return r->value != NULL;
}

static void begin(struct reader *r)
{
	if (r->it)
		leveldb_iter_destroy(r->it);
	r->it = leveldb_create_iterator(r->db, r->options);
}

static bool stand(struct reader *r, struct engine_op *at)
{
	char *error = NULL;

	if (!leveldb_iter_valid(r->it)) {
		leveldb_iter_get_error(r->it, &error);
		check(error);
		return false;
	}
	at->key.data = (const uint8_t *)leveldb_iter_key(r->it, &at->key.len);
	at->value.data =
		(const uint8_t *)leveldb_iter_value(r->it, &at->value.len);
	return true;
}

static bool first(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	leveldb_iter_seek_to_first(r->it);
	return stand(r, at);
}

static bool last(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	leveldb_iter_seek_to_last(r->it);
	return stand(r, at);
}

static bool seek(void *reader, struct slice key, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	leveldb_iter_seek(r->it, (const char *)key.data, key.len);
	return stand(r, at);
}

static bool next(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	leveldb_iter_next(r->it);
	return stand(r, at);
}

static bool prev(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	leveldb_iter_prev(r->it);
	return stand(r, at);
}

const struct engine engine = {
	.name = "leveldb",
	.settings = "log, Snappy (it has no LZ4), mmap reads (its default), "
		    "LRU cache, Bloom filter 10 bits, 64 MiB write buffer, "
		    "4000 open files, checksums verified",
	.open = open_leveldb,
	.close = close_leveldb,
	.write = write_leveldb,
	.compact = compact_leveldb,
	.reader_open = open_reader,
	.reader_close = close_reader,
	.get = get,
	.first = first,
	.last = last,
	.seek = seek,
	.next = next,
	.prev = prev,
};
