/*
 * fence.h, and with it plans and strategies as a whole: a tree of tables in
 * memory is flushed into and compacted as the engine would, and must always
 * keep the invariants of a version and give the right answer for every key.
 */
#include "lib/fence.h"
#include "lib/plugin.h"
#include "tests/unit/tree.h"

/* ---- one job ---- */

static void fence_of(struct fence *f, struct survey *s, struct tree *t,
		     const char *text, struct plan_job *j)
{
	struct store_error err = STORE_ERROR_INIT;
	struct refusal why = { "" };

	tree_read(t, text);
	tree_survey(s, t, NULL);
	j->kind = LSM_MERGE;
	j->table_bytes = 1 << 20;
	CHECK(plan_job_check(j, s, false, &why, &err) == 1);
	*f = FENCE_INIT;
	CHECK_OK(fence_make(f, j, s, NULL, 0, &err), err);
}

static void fence_end(struct fence *f, struct survey *s, struct tree *t)
{
	fence_release(f);
	survey_release(s);
	manifest_release(&t->m);
}

TEST(an_output_ends_before_it_overlaps_what_is_not_newer)
{
	uint64_t inputs[] = { 20, 1 }, first, last;
	struct plan_job j = {
		.level = 2, .into = 1, .inputs = inputs, .n_inputs = 2
	};
	struct survey s;
	struct fence f;
	struct tree t;

	fence_of(&f, &s, &t,
		 "level 1\nrun\n20 c..h age 10-20 1M\n21 m..p age 11-19 1M\n"
		 "level 2\nrun\n1 a..q age 1 1M\n",
		 &j);
	fence_begin(&f, slice_str("a"));
	CHECK(fence_reach(&f, slice_str("b")));
	fence_age(&f, &first, &last);
	CHECK(first == 1 && last == 1);
	CHECK(fence_reach(&f, slice_str("h")));
	CHECK(fence_reach(&f, slice_str("l")));
	fence_age(&f, &first, &last);
	CHECK(first == 1 && last == 20);
	/* Its age 20 is not below the 11 of table 21. */
	CHECK(!fence_reach(&f, slice_str("m")));
	CHECK(!fence_reach(&f, slice_str("z")));
	fence_begin(&f, slice_str("n"));
	fence_age(&f, &first, &last);
	CHECK(first == 1 && last == 1);
	CHECK(fence_reach(&f, slice_str("q")));
	fence_end(&f, &s, &t);
}

TEST(an_output_ends_before_a_table_of_its_own_run)
{
	uint64_t inputs[] = { 20, 1, 3 };
	struct plan_job j = {
		.level = 1, .into = 1, .inputs = inputs, .n_inputs = 3
	};
	struct survey s;
	struct fence f;
	struct tree t;

	fence_of(&f, &s, &t,
		 "level 0\nrun\n20 a..b age 20 1M\n"
		 "level 1\nrun\n1 a..b age 1 1M\n2 e..f age 1 1M\n"
		 "3 x..y age 1 1M\n",
		 &j);
	fence_begin(&f, slice_str("a"));
	CHECK(fence_reach(&f, slice_str("b")));
	CHECK(!fence_reach(&f, slice_str("x")));
	fence_begin(&f, slice_str("x"));
	CHECK(fence_reach(&f, slice_str("y")));
	fence_end(&f, &s, &t);
}

TEST(a_tombstone_goes_where_nothing_older_has_its_key)
{
	uint64_t inputs[] = { 20 };
	struct plan_job j = { .level = 1, .inputs = inputs, .n_inputs = 1 };
	struct survey s;
	struct fence f;
	struct tree t;

	fence_of(&f, &s, &t,
		 "level 0\nrun\n30 a..z age 30 1M\nrun\n20 a..z age 20 1M\n"
		 "level 1\nrun\n1 c..d age 1 1M\n"
		 "level 2\nrun\n2 g..h age 1 1M\n3 k..k age 1 1M\n",
		 &j);
	CHECK(!fence_hides(&f, slice_str("a")));
	CHECK(fence_hides(&f, slice_str("c")));
	CHECK(fence_hides(&f, slice_str("cc")));
	CHECK(!fence_hides(&f, slice_str("e")));
	CHECK(fence_hides(&f, slice_str("h")));
	CHECK(!fence_hides(&f, slice_str("j")));
	CHECK(fence_hides(&f, slice_str("k")));
	CHECK(!fence_hides(&f, slice_str("l")));
	fence_end(&f, &s, &t);
}

/* ---- many rounds ---- */

#define KEYS 600
#define TABLE_ENTRIES 24
#define ENTRY_BYTES 1024

struct item {
	int key;
	unsigned version; /* 0: a tombstone */
};

struct sim {
	struct tree t;
	struct item *content[20000]; /* of table, by number */
	size_t n[20000];
	unsigned model[KEYS]; /* what each key holds; 0: absent */
	unsigned clock;
	uint64_t seed;
	struct plugin plugin;
	uint64_t options[LSM_OPTIONS_MAX];
	uint64_t written;
};

