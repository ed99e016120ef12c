/*
 * pieces.h - what the tests of stopped, limited and piecewise compactions
 * share: a model of many keys, walks that compare it with the store, and
 * somebody who looks on.
 */
#ifndef TESTS_UNIT_PIECES_H
#define TESTS_UNIT_PIECES_H

#define KEYS 1500u

#include "lib/inspect.h"
#include "lib/table.h"
#include "tests/unit/compacting.h"

static inline struct slice key_of(unsigned k)
{
	static char key[16];

	snprintf(key, sizeof(key), "k%05u", k);
	return slice_str(key);
}

/* The first key of the model at or above `k`, or KEYS. */
static inline unsigned present_from(const struct model *m, unsigned k)
{
	while (k < KEYS && m->version[k] == 0)
		k++;
	return k;
}

static inline void check_at(struct store_iter *it, const struct model *m,
			    unsigned k, int r)
{
	struct store_error err = STORE_ERROR_INIT;
	struct slice value;

	CHECK(r == (k < KEYS));
	if (r == 0)
		return;
	CHECK(slice_eq(store_iter_key(it), key_of(k)));
	CHECK_OK(store_iter_value(it, &value, &err), err);
	CHECK(slice_eq(value, value_of(k, m->version[k])));
}

/* Both ways, and turning round at every seventh key. */
static inline void check_walks(struct store *db, struct store_snapshot *snap,
			       const struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_iter *it;
	unsigned k = 0, last = KEYS;
	int r;

	CHECK_OK(store_iter_open(db, snap, &it, &err), err);
	for (r = store_iter_first(it, &err);; r = store_iter_next(it, &err)) {
		k = present_from(m, k);
		check_at(it, m, k, r);
		if (r == 0)
			break;
		last = k++;
	}
	for (r = store_iter_last(it, &err); last < KEYS;
	     r = store_iter_prev(it, &err)) {
		check_at(it, m, last, r);
		while (last > 0 && m->version[--last] == 0)
			;
		if (m->version[last] == 0 || last == 0)
			break;
	}
	for (k = 0; k < KEYS; k += 7) {
		unsigned at = present_from(m, k), before = k;

		check_at(it, m, at, store_iter_seek(it, key_of(k), &err));
		while (before > 0 && m->version[before - 1] == 0)
			before--;
		r = store_iter_seek_before(it, key_of(k), &err);
		check_at(it, m, before > 0 ? before - 1 : KEYS, r);
		if (r == 1)
			check_at(it, m, at, store_iter_next(it, &err));
	}
	store_iter_close(it);
}

static inline void check_sound(void)
{
	struct verify_config config = { .strict = false };
	struct store_error err = STORE_ERROR_INIT;
	int r = verify_store(path, &config, &err);

	if (r != 0)
		CHECK(r == 0);
}

static inline size_t count_trimmed(struct store *db)
{
	struct manifest m = manifest(db);
	size_t n = 0;

	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t r = 0; r < m.levels[l].n; r++)
			for (size_t i = 0; i < m.levels[l].runs[r].n; i++)
				n += m.levels[l].runs[r].tables[i].trimmed;
	manifest_release(&m);
	return n;
}

static inline uint64_t generation(struct store *db)
{
	struct manifest m = manifest(db);
	uint64_t g = m.generation;

	manifest_release(&m);
	return g;
}

/* A handle that looks on while another one compacts. */
struct watch {
	struct store *db;
	const struct model *m, *before;
	struct store_snapshot *snap; /* taken when the store was `before` */
	uint64_t generation;
	unsigned pieces, trimmed;
	volatile sig_atomic_t stop;
	int calls_left; /* until the flag is raised; negative: never */
};

static inline void look_on(void *ctx, const struct store_progress *p)
{
	struct watch *w = ctx;
	uint64_t g = generation(w->db);

	CHECK(p->bytes_done <= p->bytes_total);
	if (w->calls_left >= 0 && w->calls_left-- == 0)
		w->stop = 1;
	if (!w->m || g == w->generation)
		return;
	w->generation = g;
	w->pieces++;
	w->trimmed += count_trimmed(w->db) > 0;
	check_model(w->db, w->m);
	check_walks(w->db, NULL, w->m);
	if (w->snap)
		check_walks(w->db, w->snap, w->before);
	check_sound();
}

static inline struct store_compact_result
compact_watched(struct store *db, struct watch *w, int all)
{
	struct store_compact_config config = { .all = all,
					       .stop = &w->stop,
					       .progress = look_on,
					       .progress_ctx = w };
	struct store_compact_result result;
	struct store_error err = STORE_ERROR_INIT;

	w->generation = generation(db);
	CHECK_OK(store_compact(db, &config, &result, &err), err);
	return result;
}

/* Some runs over a store that is compacted already. */
static inline void fill(struct store *db, struct model *m, int runs)
{
	for (int i = 0; i < runs; i++) {
		write_some(db, m);
		flush(db);
		if (i == runs / 2)
			compact(db, NULL, 1);
	}
}

/* Runs side by side, nothing compacted yet. */
static inline void fill_flat(struct store *db, struct model *m, int runs)
{
	for (int i = 0; i < runs; i++) {
		for (int k = 0; k < 3; k++)
			write_some(db, m);
		flush(db);
	}
}

/* One run over all keys, half of them, with short values. */
static inline void fill_plain(struct store *db, struct model *m)
{
	struct store_error err = STORE_ERROR_INIT;

	for (unsigned k = 0; k < KEYS; k++) {
		if (roll(m, 2))
			continue;
		m->clock += m->clock % 97 == 96 ? 2 : 1;
		m->version[k] = m->clock;
		CHECK_OK(store_put(db, key_of(k), value_of(k, m->clock),
				   STORE_NOSYNC, &err),
			 err);
	}
	flush(db);
}

static inline uint64_t table_bytes(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_stat stat;

	CHECK_OK(store_stat(db, &stat, &err), err);
	return stat.table_bytes;
}

#endif
