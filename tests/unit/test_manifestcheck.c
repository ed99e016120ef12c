/* test_manifestcheck.c - a version: its invariants and its editing. */
#include "formats/manifest.h"

#include "tests/unit/manifests.h"
#include "tests/unit/test.h"

/* ---- invariants ---- */

static int checked(const struct manifest *m, struct store_error *err)
{
	*err = STORE_ERROR_INIT;
	return manifest_check(m, "dir", "m", err);
}

/* Change one thing, see it refused for `why`, start afresh. */
#define BREAKS_BUT(change, undo, why)                                          \
	do {                                                                   \
		struct manifest m = MANIFEST_INIT;                             \
		struct store_error err;                                        \
		small_manifest(&m);                                            \
		change;                                                        \
		CHECK(checked(&m, &err) == STORE_ECORRUPT);                    \
		if (!strstr(err.text, why))                                    \
			printf("# %s\n", err.text);                            \
		CHECK(strstr(err.text, why));                                  \
		undo;                                                          \
		manifest_release(&m);                                          \
	} while (0)
#define BREAKS(change, why) BREAKS_BUT(change, (void)0, why)

#define TABLE(l, r, i) (m.levels[l].runs[r].tables[i])

TEST(every_broken_invariant_is_found)
{
	BREAKS(m.generation = 0, "generation");
	BREAKS(m.generation = NUMBER_MAX + 1, "generation");
	BREAKS(m.next_number = NUMBER_MAX + 1, "counter");
	BREAKS(m.next_number = 31, "was never drawn");
	BREAKS(m.created_ms = UINT64_MAX, "2^53");
	BREAKS(m.flushed_bytes = UINT64_MAX, "2^53");
	BREAKS(m.compacted_bytes[31] = UINT64_MAX, "2^53");
	BREAKS(m.options.block_bytes = 0, "block_bytes");
	BREAKS(m.options.level0_hard = 1, "level0_hard");
	BREAKS(m.strategy[0] = '_', "strategy");
	BREAKS(m.settings[1].name[0] = '\n', "printable");
	BREAKS(m.settings[1].value[0] = '\x80', "printable");
	BREAKS(m.settings[0].name[0] = 'z', "not in order");
	BREAKS(strcpy(m.settings[1].name, "a"), "not in order");
	BREAKS(m.logs[1].length = 1, "bad length");
	BREAKS((m.logs[0] = (struct log_meta){ .number = 30 }), "not the last");
	BREAKS(m.logs[0].number = 31, "not in order");
	BREAKS(m.logs[0].number = 12, "older than table 11");
	BREAKS(m.logs[0].length = NUMBER_MAX + 1, "bad length");
	BREAKS(m.logs[0].number = 0, "never drawn");
	BREAKS(TABLE(0, 0, 0).number = 90, "never drawn");
	BREAKS(TABLE(0, 0, 0).number = 4, "stands twice");
	BREAKS(TABLE(0, 0, 0).number = 30, "stands twice");
	BREAKS(TABLE(0, 0, 0).number = 2, "stands twice"); /* dropped */
	BREAKS(m.dropped[0].number = 3, "not in order");
	BREAKS(m.dropped[0].last = 0, "bad generation");
	BREAKS(m.dropped[0].last = 8, "bad generation");
	BREAKS(TABLE(0, 0, 0).age_first = 13, "bad age");
	BREAKS(TABLE(0, 0, 0).age_last = 90, "bad age");
	BREAKS(TABLE(0, 0, 0).age_last = 30, "log 30 is older");
	BREAKS(TABLE(0, 0, 0).bytes = 0, "bad counts");
	BREAKS(TABLE(0, 0, 0).bytes = NUMBER_MAX + 1, "bad counts");
	BREAKS(TABLE(0, 0, 0).entries = 0, "bad counts");
	BREAKS(TABLE(0, 0, 0).tombstones = 101, "bad counts");
	BREAKS(TABLE(0, 0, 0).created_ms = UINT64_MAX, "bad counts");
	BREAKS(TABLE(0, 0, 0).oldest_tombstone_ms = UINT64_MAX, "bad counts");
	BREAKS(TABLE(0, 0, 0).smallest.len = 0, "bad key range");
	BREAKS(TABLE(0, 0, 0).smallest.data[0] = 'z', "bad key range");
	BREAKS(TABLE(1, 0, 1).smallest.data[1] = '1', "of one run overlap");
	BREAKS(TABLE(0, 0, 0).age_first = 8, "searched before");
	BREAKS(TABLE(1, 0, 2).age_last = 9, "searched before");
	BREAKS_BUT(m.levels[1].n = 0, m.levels[1].n = 1, "last level is empty");
	BREAKS_BUT(m.levels[0].runs[1].n = 0, m.levels[0].runs[1].n = 1,
		   "run is empty");
	BREAKS_BUT(m.n_levels = 33, m.n_levels = 2, "33 levels");
}

