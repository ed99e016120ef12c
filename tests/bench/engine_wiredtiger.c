/*
 * engine_wiredtiger.c - WiredTiger: a B-tree in row order, with its log on.
 */
#include "tests/bench/engine.h"

#include <stdio.h>
#include <wiredtiger.h>

#define TABLE "table:kv"

struct database {
	WT_CONNECTION *conn;
	WT_SESSION *session;
	WT_CURSOR *cursor;
};

struct reader {
	WT_SESSION *session;
	WT_CURSOR *get, *walk;
};

static void check(int r)
{
	if (r)
		engine_die("wiredtiger", wiredtiger_strerror(r));
}

static void *open_wiredtiger(const struct engine_config *config)
{
	struct database *d = calloc(1, sizeof(*d));
	char text[512];

	if (!d)
		engine_die("wiredtiger", "no memory");
	snprintf(text, sizeof(text),
		 "create,cache_size=%zu,"
		 "log=(enabled=true,prealloc=false,file_max=100MB),checkpoint=("
		 "log_size=1GB),"
		 "eviction=(threads_min=1,threads_max=2),mmap=true,"
		 "transaction_sync=(enabled=%s,method=fsync),"
		 "extensions=[libwiredtiger_snappy.so]",
		 config->cache_bytes, config->sync ? "true" : "false");
	check(wiredtiger_open(config->dir, NULL, text, &d->conn));
	check(d->conn->open_session(d->conn, NULL, NULL, &d->session));
	check(d->session->create(d->session, TABLE,
				 "key_format=u,value_format=u,"
				 "block_compressor=snappy,"
				 "leaf_page_max=16KB,checksum=on"));
	check(d->session->open_cursor(d->session, TABLE, NULL, "overwrite",
				      &d->cursor));
	return d;
}

static void close_wiredtiger(void *db)
{
	struct database *d = db;

	check(d->conn->close(d->conn, "leak_memory=true"));
	free(d);
}

static WT_ITEM item(struct slice s)
{
	return (WT_ITEM){ .data = s.data, .size = s.len };
}

static void write_wiredtiger(void *db, const struct engine_op *ops, size_t n,
			     bool sync)
{
	struct database *d = db;
	WT_CURSOR *c = d->cursor;

	(void)sync; /* the connection's, as it was opened */
	if (n > 1)
		check(d->session->begin_transaction(d->session, NULL));
	for (size_t i = 0; i < n; i++) {
		WT_ITEM k = item(ops[i].key), v = item(ops[i].value);
		int r;

		c->set_key(c, &k);
		if (ops[i].value.data) {
			c->set_value(c, &v);
			check(c->insert(c));
			continue;
		}
		r = c->remove(c);
		if (r != WT_NOTFOUND)
			check(r);
	}
	if (n > 1)
		check(d->session->commit_transaction(d->session, NULL));
	c->reset(c);
}

static void compact_wiredtiger(void *db)
{
	struct database *d = db;

	check(d->session->checkpoint(d->session, NULL));
	check(d->session->compact(d->session, TABLE, NULL));
}

static void *open_reader(void *db)
{
	struct database *d = db;
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		engine_die("wiredtiger", "no memory");
	check(d->conn->open_session(d->conn, NULL, NULL, &r->session));
	check(r->session->open_cursor(r->session, TABLE, NULL, NULL, &r->get));
	check(r->session->open_cursor(r->session, TABLE, NULL, NULL, &r->walk));
	return r;
}

static void close_reader(void *reader)
{
	struct reader *r = reader;

	check(r->session->close(r->session, NULL));
	free(r);
}

static bool get(void *reader, struct slice key, struct slice *value)
{
	struct reader *r = reader;
	WT_ITEM k = item(key), v;
	int found;

	r->get->set_key(r->get, &k);
	found = r->get->search(r->get);
	if (found == WT_NOTFOUND)
		return false;
	check(found);
	check(r->get->get_value(r->get, &v));
	*value = slice_make(v.data, v.size);
	return true;
}

static bool stand(struct reader *r, int found, struct engine_op *at)
{
	WT_ITEM k, v;

	if (found == WT_NOTFOUND)
		return false;
	check(found);
	check(r->walk->get_key(r->walk, &k));
	check(r->walk->get_value(r->walk, &v));
	at->key = slice_make(k.data, k.size);
	at->value = slice_make(v.data, v.size);
	return true;
}

static bool next(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	return stand(r, r->walk->next(r->walk), at);
}

static bool prev(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	return stand(r, r->walk->prev(r->walk), at);
}

static bool first(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	check(r->walk->reset(r->walk));
	return next(r, at);
}

static bool last(void *reader, struct engine_op *at)
{
	struct reader *r = reader;

	check(r->walk->reset(r->walk));
	return prev(r, at);
}

static bool seek(void *reader, struct slice key, struct engine_op *at)
{
	struct reader *r = reader;
	WT_ITEM k = item(key);
	int exact, found;

	r->walk->set_key(r->walk, &k);
	found = r->walk->search_near(r->walk, &exact);
	if (found == 0 && exact < 0)
		found = r->walk->next(r->walk);
	return stand(r, found, at);
}

const struct engine engine = {
	.name = "wiredtiger",
	.settings = "B-tree, log on, synced at commit where asked, Snappy (as "
		    "Debian builds it), 16 KiB leaf pages, page cache, 1 to 2 "
		    "eviction threads",
	.open = open_wiredtiger,
	.close = close_wiredtiger,
	.write = write_wiredtiger,
	.compact = compact_wiredtiger,
	.reader_open = open_reader,
	.reader_close = close_reader,
	.get = get,
	.first = first,
	.last = last,
	.seek = seek,
	.next = next,
	.prev = prev,
};
