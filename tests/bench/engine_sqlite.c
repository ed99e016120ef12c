/*
 * engine_sqlite.c - SQLite: one table, prepared statements, a connection for
 * the writer and one for each reader.
 */
#include "tests/bench/engine.h"

#include <sqlite3.h>
#include <stdio.h>

struct database {
	sqlite3 *db;
	sqlite3_stmt *put, *del, *begin, *commit;
	char path[4096];
	size_t cache_bytes;
};

struct reader {
	sqlite3 *db;
	sqlite3_stmt *get, *up, *down, *from;
	sqlite3_stmt *at; /* of `up`, `down` and `from`, the one in use */
};

static void check(sqlite3 *db, int r)
{
	if (r != SQLITE_OK && r != SQLITE_DONE && r != SQLITE_ROW)
		engine_die("sqlite", sqlite3_errmsg(db));
}

static void run(sqlite3 *db, const char *sql)
{
	check(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;

	check(db, sqlite3_prepare_v2(db, sql, -1, &s, NULL));
	return s;
}

static sqlite3 *connect(const struct database *d)
{
	char sql[64];
	sqlite3 *db;
	int r = sqlite3_open_v2(d->path, &db,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
					SQLITE_OPEN_NOMUTEX,
				NULL);

	check(db, r);
	snprintf(sql, sizeof(sql), "PRAGMA cache_size=-%zu",
		 d->cache_bytes / 1024);
	run(db, sql);
	run(db, "PRAGMA mmap_size=17179869184");
	return db;
}

static void *open_sqlite(const struct engine_config *config)
{
	struct database *d = calloc(1, sizeof(*d));

	if (!d)
		engine_die("sqlite", "no memory");
	snprintf(d->path, sizeof(d->path), "%s/kv.sqlite", config->dir);
	d->cache_bytes = config->cache_bytes;
	d->db = connect(d);
	run(d->db, "PRAGMA journal_mode=wal");
	run(d->db, config->sync ? "PRAGMA synchronous=full"
				: "PRAGMA synchronous=off");
	run(d->db, "PRAGMA wal_autocheckpoint=4000");
	run(d->db, "CREATE TABLE IF NOT EXISTS kv"
		   "(k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID");
	d->put = prepare(d->db, "INSERT OR REPLACE INTO kv VALUES(?,?)");
	d->del = prepare(d->db, "DELETE FROM kv WHERE k=?");
	d->begin = prepare(d->db, "BEGIN IMMEDIATE");
	d->commit = prepare(d->db, "COMMIT");
	return d;
}

static void close_sqlite(void *db)
{
	struct database *d = db;

	sqlite3_finalize(d->put);
	sqlite3_finalize(d->del);
	sqlite3_finalize(d->begin);
	sqlite3_finalize(d->commit);
	check(d->db, sqlite3_close(d->db));
	free(d);
}

static void bind(sqlite3_stmt *s, int n, struct slice bytes)
{
	sqlite3_bind_blob(s, n, bytes.data, (int)bytes.len, SQLITE_STATIC);
}

static void once(sqlite3 *db, sqlite3_stmt *s)
{
	check(db, sqlite3_step(s));
	sqlite3_reset(s);
}

static void write_sqlite(void *db, const struct engine_op *ops, size_t n,
			 bool sync)
{
	struct database *d = db;

	(void)sync; /* the connection's, as it was opened */
	if (n > 1)
		once(d->db, d->begin);
	for (size_t i = 0; i < n; i++) {
		sqlite3_stmt *s = ops[i].value.data ? d->put : d->del;

		bind(s, 1, ops[i].key);
		if (ops[i].value.data)
			bind(s, 2, ops[i].value);
		once(d->db, s);
	}
	if (n > 1)
		once(d->db, d->commit);
}

static void compact_sqlite(void *db)
{
	struct database *d = db;

	run(d->db, "VACUUM");
	run(d->db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void *open_reader(void *db)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		engine_die("sqlite", "no memory");
	r->db = connect(db);
	r->get = prepare(r->db, "SELECT v FROM kv WHERE k=?");
	r->up = prepare(r->db, "SELECT k, v FROM kv ORDER BY k");
	r->down = prepare(r->db, "SELECT k, v FROM kv ORDER BY k DESC");
	r->from = prepare(r->db, "SELECT k, v FROM kv WHERE k>=? ORDER BY k");
	return r;
}

static void close_reader(void *reader)
{
	struct reader *r = reader;

	sqlite3_finalize(r->get);
	sqlite3_finalize(r->up);
	sqlite3_finalize(r->down);
	sqlite3_finalize(r->from);
	check(r->db, sqlite3_close(r->db));
	free(r);
}

static struct slice column(sqlite3_stmt *s, int n)
{
	const void *data = sqlite3_column_blob(s, n);

	return slice_make(data, (size_t)sqlite3_column_bytes(s, n));
}

static bool get(void *reader, struct slice key, struct slice *value)
{
	struct reader *r = reader;
	int found;

	sqlite3_reset(r->get);
	bind(r->get, 1, key);
	found = sqlite3_step(r->get);
	check(r->db, found);
	if (found != SQLITE_ROW) {
		sqlite3_reset(r->get);
		return false;
	}
	*value = column(r->get, 0);
	return true;
}

static bool next(void *reader, struct engine_op *at)
{
	struct reader *r = reader;
	int found = sqlite3_step(r->at);

	check(r->db, found);
	if (found != SQLITE_ROW) {
		sqlite3_reset(r->at);
		return false;
	}
	at->key = column(r->at, 0);
	at->value = column(r->at, 1);
	return true;
}

static bool begin(struct reader *r, sqlite3_stmt *s, struct engine_op *at)
{
	sqlite3_reset(r->get);
	if (r->at)
		sqlite3_reset(r->at);
	r->at = s;
	return next(r, at);
}

static bool first(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	return begin(r, r->up, at);
}

static bool last(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	return begin(r, r->down, at);
}

static bool seek(void *reader, struct slice key, struct engine_op *at)
{
	struct reader *r = reader;

	if (r->at)
		sqlite3_reset(r->at);
	bind(r->from, 1, key);
	return begin(r, r->from, at);
}

const struct engine engine = {
	.name = "sqlite",
	.settings = "WITHOUT ROWID, WAL, synchronous off or (sync) full, mmap, "
		    "page cache, prepared statements, checkpoint every 4000 "
		    "pages; compact is VACUUM",
	.open = open_sqlite,
	.close = close_sqlite,
	.write = write_sqlite,
	.compact = compact_sqlite,
	.reader_open = open_reader,
	.reader_close = close_reader,
	.get = get,
	.first = first,
	.last = last,
	.seek = seek,
	.next = next,
	.prev = next, /* of a statement that goes down */
};
