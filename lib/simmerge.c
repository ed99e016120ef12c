#include "lib/simmerge.h"

#include <math.h>

/* An expected table of less than half an entry is none. */
#define DUST 0.5

/* ---- one of many ---- */

static int cmp_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int cmp_span(const void *a, const void *b)
{
	const struct sim_span *x = a, *y = b;

	return (x->low > y->low) - (x->low < y->low);
}

struct sweep {
	const struct sim_keys *keys;
	const struct sim_span *spans;
	size_t n, next;			/* those before `next` have begun */
	const struct sim_span **active; /* the oldest first */
	size_t n_active;
};

/* Let go of spans that end, take up those that begin. */
static void sweep_to(struct sweep *w, uint64_t key)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n_active; i++)
		if (w->active[i]->end > key)
			w->active[kept++] = w->active[i];
	w->n_active = kept;
	for (; w->next < w->n && w->spans[w->next].low <= key; w->next++) {
		const struct sim_span *s = &w->spans[w->next];
		size_t at = w->n_active++;

		for (; at > 0 && w->active[at - 1]->rank < s->rank; at--)
			w->active[at] = w->active[at - 1];
		w->active[at] = s;
	}
}

static uint64_t merge_active(const struct sweep *w, struct sim_mix *mix)
{
	uint64_t oldest = 0;

	memcpy(mix, w->active[0]->mix, w->keys->n_classes * sizeof(*mix));
	for (size_t i = 0; i < w->n_active; i++) {
		const struct sim_span *s = w->active[i];

		if (s->oldest_ms && (!oldest || s->oldest_ms < oldest))
			oldest = s->oldest_ms;
		for (size_t c = 0; i > 0 && c < w->keys->n_classes; c++)
			mix_merge(&mix[c], &s->mix[c]);
	}
	return oldest;
}

static int sweep_all(struct sweep *w, const uint64_t *cuts, size_t n,
		     sim_stretch_fn *fn, void *ctx, struct store_error *err)
{
	struct sim_mix mix[SIM_CLASSES_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i + 1 < n; i++) {
		if (cuts[i] == cuts[i + 1])
			continue;
		sweep_to(w, cuts[i]);
		if (w->n_active) {
			uint64_t oldest = merge_active(w, mix);

			r = fn(ctx, cuts[i], cuts[i + 1], mix, oldest, err);
		}
	}
	return r;
}

int simmerge(const struct sim_keys *keys, struct sim_span *spans, size_t n,
	     uint64_t *cuts, size_t n_cuts, sim_stretch_fn *fn, void *ctx,
	     struct store_error *err)
{
	struct sweep w = { .keys = keys, .spans = spans, .n = n };
	uint64_t *all = calloc(n_cuts + 2 * n + 1, sizeof(*all));
	size_t n_all = 0;
	int r;

	w.active = calloc(n + 1, sizeof(*w.active));
	if (!all || !w.active) {
		free(all);
		free(w.active);
		return store_nomem(err);
	}
	qsort(spans, n, sizeof(*spans), cmp_span);
	for (size_t i = 0; i < n; i++) {
		all[n_all++] = spans[i].low;
		all[n_all++] = spans[i].end;
	}
	for (size_t i = 0; i < n_cuts; i++)
		all[n_all++] = cuts[i];
	qsort(all, n_all, sizeof(*all), cmp_key);
	r = sweep_all(&w, all, n_all, fn, ctx, err);
	free(w.active);
	free(all);
	return r;
}

/* ---- tables ---- */

void simoutput_release(struct sim_output *o)
{
	for (size_t i = 0; i < o->n; i++) {
		table_meta_release(&o->metas[i]);
		free(o->tables[i]);
	}
	free(o->metas);
	free(o->tables);
	o->metas = NULL;
	o->tables = NULL;
	o->n = o->cap = 0;
}

static int reserve(struct sim_output *o, struct store_error *err)
{
	size_t cap = o->cap ? 2 * o->cap : 16;
	struct table_meta *metas;
	struct sim_table **tables;

	if (o->n < o->cap)
		return 0;
	metas = realloc(o->metas, cap * sizeof(*metas));
	if (!metas)
		return store_nomem(err);
	o->metas = metas;
	tables = realloc(o->tables, cap * sizeof(*tables));
	if (!tables)
		return store_nomem(err);
	o->tables = tables;
	o->cap = cap;
	return 0;
}

static uint64_t whole(double v)
{
	return v > 0 ? (uint64_t)(v + 0.5) : 0;
}

static int set_key(struct buf *b, uint64_t key, struct store_error *err)
{
	uint8_t bytes[SIM_KEY];

	sim_key_write(bytes, key);
	return buf_assign(b, slice_make(bytes, SIM_KEY)) < 0 ? store_nomem(err)
							     : 0;
}

static int fill_meta(const struct sim_output *o, struct table_meta *m,
		     struct store_error *err)
{
	uint64_t puts = whole(o->puts), dead = whole(o->dead);
	int r;

