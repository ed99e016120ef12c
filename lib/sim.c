#include "lib/sim.h"

#include "lib/pressure.h"

#include <inttypes.h>
#include <stdio.h>

/* Of a new store. */
#define STRATEGY "leveled"
/* Looks at the tree, for averages and the worst. */
#define LOOKS 100
/* The time at which a simulation begins that begins with nothing. */
#define BEGIN_MS UINT64_C(1000000000000)
/* Writers wait for one job at most so long: lib/pressure.h. */
#define JOB_MAX_S 10.0
/* A Bloom filter of one bit a key, used well, is wrong so often. */
#define WRONG_A_BIT 0.6185

static const char *const workload_names[] = {
	[SIM_UNIFORM] = "uniform",	 [SIM_ZIPF] = "zipf",
	[SIM_SEQUENTIAL] = "sequential", [SIM_TIMESERIES] = "time-series",
	[SIM_DELETES] = "delete-heavy",
};

#define N_WORKLOADS (sizeof(workload_names) / sizeof(workload_names[0]))

bool sim_workload_of(const char *name, enum sim_workload *workload)
{
	for (size_t i = 0; i < N_WORKLOADS; i++)
		if (!strcmp(name, workload_names[i])) {
			*workload = (enum sim_workload)i;
			return true;
		}
	return false;
}

const char *sim_workload_name(enum sim_workload workload)
{
	return workload_names[workload];
}

/* ---- looking ---- */

static int look(struct sim *s, struct simtree_look *l, struct store_error *err)
{
	struct sim_report *rep = s->report;
	double space;
	int r = simtree_look(&s->tree, l, err);

	if (r < 0)
		return r;
	space = l->once > 0 ? (double)l->bytes / l->once : 0;
	if (space > rep->space_max)
		rep->space_max = space;
	if (l->runs > rep->runs_max)
		rep->runs_max = l->runs;
	if (l->tables > rep->tables_max)
		rep->tables_max = l->tables;
	if (l->bytes > rep->bytes_max)
		rep->bytes_max = l->bytes;
	rep->space = space;
	rep->runs = l->runs;
	rep->tables = l->tables;
	rep->bytes = l->bytes;
	return 0;
}

/* ---- writing ---- */

int sim_flush(struct sim *s, struct store_error *err)
{
	uint64_t bytes = 0;
	int r = 0;

	if (s->log_from < s->at) {
		simload_stretch(&s->load, s->log_from, s->at, &s->stretch);
		r = simtree_flush(&s->tree, s->stretch.spans, s->stretch.n,
				  s->began_ms + (uint64_t)(s->log_since * 1000),
				  sim_now_ms(s), &bytes, err);
		s->report->flushes++;
		s->report->flushed_bytes += bytes;
	}
	s->log_from = s->at;
	s->log_since = s->now;
	if (!s->config->ingest)
		s->now += (double)bytes / (double)s->config->disk;
	return r;
}

static uint64_t level0_runs(const struct sim *s)
{
	return s->tree.m.n_levels ? s->tree.m.levels[0].n : 0;
}

static uint64_t level0_bytes(const struct sim *s)
{
	uint64_t bytes = 0;

	for (size_t r = 0; r < level0_runs(s); r++)
		for (size_t i = 0; i < s->tree.m.levels[0].runs[r].n; i++)
			bytes += s->tree.m.levels[0].runs[r].tables[i].bytes;
	return bytes;
}

/* At the hard limit: until the job is done, or its ten seconds are over. */
static int stall(struct sim *s, struct store_error *err)
{
	double wait = s->ends - s->now, most = JOB_MAX_S - s->waited;
	bool done = wait <= most;

	if (!done)
		wait = most;
	s->now += wait;
	s->waited += wait;
	s->report->stalled += wait;
	if (s->waited > s->report->longest)
		s->report->longest = s->waited;
	return done ? simround_go_on(s, err) : 0;
}

/*
 * Write on to `end`, or until the job under way is done: writes take longer,
 * the nearer the hard limit, as lib/pressure.h has it.
 */
static int write_on(struct sim *s, uint64_t end, const struct excess *e,
		    struct store_error *err)
{
	double rest = simload_user_bytes(&s->load, s->at, end) /
		      (double)s->config->ingest;
	double slow = 0, part = 1;

