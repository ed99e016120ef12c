/*
 * Compaction by chance: whatever is planned, by a strategy (tests/plugins/
 * random.c) or as text, is refused or carried out, and every read is the same
 * before and after.
 *
 * SEED=n runs one seed; SEEDS and ROUNDS change how many.
 */
#include "lib/engine.h"
#include "lib/inspect.h"
#include "lib/install.h"
#include "lib/plan.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define BAD_PLUGINS PLUGIN_DIR "/../tests/plugins"
#define KEYS 300

struct chance {
	struct store *db;
	char path[100];
	unsigned version[KEYS]; /* 0: absent */
	unsigned was[KEYS];	/* when the snapshot was taken */
	struct store_snapshot *snap;
	struct buf stale; /* a plan of some rounds ago */
	unsigned clock;
	uint64_t seed, state;
	unsigned round;
	unsigned done, refused; /* of all seeds */
};

static struct store_error err;

#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond)) {                                                 \
			printf("# SEED=%llu round %u: %s (line %d): %s\n",     \
			       (unsigned long long)c->seed, c->round, #cond,   \
			       __LINE__, err.text);                            \
			longjmp(test_failed, 1);                               \
		}                                                              \
	} while (0)

/* splitmix64 */
static size_t roll(struct chance *c, size_t n)
{
	uint64_t z = (c->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ (z >> 31)) % n);
}

/* ---- the store and what must be in it ---- */

static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static void create(struct chance *c)
{
	char seed[24];
	const struct store_setting_text settings[] = {
		{ "table_bytes", "4K" },   { "table_bytes_max", "8K" },
		{ "block_bytes", "512" },  { "job_bytes", "64K" },
		{ "compression", "none" }, { "compression_last", "none" },
	};
	const struct store_setting_text own[] = { { "seed", seed } };
	struct store_config config = {
		.flags = STORE_WRITE | STORE_CREATE,
		.strategy = "random",
		.settings = settings,
		.n_settings = sizeof(settings) / sizeof(settings[0]),
		.strategy_settings = own,
		.n_strategy_settings = 1,
		.plugins = BAD_PLUGINS,
	};

	/* Nothing here is about power. */
	os.fsync = os.fdatasync = no_sync;
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)c->seed);
	snprintf(c->path, sizeof(c->path), "%s", scratch());
	MUST(store_open(&c->db, c->path, &config, &err) == 0);
}

static struct slice value_of(unsigned key, unsigned version)
{
	static uint8_t value[200];
	size_t n = 20 + version % 150;

	for (size_t i = 0; i < n; i++)
		value[i] = (uint8_t)(key + version * 7 + i);
	return slice_make(value, n);
}

static struct slice key_of(unsigned k)
{
	static char key[16];

	snprintf(key, sizeof(key), "k%05u", k);
	return slice_str(key);
}

/* Puts and deletes in a part of the keys, so that ranges differ. */
static void write_some(struct chance *c)
{
	struct store_batch b = STORE_BATCH_INIT;
	unsigned from = (unsigned)roll(c, KEYS);
	unsigned to = from + 1 + (unsigned)roll(c, KEYS - from);
	size_t often = 1 + roll(c, 6);

	for (unsigned k = from; k < to; k++) {
		struct store_entry e = { .kind = STORE_PUT, .key = key_of(k) };

		if (roll(c, often))
			continue;
		c->version[k] = roll(c, 4) ? ++c->clock : 0;
		if (c->version[k])
			e.value = value_of(k, c->version[k]);
		else
			e.kind = STORE_DELETE;
		MUST(store_batch_add(&b, &e, &err) == 0);
	}
	MUST(store_write(c->db, &b, STORE_NOSYNC, &err) == 0);
	store_batch_free(&b);
}

