/*
 * The strategies that come with the project, case by case: each file of
 * tests/unit/cases is a tree (tests/unit/tree.h), a line of dashes, and the
 * jobs that its strategy must emit, best first, one a line:
 *
 *	merge 10 20 30 -> 1 into
 *
 * The inputs stand in ascending order; "into" is the run that is there, "new"
 * a run of its own; a drop goes nowhere, and a flush has no inputs.  And
 *plugin.h: what it loads, and what it refuses.
 */
#include "lib/os.h"
#include "lib/plugin.h"
#include "tests/unit/tree.h"

#include <time.h>
#include <unistd.h>

#define CASES "tests/unit/cases"
#define BAD_PLUGINS PLUGIN_DIR "/../tests/plugins"

/* ---- cases ---- */

static int cmp_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void print_job(struct buf *out, struct plan_job *j)
{
	static const char *const kinds[] = { "", "merge", "move", "drop",
					     "flush" };
	char text[40];

	buf_append_slice(out, slice_str(kinds[j->kind]));
	qsort(j->inputs, j->n_inputs, sizeof(*j->inputs), cmp_number);
	for (size_t i = 0; i < j->n_inputs; i++) {
		snprintf(text, sizeof(text), " %" PRIu64, j->inputs[i]);
		buf_append_slice(out, slice_str(text));
	}
	if (j->kind == LSM_MERGE || j->kind == LSM_MOVE) {
		snprintf(text, sizeof(text), " -> %" PRIu32 " %s", j->level,
			 j->into ? "into" : "new");
		buf_append_slice(out, slice_str(text));
	}
	buf_append_slice(out, slice_str("\n"));
}

/* What the tree's strategy plans, as text. */
static void plan_of(const struct tree *t, struct buf *out)
{
	struct lsm_budget budget = { 16, UINT64_MAX };
	struct store_error err = STORE_ERROR_INIT;
	uint64_t options[LSM_OPTIONS_MAX];
	struct plugin plugin = PLUGIN_INIT;
	struct plan p = PLAN_INIT;
	struct survey s;

	CHECK_OK(plugin_open(&plugin, NULL, t->m.strategy, &err), err);
	CHECK_OK(plugin_options(plugin.strategy, t->m.settings, t->m.n_settings,
				options, &err),
		 err);
	tree_survey(&s, t, options);
	CHECK_OK(plan_make(&p, plugin.strategy, &s, &t->m.options, &budget,
			   &err),
		 err);
	CHECK(p.n == 0 || p.need > 0);
	CHECK(p.need == 0 || p.n > 0 || t->n_claimed > 0);
	for (size_t i = 0; i < p.n; i++)
		print_job(out, &p.jobs[i]);
	plan_release(&p);
	survey_release(&s);
	plugin_close(&plugin);
}

static unsigned failed; /* cases */

static void run_case(const struct dir *dir, const char *name)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf text = BUF_INIT, got = BUF_INIT;
	const char *want;
	struct tree t;

	CHECK_OK(os_read_file(dir, name, 1 << 20, &text, &err), err);
	CHECK(buf_append_u8(&text, 0) == 0);
	want = strstr((char *)text.data, "\n----\n");
	CHECK(want);
	want += strlen("\n----\n");
	tree_read(&t, (char *)text.data);
	plan_of(&t, &got);
	if (!slice_eq(slice_str(want), buf_slice(&got))) {
		printf("# %s: expected:\n%s# planned:\n%.*s", name, want,
		       (int)got.len, (char *)got.data);
		failed++;
	}
	manifest_release(&t.m);
	buf_free(&text);
	buf_free(&got);
}

static int each(void *ctx, const char *name)
{
	size_t n = strlen(name);

	if (n > 4 && !strcmp(name + n - 4, ".txt"))
		run_case(ctx, name);
	return 0;
}

TEST(each_case_is_planned_as_its_file_says)
{
	struct store_error err = STORE_ERROR_INIT;
	struct dir dir;

	CHECK_OK(dir_open(&dir, CASES, &err), err);
	failed = 0;
	CHECK(os.list(dir.fd, each, &dir) == 0);
	dir_close(&dir);
	CHECK(failed == 0);
}

/* ---- scale ---- */

#define RUNS 4u
#define RUN_TABLES 25000u

static bool count_job(void *ctx, const struct lsm_job *job)
{
	size_t *inputs = ctx;

	*inputs += job->n_inputs;
	return true;
}

/*
 * A series of 100,000 tables in four runs of level 0: all of them are to be
 * moved, or dropped.  Returns the seconds that this takes.
 */
