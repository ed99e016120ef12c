/*
 * grove.h - a store of keys without values: it is flushed into and compacted
 * as the engine does it (plan.h, fence.h, the manifest), in memory, so that a
 * strategy can be watched over many rounds.
 *
 *	grove_open(&g, "leveled");
 *	g.t.m.options.level0_runs = 4;	     before the first flush
 *	grove_put(&g, key); grove_delete(&g, key); grove_flush(&g);
 *	grove_round(&g);		     until nothing is planned
 *	grove_check(&g);		     every key gives what was put
 *	grove_close(&g);
 *
 * Keys are numbers below GROVE_KEYS; every entry has GROVE_ENTRY bytes, a
 * tombstone GROVE_TOMBSTONE.  Time is g.now_ms, and stands still.
 */
#ifndef TESTS_UNIT_GROVE_H
#define TESTS_UNIT_GROVE_H

#include "lib/fence.h"
#include "lib/plugin.h"
#include "tests/unit/tree.h"

#ifndef GROVE_KEYS
#define GROVE_KEYS 4096
#endif
#define GROVE_ENTRY 4096
#define GROVE_TOMBSTONE 512

struct grove_entry {
	uint32_t key;
	uint32_t version; /* 0: a tombstone */
	uint64_t born_ms; /* of a tombstone */
};

struct grove_table {
	struct grove_entry *e;
	size_t n;
};

struct grove {
	struct tree t;
	struct grove_table *tables; /* by number */
	size_t n_tables;
	struct grove_entry *log; /* in order of writing */
	size_t n_log, max_log;
	uint32_t *model; /* what each key holds; 0: absent */
	uint32_t clock;
	uint64_t seed, now_ms, log_created_ms;
	struct plugin plugin;
	uint64_t options[LSM_OPTIONS_MAX];
	uint64_t flushed, merged; /* bytes written */
	unsigned flushes, jobs;
};

static struct store_error grove_err;

static inline unsigned grove_roll(struct grove *g, unsigned n)
{
	g->seed = g->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)((g->seed >> 33) % n);
}

/* With the defaults of its options; the tree stays. */
static void grove_strategy(struct grove *g, const char *strategy)
{
	plugin_close(&g->plugin);
	CHECK_OK(plugin_open(&g->plugin, NULL, strategy, &grove_err),
		 grove_err);
	CHECK_OK(plugin_options(g->plugin.strategy, NULL, 0, g->options,
				&grove_err),
		 grove_err);
}

static void grove_open(struct grove *g, const char *strategy)
{
	grove_err = STORE_ERROR_INIT;
	*g = (struct grove){ .seed = 1, .plugin = PLUGIN_INIT };
	tree_read(&g->t, "");
	g->t.m.next_number = 1;
	g->now_ms = UINT64_C(1000000000000);
	g->model = calloc(GROVE_KEYS, sizeof(*g->model));
	CHECK(g->model);
	grove_strategy(g, strategy);
}

static void grove_set(struct grove *g, const char *name, const char *value)
{
	struct setting s = { (char *)(uintptr_t)name,
			     (char *)(uintptr_t)value };
	uint64_t options[LSM_OPTIONS_MAX];

	CHECK_OK(plugin_options(g->plugin.strategy, &s, 1, options, &grove_err),
		 grove_err);
	for (size_t i = 0; i < g->plugin.strategy->n_options; i++)
		if (!strcmp(g->plugin.strategy->options[i].name, name))
			g->options[i] = options[i];
}

static void grove_close(struct grove *g)
{
	for (size_t i = 0; i < g->n_tables; i++)
		free(g->tables[i].e);
	free(g->tables);
	free(g->log);
	free(g->model);
	plugin_close(&g->plugin);
	manifest_release(&g->t.m);
}

/* ---- writing ---- */

static void grove_write(struct grove *g, uint32_t key, uint32_t version)
{
	if (g->n_log == g->max_log) {
		g->max_log = g->max_log ? 2 * g->max_log : 1024;
		g->log = realloc(g->log, g->max_log * sizeof(*g->log));
		CHECK(g->log);
	}
	if (g->n_log == 0)
		g->log_created_ms = g->now_ms;
	g->log[g->n_log++] = (struct grove_entry){ key, version, g->now_ms };
	g->model[key] = version;
}

static inline void grove_put(struct grove *g, uint32_t key)
{
	grove_write(g, key, ++g->clock);
}

static inline void grove_delete(struct grove *g, uint32_t key)
{
	grove_write(g, key, 0);
}

