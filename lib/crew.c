#include "lib/crew.h"

/* Jobs of one plan: few, for the next plan knows what came of them. */
#define PLAN_JOBS 16
#define SMALL_JOB (UINT64_C(1) << 20)
/* Plans of which nothing could be carried out, in a row. */
#define STALE_PLANS 8
#define WORKERS_MAX 64u

struct crew {
	struct compaction *c;
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct store_compact_result *result;
	struct plan plan;
	size_t next;	 /* job of the plan; those before it are taken */
	unsigned active; /* jobs under way */
	bool dry;      /* the last plan held nothing, and no job ended since */
	bool finished; /* take no more */
	unsigned stale;
	uint64_t done; /* jobs, when the last plan was made */
	int r;	       /* the first failure */
	struct store_error err;
	struct store_error no_space; /* a job of the last plan did not fit */
};

/* ---- under the mutex ---- */

static void fail(struct crew *w, int r, const struct store_error *err)
{
	w->finished = true;
	if (w->r == 0) {
		w->r = r;
		w->err = *err;
	}
	pace_end(&w->c->pace);
}

/* Somebody's, checked already; after it there is no other. */
static void take_given(struct crew *w)
{
	plan_release(&w->plan);
	w->plan = *w->c->given;
	*w->c->given = PLAN_INIT;
	w->next = 0;
}

static int ask_for_plan(struct crew *w, struct store_error *err)
{
	const struct lsm_budget budget = { PLAN_JOBS, w->c->left };
	struct outlook o = OUTLOOK_INIT;
	int r = compaction_look(w->c, &o, err);

	if (r < 0)
		return r;
	plan_release(&w->plan);
	w->next = 0;
	r = plan_make(&w->plan, w->c->plugin.strategy, &o.s, &o.m.options,
		      &budget, err);
	outlook_release(&o);
	return r;
}

static int make_plan(struct crew *w, struct store_error *err)
{
	int r = 0;

	if (w->c->given)
		take_given(w);
	else
		r = ask_for_plan(w, err);
	for (size_t i = 0; r == 0 && i < w->plan.n; i++)
		pace_plan(&w->c->pace, (int64_t)w->plan.jobs[i].bytes);
	return r;
}

/* Has nothing come of the plans so far?  Then another one will not help. */
static bool is_stale(struct crew *w)
{
	bool moved = w->result->jobs != w->done;

	w->stale = moved || w->active ? 0 : w->stale + 1;
	w->done = w->result->jobs;
	if (w->no_space.code && !moved && !w->active) {
		fail(w, w->no_space.code, &w->no_space);
		return true;
	}
	w->no_space = STORE_ERROR_INIT;
	return w->stale > STALE_PLANS || w->c->left == 0;
}

static void plan_anew(struct crew *w)
{
	struct store_error err = STORE_ERROR_INIT;
	int r;

	if (is_stale(w)) {
		w->finished = true;
		return;
	}
	r = make_plan(w, &err);
	if (r < 0)
		fail(w, r, &err);
	else
		w->dry = w->plan.n == 0;
}

/* Take the next job of the plan, if it may be begun. */
static bool take(struct crew *w, struct plan_job *j)
{
	struct plan_job *next = &w->plan.jobs[w->next];
	uint64_t bytes = next->bytes < SMALL_JOB ? SMALL_JOB : next->bytes;

	if (pace_over(&w->c->pace) || !pace_afford(&w->c->pace, next->bytes)) {
		w->result->stopped |= w->r == 0;
		w->finished = true;
		return false;
	}
	w->c->left -= bytes < w->c->left ? bytes : w->c->left;
	*j = *next;
	*next = (struct plan_job){ .kind = 0 };
	w->next++;
	w->active++;
	return true;
}

/* The next job for a thread: false when there is no more for it to do. */
static bool next_job(struct crew *w, struct plan_job *j)
{
	while (!w->finished) {
		if (w->next < w->plan.n)
			return take(w, j);
		if (!w->dry)
			plan_anew(w);
		else if (w->active)
			pthread_cond_wait(&w->changed, &w->mutex);
		else
			w->finished = true;
	}
	return false;
}

static void add_result(struct store_compact_result *to,
		       const struct store_compact_result *r)
{
	to->jobs += r->jobs;
	to->tables_in += r->tables_in;
	to->tables_out += r->tables_out;
	to->bytes_in += r->bytes_in;
	to->bytes_out += r->bytes_out;
	to->dropped += r->dropped;
}

static void job_ended(struct crew *w, const struct store_compact_result *result,
		      int r, const struct store_error *err)
{
	w->active--;
	w->dry = false;
	add_result(w->result, result);
	/* Nobody will plan it anew. */
	w->result->busy += w->c->given && r == JOB_REFUSED;
	if (r == JOB_STOPPED) {
		w->result->stopped |= w->r == 0;
		w->finished = true;
	} else if (r == STORE_ENOSPACE) {
		w->no_space = *err;
	} else if (r < 0) {
		fail(w, r, err);
	}
}

/* ---- the threads ---- */

static void *work(void *ctx)
{
	struct crew *w = ctx;
	struct plan_job j;

	pthread_mutex_lock(&w->mutex);
	while (next_job(w, &j)) {
		struct store_compact_result result = { .jobs = 0 };
		struct store_error err = STORE_ERROR_INIT;
		int r;

		pthread_mutex_unlock(&w->mutex);
		r = compaction_do(w->c, &j, &result, &err);
		plan_job_release(&j);
		pthread_mutex_lock(&w->mutex);
		job_ended(w, &result, r, &err);
		pthread_cond_broadcast(&w->changed);
	}
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* Signals are the caller's thread's; fewer threads than asked for will do. */
static void work_all(struct crew *w, unsigned workers)
{
	pthread_t threads[WORKERS_MAX];
	sigset_t before;
	unsigned n = 0;

	os_signals_hold(&before);
	while (n + 1 < workers && n < WORKERS_MAX &&
	       pthread_create(&threads[n], NULL, work, w) == 0)
		n++;
	os_signals_back(&before);
	work(w);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

int crew_run(struct compaction *c, struct store_compact_result *result,
	     struct store_error *err)
{
	struct crew w = { .c = c,
			  .result = result,
			  .plan = PLAN_INIT,
			  .done = UINT64_MAX, /* the first plan is not stale */
			  .err = STORE_ERROR_INIT,
			  .no_space = STORE_ERROR_INIT };

	pthread_mutex_init(&w.mutex, NULL);
	pthread_cond_init(&w.changed, NULL);
	work_all(&w, c->config->workers);
	pthread_cond_destroy(&w.changed);
	pthread_mutex_destroy(&w.mutex);
	plan_release(&w.plan);
	if (w.r < 0 && err && err->code == 0)
		*err = w.err;
	return w.r;
}
