/*
 * Each strategy over many rounds on a store of keys alone (tests/unit/grove.h):
 * rounds end, need() agrees with plan(), every key gives what was put, and
 * when nothing is due any more the tree has the shape that the strategy
 * promises.  What one plan proposes is right in any order, in part, and while
 * others work.
 */
#include "tests/unit/grove.h"

#define FLUSH 64 /* entries */

static const char *const all[] = { "leveled", "tiered", "lazy-leveled",
				   "unified", "fifo" };
#define N_ALL (sizeof(all) / sizeof(all[0]))

/* Small tables, so that a few thousand keys make several levels. */
static void start(struct grove *g, const char *strategy, uint64_t seed)
{
	struct options *o;

	grove_open(g, strategy);
	g->seed = seed;
	o = &g->t.m.options;
	o->level0_runs = 1 + grove_roll(g, 5);
	o->level_ratio = 2 + grove_roll(g, 9);
	o->write_buffer = FLUSH * GROVE_ENTRY;
	o->table_bytes = (uint64_t)FLUSH * GROVE_ENTRY / 2;
	o->table_bytes_max = o->table_bytes * (1 + grove_roll(g, 4));
	o->job_bytes = o->table_bytes << grove_roll(g, 6);
}

/* Random or ascending keys, with deletes of a part of them. */
static void fill(struct grove *g, unsigned keys, unsigned deletes)
{
	unsigned from = grove_roll(g, keys), ascending = grove_roll(g, 4) == 0;

	for (unsigned i = 0; i < FLUSH; i++) {
		uint32_t key =
			ascending ? (from + i) % keys : grove_roll(g, keys);

		if (deletes && grove_roll(g, deletes) == 0)
			grove_delete(g, key);
		else
			grove_put(g, key);
	}
	g->now_ms += 1000;
	grove_flush(g);
}

/* ---- shapes ---- */

static size_t runs_of(const struct grove *g)
{
	size_t n = 0;

	for (size_t l = 0; l < g->t.m.n_levels; l++)
		n += g->t.m.levels[l].n;
	return n;
}

static void check_leveled(const struct grove *g)
{
	for (size_t l = 1; l < g->t.m.n_levels; l++)
		CHECK(g->t.m.levels[l].n <= 1);
}

static void check_tiered(const struct grove *g)
{
	for (size_t l = 1; l < g->t.m.n_levels; l++)
		CHECK(g->t.m.levels[l].n < g->options[0]);
	CHECK(runs_of(g) <= g->options[2]);
}

static void check_lazy(const struct grove *g)
{
	size_t last = g->t.m.n_levels ? g->t.m.n_levels - 1 : 0;

	for (size_t l = 1; l < last; l++)
		CHECK(g->t.m.levels[l].n < g->options[0]);
	CHECK(last == 0 || g->t.m.levels[last].n <= 1);
}

/* Fewer runs of a class than it takes, and no more classes than there are. */
static void check_unified(const struct grove *g)
{
	int64_t w = (int64_t)g->options[0];
	uint64_t f = (uint64_t)(w < 0 ? 2 - w : 2 + w), most = w < 0 ? 2 : f;
	uint64_t size = g->t.m.options.write_buffer, classes = 1;

	for (size *= g->t.m.options.level0_runs; size * f <= grove_bytes(g);
	     size *= f)
		classes++;
	CHECK(runs_of(g) <=
	      classes * (most - 1) + g->t.m.options.level0_runs - 1);
}

static void check_fifo(const struct grove *g)
{
	CHECK(!g->options[0] || grove_bytes(g) <= g->options[0]);
}

static void check_shape(const struct grove *g)
{
	static void (*const checks[])(const struct grove *) = {
		check_leveled, check_tiered, check_lazy, check_unified,
		check_fifo
	};

	if (g->t.m.n_levels)
		CHECK(g->t.m.levels[0].n < g->t.m.options.level0_runs ||
		      g->t.m.options.level0_runs < 2);
	for (size_t i = 0; i < N_ALL; i++)
		if (!strcmp(g->plugin.strategy->name, all[i]))
			checks[i](g);
}

static void vary(struct grove *g)
{
	static const char *const runs[] = { "2", "3", "4", "7" };
	static const char *const w[] = { "-8", "-1", "0", "1", "5" };
	const char *name = g->plugin.strategy->name;

	if (!strcmp(name, "unified"))
		grove_set(g, "scaling", w[grove_roll(g, 5)]);
	if (!strcmp(name, "tiered") || !strcmp(name, "lazy-leveled"))
		grove_set(g, "min_runs", runs[grove_roll(g, 4)]);
	if (!strcmp(name, "tiered"))
		grove_set(g, "max_runs", grove_roll(g, 2) ? "7" : "20");
	if (!strcmp(name, "fifo"))
		grove_set(g, "max_bytes", "2M");
}

