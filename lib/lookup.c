#include "lib/engine.h"
#include "lib/roster.h"
#include "lib/snapshot.h"
#include "lib/tables.h"

/* now_ms 0: now, for which few need the clock. */
static bool is_live(const struct lookup *l, uint64_t now_ms)
{
	if (l->kind != ENTRY_PUT)
		return false;
	return l->expires_ms == 0 ||
	       l->expires_ms > (now_ms ? now_ms : os.now_ms());
}

/* Logs, newest first: 1 found, 0 not there. */
static int find_in_logs(struct generation *g, const struct root *roots,
			struct slice key, struct lookup *l,
			struct store_error *err)
{
	struct root at;
	int r = 0;

	for (size_t i = g->n_logs; r == 0 && i-- > 0;) {
		if (roots)
			at = roots[i];
		else
			r = memtable_root(g->logs[i], &at, err);
		if (r == 0)
			r = memtable_get(g->logs[i], &at, key, l, err);
	}
	return r;
}

static int find_in_roster(struct store *db, struct roster *roster,
			  struct slice key, struct lookup *l,
			  struct store_error *err)
{
	uint64_t hash = table_hash(key), prefix = slice_prefix(key);
	struct table *t;
	int r = 0;

	for (size_t i = 0; r == 0 && i < roster->n_runs; i++) {
		struct roster_table *rt =
			roster_find(&roster->runs[i], key, prefix);

		if (!rt)
			continue;
		r = roster_open(db, roster, rt, &t, err);
		if (r < 0)
			break;
		r = table_get(t, key, hash, l, err);
		table_close(t);
	}
	return r;
}

/* Levels downwards, runs newest first; at most one table of each. */
static int find_in_image(struct store *db, struct generation *g,
			 struct slice key, struct lookup *l,
			 struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	uint64_t hash = table_hash(key);
	struct version_table vt;
	struct table *t;
	uint64_t index;
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->v.n_runs; i++) {
		r = version_find(&g->v, &g->source, &w, &g->v.runs[i], key,
				 &index, &vt, err);
		if (r <= 0)
			continue;
		r = tables_get(db, vt.number, &t, err);
		if (r < 0)
			break;
		r = table_get(t, key, hash, l, err);
		table_close(t);
	}
	window_release(&w);
	return r;
}

static int find_in_runs(struct store *db, struct generation *g,
			struct slice key, struct lookup *l,
			struct store_error *err)
{
	struct roster *roster;
	int r = roster_of(db, g, 1, &roster, err);

	if (r < 0)
		return r;
	return roster ? find_in_roster(db, roster, key, l, err)
		      : find_in_image(db, g, key, l, err);
}

int lookup_in(struct store *db, struct generation *g, const struct root *roots,
	      uint64_t now_ms, struct slice key, struct lookup *l,
	      struct store_error *err)
{
	int r = find_in_logs(g, roots, key, l, err);

	if (r == 0)
		r = find_in_runs(db, g, key, l, err);
	if (r == 1 && !is_live(l, now_ms))
		r = 0;
	return r;
}

/* What an attempt ended with, told. */
static int tell(int r, const struct store_error *e, struct store_error *err)
{
	if (r < 0 && err && err->code == 0)
		*err = *e;
	return r == STORE_EGONE ? snapshot_gone(err) : r;
}

int lookup(struct store *db, struct slice key, struct lookup *l,
	   struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct generation *g;
	int r;

	/* Without a pin: a file that is gone means a newer generation. */
	r = generation_look(db, &g, err);
	if (r < 0)
		return r;
	r = lookup_in(db, g, NULL, 0, key, l, &e);
	generation_close(g);
	if (r != STORE_EGONE)
		return tell(r, &e, err);
	e = STORE_ERROR_INIT;
	r = generation_pin(db, &g, err);
	if (r < 0)
		return r;
	r = lookup_in(db, g, NULL, 0, key, l, &e);
	generation_unpin(db, g);
	return tell(r, &e, err);
}

