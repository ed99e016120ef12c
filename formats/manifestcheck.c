/*
 * The invariants of a version: manifest_check().
 */
#include "formats/jsontext.h"
#include "formats/manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct check {
	const struct manifest *m;
	const char *dir, *name; /* for messages */
	struct store_error *err;
};

__attribute__((format(printf, 2, 3))) static int broken(const struct check *c,
							const char *fmt, ...)
{
	char why[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return store_corrupt(c->err, c->dir, c->name, STORE_NO_OFFSET, why);
}

/* Counts stay below 2^53, where every JSON reader still agrees on them. */
static bool count_ok(uint64_t v)
{
	return v <= NUMBER_MAX;
}

static int check_settings(const struct check *c)
{
	const struct manifest *m = c->m;

	if (!m->strategy || !strategy_name_ok(m->strategy))
		return broken(c, "the strategy's name is not one");
	for (size_t i = 0; i < m->n_settings; i++) {
		struct slice name = slice_str(m->settings[i].name);
		struct slice value = slice_str(m->settings[i].value);

		if (name.len == 0 || name.len > 64 || value.len > 1024 ||
		    !text_ok(name) || !text_ok(value))
			return broken(c,
				      "setting %zu of the strategy is not "
				      "short and printable",
				      i);
		if (i &&
		    strcmp(m->settings[i - 1].name, m->settings[i].name) >= 0)
			return broken(c, "settings are not in order");
	}
	return 0;
}

static int check_head(const struct check *c)
{
	const struct manifest *m = c->m;
	struct store_error why = STORE_ERROR_INIT;

	if (m->generation == 0 || !count_ok(m->generation))
		return broken(c, "generation %" PRIu64 " is not one",
			      m->generation);
	if (m->next_number == 0 || !count_ok(m->next_number))
		return broken(c, "the counter of file numbers is at %" PRIu64,
			      m->next_number);
	if (!count_ok(m->created_ms) || !count_ok(m->flushed_bytes))
		return broken(c, "a count is not below 2^53");
	for (size_t i = 0; i < MANIFEST_MAX_LEVELS; i++)
		if (!count_ok(m->compacted_bytes[i]))
			return broken(c, "a count is not below 2^53");
	if (options_check(&m->options, &why) < 0)
		return broken(c, "%.180s", why.text);
	return check_settings(c);
}

static int check_logs(const struct check *c)
{
	const struct manifest *m = c->m;

	for (size_t i = 0; i < m->n_logs; i++) {
		const struct log_meta *log = &m->logs[i];

		if (i && m->logs[i - 1].number >= log->number)
			return broken(c, "logs are not in order at %" PRIu64,
				      log->number);
		if (!log->sealed && i + 1 < m->n_logs)
			return broken(c,
				      "log %" PRIu64 " is active but not "
				      "the last",
				      log->number);
		if (!count_ok(log->length) || !count_ok(log->created_ms) ||
		    (!log->sealed && (log->length || log->checksum)))
			return broken(c, "log %" PRIu64 ": bad length",
				      log->number);
	}
	return 0;
}

static int check_table(const struct check *c, const struct table_meta *t)
{
	const struct manifest *m = c->m;
	struct slice smallest = buf_slice(&t->smallest);
	struct slice largest = buf_slice(&t->largest);

	if (smallest.len == 0 || smallest.len > KEY_MAX || largest.len == 0 ||
	    largest.len > KEY_MAX || slice_cmp(smallest, largest) > 0)
		return broken(c, "table %" PRIu64 ": bad key range", t->number);
	if (t->age_first == 0 || t->age_first > t->age_last ||
	    t->age_last >= m->next_number)
		return broken(c, "table %" PRIu64 ": bad age", t->number);
	if (m->n_logs && m->logs[0].number <= t->age_last)
		return broken(c, "log %" PRIu64 " is older than table %" PRIu64,
			      m->logs[0].number, t->number);
	if (t->bytes == 0 || !count_ok(t->bytes) || t->entries == 0 ||
	    !count_ok(t->entries) || t->tombstones > t->entries ||
	    !count_ok(t->oldest_tombstone_ms) || !count_ok(t->created_ms))
		return broken(c, "table %" PRIu64 ": bad counts", t->number);
	return 0;
}

static int check_run(const struct check *c, const struct run *run)
{
	int r;

	if (run->n == 0)
		return broken(c, "a run is empty");
	for (size_t i = 0; i < run->n; i++) {
		const struct table_meta *t = &run->tables[i];

		if ((r = check_table(c, t)) < 0)
			return r;
		if (i && slice_cmp(buf_slice(&t[-1].largest),
				   buf_slice(&t->smallest)) >= 0)
			return broken(c,
				      "tables %" PRIu64 " and %" PRIu64
				      " of one run overlap",
				      t[-1].number, t->number);
	}
	return 0;
}

/*
 * Walk two runs side by side; `first` is searched first.  Both are ascending
 * and disjoint, so the table that ends first meets nothing further on and can
 * be passed: one step for each table.
 */
static int check_pair(const struct check *c, const struct run *first,
		      const struct run *second)
{
	size_t i = 0, j = 0;

	while (i < first->n && j < second->n) {
		const struct table_meta *a = &first->tables[i];
		const struct table_meta *b = &second->tables[j];

		if (slice_cmp(buf_slice(&a->largest), buf_slice(&b->smallest)) <
		    0) {
			i++;
			continue;
		}
		if (slice_cmp(buf_slice(&b->largest), buf_slice(&a->smallest)) <
		    0) {
			j++;
			continue;
		}
		if (a->age_first <= b->age_last)
			return broken(c,
				      "table %" PRIu64 " is searched before "
				      "table %" PRIu64 ", which is not "
				      "older and overlaps it",
				      a->number, b->number);
		if (slice_cmp(buf_slice(&a->largest), buf_slice(&b->largest)) <
		    0)
			i++;
		else
			j++;
	}
	return 0;
}

static int check_levels(const struct check *c, const struct run **runs,
			size_t *n_runs)
{
	const struct manifest *m = c->m;
	size_t n = 0;
	int r;

	for (size_t l = 0; l < m->n_levels; l++) {
		for (size_t i = 0; i < m->levels[l].n; i++) {
			runs[n] = &m->levels[l].runs[i];
			if ((r = check_run(c, runs[n++])) < 0)
				return r;
		}
	}
	*n_runs = n;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if ((r = check_pair(c, runs[i], runs[j])) < 0)
				return r;
	return 0;
}

static int cmp_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Every number, of a file named or dropped, in `numbers`. */
static size_t all_numbers(const struct manifest *m, uint64_t *numbers)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_logs; i++)
		numbers[n++] = m->logs[i].number;
	for (size_t i = 0; i < m->n_dropped; i++)
		numbers[n++] = m->dropped[i].number;
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			for (size_t i = 0; i < m->levels[l].runs[r].n; i++)
				numbers[n++] =
					m->levels[l].runs[r].tables[i].number;
	return n;
}

