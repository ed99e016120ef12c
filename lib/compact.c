#include "lib/compact.h"

#include "lib/crew.h"
#include "lib/fit.h"
#include "lib/flush.h"
#include "lib/install.h"
#include "lib/planrange.h"
#include "lib/sweep.h"

/*
 * A strategy that never finds an end is stopped when the store was read
 * PASSES times, and SMALL_JOBS small jobs were done besides.
 */
#define PASSES 32
#define SMALL_JOB (UINT64_C(1) << 20)
#define SMALL_JOBS 256
/* Looks at a job that others have made wrong meanwhile. */
#define TRIES 8
/* Halvings of the room that a job may take, if even less proves too much. */
#define FITS 4

static int look(const struct compaction *c, struct outlook *o,
		const struct plan_job *own, bool blind, struct store_error *err)
{
	const struct outlook_ask ask = { .trigger = c->trigger,
					 .options = c->options,
					 .own = own ? own->inputs : NULL,
					 .n_own = own ? own->n_inputs : 0,
					 .blind = blind };

	return outlook_read(o, c->db, &ask, err);
}

int compaction_look(const struct compaction *c, struct outlook *o,
		    struct store_error *err)
{
	return look(c, o, NULL, false, err);
}

/* ---- C2 to C5: one job ---- */

static void unclaim(struct compaction *c, const struct plan_job *j, size_t n)
{
	for (size_t i = 0; i < n; i++)
		lock_unclaim(&c->db->lock, j->inputs[i]);
}

/* All inputs or none: 1, or 0 when one is in another's job. */
static int claim(struct compaction *c, const struct plan_job *j,
		 struct store_error *err)
{
	for (size_t i = 0; i < j->n_inputs; i++) {
		int r = lock_claim(&c->db->lock, j->inputs[i], err);

		if (r > 0)
			continue;
		unclaim(c, j, i);
		return r;
	}
	return 1;
}

/* Between the plan and the claims others may have installed: look again. */
static int do_claimed(struct compaction *c, const struct plan_job *planned,
		      struct store_compact_result *result,
		      struct store_error *err)
{
	struct plan_job j = *planned;
	struct outlook o = OUTLOOK_INIT;
	struct refusal why;
	int r = look(c, &o, &j, false, err);

	if (r == 0) {
		plan_job_refresh(&j, &o.s);
		r = plan_job_check(&j, &o.s, c->drops, &why, err);
	}
	if (r == 1)
		r = job_run(c->db, &j, &o, c->config->workers, &c->pace, result,
			    err);
	else
		unclaim(c, &j, j.n_inputs);
	outlook_release(&o);
	return r;
}

/* F0 to F4: all that is in the memtable now. */
static int do_flush(struct compaction *c, struct store_compact_result *result,
		    struct store_error *err)
{
	int r = store_flush(c->db, err);

	if (r < 0)
		return r;
	result->jobs++;
	return JOB_DONE;
}

static int do_job(struct compaction *c, const struct plan_job *j,
		  struct store_compact_result *result, struct store_error *err)
{
	int r = claim(c, j, err);

	result->busy += r == 0;
	return r == 1 ? do_claimed(c, j, result, err) : r;
}

/* What of `j` fits into `room`: as do_job(); STORE_ENOSPACE: nothing does. */
static int do_smaller(struct compaction *c, const struct plan_job *j,
		      uint64_t room, struct store_compact_result *result,
		      struct store_error *err)
{
	struct outlook o = OUTLOOK_INIT;
	struct plan_job small = { .kind = 0 };
	int r = compaction_look(c, &o, err);

	if (r < 0)
		return r;
	if (room > o.s.view.free_disk)
		room = o.s.view.free_disk;
	r = fit_smaller(&small, j, &o.s, &o.m.options, room, err);
	outlook_release(&o);
	if (r == 0)
		return STORE_ENOSPACE;
	if (r == 1) {
		pace_plan(&c->pace, (int64_t)small.bytes);
		r = do_job(c, &small, result, err);
		if (r == JOB_REFUSED)
			pace_plan(&c->pace, -(int64_t)small.bytes);
	}
	plan_job_release(&small);
	return r;
}