/* All that a scan and a get tell. */
static void check_reads(struct chance *c, struct store_snapshot *snap,
			const unsigned *version)
{
	struct buf value = BUF_INIT;
	struct store_iter *it;
	struct slice v;
	int r;

	MUST(store_iter_open(c->db, snap, &it, &err) == 0);
	r = store_iter_first(it, &err);
	for (unsigned k = 0; k < KEYS; k++) {
		if (!version[k])
			continue;
		MUST(r == 1 && slice_eq(store_iter_key(it), key_of(k)));
		MUST(store_iter_value(it, &v, &err) == 0);
		MUST(slice_eq(v, value_of(k, version[k])));
		r = store_iter_next(it, &err);
	}
	MUST(r == 0);
	store_iter_close(it);
	for (unsigned k = (unsigned)roll(c, 5); k < KEYS; k += 5) {
		r = snap ? store_snapshot_get(snap, key_of(k), &value, &err)
			 : store_get(c->db, key_of(k), &value, &err);
		MUST(r == (version[k] != 0));
		MUST(!r ||
		     slice_eq(buf_slice(&value), value_of(k, version[k])));
	}
	buf_free(&value);
}

static void renew_snapshot(struct chance *c)
{
	if (c->snap) {
		check_reads(c, c->snap, c->was);
		store_snapshot_free(c->snap);
		c->snap = NULL;
		return;
	}
	MUST(store_snapshot(c->db, &c->snap, &err) == 0);
	memcpy(c->was, c->version, sizeof(c->was));
}

/* What became of a plan: done, or refused and nothing happened. */
static void count(struct chance *c, int r,
		  const struct store_compact_result *result)
{
	MUST(r == 0 || r == STORE_ECONFIG || r == STORE_ECORRUPT);
	c->done += (unsigned)result->jobs;
	c->refused += r < 0;
	err = STORE_ERROR_INIT;
	check_reads(c, NULL, c->version);
}

/* ---- plans as text ---- */

/*
 * Some tables of the store, and now and then of none: of runs that are
 * neighbours in the order of search, each whole or in part.
 */
static void random_inputs(struct chance *c, const struct manifest *m,
			  struct plan_job *j)
{
	size_t odds = roll(c, 2) ? 1 : 1 + roll(c, 4);
	size_t skip = roll(c, 4), take = 1 + roll(c, 5);

	j->inputs = calloc(5000, sizeof(*j->inputs));
	MUST(j->inputs);
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++) {
			const struct run *run = &m->levels[l].runs[r];

			if (skip ? skip-- : !take || !take--)
				continue;
			for (size_t i = 0; i < run->n && j->n_inputs < 4000;
			     i++)
				if (roll(c, odds) == 0)
					j->inputs[j->n_inputs++] =
						run->tables[i].number;
		}
	if (j->n_inputs && roll(c, 30) == 0)
		j->inputs[roll(c, j->n_inputs)] = 1 + roll(c, 3000);
}

static uint32_t deepest(const struct manifest *m, const struct plan_job *j)
{
	size_t level, run, at, most = 0;

	for (size_t i = 0; i < j->n_inputs; i++)
		if (manifest_find_table(m, j->inputs[i], &level, &run, &at) &&
		    level > most)
			most = level;
	return (uint32_t)most;
}

static void random_job(struct chance *c, const struct manifest *m,
		       struct plan_job *j)
{
	static const uint32_t kinds[] = { PLAN_MERGE, PLAN_MERGE, PLAN_MERGE,
					  PLAN_MERGE, PLAN_MOVE,  PLAN_MOVE,
					  PLAN_DROP,  PLAN_FLUSH };

	*j = (struct plan_job){
		.kind = kinds[roll(c, 8)],
		.table_bytes = UINT64_C(4096) << roll(c, 3),
		.why = "by chance",
	};
	if (j->kind != PLAN_FLUSH)
		random_inputs(c, m, j);
	j->level = roll(c, 4) ? deepest(m, j) + (roll(c, 4) == 0)
			      : (uint32_t)roll(c, m->n_levels + 1);
	if (j->level < m->n_levels && m->levels[j->level].n && roll(c, 3) == 0)
		j->into = m->levels[j->level]
				  .runs[roll(c, m->levels[j->level].n)]
				  .tables[0]
				  .number;
}