static int check_numbers(const struct check *c, uint64_t *numbers)
{
	size_t n = all_numbers(c->m, numbers);

	qsort(numbers, n, sizeof(*numbers), cmp_number);
	for (size_t i = 0; i < n; i++) {
		if (numbers[i] == 0 || numbers[i] >= c->m->next_number)
			return broken(c,
				      "file number %" PRIu64 " was never "
				      "drawn",
				      numbers[i]);
		if (i && numbers[i] == numbers[i - 1])
			return broken(c, "file number %" PRIu64 " stands twice",
				      numbers[i]);
	}
	return 0;
}

static int check_dropped(const struct check *c)
{
	const struct manifest *m = c->m;

	for (size_t i = 0; i < m->n_dropped; i++) {
		const struct dropped *d = &m->dropped[i];

		if (i && m->dropped[i - 1].number >= d->number)
			return broken(c, "dropped files are not in order");
		if (d->last == 0 || d->last > m->generation)
			return broken(c,
				      "dropped file %" PRIu64 ": bad "
				      "generation",
				      d->number);
	}
	return 0;
}

int manifest_check(const struct manifest *m, const char *dir, const char *name,
		   struct store_error *err)
{
	struct check c = { m, dir, name, err };
	size_t n_runs = 0, n = m->n_logs + m->n_dropped;
	const struct run **runs = NULL;
	uint64_t *numbers = NULL;
	int r;

	if (m->n_levels > MANIFEST_MAX_LEVELS)
		return broken(&c, "%zu levels", m->n_levels);
	if (m->n_levels && m->levels[m->n_levels - 1].n == 0)
		return broken(&c, "the last level is empty");
	for (size_t l = 0; l < m->n_levels; l++) {
		n_runs += m->levels[l].n;
		for (size_t i = 0; i < m->levels[l].n; i++)
			n += m->levels[l].runs[i].n;
	}
	if (n_runs > MANIFEST_MAX_RUNS)
		return broken(&c, "%zu runs", n_runs);
	runs = calloc(n_runs + 1, sizeof(*runs));
	numbers = calloc(n + 1, sizeof(*numbers));
	if (!runs || !numbers) {
		r = store_nomem(err);
		goto out;
	}
	if ((r = check_head(&c)) < 0 || (r = check_logs(&c)) < 0 ||
	    (r = check_dropped(&c)) < 0 || (r = check_numbers(&c, numbers)) < 0)
		goto out;
	r = check_levels(&c, runs, &n_runs);
out:
	free(numbers);
	free(runs);
	return r;
}
