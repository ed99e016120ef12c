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

struct borders {
	struct slice *keys; /* ascending; the manifest's */
	uint64_t *places;   /* of each, among all keys */
	size_t n;
	double waste;
};

static int cmp_slice(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t border_of(const struct borders *b, const struct buf *key)
{
	struct slice k = buf_slice(key);
	const struct slice *at =
		bsearch(&k, b->keys, b->n, sizeof(*b->keys), cmp_slice);

	return (size_t)(at - b->keys);
}

static size_t count_tables(const struct manifest *m)
{
	size_t n = 0;

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			n += m->levels[l].runs[r].n;
	return n;
}

static void list_run(struct borders *b, const struct run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		b->keys[b->n++] = buf_slice(&run->tables[i].smallest);
		b->keys[b->n++] = buf_slice(&run->tables[i].largest);
	}
}

static int list_borders(struct borders *b, const struct manifest *m,
			struct store_error *err)
{
	size_t room = 2 * count_tables(m) + 1, kept = 0;

	b->keys = calloc(room, sizeof(*b->keys));
	b->places = calloc(room, sizeof(*b->places));
	if (!b->keys || !b->places)
		return store_nomem(err);
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			list_run(b, &m->levels[l].runs[r]);
	qsort(b->keys, b->n, sizeof(*b->keys), cmp_slice);
	for (size_t i = 0; i < b->n; i++)
		if (kept == 0 || !slice_eq(b->keys[kept - 1], b->keys[i]))
			b->keys[kept++] = b->keys[i];
	b->n = kept;
	return 0;
}

/* Part of what is written that was there before: lsm_waste(). */
static double waste_of(const struct manifest *m)
{
	double all = 0, flushed = (double)m->flushed_bytes, part;

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			for (size_t i = 0; i < m->levels[l].runs[r].n; i++)
				all += (double)m->levels[l]
					       .runs[r]
					       .tables[i]
					       .bytes;
	part = flushed > all ? 2 * (flushed - all) / flushed : 0;
	return part < 1 ? part : 1;
}

/* Of a stretch, what a run holds at most, and all together. */
struct held {
	double most, all;
};

static void measure_run(const struct borders *b, const struct run *run,
			struct held *held)
{
	for (size_t i = 0; i < run->n; i++) {
		size_t first = border_of(b, &run->tables[i].smallest);
		size_t end = border_of(b, &run->tables[i].largest);
		double each = (double)run->tables[i].entries /
			      ((double)(end - first) + 1e-9);

		for (size_t k = first; k < end; k++) {
			if (each > held[k].most)
				held[k].most = each;
			held[k].all += each;
		}
	}
}

static int measure(struct borders *b, const struct manifest *m,
		   struct store_error *err)
{
	struct held *held = calloc(b->n + 1, sizeof(*held));

	if (!held)
		return store_nomem(err);
	b->waste = waste_of(m);
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			measure_run(b, &m->levels[l].runs[r], held);
	for (size_t i = 0; i + 1 < b->n; i++)
		b->places[i + 1] = b->places[i] +
				   (most[i] > 1 ? (uint64_t)ceil(most[i]) : 1);
	free(most);
	return 0;
}

/* ---- tables ---- */

static int set_key(struct buf *b, uint64_t key, struct store_error *err)
{
	uint8_t bytes[SIM_KEY];

	sim_key_write(bytes, key);
	return buf_assign(b, slice_make(bytes, SIM_KEY)) < 0 ? store_nomem(err)
							     : 0;
}

static struct sim_mix mix_of(const struct table_meta *m, double keys)
{
	struct sim_mix mix = { .put = (double)(m->entries - m->tombstones) /
				      keys,
			       .dead = (double)m->tombstones / keys };

	/* Of a trimmed table more is counted than is there. */
	if (mix_touched(&mix) > 1) {
		double all = mix_touched(&mix);

		mix.put /= all;
		mix.dead /= all;
	}
	return mix;
}