static double plan_series(const char *name, const char *option,
			  const char *value)
{
	static struct lsm_table tables[RUNS * RUN_TABLES];
	static uint8_t keys[RUNS * RUN_TABLES][4];
	static uint64_t scratch[RUNS * RUN_TABLES];
	struct lsm_run runs[RUNS];
	struct lsm_level level = { .n = RUNS, .bytes = UINT64_C(1) << 40 };
	struct setting setting = { (char *)(uintptr_t)option,
				   (char *)(uintptr_t)value };
	const struct lsm_budget budget = { 16, UINT64_MAX };
	struct store_error err = STORE_ERROR_INIT;
	uint64_t options[LSM_OPTIONS_MAX];
	struct plugin plugin = PLUGIN_INIT;
	struct lsm_view v = { .tables = tables,
			      .n_tables = RUNS * RUN_TABLES,
			      .runs = runs,
			      .n_runs = RUNS,
			      .levels = &level,
			      .n_levels = 1,
			      .max_levels = 8,
			      .level0_runs = 4,
			      .level_ratio = 10,
			      .table_bytes = 1 << 20,
			      .options = options,
			      .now_ms = 1000000,
			      .scratch = scratch };
	size_t inputs = 0;
	clock_t start;

	for (uint32_t i = 0; i < v.n_tables; i++) {
		uint32_t run = i / RUN_TABLES,
			 k = v.n_tables - run * RUN_TABLES;

		k = k - RUN_TABLES + i % RUN_TABLES; /* ascends with time */
		for (int b = 0; b < 4; b++)
			keys[i][b] = (uint8_t)(k >> (24 - 8 * b));
		tables[i] = (struct lsm_table){ .number = i + 1,
						.run = run,
						.age_first = k + 1,
						.age_last = k + 1,
						.bytes = 1 << 20,
						.entries = 100,
						.created_ms = 1,
						.smallest = { keys[i], 4 },
						.largest = { keys[i], 4 } };
		runs[run] = (struct lsm_run){ .first = run * RUN_TABLES,
					      .n = RUN_TABLES,
					      .bytes = level.bytes / RUNS };
	}
	CHECK_OK(plugin_open(&plugin, NULL, name, &err), err);
	CHECK_OK(plugin_options(plugin.strategy, &setting, option != NULL,
				options, &err),
		 err);
	start = clock();
	CHECK(plugin.strategy->need(&v) > 0);
	plugin.strategy->plan(&v, &budget, count_job, &inputs);
	CHECK(inputs >= v.n_tables);
	plugin_close(&plugin);
	return (double)(clock() - start) / CLOCKS_PER_SEC;
}

TEST(a_plan_for_a_hundred_thousand_tables_takes_no_second)
{
	CHECK(plan_series("tiered", NULL, NULL) < 1);
	CHECK(plan_series("fifo", "max_age", "10s") < 1);
	CHECK(plan_series("fifo", "max_bytes", "1K") < 1);
}

/* ---- loading ---- */

static const char *refusal(const char *dir, const char *name)
{
	static struct store_error err;
	struct plugin p = PLUGIN_INIT;

	err = STORE_ERROR_INIT;
	CHECK(plugin_open(&p, dir, name, &err) == STORE_ECONFIG);
	CHECK(!p.handle && p.fd == -1);
	return err.text;
}

TEST(a_strategy_is_found_by_its_name)
{
	struct store_error err = STORE_ERROR_INIT;
	struct plugin a = PLUGIN_INIT, b = PLUGIN_INIT;

	CHECK_OK(plugin_open(&a, NULL, "leveled", &err), err);
	CHECK_OK(plugin_open(&b, PLUGIN_DIR, "tiered", &err), err);
	CHECK(!strcmp(a.strategy->name, "leveled"));
	CHECK(!strcmp(b.strategy->name, "tiered"));
	plugin_close(&a);
	plugin_close(&b);
}

TEST(a_name_that_is_none_is_not_looked_for)
{
	CHECK(strstr(refusal(NULL, ""), "a strategy's name"));
	CHECK(strstr(refusal(NULL, "../leveled"), "a strategy's name"));
	CHECK(strstr(refusal(NULL, "Leveled"), "a strategy's name"));
	CHECK(strstr(refusal(NULL, "no-such"), "no such strategy"));
	CHECK(strstr(refusal(NULL, "no-such"), "lsm-strategy-no-such.so"));
}

TEST(a_directory_must_be_absolute_and_there)
{
	CHECK(strstr(refusal("plugins", "leveled"), "absolute"));
	CHECK(strstr(refusal("/no/such", "leveled"), "No such file"));
}