TEST(runs_that_do_not_overlap_may_have_any_age)
{
	struct manifest m = MANIFEST_INIT;
	struct store_error err;

	small_manifest(&m);
	/* the run on top touches k10..k25 only; 5 lies beyond it */
	TABLE(1, 0, 2).age_last = 12;
	TABLE(1, 0, 2).smallest.data[1] = '6';
	TABLE(1, 0, 2).largest.data[1] = '7';
	CHECK_OK(checked(&m, &err), err);
	manifest_release(&m);
}

/* The rule as it is told: of any two, whatever it costs. */
static bool ages_fall(const struct manifest *m)
{
	const struct table_meta *seen[100];
	size_t n = 0, before = 0;

	for (size_t l = 0; l < m->n_levels; l++) {
		for (size_t r = 0; r < m->levels[l].n; r++, before = n) {
			const struct run *run = &m->levels[l].runs[r];

			for (size_t i = 0; i < run->n; i++) {
				const struct table_meta *b = &run->tables[i];

				for (size_t k = 0; k < before; k++)
					if (cmp_bufs(&seen[k]->smallest,
						     &b->largest) <= 0 &&
					    cmp_bufs(&b->smallest,
						     &seen[k]->largest) <= 0 &&
					    seen[k]->age_first <= b->age_last)
						return false;
				seen[n++] = b;
			}
		}
	}
	return true;
}

/* Give one table, anywhere, an age that may be too old or too new. */
static void break_an_age(struct manifest *m, uint64_t seed)
{
	struct level *l = &m->levels[seed % m->n_levels];
	struct run *run;
	struct table_meta *t;

	if (l->n == 0)
		return;
	run = &l->runs[seed / 7 % l->n];
	t = &run->tables[seed / 3 % run->n];
	t->age_first = t->age_last = 100000 - seed % 60;
}

TEST(the_overlap_check_agrees_with_comparing_every_pair)
{
	int refused = 0;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct manifest m = MANIFEST_INIT;
		struct store_error err;
		bool bad;

		random_manifest(&m, seed, 40);
		if (seed % 2)
			break_an_age(&m, seed);
		bad = !ages_fall(&m);
		CHECK((checked(&m, &err) < 0) == bad);
		refused += bad;
		manifest_release(&m);
	}
	CHECK(refused > 20);
}

TEST(strategy_names_keep_their_rule)
{
	CHECK(strategy_name_ok("a") && strategy_name_ok("0-_z"));
	CHECK(strategy_name_ok("abcdefghijklmnopqrstuvwxyz012345"));
	CHECK(!strategy_name_ok("abcdefghijklmnopqrstuvwxyz0123456"));
	CHECK(!strategy_name_ok("") && !strategy_name_ok("-a"));
	CHECK(!strategy_name_ok("_a") && !strategy_name_ok("A"));
	CHECK(!strategy_name_ok("a/b") && !strategy_name_ok("a.b"));
}

/* ---- editing ---- */

TEST(logs_are_added_sealed_and_removed)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;

	small_manifest(&m);
	CHECK(manifest_active_log(&m)->number == 31);
	CHECK_OK(manifest_seal_log(&m, 31, 500, 77, &err), err);
	CHECK(!manifest_active_log(&m));
	CHECK_OK(manifest_add_log(&m, 40, 1, &err), err);
	CHECK(manifest_active_log(&m)->number == 40);
	CHECK(manifest_find_log(&m, 31)->length == 500);
	CHECK(manifest_find_log(&m, 31)->checksum == 77);
	CHECK_OK(checked(&m, &err), err);
	CHECK_OK(manifest_remove_log(&m, 30, &err), err);
	CHECK(m.n_logs == 2 && !manifest_find_log(&m, 30));
	CHECK(!manifest_names(&m, 30) && manifest_names(&m, 31));
	CHECK(m.dropped[m.n_dropped - 1].number == 30);
	CHECK(m.dropped[m.n_dropped - 1].last == m.generation);
	CHECK_OK(checked(&m, &err), err);
	CHECK(manifest_remove_log(&m, 30, NULL) == STORE_EBUG);
	CHECK(manifest_seal_log(&m, 30, 1, 1, NULL) == STORE_EBUG);
	CHECK(manifest_seal_log(&m, 31, 1, 1, NULL) == STORE_EBUG);
	manifest_release(&m);
}