static int know_table(struct sim *s, struct table_meta *m, uint64_t low,
		      uint64_t end, double waste, struct store_error *err)
{
	size_t n = s->load.keys.n_classes;
	struct sim_table *t = calloc(1, sizeof(*t) + n * sizeof(t->mix[0]));
	int r;

	if (!t)
		return store_nomem(err);
	t->low = low;
	t->end = end;
	for (size_t c = 0; c < n; c++)
		t->mix[c] = mix_of(m, (double)(end - low), waste);
	r = simtree_know(&s->tree, m->number, t, err);
	if (r == 0)
		r = set_key(&m->smallest, low, err);
	if (r == 0)
		r = set_key(&m->largest, end - 1, err);
	m->trimmed = false;
	return r;
}

/* Their places first: keys of one are borders of others. */
static int know_tables(struct sim *s, const struct borders *b,
		       struct store_error *err)
{
	struct manifest *m = &s->tree.m;
	size_t n = 2 * count_tables(m) + 1, k = 0;
	uint64_t *places = calloc(n, sizeof(*places));
	int r = 0;

	if (!places)
		return store_nomem(err);
	for (int pass = 0; pass < 2; pass++, k = 0)
		for (size_t l = 0; l < m->n_levels; l++)
			for (size_t i = 0; i < m->levels[l].n; i++)
				for (size_t t = 0;
				     r == 0 && t < m->levels[l].runs[i].n;
				     t++, k += 2) {
					struct table_meta *meta =
						&m->levels[l].runs[i].tables[t];

					if (pass) {
						r = know_table(
							s, meta, places[k],
							places[k + 1] + 1, err);
						continue;
					}
					places[k] = b->places[border_of(
						b, &meta->smallest)];
					places[k + 1] = b->places[border_of(
						b, &meta->largest)];
				}
	free(places);
	return r;
}

/* ---- sizes ---- */

struct sums {
	double tables, bytes, entries, model;
};

static struct sums add_up(const struct sim *s)
{
	const struct manifest *m = &s->tree.m;
	struct sums sum = { .tables = 0 };

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			for (size_t i = 0; i < m->levels[l].runs[r].n; i++) {
				const struct table_meta *t =
					&m->levels[l].runs[r].tables[i];
				const struct sim_table *k =
					s->tree.tables[t->number];
				double keys = (double)(k->end - k->low);
				struct sim_mix mix = mix_of(t, keys, 0);

				sum.tables++;
				sum.bytes += (double)t->bytes;
				sum.entries += (double)t->entries;
				sum.model +=
					keys * simweight_of(&s->tree.weight,
							    mix.put, mix.dead);
			}
	return sum;
}

/* Values are as large as they are stored, where nobody says otherwise. */
static uint64_t value_bytes(const struct manifest *m)
{
	double bytes = 0, entries = 0, each;

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			for (size_t i = 0; i < m->levels[l].runs[r].n; i++) {
				const struct table_meta *t =
					&m->levels[l].runs[r].tables[i];

				bytes += (double)t->bytes - SIM_TABLE_BYTES;
				entries += (double)t->entries;
			}
	each = entries > 0 ? bytes / entries : 0;
	return each > ENTRY_HEAD ? (uint64_t)(each - ENTRY_HEAD) : 0;
}

static uint64_t key_bytes(const struct borders *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < b->n; i++)
		sum += b->keys[i].len;
	return b->n ? sum / b->n : 1;
}

static void weigh(struct sim *s)
{
	const struct sim_config *c = s->config;
	struct sums sum;

	simweight_init(&s->tree.weight, &s->tree.m.options, c->key_bytes,
		       c->value_bytes, 1);
	sum = add_up(s);
	sum.bytes -= sum.tables * SIM_TABLE_BYTES;
	if (sum.bytes > 0 && sum.model > 0)
		s->tree.weight.scale = sum.bytes / sum.model;
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
	struct borders b = { .n = 0 };
	int r = list_borders(&b, &s->tree.m, err);

	if (r == 0)
		r = measure(&b, &s->tree.m, err);
	if (r == 0) {
		s->own.key_bytes = key_bytes(&b);
		if (!s->own.value_bytes)
			s->own.value_bytes = value_bytes(&s->tree.m);
		simload_init(&s->load, s->config,
			     b.n ? b.places[b.n - 1] + 1 : 0);
		r = know_tables(s, &b, err);
	}
	if (r == 0)
		weigh(s);
	free(b.keys);
	free(b.places);
	return r;
}
