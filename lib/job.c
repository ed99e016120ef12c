#include "lib/job.h"

#include "lib/build.h"
#include "lib/chain.h"
#include "lib/fence.h"
#include "lib/merge.h"
#include "lib/number.h"
#include "lib/piece.h"

#include <inttypes.h>

/* Input between two looks at the pace. */
#define STEP_BYTES (UINT64_C(64) << 10)
#define STEP_ENTRIES 1024
/* A piece takes at most this share of the free disk. */
#define DISK_SHARE 3
#define TABLE_LEAST (UINT64_C(64) << 10) /* however tight it is */

struct job {
	struct store *db;
	const struct plan_job *plan;
	const struct outlook *o;
	struct pace *pace;
	struct pieces pieces;
	struct fence fence;
	struct iter *in; /* the merge of the inputs */
	struct wholeblock whole;
	struct passing passing;
	uint64_t now_ms;
	uint64_t table_bytes, piece_bytes; /* cut here */
	struct build_spec spec;
	struct build *build; /* the output under way, or NULL */
	uint64_t built;	     /* bytes of it that the pace knows of */
	/* provenance: inputs that have begun, and the lists of an output */
	size_t begun;
	size_t *active, n_active;
	uint64_t *replaces, *trims;
	/* how far the reading has come */
	uint64_t bytes, entries; /* of all that is read */
	uint64_t step_bytes, step_entries;
	uint64_t seen, told; /* entries; bytes that the pace knows of */
	bool ending;	     /* the pace says so */
	uint64_t gone;	     /* tombstones and expired entries left out */
	unsigned threads;    /* above 1: one of them packs the outputs */
};

/* ---- the inputs ---- */

/* Of a trimmed table only what the manifest still counts is read. */
static struct chain_table link_of(const struct piece_input *in)
{
	struct chain_table link = { .number = in->t->number };

	if (in->trimmed)
		link.from = survey_key(in->t->smallest);
	return link;
}

/* The inputs of run `run` that are read: one source. */
static int open_source(struct job *job, const struct lsm_run *run,
		       struct chain_table *tables, struct iter **sources,
		       size_t *n_sources, struct store_error *err)
{
	const struct pieces *p = &job->pieces;
	size_t n = 0;
	int r;

	/* by smallest key, as the tables of a run are */
	for (size_t i = 0; i < p->n_inputs; i++) {
		const struct piece_input *in = &p->inputs[i];

		if (!in->carried && in->at >= run->first &&
		    in->at < run->first + run->n)
			tables[n++] = link_of(in);
	}
	if (n == 0)
		return 0;
	r = chain_open(job->db, tables, n, &job->passing, &sources[*n_sources],
		       err);
	*n_sources += r == 0;
	return r;
}

