#include "lib/flush.h"

#include "lib/build.h"
#include "lib/install.h"
#include "lib/logorder.h"
#include "lib/number.h"
#include "lib/sweep.h"
#include "lib/writer.h"

/* The tables of a flush, as they grow. */
struct output {
	struct store *db;
	struct build_spec spec;
	struct build *build; /* under way, or NULL */
	struct table_meta *tables;
	size_t n;
};

static int output_begin(struct output *o, struct store_error *err)
{
	int r = number_draw(o->db, &o->spec.number, err);

	if (r < 0)
		return r;
	r = build_open(&o->build, &o->spec, err);
	if (r < 0)
		lock_unclaim(&o->db->lock, o->spec.number);
	return r;
}

static int output_end(struct output *o, struct store_error *err)
{
	struct build *b = o->build;
	struct table_meta *p;
	int r;

	o->build = NULL;
	p = realloc(o->tables, (o->n + 1) * sizeof(*p));
	if (!p) {
		build_abort(b);
		lock_unclaim(&o->db->lock, o->spec.number);
		return store_nomem(err);
	}
	o->tables = p;
	r = build_finish(b, &o->tables[o->n], err);
	if (r < 0)
		lock_unclaim(&o->db->lock, o->spec.number);
	else
		o->n++;
	return r;
}

static int output_all(struct output *o, struct iter *it, uint64_t table_bytes,
		      struct store_error *err)
{
	int r;

	for (r = it->ops->first(it, err); r == 1; r = it->ops->next(it, err)) {
		if (!o->build && (r = output_begin(o, err)) < 0)
			return r;
		r = build_add(o->build, it, err);
		if (r == 0 && build_bytes(o->build) >= table_bytes)
			r = output_end(o, err);
		if (r < 0)
			return r;
	}
	return r == 0 && o->build ? output_end(o, err) : r;
}

int flush_build(struct store *db, struct memtable *m, const struct root *at,
		const struct options *options, uint64_t since_ms,
		struct table_meta **tables, size_t *n, struct store_error *err)
{
	uint64_t replaces[1] = { m->number };
	struct output o = { .db = db,
			    .spec = { .dir = &db->dir,
				      .options = options,
				      .codec = (enum codec)options->compression,
				      .age_first = m->number,
				      .age_last = m->number,
				      .replaces = replaces,
				      .n_replaces = 1,
				      .created_ms = os.now_ms(),
				      .oldest_tombstone_ms = since_ms,
				      .mode = 0444,
				      .counters = &db->counters,
				      .packs = options->table_bytes >=
					       BUILD_PACKS_FROM } };
	struct iter *it = NULL;
	int r;

	memcpy(o.spec.uuid, db->uuid, sizeof(o.spec.uuid));
	r = logorder_iter(m, at, &it, err);
	if (r == 0)
		r = output_all(&o, it, options->table_bytes, err);
	iter_close(it);
	if (o.build) {
		build_abort(o.build);
		lock_unclaim(&db->lock, o.spec.number);
	}
	if (r < 0) {
		flush_discard(db, o.tables, o.n, true);
		return r;
	}
	*tables = o.tables;
	*n = o.n;
	return 0;
}

void flush_discard(struct store *db, struct table_meta *tables, size_t n,
		   bool unlink)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < n; i++) {
		name_make(name, FILE_SST, tables[i].number);
		if (unlink)
			os_unlink(&db->dir, name, NULL);
		lock_unclaim(&db->lock, tables[i].number);
		table_meta_release(&tables[i]);
	}
	free(tables);
}

struct flush {
	uint64_t log;
	const struct table_meta *tables;
	size_t n;
};

/* F3: refused unless the log is named and the oldest. */
static int flush_edit(struct manifest *m, void *ctx, struct store_error *err)
{
	struct flush *f = ctx;
	int r;

	if (m->n_logs == 0 || m->logs[0].number != f->log || !m->logs[0].sealed)
		return 1;
	r = manifest_remove_log(m, f->log, err);
	if (r == 0)
		r = manifest_add_run(m, 0, f->tables, f->n, err);
	for (size_t i = 0; i < f->n; i++)
		m->flushed_bytes += f->tables[i].bytes;
	return r;
}

