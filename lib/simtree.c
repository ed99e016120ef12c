#include "lib/simtree.h"

/* Twice as many have changed no figure by more than a few percent. */
#define RUN_TABLES 250

void simtree_release(struct simtree *t)
{
	for (size_t i = 0; i < t->n_tables; i++)
		free(t->tables[i]);
	free(t->tables);
	manifest_release(&t->m);
	*t = SIMTREE_INIT;
}

/* ---- tables by number ---- */

int simtree_know(struct simtree *t, uint64_t number, struct sim_table *content,
		 struct store_error *err)
{
	if (number >= t->n_tables) {
		size_t n = 2 * (size_t)number + 64;
		struct sim_table **grown =
			realloc(t->tables, n * sizeof(struct sim_table *));

		if (!grown) {
			free(content);
			return store_nomem(err);
		}
		memset(grown + t->n_tables, 0,
		       (n - t->n_tables) * sizeof(struct sim_table *));
		t->tables = grown;
		t->n_tables = n;
	}
	t->tables[number] = content;
	return 0;
}

static void forget(struct simtree *t, uint64_t number)
{
	free(t->tables[number]);
	t->tables[number] = NULL;
}

/* Number the outputs and take over what they hold. */
static int know_outputs(struct simtree *t, struct sim_output *o,
			struct store_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->n; i++) {
		struct sim_table *content = o->tables[i];

		o->tables[i] = NULL;
		o->metas[i].number = t->m.next_number++;
		r = simtree_know(t, o->metas[i].number, content, err);
	}
	return r;
}

static uint64_t bytes_of(const struct sim_output *o)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < o->n; i++)
		bytes += o->metas[i].bytes;
	return bytes;
}

/* ---- flushes ---- */

static int add_to(void *ctx, uint64_t low, uint64_t end, struct sim_mix *mix,
		  uint64_t oldest_ms, struct store_error *err)
{
	return simoutput_add(ctx, low, end, mix, oldest_ms, err);
}

int simtree_flush(struct simtree *t, struct sim_span *spans, size_t n,
		  uint64_t log_created_ms, uint64_t now_ms, uint64_t *bytes,
		  struct store_error *err)
{
	struct sim_output o = { .keys = t->keys,
				.weight = &t->weight,
				.table_bytes = t->m.options.table_bytes,
				.now_ms = now_ms,
				.age = t->m.next_number++ };
	int r;

	for (size_t i = 0; i < n; i++)
		spans[i].oldest_ms = log_created_ms;
	r = simmerge(t->keys, spans, n, NULL, 0, add_to, &o, err);
	if (r == 0)
		r = simoutput_end(&o, err);
	if (r == 0)
		r = know_outputs(t, &o, err);
	if (r == 0)
		r = manifest_add_run(&t->m, 0, o.metas, o.n, err);
	*bytes = bytes_of(&o);
	t->m.flushed_bytes += *bytes;
	t->written[0] += *bytes;
	t->m.generation++;
	t->flushes++;
	simoutput_release(&o);
	return r;
}

/* ---- jobs ---- */

/*
 * Where to cut: as the plan says; but where a run would have more tables than
 * RUN_TABLES, they are larger, or a large store would take for ever.
 */
static uint64_t cut_at(const struct simtree *t, const struct plan_job *plan)
{
	uint64_t bytes = plan->bytes;

	for (size_t r = 0;
	     plan->level < t->m.n_levels && r < t->m.levels[plan->level].n;
	     r++) {
		const struct run *run = &t->m.levels[plan->level].runs[r];

		for (size_t i = 0; i < run->n; i++)
			bytes += run->tables[i].bytes;
	}
	bytes /= RUN_TABLES;
	return bytes > plan->table_bytes ? bytes : plan->table_bytes;
}

/* The inputs, and which are read. */
static int list_inputs(struct simjob *j, const struct survey *s,
		       struct store_error *err)
{
	const struct plan_job *plan = j->plan;

	j->inputs = calloc(plan->n_inputs + 1, sizeof(*j->inputs));
	if (!j->inputs)
		return store_nomem(err);
	j->n_inputs = plan->n_inputs;
	for (size_t i = 0; i < j->n_inputs; i++) {
		struct piece_input *in = &j->inputs[i];

		in->at = survey_find(s, plan->inputs[i]);
		in->t = &s->tables[in->at];
		in->carried = plan->kind == LSM_MOVE;
	}
	piece_inputs_order(plan, j->inputs, j->n_inputs);
	for (size_t i = 0; i < j->n_inputs; i++)
		if (plan->kind == LSM_MERGE && !j->inputs[i].carried)
			j->read += j->inputs[i].t->bytes;
	return 0;
}

/* Where the run goes among those of its level, empty ones included. */
static int find_place(struct simjob *j, const struct survey *s,
		      struct store_error *err)
{
	const struct lsm_view *v = &s->view;
	bool *input = calloc(v->n_tables + 1, sizeof(*input));

