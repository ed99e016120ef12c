#include "formats/manifest.h"

#include <inttypes.h>

bool strategy_name_ok(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t n = strlen(name);

	return n >= 1 && n <= 32 && strchr(first, name[0]) &&
	       strspn(name, rest) == n;
}

void table_meta_release(struct table_meta *t)
{
	buf_free(&t->smallest);
	buf_free(&t->largest);
}

int table_meta_copy(struct table_meta *dst, const struct table_meta *src,
		    struct store_error *err)
{
	*dst = *src;
	dst->smallest = BUF_INIT;
	dst->largest = BUF_INIT;
	if (buf_assign(&dst->smallest, buf_slice(&src->smallest)) < 0 ||
	    buf_assign(&dst->largest, buf_slice(&src->largest)) < 0) {
		table_meta_release(dst);
		return store_nomem(err);
	}
	return 0;
}

static void tables_free(struct table_meta *tables, size_t n)
{
	for (size_t i = 0; i < n; i++)
		table_meta_release(&tables[i]);
	free(tables);
}

static void level_release(struct level *l)
{
	for (size_t i = 0; i < l->n; i++)
		tables_free(l->runs[i].tables, l->runs[i].n);
	free(l->runs);
}

void manifest_release(struct manifest *m)
{
	for (size_t i = 0; i < m->n_levels; i++)
		level_release(&m->levels[i]);
	for (size_t i = 0; i < m->n_settings; i++) {
		free(m->settings[i].name);
		free(m->settings[i].value);
	}
	free(m->levels);
	free(m->settings);
	free(m->strategy);
	free(m->logs);
	free(m->dropped);
	buf_free(&m->may_ignore);
	*m = MANIFEST_INIT;
}

/*
 * Room for one more element at `at` of an array of `n`; the caller fills it in
 * and counts it.  The array is untouched when there is no memory.
 */
static void *array_open(void *array, size_t n, size_t at, size_t size)
{
	char *p;

	if (n >= SIZE_MAX / size)
		return NULL;
	p = realloc(array, (n + 1) * size);
	if (p)
		memmove(p + (at + 1) * size, p + at * size, (n - at) * size);
	return p;
}

static void array_close(void *array, size_t n, size_t at, size_t size)
{
	char *p = array;

	memmove(p + at * size, p + (at + 1) * size, (n - at - 1) * size);
}

/* ---- logs ---- */

static struct log_meta *log_of(const struct manifest *m, uint64_t number)
{
	for (size_t i = 0; i < m->n_logs; i++)
		if (m->logs[i].number == number)
			return &m->logs[i];
	return NULL;
}

static int no_log(uint64_t number, struct store_error *err)
{
	return store_fail(err, STORE_EBUG,
			  "edit of a manifest: log %" PRIu64 " is not in it",
			  number);
}

int manifest_add_log(struct manifest *m, uint64_t number, uint64_t created_ms,
		     struct store_error *err)
{
	struct log_meta *logs;

	logs = array_open(m->logs, m->n_logs, m->n_logs, sizeof(*logs));
	if (!logs)
		return store_nomem(err);
	m->logs = logs;
	logs[m->n_logs++] =
		(struct log_meta){ .number = number, .created_ms = created_ms };
	return 0;
}

int manifest_seal_log(struct manifest *m, uint64_t number, uint64_t length,
		      uint64_t checksum, struct store_error *err)
{
	struct log_meta *log = log_of(m, number);

	if (!log || log->sealed)
		return no_log(number, err);
	log->sealed = true;
	log->length = length;
	log->checksum = checksum;
	return 0;
}

/* Remember a file that the next generation names no more. */
static int drop(struct manifest *m, uint64_t number, struct store_error *err)
{
	struct dropped *d;
	size_t at = m->n_dropped;

	while (at > 0 && m->dropped[at - 1].number > number)
		at--;
	d = array_open(m->dropped, m->n_dropped, at, sizeof(*d));
	if (!d)
		return store_nomem(err);
	m->dropped = d;
	m->n_dropped++;
	d[at] = (struct dropped){ .number = number, .last = m->generation };
	return 0;
}

int manifest_remove_log(struct manifest *m, uint64_t number,
			struct store_error *err)
{
	struct log_meta *log = log_of(m, number);
	int r;

	if (!log)
		return no_log(number, err);
	if ((r = drop(m, number, err)) < 0)
		return r;
	array_close(m->logs, m->n_logs--, (size_t)(log - m->logs),
		    sizeof(*log));
	return 0;
}

const struct log_meta *manifest_find_log(const struct manifest *m,
					 uint64_t number)
{
	return log_of(m, number);
}

const struct log_meta *manifest_active_log(const struct manifest *m)
{
	if (m->n_logs == 0 || m->logs[m->n_logs - 1].sealed)
		return NULL;
	return &m->logs[m->n_logs - 1];
}

/* ---- tables ---- */

bool manifest_find_table(const struct manifest *m, uint64_t number,
			 size_t *level, size_t *run, size_t *index)
{
	for (size_t l = 0; l < m->n_levels; l++) {
		for (size_t r = 0; r < m->levels[l].n; r++) {
			const struct run *at = &m->levels[l].runs[r];

			for (size_t i = 0; i < at->n; i++) {
				if (at->tables[i].number != number)
					continue;
				*level = l;
				*run = r;
				*index = i;
				return true;
			}
		}
	}
	return false;
}

