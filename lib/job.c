#include "lib/job.h"

#include "lib/build.h"
#include "lib/chain.h"
#include "lib/fence.h"
#include "lib/flush.h"
#include "lib/install.h"
#include "lib/merge.h"
#include "lib/number.h"

#include <inttypes.h>

struct job {
	struct store *db;
	const struct plan_job *plan;
	const struct survey *s;
	const struct manifest *m; /* what `s` is of */
	uint64_t generation; /* of the manifest that the job was checked for */
	struct iter *in;     /* the merge of the inputs */
	struct fence fence;
	uint64_t now_ms;
	struct build_spec spec;
	struct build *build; /* the output under way, or NULL */
	struct table_meta *outputs;
	size_t n_outputs;
	uint64_t gone; /* tombstones and expired entries left out */
};

/* ---- C3: the merge ---- */

/* Of a trimmed table only what the manifest still counts is read. */
static struct chain_table link_of(const struct job *job, size_t i)
{
	struct chain_table link = { .number = job->s->tables[i].number };
	size_t level, run, at;

	if (manifest_find_table(job->m, link.number, &level, &run, &at) &&
	    job->m->levels[level].runs[run].tables[at].trimmed)
		link.from = survey_key(job->s->tables[i].smallest);
	return link;
}

/* The inputs among tables [first, first + n) of the view: one source. */
static int open_source(struct job *job, const struct lsm_run *run,
		       struct chain_table *tables, struct iter **sources,
		       size_t *n_sources, struct store_error *err)
{
	size_t n = 0;
	int r;

	for (size_t i = run->first; i < run->first + run->n; i++)
		if (job->fence.input[i])
			tables[n++] = link_of(job, i);
	if (n == 0)
		return 0;
	r = chain_open(job->db, tables, n, &sources[*n_sources], err);
	*n_sources += r == 0;
	return r;
}

/* Runs stand in the order of search, so the sources come newest first. */
static int open_inputs(struct job *job, struct store_error *err)
{
	const struct lsm_view *v = &job->s->view;
	struct iter **sources = calloc(v->n_runs + 1, sizeof(*sources));
	struct chain_table *tables = calloc(v->n_tables + 1, sizeof(*tables));
	size_t n = 0;
	int r = 0;

	if (!sources || !tables)
		r = store_nomem(err);
	for (size_t i = 0; r == 0 && i < v->n_runs; i++)
		r = open_source(job, &v->runs[i], tables, sources, &n, err);
	if (r == 0)
		r = merge_open(&job->in, sources, n, err);
	else
		for (size_t i = 0; i < n; i++)
			iter_close(sources[i]);
	free(tables);
	free(sources);
	return r;
}

static int output_begin(struct job *job, struct store_error *err)
{
	int r = number_draw(job->db, &job->spec.number, err);

	if (r < 0)
		return r;
	r = build_open(&job->build, &job->spec, err);
	if (r < 0)
		lock_unclaim(&job->db->lock, job->spec.number);
	else
		fence_begin(&job->fence, job->in->e.key);
	return r;
}

static void output_abort(struct job *job)
{
	if (!job->build)
		return;
	build_abort(job->build);
	job->build = NULL;
	lock_unclaim(&job->db->lock, job->spec.number);
}

static int output_end(struct job *job, struct store_error *err)
{
	struct build *b = job->build;
	struct table_meta *p;
	int r;

	p = realloc(job->outputs, (job->n_outputs + 1) * sizeof(*p));
	if (!p)
		return store_nomem(err);
	job->outputs = p;
	fence_age(&job->fence, &job->spec.age_first, &job->spec.age_last);
	job->build = NULL;
	r = build_finish(b, &p[job->n_outputs], err);
	if (r < 0)
		lock_unclaim(&job->db->lock, job->spec.number);
	else
		job->n_outputs++;
	return r;
}

/*
 * Is the entry to be written?  An expired one hides older versions of its key
 * as a tombstone does, and where there may be some it becomes one.
 */
static bool worth_keeping(struct job *job, struct entry *e)
{
	bool expired = e->kind == ENTRY_PUT && e->expires_ms &&
		       e->expires_ms <= job->now_ms;

	if (e->kind != ENTRY_DELETE && !expired)
		return true;
	if (!fence_hides(&job->fence, e->key)) {
		job->gone++;
		return false;
	}
	if (expired)
		*e = (struct entry){ .kind = ENTRY_DELETE, .key = e->key };
	return true;
}

