#include "lib/loadrun.h"

#include "formats/wal.h"
#include "lib/batch.h"
#include "lib/build.h"
#include "lib/number.h"
#include "lib/order.h"

/* How far ahead an entry is asked for that will be needed. */
#define AHEAD 12u

struct load_table {
	struct build_spec spec;
	struct build *build; /* NULL once finished */
};

/* Items for sorting, in the room behind the entries if there is enough. */
static struct order_item *items_of(struct store_batch *b, void **own)
{
	struct buf *bytes = &b->bytes;
	size_t at = (bytes->len + 15) & ~(size_t)15;
	size_t need = 2 * (size_t)b->count * sizeof(struct order_item);

	*own = NULL;
	if (at <= bytes->cap && need <= bytes->cap - at)
		return (struct order_item *)(void *)(bytes->data + at);
	return *own = malloc(need);
}

static int table_begin(struct loadrun *run, struct store *db,
		       const struct options *o, struct store_error *err)
{
	struct load_table *t, **grown;
	int r;

	if (run->n == run->cap) {
		size_t cap = run->cap ? run->cap * 2 : 4;

		grown = realloc(run->tables, cap * sizeof(*grown));
		if (!grown)
			return store_nomem(err);
		run->tables = grown;
		run->cap = cap;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return store_nomem(err);
	t->spec = (struct build_spec){ .dir = &db->dir,
				       .options = o,
				       .codec = (enum codec)o->compression,
				       .created_ms = os.now_ms(),
				       .mode = 0644,
				       .counters = &db->counters };
	memcpy(t->spec.uuid, db->uuid, sizeof(t->spec.uuid));
	r = number_draw(db, &t->spec.number, err);
	if (r == 0) {
		r = build_open(&t->build, &t->spec, err);
		if (r < 0)
			lock_unclaim(&db->lock, t->spec.number);
	}
	if (r < 0) {
		free(t);
		return r;
	}
	run->tables[run->n++] = t;
	return 0;
}

/* After a failure the build is gone, but its claim is not. */
static int table_seal(struct load_table *t, struct store_error *err)
{
	int r = build_seal(t->build, err);

	if (r < 0) {
		build_abort(t->build);
		t->build = NULL;
	}
	return r;
}

static int put_entries(struct loadrun *run, struct store *db,
		       const struct options *o, struct slice entries,
		       const struct order_item *items, size_t n,
		       const atomic_bool *stop, struct store_error *err)
{
	struct load_table *t = NULL;
	struct iter it = { .ops = NULL };
	struct wal_entry e;
	const char *why;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		size_t off = items[i].off - items[i].tag;

		if (i + AHEAD < n) {
			const uint8_t *q = entries.data + items[i + AHEAD].off;

			__builtin_prefetch(q);
			__builtin_prefetch(q + 64);
			__builtin_prefetch(q + 128);
		}
		if (!t) {
			if (atomic_load_explicit(stop, memory_order_relaxed))
				return 1;
			if ((r = table_begin(run, db, o, err)) < 0)
				break;
			t = run->tables[run->n - 1];
		}
		if (!wal_entry_decode(
			    slice_make(entries.data + off, entries.len - off),
			    &e, &why))
			return store_fail(err, STORE_EBUG, "load: %s", why);
		it.e = (struct entry){ .kind = (enum entry_kind)e.kind,
				       .key = e.key,
				       .value = e.value,
				       .value_len = e.value.len,
				       .expires_ms = e.expires_ms };
		r = build_add(t->build, &it, err);
		if (r == 0 && build_bytes(t->build) >= o->table_bytes) {
			r = table_seal(t, err);
			t = NULL;
		}
	}
	return r == 0 && t ? table_seal(t, err) : r;
}

int loadrun_build(struct loadrun *run, struct store *db,
		  const struct options *options, struct store_batch *batch,
		  const atomic_bool *stop, struct store_error *err)
{
	struct slice entries = batch_entries(batch);
	struct order_item *items;
	void *own;
	int64_t n;
	int r;

	items = items_of(batch, &own);
	if (!items)
		return store_nomem(err);
	n = order_entries(entries, batch->count, items, items + batch->count);
	if (n < 0)
		r = store_fail(err, STORE_EINVAL,
			       "a batch that store_batch_add did not make");
	else
		r = put_entries(run, db, options, entries, items, (size_t)n,
				stop, err);
	free(own);
	if (r != 0)
		loadrun_release(run, db, true);
	return r;
}

int loadrun_finish(struct loadrun *run, uint64_t age, struct store_error *err)
{
	run->metas = calloc(run->n, sizeof(*run->metas));
	if (!run->metas)
		return store_nomem(err);
	for (size_t i = 0; i < run->n; i++) {
		struct load_table *t = run->tables[i];
		struct build *b = t->build;
		int r;

		t->spec.age_first = t->spec.age_last = age;
		t->build = NULL;
		r = build_finish(b, &run->metas[i], err);
		if (r < 0)
			return r;
		run->bytes += run->metas[i].bytes;
	}
	return 0;
}

/* Does anything in the level lie within the run's span? */
static bool overlaps(const struct level *l, const struct loadrun *run)
{
	struct slice low = buf_slice(&run->metas[0].smallest);
	struct slice high = buf_slice(&run->metas[run->n - 1].largest);

	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < l->runs[i].n; k++) {
			const struct table_meta *t = &l->runs[i].tables[k];

			if (slice_cmp(buf_slice(&t->smallest), high) <= 0 &&
			    slice_cmp(buf_slice(&t->largest), low) >= 0)
				return true;
		}
	return false;
}

int loadrun_place(const struct loadrun *run, struct manifest *m,
		  struct store_error *err)
{
	size_t deepest = m->n_levels > 2 ? m->n_levels - 1 : 1;
	size_t level = 0;

	m->flushed_bytes += run->bytes;
	if (m->n_levels && overlaps(&m->levels[0], run))
		return manifest_add_run(m, 0, run->metas, run->n, err);
	while (level < deepest && (level + 1 >= m->n_levels ||
				   !overlaps(&m->levels[level + 1], run)))
		level++;
	/* Nothing there overlaps: it adds to a run and is none of its own. */
	if (level < m->n_levels && m->levels[level].n)
		return manifest_add_tables(m, (uint32_t)level, 0, run->metas,
					   run->n, err);
	return manifest_add_run(m, (uint32_t)level, run->metas, run->n, err);
}

void loadrun_release(struct loadrun *run, struct store *db, bool unlink)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < run->n; i++) {
		struct load_table *t = run->tables[i];

		build_abort(t->build);
		name_make(name, FILE_SST, t->spec.number);
		if (unlink && !t->build)
			os_unlink(&db->dir, name, NULL);
		lock_unclaim(&db->lock, t->spec.number);
		if (run->metas)
			table_meta_release(&run->metas[i]);
		free(t);
	}
	free(run->tables);
	free(run->metas);
	*run = LOADRUN_INIT;
}
