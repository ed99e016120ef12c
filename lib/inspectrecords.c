/*
 * The records of a store, and the entries of one of its files, each with the
 * file it lies in.
 */
#include "lib/inspect.h"
#include "lib/inspectpath.h"
#include "lib/merge.h"
#include "lib/snapshot.h"
#include "lib/tables.h"
#include "lib/wal.h"

/* Where inspect_value() finds a value: in memory, or in chunks. */
struct value {
	struct slice bytes;
	struct iter *chunks; /* NULL: bytes */
	uint64_t len;
};

int inspect_value(const struct inspect_record *record, store_sink *sink,
		  void *ctx, struct store_error *err)
{
	const struct value *v = record->value;
	struct slice s;
	int r = 0;

	if (!v->chunks)
		return sink_pieces(v->bytes, sink, ctx);
	for (uint64_t i = 0; r >= 0 && i < chunk_count(v->len); i++) {
		r = v->chunks->ops->chunk(v->chunks, i, &s, err);
		if (r == 0)
			r = sink(ctx, s);
	}
	return r < 0 ? r : 0;
}

static int give_entry(struct iter *it, const char *file, inspect_record_fn *fn,
		      void *ctx, struct store_error *err)
{
	const struct entry *e = &it->e;
	struct value v = { .bytes = e->chunked ? SLICE_NULL : e->value,
			   .chunks = e->chunked ? it : NULL,
			   .len = e->value_len };
	struct inspect_record record = { .kind = (enum store_kind)e->kind,
					 .key = e->key,
					 .expires_ms = e->expires_ms,
					 .value_len = e->value_len,
					 .file = file,
					 .value = &v };
	int r = fn(ctx, &record, err);

	return r < 0 ? r : 0;
}

/* ---- of a store ---- */

/* The table of a run that the walk is in, and where it ends. */
struct inside {
	bool known;
	char name[NAME_SIZE];
	struct buf smallest, largest;
};

struct walk {
	struct store *db;
	struct store_snapshot *snap;
	struct iter *merge;
	size_t *logs; /* source i < n_logs is log logs[i] */
	size_t n_logs;
	struct inside *runs;  /* source n_logs + i is run i */
	struct window window; /* of the version image */
};

/* Logs newest first, then runs in search order, as every reader has them. */
static int open_sources(struct walk *w, struct store_error *err)
{
	struct generation *g = w->snap->g;
	struct iter **sources;
	size_t n = 0;
	int r = 0;

	sources = calloc(g->n_logs + g->v.n_runs + 1, sizeof(struct iter *));
	w->logs = calloc(g->n_logs + 1, sizeof(*w->logs));
	w->runs = calloc(g->v.n_runs + 1, sizeof(*w->runs));
	if (!sources || !w->logs || !w->runs)
		r = store_nomem(err);
	for (size_t i = g->n_logs; r == 0 && i-- > 0;) {
		if (root_empty(&w->snap->roots[i]))
			continue;
		r = memtable_iter(g->logs[i], &w->snap->roots[i], &sources[n],
				  err);
		if (r == 0) {
			w->logs[w->n_logs++] = i;
			n++;
		}
	}
	for (size_t i = 0; r == 0 && i < g->v.n_runs; i++) {
		r = run_iter(w->db, g, w->snap->roster, i, true, &sources[n],
			     err);
		n += r == 0;
	}
	if (r == 0)
		r = merge_open(&w->merge, sources, n, err);
	else
		while (n > 0)
			iter_close(sources[--n]);
	free(sources);
	return r;
}

/* The next table of run `i`: that of the entry that is shown. */
static int go_inside(struct walk *w, size_t i, struct store_error *err)
{
	struct generation *g = w->snap->g;
	const struct version_run *run = &g->v.runs[i];
	struct inside *in = &w->runs[i];
	struct version_table t;
	uint64_t index;
	int r = version_find(&g->v, &g->source, &w->window, run,
			     w->merge->e.key, &index, &t, err);

	if (r == 0)
		r = store_corrupt(err, w->db->dir.path, g->source.name, 0,
				  "names no table for a key that is there");
	if (r > 0)
		r = version_bounds(&g->v, &g->source, &w->window, run, index,
				   &in->smallest, &in->largest, err);
	if (r < 0)
		return r;
	name_make(in->name, FILE_SST, t.number);
	in->known = true;
	return 0;
}

/* The file of the entry that is shown; valid until the next one. */
static int name_source(struct walk *w, const char **name,
		       struct store_error *err)
{
	size_t i = merge_source(w->merge);
	struct inside *in;
	int r = 0;

	if (i < w->n_logs) {
		*name = w->snap->g->logs[w->logs[i]]->log.name;
		return 0;
	}
	i -= w->n_logs;
	in = &w->runs[i];
	if (!in->known ||
	    slice_cmp(w->merge->e.key, buf_slice(&in->largest)) > 0)
		r = go_inside(w, i, err);
	*name = in->name;
	return r;
}