bool manifest_names(const struct manifest *m, uint64_t number)
{
	size_t level, run, index;

	return log_of(m, number) ||
	       manifest_find_table(m, number, &level, &run, &index);
}

static int no_table(uint64_t number, struct store_error *err)
{
	return store_fail(err, STORE_EBUG,
			  "edit of a manifest: table %" PRIu64 " is not in it",
			  number);
}

int manifest_remove_table(struct manifest *m, uint64_t number,
			  struct store_error *err)
{
	size_t level, run, index;
	struct run *at;
	int r;

	if (!manifest_find_table(m, number, &level, &run, &index))
		return no_table(number, err);
	if ((r = drop(m, number, err)) < 0)
		return r;
	at = &m->levels[level].runs[run];
	table_meta_release(&at->tables[index]);
	array_close(at->tables, at->n--, index, sizeof(*at->tables));
	return 0;
}

int manifest_trim_table(struct manifest *m, uint64_t number, struct slice from,
			struct store_error *err)
{
	size_t level, run, index;
	struct table_meta *t;

	if (!manifest_find_table(m, number, &level, &run, &index))
		return no_table(number, err);
	t = &m->levels[level].runs[run].tables[index];
	if (buf_assign(&t->smallest, from) < 0)
		return store_nomem(err);
	t->trimmed = true;
	return 0;
}

static int tables_copy(struct table_meta **out, const struct table_meta *tables,
		       size_t n, struct store_error *err)
{
	struct table_meta *copy = calloc(n, sizeof(*copy));
	int r;

	if (!copy)
		return store_nomem(err);
	for (size_t i = 0; i < n; i++) {
		if ((r = table_meta_copy(&copy[i], &tables[i], err)) < 0) {
			tables_free(copy, i);
			return r;
		}
	}
	*out = copy;
	return 0;
}

static uint64_t age_last(const struct table_meta *tables, size_t n)
{
	uint64_t age = 0;

	for (size_t i = 0; i < n; i++)
		if (tables[i].age_last > age)
			age = tables[i].age_last;
	return age;
}

static int reach_level(struct manifest *m, uint32_t level,
		       struct store_error *err)
{
	struct level *l;

	if (level >= MANIFEST_MAX_LEVELS)
		return store_fail(err, STORE_EBUG,
				  "edit of a manifest: no level %" PRIu32,
				  level);
	if (level < m->n_levels)
		return 0;
	l = realloc(m->levels, (level + 1) * sizeof(*l));
	if (!l)
		return store_nomem(err);
	m->levels = l;
	while (m->n_levels <= level)
		l[m->n_levels++] = (struct level){ NULL, 0 };
	return 0;
}

int manifest_insert_run(struct manifest *m, uint32_t level, size_t at,
			const struct table_meta *tables, size_t n,
			struct store_error *err)
{
	struct run run = { NULL, n };
	struct run *runs;
	struct level *l;
	int r;

	if (n == 0)
		return 0;
	if ((r = reach_level(m, level, err)) < 0 ||
	    (r = tables_copy(&run.tables, tables, n, err)) < 0)
		return r;
	l = &m->levels[level];
	runs = array_open(l->runs, l->n, at, sizeof(*runs));
	if (!runs) {
		tables_free(run.tables, n);
		return store_nomem(err);
	}
	l->runs = runs;
	l->n++;
	runs[at] = run;
	return 0;
}

int manifest_add_run(struct manifest *m, uint32_t level,
		     const struct table_meta *tables, size_t n,
		     struct store_error *err)
{
	uint64_t age = age_last(tables, n);
	size_t at = 0;

	if (level < m->n_levels) {
		const struct level *l = &m->levels[level];

		while (at < l->n &&
		       age_last(l->runs[at].tables, l->runs[at].n) >= age)
			at++;
	}
	return manifest_insert_run(m, level, at, tables, n, err);
}

static size_t place_by_key(const struct run *run, struct slice smallest)
{
	size_t lo = 0, hi = run->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (slice_cmp(buf_slice(&run->tables[mid].smallest), smallest) <
		    0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int manifest_add_tables(struct manifest *m, uint32_t level, size_t run,
			const struct table_meta *tables, size_t n,
			struct store_error *err)
{
	struct table_meta copy, *grown;
	struct run *to;
	int r;

	if (level >= m->n_levels || run >= m->levels[level].n)
		return store_fail(err, STORE_EBUG,
				  "edit of a manifest: no run %zu in level "
				  "%" PRIu32,
				  run, level);
	to = &m->levels[level].runs[run];
	for (size_t i = 0; i < n; i++) {
		size_t at = place_by_key(to, buf_slice(&tables[i].smallest));

		if ((r = table_meta_copy(&copy, &tables[i], err)) < 0)
			return r;
		grown = array_open(to->tables, to->n, at, sizeof(*grown));
		if (!grown) {
			table_meta_release(&copy);
			return store_nomem(err);
		}
		to->tables = grown;
		to->n++;
		grown[at] = copy;
	}
	return 0;
}

void manifest_trim(struct manifest *m)
{
	for (size_t i = 0; i < m->n_levels; i++) {
		struct level *l = &m->levels[i];
		size_t kept = 0;

		for (size_t j = 0; j < l->n; j++) {
			if (l->runs[j].n)
				l->runs[kept++] = l->runs[j];
			else
				free(l->runs[j].tables);
		}
		l->n = kept;
	}
	while (m->n_levels && m->levels[m->n_levels - 1].n == 0)
		free(m->levels[--m->n_levels].runs);
}
