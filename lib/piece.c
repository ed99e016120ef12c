#include "lib/piece.h"

#include "lib/install.h"
#include "lib/sweep.h"

/* Below this share of the wanted size a table is small... */
#define SMALL_SHARE 4
/* ... and so many in a row are worth joining. */
#define SMALL_ROW 8

/* ---- the inputs ---- */

static struct slice smallest_of(const struct piece_input *i)
{
	return survey_key(i->t->smallest);
}

static struct slice largest_of(const struct piece_input *i)
{
	return survey_key(i->t->largest);
}

static int cmp_input(const void *a, const void *b)
{
	return slice_cmp(smallest_of(a), smallest_of(b));
}

/* The survey has the tables in the manifest's order. */
static bool is_trimmed(const struct manifest *m, const struct survey *s,
		       size_t at)
{
	const struct lsm_table *t = &s->tables[at];
	size_t first = s->runs[s->levels[t->level].first + t->run].first;

	return m->levels[t->level].runs[t->run].tables[at - first].trimmed;
}

static bool is_small(const struct plan_job *plan, const struct piece_input *in)
{
	return in->carried && in->t->bytes < plan->table_bytes / SMALL_SHARE;
}

/* Many small tables in a row become few: they are read after all. */
static void join_small(const struct plan_job *plan, struct piece_input *inputs,
		       size_t n_inputs)
{
	size_t i = 0, n;

	for (; i < n_inputs; i += n ? n : 1) {
		for (n = 0; i + n < n_inputs; n++)
			if (!is_small(plan, &inputs[i + n]))
				break;
		for (size_t k = 0; n >= SMALL_ROW && k < n; k++)
			inputs[i + k].carried = false;
	}
}

/*
 * A table of the output's level that no other input overlaps would be written
 * as it is.  Unless it has tombstones to drop or bytes to free, it is carried
 * into the output's run unread.  So what a merge that was stopped has done is
 * not done again by the next, which therefore comes further, however little
 * time it gets.
 */
static void choose_carried(const struct plan_job *plan,
			   struct piece_input *inputs, size_t n)
{
	struct slice reach = SLICE_NULL;

	for (size_t i = 0; i < n; i++) {
		struct piece_input *in = &inputs[i];
		bool alone =
			(i == 0 || slice_cmp(reach, smallest_of(in)) < 0) &&
			(i + 1 == n ||
			 slice_cmp(largest_of(in), smallest_of(in + 1)) < 0);

		if (i == 0 || slice_cmp(largest_of(in), reach) > 0)
			reach = largest_of(in);
		in->carried = alone && in->t->level == plan->level &&
			      in->t->tombstones == 0 && !in->trimmed;
	}
	join_small(plan, inputs, n);
}

void piece_inputs_order(const struct plan_job *plan, struct piece_input *inputs,
			size_t n)
{
	qsort(inputs, n, sizeof(*inputs), cmp_input);
	if (plan->kind == LSM_MERGE)
		choose_carried(plan, inputs, n);
}

int pieces_init(struct pieces *p, struct store *db, const struct plan_job *plan,
		const struct outlook *o, struct store_error *err)
{
	bool *input;

	*p = (struct pieces){ .db = db,
			      .plan = plan,
			      .s = &o->s,
			      .generation = o->m.generation };
	p->inputs = calloc(plan->n_inputs + 1, sizeof(*p->inputs));
	input = calloc(o->s.view.n_tables + 1, sizeof(*input));
	if (!p->inputs || !input) {
		free(input);
		return store_nomem(err);
	}
	for (size_t i = 0; i < plan->n_inputs; i++) {
		struct piece_input *in = &p->inputs[p->n_inputs++];

		in->at = survey_find(p->s, plan->inputs[i]);
		in->t = &p->s->tables[in->at];
		in->trimmed = is_trimmed(&o->m, p->s, in->at);
		in->carried = plan->kind == LSM_MOVE;
		input[in->at] = true;
		if (in->t->age_last > p->age)
			p->age = in->t->age_last;
	}
	piece_inputs_order(plan, p->inputs, p->n_inputs);
	if (plan->kind != LSM_DROP)
		p->place = plan_job_place(plan, p->s, input);
	free(input);
	return 0;
}

static int cmp_largest(const void *a, const void *b)
{
	const struct piece_input *const *x = a, *const *y = b;

	return slice_cmp(largest_of(*x), largest_of(*y));
}

uint64_t pieces_overlap_bytes(const struct pieces *p)
{
	const struct piece_input **ends =
		calloc(p->n_inputs + 1, sizeof(*ends));
	uint64_t open = 0, most = 0;
	size_t ended = 0;

	if (!ends)
		return p->plan->bytes; /* more than enough */
	for (size_t i = 0; i < p->n_inputs; i++)
		ends[i] = &p->inputs[i];
	qsort(ends, p->n_inputs, sizeof(*ends), cmp_largest);
	for (size_t i = 0; i < p->n_inputs; i++) {
		const struct piece_input *in = &p->inputs[i];

		while (slice_cmp(largest_of(ends[ended]), smallest_of(in)) <
		       0) {
			if (!ends[ended]->carried)
				open -= ends[ended]->t->bytes;
			ended++;
		}
		if (!in->carried)
			open += in->t->bytes;
		if (open > most)
			most = open;
	}
	free(ends);
	return most;
}

