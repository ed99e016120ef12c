/*
 * What is simulated is what happens: the same writes into a real store, flushed
 * where the simulation flushes and compacted after each flush, make the same
 * write amplification within a tenth, under every strategy.
 *
 * The write buffer and tables are small, so that few records make several
 * levels.  With FULL=1 there are more of them.
 */
#include "lib/inspect.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <math.h>

#define KEY 10 /* bytes: "k" and nine digits */
#define VALUE 20
#define TOLERANCE 0.10

static const struct store_setting_text settings[] = {
	{ "write_buffer", "64K" },	{ "table_bytes", "64K" },
	{ "table_bytes_max", "256K" },	{ "job_bytes", "256K" },
	{ "level0_bytes", "1M" },	{ "compression", "none" },
	{ "compression_last", "none" }, { "maintenance", "cron" },
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static struct store_error err;
static uint64_t chance;

/* splitmix64 */
static uint64_t roll(void)
{
	uint64_t z = (chance += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- the writes ---- */

struct writes {
	const struct sim_config *c;
	uint64_t *order; /* of the first writes; then what rank is which key */
	double *sums;	 /* of rates of ranks up to this one, or NULL */
};

static void writes_init(struct writes *w, const struct sim_config *c)
{
	bool random = c->workload != SIM_SEQUENTIAL;

	*w = (struct writes){ .c = c };
	w->order = calloc(c->records, sizeof(*w->order));
	w->sums = calloc(c->records, sizeof(*w->sums));
	CHECK(w->order && w->sums);
	for (uint64_t i = 0; i < c->records; i++) {
		uint64_t at = random ? roll() % (i + 1) : i;

		w->order[i] = w->order[at];
		w->order[at] = i;
		w->sums[i] =
			(i ? w->sums[i - 1] : 0) + pow((double)i + 1, -0.99);
	}
}

static void writes_free(struct writes *w)
{
	free(w->order);
	free(w->sums);
}

static uint64_t zipf_rank(const struct writes *w)
{
	double at = (double)(roll() >> 11) / (double)(UINT64_C(1) << 53) *
		    w->sums[w->c->records - 1];
	uint64_t low = 0, high = w->c->records - 1;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (w->sums[mid] < at)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Write number `i`: its key, and whether it is a delete. */
static uint64_t write_of(const struct writes *w, uint64_t i, bool *dead)
{
	uint64_t n = w->c->records;

	*dead = false;
	if (i < n)
		return w->order[i];
	/* In turn, so that each log gets as many. */
	*dead = w->c->deletes && i % 2;
	if (w->c->workload == SIM_SEQUENTIAL)
		return (i - n) % n;
	return w->order[w->c->workload == SIM_ZIPF ? zipf_rank(w) : roll() % n];
}

/* ---- the store ---- */

/* As many as fill the write buffer: what the simulation takes for it. */
static uint64_t writes_a_flush(const struct sim_config *c, uint64_t from)
{
	double bytes = 12 + KEY + VALUE;

	if (from >= c->records)
		bytes = 12 + KEY + VALUE * (1 - (double)c->deletes / 100);
	return (uint64_t)((65536 - 64 - 40) / bytes);
}

/* Where the simulation flushes besides. */
static uint64_t pass_end(const struct sim_config *c, uint64_t at)
{
	uint64_t all = c->records + c->updates, end;

	if (at < c->records)
		return c->records;
	end = (at / c->records + 1) * c->records;
	return c->workload == SIM_SEQUENTIAL && end < all ? end : all;
}

static void put_all(struct store *db, const struct writes *w, uint64_t from,
		    uint64_t to)
{
	struct store_batch b = STORE_BATCH_INIT;
	uint8_t value[VALUE];
	char key[KEY + 1];

	for (uint64_t i = from; i < to; i++) {
		bool dead;
		uint64_t k = write_of(w, i, &dead);
		struct slice key_bytes = slice_make(key, KEY);

		snprintf(key, sizeof(key), "k%09u", (unsigned)k);
		for (int n = 0; n < VALUE; n++)
			value[n] = (uint8_t)roll();
		CHECK_OK(dead ? store_batch_delete(&b, key_bytes, &err)
			      : store_batch_put(&b, key_bytes,
						slice_make(value, VALUE), &err),
			 err);
	}
	CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
	store_batch_free(&b);
}

static double really(const struct sim_config *c, uint64_t *flushes)
{
	const char *dir = scratch();
	struct store_config config = { .flags = STORE_WRITE | STORE_CREATE,
				       .strategy = c->strategy,
				       .settings = settings,
				       .n_settings = N_SETTINGS };
	struct stat_report report = STAT_REPORT_INIT;
	uint64_t all = c->records + c->updates, at = 0, end;
	struct store *db = NULL;
	struct writes w;
	double found;

	writes_init(&w, c);
	CHECK_OK(store_open(&db, dir, &config, &err), err);
	for (*flushes = 0; at < all; at = end, ++*flushes) {
		end = at + writes_a_flush(c, at);
		if (end > pass_end(c, at))
			end = pass_end(c, at);
		put_all(db, &w, at, end);
		CHECK_OK(store_flush(db, &err), err);
		CHECK_OK(store_compact(db, NULL, NULL, &err), err);
	}
	CHECK_OK(inspect_stat(dir, 0, &report, &err), err);
	found = report.write_amplification;
	inspect_stat_release(&report);
	store_close(db);
	writes_free(&w);
	return found;
}

/* ---- side by side ---- */

static void compare(enum sim_workload workload, uint64_t updates,
		    unsigned deletes, const char *name)
{
	static const char *const strategies[] = { "leveled", "tiered",
						  "lazy-leveled", "unified" };
	uint64_t records = getenv("FULL") && *getenv("FULL") ? 200000 : 60000;
	bool near = true;

	for (size_t i = 0; i < sizeof(strategies) / sizeof(*strategies); i++) {
		struct sim_config c = { .strategy = strategies[i],
					.settings = settings,
					.n_settings = N_SETTINGS,
					.workload = workload,
					.records = records,
					.updates = updates * records,
					.key_bytes = KEY,
					.value_bytes = VALUE,
					.deletes = deletes,
					.stored = 100,
					.disk = 1 << 20,
					.every_flush = true,
					.checked = true };
		struct sim_report r = SIM_REPORT_INIT;
		double real, off;
		uint64_t flushes;

		err = STORE_ERROR_INIT;
		chance = 1;
		CHECK_OK(inspect_sim(&c, &r, &err), err);
		real = really(&c, &flushes);
		off = r.write / real - 1;
		printf("# %s, %s: really %.2f, simulated %.2f (%+.1f %%); "
		       "flushes %u, %u\n",
		       name, strategies[i], real, r.write, 100 * off,
		       (unsigned)flushes, (unsigned)r.flushes);
		near &= fabs(off) <= TOLERANCE && flushes == r.flushes;
		inspect_sim_release(&r);
	}
	CHECK(near);
}

TEST(uniform_first_writes_are_amplified_as_simulated)
{
	compare(SIM_UNIFORM, 0, 0, "uniform");
}

TEST(overwriting_five_times_is_amplified_as_simulated)
{
	compare(SIM_UNIFORM, 5, 0, "overwrite");
}

TEST(a_zipf_distribution_is_amplified_as_simulated)
{
	compare(SIM_ZIPF, 3, 0, "zipf");
}

TEST(ascending_keys_are_amplified_as_simulated)
{
	compare(SIM_SEQUENTIAL, 1, 0, "sequential");
}

TEST(many_deletes_are_amplified_as_simulated)
{
	compare(SIM_DELETES, 3, 50, "delete-heavy");
}

TEST_MAIN()
