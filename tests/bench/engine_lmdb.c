/*
 * engine_lmdb.c - LMDB.
 *
 * A get renews its read transaction, so that it sees the newest state as the
 * gets of the others do.
 */
#include "tests/bench/engine.h"

#include <lmdb.h>

struct database {
	MDB_env *env;
	MDB_dbi dbi;
	bool ordered;
};

struct reader {
	struct database *d;
	MDB_txn *txn;
	MDB_cursor *cursor;
};

static void check(int r)
{
	if (r)
		engine_die("lmdb", mdb_strerror(r));
}

static void *open_lmdb(const struct engine_config *config)
{
	struct database *d = calloc(1, sizeof(*d));
	MDB_txn *txn;

	if (!d)
		engine_die("lmdb", "no memory");
	d->ordered = config->ordered;
	check(mdb_env_create(&d->env));
	check(mdb_env_set_mapsize(d->env, (size_t)16 << 30));
	check(mdb_env_open(
		d->env, config->dir,
		MDB_NORDAHEAD | MDB_NOTLS |
			(config->sync ? 0 : MDB_NOSYNC | MDB_WRITEMAP),
		0644));
	check(mdb_txn_begin(d->env, NULL, 0, &txn));
	check(mdb_dbi_open(txn, NULL, 0, &d->dbi));
	check(mdb_txn_commit(txn));
	return d;
}

static void close_lmdb(void *db)
{
	struct database *d = db;

	mdb_env_close(d->env);
	free(d);
}

static void write_lmdb(void *db, const struct engine_op *ops, size_t n,
		       bool sync)
{
	struct database *d = db;
	MDB_txn *txn;
	MDB_val k, v;
	int r;

	(void)sync; /* the environment's, as it was opened */
	check(mdb_txn_begin(d->env, NULL, 0, &txn));
	for (size_t i = 0; i < n; i++) {
		k = (MDB_val){ ops[i].key.len, (void *)ops[i].key.data };
		v = (MDB_val){ ops[i].value.len, (void *)ops[i].value.data };
		if (ops[i].value.data) {
			check(mdb_put(txn, d->dbi, &k, &v,
				      d->ordered ? MDB_APPEND : 0));
			continue;
		}
		r = mdb_del(txn, d->dbi, &k, NULL);
		if (r != MDB_NOTFOUND)
			check(r);
	}
	check(mdb_txn_commit(txn));
}

static void *open_reader(void *db)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		engine_die("lmdb", "no memory");
	r->d = db;
	check(mdb_txn_begin(r->d->env, NULL, MDB_RDONLY, &r->txn));
	check(mdb_cursor_open(r->txn, r->d->dbi, &r->cursor));
	return r;
}

static void close_reader(void *reader)
{
	struct reader *r = reader;

	mdb_cursor_close(r->cursor);
	mdb_txn_abort(r->txn);
	free(r);
}

static void renew(struct reader *r)
{
	mdb_txn_reset(r->txn);
	check(mdb_txn_renew(r->txn));
}

static bool get(void *reader, struct slice key, struct slice *value)
{
	struct reader *r = reader;
	MDB_val k = { key.len, (void *)key.data }, v;
	int found;

	renew(r);
	found = mdb_get(r->txn, r->d->dbi, &k, &v);
	if (found == MDB_NOTFOUND)
		return false;
	check(found);
	*value = slice_make(v.mv_data, v.mv_size);
	return true;
}

static bool move(struct reader *r, MDB_cursor_op op, struct slice key,
		 struct engine_op *at)
{
	MDB_val k = { key.len, (void *)key.data }, v;
	int found = mdb_cursor_get(r->cursor, &k, &v, op);

	if (found == MDB_NOTFOUND)
		return false;
	check(found);
	at->key = slice_make(k.mv_data, k.mv_size);
	at->value = slice_make(v.mv_data, v.mv_size);
	return true;
}

static bool first(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	renew(r);
	check(mdb_cursor_renew(r->txn, r->cursor));
	return move(r, MDB_FIRST, SLICE_NULL, at);
}

static bool last(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	renew(r);
	check(mdb_cursor_renew(r->txn, r->cursor));
	return move(r, MDB_LAST, SLICE_NULL, at);
}

static bool seek(void *reader, struct slice key, struct engine_op *at)
{
	struct reader *r = reader;

	renew(r);
	check(mdb_cursor_renew(r->txn, r->cursor));
	return move(r, MDB_SET_RANGE, key, at);
}

static bool next(void *reader, struct engine_op *at)
{
	return move(reader, MDB_NEXT, SLICE_NULL, at);
}

static bool prev(void *reader, struct engine_op *at)
{
	return move(reader, MDB_PREV, SLICE_NULL, at);
}

const struct engine engine = {
	.name = "lmdb",
	.settings = "16 GiB map, no readahead; without sync MDB_NOSYNC and "
		    "MDB_WRITEMAP; MDB_APPEND where keys come in order; its "
		    "cache is the page cache, it does not compress and does "
		    "not check what it reads",
	.open = open_lmdb,
	.close = close_lmdb,
	.write = write_lmdb,
	.reader_open = open_reader,
	.reader_close = close_reader,
	.get = get,
	.first = first,
	.last = last,
	.seek = seek,
	.next = next,
	.prev = prev,
};