/* ---- the outputs ---- */

int pieces_add(struct pieces *p, struct table_meta *meta,
	       struct store_error *err)
{
	struct table_meta *grown =
		realloc(p->outputs, (p->n_outputs + 1) * sizeof(*grown));
	char name[NAME_SIZE];

	if (!grown) {
		name_make(name, FILE_SST, meta->number);
		os_unlink(&p->db->dir, name, NULL);
		lock_unclaim(&p->db->lock, meta->number);
		table_meta_release(meta);
		return store_nomem(err);
	}
	p->outputs = grown;
	grown[p->n_outputs++] = *meta;
	p->output_bytes += meta->bytes;
	return 0;
}

static void drop_outputs(struct pieces *p, bool unlink)
{
	char name[NAME_SIZE];

	for (size_t i = 0; i < p->n_outputs; i++) {
		name_make(name, FILE_SST, p->outputs[i].number);
		if (unlink)
			os_unlink(&p->db->dir, name, NULL);
		if (p->outputs[i].number != p->anchor)
			lock_unclaim(&p->db->lock, p->outputs[i].number);
		table_meta_release(&p->outputs[i]);
	}
	p->n_outputs = 0;
	p->output_bytes = 0;
}

void pieces_release(struct pieces *p)
{
	if (!p->db)
		return;
	drop_outputs(p, true);
	if (p->anchor)
		lock_unclaim(&p->db->lock, p->anchor);
	for (size_t i = 0; i < p->n_inputs; i++)
		if (!p->inputs[i].gone)
			lock_unclaim(&p->db->lock, p->inputs[i].t->number);
	/* what pieces_init() did not come to */
	for (size_t i = p->n_inputs; i < p->plan->n_inputs; i++)
		lock_unclaim(&p->db->lock, p->plan->inputs[i]);
	free(p->outputs);
	free(p->inputs);
	*p = PIECES_INIT;
}

/* ---- the edit ---- */

/* Is this input to go with the piece, or, without a border, with the rest? */
static bool is_below(const struct pieces *p, const struct piece_input *in)
{
	return p->border.len == 0 || slice_cmp(largest_of(in), p->border) < 0;
}

static bool is_begun(const struct pieces *p, const struct piece_input *in)
{
	return p->border.len == 0 || slice_cmp(smallest_of(in), p->border) < 0;
}

/* In the level of the output: 1, and the index of its run. */
static int run_of(const struct pieces *p, const struct manifest *m,
		  uint64_t number, size_t *run)
{
	size_t level, at;

	return manifest_find_table(m, number, &level, run, &at) &&
	       level == p->plan->level;
}

/*
 * The run of the output level to put tables into: 1 and *run, 0 when they are
 * a run of their own, -1 when it cannot be told any more.
 */
static int find_run(const struct pieces *p, const struct manifest *m,
		    size_t *run)
{
	uint32_t level = p->plan->level;
	const struct lsm_table *t;
	const struct lsm_run *known;

	if (p->anchor)
		return run_of(p, m, p->anchor, run) ? 1 : -1;
	if (!p->plan->into)
		return 0;
	if (run_of(p, m, p->plan->into, run))
		return 1;
	/* The table we knew it by was merged: by any other that it had. */
	t = &p->s->tables[survey_find(p->s, p->plan->into)];
	known = &p->s->runs[p->s->levels[level].first + t->run];
	for (size_t i = known->first; i < known->first + known->n; i++)
		if (run_of(p, m, p->s->tables[i].number, run))
			return 1;
	if (level >= m->n_levels || m->levels[level].n == 0)
		return 0;
	*run = 0;
	return m->levels[level].n == 1 ? 1 : -1;
}

/* Is this run to be searched after ours, and not before it? */
static bool is_older(const struct pieces *p, const struct run *run)
{
	uint64_t age = 0;

	for (size_t i = 0; i < run->n; i++) {
		const struct table_meta *t = &run->tables[i];
		size_t at = survey_find(p->s, t->number);
		const struct lsm_table *known = &p->s->tables[at];

		if (at < p->s->view.n_tables && known->level == p->plan->level)
			return 2 * (p->s->levels[known->level].first +
				    known->run) >=
			       p->place;
		if (t->age_last > age)
			age = t->age_last;
	}
	return age < p->age; /* new since the plan was checked */
}

/* Where a new run goes: where plan_job_place() has put it. */
static size_t place_of_run(const struct pieces *p, const struct manifest *m)
{
	const struct level *l = &m->levels[p->plan->level];
	size_t i = 0;

	if (p->plan->level >= m->n_levels)
		return 0;
	while (i < l->n && !is_older(p, &l->runs[i]))
		i++;
	return i;
}

static int cmp_smallest(const void *a, const void *b)
{
	const struct table_meta *x = a, *y = b;

	return slice_cmp(buf_slice(&x->smallest), buf_slice(&y->smallest));
}

