/*
 * Plans as text: store_compact_plan(), store_compact_view() and
 * store_compact_apply() (lib/store.h).  The texts are in formats/plan.md.
 *
 * A file of its own, because it loads plugins: only who calls it links that.
 */
#include "lib/compact.h"
#include "lib/crew.h"
#include "lib/inspectout.h"

#include <stdio.h>

#define PLAN_JOBS 16

static const struct store_compact_config defaults;

static void fill_heading(struct plan_heading *h, const struct compaction *c,
			 const struct outlook *o)
{
	*h = (struct plan_heading){ .generation = o->m.generation,
				    .drops = c->drops };
	memcpy(h->uuid, c->db->uuid, sizeof(h->uuid));
	snprintf(h->strategy, sizeof(h->strategy), "%s",
		 c->plugin.strategy->name);
}

/* With `all`, where the strategy has come to its end, what would follow. */
static int add_everything(struct plan *p, const struct outlook *o,
			  struct store_error *err)
{
	int r;

	free(p->jobs);
	p->jobs = calloc(1, sizeof(*p->jobs));
	if (!p->jobs)
		return store_nomem(err);
	r = plan_everything(&p->jobs[0], &o->s, &o->m.options, err);
	if (r == 0 && p->jobs[0].n_inputs) {
		p->n = 1;
		p->need = p->jobs[0].bytes;
	}
	return r;
}

/* Load the strategy and look: what both texts are made from. */
static int prepare(struct compaction *c, struct outlook *o,
		   const struct store_compact_config *config,
		   struct store_error *err)
{
	int r = compaction_load(c, config->strategy, err);

	c->trigger = config->all ? LSM_ALL : LSM_DUE;
	return r < 0 ? r : compaction_look(c, o, err);
}

int store_compact_plan(struct store *db,
		       const struct store_compact_config *config,
		       struct buf *json, struct store_error *err)
{
	const struct store_compact_config *how = config ? config : &defaults;
	const struct lsm_budget budget = { PLAN_JOBS, how->max_bytes
							      ? how->max_bytes
							      : UINT64_MAX };
	struct compaction c = { .db = db, .plugin = PLUGIN_INIT };
	struct outlook o = OUTLOOK_INIT;
	struct plan plan = PLAN_INIT;
	struct plan_heading h;
	int r = prepare(&c, &o, how, err);

	if (r == 0)
		r = plan_make(&plan, c.plugin.strategy, &o.s, &o.m.options,
			      &budget, err);
	if (r == 0 && how->all && plan.n == 0)
		r = add_everything(&plan, &o, err);
	if (r == 0) {
		fill_heading(&h, &c, &o);
		r = plan_format(&plan, &h, json, err);
	}
	plan_release(&plan);
	outlook_release(&o);
	plugin_close(&c.plugin);
	return r;
}

/* ---- the view ---- */

/* A count that may be unknown. */
static void put_known(struct out *o, const char *name, uint64_t v)
{
	if (v == UINT64_MAX)
		out_put(o, name, json_null());
	else
		out_count(o, name, v);
}

