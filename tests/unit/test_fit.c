/*
 * fit.h: of a merge that does not fit on the disk, the runs that do.
 */
#include "lib/fit.h"
#include "tests/unit/tree.h"

#define TREE                                                                   \
	"option table_bytes 4K\n"                                              \
	"option table_bytes_max 4K\n"                                          \
	"level 0\n"                                                            \
	"run\n"                                                                \
	"60 a..z age 60 10M\n"                                                 \
	"run\n"                                                                \
	"50 a..z age 50 1M\n"                                                  \
	"run\n"                                                                \
	"40 a..z age 40 1M\n"                                                  \
	"run\n"                                                                \
	"30 a..m age 30 2M\n"                                                  \
	"31 n..z age 30 2M\n"                                                  \
	"level 1\n"                                                            \
	"run\n"                                                                \
	"10 a..m age 10 3M\n"                                                  \
	"11 n..z age 10 3M\n"

/* Of all tables but `left_out`, within `room`: 1 and the job, or 0. */
static int fit(struct plan_job *small, const char *text, uint64_t left_out,
	       uint64_t room)
{
	struct store_error err = STORE_ERROR_INIT;
	uint64_t inputs[16];
	struct plan_job j = { .kind = LSM_MERGE, .level = 1, .inputs = inputs };
	struct refusal why;
	struct survey s;
	struct tree t;
	int r;

	tree_read(&t, text);
	tree_survey(&s, &t, NULL);
	for (size_t i = 0; i < s.view.n_tables; i++)
		if (s.tables[i].number != left_out)
			inputs[j.n_inputs++] = s.tables[i].number;
	r = fit_smaller(small, &j, &s, &t.m.options, room, &err);
	if (r == 1)
		CHECK(plan_job_check(small, &s, false, &why, &err) == 1);
	survey_release(&s);
	manifest_release(&t.m);
	return r;
}

TEST(the_cheapest_neighbours_that_fit_become_one_run)
{
	struct plan_job j;

	CHECK(fit(&j, TREE, 0, 9 << 20) == 1);
	CHECK(j.n_inputs == 2 && j.inputs[0] == 50 && j.inputs[1] == 40);
	CHECK(j.kind == LSM_MERGE && j.level == 0 && !j.into);
	CHECK(j.bytes == 2 << 20 && j.table_bytes == 4096);
	plan_job_release(&j);
}

TEST(a_run_of_many_tables_holds_but_one_of_them_at_a_border)
{
	struct plan_job j;

	/* 30 and 31 with 10 and 11: 10M are read, 5M are held */
	CHECK(fit(&j, TREE, 40, (5 << 20) + 8192) == 1);
	CHECK(j.n_inputs == 4 && j.inputs[0] == 30 && j.level == 1);
	plan_job_release(&j);
}

TEST(where_no_two_fit_there_is_no_smaller_job)
{
	struct plan_job j;

	CHECK(fit(&j, TREE, 0, 1 << 20) == 0);
	CHECK(fit(&j, TREE, 0, 0) == 0);
}

TEST(what_is_no_whole_run_or_in_another_job_is_left)
{
	struct plan_job j;

	CHECK(fit(&j, TREE, 31, 9 << 20) == 1);
	CHECK(j.n_inputs == 2 && j.inputs[0] == 50);
	plan_job_release(&j);
	CHECK(fit(&j,
		  "level 0\nrun\n3 a..z age 3 1M\nrun\n2 a..z age 2 1M "
		  "claimed\n"
		  "run\n1 a..z age 1 1M\n",
		  0, 1 << 30) == 0);
}

TEST_MAIN()