static void grove_key(uint8_t *bytes, uint32_t key)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(key >> (24 - 8 * i));
}

static uint64_t grove_size(const struct grove_entry *e, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += e[i].version ? GROVE_ENTRY : GROVE_TOMBSTONE;
	return bytes;
}

static struct table_meta grove_table(struct grove *g,
				     const struct grove_entry *e, size_t n,
				     uint64_t first, uint64_t last,
				     uint64_t oldest_ms)
{
	struct table_meta m = { .number = g->t.m.next_number++,
				.age_first = first,
				.age_last = last,
				.bytes = grove_size(e, n),
				.created_ms = g->now_ms,
				.entries = n };
	uint8_t key[4];

	if (m.number >= g->n_tables) {
		size_t more = 2 * m.number + 64;

		g->tables = realloc(g->tables, more * sizeof(*g->tables));
		CHECK(g->tables);
		memset(g->tables + g->n_tables, 0,
		       (more - g->n_tables) * sizeof(*g->tables));
		g->n_tables = more;
	}
	g->tables[m.number].e = malloc(n * sizeof(*e));
	CHECK(g->tables[m.number].e);
	memcpy(g->tables[m.number].e, e, n * sizeof(*e));
	g->tables[m.number].n = n;
	for (size_t i = 0; i < n; i++)
		m.tombstones += e[i].version == 0;
	m.oldest_tombstone_ms = m.tombstones ? oldest_ms : 0;
	grove_key(key, e[0].key);
	CHECK(buf_assign(&m.smallest, slice_make(key, 4)) == 0);
	grove_key(key, e[n - 1].key);
	CHECK(buf_assign(&m.largest, slice_make(key, 4)) == 0);
	return m;
}

/* A sort that keeps the order of writing of equal keys: the newest stays. */
static size_t grove_sort(struct grove_entry *e, size_t n)
{
	struct grove_entry *to = malloc(n * sizeof(*e));
	size_t kept = 0;

	CHECK(to);
	for (size_t width = 1; width < n; width *= 2) {
		for (size_t at = 0; at < n; at += 2 * width) {
			size_t i = at, mid = at + width < n ? at + width : n;
			size_t j = mid, end = mid + width < n ? mid + width : n;

			for (size_t k = at; k < end; k++)
				to[k] = j >= end || (i < mid &&
						     e[i].key <= e[j].key)
						? e[i++]
						: e[j++];
		}
		memcpy(e, to, n * sizeof(*e));
	}
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || e[i].key != e[i + 1].key)
			e[kept++] = e[i];
	free(to);
	return kept;
}

static void grove_flush(struct grove *g)
{
	static struct table_meta out[4096];
	uint64_t log = g->t.m.next_number++;
	size_t each = g->t.m.options.table_bytes / GROVE_ENTRY;
	size_t n = grove_sort(g->log, g->n_log), tables = 0;

	for (size_t i = 0; i < n; i += each)
		out[tables++] =
			grove_table(g, g->log + i, n - i < each ? n - i : each,
				    log, log, g->log_created_ms);
	if (tables)
		CHECK_OK(manifest_add_run(&g->t.m, 0, out, tables, &grove_err),
			 grove_err);
	for (size_t i = 0; i < tables; i++)
		table_meta_release(&out[i]);
	g->flushed += grove_size(g->log, n);
	g->t.m.flushed_bytes += grove_size(g->log, n);
	g->flushes++;
	g->n_log = 0;
}
/* ---- jobs ---- */

static const struct grove_table *grove_find(const struct grove *g, uint64_t n)
{
	return &g->tables[n];
}

struct grove_cursor {
	const struct grove_entry *at, *end;
	size_t run;
};

struct grove_output {
	struct table_meta *tables;
	size_t n;
	struct grove_entry *e;
	size_t n_e;
	uint64_t oldest_ms;
};

static void grove_end(struct grove *g, struct fence *f, uint32_t level,
		      struct grove_output *o)
{
	uint64_t first, last;

	if (o->n_e == 0)
		return;
	fence_age(f, &first, &last);
	o->tables = realloc(o->tables, (o->n + 1) * sizeof(*o->tables));
	CHECK(o->tables);
	o->tables[o->n++] =
		grove_table(g, o->e, o->n_e, first, last, o->oldest_ms);
	g->merged += grove_size(o->e, o->n_e);
	g->t.m.compacted_bytes[level] += grove_size(o->e, o->n_e);
	o->n_e = 0;
}

static void grove_add(struct grove *g, struct fence *f,
		      const struct plan_job *j, const struct grove_entry *e,
		      struct grove_output *o)
{
	uint8_t key[4];
	struct slice k = slice_make(key, 4);

