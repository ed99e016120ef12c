/*
 * Rounds of compaction in a simulation, as lib/compact.c and lib/crew.c make
 * them with one thread.
 */
#include "lib/sim.h"

#define PLAN_JOBS 16
#define STALE_PLANS 8
#define PASSES 32
#define SMALL_JOB (UINT64_C(1) << 20)
#define SMALL_JOBS 256

static uint64_t bytes_of(const struct manifest *m)
{
	uint64_t bytes = 0;

	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t r = 0; r < m->levels[l].n; r++)
			for (size_t i = 0; i < m->levels[l].runs[r].n; i++)
				bytes += m->levels[l].runs[r].tables[i].bytes;
	return bytes;
}

/* What it shows of the moment matters to plans; the tree, to jobs. */
static int survey(struct sim *s, struct store_error *err)
{
	const struct survey_facts facts = {
		.now_ms = sim_now_ms(s),
		.free_disk = UINT64_MAX,
		.oldest_pin = UINT64_MAX,
		.log_bytes = (uint64_t)((double)(s->at - s->log_from) *
					s->load.write_bytes[0]),
		.log_created_ms = s->began_ms + (uint64_t)(s->log_since * 1000),
		.trigger = LSM_DUE,
		.options = s->options,
	};

	survey_release(&s->survey);
	s->surveyed = s->tree.m.generation;
	return survey_make(&s->survey, &s->tree.m, &facts, err);
}

static int make_plan(struct sim *s, struct store_error *err)
{
	const struct lsm_budget budget = { PLAN_JOBS, s->left };
	int r = survey(s, err);

	plan_release(&s->plan);
	s->next = 0;
	s->done = s->report->jobs;
	if (r == 0)
		r = plan_make_here(&s->plan, s->plugin.strategy, &s->survey,
				   &s->tree.m.options, &budget, err);
	return r;
}

/* The disk serves the log and flushes first; a tenth is always left. */
static double disk_rate(const struct sim *s)
{
	double disk = (double)s->config->disk;
	double left = disk - 2 * (double)s->config->ingest;

	return left > disk / 10 ? left : disk / 10;
}

/* 1: we are on it; 0: what came meanwhile has made it wrong. */
static int begin_job(struct sim *s, struct plan_job *j, struct store_error *err)
{
	bool drops = s->plugin.strategy->flags & LSM_STRATEGY_DROPS;
	struct refusal why;
	int r = 0;

	if (s->surveyed != s->tree.m.generation)
		r = survey(s, err);
	if (r < 0)
		return r;
	plan_job_refresh(j, &s->survey);
	r = plan_job_check(j, &s->survey, drops, &why, err);
	if (r == 1) {
		s->working = true;
		s->waited = 0;
		r = simjob_make(&s->job, &s->tree, j, &s->survey, sim_now_ms(s),
				err);
		s->ends = s->now +
			  (double)(s->job.read + s->job.written) / disk_rate(s);
		return r < 0 ? r : 1;
	}
	return r;
}

static uint64_t level0_runs(const struct sim *s)
{
	return s->tree.m.n_levels ? s->tree.m.levels[0].n : 0;
}

/*
 * The round has read all that it may.  Where flushes go on beside it, or many
 * have piled up before it, that may be right, and another one goes on.
 */
static int give_up(struct sim *s, struct store_error *err)
{
	s->busy = false;
	if (s->tree.flushes != s->flushes || level0_runs(s) < s->runs)
		return 0;
	return store_fail(err, STORE_ECONFIG,
			  "strategy %s: finds no end: one round has read all "
			  "tables %d times",
			  s->plugin.strategy->name, PASSES);
}

/* The next job that can be done, or the end of the round. */
static int next_job(struct sim *s, struct store_error *err)
{
	int r = 0;

	while (r == 0) {
		struct plan_job *j;

		if (s->next == s->plan.n) {
			s->stale =
				s->report->jobs != s->done ? 0 : s->stale + 1;
			if (s->left == 0)
				return give_up(s, err);
			r = make_plan(s, err);
			s->busy =
				r == 0 && s->plan.n && s->stale <= STALE_PLANS;
			s->settled = r == 0 && !s->busy;
			if (!s->busy)
				return r;
		}
		j = &s->plan.jobs[s->next++];
		s->left -= j->bytes < SMALL_JOB
				   ? s->left < SMALL_JOB ? s->left : SMALL_JOB
			   : j->bytes < s->left ? j->bytes
						: s->left;
		if (j->kind == LSM_FLUSH) {
			r = sim_flush(s, err);
			s->report->jobs++;
		} else {
			r = begin_job(s, j, err);
		}
	}
	return r < 0 ? r : 0;
}

int simround_begin(struct sim *s, struct store_error *err)
{
	if (s->busy)
		return 0;
	s->busy = true;
	s->stale = 0;
	s->flushes = s->tree.flushes;
	s->runs = level0_runs(s);
	s->settled = false;
	s->left = PASSES * bytes_of(&s->tree.m) + SMALL_JOBS * SMALL_JOB;
	plan_release(&s->plan);
	s->next = 0;
	s->done = UINT64_MAX; /* the first plan is not stale */
	return next_job(s, err);
}

int simround_go_on(struct sim *s, struct store_error *err)
{
	struct sim_report *rep = s->report;
	int r = simjob_install(&s->job, &s->tree, err);

	rep->jobs++;
	rep->read_bytes += s->job.read;
	rep->compacted_bytes += s->job.written;
	simjob_release(&s->job);
	s->working = false;
	if (r == 0 && s->config->checked)
		r = manifest_check(&s->tree.m, "simulation", NULL, err);
	return r < 0 ? r : next_job(s, err);
}

int simround_finish(struct sim *s, struct store_error *err)
{
	int r = 0;

	while (r == 0 && s->busy) {
		s->now = s->ends;
		r = simround_go_on(s, err);
	}
	return r;
}

void simround_release(struct sim *s)
{
	if (s->working)
		simjob_release(&s->job);
	survey_release(&s->survey);
	plan_release(&s->plan);
}