static json_t *table_json(const struct lsm_table *t)
{
	json_t *o = json_pack(
		"{s:o,s:i,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "number",
		value_count(t->number), "level", (int)t->level, "run",
		(int)t->run, "age_first", value_count(t->age_first), "age_last",
		value_count(t->age_last), "bytes", value_count(t->bytes),
		"entries", value_count(t->entries), "tombstones",
		value_count(t->tombstones), "oldest_tombstone_ms",
		value_count(t->oldest_tombstone_ms), "created_ms",
		value_count(t->created_ms), "overlap_below",
		value_count(t->overlap_below), "claimed", (int)t->claimed);

	if (o && (value_set_bytes(o, "smallest", survey_key(t->smallest)) < 0 ||
		  value_set_bytes(o, "largest", survey_key(t->largest)) < 0)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static void put_view(struct out *o, const struct compaction *c,
		     const struct lsm_view *v)
{
	const struct lsm_strategy *s = c->plugin.strategy;

	out_open(o, NULL, '{');
	out_string(o, "format", "lsm-view");
	out_count(o, "version", PLAN_VERSION);
	out_put(o, "store", value_hex(c->db->uuid, sizeof(c->db->uuid)));
	out_count(o, "generation", v->generation);
	out_string(o, "trigger", v->trigger == LSM_ALL ? "all" : "due");
	out_count(o, "now_ms", v->now_ms);
	put_known(o, "free_disk", v->free_disk);
	put_known(o, "oldest_pin", v->oldest_pin);
	out_count(o, "log_bytes", v->log_bytes);
	out_count(o, "log_created_ms", v->log_created_ms);
	out_count(o, "flushed_bytes", v->flushed_bytes);
	out_count(o, "compacted_bytes", v->compacted_bytes);
	out_count(o, "max_levels", v->max_levels);
	out_count(o, "write_buffer", v->write_buffer);
	out_count(o, "level0_runs", v->level0_runs);
	out_count(o, "level0_bytes", v->level0_bytes);
	out_count(o, "level_ratio", v->level_ratio);
	out_count(o, "table_bytes", v->table_bytes);
	out_count(o, "table_bytes_max", v->table_bytes_max);
	out_count(o, "job_bytes", v->job_bytes);
	out_string(o, "strategy", s->name);
	out_open(o, "options", '{');
	for (size_t i = 0; i < s->n_options; i++)
		out_put(o, s->options[i].name,
			s->options[i].type == LSM_SIGNED
				? json_integer((json_int_t)v->options[i])
				: value_count(v->options[i]));
	out_close(o);
	out_open(o, "tables", '[');
	for (size_t i = 0; i < v->n_tables; i++)
		out_put(o, NULL, table_json(&v->tables[i]));
	out_close(o);
}

int store_compact_view(struct store *db,
		       const struct store_compact_config *config,
		       store_sink *sink, void *ctx, struct store_error *err)
{
	const struct store_compact_config *how = config ? config : &defaults;
	struct compaction c = { .db = db, .plugin = PLUGIN_INIT };
	struct out out = OUT_INIT(sink, ctx, err);
	struct outlook o = OUTLOOK_INIT;
	int r = prepare(&c, &o, how, err);

	if (r == 0) {
		put_view(&out, &c, &o.s.view);
		r = out_end(&out, 0);
	}
	outlook_release(&o);
	plugin_close(&c.plugin);
	return r;
}

/* ---- carrying out ---- */

static bool is_claimed(const struct plan_job *j, const struct survey *s)
{
	for (size_t i = 0; i < j->n_inputs; i++) {
		size_t at = survey_find(s, j->inputs[i]);

		if (at < s->view.n_tables && s->tables[at].claimed)
			return true;
	}
	return false;
}

/*
 * What others have begun since the plan was made is theirs, as it is when they
 * begin it a moment later, between this look and the claims.
 */
static uint64_t leave_claimed(struct plan *p, const struct survey *s)
{
	uint64_t busy = 0;
	size_t kept = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (is_claimed(&p->jobs[i], s)) {
			plan_job_release(&p->jobs[i]);
			busy++;
		} else {
			p->jobs[kept++] = p->jobs[i];
		}
	}
	p->n = kept;
	return busy;
}

/* Is it for this store, and right for it as it is now? */
static int check_plan(struct compaction *c, struct plan *plan,
		      const struct plan_heading *h, uint64_t *busy,
		      struct store_error *err)
{
	struct outlook o = OUTLOOK_INIT;
	char who[60];
	int r;

	if (memcmp(h->uuid, c->db->uuid, sizeof(h->uuid)))
		return store_fail(err, STORE_ECONFIG,
				  "%s: plan refused: it is for another store",
				  c->db->dir.path);
	snprintf(who, sizeof(who), "plan of %s",
		 h->strategy[0] ? h->strategy : "nobody");
	r = compaction_look(c, &o, err);
	if (r == 0) {
		*busy = leave_claimed(plan, &o.s);
		r = plan_check(plan, who, &o.s, &o.m.options, h->drops, err);
	}
	outlook_release(&o);
	return r;
}

int store_compact_apply(struct store *db,
			const struct store_compact_config *config,
			struct slice json, struct store_compact_result *result,
			struct store_error *err)
{
	struct plan plan = PLAN_INIT;
	struct compaction c = { .db = db,
				.config = config ? config : &defaults,
				.plugin = PLUGIN_INIT,
				.given = &plan,
				.left = UINT64_MAX };
	struct store_compact_result ignored;
	struct plan_heading h;
	int r;

	if (!result)
		result = &ignored;
	*result = (struct store_compact_result){ .jobs = 0 };
	r = compaction_check(db, c.config, err);
	if (r == 0)
		r = plan_parse(&plan, &h, json, err);
	if (r == 0) {
		c.drops = h.drops;
		r = check_plan(&c, &plan, &h, &result->busy, err);
	}
	if (r == 0) {
		pace_init(&c.pace, c.config);
		r = crew_run(&c, result, err);
		pace_release(&c.pace);
	}
	plan_release(&plan);
	return r < 0 ? r : 0;
}