/* A carried table is not dropped: it was only out for a moment. */
static void undrop(struct manifest *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_dropped; i++)
		if (!manifest_names(m, m->dropped[i].number))
			m->dropped[kept++] = m->dropped[i];
	m->n_dropped = kept;
}

/* What the run gets: copies of the outputs, then of what is carried. */
struct arrival {
	struct table_meta *tables;
	size_t n;
};

static int arrive(struct arrival *a, const struct table_meta *t,
		  struct store_error *err)
{
	int r = table_meta_copy(&a->tables[a->n], t, err);

	a->n += r == 0;
	return r;
}

/* Take an input out of `m`, or what of it lies below the border. */
static int take_input(struct pieces *p, const struct piece_input *in,
		      struct manifest *m, struct arrival *a,
		      struct store_error *err)
{
	size_t level, run, at;
	int r = 0;

	if (in->gone || !is_begun(p, in))
		return 0;
	if (!manifest_find_table(m, in->t->number, &level, &run, &at))
		return 1;
	if (!is_below(p, in))
		return manifest_trim_table(m, in->t->number, p->border, err);
	if (in->carried)
		r = arrive(a, &m->levels[level].runs[run].tables[at], err);
	return r < 0 ? r : manifest_remove_table(m, in->t->number, err);
}

/*
 * 0, or 1 when the output does not fit: others may have installed meanwhile.
 * If they have not, we have made it wrong.  (The counter is install's to set;
 * the check wants it above what we add.)
 */
static int check_edit(struct manifest *m, struct pieces *p,
		      struct store_error *err)
{
	struct store_error why = STORE_ERROR_INIT;

	for (size_t i = 0; i < p->n_outputs; i++)
		if (p->outputs[i].number >= m->next_number)
			m->next_number = p->outputs[i].number + 1;
	p->next = m->generation + 1;
	if (manifest_check(m, p->db->dir.path, NAME_MANIFEST, &why) == 0)
		return 0;
	if (m->generation != p->generation)
		return 1;
	return store_fail(err, STORE_EBUG, "compaction: %s", why.text);
}

static int edit_with(struct pieces *p, struct manifest *m, struct arrival *a,
		     struct store_error *err)
{
	uint32_t level = p->plan->level;
	size_t run = 0, place;
	int into, r = 0;

	into = find_run(p, m, &run);
	if (into < 0)
		return 1;
	place = place_of_run(p, m);
	for (size_t i = 0; r == 0 && i < p->n_inputs; i++)
		r = take_input(p, &p->inputs[i], m, a, err);
	for (size_t i = 0; r == 0 && i < p->n_outputs; i++)
		r = arrive(a, &p->outputs[i], err);
	if (r != 0)
		return r;
	qsort(a->tables, a->n, sizeof(*a->tables), cmp_smallest);
	if (into)
		r = manifest_add_tables(m, level, run, a->tables, a->n, err);
	else
		r = manifest_insert_run(m, level, place, a->tables, a->n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_outputs; i++)
		m->compacted_bytes[level] += p->outputs[i].bytes;
	undrop(m);
	manifest_trim(m);
	return check_edit(m, p, err);
}

static int piece_edit(struct manifest *m, void *ctx, struct store_error *err)
{
	struct pieces *p = ctx;
	struct arrival a = { NULL, 0 };
	int r;

	a.tables = calloc(p->n_inputs + p->n_outputs + 1, sizeof(*a.tables));
	if (!a.tables)
		return store_nomem(err);
	r = edit_with(p, m, &a, err);
	for (size_t i = 0; i < a.n; i++)
		table_meta_release(&a.tables[i]);
	free(a.tables);
	return r;
}

/* ---- the install ---- */

/* It is the truth: let go of what is no longer ours. */
static void settle(struct pieces *p)
{
	uint64_t old = p->anchor;

	if (p->n_outputs)
		p->anchor = p->outputs[p->n_outputs - 1].number;
	p->generation = p->next;
	p->installed++;
	for (size_t i = 0; i < p->n_inputs; i++) {
		struct piece_input *in = &p->inputs[i];

		if (in->gone || !is_below(p, in))
			continue;
		in->gone = true;
		p->tables_in += !in->carried;
		if (in->carried && p->anchor == 0)
			p->anchor = in->t->number;
		else
			lock_unclaim(&p->db->lock, in->t->number);
	}
	p->tables_out += p->n_outputs;
	p->bytes_out += p->output_bytes;
	if (old && old != p->anchor)
		lock_unclaim(&p->db->lock, old);
	drop_outputs(p, false);
}

int pieces_install(struct pieces *p, struct slice border,
		   struct store_error *err)
{
	bool named;
	int r;

	p->border = border;
	r = install(p->db, piece_edit, p, &named, err);
	if (r == 0) {
		settle(p);
		/* The space of what was consumed is needed for what comes. */
		r = sweep(p->db, err);
		return r < 0 ? r : 0;
	}
	drop_outputs(p, !named);
	return r;
}