static unsigned roll(struct sim *s, unsigned n)
{
	s->seed = s->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(s->seed >> 33) % n;
}

static void key_text(char *text, int key)
{
	snprintf(text, 16, "k%05d", key);
}

static struct table_meta sim_table(struct sim *s, const struct item *items,
				   size_t n, uint64_t first, uint64_t last)
{
	struct table_meta m = { .number = s->t.m.next_number++,
				.age_first = first,
				.age_last = last,
				.bytes = n * ENTRY_BYTES,
				.entries = n };
	char text[16];

	CHECK(m.number < 20000);
	s->content[m.number] = malloc(n * sizeof(*items));
	memcpy(s->content[m.number], items, n * sizeof(*items));
	s->n[m.number] = n;
	for (size_t i = 0; i < n; i++)
		m.tombstones += items[i].version == 0;
	key_text(text, items[0].key);
	CHECK(buf_assign(&m.smallest, slice_str(text)) == 0);
	key_text(text, items[n - 1].key);
	CHECK(buf_assign(&m.largest, slice_str(text)) == 0);
	return m;
}

static void sim_flush(struct sim *s)
{
	struct store_error err = STORE_ERROR_INIT;
	struct table_meta out[64] = { { .number = 0 } };
	struct item items[KEYS];
	uint64_t log = s->t.m.next_number++;
	int from = (int)roll(s, KEYS), span = 1 + (int)roll(s, KEYS);
	unsigned often = 1 + roll(s, 8);
	size_t n = 0, tables = 0;

	for (int k = from; k < KEYS && k < from + span; k++) {
		if (roll(s, often))
			continue;
		items[n].key = k;
		items[n].version = roll(s, 4) ? ++s->clock : 0;
		s->model[k] = items[n++].version;
	}
	for (size_t i = 0; i < n; i += TABLE_ENTRIES)
		out[tables++] =
			sim_table(s, items + i,
				  n - i < TABLE_ENTRIES ? n - i : TABLE_ENTRIES,
				  log, log);
	CHECK_OK(manifest_add_run(&s->t.m, 0, out, tables, &err), err);
	for (size_t i = 0; i < tables; i++)
		table_meta_release(&out[i]);
}

static const struct item *sim_find(const struct sim *s, uint64_t table, int key)
{
	for (size_t i = 0; i < s->n[table]; i++)
		if (s->content[table][i].key == key)
			return &s->content[table][i];
	return NULL;
}

/* Every key gives what the model says, by search order alone. */
static void sim_check(struct sim *s)
{
	struct store_error err = STORE_ERROR_INIT;
	struct survey v;

	CHECK_OK(manifest_check(&s->t.m, "sim", NULL, &err), err);
	tree_survey(&v, &s->t, s->options);
	for (int k = 0; k < KEYS; k++) {
		unsigned found = 0;

		for (size_t i = 0; i < v.view.n_tables; i++) {
			const struct item *at =
				sim_find(s, v.tables[i].number, k);

			if (!at)
				continue;
			found = at->version;
			break;
		}
		CHECK(found == s->model[k]);
	}
	survey_release(&v);
}

struct sim_output {
	struct table_meta tables[2000];
	size_t n;
	struct item items[KEYS];
	size_t n_items;
};

static void sim_end(struct sim *s, struct fence *f, struct sim_output *o)
{
	uint64_t first, last;

	if (o->n_items == 0)
		return;
	fence_age(f, &first, &last);
	o->tables[o->n++] = sim_table(s, o->items, o->n_items, first, last);
	s->written += o->n_items * ENTRY_BYTES;
	o->n_items = 0;
}

/* As job.c merges. */
static void sim_merge(struct sim *s, const struct survey *v,
		      const struct plan_job *j, struct sim_output *o)
{
	struct store_error err = STORE_ERROR_INIT;
	struct fence f = FENCE_INIT;
	char text[16];

	CHECK_OK(fence_make(&f, j, v, NULL, 0, &err), err);
	for (int k = 0; k < KEYS; k++) {
		const struct item *at = NULL;

		key_text(text, k);
		for (size_t i = 0; !at && i < v->view.n_tables; i++)
			if (f.input[i])
				at = sim_find(s, v->tables[i].number, k);
		if (!at || (!at->version && !fence_hides(&f, slice_str(text))))
			continue;
		if (o->n_items * ENTRY_BYTES >= j->table_bytes ||
		    (o->n_items && !fence_reach(&f, slice_str(text))))
			sim_end(s, &f, o);
		if (o->n_items == 0)
			fence_begin(&f, slice_str(text));
		o->items[o->n_items++] = *at;
	}
	sim_end(s, &f, o);
	fence_release(&f);
}

static int cmp_smallest(const void *a, const void *b)
{
	const struct table_meta *x = a, *y = b;

	return slice_cmp(buf_slice(&x->smallest), buf_slice(&y->smallest));
}

