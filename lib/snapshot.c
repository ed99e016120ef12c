#include "lib/snapshot.h"

#include "lib/merge.h"
#include "lib/roster.h"
#include "lib/tables.h"

/*
 * S1 to S3.  A pin keeps the names of a generation's files from being removed
 * before they are opened: where all of them are open, there is no need for one.
 */
static int enter(struct store_snapshot *s, struct store_error *err)
{
	int r = generation_current(s->db, &s->g, err);

	if (r < 0)
		return r;
	r = roster_of(s->db, s->g, 1, &s->roster, err);
	if (r == 0 && s->roster && roster_is_open(s->roster))
		return 0;
	generation_close(s->g);
	s->g = NULL;
	if (r == 0)
		r = generation_pin(s->db, &s->g, err);
	s->pinned = r == 0;
	return r < 0 ? r : roster_of(s->db, s->g, 0, &s->roster, err);
}

int store_snapshot(struct store *db, struct store_snapshot **out,
		   struct store_error *err)
{
	struct store_snapshot *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return store_nomem(err);
	s->db = db;
	r = enter(s, err);
	if (r < 0) {
		store_snapshot_free(s);
		return r;
	}
	s->roots = calloc(s->g->n_logs + 1, sizeof(*s->roots));
	if (!s->roots)
		r = store_nomem(err);
	/*
	 * S4, oldest first: a log that is sealed while we look is then whole,
	 * and nothing newer is seen without what came before it.
	 */
	for (size_t i = 0; r == 0 && i < s->g->n_logs; i++)
		r = memtable_root(s->g->logs[i], &s->roots[i], err);
	s->now_ms = os.now_ms();
	if (r < 0) {
		store_snapshot_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void store_snapshot_free(struct store_snapshot *s)
{
	if (!s)
		return;
	if (s->pinned)
		generation_unpin(s->db, s->g);
	else
		generation_close(s->g);
	free(s->roots);
	free(s);
}

int store_snapshot_get(struct store_snapshot *s, struct slice key,
		       struct buf *value, struct store_error *err)
{
	struct store_iter *it;
	struct slice v;
	int r;

	r = store_iter_open(s->db, s, &it, err);
	if (r < 0)
		return r;
	r = store_iter_seek(it, key, err);
	if (r == 1 && !slice_eq(store_iter_key(it), key))
		r = 0;
	if (r == 1) {
		r = store_iter_value(it, &v, err);
		if (r == 0)
			r = buf_assign(value, v) < 0 ? store_nomem(err) : 1;
	}
	store_iter_close(it);
	return r;
}

struct store_iter {
	struct store_snapshot *snap;
	bool own;	   /* the snapshot was made for us */
	bool on;	   /* stands on an entry */
	bool valued;	   /* `value` holds the current one */
	struct iter *walk; /* the only source, or a merge of them */
	struct buf value;
};

/* Every log and run of the snapshot, newest first. */
static int open_sources(struct store_snapshot *s, struct iter **sources,
			size_t *n, struct store_error *err)
{
	struct generation *g = s->g;
	int r = 0;

	*n = 0;
	for (size_t i = g->n_logs; r == 0 && i-- > 0;)
		if (!root_empty(&s->roots[i])) {
			r = memtable_iter(g->logs[i], &s->roots[i],
					  &sources[*n], err);
			*n += r == 0;
		}
	for (size_t i = 0; r == 0 && i < g->v.n_runs; i++) {
		r = run_iter(s->db, g, s->roster, i, true, &sources[*n], err);
		*n += r == 0;
	}
	return r;
}

int store_iter_open(struct store *db, struct store_snapshot *snap,
		    struct store_iter **out, struct store_error *err)
{
	struct store_iter *it = calloc(1, sizeof(*it));
	struct iter **sources = NULL;
	size_t n = 0;
	int r = 0;

	*out = NULL;
	if (!it)
		return store_nomem(err);
	it->own = !snap;
	if (!snap)
		r = store_snapshot(db, &snap, err);
	it->snap = snap;
	if (r == 0) {
		sources = calloc(snap->g->n_logs + snap->g->v.n_runs + 1,
				 sizeof(struct iter *));
		if (!sources)
			r = store_nomem(err);
	}
	if (r == 0) {
		r = open_sources(snap, sources, &n, err);
		if (r == 0 && n == 1)
			it->walk = sources[0];
		else if (r == 0)
			r = merge_open(&it->walk, sources, n, err);
		else
			while (n > 0)
				iter_close(sources[--n]);
	}
	free(sources);
	if (r < 0) {
		store_iter_close(it);
		return r;
	}
	*out = it;
	return 0;
}

void store_iter_close(struct store_iter *it)
{
	if (!it)
		return;
	iter_close(it->walk);
	if (it->own)
		store_snapshot_free(it->snap);
	buf_free(&it->value);
	free(it);
}

static bool is_live(const struct store_iter *it)
{
	const struct entry *e = &it->walk->e;

	return e->kind == ENTRY_PUT &&
	       (e->expires_ms == 0 || e->expires_ms > it->snap->now_ms);
}

int snapshot_gone(struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;

	if (err)
		e = *err;
	if (err)
		*err = STORE_ERROR_INIT;
	return store_fail(err, STORE_ECORRUPT, "%s; the manifest names it",
			  e.text);
}

/* Past what is deleted or expired. */
static int settle(struct store_iter *it, int r, bool forward,
		  struct store_error *err)
{
	const struct iter_ops *ops = it->walk->ops;

	it->valued = false;
	while (r == 1 && !is_live(it))
		r = forward ? ops->next(it->walk, err)
			    : ops->prev(it->walk, err);
	it->on = r == 1;
	return r == STORE_EGONE ? snapshot_gone(err) : r;
}

int store_iter_first(struct store_iter *it, struct store_error *err)
{
	return settle(it, it->walk->ops->first(it->walk, err), true, err);
}

int store_iter_last(struct store_iter *it, struct store_error *err)
{
	return settle(it, it->walk->ops->last(it->walk, err), false, err);
}

int store_iter_seek(struct store_iter *it, struct slice key,
		    struct store_error *err)
{
	return settle(it, it->walk->ops->seek(it->walk, key, err), true, err);
}

int store_iter_seek_before(struct store_iter *it, struct slice key,
			   struct store_error *err)
{
	return settle(it, it->walk->ops->seek_before(it->walk, key, err), false,
		      err);
}

int store_iter_next(struct store_iter *it, struct store_error *err)
{
	if (!it->on)
		return 0;
	return settle(it, it->walk->ops->next(it->walk, err), true, err);
}

int store_iter_prev(struct store_iter *it, struct store_error *err)
{
	if (!it->on)
		return 0;
	return settle(it, it->walk->ops->prev(it->walk, err), false, err);
}

struct slice store_iter_key(const struct store_iter *it)
{
	return it->walk->e.key;
}

uint64_t store_iter_value_len(const struct store_iter *it)
{
	return it->walk->e.value_len;
}

int store_iter_value(struct store_iter *it, struct slice *value,
		     struct store_error *err)
{
	struct iter *m = it->walk;
	struct slice s;
	int r = 0;

	if (!m->e.chunked) {
		*value = m->e.value;
		return 0;
	}
	if (!it->valued)
		buf_clear(&it->value);
	for (uint64_t i = 0;
	     r == 0 && !it->valued && i < chunk_count(m->e.value_len); i++) {
		r = m->ops->chunk(m, i, &s, err);
		if (r == 0 && buf_append_slice(&it->value, s) < 0)
			r = store_nomem(err);
	}
	if (r < 0)
		return r;
	it->valued = true;
	*value = buf_slice(&it->value);
	return 0;
}

int store_iter_read(struct store_iter *it, store_sink *sink, void *ctx,
		    struct store_error *err)
{
	struct iter *m = it->walk;
	struct slice s;
	int r = 0;

	if (!m->e.chunked)
		return sink_pieces(m->e.value, sink, ctx);
	for (uint64_t i = 0; r >= 0 && i < chunk_count(m->e.value_len); i++) {
		r = m->ops->chunk(m, i, &s, err);
		if (r == 0)
			r = sink(ctx, s);
	}
	return r < 0 ? r : 0;
}
