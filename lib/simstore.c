/*
 * A simulation that begins with the tables of a real store.
 *
 * Of its keys only those are known that tables begin and end with.  They cut
 * the keys into stretches; a table is taken to hold as many in each that it
 * spans.  How many keys two runs have in common nobody knows, but the store
 * knows what merges have discarded so far: as lsm_waste() has it, that part of
 * what smaller runs hold of a stretch is taken to be written again, and the
 * rest for the first time.
 */
#include "lib/sim.h"

#include "lib/inspectstore.h"

#include <math.h>

/* What an entry weighs besides its value, about. */
#define ENTRY_HEAD 12

struct layout {
	struct table_meta **tables; /* the manifest's */
	size_t n_tables;
	struct slice *keys; /* that tables begin or end with, ascending */
	uint64_t *places;   /* of each, among all keys */
	size_t n_keys;
	uint64_t (*ranges)[2]; /* places of each table's first and last key */
	double waste; /* part of what is written that was there before */
	double bytes, entries; /* of all tables */
};

static void layout_release(struct layout *l)
{
	free(l->tables);
	free(l->keys);
	free(l->places);
	free(l->ranges);
}

static int cmp_slice(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t find_key(const struct layout *l, const struct buf *key)
{
	struct slice k = buf_slice(key);
	const struct slice *at =
		bsearch(&k, l->keys, l->n_keys, sizeof(*l->keys), cmp_slice);

	return (size_t)(at - l->keys);
}

static int list_tables(struct layout *l, const struct manifest *m,
		       struct store_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_levels; i++)
		for (size_t r = 0; r < m->levels[i].n; r++)
			n += m->levels[i].runs[r].n;
	l->tables = calloc(n + 1, sizeof(*l->tables));
	l->keys = calloc(2 * n + 1, sizeof(*l->keys));
	l->places = calloc(2 * n + 1, sizeof(*l->places));
	l->ranges = calloc(n + 1, sizeof(*l->ranges));
	if (!l->tables || !l->keys || !l->places || !l->ranges)
		return store_nomem(err);
	for (size_t i = 0; i < m->n_levels; i++)
		for (size_t r = 0; r < m->levels[i].n; r++)
			for (size_t t = 0; t < m->levels[i].runs[r].n; t++)
				l->tables[l->n_tables++] =
					&m->levels[i].runs[r].tables[t];
	return 0;
}

static void list_keys(struct layout *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_tables; i++) {
		l->keys[l->n_keys++] = buf_slice(&l->tables[i]->smallest);
		l->keys[l->n_keys++] = buf_slice(&l->tables[i]->largest);
	}
	qsort(l->keys, l->n_keys, sizeof(*l->keys), cmp_slice);
	for (size_t i = 0; i < l->n_keys; i++)
		if (kept == 0 || !slice_eq(l->keys[kept - 1], l->keys[i]))
			l->keys[kept++] = l->keys[i];
	l->n_keys = kept;
}

static void sum_up(struct layout *l, const struct manifest *m)
{
	double flushed = (double)m->flushed_bytes;

	for (size_t i = 0; i < l->n_tables; i++) {
		l->bytes += (double)l->tables[i]->bytes;
		l->entries += (double)l->tables[i]->entries;
	}
	l->waste = flushed > l->bytes ? 2 * (flushed - l->bytes) / flushed : 0;
	if (l->waste > 1)
		l->waste = 1;
}

/* Of a stretch, what a table holds at most, and all together. */
struct held {
	double most, all;
};

static int place_keys(struct layout *l, struct store_error *err)
{
	struct held *held = calloc(l->n_keys + 1, sizeof(*held));

	if (!held)
		return store_nomem(err);
	for (size_t i = 0; i < l->n_tables; i++) {
		size_t first = find_key(l, &l->tables[i]->smallest);
		size_t end = find_key(l, &l->tables[i]->largest);

		for (size_t k = first; k < end; k++) {
			double each = (double)l->tables[i]->entries /
				      (double)(end - first);

			if (each > held[k].most)
				held[k].most = each;
			held[k].all += each;
		}
	}
	for (size_t k = 0; k + 1 < l->n_keys; k++) {
		double more = held[k].all - held[k].most;
		double keys = held[k].most + (1 - l->waste) * more;

		l->places[k + 1] =
			l->places[k] + (keys > 1 ? (uint64_t)ceil(keys) : 1);
	}
	for (size_t i = 0; i < l->n_tables; i++) {
		l->ranges[i][0] =
			l->places[find_key(l, &l->tables[i]->smallest)];
		l->ranges[i][1] =
			l->places[find_key(l, &l->tables[i]->largest)];
	}
	free(held);
	return 0;
}