	if (!input)
		return store_nomem(err);
	for (size_t i = 0; i < j->n_inputs; i++)
		input[j->inputs[i].at] = true;
	j->place = plan_job_place(j->plan, s, input) / 2;
	if (j->plan->level < v->n_levels)
		j->place -= v->levels[j->plan->level].first;
	else
		j->place = 0;
	free(input);
	return 0;
}

static struct sim_span span_of(const struct simtree *t,
			       const struct lsm_table *table, size_t at)
{
	const struct sim_table *known = t->tables[table->number];

	return (struct sim_span){ known->low, known->end, at, known->mix,
				  table->oldest_tombstone_ms };
}

/* Stretches end where anything begins or ends that the fence looks at. */
static size_t list_cuts(const struct simtree *t, const struct fence *f,
			uint64_t low, uint64_t end, uint64_t *cuts)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct sim_table *known =
			t->tables[f->tables[i].t->number];

		if (known->low > low && known->low < end)
			cuts[n++] = known->low;
		if (known->end > low && known->end < end)
			cuts[n++] = known->end;
	}
	return n;
}

static int merge_with(struct simjob *j, struct simtree *t,
		      struct sim_span *spans, uint64_t *cuts,
		      struct store_error *err)
{
	uint64_t low = UINT64_MAX, end = 0;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < j->n_inputs; i++) {
		if (j->inputs[i].carried)
			continue;
		spans[n] = span_of(t, j->inputs[i].t, j->inputs[i].at);
		if (spans[n].low < low)
			low = spans[n].low;
		if (spans[n].end > end)
			end = spans[n].end;
		n++;
	}
	r = simmerge(t->keys, spans, n, cuts,
		     list_cuts(t, j->out.fence, low, end, cuts), add_to,
		     &j->out, err);
	return r < 0 ? r : simoutput_end(&j->out, err);
}

static int merge(struct simjob *j, struct simtree *t, const struct survey *s,
		 struct store_error *err)
{
	struct sim_span *spans = calloc(j->n_inputs + 1, sizeof(*spans));
	uint64_t *carried = calloc(j->n_inputs + 1, sizeof(*carried));
	uint64_t *cuts = calloc(2 * s->view.n_tables + 1, sizeof(*cuts));
	struct fence f = FENCE_INIT;
	size_t n = 0;
	int r;

	if (!spans || !carried || !cuts) {
		r = store_nomem(err);
		goto out;
	}
	for (size_t i = 0; i < j->n_inputs; i++)
		if (j->inputs[i].carried)
			carried[n++] = j->inputs[i].t->number;
	r = fence_make(&f, j->plan, s, carried, n, err);
	if (r < 0)
		goto out;
	j->out.fence = &f;
	r = merge_with(j, t, spans, cuts, err);
	j->out.fence = NULL;
	j->written = bytes_of(&j->out);
out:
	fence_release(&f);
	free(cuts);
	free(carried);
	free(spans);
	return r;
}

int simjob_make(struct simjob *j, struct simtree *t,
		const struct plan_job *plan, const struct survey *s,
		uint64_t now_ms, struct store_error *err)
{
	int r;

	*j = (struct simjob){ .plan = plan,
			      .flushes = t->flushes,
			      .out = { .keys = t->keys,
				       .weight = &t->weight,
				       .table_bytes = cut_at(t, plan),
				       .now_ms = now_ms } };
	r = list_inputs(j, s, err);
	if (r == 0 && plan->kind != LSM_DROP)
		r = find_place(j, s, err);
	if (r == 0 && plan->kind == LSM_MERGE)
		r = merge(j, t, s, err);
	return r;
}

void simjob_release(struct simjob *j)
{
	simoutput_release(&j->out);
	free(j->inputs);
	*j = (struct simjob){ .plan = NULL };
}

/* ---- installing ---- */

/* What comes into the run: what was written, and what is carried. */
struct arrivals {
	struct table_meta *metas;
	size_t n;
};

/* All inputs out of the manifest, in one go; those carried arrive. */
static void take_out(struct simjob *j, struct simtree *t, struct arrivals *a)
{
	bool from[MANIFEST_MAX_LEVELS] = { false };

	for (size_t i = 0; i < j->n_inputs; i++) {
		t->tables[j->inputs[i].t->number]->gone = true;
		from[j->inputs[i].t->level] = true;
	}
	for (size_t l = 0; l < t->m.n_levels; l++)
		for (size_t r = 0; from[l] && r < t->m.levels[l].n; r++) {
			struct run *run = &t->m.levels[l].runs[r];
			size_t kept = 0;

			for (size_t i = 0; i < run->n; i++)
				if (t->tables[run->tables[i].number]->gone)
					a->metas[a->n++] = run->tables[i];
				else
					run->tables[kept++] = run->tables[i];
			run->n = kept;
		}
}