static int add_entry(struct job *job, struct store_error *err)
{
	int r = 0;

	if (!worth_keeping(job, &job->in->e))
		return 0;
	if (job->build && (build_bytes(job->build) >= job->plan->table_bytes ||
			   !fence_reach(&job->fence, job->in->e.key)))
		r = output_end(job, err);
	if (r == 0 && !job->build)
		r = output_begin(job, err);
	return r < 0 ? r : build_add(job->build, job->in, err);
}

static int merge_all(struct job *job, struct store_error *err)
{
	struct iter *in = job->in;
	int r;

	for (r = in->ops->first(in, err); r == 1; r = in->ops->next(in, err))
		if ((r = add_entry(job, err)) < 0)
			break;
	if (r == 0 && job->build)
		r = output_end(job, err);
	return r;
}

/* Does anything that stays lie deeper than the output? */
static bool is_last_level(const struct job *job)
{
	const struct lsm_view *v = &job->s->view;

	for (size_t i = 0; i < v->n_tables; i++)
		if (v->tables[i].level > job->plan->level &&
		    !job->fence.input[i])
			return false;
	return true;
}

static uint64_t oldest_tombstone(const struct job *job)
{
	uint64_t oldest = 0;

	for (size_t i = 0; i < job->s->view.n_tables; i++) {
		uint64_t ms = job->s->tables[i].oldest_tombstone_ms;

		if (job->fence.input[i] && ms && (!oldest || ms < oldest))
			oldest = ms;
	}
	return oldest;
}

static void fill_spec(struct job *job, const struct options *o)
{
	const struct survey *s = job->s;
	uint64_t into = job->plan->into;

	job->spec = (struct build_spec){
		.dir = &job->db->dir,
		.options = o,
		.codec = (enum codec)(is_last_level(job) ? o->compression_last
							 : o->compression),
		.level = job->plan->level,
		.run = into ? s->tables[survey_find(s, into)].run : 0,
		.replaces = job->plan->inputs,
		.n_replaces = job->plan->n_inputs,
		.created_ms = job->now_ms,
		.oldest_tombstone_ms = oldest_tombstone(job),
		.mode = 0444,
		.counters = &job->db->counters,
	};
	memcpy(job->spec.uuid, job->db->uuid, sizeof(job->spec.uuid));
}

static int check_disk(const struct job *job, struct store_error *err)
{
	uint64_t free_bytes = os.free_bytes(job->db->dir.fd);

	if (job->plan->bytes <= free_bytes)
		return 0;
	return store_fail(err, STORE_ENOSPACE,
			  "%s: compaction of %" PRIu64 " bytes: only %" PRIu64
			  " are free on the disk",
			  job->db->dir.path, job->plan->bytes, free_bytes);
}

static int merge_inputs(struct job *job, const struct options *o,
			struct store_error *err)
{
	int r;

	if ((r = check_disk(job, err)) < 0 ||
	    (r = fence_make(&job->fence, job->plan, job->s, err)) < 0)
		return r;
	fill_spec(job, o);
	r = open_inputs(job, err);
	if (r == 0)
		r = merge_all(job, err);
	output_abort(job);
	return r;
}

/* ---- C4: the install ---- */

static bool all_named(const struct plan_job *j, const struct manifest *m)
{
	size_t level, run, at;

	for (size_t i = 0; i < j->n_inputs; i++)
		if (!manifest_find_table(m, j->inputs[i], &level, &run, &at))
			return false;
	return true;
}

/*
 * The run of the output level to put tables into: 1 and *run, 0 when they are
 * a run of their own, -1 when it cannot be told any more.
 */
static int find_run(const struct plan_job *j, const struct manifest *m,
		    size_t *run)
{
	size_t level, at;

	if (!j->into)
		return 0;
	if (manifest_find_table(m, j->into, &level, run, &at))
		return level == j->level ? 1 : -1;
	/* The table we knew it by was merged meanwhile. */
	if (j->level >= m->n_levels || m->levels[j->level].n == 0)
		return 0;
	*run = 0;
	return m->levels[j->level].n == 1 ? 1 : -1;
}

/* A moved table is not dropped: it was only out for a moment. */
static void undrop(struct manifest *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_dropped; i++)
		if (!manifest_names(m, m->dropped[i].number))
			m->dropped[kept++] = m->dropped[i];
	m->n_dropped = kept;
}

static int cmp_smallest(const void *a, const void *b)
{
	const struct table_meta *x = a, *y = b;

	return slice_cmp(buf_slice(&x->smallest), buf_slice(&y->smallest));
}