/* The oldest log, claimed, of generation `g`: 1 flushed, 0 refused. */
static int flush_claimed(struct store *db, struct generation *g,
			 struct store_error *err)
{
	struct memtable *m = g->logs[0];
	struct flush f = { .log = m->number };
	struct table_meta *tables = NULL;
	struct root at;
	bool named;
	int r;

	r = memtable_root(m, &at, err);
	if (r == 0)
		r = flush_build(db, m, &at, &g->v.options,
				g->v.logs[0].created_ms, &tables, &f.n, err);
	if (r < 0)
		return r;
	f.tables = tables;
	r = install(db, flush_edit, &f, &named, err);
	flush_discard(db, tables, f.n, !named);
	return r < 0 ? r : r == 0;
}

int flush_oldest(struct store *db, uint64_t *busy, struct store_error *err)
{
	struct generation *g, *again;
	uint64_t log;
	int r;

	for (;;) {
		r = generation_current(db, &g, err);
		if (r < 0)
			return r;
		if (g->v.n_logs == 0 || !g->v.logs[0].sealed) {
			generation_close(g);
			return 0;
		}
		log = g->v.logs[0].number;
		r = lock_claim(&db->lock, log, err); /* F1 */
		if (r <= 0) {
			generation_close(g);
			*busy = log;
			return r < 0 ? r : 2;
		}
		/* It may have been flushed between our look and our claim. */
		r = generation_current(db, &again, err);
		generation_close(g);
		g = again;
		if (r == 0 && g->v.n_logs && g->v.logs[0].number == log)
			r = flush_claimed(db, g, err);
		lock_unclaim(&db->lock, log);
		generation_close(g);
		if (r != 0)
			return r;
	}
}

void flush_sealed(struct store *db)
{
	struct store_error e = STORE_ERROR_INIT;
	uint64_t busy;
	int r, flushed = 0;

	while ((r = flush_oldest(db, &busy, &e)) == 1)
		flushed++;
	if (r >= 0 && flushed)
		r = sweep(db, &e);
	if (r < 0)
		store_warn(db, &e);
}

/* F0: what the active log holds is sealed. */
static int rotate_active(struct store *db, struct store_error *err)
{
	struct generation *g;
	int r;

	do {
		r = writer_enter(db, &g, err);
		if (r < 0)
			return r;
		if (generation_active(g))
			r = writer_rotate(db, &g, err);
		writer_leave(db, g);
	} while (r == 1);
	return r;
}

int store_flush(struct store *db, struct store_error *err)
{
	uint64_t busy;
	int r, flushed = 0;

	r = rotate_active(db, err);
	while (r == 0) {
		r = flush_oldest(db, &busy, err);
		if (r == 0)
			break;
		if (r == 1) {
			flushed++;
			r = 0;
		} else if (r == 2) {
			r = lock_claim_wait(&db->lock, busy, err);
		}
	}
	if (r == 0)
		r = sweep(db, err);
	return r < 0 ? r : flushed;
}

/* So many runs in level 0, and a small one is left to the log. */
#define AT_REST_RUNS 2

/* Is the active log, which this handle wrote to, worth a run of its own? */
static int rest_is_due(struct store *db, bool *due, struct store_error *err)
{
	struct generation *g;
	struct memtable *m;
	struct root at;
	int r = generation_current(db, &g, err);

	*due = false;
	if (r < 0)
		return r;
	m = generation_active(g);
	if (m) {
		r = memtable_root(m, &at, err);
		*due = r == 0 && m->last.seq && at.log_bytes > WAL_HEADER &&
		       (g->v.level0_runs < AT_REST_RUNS ||
			at.log_bytes >= g->v.options.write_buffer / 4 ||
			at.nodes * NODE_BYTES >= g->v.options.tree_buffer / 4);
	}
	generation_close(g);
	return r;
}

void flush_at_rest(struct store *db)
{
	struct store_error e = STORE_ERROR_INIT;
	bool due;
	int r;

	r = rest_is_due(db, &due, &e);
	if (r == 0 && due)
		r = store_flush(db, &e);
	if (r < 0)
		store_warn(db, &e);
}

int store_flush_is_needed(struct store *db, struct store_error *err)
{
	struct generation *g;
	struct root at;
	int r;

	r = generation_current(db, &g, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < g->n_logs; i++) {
		r = memtable_root(g->logs[i], &at, err);
		if (r == 0)
			r = at.log_bytes > WAL_HEADER;
	}
	generation_close(g);
	return r;
}
