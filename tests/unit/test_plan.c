/*
 * plan.h and survey.h: what a strategy sees, and that nobody trusts what it
 * says.
 */
#include "lib/os.h"
#include "lib/planrange.h"
#include "tests/unit/tree.h"

/* Three runs above one level, and a table off to the side. */
#define TREE                                                                   \
	"level 0\n"                                                            \
	"run\n"                                                                \
	"30 a..m age 30 1M\n"                                                  \
	"run\n"                                                                \
	"20 c..f age 20 2M\n"                                                  \
	"21 x..y age 20 2M\n"                                                  \
	"run\n"                                                                \
	"10 d..e age 10 4M dead 3\n"                                           \
	"level 2\n"                                                            \
	"run\n"                                                                \
	"1 a..d age 1-5 8M\n"                                                  \
	"2 e..p age 1-5 8M\n"

/* What the strategy under test will emit. */
static struct lsm_job jobs[4];
static size_t n_jobs;
static unsigned *refused_emits; /* shared with the child that emits */

static void emit_jobs(const struct lsm_view *v, const struct lsm_budget *b,
		      lsm_emit *emit, void *ctx)
{
	(void)v;
	(void)b;
	for (size_t i = 0; i < n_jobs; i++)
		if (!emit(ctx, &jobs[i]) && refused_emits)
			++*refused_emits;
}

static void emit_for_ever(const struct lsm_view *v, const struct lsm_budget *b,
			  lsm_emit *emit, void *ctx)
{
	(void)v;
	(void)b;
	for (;;)
		emit(ctx, &jobs[0]);
}

static uint64_t some_need(const struct lsm_view *v)
{
	return v->n_tables;
}

#define TEST_STRATEGY                                                          \
	((struct lsm_strategy){                                                \
		.name = "test", .need = some_need, .plan = emit_jobs })

static struct lsm_strategy strategy;

#define LIST(...)                                                              \
	.inputs = (const uint64_t[]){ __VA_ARGS__ },                           \
	.n_inputs = sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8

/* Plan over `tree` with the jobs set; the message, "" when all is well. */
static const char *plan_text(const char *tree, struct plan *p)
{
	static struct store_error err;
	struct lsm_budget budget = { 16, UINT64_MAX };
	struct survey s;
	struct tree t;
	int r;

	err = STORE_ERROR_INIT;
	tree_read(&t, tree);
	tree_survey(&s, &t, NULL);
	r = plan_make(p, &strategy, &s, &t.m.options, &budget, &err);
	survey_release(&s);
	manifest_release(&t.m);
	CHECK(r == 0 || r == STORE_ECONFIG);
	return err.text;
}

static const char *refusal(struct lsm_job job)
{
	struct plan p = PLAN_INIT;
	const char *text;

	strategy = TEST_STRATEGY;
	jobs[0] = job;
	n_jobs = 1;
	text = plan_text(TREE, &p);
	plan_release(&p);
	return text;
}

#define REFUSED(what, ...)                                                     \
	CHECK(strstr(refusal((struct lsm_job){ __VA_ARGS__ }), what))
#define ACCEPTED(...)                                                          \
	CHECK(!strcmp(refusal((struct lsm_job){ __VA_ARGS__ }), ""))

