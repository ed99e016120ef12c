/*
 * The pure parts of a simulation against what can be reckoned otherwise:
 * closed forms, sums over every key, counts of real sets.
 */
#include "lib/simload.h"
#include "lib/simmerge.h"
#include "tests/unit/test.h"

#include <math.h>

static struct store_error err;

static bool near(double a, double b, double part)
{
	return fabs(a - b) <= part * fabs(b) + 1e-12;
}

/* ---- mixes ---- */

TEST(of_random_parts_a_and_b_the_union_is_a_plus_b_less_their_product)
{
	struct sim_mix m = { .put = 0.3 };

	mix_merge(&m, &(struct sim_mix){ .put = 0.5 });
	CHECK(near(mix_puts(&m), 0.3 + 0.5 - 0.15, 1e-9));
	for (int i = 0; i < 9; i++)
		mix_merge(&m, &(struct sim_mix){ .put = 0.1 });
	CHECK(near(mix_puts(&m), 1 - 0.35 * pow(0.9, 9), 1e-9));
}

TEST(first_writes_never_meet_each_other)
{
	struct sim_mix m = { .fill = 0.1 };

	for (int i = 0; i < 9; i++)
		mix_merge(&m, &(struct sim_mix){ .fill = 0.1 });
	CHECK(near(mix_puts(&m), 1, 1e-9));
	/* all are there, so an update adds none */
	mix_merge(&m, &(struct sim_mix){ .put = 0.4 });
	CHECK(near(mix_puts(&m), 1, 1e-9));
}

TEST(tombstones_hide_what_is_older_and_go_with_it)
{
	struct sim_mix m = { .fill = 1 };

	mix_merge(&m, &(struct sim_mix){ .dead = 0.25 });
	CHECK(near(mix_puts(&m), 0.75, 1e-9));
	CHECK(near(m.dead, 0.25, 1e-9));
	mix_merge(&m, &(struct sim_mix){ .put = 0.5 });
	CHECK(near(m.dead, 0.125, 1e-9));
	CHECK(near(mix_puts(&m), 0.875, 1e-9));
	mix_drop(&m);
	CHECK(m.dead == 0);
	CHECK(near(mix_puts(&m), 0.875, 1e-9));
}

/* ---- classes ---- */

TEST(zipf_classes_share_all_keys_and_all_writes)
{
	static const uint64_t sizes[] = {
		1, 2, 10, 1000, 200000, UINT64_C(100000000000)
	};
	struct sim_keys k;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double share = 0, rate = 0;

		simkeys_zipf(&k, sizes[i], 0.99);
		CHECK(k.n_classes >= 1 && k.n_classes <= SIM_CLASSES_MAX);
		for (size_t c = 0; c < k.n_classes; c++) {
			CHECK(k.share[c] > 0 && k.rate[c] > 0);
			share += k.share[c];
			rate += k.rate[c];
		}
		CHECK(near(share, 1, 1e-9) && near(rate, 1, 1e-6));
	}
}

/* How many keys do n writes hit?  A sum over every key tells. */
TEST(zipf_classes_foresee_how_many_keys_are_hit)
{
	const uint64_t n = 100000;
	struct sim_keys k;
	double all = 0;

	simkeys_zipf(&k, n, 0.99);
	for (uint64_t i = 1; i <= n; i++)
		all += pow((double)i, -0.99);
	for (double writes = 10; writes < 1e7; writes *= 10) {
		double really = 0, foreseen = 0;

		for (uint64_t i = 1; i <= n; i++)
			really -= expm1(-writes * pow((double)i, -0.99) / all);
		for (size_t c = 0; c < k.n_classes; c++) {
			double keys = k.share[c] * (double)n;

			foreseen -= keys * expm1(-writes * k.rate[c] / keys);
		}
		CHECK(near(foreseen, really, 0.01));
	}
}

/* ---- workloads ---- */

static double entries_of(const struct sim_load *l, const struct sim_span *s)
{
	double n = 0;

	for (size_t c = 0; c < l->keys.n_classes; c++)
		n += (double)(s->end - s->low) * l->keys.share[c] *
		     (mix_puts(&s->mix[c]) + s->mix[c].dead);
	return n;
}

static void count_first_writes(enum sim_workload workload)
{
	static struct sim_stretch s;
	const struct sim_config c = { .workload = workload,
				      .records = 1000000,
				      .key_bytes = 16,
				      .value_bytes = 100 };
	struct sim_load l;
	double sum = 0;
	uint64_t end;

	simload_init(&l, &c, 0);
	for (uint64_t at = 0; at < c.records; at = end) {
		end = simload_fill(&l, at, 1 << 20);
		CHECK(end > at && end <= c.records);
		simload_stretch(&l, at, end, &s);
		CHECK(s.n >= 1 && s.n <= SIM_LOAD_SPANS);
		for (size_t i = 0; i < s.n; i++)
			sum += entries_of(&l, &s.spans[i]);
	}
	CHECK(near(sum, (double)c.records, 0.001));
}

TEST(every_record_is_written_once)
{
	count_first_writes(SIM_UNIFORM);
	count_first_writes(SIM_ZIPF);
	count_first_writes(SIM_SEQUENTIAL);
	count_first_writes(SIM_TIMESERIES);
	count_first_writes(SIM_DELETES);
}