/* A job for which the disk has no room: so much of it as there is room for. */
static int do_part(struct compaction *c, const struct plan_job *j,
		   struct store_compact_result *result, struct store_error *err)
{
	uint64_t room = os.free_bytes(c->db->dir.fd);
	struct store_error full = STORE_ERROR_INIT;
	int r = STORE_ENOSPACE;

	for (unsigned i = 0; i < FITS && r == STORE_ENOSPACE; i++, room /= 2) {
		full = STORE_ERROR_INIT;
		r = do_smaller(c, j, room, result, &full);
	}
	if (r < 0 && r != STORE_ENOSPACE && err)
		*err = full;
	return r == JOB_DONE ? JOB_PART : r;
}

int compaction_do(struct compaction *c, const struct plan_job *j,
		  struct store_compact_result *result, struct store_error *err)
{
	uint64_t jobs = result->jobs;
	int r = j->kind == LSM_FLUSH ? do_flush(c, result, err)
				     : do_job(c, j, result, err);

	/* What was installed of it has made it another job. */
	if (r == STORE_ENOSPACE && j->kind == LSM_MERGE && !c->given &&
	    result->jobs == jobs) {
		r = do_part(c, j, result, err);
		if (r >= 0 && err)
			*err = STORE_ERROR_INIT;
	}
	if (r == JOB_DONE)
		pace_job(&c->pace, j->why);
	else if (r == JOB_REFUSED)
		pace_plan(&c->pace, -(int64_t)j->bytes);
	return r;
}

/* ---- one job for all of the store, or for a range ---- */

static int plan_one(struct compaction *c, struct plan_job *j,
		    struct store_error *err)
{
	const struct store_compact_config *config = c->config;
	struct outlook o = OUTLOOK_INIT;
	int r = compaction_look(c, &o, err);

	if (r < 0)
		return r;
	if (config->from.len || config->to.len)
		r = plan_range(j, &o.s, &o.m.options, config->from, config->to,
			       err);
	else
		r = plan_everything(j, &o.s, &o.m.options, err);
	outlook_release(&o);
	return r;
}

/*
 * Flushes may go on meanwhile, they only add newer runs; but what others merge
 * may make the job wrong, so that it has to be planned again.
 */
static int do_one(struct compaction *c, struct store_compact_result *result,
		  struct store_error *err)
{
	int r = 0;

	for (unsigned i = 0; i < TRIES && r == JOB_REFUSED; i++) {
		struct plan_job j = { .kind = 0 };

		r = plan_one(c, &j, err);
		if (r == 0 && j.n_inputs == 0)
			r = JOB_DONE;
		else if (r == 0 && pace_over(&c->pace))
			r = JOB_STOPPED;
		else if (r == 0) {
			pace_plan(&c->pace, (int64_t)j.bytes);
			r = compaction_do(c, &j, result, err);
		}
		plan_job_release(&j);
		if (r == JOB_PART) { /* of fewer runs the rest is made */
			r = JOB_REFUSED;
			i = 0;
		}
		if (result->busy)
			break;
	}
	if (r == JOB_STOPPED)
		result->stopped = 1;
	return r < 0 ? r : 0;
}

/* ---- what others have taken ---- */

static bool is_taken(const struct survey *s, const struct plan_job *j)
{
	for (size_t i = 0; i < j->n_inputs; i++) {
		size_t at = survey_find(s, j->inputs[i]);

		if (at < s->view.n_tables && s->tables[at].claimed)
			return true;
	}
	return false;
}

/* How many jobs would be due if nobody had claimed their tables? */
static int count_taken(struct compaction *c, uint64_t *n,
		       struct store_error *err)
{
	const struct lsm_budget budget = { 16, UINT64_MAX };
	struct outlook o = OUTLOOK_INIT, blind = OUTLOOK_INIT;
	struct plan plan = PLAN_INIT;
	bool any = false;
	int r = compaction_look(c, &o, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < o.s.view.n_levels; i++)
		any |= o.s.levels[i].claimed;
	if (any)
		r = look(c, &blind, NULL, true, err);
	if (any && r == 0)
		r = plan_make(&plan, c->plugin.strategy, &blind.s,
			      &blind.m.options, &budget, err);
	for (size_t i = 0; r == 0 && i < plan.n; i++)
		*n += is_taken(&o.s, &plan.jobs[i]);
	plan_release(&plan);
	outlook_release(&blind);
	outlook_release(&o);
	return r;
}