static void walk(const char *strategy, uint64_t seed)
{
	static struct grove g;

	start(&g, strategy, seed);
	for (unsigned i = 0; i < 60; i++) {
		if (i % 20 == 0)
			vary(&g); /* also in mid-life */
		for (unsigned n = 1 + grove_roll(&g, 3); n; n--)
			fill(&g, 2000, 1 + grove_roll(&g, 5));
		grove_round(&g);
		check_shape(&g);
		if (i % 10 == 9)
			grove_check(&g);
	}
	grove_close(&g);
}

#define SHAPE_TEST(name_, strategy_)                                           \
	TEST(name_)                                                            \
	{                                                                      \
		for (uint64_t seed = 1; seed <= 12; seed++)                    \
			walk(strategy_, seed);                                 \
	}

SHAPE_TEST(leveled_has_one_run_a_level, "leveled")
SHAPE_TEST(tiered_has_fewer_runs_than_it_merges_and_not_too_many, "tiered")
SHAPE_TEST(lazy_leveled_has_one_run_in_the_last_level, "lazy-leveled")
SHAPE_TEST(unified_has_fewer_runs_of_a_class_than_it_takes, "unified")
SHAPE_TEST(fifo_keeps_its_size, "fifo")

/* ---- plans ---- */

static bool takes(const struct grove *g, const struct plan_job *j)
{
	for (size_t i = 0; i < j->n_inputs; i++)
		for (size_t k = 0; k < g->t.n_claimed; k++)
			if (j->inputs[i] == g->t.claimed[k])
				return true;
	return false;
}

/*
 * One job of the plan is under way, its inputs claimed; whatever is planned
 * meanwhile leaves them alone and is carried out, in an order by chance; then
 * the job must still be right.
 */
static void work_beside(struct grove *g)
{
	struct plan p, q;
	struct plan_job *under;

	grove_plan(g, &p);
	under = p.n ? &p.jobs[grove_roll(g, (unsigned)p.n)] : NULL;
	if (!under ||
	    under->n_inputs > sizeof(g->t.claimed) / sizeof(*g->t.claimed)) {
		plan_release(&p);
		grove_round(g);
		return;
	}
	g->t.n_claimed = 0;
	for (size_t i = 0; under->kind != LSM_FLUSH && i < under->n_inputs; i++)
		g->t.claimed[g->t.n_claimed++] = under->inputs[i];
	for (unsigned round = 0; round < 3; round++) {
		grove_plan(g, &q);
		for (size_t i = q.n; i-- > 0;) {
			CHECK(!takes(g, &q.jobs[i]));
			if (grove_roll(g, 4))
				grove_job(g, &q.jobs[i]);
		}
		plan_release(&q);
		if (grove_roll(g, 2))
			fill(g, 2000, 4);
	}
	g->t.n_claimed = 0;
	grove_job(g, under);
	plan_release(&p);
	grove_check(g);
}

TEST(what_is_planned_beside_a_job_leaves_it_right)
{
	static struct grove g;

	for (size_t s = 0; s < N_ALL; s++)
		for (uint64_t seed = 1; seed <= 6; seed++) {
			start(&g, all[s], seed);
			g.t.m.options.job_bytes = 1 << 20;
			for (unsigned i = 0; i < 40; i++) {
				for (unsigned n = grove_roll(&g, 8); n; n--)
					fill(&g, 2000, 8);
				work_beside(&g);
			}
			grove_round(&g);
			check_shape(&g);
			grove_close(&g);
		}
}

TEST(a_change_of_strategy_comes_to_rest_in_its_shape)
{
	static struct grove g;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		start(&g, "leveled", seed);
		for (unsigned i = 0; i < 40; i++) {
			unsigned to = grove_roll(&g, 4); /* fifo drops */

			grove_strategy(&g, all[to]);
			vary(&g);
			for (unsigned n = 1 + grove_roll(&g, 9); n; n--)
				fill(&g, 3000, 4);
			grove_round(&g);
			check_shape(&g);
			grove_check(&g);
		}
		grove_close(&g);
	}
}

/* ---- deadlines ---- */

static uint64_t oldest_tombstone(const struct grove *g)
{
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < g->n_tables; i++)
		for (size_t k = 0; g->tables[i].e && k < g->tables[i].n; k++)
			if (g->tables[i].e[k].version == 0 &&
			    g->tables[i].e[k].born_ms < oldest)
				oldest = g->tables[i].e[k].born_ms;
	for (size_t i = 0; i < g->n_log; i++)
		if (g->log[i].version == 0 && g->log[i].born_ms < oldest)
			oldest = g->log[i].born_ms;
	return oldest;
}