static int walk_all(struct walk *w, inspect_record_fn *fn, void *ctx,
		    struct store_error *err)
{
	const struct entry *e = &w->merge->e;
	const char *name;
	int r = w->merge->ops->first(w->merge, err);

	for (; r == 1; r = w->merge->ops->next(w->merge, err)) {
		if (e->kind != ENTRY_PUT ||
		    (e->expires_ms && e->expires_ms <= w->snap->now_ms))
			continue;
		r = name_source(w, &name, err);
		if (r == 0)
			r = give_entry(w->merge, name, fn, ctx, err);
		if (r < 0)
			break;
	}
	return r;
}

int inspect_records(struct store *db, inspect_record_fn *fn, void *ctx,
		    struct store_error *err)
{
	struct walk w = { .db = db, .window = WINDOW_INIT(VIEW_PAGE) };
	struct store_error e = STORE_ERROR_INIT;
	int r = store_snapshot(db, &w.snap, &e);

	if (r == 0)
		r = open_sources(&w, &e);
	if (r == 0)
		r = walk_all(&w, fn, ctx, &e);
	iter_close(w.merge);
	for (size_t i = 0; w.runs && i < w.snap->g->v.n_runs; i++) {
		buf_free(&w.runs[i].smallest);
		buf_free(&w.runs[i].largest);
	}
	store_snapshot_free(w.snap);
	free(w.runs);
	free(w.logs);
	window_release(&w.window);
	/* The snapshot pins its files: one that is not there is damage. */
	if (r == STORE_EGONE)
		return store_fail(err, STORE_ECORRUPT,
				  "%s; the manifest names it", e.text);
	if (r < 0 && err && err->code == 0)
		*err = e;
	return r;
}

/* ---- of a file ---- */

static int table_records(struct inspect_path *p, inspect_record_fn *fn,
			 void *ctx, struct store_error *err)
{
	struct table *t = NULL;
	struct iter *it = NULL;
	int r = table_open_name(&t, &p->dir, p->name, err);

	if (r == 0)
		r = table_iter(t, true, &it, err);
	if (r == 0)
		r = it->ops->first(it, err);
	while (r == 1) {
		r = give_entry(it, p->name, fn, ctx, err);
		if (r == 0)
			r = it->ops->next(it, err);
	}
	iter_close(it);
	table_close(t);
	return r;
}

static int give_batch(struct inspect_path *p, struct slice bytes,
		      uint32_t count, uint64_t off, inspect_record_fn *fn,
		      void *ctx, struct store_error *err)
{
	struct wal_entry e;
	const char *why;
	int r = 0;

	bytes.data += WAL_BATCH_HEADER;
	bytes.len -= WAL_BATCH_HEADER;
	off += WAL_BATCH_HEADER;
	while (r == 0 && count-- > 0) {
		struct value v;
		struct inspect_record record;

		if (!wal_entry_decode(bytes, &e, &why))
			return store_corrupt(err, p->dir.path, p->name, off,
					     why);
		v = (struct value){ .bytes = e.value, .len = e.value.len };
		record = (struct inspect_record){
			.kind = (enum store_kind)e.kind,
			.key = e.key,
			.expires_ms = e.expires_ms,
			.value_len = e.value.len,
			.file = p->name,
			.value = &v,
		};
		r = fn(ctx, &record, err);
		bytes.data += e.length;
		bytes.len -= (size_t)e.length;
		off += e.length;
	}
	return r < 0 ? r : 0;
}

static int log_records(struct inspect_path *p, inspect_record_fn *fn, void *ctx,
		       struct store_error *err)
{
	struct wal_batch b;
	struct wal_walk w;
	struct slice bytes;
	struct view log;
	uint64_t salt, off;
	int fd = os_open(&p->dir, p->name, O_RDONLY, 0, err);
	int r;

	if (fd < 0)
		return fd;
	view_init(&log, fd, &p->dir, p->name, p->bytes);
	r = wal_open_header(&log, NULL, 0, &salt, err);
	if (r < 0)
		goto out;
	wal_walk_init(&w, &log, salt, p->bytes);
	for (off = w.off; (r = wal_walk_next(&w, &b, &bytes, err)) == 1;
	     off = w.off) {
		r = give_batch(p, bytes, b.count, off, fn, ctx, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = wal_walk_tail(&w, 0, err);
	wal_walk_release(&w);
out:
	view_close(&log);
	return r;
}

int inspect_file_records(const char *path, inspect_record_fn *fn, void *ctx,
			 struct store_error *err)
{
	struct inspect_path p;
	int r = inspect_path_open(&p, path, err);

	if (r < 0)
		return r;
	if (p.kind == FILE_SST)
		r = table_records(&p, fn, ctx, err);
	else if (p.kind == FILE_WAL)
		r = log_records(&p, fn, ctx, err);
	else
		r = store_fail(err, STORE_EINVAL,
			       "%s: neither a table nor a log: it holds no "
			       "records",
			       path);
	inspect_path_close(&p);
	return r;
}
