/*
 * Getting many keys at once: store_get_many() of store.h.
 *
 * The keys are put in order, so that each block is read and decoded once for
 * all keys that it may hold, and each table is gone through from front to
 * back; threads take parts of the order.  All see one snapshot.
 */
#include "lib/order.h"
#include "lib/roster.h"
#include "lib/snapshot.h"
#include "lib/tablescan.h"
#include "lib/tail.h"

#define MANY_WORKERS 16u
/* Fewer keys are not worth a thread of their own. */
#define KEYS_A_WORKER 512u
/* How far ahead a key's place in the filter is asked for. */
#define AHEAD 8u

struct sought {
	struct slice key; /* copies lie in order, too */
	uint64_t hash;
	uint32_t index; /* the caller's */
};

/* What all threads share. */
struct many {
	struct store *db;
	struct store_snapshot *snap;
	struct roster *roster;
	struct sought *sought; /* in the order of their keys */
	store_many_fn *fn;
	void *ctx;
};

/* What one thread is to find, and where it has come to. */
struct part {
	struct many *m;
	unsigned worker;
	uint32_t *open; /* those not yet found, ascending */
	size_t n_open;
	struct buf value;
	int r;
	struct store_error err;
};

/* Tell of one key; a large value is not handed over. */
static int tell(struct part *p, uint32_t item, enum entry_kind kind,
		uint64_t expires_ms, const struct slice *value)
{
	struct many *m = p->m;
	bool live = kind == ENTRY_PUT &&
		    (expires_ms == 0 || expires_ms > m->snap->now_ms);
	struct store_found f = { .index = m->sought[item].index,
				 .worker = p->worker,
				 .found = live,
				 .large = live && !value };

	if (live && value)
		f.value = *value;
	return m->fn(m->ctx, &f);
}

static int find_in_log(struct part *p, struct memtable *log,
		       const struct root *at, struct store_error *err)
{
	struct many *m = p->m;
	struct tree_reader t;
	struct tree_node n;
	struct wal_entry e;
	size_t left = 0;
	int r = 0;

	if (root_empty(at))
		return 0;
	tree_reader_init(&t, log, at);
	for (size_t i = 0; r >= 0 && i < p->n_open; i++) {
		uint32_t item = p->open[i];
		struct slice key = m->sought[item].key;

		r = tail_or_tree_find(&t, key, &n, err);
		if (r == 0) {
			p->open[left++] = item;
			continue;
		}
		if (r > 0)
			r = tree_entry(&t, &n, &e, err);
		if (r >= 0)
			r = tell(p, item, (enum entry_kind)e.kind, e.expires_ms,
				 e.value.len > VALUE_INLINE_MAX ? NULL
								: &e.value);
	}
	p->n_open = left;
	tree_reader_release(&t);
	return r < 0 ? r : 0;
}

static bool is_same(const struct sought *a, const struct sought *b)
{
	return a->hash == b->hash && slice_eq(a->key, b->key);
}

/* The open keys [from, to) lie in the range of one table. */
static int find_in_table(struct part *p, struct roster_table *rt, size_t from,
			 size_t to, size_t *left, struct store_error *err)
{
	struct many *m = p->m;
	struct tablescan scan;
	struct table_hit hit;
	const struct sought *last = NULL;
	struct table *t;
	int r = roster_open(m->db, m->roster, rt, &t, err), found = 0;

	if (r < 0)
		return r;
	tablescan_init(&scan, t);
	for (size_t i = from; r >= 0 && i < to; i++) {
		uint32_t item = p->open[i];
		const struct sought *s = &m->sought[item];

		if (i + AHEAD < to)
			tablescan_prefetch(&scan,
					   m->sought[p->open[i + AHEAD]].hash);
		/* What is asked for again was found just now. */
		if (!last || !is_same(s, last))
			found = tablescan_get(&scan, s->key, s->hash, &hit,
					      err);
		last = s;
		r = found;
		if (r > 0)
			r = tell(p, item, hit.kind, hit.expires_ms,
				 hit.chunked ? NULL : &hit.value);
		else if (r == 0)
			p->open[(*left)++] = item;
	}
	tablescan_release(&scan);
	table_close(t);
	return r < 0 ? r : 0;
}

static int find_in_run(struct part *p, const struct roster_run *run,
		       struct store_error *err)
{
	struct many *m = p->m;
	size_t left = 0, at = 0, i = 0, end;
	int r = 0;

	while (r == 0 && i < p->n_open) {
		struct slice key = m->sought[p->open[i]].key;
		struct roster_table *rt;

		at = roster_seek(run, at, key, slice_prefix(key));
		if (at == run->n)
			break;
		rt = &run->tables[at];
		if (slice_cmp(key, rt->smallest) < 0) {
			p->open[left++] = p->open[i++];
			continue;
		}
		for (end = i + 1; end < p->n_open; end++)
			if (slice_cmp(m->sought[p->open[end]].key,
				      rt->largest) > 0)
				break;
		r = find_in_table(p, rt, i, end, &left, err);
		i = end;
	}
	while (i < p->n_open)
		p->open[left++] = p->open[i++];
	p->n_open = left;
	return r;
}

static int find_part(struct part *p, struct store_error *err)
{
	struct store_snapshot *s = p->m->snap;
	int r = 0;

	for (size_t i = s->g->n_logs; r == 0 && i-- > 0;)
		r = find_in_log(p, s->g->logs[i], &s->roots[i], err);
	for (size_t i = 0; r == 0 && i < p->m->roster->n_runs; i++)
		r = find_in_run(p, &p->m->roster->runs[i], err);
	for (size_t i = 0; r >= 0 && i < p->n_open; i++)
		r = tell(p, p->open[i], ENTRY_DELETE, 0, NULL);
	return r < 0 ? r : 0;
}