	if (e->over && e->left && s->working)
		slow = rest * (double)e->over / (double)e->left;
	if (slow > JOB_MAX_S - s->waited)
		slow = s->waited < JOB_MAX_S ? JOB_MAX_S - s->waited : 0;
	if (s->working && s->ends < s->now + rest + slow)
		part = (s->ends - s->now) / (rest + slow);
	s->report->slowed += part * slow;
	s->waited += part * slow;
	if (part >= 1) {
		s->now += rest + slow;
		s->at = end;
		return 0;
	}
	s->now = s->ends;
	s->at += (uint64_t)(part * (double)(end - s->at));
	return simround_go_on(s, err);
}

/* Writes up to `end`, with the clock, and the compaction beside them. */
static int write_until(struct sim *s, uint64_t end, struct store_error *err)
{
	const struct options *o = &s->tree.m.options;
	int r = 0;

	if (!s->config->ingest) {
		s->now += simload_user_bytes(&s->load, s->at, end) /
			  (double)s->config->disk;
		s->at = end;
	}
	while (r == 0 && s->at < end) {
		struct excess e = excess_of(o, level0_runs(s));

		if (e.over && !e.left && s->working && s->waited < JOB_MAX_S)
			r = stall(s, err);
		else
			r = write_on(s, end, &e, err);
	}
	return r;
}

static bool is_time(const struct sim *s)
{
	struct store_pressure p;

	if (s->config->every_flush)
		return true;
	p = pressure_of(&s->tree.m.options, level0_runs(s), level0_bytes(s), 0);
	return p.level != STORE_PRESSURE_NONE;
}

/* The log is full: flush it, and see to compaction. */
static int log_full(struct sim *s, struct store_error *err)
{
	int r = sim_flush(s, err);

	if (level0_runs(s) >= s->tree.m.options.level0_hard)
		s->report->over_hard++;
	if (r == 0 && is_time(s))
		r = simround_begin(s, err);
	if (r == 0 && !s->config->ingest)
		r = simround_finish(s, err);
	return r;
}

static int run(struct sim *s, struct store_error *err)
{
	uint64_t all = simload_writes(&s->load), next = 0;
	uint64_t buffer = s->tree.m.options.write_buffer;
	struct simtree_look l;
	double sum = 0, looks = 0;
	int r = 0;

	while (r == 0 && s->at < all) {
		r = write_until(s, simload_fill(&s->load, s->log_from, buffer),
				err);
		/* A strategy may have flushed it half full. */
		if (r < 0 ||
		    (s->at < all &&
		     s->at < simload_fill(&s->load, s->log_from, buffer)))
			continue;
		r = log_full(s, err);
		if (r < 0 || s->at < next)
			continue;
		next = s->at + all / LOOKS;
		r = look(s, &l, err);
		sum += l.runs;
		looks++;
	}
	/* All that is due, now that nothing more comes. */
	if (r == 0)
		r = simround_finish(s, err);
	s->settled = false;
	while (r == 0 && !s->settled) {
		r = simround_begin(s, err);
		if (r == 0)
			r = simround_finish(s, err);
	}
	if (r == 0)
		r = look(s, &l, err);
	s->report->runs_mean = looks > 0 ? sum / looks : s->report->runs;
	return r;
}

/* ---- the report ---- */

static int report_levels(struct sim *s, struct store_error *err)
{
	const struct manifest *m = &s->tree.m;
	struct sim_report *rep = s->report;

	rep->levels = calloc(MANIFEST_MAX_LEVELS, sizeof(*rep->levels));
	if (!rep->levels)
		return store_nomem(err);
	for (size_t l = 0; l < MANIFEST_MAX_LEVELS; l++) {
		struct sim_level *to = &rep->levels[l];

		to->written = s->tree.written[l];
		to->runs = l < m->n_levels ? m->levels[l].n : 0;
		for (size_t r = 0; r < to->runs; r++) {
			const struct run *run = &m->levels[l].runs[r];

			to->tables += run->n;
			for (size_t i = 0; i < run->n; i++) {
				to->bytes += run->tables[i].bytes;
				to->entries += run->tables[i].entries;
				to->tombstones += run->tables[i].tombstones;
			}
		}
		if (to->written || to->runs)
			rep->n_levels = l + 1;
	}
	return 0;
}

