/*
 * tree.h - a tree of tables, written as text, for tests of what decides about
 * trees: strategies, plans, fences.
 *
 *	option level0_runs 4          an option of the store
 *	set min_runs 3                a setting of the strategy
 *	level 0
 *	run                           newest first
 *	7 a..m age 7 1M               number, keys, age, bytes
 *	8 n..z age 3-7 1M dead 5 claimed
 *
 * `dead` is the number of tombstones; every table holds 100 entries.
 */
#ifndef TESTS_UNIT_TREE_H
#define TESTS_UNIT_TREE_H

#include "lib/plan.h"
#include "tests/unit/test.h"

#include <inttypes.h>

struct tree {
	struct manifest m;
	uint64_t claimed[64];
	size_t n_claimed;
	uint32_t level;
	struct table_meta run[256];
	size_t n_run;
};

static void tree_end_run(struct tree *t)
{
	struct store_error err = STORE_ERROR_INIT;

	if (t->n_run)
		CHECK_OK(manifest_add_run(&t->m, t->level, t->run, t->n_run,
					  &err),
			 err);
	for (size_t i = 0; i < t->n_run; i++)
		table_meta_release(&t->run[i]);
	t->n_run = 0;
}

static uint64_t tree_bytes(const char *text)
{
	char *unit;
	uint64_t n = strtoull(text, &unit, 10);

	return *unit == 'K'   ? n << 10
	       : *unit == 'M' ? n << 20
	       : *unit == 'G' ? n << 30
			      : n;
}

static void tree_table(struct tree *t, const char *line)
{
	struct table_meta *m = &t->run[t->n_run++];
	char keys[80], age[40], bytes[40], *dots, *dash;
	const char *dead = strstr(line, " dead ");

	*m = (struct table_meta){ .entries = 100, .created_ms = 1 };
	CHECK(sscanf(line, "%" SCNu64 " %79s age %39s %39s", &m->number, keys,
		     age, bytes) == 4);
	dots = strstr(keys, "..");
	CHECK(dots);
	*dots = '\0';
	CHECK(buf_assign(&m->smallest, slice_str(keys)) == 0);
	CHECK(buf_assign(&m->largest, slice_str(dots + 2)) == 0);
	dash = strchr(age, '-');
	m->age_first = strtoull(age, NULL, 10);
	m->age_last = dash ? strtoull(dash + 1, NULL, 10) : m->age_first;
	m->bytes = tree_bytes(bytes);
	if (dead) {
		m->tombstones = strtoull(dead + 6, NULL, 10);
		m->oldest_tombstone_ms = 1;
	}
	if (strstr(line, "claimed"))
		t->claimed[t->n_claimed++] = m->number;
}

static void tree_setting(struct tree *t, const char *name, const char *value)
{
	struct manifest *m = &t->m;

	m->settings = realloc(m->settings,
			      (m->n_settings + 1) * sizeof(*m->settings));
	m->settings[m->n_settings++] =
		(struct setting){ strdup(name), strdup(value) };
}

static void tree_line(struct tree *t, const char *line)
{
	struct store_error err = STORE_ERROR_INIT;
	char a[80], b[80];

	if (sscanf(line, "option %79s %79s", a, b) == 2)
		CHECK_OK(options_set(&t->m.options, slice_str(a), slice_str(b),
				     &err),
			 err);
	else if (sscanf(line, "set %79s %79s", a, b) == 2)
		tree_setting(t, a, b);
	else if (sscanf(line, "strategy %79s", a) == 1)
		t->m.strategy = strdup(a);
	else if (sscanf(line, "level %79s", a) == 1) {
		tree_end_run(t);
		t->level = (uint32_t)atoi(a);
	} else if (!strcmp(line, "run"))
		tree_end_run(t);
	else if (*line >= '0' && *line <= '9')
		tree_table(t, line);
	else
		CHECK(*line == '\0' || *line == '#');
}

/* What stands in `text` up to its end or a line of dashes. */
static void tree_read(struct tree *t, const char *text)
{
	struct store_error err = STORE_ERROR_INIT;
	char line[200];
	size_t n;

	*t = (struct tree){ .m = MANIFEST_INIT };
	options_default(&t->m.options);
	t->m.generation = 1;
	t->m.next_number = 1000000;
	for (; *text; text += n + (text[n] != '\0')) {
		n = strcspn(text, "\n");
		CHECK(n < sizeof(line));
		memcpy(line, text, n);
		line[n] = '\0';
		if (!strcmp(line, "----"))
			break;
		tree_line(t, line);
	}
	tree_end_run(t);
	manifest_trim(&t->m);
	if (!t->m.strategy)
		t->m.strategy = strdup("none");
	CHECK_OK(manifest_check(&t->m, "tree", NULL, &err), err);
}

static void tree_survey(struct survey *s, const struct tree *t,
			const uint64_t *options)
{
	struct store_error err = STORE_ERROR_INIT;
	struct survey_facts facts = { .now_ms = 1000,
				      .free_disk = UINT64_MAX,
				      .oldest_pin = UINT64_MAX,
				      .options = options,
				      .claimed = t->claimed,
				      .n_claimed = t->n_claimed };

	*s = SURVEY_INIT;
	CHECK_OK(survey_make(s, &t->m, &facts, &err), err);
}

#endif