static void random_text(struct chance *c, struct buf *text)
{
	struct plan_heading h = { .strategy = "chance" };
	struct manifest m = MANIFEST_INIT;
	struct plan p = { .n = 1 + roll(c, 3) };

	MUST(install_manifest(c->db, &m, &err) == 0);
	p.jobs = calloc(p.n, sizeof(*p.jobs));
	MUST(p.jobs);
	for (size_t i = 0; i < p.n; i++)
		random_job(c, &m, &p.jobs[i]);
	memcpy(h.uuid, m.uuid, sizeof(h.uuid));
	MUST(plan_format(&p, &h, text, &err) == 0);
	plan_release(&p);
	manifest_release(&m);
}

/* Another digit here, another letter there. */
static void spoil(struct chance *c, struct buf *text)
{
	static const char letters[] = ",:[]{}\"emv- ";

	for (size_t n = roll(c, 6); n; n--) {
		uint8_t *at = &text->data[roll(c, text->len)];

		if (*at >= '0' && *at <= '9')
			*at = (uint8_t)('0' + roll(c, 10));
		else if (roll(c, 10) == 0)
			*at = (uint8_t)letters[roll(c, sizeof(letters) - 1)];
	}
}

static void apply(struct chance *c, struct slice text)
{
	struct store_compact_result result = { .jobs = 0 };
	int r = store_compact_apply(c->db, NULL, text, &result, &err);

	count(c, r, &result);
}

static void apply_by_chance(struct chance *c)
{
	struct buf text = BUF_INIT;

	if (roll(c, 2) == 0 && store_compact_plan(c->db, NULL, &text, &err) < 0)
		err = STORE_ERROR_INIT;
	if (text.len == 0)
		random_text(c, &text);
	if (roll(c, 3) == 0)
		spoil(c, &text);
	apply(c, buf_slice(&text));
	if (c->stale.len)
		apply(c, buf_slice(&c->stale));
	if (roll(c, 3) == 0)
		buf_assign(&c->stale, buf_slice(&text));
	buf_free(&text);
}

/* ---- rounds ---- */

static void ask_strategy(struct chance *c)
{
	struct store_compact_result result = { .jobs = 0 };
	int r = store_compact(c->db, NULL, &result, &err);

	count(c, r, &result);
}

static void run_seed(struct chance *c, unsigned rounds)
{
	struct verify_config verify = { .strict = false };

	create(c);
	for (c->round = 0; c->round < rounds; c->round++) {
		for (size_t n = roll(c, 3); n; n--) {
			write_some(c);
			MUST(store_flush(c->db, &err) >= 0);
		}
		if (roll(c, 3) == 0)
			write_some(c);
		if (roll(c, 6) == 0)
			renew_snapshot(c);
		if (roll(c, 2))
			ask_strategy(c);
		else
			apply_by_chance(c);
	}
	if (c->snap)
		renew_snapshot(c);
	MUST(verify_store(c->path, &verify, &err) == 0);
	store_close(c->db);
	buf_free(&c->stale);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

TEST(a_plan_by_chance_is_refused_or_changes_no_answer)
{
	unsigned rounds = (unsigned)number("ROUNDS", 40);
	uint64_t first = number("SEED", 1);
	uint64_t last = getenv("SEED") ? first : number("SEEDS", 12);
	unsigned done = 0, refused = 0;

	for (uint64_t seed = first; seed <= last; seed++) {
		static struct chance c;

		err = STORE_ERROR_INIT;
		c = (struct chance){ .seed = seed, .state = seed };
		run_seed(&c, rounds);
		done += c.done;
		refused += c.refused;
	}
	printf("# %u jobs done, %u plans refused\n", done, refused);
	/* Neither may be rare, or nothing was tried. */
	CHECK(done > (last - first + 1) * rounds / 8);
	CHECK(refused > (last - first + 1) * rounds / 8);
}

TEST_MAIN()