	grove_key(key, e->key);
	if (!e->version && !fence_hides(f, k))
		return;
	if (o->n_e &&
	    (grove_size(o->e, o->n_e) >= j->table_bytes || !fence_reach(f, k)))
		grove_end(g, f, j->level, o);
	if (o->n_e == 0)
		fence_begin(f, k);
	o->e[o->n_e++] = *e;
}

/* Inputs stand in the order of search: of equal keys the first is newest. */
static void grove_merge(struct grove *g, const struct survey *v,
			const struct plan_job *j, struct grove_output *o)
{
	struct grove_cursor *c = calloc(j->n_inputs, sizeof(*c));
	struct fence f = FENCE_INIT;
	size_t n = 0, all = 0;

	CHECK(c);
	CHECK_OK(fence_make(&f, j, v, NULL, 0, &grove_err), grove_err);
	for (size_t i = 0; i < v->view.n_tables; i++) {
		const struct lsm_table *t = &v->tables[i];
		const struct grove_table *in = grove_find(g, t->number);

		if (!f.input[i])
			continue;
		c[n++] = (struct grove_cursor){ in->e, in->e + in->n, 0 };
		all += in->n;
		if (t->oldest_tombstone_ms &&
		    (!o->oldest_ms || t->oldest_tombstone_ms < o->oldest_ms))
			o->oldest_ms = t->oldest_tombstone_ms;
	}
	o->e = malloc(all * sizeof(*o->e));
	CHECK(o->e);
	for (;;) {
		const struct grove_entry *e = NULL;

		for (size_t i = 0; i < n; i++)
			if (c[i].at < c[i].end && (!e || c[i].at->key < e->key))
				e = c[i].at;
		if (!e)
			break;
		grove_add(g, &f, j, e, o);
		for (size_t i = 0; i < n; i++)
			if (c[i].at < c[i].end && c[i].at->key == e->key &&
			    c[i].at != e)
				c[i].at++;
		for (size_t i = 0; i < n; i++)
			if (c[i].at == e)
				c[i].at++;
	}
	grove_end(g, &f, j->level, o);
	free(o->e);
	free(c);
	fence_release(&f);
}

static int grove_cmp(const void *a, const void *b)
{
	const struct table_meta *x = a, *y = b;

	return slice_cmp(buf_slice(&x->smallest), buf_slice(&y->smallest));
}

static void grove_take(struct grove *g, const struct plan_job *j,
		       struct grove_output *o)
{
	size_t l, r, i;

	o->tables = calloc(j->n_inputs, sizeof(*o->tables));
	CHECK(o->tables);
	for (size_t n = 0; n < j->n_inputs; n++) {
		CHECK(manifest_find_table(&g->t.m, j->inputs[n], &l, &r, &i));
		CHECK_OK(table_meta_copy(&o->tables[o->n++],
					 &g->t.m.levels[l].runs[r].tables[i],
					 &grove_err),
			 grove_err);
	}
	qsort(o->tables, o->n, sizeof(*o->tables), grove_cmp);
}

static void grove_edit(struct grove *g, const struct plan_job *j,
		       struct grove_output *o)
{
	struct manifest *m = &g->t.m;
	struct store_error *err = &grove_err;
	size_t l, run = 0, i;

	if (j->into)
		CHECK(manifest_find_table(m, j->into, &l, &run, &i));
	for (size_t n = 0; n < j->n_inputs; n++)
		CHECK_OK(manifest_remove_table(m, j->inputs[n], err), *err);
	m->n_dropped = 0;
	if (!j->into)
		manifest_trim(m);
	if (j->kind != LSM_DROP && j->into)
		CHECK_OK(manifest_add_tables(m, j->level, run, o->tables, o->n,
					     err),
			 *err);
	else if (j->kind != LSM_DROP)
		CHECK_OK(manifest_add_run(m, j->level, o->tables, o->n, err),
			 *err);
	manifest_trim(m);
	CHECK_OK(manifest_check(m, "grove", NULL, err), *err);
}

/* What a drop takes with it is absent from then on. */
static void grove_forget(struct grove *g, const struct plan_job *j)
{
	for (size_t n = 0; n < j->n_inputs; n++) {
		const struct grove_table *t = grove_find(g, j->inputs[n]);

		for (size_t i = 0; i < t->n; i++)
			if (g->model[t->e[i].key] == t->e[i].version)
				g->model[t->e[i].key] = 0;
	}
}