static void sim_take(struct sim *s, const struct plan_job *j,
		     struct sim_output *o)
{
	struct store_error err = STORE_ERROR_INIT;
	size_t l, r, i;

	for (size_t n = 0; n < j->n_inputs; n++) {
		CHECK(manifest_find_table(&s->t.m, j->inputs[n], &l, &r, &i));
		CHECK_OK(table_meta_copy(&o->tables[o->n++],
					 &s->t.m.levels[l].runs[r].tables[i],
					 &err),
			 err);
	}
	qsort(o->tables, o->n, sizeof(*o->tables), cmp_smallest);
}

static void sim_job(struct sim *s, struct plan_job *j)
{
	static struct sim_output o;
	struct store_error err = STORE_ERROR_INIT;
	struct refusal why = { "" };
	struct manifest *m = &s->t.m;
	size_t l, run = 0, i;
	struct survey v;

	tree_survey(&v, &s->t, s->options);
	o.n = 0;
	plan_job_refresh(j, &v);
	CHECK(plan_job_check(j, &v, false, &why, &err) == 1);
	if (j->kind == LSM_MERGE)
		sim_merge(s, &v, j, &o);
	else
		sim_take(s, j, &o);
	if (j->into)
		CHECK(manifest_find_table(m, j->into, &l, &run, &i));
	for (size_t n = 0; n < j->n_inputs; n++)
		CHECK_OK(manifest_remove_table(m, j->inputs[n], &err), err);
	m->n_dropped = 0;
	if (!j->into)
		manifest_trim(m);
	CHECK_OK(j->into ? manifest_add_tables(m, j->level, run, o.tables, o.n,
					       &err)
			 : manifest_add_run(m, j->level, o.tables, o.n, &err),
		 err);
	manifest_trim(m);
	for (size_t n = 0; n < o.n; n++)
		table_meta_release(&o.tables[n]);
	survey_release(&v);
}

static void sim_round(struct sim *s)
{
	struct lsm_budget budget = { 16, UINT64_MAX };
	struct store_error err = STORE_ERROR_INIT;
	unsigned plans = 0;
	size_t n;

	do {
		struct plan p = PLAN_INIT;
		struct survey v;

		tree_survey(&v, &s->t, s->options);
		CHECK_OK(plan_make_here(&p, s->plugin.strategy, &v,
					&s->t.m.options, &budget, &err),
			 err);
		survey_release(&v);
		n = p.n;
		for (size_t i = 0; i < n; i++)
			sim_job(s, &p.jobs[i]);
		plan_release(&p);
		CHECK(++plans < 500);
	} while (n);
}

static void sim_start(struct sim *s, const char *strategy, uint64_t seed)
{
	struct store_error err = STORE_ERROR_INIT;
	struct options *o;

	*s = (struct sim){ .seed = seed, .plugin = PLUGIN_INIT };
	tree_read(&s->t, "");
	o = &s->t.m.options;
	o->level0_runs = 1 + roll(s, 5);
	o->level_ratio = 2 + roll(s, 4);
	o->table_bytes = 4096u << roll(s, 4);
	o->table_bytes_max = o->table_bytes * (1 + roll(s, 4));
	o->job_bytes = UINT64_C(16384) << roll(s, 8);
	s->t.m.next_number = 1;
	CHECK_OK(plugin_open(&s->plugin, NULL, strategy, &err), err);
	CHECK_OK(plugin_options(s->plugin.strategy, NULL, 0, s->options, &err),
		 err);
}

static void sim_stop(struct sim *s)
{
	for (size_t i = 0; i < 20000; i++)
		free(s->content[i]);
	plugin_close(&s->plugin);
	manifest_release(&s->t.m);
}

static void check_shape(const struct sim *s)
{
	bool leveled = !strcmp(s->plugin.strategy->name, "leveled");

	for (size_t l = 0; l < s->t.m.n_levels; l++)
		CHECK(s->t.m.levels[l].n <= (l && leveled ? 1 : l ? 4 : 5));
}

static void simulate(const char *strategy, const char *then)
{
	static struct sim s;
	struct store_error err = STORE_ERROR_INIT;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		sim_start(&s, strategy, seed);
		for (int i = 0; i < 60; i++) {
			if (then && i == 30) {
				plugin_close(&s.plugin);
				CHECK_OK(plugin_open(&s.plugin, NULL, then,
						     &err),
					 err);
			}
			for (unsigned n = 1 + roll(&s, 4); n; n--)
				sim_flush(&s);
			sim_round(&s);
			sim_check(&s);
			if (!then)
				check_shape(&s);
		}
		sim_stop(&s);
	}
}

TEST(leveled_rounds_keep_every_answer)
{
	simulate("leveled", NULL);
}

TEST(tiered_rounds_keep_every_answer)
{
	simulate("tiered", NULL);
}

TEST(changing_the_strategy_keeps_every_answer)
{
	/* tiered has two options of its own, leveled none: set them first. */
	simulate("tiered", "leveled");
}

TEST_MAIN()