static int fill_report(struct sim *s, struct store_error *err)
{
	struct sim_report *rep = s->report;
	double all = simload_user_bytes(&s->load, 0, s->at), wrong = 1;
	double moved = all + (double)rep->flushed_bytes +
		       (double)rep->read_bytes + (double)rep->compacted_bytes;

	snprintf(rep->strategy, sizeof(rep->strategy), "%s",
		 s->plugin.strategy->name);
	rep->key_bytes = (uint64_t)s->tree.weight.key;
	rep->value_bytes = (uint64_t)s->tree.weight.value;
	rep->writes = s->at;
	rep->user_bytes = all;
	if (rep->flushed_bytes)
		rep->write =
			(double)(rep->flushed_bytes + rep->compacted_bytes) /
			(double)rep->flushed_bytes;
	for (uint64_t i = 0; i < s->tree.m.options.filter_bits; i++)
		wrong *= WRONG_A_BIT;
	rep->blocks = rep->runs * wrong;
	rep->seconds = s->now;
	if (all > 0)
		rep->sustainable = (double)s->config->disk * all / moved;
	return report_levels(s, err);
}

void inspect_sim_release(struct sim_report *r)
{
	free(r->levels);
	*r = SIM_REPORT_INIT;
}

/* ---- the beginning ---- */

static int set_options(struct options *o, const struct sim_config *c,
		       struct store_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n_settings; i++)
		r = options_set(o, slice_str(c->settings[i].name),
				slice_str(c->settings[i].value), err);
	return r < 0 ? r : options_check(o, err);
}

/* The strategy's own, those of the store first. */
static int set_strategy(struct sim *s, struct store_error *err)
{
	const struct sim_config *c = s->config;
	const struct manifest *m = &s->tree.m;
	bool own = !c->strategy || !strcmp(c->strategy, m->strategy);
	size_t kept = own ? m->n_settings : 0, n = 0;
	struct setting *list =
		calloc(kept + c->n_strategy_settings + 1, sizeof(*list));
	const char *name = c->strategy ? c->strategy : m->strategy;
	int r;

	if (!list)
		return store_nomem(err);
	for (size_t i = 0; i < kept; i++)
		list[n++] = m->settings[i];
	for (size_t i = 0; i < c->n_strategy_settings; i++)
		list[n++] = (struct setting){
			(char *)(uintptr_t)c->strategy_settings[i].name,
			(char *)(uintptr_t)c->strategy_settings[i].value
		};
	r = plugin_open(&s->plugin, c->plugins, name, err);
	if (r == 0)
		r = plugin_options(s->plugin.strategy, list, n, s->options,
				   err);
	free(list);
	return r;
}

/* Without a store: the options of a new one, and nothing in it. */
static int begin_empty(struct sim *s, struct store_error *err)
{
	s->tree.m.strategy = strdup(STRATEGY);
	if (!s->tree.m.strategy)
		return store_nomem(err);
	options_default(&s->tree.m.options);
	s->tree.m.next_number = 1;
	s->began_ms = BEGIN_MS;
	return 0;
}

static int begin(struct sim *s, struct store_error *err)
{
	const struct sim_config *c = s->config;
	int r = c->dir ? simstore_read(s, err) : begin_empty(s, err);

	s->tree.keys = &s->load.keys;
	if (r < 0 || (r = set_options(&s->tree.m.options, c, err)) < 0 ||
	    (r = set_strategy(s, err)) < 0)
		return r;
	if (c->dir)
		return simstore_begin(s, err);
	simload_init(&s->load, c, 0);
	simweight_init(&s->tree.weight, &s->tree.m.options, c->key_bytes,
		       c->value_bytes, (double)c->stored / 100);
	return 0;
}

int inspect_sim(const struct sim_config *config, struct sim_report *out,
		struct store_error *err)
{
	struct sim *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return store_nomem(err);
	*s = (struct sim){ .own = *config,
			   .report = out,
			   .plugin = PLUGIN_INIT,
			   .tree = SIMTREE_INIT,
			   .plan = PLAN_INIT,
			   .survey = SURVEY_INIT,
			   .surveyed = UINT64_MAX };
	s->config = &s->own;
	r = begin(s, err);
	if (r == 0 && s->load.keys.n == 0 && s->load.updates)
		r = store_fail(err, STORE_EINVAL,
			       "%s: has no keys that could be updated",
			       config->dir);
	if (r == 0)
		r = run(s, err);
	if (r == 0)
		r = fill_report(s, err);
	simround_release(s);
	simtree_release(&s->tree);
	plugin_close(&s->plugin);
	free(s);
	if (r < 0)
		inspect_sim_release(out);
	return r;
}
