#include "lib/fit.h"

#include <stdio.h>

/* Runs [first, end) of the view as one job. */
struct group {
	size_t first, end;
	double price; /* bytes read for each run less */
};

/* Is all of the run an input, and free?  Then what it may hold at a border. */
static bool is_whole(const struct survey *s, const struct lsm_run *run,
		     const bool *input, uint64_t *width)
{
	*width = 0;
	for (size_t i = run->first; i < run->first + run->n; i++) {
		if (!input[i] || s->tables[i].claimed)
			return false;
		if (s->tables[i].bytes > *width)
			*width = s->tables[i].bytes;
	}
	return true;
}

/* The best group that begins with run `first`, into *best if it is better. */
static void try_group(const struct survey *s, const bool *input, size_t first,
		      uint64_t room, struct group *best)
{
	uint64_t held = 0, bytes = 0, width;
	size_t r = first;

	for (; r < s->view.n_runs; r++) {
		const struct lsm_run *run = &s->runs[r];
		double price;

		if (!is_whole(s, run, input, &width) || held + width > room)
			return;
		held += width;
		bytes += run->bytes;
		if (r == first)
			continue;
		price = (double)bytes / (double)(r - first);
		if (best->end == 0 || price < best->price)
			*best = (struct group){ first, r + 1, price };
	}
}

static int make_job(struct plan_job *small, const struct survey *s,
		    const struct options *options, const struct group *g,
		    struct store_error *err)
{
	const struct lsm_run *last = &s->runs[g->end - 1];
	size_t from = s->runs[g->first].first, to = last->first + last->n;

	*small = (struct plan_job){ .kind = LSM_MERGE,
				    .level = s->tables[last->first].level };
	small->inputs = calloc(to - from, sizeof(*small->inputs));
	if (!small->inputs)
		return store_nomem(err);
	for (size_t i = from; i < to; i++) {
		small->inputs[small->n_inputs++] = s->tables[i].number;
		small->bytes += s->tables[i].bytes;
	}
	small->table_bytes = plan_table_bytes(options, small->level);
	snprintf(small->why, sizeof(small->why), "%s",
		 "some runs of a job that the disk is too full for");
	return 1;
}

int fit_smaller(struct plan_job *small, const struct plan_job *j,
		const struct survey *s, const struct options *options,
		uint64_t room, struct store_error *err)
{
	uint64_t table = plan_table_bytes(options, j->level);
	struct group best = { 0, 0, 0 };
	bool *input;

	if (j->kind != LSM_MERGE)
		return 0;
	input = calloc(s->view.n_tables + 1, sizeof(*input));
	if (!input)
		return store_nomem(err);
	for (size_t i = 0; i < j->n_inputs; i++)
		input[survey_find(s, j->inputs[i])] = true;
	/* A third is what an output takes that would be larger: lib/job.c. */
	room -= table < room / 3 ? table : room / 3;
	for (size_t r = 0; r < s->view.n_runs; r++)
		try_group(s, input, r, room, &best);
	free(input);
	return best.end ? make_job(small, s, options, &best, err) : 0;
}