TEST(updates_hit_as_many_keys_as_chance_will_have_it)
{
	static struct sim_stretch s;
	const struct sim_config c = { .workload = SIM_DELETES,
				      .records = 1000,
				      .updates = 5000,
				      .deletes = 40,
				      .key_bytes = 16,
				      .value_bytes = 100 };
	struct sim_load l;
	double hit = 1000 * (1 - pow(0.999, 700));

	simload_init(&l, &c, 0);
	simload_stretch(&l, 2000, 2700, &s);
	CHECK(s.n == 1);
	CHECK(near(entries_of(&l, &s.spans[0]), hit, 0.001));
	CHECK(near(s.mix[0][0].dead * 1000, 0.4 * hit, 0.001));
	CHECK(near(simload_user_bytes(&l, 2000, 2700), 700 * (16 + 60), 1e-9));
}

TEST(ascending_updates_go_through_the_keys_again)
{
	static struct sim_stretch s;
	const struct sim_config c = { .workload = SIM_SEQUENTIAL,
				      .records = 1000,
				      .updates = 2500,
				      .key_bytes = 16,
				      .value_bytes = 100 };
	struct sim_load l;

	simload_init(&l, &c, 0);
	/* passes end where the keys do */
	CHECK(simload_fill(&l, 950, 1 << 20) == 1000);
	CHECK(simload_fill(&l, 1000, 1 << 20) == 2000);
	CHECK(simload_fill(&l, 2500, 1 << 20) == 3000);
	CHECK(simload_fill(&l, 3000, 1 << 20) == 3500);
	simload_stretch(&l, 2100, 2200, &s);
	CHECK(s.n == 1 && s.spans[0].low == 100 && s.spans[0].end == 200);
	CHECK(s.mix[0][0].put == 1);
}

/* ---- merging ---- */

struct seen {
	const struct sim_keys *keys;
	double puts, dead;
	size_t stretches;
	uint64_t last;
};

static int see(void *ctx, uint64_t low, uint64_t end, struct sim_mix *mix,
	       uint64_t oldest_ms, struct store_error *e)
{
	struct seen *s = ctx;

	(void)oldest_ms;
	(void)e;
	CHECK(low >= s->last && low < end);
	s->last = end;
	s->puts += (double)(end - low) * mix_puts(&mix[0]);
	s->dead += (double)(end - low) * mix[0].dead;
	s->stretches++;
	return 0;
}

/* Half of [0, 1000), and over it tombstones for a fifth of [500, 2000). */
TEST(stretches_are_cut_where_spans_begin_and_end)
{
	struct sim_mix old = { .put = 0.5 }, new = { .dead = 0.2 };
	struct sim_span spans[] = { { 500, 2000, 1, &new, 7 },
				    { 0, 1000, 2, &old, 0 } };
	uint64_t cuts[] = { 100, 1500, 5000 };
	struct sim_keys keys;
	struct seen s = { .keys = &keys };

	simkeys_uniform(&keys, 2000);
	CHECK_OK(simmerge(&keys, spans, 2, cuts, 3, see, &s, &err), err);
	CHECK(s.stretches == 5); /* 0, 100, 500, 1000, 1500 */
	CHECK(near(s.puts, 250 + 250 * 0.8, 1e-9));
	CHECK(near(s.dead, 300, 1e-9));
}

TEST(tables_are_cut_at_their_size_and_hold_what_came)
{
	struct sim_mix mix = { .put = 0.5 };
	struct options o;
	struct sim_weight w;
	struct sim_keys keys;
	struct sim_output out = {
		.keys = &keys, .weight = &w, .table_bytes = 100000, .age = 3
	};
	double entries = 0;

	options_default(&o);
	simkeys_uniform(&keys, 100000);
	simweight_init(&w, &o, 16, 100, 1);
	CHECK_OK(simoutput_add(&out, 0, 60000, &mix, 0, &err), err);
	CHECK_OK(simoutput_add(&out, 60000, 100000, &mix, 0, &err), err);
	CHECK_OK(simoutput_end(&out, &err), err);
	CHECK(out.n > 50 && out.n < 70);
	for (size_t i = 0; i < out.n; i++) {
		CHECK(out.tables[i]->low == (i ? out.tables[i - 1]->end : 0));
		CHECK(i + 1 == out.n ||
		      near((double)out.metas[i].bytes, 100000, 0.01));
		CHECK(out.metas[i].age_first == 3);
		CHECK(near(mix_puts(&out.tables[i]->mix[0]), 0.5, 1e-9));
		entries += (double)out.metas[i].entries;
	}
	CHECK(out.tables[out.n - 1]->end == 100000);
	CHECK(near(entries, 50000, 0.001));
	simoutput_release(&out);
}

/* 16 bytes of key of which one or two are new, 100 of value, and heads. */
TEST(an_entry_weighs_more_the_farther_its_neighbour_is)
{
	struct options o;
	struct sim_weight w;
	double close, far;

	options_default(&o);
	simweight_init(&w, &o, 16, 100, 1);
	close = simweight_of(&w, 1, 0);
	far = simweight_of(&w, 0.0001, 0) / 0.0001;
	CHECK(close > 104 && close < 112);
	CHECK(far > close + 3 && far < close + 5);
	CHECK(simweight_of(&w, 0, 1) < 12);
	CHECK(simweight_of(&w, 0, 0) == 0);
}

TEST_MAIN()
