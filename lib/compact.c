#include "lib/compact.h"

#include "lib/flush.h"
#include "lib/install.h"
#include "lib/job.h"
#include "lib/outlook.h"
#include "lib/sweep.h"

/* Jobs of one plan: few, for the next plan knows what came of them. */
#define PLAN_JOBS 16
/*
 * A strategy that never finds an end is stopped when the store was read
 * PASSES times, and SMALL_JOBS small jobs were done besides.
 */
#define PASSES 32
#define SMALL_JOB (UINT64_C(1) << 20)
#define SMALL_JOBS 256
/* Plans of which nothing could be carried out, in a row. */
#define STALE_PLANS 8

/* The tree now; `own`, if any, is a job whose inputs we claim. */
static int look(const struct compaction *c, struct outlook *o,
		const struct plan_job *own, struct store_error *err)
{
	const struct outlook_ask ask = { .trigger = c->trigger,
					 .options = c->options,
					 .own = own ? own->inputs : NULL,
					 .n_own = own ? own->n_inputs : 0 };

	return outlook_read(o, c->db, &ask, err);
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
		c->result->busy += r == 0;
		return r;
	}
	return 1;
}

/* Between the plan and the claims others may have installed: look again. */
static int do_claimed(struct compaction *c, const struct plan_job *j,
		      struct store_error *err)
{
	bool drops = c->plugin.strategy->flags & LSM_STRATEGY_DROPS;
	struct outlook o = OUTLOOK_INIT;
	struct refusal why;
	int r = look(c, &o, j, err);

	if (r < 0)
		return r;
	r = plan_job_check(j, &o.s, drops, &why, err);
	if (r == 1)
		r = job_run(c->db, j, &o.s, &o.m, c->result, err);
	outlook_release(&o);
	return r;
}

/* F0 to F4: the memtable, as far as it is full now. */
static int do_flush(struct compaction *c, struct store_error *err)
{
	int r = store_flush(c->db, err);

	if (r < 0)
		return r;
	c->result->jobs++;
	return 1;
}

int compaction_do(struct compaction *c, const struct plan_job *j,
		  struct store_error *err)
{
	int swept, r;

	if (j->kind == LSM_FLUSH)
		return do_flush(c, err);
	r = claim(c, j, err);
	if (r <= 0)
		return r;
	r = do_claimed(c, j, err);
	unclaim(c, j, j->n_inputs);
	if (r <= 0)
		return r;
	swept = sweep(c->db, err);
	return swept < 0 ? swept : 1;
}

/* ---- rounds ---- */

/* 1 when something came of the plan, 0 when nothing is due. */
static int do_plan(struct compaction *c, struct store_error *err)
{
	const struct lsm_budget budget = { PLAN_JOBS, c->left };
	struct outlook o = OUTLOOK_INIT;
	struct plan plan = PLAN_INIT;
	int r;

	r = look(c, &o, NULL, err);
	if (r < 0)
		return r;
	r = plan_make(&plan, c->plugin.strategy, &o.s, &o.m.options, &budget,
		      err);
	for (size_t i = 0; r >= 0 && i < plan.n && c->left; i++) {
		uint64_t bytes = plan.jobs[i].bytes;

		if (bytes < SMALL_JOB)
			bytes = SMALL_JOB;
		c->left -= bytes < c->left ? bytes : c->left;
		r = compaction_do(c, &plan.jobs[i], err);
	}
	if (r >= 0)
		r = plan.n > 0;
	plan_release(&plan);
	outlook_release(&o);
	return r;
}

/* Until nothing is due. */
static int do_round(struct compaction *c, struct store_error *err)
{
	unsigned stale = 0;
	int r = 1;

	while (r > 0 && c->left && stale < STALE_PLANS) {
		uint64_t before = c->result->jobs + c->result->busy;

		r = do_plan(c, err);
		stale = c->result->jobs + c->result->busy > before ? 0
								   : stale + 1;
	}
	return r < 0 ? r : 0;
}

/* All into one run; flushes may go on meanwhile, they only add newer ones. */
static int do_everything(struct compaction *c, struct store_error *err)
{
	struct outlook o = OUTLOOK_INIT;
	struct plan_job j;
	int r = look(c, &o, NULL, err);

	if (r < 0)
		return r;
	r = plan_everything(&j, &o.s, &o.m.options, err);
	if (r == 0 && j.n_inputs)
		r = compaction_do(c, &j, err);
	plan_job_release(&j);
	outlook_release(&o);
	return r < 0 ? r : 0;
}

/* The store's strategy with its settings, or another with its defaults. */
static int load_strategy(struct compaction *c, const char *name,
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
	c->left = SMALL_JOBS * SMALL_JOB;
	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t i = 0; i < m.levels[l].n; i++)
			for (size_t t = 0; t < m.levels[l].runs[i].n; t++)
				c->left += PASSES *
					   m.levels[l].runs[i].tables[t].bytes;
	manifest_release(&m);
	return r;
}

int store_compact(struct store *db, const struct store_compact_config *config,
		  struct store_compact_result *result, struct store_error *err)
{
	static const struct store_compact_config defaults;
	struct store_compact_result ignored = { .jobs = 0 };
	struct compaction c = { .db = db, .plugin = PLUGIN_INIT };
	int r;

	if (!config)
		config = &defaults;
	c.result = result ? result : &ignored;
	*c.result = (struct store_compact_result){ .jobs = 0 };
	c.trigger = config->all ? LSM_ALL : LSM_DUE;
	if (!db->write || db->private)
		return store_fail(err, STORE_EACCESS,
				  "%s: compaction needs a store opened for "
				  "writing",
				  db->dir.path);
	r = load_strategy(&c, config->strategy, err);
	if (r == 0)
		r = do_round(&c, err);
	if (r == 0 && config->all)
		r = do_everything(&c, err);
	/* What a killed compaction left behind goes even if nothing is due. */
	if (r == 0 && c.result->jobs == 0)
		r = sweep(db, err);
	plugin_close(&c.plugin);
	return r < 0 ? r : 0;
}

int store_compact_need(struct store *db, const char *strategy,
		       struct store_need *need, struct store_error *err)
{
	const struct lsm_budget one = { 1, UINT64_MAX };
	struct compaction c = { .db = db, .plugin = PLUGIN_INIT };
	struct outlook o = OUTLOOK_INIT;
	struct plan plan = PLAN_INIT;
	int r = load_strategy(&c, strategy, err);

	*need = (struct store_need){ .bytes = 0 };
	if (r == 0)
		r = look(&c, &o, NULL, err);
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