TEST(a_strategy_of_another_abi_or_name_is_refused)
{
	CHECK(strstr(refusal(BAD_PLUGINS, "ancient"), "ABI"));
	CHECK(strstr(refusal(BAD_PLUGINS, "misnamed"), "another name"));
}

TEST(a_strategy_that_stays_loaded_is_not_taken_for_another)
{
	static const char *const names[] = { "staying", "lasting", "staying" };
	struct store_error err = STORE_ERROR_INIT;
	struct plugin p = PLUGIN_INIT;
	int fd = -1;

	for (size_t i = 0; i < 3; i++) {
		CHECK_OK(plugin_open(&p, BAD_PLUGINS, names[i], &err), err);
		CHECK(!strcmp(p.strategy->name, names[i]));
		CHECK(fd < 0 || p.fd == fd); /* the number is used again */
		fd = p.fd;
		plugin_close(&p);
	}
}

TEST(a_symbolic_link_is_refused)
{
	char path[80], file[120];

	snprintf(path, sizeof(path), "/tmp/test-strategies-XXXXXX");
	CHECK(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/lsm-strategy-leveled.so", path);
	CHECK(symlink(PLUGIN_DIR "/lsm-strategy-leveled.so", file) == 0);
	CHECK(strstr(refusal(path, "leveled"), "is a symbolic link"));
	CHECK(remove(file) == 0 && remove(path) == 0);
}

static bool yes(void)
{
	return true;
}

TEST(a_program_with_raised_rights_loads_no_strategy)
{
	bool (*real)(void) = os.raised;
	const char *why;

	CHECK(!real());
	os.raised = yes;
	why = refusal(NULL, "leveled");
	os.raised = real;
	CHECK(strstr(why, "more rights"));
}

/* A private directory with one file by the name of a strategy. */
static void make_fake(char *path, size_t n, char *file, size_t m)
{
	int fd;

	snprintf(path, n, "/tmp/test-strategies-XXXXXX");
	CHECK(mkdtemp(path));
	snprintf(file, m, "%s/lsm-strategy-fake.so", path);
	fd = os.openat(AT_FDCWD, file, O_WRONLY | O_CREAT | O_EXCL, 0644);
	CHECK(fd >= 0);
	os_close(fd);
}

TEST(a_file_that_others_may_write_is_refused)
{
	char path[80], file[120];

	make_fake(path, sizeof(path), file, sizeof(file));
	CHECK(strstr(refusal(path, "fake"), "lsm-strategy-fake.so"));
	CHECK(chmod(file, 0664) == 0);
	CHECK(strstr(refusal(path, "fake"), "may write it"));
	CHECK(chmod(file, 0644) == 0 && chmod(path, 0777) == 0);
	CHECK(strstr(refusal(path, "fake"), "nobody else may write"));
	CHECK(chmod(path, 0700) == 0 && remove(file) == 0);
	CHECK(os.mkdir(file, 0755) == 0);
	CHECK(strstr(refusal(path, "fake"), "not a regular file"));
	CHECK(remove(file) == 0 && remove(path) == 0);
}

/* ---- options ---- */

static int set(const char *name, const char *value, uint64_t *values,
	       struct store_error *err)
{
	struct setting s = { (char *)(uintptr_t)name,
			     (char *)(uintptr_t)value };
	struct plugin p = PLUGIN_INIT;
	int r;

	*err = STORE_ERROR_INIT;
	CHECK_OK(plugin_open(&p, NULL, "tiered", err), *err);
	r = plugin_options(p.strategy, &s, 1, values, err);
	plugin_close(&p);
	return r;
}

TEST(settings_of_a_strategy_are_bounded)
{
	uint64_t v[LSM_OPTIONS_MAX];
	struct store_error err;

	CHECK(set("min_runs", "7", v, &err) == 0 && v[0] == 7 && v[1] == 200);
	CHECK(set("min_runs", "1", v, &err) == STORE_ECONFIG);
	CHECK(strstr(err.text, "min_runs") && strstr(err.text, "from 2 to"));
	CHECK(set("min_runs", "7K", v, &err) == STORE_ECONFIG);
	CHECK(set("min_runs", "", v, &err) == STORE_ECONFIG);
	CHECK(set("min_runs", "99999999999999999999", v, &err) ==
	      STORE_ECONFIG);
	CHECK(set("no_such", "7", v, &err) == STORE_ECONFIG);
	CHECK(strstr(err.text, "unknown option: no_such"));
}

TEST_MAIN()