/* A day of few writes; lsm-compact runs once an eighth of the deadline. */
static void keep_deadline(const char *strategy, uint64_t seed)
{
	static struct grove g;
	const uint64_t deadline = 8000 * 1000;

	start(&g, strategy, seed);
	g.t.m.options.level0_runs = 4;
	for (unsigned i = 0; i < 60; i++)
		fill(&g, 3000, 0);
	grove_round(&g);
	grove_set(&g, "tombstone_deadline", "8000");
	for (unsigned i = 0; i < 40; i++) {
		unsigned writes = i % 10 < 5 ? grove_roll(&g, 3) : 0;

		for (unsigned n = 0; n < writes * 20; n++) {
			if (grove_roll(&g, 3))
				grove_put(&g, grove_roll(&g, 3000));
			else
				grove_delete(&g, grove_roll(&g, 3000));
			if (n == 30)
				grove_flush(&g);
		}
		g.now_ms += deadline / 8;
		grove_round(&g);
		CHECK(oldest_tombstone(&g) > g.now_ms - deadline);
		grove_check(&g);
	}
	CHECK(oldest_tombstone(&g) == UINT64_MAX);
	grove_close(&g);
}

TEST(a_tombstone_is_gone_by_its_deadline)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		keep_deadline("leveled", seed);
		keep_deadline("lazy-leveled", seed);
		keep_deadline("unified", seed);
	}
}

TEST(without_a_deadline_tombstones_may_stay)
{
	static struct grove g;

	start(&g, "leveled", 1);
	g.t.m.options.level0_runs = 4;
	for (unsigned i = 0; i < 6; i++)
		fill(&g, 3000, 0);
	grove_round(&g);
	grove_delete(&g, 7);
	grove_flush(&g);
	g.now_ms += UINT64_C(1000) * 86400 * 365;
	grove_round(&g);
	CHECK(oldest_tombstone(&g) != UINT64_MAX);
	grove_close(&g);
}

/* ---- figures ---- */

#define STORE_KEYS 3840

enum load { UNIFORM, OVERWRITE, ZIPF, DELETES, N_LOADS };

/* The key of entry `i` of a workload; deletes are of keys that are there. */
static void write_one(struct grove *g, enum load load, unsigned i)
{
	unsigned key = i % STORE_KEYS, step = 1733; /* coprime: no order */

	switch (load) {
	case UNIFORM:
		grove_put(g, grove_roll(g, STORE_KEYS));
		break;
	case OVERWRITE:
		grove_put(g, key * step % STORE_KEYS);
		break;
	case ZIPF:
		/* about: half of the writes go to the root of the keys */
		while (grove_roll(g, 2))
			key = grove_roll(g, key + 1);
		grove_put(g, key * step % STORE_KEYS);
		break;
	default:
		if (i < STORE_KEYS)
			grove_put(g, key * step % STORE_KEYS);
		else if (i < STORE_KEYS + STORE_KEYS / 2)
			grove_delete(g, key * step % STORE_KEYS);
	}
}

/* Bytes of tables over live ones at their most, when nothing was due. */
static double space_of(struct grove *g, const char *strategy, enum load load,
		       unsigned buffer, unsigned passes)
{
	double worst = 0, space;

	grove_open(g, strategy);
	g->seed = load + 1;
	g->t.m.options.write_buffer = (uint64_t)buffer * GROVE_ENTRY;
	g->t.m.options.table_bytes = g->t.m.options.table_bytes_max =
		(uint64_t)FLUSH * GROVE_ENTRY;
	g->t.m.options.level0_bytes = 1 << 30;
	for (unsigned i = 0; i < passes * STORE_KEYS; i++) {
		write_one(g, load, i);
		if ((i + 1) % buffer && i + 1 < passes * STORE_KEYS)
			continue;
		grove_flush(g);
		grove_round(g);
		space = (double)grove_bytes(g) / (double)grove_live_bytes(g);
		if (i >= STORE_KEYS && space > worst)
			worst = space;
	}
	return worst;
}

/* Whatever its size beside what a flush brings. */
TEST(leveled_wastes_little_when_nothing_is_due)
{
	static const unsigned buffers[] = { 64, 256, 1024, 2048, 8192 };
	static struct grove g;

	for (enum load load = UNIFORM; load < N_LOADS; load++)
		for (size_t i = 0; i < sizeof(buffers) / sizeof(*buffers);
		     i++) {
			double worst =
				space_of(&g, "leveled", load, buffers[i], 5);
			double last = (double)grove_bytes(&g) /
				      (double)grove_live_bytes(&g);

			printf("# workload %u, flushes of %u keys: space %.2f, "
			       "at most %.2f; written %.2f\n",
			       load, buffers[i], last, worst,
			       1 + (double)g.merged / (double)g.flushed);
			CHECK(last < 1.15);
			CHECK(load != DELETES || worst < 1.15);
			CHECK(2 * g.merged < 17 * g.flushed);
			grove_close(&g);
		}
}

TEST_MAIN()