TEST(a_removed_table_is_dropped_and_trim_forgets_what_is_empty)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	size_t l, r, i;

	small_manifest(&m);
	CHECK(manifest_find_table(&m, 5, &l, &r, &i));
	CHECK(l == 1 && r == 0 && i == 1);
	CHECK_OK(manifest_remove_table(&m, 5, &err), err);
	CHECK(!manifest_find_table(&m, 5, &l, &r, &i));
	CHECK(m.levels[1].runs[0].n == 2);
	CHECK(m.n_dropped == 3 && m.dropped[2].number == 5);
	CHECK(manifest_remove_table(&m, 5, NULL) == STORE_EBUG);
	CHECK_OK(checked(&m, &err), err);

	CHECK_OK(manifest_remove_table(&m, 10, &err), err);
	CHECK(m.levels[0].n == 2);
	manifest_trim(&m);
	CHECK(m.levels[0].n == 1 && m.n_levels == 2);
	CHECK_OK(manifest_remove_table(&m, 4, &err), err);
	CHECK_OK(manifest_remove_table(&m, 6, &err), err);
	manifest_trim(&m);
	CHECK(m.n_levels == 1);
	CHECK_OK(checked(&m, &err), err);
	CHECK_OK(manifest_remove_table(&m, 11, &err), err);
	manifest_trim(&m);
	CHECK(m.n_levels == 0);
	CHECK_OK(checked(&m, &err), err);
	manifest_release(&m);
}

TEST(a_run_is_placed_by_age_and_copies_its_tables)
{
	static const struct {
		uint64_t age;
		size_t at;
	} places[] = { { 20, 0 }, { 12, 2 }, { 9, 3 }, { 10, 3 }, { 1, 6 } };
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;

	small_manifest(&m);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		struct table_meta t = make_table(50 + i, places[i].age,
						 places[i].age, "x", "y");

		CHECK_OK(manifest_add_run(&m, 0, &t, 1, &err), err);
		table_meta_release(&t);
		CHECK(TABLE(0, places[i].at, 0).number == 50 + i);
	}
	CHECK(m.levels[0].n == 7);
	CHECK_OK(manifest_add_run(&m, 0, NULL, 0, &err), err);
	CHECK(m.levels[0].n == 7);
	manifest_release(&m);
}

TEST(a_run_may_go_below_the_last_level_but_not_below_the_limit)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	struct table_meta t = make_table(60, 1, 1, "a", "b");

	small_manifest(&m);
	CHECK_OK(manifest_add_run(&m, MANIFEST_MAX_LEVELS - 1, &t, 1, &err),
		 err);
	CHECK(m.n_levels == MANIFEST_MAX_LEVELS);
	CHECK_OK(checked(&m, &err), err);
	CHECK(manifest_add_run(&m, MANIFEST_MAX_LEVELS, &t, 1, NULL) ==
	      STORE_EBUG);
	table_meta_release(&t);
	manifest_release(&m);
}

TEST(tables_join_a_run_at_their_place)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	struct table_meta t[3] = {
		make_table(70, 1, 2, "a", "b"),
		make_table(71, 1, 2, "k60", "k61"),
		make_table(72, 1, 2, "k145", "k18"),
	};

	small_manifest(&m);
	CHECK_OK(manifest_add_tables(&m, 1, 0, t, 3, &err), err);
	CHECK(m.levels[1].runs[0].n == 6);
	CHECK(TABLE(1, 0, 0).number == 70);
	CHECK(TABLE(1, 0, 2).number == 72);
	CHECK(TABLE(1, 0, 5).number == 71);
	CHECK_OK(checked(&m, &err), err);
	CHECK(manifest_add_tables(&m, 1, 1, t, 1, NULL) == STORE_EBUG);
	CHECK(manifest_add_tables(&m, 2, 0, t, 1, NULL) == STORE_EBUG);
	for (int i = 0; i < 3; i++)
		table_meta_release(&t[i]);
	manifest_release(&m);
}

TEST_MAIN()