/* ---- the whole ---- */

/* The store's strategy with its settings, or another with its defaults. */
int compaction_load(struct compaction *c, const char *name,
		    struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	bool own;
	int r = install_manifest(c->db, &m, err);

	if (r < 0)
		return r;
	own = !name || !strcmp(name, m.strategy);
	r = plugin_open(&c->plugin, c->db->plugins, name ? name : m.strategy,
			err);
	if (r == 0)
		r = plugin_options(c->plugin.strategy, m.settings,
				   own ? m.n_settings : 0, c->options, err);
	if (r == 0)
		c->drops = c->plugin.strategy->flags & LSM_STRATEGY_DROPS;
	c->left = SMALL_JOBS * SMALL_JOB;
	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t i = 0; i < m.levels[l].n; i++)
			for (size_t t = 0; t < m.levels[l].runs[i].n; t++)
				c->left += PASSES *
					   m.levels[l].runs[i].tables[t].bytes;
	manifest_release(&m);
	return r;
}

static int run(struct compaction *c, struct store_compact_result *result,
	       struct store_error *err)
{
	const struct store_compact_config *config = c->config;
	int r;

	if (config->from.len || config->to.len) {
		r = do_one(c, result, err);
	} else {
		r = crew_run(c, result, err);
		if (r == 0 && !result->stopped)
			r = count_taken(c, &result->busy, err);
		if (r == 0 && config->all && !result->stopped && !result->busy)
			r = do_one(c, result, err);
	}
	/* What a killed compaction left behind goes even if nothing is due. */
	if (r == 0 && result->jobs == 0)
		r = sweep(c->db, err);
	return r;
}

int compaction_check(const struct store *db,
		     const struct store_compact_config *config,
		     struct store_error *err)
{
	if (!db->write || db->private)
		return store_fail(err, STORE_EACCESS,
				  "%s: compaction needs a store opened for "
				  "writing",
				  db->dir.path);
	if (config->to.len && slice_cmp(config->from, config->to) >= 0)
		return store_fail(err, STORE_EINVAL,
				  "%s: a range that ends where it begins, or "
				  "before",
				  db->dir.path);
	return 0;
}

int store_compact(struct store *db, const struct store_compact_config *config,
		  struct store_compact_result *result, struct store_error *err)
{
	static const struct store_compact_config defaults;
	struct store_compact_result ignored;
	struct compaction c = { .db = db, .plugin = PLUGIN_INIT };
	int r;

	c.config = config ? config : &defaults;
	c.trigger = c.config->all ? LSM_ALL : LSM_DUE;
	if (!result)
		result = &ignored;
	*result = (struct store_compact_result){ .jobs = 0 };
	r = compaction_check(db, c.config, err);
	if (r < 0)
		return r;
	pace_init(&c.pace, c.config);
	r = compaction_load(&c, c.config->strategy, err);
	if (r == 0)
		r = run(&c, result, err);
	plugin_close(&c.plugin);
	pace_release(&c.pace);
	return r < 0 ? r : 0;
}

int store_compact_need(struct store *db, const char *strategy,
		       struct store_need *need, struct store_error *err)
{
	const struct lsm_budget one = { 1, UINT64_MAX };
	struct compaction c = { .db = db, .plugin = PLUGIN_INIT };
	struct outlook o = OUTLOOK_INIT;
	struct plan plan = PLAN_INIT;
	int r = compaction_load(&c, strategy, err);

	*need = (struct store_need){ .bytes = 0 };
	if (r == 0)
		r = compaction_look(&c, &o, err);
	if (r == 0) {
		r = plan_make(&plan, c.plugin.strategy, &o.s, &o.m.options,
			      &one, err);
		need->bytes = plan.need;
	}
	if (r == 0 && plan.n)
		memcpy(need->why, plan.jobs[0].why, sizeof(need->why));
	plan_release(&plan);
	outlook_release(&o);
	plugin_close(&c.plugin);
	return r < 0 ? r : need->bytes > 0;
}
