/*
 * engine_rocksdb.c - RocksDB through its C interface.
 *
 * Built twice: with -DMMAP it reads tables by mmap and does not compress,
 * which is its fastest way to read.
 */
#include "tests/bench/engine.h"

#include <rocksdb/c.h>

struct database {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_writeoptions_t *plain, *durable;
	rocksdb_writebatch_t *batch;
};

struct reader {
	rocksdb_t *db;
	rocksdb_readoptions_t *options;
	rocksdb_iterator_t *it;
	rocksdb_pinnableslice_t *value;
};

static void check(const char *error)
{
	if (error)
		engine_die("rocksdb", error);
}

static rocksdb_options_t *settings(size_t cache_bytes)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_block_based_table_options_t *t =
		rocksdb_block_based_options_create();
	rocksdb_cache_t *cache = rocksdb_cache_create_lru(cache_bytes);

	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_block_cache(t, cache);
	rocksdb_cache_destroy(cache);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_block_based_options_set_data_block_index_type(
		t,
		rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
	rocksdb_options_set_block_based_table_factory(o, t);
	rocksdb_block_based_options_destroy(t);
	rocksdb_options_set_create_if_missing(o, 1);
	rocksdb_options_increase_parallelism(o, 2);
	rocksdb_options_set_write_buffer_size(o, 64 << 20);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_max_open_files(o, -1);
#ifdef MMAP
	rocksdb_options_set_allow_mmap_reads(o, 1);
	rocksdb_options_set_compression(o, rocksdb_no_compression);
#else
	rocksdb_options_set_compression(o, rocksdb_lz4_compression);
#endif
	return o;
}

static void *open_rocksdb(const struct engine_config *config)
{
	struct database *d = calloc(1, sizeof(*d));
	char *error = NULL;

	if (!d)
		engine_die("rocksdb", "no memory");
	d->options = settings(config->cache_bytes);
	d->plain = rocksdb_writeoptions_create();
	d->durable = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(d->durable, 1);
	d->batch = rocksdb_writebatch_create();
	d->db = rocksdb_open(d->options, config->dir, &error);
	check(error);
	return d;
}

static void close_rocksdb(void *db)
{
	struct database *d = db;

	rocksdb_close(d->db);
	rocksdb_writebatch_destroy(d->batch);
	rocksdb_writeoptions_destroy(d->plain);
	rocksdb_writeoptions_destroy(d->durable);
	rocksdb_options_destroy(d->options);
	free(d);
}

static void write_rocksdb(void *db, const struct engine_op *ops, size_t n,
			  bool sync)
{
	struct database *d = db;
	char *error = NULL;

	rocksdb_writebatch_clear(d->batch);
	for (size_t i = 0; i < n; i++)
		if (ops[i].value.data)
			rocksdb_writebatch_put(
				d->batch, (const char *)ops[i].key.data,
				ops[i].key.len, (const char *)ops[i].value.data,
				ops[i].value.len);
		else
			rocksdb_writebatch_delete(d->batch,
						  (const char *)ops[i].key.data,
						  ops[i].key.len);
	rocksdb_write(d->db, sync ? d->durable : d->plain, d->batch, &error);
	check(error);
}

static void compact_rocksdb(void *db)
{
	struct database *d = db;
	rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
	char *error = NULL;

	rocksdb_flush(d->db, flush, &error);
	check(error);
	rocksdb_flushoptions_destroy(flush);
	rocksdb_compact_range(d->db, NULL, 0, NULL, 0);
}

static void *open_reader(void *db)
{
	struct database *d = db;
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		engine_die("rocksdb", "no memory");
	r->db = d->db;
	r->options = rocksdb_readoptions_create();
	return r;
}

static void close_reader(void *reader)
{
	struct reader *r = reader;

	if (r->value)
		rocksdb_pinnableslice_destroy(r->value);
	if (r->it)
		rocksdb_iter_destroy(r->it);
	rocksdb_readoptions_destroy(r->options);
	free(r);
}

static bool get(void *reader, struct slice key, struct slice *value)
{
	struct reader *r = reader;
	char *error = NULL;

	if (r->value)
		rocksdb_pinnableslice_destroy(r->value);
	r->value = rocksdb_get_pinned(r->db, r->options, (const char *)key.data,
				      key.len, &error);
	check(error);
	if (!r->value)
		return false;
	value->data = (const uint8_t *)rocksdb_pinnableslice_value(r->value,
								   &value->len);
	return true;
}

static void begin(struct reader *r)
{
	if (r->it)
		rocksdb_iter_destroy(r->it);
	r->it = rocksdb_create_iterator(r->db, r->options);
}

static bool stand(struct reader *r, struct engine_op *at)
{
	char *error = NULL;

	if (!rocksdb_iter_valid(r->it)) {
		rocksdb_iter_get_error(r->it, &error);
		check(error);
		return false;
	}
	at->key.data = (const uint8_t *)rocksdb_iter_key(r->it, &at->key.len);
	at->value.data =
		(const uint8_t *)rocksdb_iter_value(r->it, &at->value.len);
	return true;
}

static bool first(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	rocksdb_iter_seek_to_first(r->it);
	return stand(r, at);
}

static bool last(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	rocksdb_iter_seek_to_last(r->it);
	return stand(r, at);
}

static bool seek(void *reader, struct slice key, struct engine_op *at)
{
	struct reader *r = reader;

	begin(r);
	rocksdb_iter_seek(r->it, (const char *)key.data, key.len);
	return stand(r, at);
}

static bool next(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	rocksdb_iter_next(r->it);
	return stand(r, at);
}

static bool prev(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	rocksdb_iter_prev(r->it);
	return stand(r, at);
}

const struct engine engine = {
#ifdef MMAP
	.name = "rocksdb-mmap",
	.settings = "WAL, mmap reads, no compression, full Bloom filter 10 "
		    "bits, hash index in data blocks, 64 MiB write buffer, "
		    "2 background jobs, dynamic levels, all files open",
#else
	.name = "rocksdb",
	.settings = "WAL, LZ4, LRU block cache, full Bloom filter 10 bits, "
		    "hash index in data blocks, 64 MiB write buffer, 2 "
		    "background jobs, dynamic levels, all files open",
#endif
	.open = open_rocksdb,
	.close = close_rocksdb,
	.write = write_rocksdb,
	.compact = compact_rocksdb,
	.reader_open = open_reader,
	.reader_close = close_reader,
	.get = get,
	.first = first,
	.last = last,
	.seek = seek,
	.next = next,
	.prev = prev,
};
