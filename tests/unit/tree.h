/*
 * tree.h - a tree of tables, written as text, for tests of what decides about
 * trees: strategies, plans, fences.
 *
 *	option level0_runs 4          an option of the store
 *	set min_runs 3                a setting of the strategy
 *	now 90000                     the time, in ms; 1000 if not told
 *	log 4M age 2000               the memtable: bytes, ms since it began
 *	flushed 10G                   bytes flushed since the store was made
 *	merged 1G                     and written by merges
 *	level 0
 *	run                           newest first
 *	7 a..m age 7 1M               number, keys, age, bytes
 *	8 n..z age 3-7 1M dead 5 since 500 claimed
 *	9 aa..zz age 2 1M made 700
 *
 * `dead` is the number of tombstones, the oldest of them made at `since` (1 if
 * not told); `trimmed`, that its file holds older keys, too; every table holds
 *100 entries and was made at `made` (1).
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
	uint64_t now_ms, log_bytes, log_age_ms;
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

/* The number behind a word, or `none`. */
static uint64_t tree_word(const char *line, const char *word, uint64_t none)
{
	const char *at = strstr(line, word);

	return at ? strtoull(at + strlen(word), NULL, 10) : none;
}

static void tree_table(struct tree *t, const char *line)
{
	struct table_meta *m = &t->run[t->n_run++];
	char keys[80], age[40], bytes[40], *dots, *dash;
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
	m->tombstones = tree_word(line, " dead ", 0);
	m->oldest_tombstone_ms =
		m->tombstones ? tree_word(line, " since ", 1) : 0;
	m->created_ms = tree_word(line, " made ", 1);
	m->trimmed = strstr(line, " trimmed");
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
	else if (sscanf(line, "now %79s", a) == 1)
		t->now_ms = strtoull(a, NULL, 10);
	else if (sscanf(line, "flushed %79s", a) == 1)
		t->m.flushed_bytes = tree_bytes(a);
	else if (sscanf(line, "merged %79s", a) == 1)
		t->m.compacted_bytes[1] = tree_bytes(a);
	else if (sscanf(line, "log %79s age %79s", a, b) == 2) {
		t->log_bytes = tree_bytes(a);
		t->log_age_ms = strtoull(b, NULL, 10);
	} else if (sscanf(line, "level %79s", a) == 1) {
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

	*t = (struct tree){ .m = MANIFEST_INIT, .now_ms = 1000 };
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
	struct survey_facts facts = { .now_ms = t->now_ms,
				      .log_bytes = t->log_bytes,
				      .log_created_ms =
					      t->now_ms - t->log_age_ms,
				      .free_disk = UINT64_MAX,
				      .oldest_pin = UINT64_MAX,
				      .options = options,
				      .claimed = t->claimed,
				      .n_claimed = t->n_claimed };

	*s = SURVEY_INIT;
	CHECK_OK(survey_make(s, &t->m, &facts, &err), err);
}

#endif