/* A move's outputs are its inputs, as the manifest has them now. */
static int take_moved(struct job *job, const struct manifest *m,
		      struct store_error *err)
{
	const struct plan_job *j = job->plan;
	size_t level, run, at;
	int r;

	job->outputs = calloc(j->n_inputs, sizeof(*job->outputs));
	if (!job->outputs)
		return store_nomem(err);
	for (size_t i = 0; i < j->n_inputs; i++) {
		manifest_find_table(m, j->inputs[i], &level, &run, &at);
		r = table_meta_copy(&job->outputs[i],
				    &m->levels[level].runs[run].tables[at],
				    err);
		if (r < 0)
			return r;
		job->n_outputs++;
	}
	qsort(job->outputs, job->n_outputs, sizeof(*job->outputs),
	      cmp_smallest);
	return 0;
}

/*
 * 0, or 1 when the output does not fit: others may have installed since C2.
 * If they have not, we have made it wrong.  (The counter is install's to set;
 * the check wants it above what we add.)
 */
static int check_edit(struct manifest *m, const struct job *job,
		      struct store_error *err)
{
	struct store_error why = STORE_ERROR_INIT;

	for (size_t i = 0; i < job->n_outputs; i++)
		if (job->outputs[i].number >= m->next_number)
			m->next_number = job->outputs[i].number + 1;
	if (manifest_check(m, job->db->dir.path, NAME_MANIFEST, &why) == 0)
		return 0;
	if (m->generation != job->generation)
		return 1;
	return store_fail(err, STORE_EBUG, "compaction: %s", why.text);
}

static int job_edit(struct manifest *m, void *ctx, struct store_error *err)
{
	struct job *job = ctx;
	const struct plan_job *j = job->plan;
	size_t run = 0;
	int into, r = 0;

	into = find_run(j, m, &run);
	if (into < 0 || !all_named(j, m))
		return 1;
	if (j->kind == LSM_MOVE)
		r = take_moved(job, m, err);
	for (size_t i = 0; r == 0 && i < j->n_inputs; i++)
		r = manifest_remove_table(m, j->inputs[i], err);
	if (r < 0)
		return r;
	if (into) {
		r = manifest_add_tables(m, j->level, run, job->outputs,
					job->n_outputs, err);
	} else {
		manifest_trim(m); /* an emptied run has no age */
		r = manifest_add_run(m, j->level, job->outputs, job->n_outputs,
				     err);
	}
	if (r < 0)
		return r;
	if (j->kind == LSM_MERGE)
		for (size_t i = 0; i < job->n_outputs; i++)
			m->compacted_bytes[j->level] += job->outputs[i].bytes;
	undrop(m);
	manifest_trim(m);
	return check_edit(m, job, err);
}

static void count(const struct job *job, struct store_compact_result *result)
{
	const struct plan_job *j = job->plan;

	result->jobs++;
	if (j->kind != LSM_MERGE)
		return;
	result->tables_in += j->n_inputs;
	result->bytes_in += j->bytes;
	result->tables_out += job->n_outputs;
	for (size_t i = 0; i < job->n_outputs; i++)
		result->bytes_out += job->outputs[i].bytes;
	result->dropped += job->gone + merge_hidden(job->in);
}

/* Moved tables are others' as before; new ones are ours to unlink. */
static void release_outputs(struct job *job, bool unlink)
{
	if (job->plan->kind == LSM_MERGE) {
		flush_discard(job->db, job->outputs, job->n_outputs, unlink);
		return;
	}
	for (size_t i = 0; i < job->n_outputs; i++)
		table_meta_release(&job->outputs[i]);
	free(job->outputs);
}

int job_run(struct store *db, const struct plan_job *j, const struct survey *s,
	    const struct manifest *m, struct store_compact_result *result,
	    struct store_error *err)
{
	struct job job = { .db = db,
			   .plan = j,
			   .s = s,
			   .m = m,
			   .generation = m->generation,
			   .fence = FENCE_INIT,
			   .now_ms = os.now_ms() };
	bool unlink = true;
	int r = 0;

	if (j->kind == LSM_MERGE)
		r = merge_inputs(&job, &m->options, err);
	if (r == 0) {
		r = install(db, job_edit, &job, err);
		/* What a broken off install named is not to be unlinked. */
		unlink = r != 0 && !install_pending(db);
	}
	if (r == 0)
		count(&job, result);
	iter_close(job.in);
	fence_release(&job.fence);
	release_outputs(&job, unlink);
	return r < 0 ? r : r == 0;
}