/* ---- tables ---- */

static struct sim_mix mix_of(const struct table_meta *m, double keys,
			     double waste)
{
	double puts = (double)(m->entries - m->tombstones) / keys;
	double dead = (double)m->tombstones / keys, all = puts + dead;
	struct sim_mix mix;

	/* Of a trimmed table more is counted than is there. */
	if (all > 1) {
		puts /= all;
		dead /= all;
	}
	mix = (struct sim_mix){ .put = waste * puts, .dead = dead };
	if (mix_touched(&mix) < 1)
		mix.fill = (1 - waste) * puts / (1 - mix_touched(&mix));
	return mix;
}

static int set_key(struct buf *b, uint64_t key, struct store_error *err)
{
	uint8_t bytes[SIM_KEY];

	sim_key_write(bytes, key);
	return buf_assign(b, slice_make(bytes, SIM_KEY)) < 0 ? store_nomem(err)
							     : 0;
}

static int know_table(struct sim *s, const struct layout *l, size_t i,
		      struct store_error *err)
{
	size_t n = s->load.keys.n_classes;
	struct sim_table *t = calloc(1, sizeof(*t) + n * sizeof(t->mix[0]));
	struct table_meta *m = l->tables[i];
	int r;

	if (!t)
		return store_nomem(err);
	t->low = l->ranges[i][0];
	t->end = l->ranges[i][1] + 1;
	for (size_t c = 0; c < n; c++)
		t->mix[c] = mix_of(m, (double)(t->end - t->low), l->waste);
	m->trimmed = false;
	r = simtree_know(&s->tree, m->number, t, err);
	if (r == 0)
		r = set_key(&m->smallest, l->ranges[i][0], err);
	if (r == 0)
		r = set_key(&m->largest, l->ranges[i][1], err);
	return r;
}

/* ---- sizes ---- */

static uint64_t key_bytes(const struct layout *l)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < l->n_keys; i++)
		sum += l->keys[i].len;
	return l->n_keys ? sum / l->n_keys : 1;
}

static double entry_bytes(const struct layout *l)
{
	return l->bytes - (double)l->n_tables * SIM_TABLE_BYTES;
}

/* Values are as large as they are stored, where nobody says otherwise. */
static uint64_t value_bytes(const struct layout *l)
{
	double each = l->entries > 0 ? entry_bytes(l) / l->entries : 0;

	return each > ENTRY_HEAD ? (uint64_t)(each - ENTRY_HEAD) : 0;
}

/* Entries weigh what they were seen to. */
static void weigh(struct sim *s, const struct layout *l)
{
	struct sim_weight *w = &s->tree.weight;
	double model = 0;

	simweight_init(w, &s->tree.m.options, s->own.key_bytes,
		       s->own.value_bytes, 1);
	for (size_t i = 0; i < l->n_tables; i++) {
		double keys = (double)(l->ranges[i][1] - l->ranges[i][0] + 1);
		struct sim_mix mix = mix_of(l->tables[i], keys, 0);

		model += keys * simweight_of(w, mix_puts(&mix), mix.dead);
	}
	if (entry_bytes(l) > 0 && model > 0)
		w->scale = entry_bytes(l) / model;
}

/* ---- the whole ---- */

int simstore_read(struct sim *s, struct store_error *err)
{
	struct inspection in = INSPECTION_INIT;
	struct manifest *m = &s->tree.m;
	int r = inspection_open(&in, s->config->dir, s->config->timeout_ms,
				err);

	if (r < 0)
		return r;
	r = inspection_read(&in, err);
	if (r == 0) {
		*m = in.m;
		in.m = MANIFEST_INIT;
		/* What is in its logs is left out. */
		free(m->logs);
		m->logs = NULL;
		m->n_logs = 0;
		s->began_ms = os.now_ms();
	}
	inspection_close(&in);
	return r;
}

int simstore_begin(struct sim *s, struct store_error *err)
{
	struct layout l = { .n_tables = 0 };
	int r = list_tables(&l, &s->tree.m, err);

	if (r == 0) {
		list_keys(&l);
		sum_up(&l, &s->tree.m);
		r = place_keys(&l, err);
	}
	if (r == 0) {
		s->own.key_bytes = key_bytes(&l);
		if (!s->own.value_bytes)
			s->own.value_bytes = value_bytes(&l);
		simload_init(&s->load, s->config,
			     l.n_keys ? l.places[l.n_keys - 1] + 1 : 0);
		weigh(s, &l);
	}
	for (size_t i = 0; r == 0 && i < l.n_tables; i++)
		r = know_table(s, &l, i, err);
	layout_release(&l);
	return r;
}