TEST(a_survey_tells_tables_in_the_order_of_search)
{
	struct survey s;
	struct tree t;

	tree_read(&t, TREE);
	t.claimed[t.n_claimed++] = 21;
	tree_survey(&s, &t, NULL);
	CHECK(s.view.n_tables == 6 && s.view.n_runs == 4);
	CHECK(s.view.n_levels == 3 && s.view.levels[1].n == 0);
	CHECK(s.view.tables[0].number == 30 && s.view.tables[5].number == 2);
	CHECK(s.view.tables[3].level == 0 && s.view.tables[3].run == 2);
	CHECK(s.view.tables[3].tombstones == 3);
	CHECK(s.view.levels[0].bytes == 9 << 20);
	CHECK(s.view.tables[2].claimed && s.view.runs[1].claimed);
	CHECK(s.view.levels[0].claimed && !s.view.levels[2].claimed);
	CHECK(survey_find(&s, 10) == 3 && survey_find(&s, 11) == 6);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST(overlap_below_is_with_the_next_level_that_has_tables)
{
	struct survey s;
	struct tree t;

	tree_read(&t, TREE);
	tree_survey(&s, &t, NULL);
	CHECK(s.view.tables[0].overlap_below == 16 << 20);
	CHECK(s.view.tables[1].overlap_below == 16 << 20);
	CHECK(s.view.tables[2].overlap_below == 0);
	CHECK(s.view.tables[4].overlap_below == 0);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST(neighbours_in_age_may_be_merged)
{
	ACCEPTED(.kind = LSM_MERGE, .level = 0, .run = LSM_NEW_RUN,
		 LIST(30, 20));
	ACCEPTED(.kind = LSM_MERGE, .level = 0, .run = LSM_NEW_RUN,
		 LIST(20, 10));
	ACCEPTED(.kind = LSM_MERGE, .level = 1, .run = LSM_NEW_RUN, LIST(10));
	ACCEPTED(.kind = LSM_MERGE, .level = 2, .run = 0,
		 LIST(30, 20, 21, 10, 1, 2));
}

TEST(what_overlaps_nothing_may_go_anywhere)
{
	ACCEPTED(.kind = LSM_MOVE, .level = 2, .run = 0, LIST(21));
	ACCEPTED(.kind = LSM_MOVE, .level = 1, .run = LSM_NEW_RUN, LIST(21));
	ACCEPTED(.kind = LSM_MOVE, .level = 31, .run = LSM_NEW_RUN, LIST(21));
}

TEST(a_table_may_not_pass_an_older_one_it_overlaps)
{
	REFUSED("pass table 20", .kind = LSM_MERGE, .level = 0,
		.run = LSM_NEW_RUN, LIST(30, 10));
	REFUSED("pass", .kind = LSM_MERGE, .level = 1, .run = LSM_NEW_RUN,
		LIST(30));
	REFUSED("pass", .kind = LSM_MOVE, .level = 1, .run = LSM_NEW_RUN,
		LIST(20));
	REFUSED("pass", .kind = LSM_MERGE, .level = 3, .run = LSM_NEW_RUN,
		LIST(30, 20, 10));
}

TEST(an_older_table_may_not_rise_above_a_newer_one)
{
	REFUSED("pass", .kind = LSM_MOVE, .level = 0, .run = 0, LIST(2));
	REFUSED("pass", .kind = LSM_MERGE, .level = 0, .run = 1, LIST(1));
}

TEST(what_goes_into_a_run_must_not_overlap_it)
{
	REFUSED("pass table 1", .kind = LSM_MERGE, .level = 2, .run = 0,
		LIST(30, 20, 10, 2));
	REFUSED("is not there", .kind = LSM_MERGE, .level = 2, .run = 1,
		LIST(21));
	REFUSED("is not there", .kind = LSM_MERGE, .level = 1, .run = 0,
		LIST(21));
	REFUSED("is not there", .kind = LSM_MERGE, .level = 9, .run = 0,
		LIST(21));
}

TEST(inputs_must_exist_once)
{
	REFUSED("99 is not in the store", .kind = LSM_MERGE, .level = 1,
		.run = LSM_NEW_RUN, LIST(99));
	REFUSED("10 stands twice", .kind = LSM_MERGE, .level = 1,
		.run = LSM_NEW_RUN, LIST(10, 10));
	REFUSED("no inputs", .kind = LSM_MERGE, .level = 1, .run = LSM_NEW_RUN,
		.inputs = (const uint64_t[]){ 1 });
	REFUSED("more inputs", .kind = LSM_MERGE, .level = 1,
		.run = LSM_NEW_RUN, .inputs = (const uint64_t[]){ 1 },
		.n_inputs = SIZE_MAX / 8);
	REFUSED("more inputs", .kind = LSM_MERGE, .level = 1, .n_inputs = 1);
}

TEST(levels_kinds_and_sizes_are_bounded)
{
	REFUSED("no level", .kind = LSM_MERGE, .level = MANIFEST_MAX_LEVELS,
		.run = LSM_NEW_RUN, LIST(21));
	REFUSED("no such kind", .kind = 77, .level = 1, .run = LSM_NEW_RUN,
		LIST(21));
	REFUSED("tables of 1 bytes", .kind = LSM_MERGE, .level = 1,
		.run = LSM_NEW_RUN, .table_bytes = 1, LIST(21));
}

TEST(a_move_must_go_somewhere_and_be_one_run)
{
	REFUSED("moves nothing", .kind = LSM_MOVE, .level = 2, .run = 0,
		LIST(1));
	REFUSED("moves nothing", .kind = LSM_MOVE, .level = 0,
		.run = LSM_NEW_RUN, LIST(20, 21));
	REFUSED("cannot be one run", .kind = LSM_MOVE, .level = 1,
		.run = LSM_NEW_RUN, LIST(30, 20, 21, 10));
}

TEST(only_a_strategy_that_says_so_may_drop)
{
	struct plan p = PLAN_INIT;

	REFUSED("does not say that it drops", .kind = LSM_DROP, LIST(21));
	jobs[0] = (struct lsm_job){ .kind = LSM_DROP, LIST(21) };
	strategy.flags = LSM_STRATEGY_DROPS;
	CHECK(!strcmp(plan_text(TREE, &p), ""));
	CHECK(p.n == 1 && p.jobs[0].kind == LSM_DROP);
	plan_release(&p);
	/* What it hid would come back. */
	jobs[0] = (struct lsm_job){ .kind = LSM_DROP, LIST(30) };
	CHECK(strstr(plan_text(TREE, &p), "pass"));
}

TEST(a_claimed_table_is_left_alone)
{
	struct plan p = PLAN_INIT;

	strategy = TEST_STRATEGY;
	jobs[0] = (struct lsm_job){ .kind = LSM_MERGE,
				    .run = LSM_NEW_RUN,
				    LIST(7) };
	n_jobs = 1;
	CHECK(strstr(plan_text("level 0\nrun\n7 a..b age 7 1M claimed\n", &p),
		     "in another job"));
}

TEST(two_jobs_share_no_table)
{
	struct plan p = PLAN_INIT;

	strategy = TEST_STRATEGY;
	jobs[0] = (struct lsm_job){ .kind = LSM_MERGE,
				    .run = LSM_NEW_RUN,
				    LIST(30, 20) };
	jobs[1] = (struct lsm_job){ .kind = LSM_MERGE,
				    .run = LSM_NEW_RUN,
				    LIST(20, 10) };
	n_jobs = 2;
	CHECK(strstr(plan_text(TREE, &p), "job 2: an input stands in another"));
	CHECK(p.n == 0 && !p.jobs);
}

TEST(a_plan_ends_with_its_budget)
{
	struct lsm_budget budget = { 1, UINT64_MAX };
	struct store_error err = STORE_ERROR_INIT;
	struct plan p = PLAN_INIT;
	struct survey s;
	struct tree t;

	strategy = TEST_STRATEGY;
	jobs[0] = (struct lsm_job){
		.kind = LSM_MERGE, .level = 1, .run = LSM_NEW_RUN, LIST(21)
	};
	jobs[1] = (struct lsm_job){
		.kind = LSM_MERGE, .level = 1, .run = LSM_NEW_RUN, LIST(10)
	};
	n_jobs = 2;
	refused_emits = os.share(sizeof(*refused_emits));
	CHECK(refused_emits);
	tree_read(&t, TREE);
	tree_survey(&s, &t, NULL);
	CHECK_OK(plan_make(&p, &strategy, &s, &t.m.options, &budget, &err),
		 err);
	CHECK(p.n == 1 && p.jobs[0].inputs[0] == 21 && *refused_emits == 2);
	plan_release(&p);
	budget = (struct lsm_budget){ 9, 1 << 20 };
	CHECK_OK(plan_make(&p, &strategy, &s, &t.m.options, &budget, &err),
		 err);
	CHECK(p.n == 1);
	plan_release(&p);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST(a_strategy_that_never_ends_is_left)
{
	struct plan p = PLAN_INIT;

	strategy = TEST_STRATEGY;
	strategy.plan = emit_for_ever;
	jobs[0] = (struct lsm_job){
		.kind = LSM_MERGE, .level = 1, .run = LSM_NEW_RUN, LIST(21)
	};
	CHECK(strstr(plan_text(TREE, &p), "goes on for ever"));
	CHECK(p.n == 0);
}

TEST(a_reason_is_copied_as_printable_text)
{
	struct plan p = PLAN_INIT;

	strategy = TEST_STRATEGY;
	jobs[0] = (struct lsm_job){ .kind = LSM_MERGE,
				    .level = 1,
				    .run = LSM_NEW_RUN,
				    .why = "a\033[1mb",
				    LIST(21) };
	n_jobs = 1;
	CHECK(!strcmp(plan_text(TREE, &p), ""));
	CHECK(!strcmp(p.jobs[0].why, "a?[1mb"));
	CHECK(p.jobs[0].table_bytes == 64 << 20);
	plan_release(&p);
}

/* The job before it has moved the last level down, and its name with it. */
TEST(a_job_into_a_run_that_has_moved_goes_into_the_one_that_is_there)
{
	struct plan_job j = { .kind = LSM_MERGE, .level = 1, .into = 20 };
	struct survey s;
	struct tree t;

	tree_read(&t, "level 1\nrun\n30 a..b age 3 1M\n"
		      "level 2\nrun\n20 a..b age 2 1M\n");
	tree_survey(&s, &t, NULL);
	plan_job_refresh(&j, &s);
	CHECK(j.into == 30);
	plan_job_refresh(&j, &s);
	CHECK(j.into == 30);
	survey_release(&s);
	manifest_release(&t.m);
	tree_read(&t, "level 2\nrun\n20 a..b age 2 1M\n");
	tree_survey(&s, &t, NULL);
	j.into = 20;
	plan_job_refresh(&j, &s);
	CHECK(j.into == 0);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST(everything_is_one_job_into_the_deepest_level)
{
	struct store_error err = STORE_ERROR_INIT;
	struct plan_job j;
	struct refusal why;
	struct survey s;
	struct tree t;

	tree_read(&t, TREE);
	tree_survey(&s, &t, NULL);
	CHECK_OK(plan_everything(&j, &s, &t.m.options, &err), err);
	CHECK(j.n_inputs == 6 && j.level == 2 && !j.into);
	CHECK(plan_job_check(&j, &s, false, &why, &err) == 1);
	plan_job_release(&j);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST(one_run_without_tombstones_needs_no_merge)
{
	struct store_error err = STORE_ERROR_INIT;
	struct plan_job j;
	struct survey s;
	struct tree t;

	tree_read(&t, "level 0\nrun\n1 a..b age 1 1M\n2 c..d age 1 1M\n");
	tree_survey(&s, &t, NULL);
	CHECK_OK(plan_everything(&j, &s, &t.m.options, &err), err);
	CHECK(j.n_inputs == 0);
	survey_release(&s);
	manifest_release(&t.m);
	tree_read(&t, "level 0\nrun\n1 a..b age 1 1M dead 1\n");
	tree_survey(&s, &t, NULL);
	CHECK_OK(plan_everything(&j, &s, &t.m.options, &err), err);
	CHECK(j.n_inputs == 1 && j.level == 1);
	plan_job_release(&j);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST(one_run_of_which_a_file_holds_more_than_is_seen_is_merged)
{
	struct store_error err = STORE_ERROR_INIT;
	struct plan_job all, range;
	struct survey s;
	struct tree t;

	tree_read(&t, "level 1\nrun\n1 a..b age 1 1M trimmed\n"
		      "2 c..d age 1 1M\n");
	tree_survey(&s, &t, NULL);
	CHECK_OK(plan_everything(&all, &s, &t.m.options, &err), err);
	CHECK(all.n_inputs == 2 && all.level == 1);
	CHECK_OK(plan_range(&range, &s, &t.m.options, slice_str("c"),
			    SLICE_NULL, &err),
		 err);
	CHECK(range.n_inputs == 0);
	CHECK_OK(plan_range(&range, &s, &t.m.options, slice_str("a"),
			    SLICE_NULL, &err),
		 err);
	CHECK(range.n_inputs == 2);
	plan_job_release(&all);
	plan_job_release(&range);
	survey_release(&s);
	manifest_release(&t.m);
}

TEST_MAIN()
