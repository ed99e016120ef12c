#include "lib/fence.h"

void fence_release(struct fence *f)
{
	free(f->tables);
	free(f->active);
	free(f->below);
	free(f->input);
	free(f->carried);
	*f = FENCE_INIT;
}

static struct slice begin_of(const struct fence *f, size_t i)
{
	return survey_key(f->tables[i].t->smallest);
}

static struct slice end_of(const struct fence *f, size_t i)
{
	return survey_key(f->tables[i].t->largest);
}

static int cmp_begin(const void *a, const void *b)
{
	const struct fence_table *x = a, *y = b;

	return slice_cmp(survey_key(x->t->smallest),
			 survey_key(y->t->smallest));
}

/* Only what overlaps the range of all inputs together can matter. */
static void fence_gather(struct fence *f)
{
	const struct lsm_view *v = f->view;
	struct slice low = SLICE_NULL, high = SLICE_NULL;
	bool any = false;

	for (size_t i = 0; i < v->n_tables; i++) {
		struct slice a = survey_key(v->tables[i].smallest);
		struct slice b = survey_key(v->tables[i].largest);

		if (!f->input[i])
			continue;
		if (!any || slice_cmp(a, low) < 0)
			low = a;
		if (!any || slice_cmp(b, high) > 0)
			high = b;
		any = true;
	}
	for (size_t r = 0; r < v->n_runs; r++) {
		enum fence_side side = 2 * r + 1 < f->place   ? FENCE_NEWER
				       : 2 * r + 1 > f->place ? FENCE_OLDER
							      : FENCE_OWN;

		for (size_t i = v->runs[r].first;
		     i < v->runs[r].first + v->runs[r].n; i++) {
			const struct lsm_table *t = &v->tables[i];

			if (slice_cmp(survey_key(t->largest), low) < 0 ||
			    slice_cmp(survey_key(t->smallest), high) > 0)
				continue;
			f->tables[f->n++] = (struct fence_table){
				t, f->carried[i] ? FENCE_OWN
				   : f->input[i] ? FENCE_INPUT
						 : side
			};
		}
	}
	qsort(f->tables, f->n, sizeof(*f->tables), cmp_begin);
}

int fence_make(struct fence *f, const struct plan_job *j,
	       const struct survey *s, const uint64_t *carried,
	       size_t n_carried, struct store_error *err)
{
	const struct lsm_view *v = &s->view;

	f->view = v;
	f->tables = calloc(v->n_tables + 1, sizeof(*f->tables));
	f->active = calloc(v->n_tables + 1, sizeof(*f->active));
	f->input = calloc(v->n_tables + 1, sizeof(*f->input));
	f->carried = calloc(v->n_tables + 1, sizeof(*f->carried));
	f->below = calloc(v->n_runs + 1, sizeof(*f->below));
	if (!f->tables || !f->active || !f->input || !f->carried || !f->below) {
		fence_release(f);
		return store_nomem(err);
	}
	for (size_t i = 0; i < j->n_inputs; i++)
		f->input[survey_find(s, j->inputs[i])] = true;
	f->place = plan_job_place(j, s, f->input);
	for (size_t i = 0; i < n_carried; i++)
		f->carried[survey_find(s, carried[i])] = true;
	fence_gather(f);
	return 0;
}

static void span_add(struct fence_span *s, const struct fence_table *t)
{
	switch (t->side) {
	case FENCE_INPUT:
		if (t->t->age_first < s->first)
			s->first = t->t->age_first;
		if (t->t->age_last > s->last)
			s->last = t->t->age_last;
		break;
	case FENCE_NEWER:
		if (t->t->age_first < s->newer)
			s->newer = t->t->age_first;
		break;
	case FENCE_OLDER:
		if (t->t->age_last > s->older)
			s->older = t->t->age_last;
		break;
	case FENCE_OWN:
		s->own = true;
		break;
	}
}

void fence_begin(struct fence *f, struct slice key)
{
	size_t kept = 0;

	while (f->next < f->n && slice_cmp(begin_of(f, f->next), key) <= 0)
		f->active[f->n_active++] = f->next++;
	f->span =
		(struct fence_span){ .first = UINT64_MAX, .newer = UINT64_MAX };
	for (size_t i = 0; i < f->n_active; i++) {
		size_t t = f->active[i];

		if (slice_cmp(end_of(f, t), key) < 0)
			continue;
		f->active[kept++] = t;
		span_add(&f->span, &f->tables[t]);
	}
	f->n_active = kept;
}

bool fence_reach(struct fence *f, struct slice key)
{
	struct fence_span span = f->span;
	size_t next = f->next;

	for (; next < f->n && slice_cmp(begin_of(f, next), key) <= 0; next++)
		span_add(&span, &f->tables[next]);
	if (span.own || span.last >= span.newer || span.first <= span.older)
		return false;
	while (f->next < next)
		f->active[f->n_active++] = f->next++;
	f->span = span;
	return true;
}

void fence_age(const struct fence *f, uint64_t *first, uint64_t *last)
{
	*first = f->span.first;
	*last = f->span.last;
}

bool fence_hides(struct fence *f, struct slice key)
{
	const struct lsm_view *v = f->view;

	/* The first run with place 2r + 1 above ours. */
	for (size_t r = (f->place + 1) / 2; r < v->n_runs; r++) {
		const struct lsm_run *run = &v->runs[r];
		const struct lsm_table *t = v->tables + run->first;
		size_t at = f->below[r];

		while (at < run->n &&
		       (f->input[run->first + at] ||
			slice_cmp(survey_key(t[at].largest), key) < 0))
			at++;
		f->below[r] = at;
		if (at < run->n &&
		    slice_cmp(survey_key(t[at].smallest), key) <= 0)
			return true;
	}
	return false;
}