	if (puts + dead == 0)
		puts = 1;
	*m = (struct table_meta){ .age_first = o->age,
				  .age_last = o->age,
				  .bytes = whole(o->bytes) + SIM_TABLE_BYTES,
				  .entries = puts + dead,
				  .tombstones = dead,
				  .oldest_tombstone_ms =
					  dead ? o->oldest_ms : 0,
				  .created_ms = o->now_ms };
	if (o->fence)
		fence_age(o->fence, &m->age_first, &m->age_last);
	r = set_key(&m->smallest, o->low, err);
	if (r == 0)
		r = set_key(&m->largest, o->end - 1, err);
	if (r < 0)
		table_meta_release(m);
	return r;
}

int simoutput_end(struct sim_output *o, struct store_error *err)
{
	size_t n = o->keys->n_classes;
	double keys = (double)(o->end - o->low);
	struct sim_table *t;
	int r;

	if (!o->open)
		return 0;
	o->open = false;
	if (o->puts + o->dead < DUST)
		return 0;
	r = reserve(o, err);
	if (r < 0)
		return r;
	t = calloc(1, sizeof(*t) + n * sizeof(t->mix[0]));
	if (!t)
		return store_nomem(err);
	t->low = o->low;
	t->end = o->end;
	for (size_t c = 0; c < n; c++)
		t->mix[c] = (struct sim_mix){ o->mix[c].fill / keys,
					      o->mix[c].put / keys,
					      o->mix[c].dead / keys };
	r = fill_meta(o, &o->metas[o->n], err);
	if (r < 0)
		free(t);
	else
		o->tables[o->n++] = t;
	return r;
}

static void begin(struct sim_output *o, uint64_t key)
{
	uint8_t bytes[SIM_KEY];

	sim_key_write(bytes, key);
	if (o->fence)
		fence_begin(o->fence, slice_make(bytes, SIM_KEY));
	o->open = true;
	o->low = key;
	o->oldest_ms = 0;
	o->puts = o->dead = o->bytes = 0;
	memset(o->mix, 0, o->keys->n_classes * sizeof(o->mix[0]));
}

/* What a key of the stretch has, on average. */
struct each {
	double puts, dead, bytes;
};

static void take(struct sim_output *o, uint64_t end, double keys,
		 const struct sim_mix *mix, const struct each *e,
		 uint64_t oldest_ms)
{
	o->end = end;
	o->puts += keys * e->puts;
	o->dead += keys * e->dead;
	o->bytes += keys * e->bytes;
	if (oldest_ms && (!o->oldest_ms || oldest_ms < o->oldest_ms))
		o->oldest_ms = oldest_ms;
	for (size_t c = 0; c < o->keys->n_classes; c++) {
		o->mix[c].fill += keys * mix[c].fill;
		o->mix[c].put += keys * mix[c].put;
		o->mix[c].dead += keys * mix[c].dead;
	}
}

static struct each each_of(const struct sim_output *o,
			   const struct sim_mix *mix)
{
	struct each e = { .puts = 0 };

	for (size_t c = 0; c < o->keys->n_classes; c++) {
		e.puts += o->keys->share[c] * mix_puts(&mix[c]);
		e.dead += o->keys->share[c] * mix[c].dead;
	}
	e.bytes = simweight_of(o->weight, e.puts, e.dead);
	return e;
}

/* May the table under way go on to this key? */
static bool may_reach(struct sim_output *o, uint64_t key)
{
	uint8_t bytes[SIM_KEY];

	sim_key_write(bytes, key);
	return !o->fence || fence_reach(o->fence, slice_make(bytes, SIM_KEY));
}

static void drop_dead(struct sim_output *o, uint64_t key, struct sim_mix *mix)
{
	uint8_t bytes[SIM_KEY];
	double dead = 0;

	for (size_t c = 0; c < o->keys->n_classes; c++)
		dead += mix[c].dead;
	sim_key_write(bytes, key);
	if (!o->fence || dead <= 0 ||
	    fence_hides(o->fence, slice_make(bytes, SIM_KEY)))
		return;
	for (size_t c = 0; c < o->keys->n_classes; c++)
		mix_drop(&mix[c]);
}

int simoutput_add(struct sim_output *o, uint64_t low, uint64_t end,
		  struct sim_mix *mix, uint64_t oldest_ms,
		  struct store_error *err)
{
	struct each e;
	int r = 0;

	drop_dead(o, low, mix);
	e = each_of(o, mix);
	if (e.puts + e.dead <= 0)
		return 0;
	if (o->open && !may_reach(o, low))
		r = simoutput_end(o, err);
	while (r == 0 && low < end) {
		double room, keys;
		uint64_t to = end;

		if (!o->open)
			begin(o, low);
		room = (double)o->table_bytes - o->bytes;
		keys = ceil(room / e.bytes);
		if (keys < 1)
			keys = 1;
		if (keys < (double)(end - low))
			to = low + (uint64_t)keys;
		take(o, to, (double)(to - low), mix, &e, oldest_ms);
		low = to;
		if (o->bytes >= (double)o->table_bytes)
			r = simoutput_end(o, err);
	}
	return r;
}
