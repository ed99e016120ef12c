#include "lib/outlook.h"

#include "lib/install.h"

/* The oldest generation that a reader pins, found by halving. */
static int oldest_pin(struct store *db, uint64_t newest, uint64_t *pin,
		      struct store_error *err)
{
	uint64_t low = 0, high = newest;
	int r = lock_pinned(&db->lock, newest, err);

	*pin = UINT64_MAX;
	if (r <= 0)
		return r;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		r = lock_pinned(&db->lock, mid, err);
		if (r < 0)
			return r;
		if (r)
			high = mid;
		else
			low = mid + 1;
	}
	*pin = low;
	return 0;
}

/* ---- claims ---- */

static int cmp_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The numbers of all tables, ascending. */
static int all_tables(const struct manifest *m, uint64_t **out, size_t *n,
		      struct store_error *err)
{
	*n = 0;
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			*n += m->levels[l].runs[r].n;
	*out = calloc(*n + 1, sizeof(**out));
	if (!*out)
		return store_nomem(err);
	*n = 0;
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++) {
			const struct run *run = &m->levels[l].runs[r];

			for (size_t i = 0; i < run->n; i++)
				(*out)[(*n)++] = run->tables[i].number;
		}
	qsort(*out, *n, sizeof(**out), cmp_number);
	return 0;
}

/*
 * Keep of `numbers` those that are claimed, in order: *kept of them.  A range
 * without a claim costs one look, so few claims cost few.
 */
static int keep_claimed(struct store *db, uint64_t *numbers, size_t first,
			size_t n, size_t *kept, struct store_error *err)
{
	int r;

	if (n == 0)
		return 0;
	r = lock_claimed_among(&db->lock, numbers[first],
			       numbers[first + n - 1], err);
	if (r <= 0)
		return r;
	if (n == 1) {
		numbers[(*kept)++] = numbers[first];
		return 0;
	}
	r = keep_claimed(db, numbers, first, n / 2, kept, err);
	if (r == 0)
		r = keep_claimed(db, numbers, first + n / 2, n - n / 2, kept,
				 err);
	return r;
}

/* Take from `numbers` what the caller claims itself. */
static size_t take_out(uint64_t *numbers, size_t n, const uint64_t *own,
		       size_t n_own, bool *is_own)
{
	size_t kept = 0;

	for (size_t i = 0; i < n_own; i++) {
		uint64_t *at = bsearch(&own[i], numbers, n, sizeof(*numbers),
				       cmp_number);

		if (at)
			is_own[at - numbers] = true;
	}
	for (size_t i = 0; i < n; i++)
		if (!is_own[i])
			numbers[kept++] = numbers[i];
	return kept;
}

/* Of the tables of `m` those in others' jobs, ascending; the caller frees. */
static int look_at_claims(struct store *db, const struct manifest *m,
			  const struct outlook_ask *ask, uint64_t **out,
			  size_t *n_out, struct store_error *err)
{
	bool *is_own;
	size_t n, kept = 0;
	int r = all_tables(m, out, &n, err);

	*n_out = 0;
	if (r == 0 && !ask->blind)
		r = keep_claimed(db, *out, 0, n, &kept, err);
	if (r < 0 || kept == 0)
		return r;
	is_own = calloc(kept, sizeof(*is_own));
	if (!is_own)
		return store_nomem(err);
	*n_out = take_out(*out, kept, ask->own, ask->n_own, is_own);
	free(is_own);
	return 0;
}

/* ---- the memtable ---- */

static int look_at_logs(struct store *db, struct survey_facts *f,
			struct store_error *err)
{
	struct generation *g;
	struct root at;
	int r = generation_current(db, &g, err);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < g->n_logs; i++) {
		r = memtable_root(g->logs[i], &at, err);
		if (r < 0 || at.log_bytes <= WAL_HEADER)
			continue;
		if (f->log_bytes == 0)
			f->log_created_ms = g->v.logs[i].created_ms;
		f->log_bytes += at.log_bytes - WAL_HEADER;
	}
	generation_close(g);
	return r;
}

void outlook_release(struct outlook *o)
{
	survey_release(&o->s);
	manifest_release(&o->m);
}

int outlook_read(struct outlook *o, struct store *db,
		 const struct outlook_ask *ask, struct store_error *err)
{
	struct survey_facts facts = {
		.now_ms = os.now_ms(),
		.free_disk = os.free_bytes(db->dir.fd),
		.trigger = ask->trigger,
		.options = ask->options,
	};
	uint64_t *claimed = NULL;
	int r = install_manifest(db, &o->m, err);

	if (r == 0)
		r = oldest_pin(db, o->m.generation, &facts.oldest_pin, err);
	if (r == 0)
		r = look_at_logs(db, &facts, err);
	if (r == 0)
		r = look_at_claims(db, &o->m, ask, &claimed, &facts.n_claimed,
				   err);
	facts.claimed = claimed;
	if (r == 0)
		r = survey_make(&o->s, &o->m, &facts, err);
	free(claimed);
	if (r < 0)
		outlook_release(o);
	return r;
}
