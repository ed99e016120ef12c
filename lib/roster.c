#include "lib/roster.h"

#include "lib/tables.h"

/* So many lookups, and one more for so many tables, before it is made. */
#define LOOKUPS_LEAST 16
#define TABLES_A_LOOKUP 16
/* Of the tables a handle keeps open, those that a roster may hold. */
#define KEEP_MOST (TABLES_OPEN / 2)

void roster_free(struct roster *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_tables; i++)
		table_close(atomic_load(&r->tables[i].table));
	free(r->runs);
	free(r->tables);
	buf_free(&r->keys);
	free(r);
}

/* Append a key to the roster's; where it lies, for memory may move. */
static int add_key(struct roster *r, const struct buf *key, struct slice *at,
		   struct store_error *err)
{
	*at = slice_make((const void *)(uintptr_t)r->keys.len, key->len);
	return buf_append_slice(&r->keys, buf_slice(key)) < 0 ? store_nomem(err)
							      : 0;
}

static int read_run(struct roster *r, struct generation *g, struct window *w,
		    size_t i, struct store_error *err)
{
	const struct version_run *run = &g->v.runs[i];
	struct buf low = BUF_INIT, high = BUF_INIT;
	struct version_table vt;
	int ret = 0;

	r->runs[i].tables = r->tables + r->n_tables;
	r->runs[i].n = run->tables;
	for (uint64_t k = 0; ret == 0 && k < run->tables; k++) {
		struct roster_table *t = &r->tables[r->n_tables++];

		ret = version_table_at(&g->v, &g->source, w, run, k, &vt, err);
		if (ret == 0)
			ret = version_bounds(&g->v, &g->source, w, run, k, &low,
					     &high, err);
		if (ret == 0)
			ret = add_key(r, &low, &t->smallest, err);
		if (ret == 0)
			ret = add_key(r, &high, &t->largest, err);
		t->number = vt.number;
		t->trimmed = vt.trimmed;
		t->low = slice_prefix(buf_slice(&low));
		t->high = slice_prefix(buf_slice(&high));
	}
	buf_free(&low);
	buf_free(&high);
	return ret;
}

static struct slice placed(const struct roster *r, struct slice key)
{
	return slice_make(r->keys.data + (uintptr_t)key.data, key.len);
}

static int make(struct generation *g, struct roster **out,
		struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	struct roster *r = calloc(1, sizeof(*r));
	int ret = 0;

	if (!r)
		return store_nomem(err);
	r->runs = calloc(g->v.n_runs + 1, sizeof(*r->runs));
	r->tables = calloc(g->v.tables + 1, sizeof(*r->tables));
	r->n_runs = g->v.n_runs;
	r->keep = g->v.tables <= KEEP_MOST;
	if (!r->runs || !r->tables)
		ret = store_nomem(err);
	for (size_t i = 0; ret == 0 && i < g->v.n_runs; i++)
		ret = read_run(r, g, &w, i, err);
	window_release(&w);
	if (ret < 0) {
		roster_free(r);
		return ret;
	}
	for (size_t i = 0; i < r->n_tables; i++) {
		r->tables[i].smallest = placed(r, r->tables[i].smallest);
		r->tables[i].largest = placed(r, r->tables[i].largest);
	}
	*out = r;
	return 0;
}

int roster_of(struct store *db, struct generation *g, uint64_t lookups,
	      struct roster **out, struct store_error *err)
{
	struct roster *mine = NULL, *none = NULL;
	uint64_t n;
	int r;

	*out = atomic_load_explicit(&g->roster, memory_order_acquire);
	if (*out || db->one_shot)
		return 0;
	n = atomic_fetch_add_explicit(&g->lookups, lookups,
				      memory_order_relaxed);
	if (n + lookups <= LOOKUPS_LEAST + g->v.tables / TABLES_A_LOOKUP)
		return 0;
	r = make(g, &mine, err);
	if (r < 0)
		return r;
	/* Two threads may both have made one: the first stays. */
	if (!atomic_compare_exchange_strong(&g->roster, &none, mine)) {
		roster_free(mine);
		mine = none;
	}
	*out = mine;
	return 0;
}

static bool is_below(uint64_t prefix, struct slice bound, struct slice key,
		     uint64_t key_prefix)
{
	if (prefix != key_prefix)
		return prefix < key_prefix;
	return slice_cmp(bound, key) < 0;
}

size_t roster_seek(const struct roster_run *run, size_t from, struct slice key,
		   uint64_t prefix)
{
	size_t lo = from, hi = run->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct roster_table *t = &run->tables[mid];

		if (is_below(t->high, t->largest, key, prefix))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct roster_table *roster_find(const struct roster_run *run, struct slice key,
				 uint64_t prefix)
{
	size_t i = roster_seek(run, 0, key, prefix);
	struct roster_table *t = run->tables + i;

	if (i == run->n ||
	    (t->low > prefix ||
	     (t->low == prefix && slice_cmp(key, t->smallest) < 0)))
		return NULL;
	return t;
}

int roster_open(struct store *db, struct roster *r, struct roster_table *rt,
		struct table **out, struct store_error *err)
{
	struct table *none = NULL;
	int ret;

	*out = atomic_load_explicit(&rt->table, memory_order_acquire);
	if (*out) {
		table_ref(*out);
		return 0;
	}
	ret = tables_get(db, rt->number, out, err);
	if (ret < 0 || !r->keep)
		return ret;
	table_ref(*out);
	if (atomic_compare_exchange_strong(&rt->table, &none, *out))
		atomic_fetch_add(&r->open, 1);
	else
		table_close(*out);
	return 0;
}

bool roster_is_open(const struct roster *r)
{
	return r->keep && atomic_load(&r->open) == r->n_tables;
}