/* Runs stand in the order of search, so the sources come newest first. */
static int open_inputs(struct job *job, struct store_error *err)
{
	const struct lsm_view *v = &job->o->s.view;
	struct iter **sources = calloc(v->n_runs + 1, sizeof(*sources));
	struct chain_table *tables =
		calloc(job->pieces.n_inputs + 1, sizeof(*tables));
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

/* ---- outputs ---- */

/*
 * What the output was made of, if `border` is the next key to come (empty:
 * none): inputs that end before it, and those that reach over it.  The
 * tombstones it may have are as old as the oldest of these.
 */
static void tell_provenance(struct job *job, struct slice border)
{
	const struct pieces *p = &job->pieces;
	struct build_spec *s = &job->spec;
	size_t kept = 0;

	s->n_replaces = s->n_trims = 0;
	s->oldest_tombstone_ms = 0;
	s->trims_below = SLICE_NULL;
	while (job->begun < p->n_inputs &&
	       (border.len == 0 ||
		slice_cmp(survey_key(p->inputs[job->begun].t->smallest),
			  border) < 0)) {
		if (!p->inputs[job->begun].carried)
			job->active[job->n_active++] = job->begun;
		job->begun++;
	}
	for (size_t i = 0; i < job->n_active; i++) {
		const struct lsm_table *t = p->inputs[job->active[i]].t;
		uint64_t ms = t->oldest_tombstone_ms;

		if (ms && (s->oldest_tombstone_ms == 0 ||
			   ms < s->oldest_tombstone_ms))
			s->oldest_tombstone_ms = ms;
		if (border.len == 0 ||
		    slice_cmp(survey_key(t->largest), border) < 0) {
			job->replaces[s->n_replaces++] = t->number;
			continue;
		}
		job->active[kept++] = job->active[i];
		job->trims[s->n_trims++] = t->number;
		s->trims_below = border;
	}
	job->n_active = kept;
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
	job->built = 0;
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

/* Let the pace know what was written, however much it holds us up. */
static void tell_written(struct job *job, uint64_t bytes)
{
	if (bytes > job->built)
		pace_wrote(job->pace, bytes - job->built);
	job->built = bytes;
}

static int output_end(struct job *job, struct slice border,
		      struct store_error *err)
{
	struct build *b = job->build;
	struct table_meta meta;
	int r;

	fence_age(&job->fence, &job->spec.age_first, &job->spec.age_last);
	tell_provenance(job, border);
	job->build = NULL;
	r = build_finish(b, &meta, err);
	if (r < 0) {
		lock_unclaim(&job->db->lock, job->spec.number);
		return r;
	}
	r = pieces_add(&job->pieces, &meta, err);
	if (r == 0)
		tell_written(job, meta.bytes);
	return r;
}

/* ---- pieces ---- */

static int no_space(const struct job *job, uint64_t need, uint64_t have,
		    struct store_error *err)
{
	return store_fail(err, STORE_ENOSPACE,
			  "%s: compaction needs %" PRIu64 " bytes at a time: "
			  "only %" PRIu64 " are free on the disk",
			  job->db->dir.path, need, have);
}

/* How large the next piece and its tables may be, as the disk is now. */
static void size_piece(struct job *job, uint64_t free_bytes)
{
	uint64_t share = free_bytes / DISK_SHARE;

	job->piece_bytes = job->o->m.options.job_bytes;
	job->table_bytes = job->plan->table_bytes;
	if (job->piece_bytes > share)
		job->piece_bytes = share;
	if (job->table_bytes > share)
		job->table_bytes = share > TABLE_LEAST ? share : TABLE_LEAST;
	if (job->table_bytes > job->plan->table_bytes)
		job->table_bytes = job->plan->table_bytes;
}

/*
 * Before the first piece: a table, and what is held twice while inputs are
 * read half.  Before the others, what the rest is at most.
 */
static int check_disk(struct job *job, bool first, struct store_error *err)
{
	uint64_t have = os.free_bytes(job->db->dir.fd);
	uint64_t need = job->bytes - job->told;

	size_piece(job, have);
	if (need > job->table_bytes)
		need = job->table_bytes;
	if (first)
		need += pieces_overlap_bytes(&job->pieces);
	if (need > job->bytes)
		need = job->bytes;
	return need <= have ? 0 : no_space(job, need, have, err);
}

/* The outputs so far: 0, 1 refused, or an error. */
static int install_piece(struct job *job, struct slice border,
			 struct store_error *err)
{
	struct buf copy = BUF_INIT;
	int r = 0;

	if (job->build)
		r = output_end(job, border, err);
	/* The key is a source's, and not to be relied on for long. */
	if (r == 0 && buf_assign(&copy, border) < 0)
		r = store_nomem(err);
	if (r == 0)
		r = pieces_install(&job->pieces, buf_slice(&copy), err);
	if (r == 0 && border.len && !job->ending)
		r = check_disk(job, false, err);
	buf_free(&copy);
	return r;
}

/* ---- C3: the merge ---- */

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

/* Input is told by entries: what they weigh in the file nobody knows. */
static void tell_read(struct job *job, uint64_t seen)
{
	uint64_t done = job->bytes;

	if (seen < job->entries)
		done = (uint64_t)((double)job->bytes * (double)seen /
				  (double)job->entries);
	if (done > job->told) {
		pace_read(job->pace, done - job->told, job->plan->why);
		job->told = done;
	}
}

/* A good moment to be told to end. */
static void table_ended(struct job *job)
{
	tell_read(job, job->seen + merge_hidden(job->in));
	pace_show(job->pace, job->plan->why);
	job->ending = pace_over(job->pace);
}

/* An output that may get `key`: 0, 1 refused, or an error. */
static int output_for(struct job *job, struct slice key,
		      struct store_error *err)
{
	int r = 0;

	if (job->build && (build_bytes(job->build) >= job->table_bytes ||
			   !fence_reach(&job->fence, key))) {
		r = output_end(job, key, err);
		if (r == 0)
			table_ended(job);
	}
	if (r == 0 && !job->build &&
	    job->pieces.output_bytes >= job->piece_bytes &&
	    job->pieces.n_outputs)
		r = install_piece(job, key, err);
	if (r == 0 && !job->build)
		r = output_begin(job, err);
	return r;
}

static void step(struct job *job, uint64_t entries, uint64_t bytes)
{
	job->seen += entries;
	job->step_entries += entries;
	job->step_bytes += bytes;
	if (job->step_bytes < STEP_BYTES && job->step_entries < STEP_ENTRIES)
		return;
	job->step_bytes = job->step_entries = 0;
	tell_read(job, job->seen + merge_hidden(job->in));
	if (job->build)
		tell_written(job, build_bytes(job->build));
	job->ending = pace_over(job->pace);
}

/* 0, 1 refused, or an error. */
static int add_entry(struct job *job, struct store_error *err)
{
	const struct entry *e = &job->in->e;
	int r = 0;

	if (worth_keeping(job, &job->in->e)) {
		r = output_for(job, e->key, err);
		if (r == 0)
			r = build_add(job->build, job->in, err);
	}
	if (r == 0)
		step(job, 1, e->key.len + e->value_len);
	return r;
}

/*
 * The block that the entry leads, if it may go into the output as it is and the
 * output may reach to its end: *whole tells.  0, 1 refused, or an error.
 */
static int add_block(struct job *job, bool *whole, struct store_error *err)
{
	struct iter *in = job->in;
	struct wholeblock *w = &job->whole;
	int r;

	*whole = false;
	if (!in->ops->block(in, &w->b))
		return 0;
	r = wholeblock_look(w, job->now_ms, job->o->m.options.restart_interval,
			    err);
	if (r <= 0)
		return r;
	r = output_for(job, in->e.key, err);
	if (r != 0 || !fence_reach(&job->fence, buf_slice(&w->r.key)))
		return r;
	r = build_add_block(job->build, in, w, err);
	if (r <= 0)
		return r;
	*whole = true;
	step(job, w->entries, w->bytes);
	return 0;
}

/* An enum job_end or an error. */
static int merge_all(struct job *job, struct store_error *err)
{
	struct iter *in = job->in;
	bool whole;
	int r;

	for (r = in->ops->first(in, err); r == 1;
	     r = (whole ? in->ops->skip : in->ops->next)(in, err)) {
		if (job->ending && job->seen) {
			r = install_piece(job, in->e.key, err);
			return r == 0 ? JOB_STOPPED : r < 0 ? r : JOB_REFUSED;
		}
		whole = false;
		r = in->e.leads ? add_block(job, &whole, err) : 0;
		if (r == 0 && !whole)
			r = add_entry(job, err);
		if (r != 0)
			return r < 0 ? r : JOB_REFUSED;
	}
	if (r < 0)
		return r;
	r = install_piece(job, SLICE_NULL, err);
	return r == 0 ? JOB_DONE : r < 0 ? r : JOB_REFUSED;
}

/* Does anything that stays lie deeper than the output? */
static bool is_last_level(const struct job *job)
{
	const struct lsm_view *v = &job->o->s.view;

	for (size_t i = 0; i < v->n_tables; i++)
		if (v->tables[i].level > job->plan->level &&
		    !job->fence.input[i])
			return false;
	return true;
}

static void fill_spec(struct job *job)
{
	const struct options *o = &job->o->m.options;
	const struct survey *s = &job->o->s;
	uint64_t into = job->plan->into;

	job->spec = (struct build_spec){
		.dir = &job->db->dir,
		.options = o,
		.codec = (enum codec)(is_last_level(job) ? o->compression_last
							 : o->compression),
		.level = job->plan->level,
		.run = into ? s->tables[survey_find(s, into)].run : 0,
		.replaces = job->replaces,
		.trims = job->trims,
		.created_ms = job->now_ms,
		.mode = 0444,
		.counters = &job->db->counters,
		.passing = &job->passing,
		.packs = job->threads > 1 &&
			 job->table_bytes >= BUILD_PACKS_FROM,
	};
	memcpy(job->spec.uuid, job->db->uuid, sizeof(job->spec.uuid));
}

/* What is read, and who stays. */
static int prepare(struct job *job, struct store_error *err)
{
	const struct pieces *p = &job->pieces;
	size_t n = p->n_inputs + 1;
	uint64_t *carried = calloc(n, sizeof(*carried));
	size_t n_carried = 0;
	int r;

	job->active = calloc(n, sizeof(*job->active));
	job->replaces = calloc(n, sizeof(*job->replaces));
	job->trims = calloc(n, sizeof(*job->trims));
	if (!carried || !job->active || !job->replaces || !job->trims) {
		free(carried);
		return store_nomem(err);
	}
	for (size_t i = 0; i < p->n_inputs; i++) {
		const struct piece_input *in = &p->inputs[i];

		if (in->carried) {
			carried[n_carried++] = in->t->number;
			continue;
		}
		job->bytes += in->t->bytes;
		job->entries += in->t->entries;
	}
	r = fence_make(&job->fence, job->plan, &job->o->s, carried, n_carried,
		       err);
	free(carried);
	return r;
}

/* An enum job_end or an error. */
static int merge_inputs(struct job *job, struct store_error *err)
{
	int r;

	if ((r = prepare(job, err)) < 0)
		return r;
	pace_plan(job->pace, (int64_t)(job->bytes - job->plan->bytes));
	if ((r = check_disk(job, true, err)) < 0)
		return r;
	fill_spec(job);
	r = open_inputs(job, err);
	if (r == 0)
		r = merge_all(job, err);
	output_abort(job);
	if (r == JOB_DONE)
		tell_read(job, job->entries);
	return r;
}

static void count(const struct job *job, struct store_compact_result *result)
{
	const struct pieces *p = &job->pieces;

	if (p->installed == 0)
		return;
	result->jobs++;
	result->tables_in += p->tables_in;
	result->tables_out += p->tables_out;
	result->bytes_in += job->told;
	result->bytes_out += p->bytes_out;
	if (job->in)
		result->dropped += job->gone + merge_hidden(job->in);
}

int job_run(struct store *db, const struct plan_job *j, const struct outlook *o,
	    unsigned threads, struct pace *pace,
	    struct store_compact_result *result, struct store_error *err)
{
	struct job job = { .db = db,
			   .plan = j,
			   .o = o,
			   .pace = pace,
			   .pieces = PIECES_INIT,
			   .whole = WHOLEBLOCK_INIT,
			   .threads = threads,
			   .fence = FENCE_INIT,
			   .now_ms = os.now_ms() };
	int r = pieces_init(&job.pieces, db, j, o, err);

	if (r == 0 && j->kind == LSM_MERGE) {
		r = merge_inputs(&job, err);
	} else if (r == 0) {
		r = pieces_install(&job.pieces, SLICE_NULL, err);
		r = r < 0 ? r : r == 0 ? JOB_DONE : JOB_REFUSED;
	}
	if (r == STORE_ENOSPACE)
		pace_plan(pace, -(int64_t)(job.bytes - job.told));
	count(&job, result);
	iter_close(job.in);
	wholeblock_release(&job.whole);
	fence_release(&job.fence);
	pieces_release(&job.pieces);
	free(job.active);
	free(job.replaces);
	free(job.trims);
	return r;
}