/* Of the inputs that are out, only those carried live on. */
static void let_go(struct simjob *j, struct simtree *t, struct arrivals *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < j->n_inputs; i++)
		if (j->inputs[i].carried)
			t->tables[j->inputs[i].t->number]->gone = false;
	for (size_t i = 0; i < a->n; i++) {
		if (!t->tables[a->metas[i].number]->gone) {
			a->metas[kept++] = a->metas[i];
			continue;
		}
		forget(t, a->metas[i].number);
		table_meta_release(&a->metas[i]);
	}
	a->n = kept;
}

static int cmp_smallest(const void *a, const void *b)
{
	const struct table_meta *x = a, *y = b;

	return slice_cmp(buf_slice(&x->smallest), buf_slice(&y->smallest));
}

/* `into`: the run of that name; else a new one, below what came since. */
static int put_in(struct simjob *j, struct simtree *t, bool into, size_t run,
		  const struct arrivals *a, struct store_error *err)
{
	uint32_t level = j->plan->level;
	size_t at = j->place;

	if (a->n == 0)
		return 0;
	if (into)
		return manifest_add_tables(&t->m, level, run, a->metas, a->n,
					   err);
	if (level == 0)
		at += t->flushes - j->flushes;
	return manifest_insert_run(&t->m, level, at, a->metas, a->n, err);
}

int simjob_install(struct simjob *j, struct simtree *t, struct store_error *err)
{
	struct arrivals a = { NULL, 0 };
	size_t level, run = 0, at;
	bool into = j->plan->kind != LSM_DROP && j->plan->into;
	int r;

	a.metas = calloc(j->n_inputs + j->out.n + 1, sizeof(*a.metas));
	if (!a.metas)
		return store_nomem(err);
	/* The table that names the run may be an input. */
	if (into)
		into = manifest_find_table(&t->m, j->plan->into, &level, &run,
					   &at);
	take_out(j, t, &a);
	let_go(j, t, &a);
	r = know_outputs(t, &j->out, err);
	for (size_t i = 0; r == 0 && i < j->out.n; i++) {
		r = table_meta_copy(&a.metas[a.n], &j->out.metas[i], err);
		a.n += r == 0;
	}
	qsort(a.metas, a.n, sizeof(*a.metas), cmp_smallest);
	if (r == 0 && j->plan->kind != LSM_DROP)
		r = put_in(j, t, into, run, &a, err);
	manifest_trim(&t->m);
	for (size_t i = 0; i < a.n; i++)
		table_meta_release(&a.metas[i]);
	free(a.metas);
	/* A drop may name any level. */
	if (j->written) {
		t->written[j->plan->level] += j->written;
		t->m.compacted_bytes[j->plan->level] += j->written;
	}
	t->m.generation++;
	return r;
}

/* ---- looking ---- */

struct looking {
	const struct simtree *t;
	double once;
};

static int weigh(void *ctx, uint64_t low, uint64_t end, struct sim_mix *mix,
		 uint64_t oldest_ms, struct store_error *err)
{
	struct looking *k = ctx;
	double puts = 0;

	(void)oldest_ms;
	(void)err;
	for (size_t c = 0; c < k->t->keys->n_classes; c++)
		puts += k->t->keys->share[c] * mix_puts(&mix[c]);
	k->once += (double)(end - low) * simweight_of(&k->t->weight, puts, 0);
	return 0;
}

int simtree_look(struct simtree *t, struct simtree_look *look,
		 struct store_error *err)
{
	struct looking k = { .t = t };
	struct sim_span *spans;
	uint64_t low = UINT64_MAX, end = 0;
	double covered = 0;
	size_t n = 0, rank = 0;
	int r;

	*look = (struct simtree_look){ .tables = 0 };
	for (size_t l = 0; l < t->m.n_levels; l++)
		for (size_t i = 0; i < t->m.levels[l].n; i++)
			look->tables += t->m.levels[l].runs[i].n;
	spans = calloc(look->tables + 1, sizeof(*spans));
	if (!spans)
		return store_nomem(err);
	for (size_t l = 0; l < t->m.n_levels; l++)
		for (size_t i = 0; i < t->m.levels[l].n; i++, rank++) {
			const struct run *run = &t->m.levels[l].runs[i];

			for (size_t k2 = 0; k2 < run->n; k2++) {
				const struct table_meta *m = &run->tables[k2];
				const struct sim_table *c =
					t->tables[m->number];

				look->bytes += m->bytes;
				covered += (double)(c->end - c->low);
				low = c->low < low ? c->low : low;
				end = c->end > end ? c->end : end;
				spans[n++] =
					(struct sim_span){ c->low, c->end, rank,
							   c->mix, 0 };
			}
		}
	r = simmerge(t->keys, spans, n, NULL, 0, weigh, &k, err);
	free(spans);
	look->once = k.once + (look->tables ? SIM_TABLE_BYTES : 0);
	look->runs = n ? covered / (double)(end - low) : 0;
	return r;
}