static int check_key(struct slice key, struct store_error *err)
{
	if (key.len > 0 && key.len <= STORE_KEY_MAX)
		return 0;
	return store_fail(err, STORE_EINVAL,
			  "a key of %zu bytes: it must have 1 to %u", key.len,
			  STORE_KEY_MAX);
}

/* The value of a lookup into `value`, chunks and all. */
static int whole_value(struct lookup *l, struct buf *value,
		       struct store_error *err)
{
	struct buf chunk = BUF_INIT;
	int r = 0;

	buf_clear(value);
	if (!l->chunked)
		return buf_append_slice(value, lookup_value(l)) < 0
			       ? store_nomem(err)
			       : 0;
	for (uint64_t i = 0; r == 0 && i < chunk_count(l->value_len); i++) {
		r = table_chunk(l->table, l, i, &chunk, err);
		if (r == 0 && buf_append_slice(value, buf_slice(&chunk)) < 0)
			r = store_nomem(err);
	}
	buf_free(&chunk);
	return r;
}

int store_get(struct store *db, struct slice key, struct buf *value,
	      struct store_error *err)
{
	struct lookup l = LOOKUP_INIT;
	int r = check_key(key, err);

	if (r == 0)
		r = lookup(db, key, &l, err);
	if (r == 1 && whole_value(&l, value, err) < 0)
		r = err ? err->code : STORE_ECORRUPT;
	lookup_release(&l);
	return r;
}

static void let_go(struct store_pin *pin)
{
	if (pin->lender)
		pin->give_back(pin->lender);
	pin->lender = NULL;
	pin->value = SLICE_NULL;
}

void store_pin_release(struct store_pin *pin)
{
	let_go(pin);
	buf_free(&pin->own);
}

/* What a lookup has found becomes the pin's: 1, or an error. */
static int pin_value(struct lookup *l, struct store_pin *pin,
		     struct store_error *err)
{
	struct buf whole = BUF_INIT;
	int r = 1;

	if (l->lender) {
		pin->value = l->borrowed;
		pin->lender = l->lender;
		pin->give_back = l->give_back;
		l->lender = NULL;
		return 1;
	}
	if (l->chunked) {
		r = whole_value(l, &whole, err);
		buf_free(&l->value);
		l->value = whole;
	}
	pin->value = r < 0 ? SLICE_NULL : buf_slice(&l->value);
	return r < 0 ? r : 1;
}

int store_get_pinned(struct store *db, struct slice key, struct store_pin *pin,
		     struct store_error *err)
{
	struct lookup l = LOOKUP_INIT;
	int r = check_key(key, err);

	let_go(pin);
	l.value = pin->own; /* its memory is used again */
	if (r == 0)
		r = lookup(db, key, &l, err);
	if (r == 1)
		r = pin_value(&l, pin, err);
	pin->own = l.value;
	l.value = BUF_INIT;
	lookup_release(&l);
	return r;
}

int store_read(struct store *db, struct slice key, store_sink *sink, void *ctx,
	       struct store_error *err)
{
	struct lookup l = LOOKUP_INIT;
	struct buf chunk = BUF_INIT;
	int r = check_key(key, err), s = 0;

	if (r == 0)
		r = lookup(db, key, &l, err);
	if (r != 1 || !sink)
		goto out;
	if (!l.chunked) {
		s = sink_pieces(lookup_value(&l), sink, ctx);
	} else {
		for (uint64_t i = 0; s == 0 && i < chunk_count(l.value_len);
		     i++) {
			s = table_chunk(l.table, &l, i, &chunk, err);
			if (s == 0)
				s = sink(ctx, buf_slice(&chunk));
		}
	}
	if (s < 0)
		r = s;
out:
	buf_free(&chunk);
	lookup_release(&l);
	return r;
}

int sink_pieces(struct slice value, store_sink *sink, void *ctx)
{
	int r = 0;

	while (r >= 0 && value.len) {
		size_t n = value.len < CHUNK_BYTES ? value.len : CHUNK_BYTES;

		r = sink(ctx, slice_make(value.data, n));
		value.data += n;
		value.len -= n;
	}
	return r < 0 ? r : 0;
}