static void *find_thread(void *ctx)
{
	struct part *p = ctx;

	p->r = find_part(p, &p->err);
	return NULL;
}

/* Parts of about the same number of keys, all but one by threads. */
static int find_all(struct many *m, uint32_t *open, size_t n, unsigned workers,
		    struct store_error *err)
{
	struct part parts[MANY_WORKERS];
	pthread_t threads[MANY_WORKERS];
	bool started[MANY_WORKERS] = { false };
	sigset_t before;
	int r = 0;

	if (workers > n / KEYS_A_WORKER)
		workers = (unsigned)(n / KEYS_A_WORKER);
	if (workers < 1)
		workers = 1;
	if (workers > MANY_WORKERS)
		workers = MANY_WORKERS;
	for (unsigned i = 0; i < workers; i++) {
		size_t from = n * i / workers, to = n * (i + 1) / workers;

		parts[i] = (struct part){ .m = m,
					  .worker = i,
					  .open = open + from,
					  .n_open = to - from,
					  .err = STORE_ERROR_INIT };
	}
	os_signals_hold(&before);
	for (unsigned i = 1; i < workers; i++)
		started[i] = pthread_create(&threads[i], NULL, find_thread,
					    &parts[i]) == 0;
	os_signals_back(&before);
	for (unsigned i = 0; i < workers; i++)
		if (!started[i])
			find_thread(&parts[i]);
	for (unsigned i = 0; i < workers; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		if (parts[i].r < 0 && r == 0) {
			r = parts[i].r;
			if (err && err->code == 0)
				*err = parts[i].err;
		}
	}
	return r;
}

/* Room for all keys behind their indexes. */
static int make_room(const struct slice *keys, size_t n, struct buf *bytes,
		     struct store_error *err)
{
	uint64_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (keys[i].len == 0 || keys[i].len > STORE_KEY_MAX)
			return store_fail(err, STORE_EINVAL,
					  "a key of %zu bytes: it must have 1 "
					  "to %u",
					  keys[i].len, STORE_KEY_MAX);
		len += 4 + keys[i].len;
	}
	if (len > UINT32_MAX)
		return store_fail(err, STORE_EINVAL, "keys of more than 4 GiB");
	bytes->data = malloc(len + 1);
	bytes->cap = len + 1;
	return bytes->data ? 0 : store_nomem(err);
}

/* The keys behind their indexes, one after the other, and their items. */
static int collect(const struct slice *keys, size_t n, struct buf *bytes,
		   struct order_item *items, struct store_error *err)
{
	int r = make_room(keys, n, bytes, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		uint8_t *p = bytes->data + bytes->len;

		put_u32(p, (uint32_t)i);
		memcpy(p + 4, keys[i].data, keys[i].len);
		items[i] = (struct order_item){
			.off = (uint32_t)bytes->len + 4,
			.key_len = (uint16_t)keys[i].len,
		};
		bytes->len += 4 + keys[i].len;
	}
	return r;
}

/* In order, each key copied behind the one before it. */
static void line_up(struct many *m, const struct buf *bytes,
		    const struct order_item *items, size_t n, uint8_t *copies)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *key = bytes->data + items[i].off;
		size_t len = items[i].key_len;

		memcpy(copies, key, len);
		m->sought[i] = (struct sought){
			.key = slice_make(copies, len),
			.hash = table_hash(slice_make(copies, len)),
			.index = load_u32(key - 4),
		};
		copies += len;
	}
}

_Static_assert(sizeof(struct sought) >= sizeof(struct order_item),
	       "what is sought has room for items");

/* Sort them into m->sought, which lends its memory; *copies holds them. */
static int seek_in_order(struct many *m, const struct slice *keys, size_t n,
			 uint8_t **copies, struct store_error *err)
{
	struct order_item *items = malloc((n + 1) * sizeof(*items));
	struct buf bytes = BUF_INIT;
	int r;

	m->sought = malloc((n + 1) * sizeof(*m->sought));
	r = items && m->sought ? collect(keys, n, &bytes, items, err)
			       : store_nomem(err);
	if (r == 0) {
		*copies = malloc(bytes.len + 1);
		if (!*copies || order_keys(bytes.data, items, (void *)m->sought,
					   (uint32_t)n) < 0)
			r = store_nomem(err);
	}
	if (r == 0)
		line_up(m, &bytes, items, n, *copies);
	buf_free(&bytes);
	free(items);
	return r;
}

int store_get_many(struct store *db, const struct slice *keys, size_t n,
		   unsigned workers, store_many_fn *fn, void *ctx,
		   struct store_error *err)
{
	struct many m = { .db = db, .fn = fn, .ctx = ctx };
	uint32_t *open = malloc((n + 1) * sizeof(*open));
	uint8_t *copies = NULL;
	int r;

	if (n > UINT32_MAX)
		r = store_fail(err, STORE_EINVAL, "more than 2^32 keys");
	else if (!open)
		r = store_nomem(err);
	else
		r = seek_in_order(&m, keys, n, &copies, err);
	if (r == 0)
		r = store_snapshot(db, &m.snap, err);
	if (r == 0)
		r = roster_of(db, m.snap->g, UINT32_MAX, &m.roster, err);
	if (r == 0) {
		for (size_t i = 0; i < n; i++)
			open[i] = (uint32_t)i;
		r = find_all(&m, open, n, workers, err);
		if (r == STORE_EGONE)
			r = snapshot_gone(err);
	}
	store_snapshot_free(m.snap);
	free(m.sought);
	free(copies);
	free(open);
	return r;
}