static void grove_survey(struct survey *v, struct grove *g)
{
	g->t.now_ms = g->now_ms;
	g->t.log_bytes = g->n_log * GROVE_ENTRY;
	g->t.log_age_ms = g->n_log ? g->now_ms - g->log_created_ms : 0;
	tree_survey(v, &g->t, g->options);
}

static void grove_job(struct grove *g, struct plan_job *j)
{
	struct grove_output o = { .n = 0 };
	bool drops = g->plugin.strategy->flags & LSM_STRATEGY_DROPS;
	struct refusal why = { "" };
	struct survey v;

	g->jobs++;
	if (j->kind == LSM_FLUSH) {
		grove_flush(g);
		return;
	}
	grove_survey(&v, g);
	plan_job_refresh(j, &v);
	if (plan_job_check(j, &v, drops, &why, &grove_err) != 1) {
		printf("# refused: %s\n", why.text);
		CHECK(!"a planned job is right");
	}
	if (j->kind == LSM_MERGE)
		grove_merge(g, &v, j, &o);
	else if (j->kind == LSM_MOVE)
		grove_take(g, j, &o);
	else
		grove_forget(g, j);
	grove_edit(g, j, &o);
	if (j->kind != LSM_MOVE)
		for (size_t n = 0; n < j->n_inputs; n++) {
			free(g->tables[j->inputs[n]].e);
			g->tables[j->inputs[n]].e = NULL;
		}
	for (size_t n = 0; n < o.n; n++)
		table_meta_release(&o.tables[n]);
	free(o.tables);
	survey_release(&v);
}

/* ---- plans ---- */

/* The jobs due now; need() must agree. */
static void grove_plan(struct grove *g, struct plan *p)
{
	const struct lsm_strategy *s = g->plugin.strategy;
	struct lsm_budget budget = { 16, UINT64_MAX };
	struct survey v;
	uint64_t need;

	grove_survey(&v, g);
	need = s->need(&v.view);
	*p = PLAN_INIT;
	CHECK_OK(plan_make_here(p, s, &v, &g->t.m.options, &budget, &grove_err),
		 grove_err);
	CHECK(p->n == 0 || need > 0);
	CHECK(need == 0 || p->n > 0 || g->t.n_claimed > 0);
	survey_release(&v);
}

/* Until nothing is due. */
static void grove_round(struct grove *g)
{
	struct plan p;
	unsigned plans = 0;

	for (;;) {
		bool rests;

		grove_plan(g, &p);
		rests = p.n == 0;
		for (size_t i = 0; i < p.n; i++)
			grove_job(g, &p.jobs[i]);
		plan_release(&p);
		if (rests)
			return;
		CHECK(++plans < 1000);
	}
}

/* ---- looking ---- */

static uint64_t grove_bytes(const struct grove *g)
{
	uint64_t bytes = 0;

	for (size_t l = 0; l < g->t.m.n_levels; l++)
		for (size_t r = 0; r < g->t.m.levels[l].n; r++)
			for (size_t i = 0; i < g->t.m.levels[l].runs[r].n; i++)
				bytes += g->t.m.levels[l]
						 .runs[r]
						 .tables[i]
						 .bytes;
	return bytes;
}

/* As many as the store would have, were it one run. */
static uint64_t grove_live_bytes(const struct grove *g)
{
	uint64_t n = 0;

	for (size_t k = 0; k < GROVE_KEYS; k++)
		n += g->model[k] != 0;
	return n * GROVE_ENTRY;
}

/* Every key gives what the model says, by the order of search alone. */
static void grove_check(struct grove *g)
{
	uint32_t *seen = calloc(GROVE_KEYS, sizeof(*seen));
	bool *known = calloc(GROVE_KEYS, sizeof(*known));
	struct survey v;

	CHECK(seen && known);
	grove_survey(&v, g);
	for (size_t i = g->n_log; i-- > 0;)
		if (!known[g->log[i].key]) {
			known[g->log[i].key] = true;
			seen[g->log[i].key] = g->log[i].version;
		}
	for (size_t i = 0; i < v.view.n_tables; i++) {
		const struct grove_table *t = grove_find(g, v.tables[i].number);

		for (size_t n = 0; n < t->n; n++)
			if (!known[t->e[n].key]) {
				known[t->e[n].key] = true;
				seen[t->e[n].key] = t->e[n].version;
			}
	}
	CHECK(memcmp(seen, g->model, GROVE_KEYS * sizeof(*seen)) == 0);
	survey_release(&v);
	free(known);
	free(seen);
}

#endif
