#include "lib/pressure.h"

#include "lib/engine.h"

/* Shorter sleeps cost more than they are worth. */
#define SLEEP_MIN_US 1000u
/* How often a sleeper looks whether the job it waits for is done. */
#define LOOK_EVERY_US 5000u
#define WRITE_MAX_US 1000000u
#define JOB_MAX_US 10000000u
/* Claims of one moment that are looked at; a job has its own next to each
 * other in most cases. */
#define CLAIMS_MAX 64

struct claims {
	uint64_t first[CLAIMS_MAX], end[CLAIMS_MAX];
	size_t n;
};

static int list_claims(struct store *db, struct claims *c,
		       struct store_error *err)
{
	uint64_t at = LOCK_CLAIM, start, end;
	int r = 1;

	c->n = 0;
	while (c->n < CLAIMS_MAX && r > 0) {
		r = lock_next(&db->lock, at, LOCK_PIN, &start, &end, err);
		if (r <= 0)
			break;
		c->first[c->n] = start - LOCK_CLAIM;
		c->end[c->n++] = end - LOCK_CLAIM;
		at = end;
	}
	return r < 0 ? r : 0;
}

static bool is_claimed(const struct claims *c, uint64_t number)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->first[i] <= number && number < c->end[i])
			return true;
	return false;
}

/*
 * A table that some compaction works on, or 0.  Flushes claim logs, and what
 * is not named yet; a file that is being swept is not named any more.
 */
static int find_job(struct store *db, struct generation *g, uint64_t *table,
		    struct store_error *err)
{
	struct window w = WINDOW_INIT(VIEW_PAGE);
	struct version_table t;
	struct claims claims;
	int r;

	*table = 0;
	r = list_claims(db, &claims, err);
	if (r < 0 || claims.n == 0)
		return r;
	for (size_t i = 0; r == 0 && !*table && i < g->v.n_runs; i++)
		for (uint64_t k = 0; !*table && k < g->v.runs[i].tables; k++) {
			r = version_table_at(&g->v, &g->source, &w,
					     &g->v.runs[i], k, &t, err);
			if (r < 0)
				break;
			if (is_claimed(&claims, t.number))
				*table = t.number;
		}
	window_release(&w);
	return r;
}

struct excess excess_of(const struct options *o, uint64_t level0_runs)
{
	if (o->maintenance != MAINTENANCE_AUTO || level0_runs <= o->level0_runs)
		return (struct excess){ 0, 1 };
	return (struct excess){
		.over = level0_runs - o->level0_runs,
		.left = level0_runs < o->level0_hard
				? o->level0_hard - level0_runs
				: 0,
	};
}

/*
 * How long this write is to wait, 0 when it is not worth a sleep yet.  Slept
 * in proportion to the work, so that writers keep their shares of the disk,
 * and approach the pace of compaction as the runs approach the hard limit.
 */
static uint64_t due(struct store *db, const struct excess *e, uint64_t took_us)
{
	uint64_t us = WRITE_MAX_US;

	if (e->left && took_us < WRITE_MAX_US)
		us = took_us * e->over / e->left;
	pthread_mutex_lock(&db->mutex);
	us += db->throttle.owed_us;
	if (us > WRITE_MAX_US)
		us = WRITE_MAX_US;
	db->throttle.owed_us = us < SLEEP_MIN_US ? us : 0;
	pthread_mutex_unlock(&db->mutex);
	return us < SLEEP_MIN_US ? 0 : us;
}

/*
 * The job to wait for, and for how long yet; false: there is none, or it had
 * its ten seconds.
 */
static bool choose_job(struct store *db, uint64_t *job, uint64_t *us)
{
	struct generation *g;
	uint64_t known, waited;
	int r;

	pthread_mutex_lock(&db->mutex);
	known = db->throttle.job;
	pthread_mutex_unlock(&db->mutex);
	*job = known;
	if (!known || lock_claimed(&db->lock, known, NULL) <= 0) {
		if (generation_current(db, &g, NULL) < 0)
			return false;
		r = find_job(db, g, job, NULL);
		generation_close(g);
		if (r < 0)
			return false;
	}
	pthread_mutex_lock(&db->mutex);
	if (*job != db->throttle.job) {
		db->throttle.job = *job;
		db->throttle.waited_us = 0;
	}
	waited = db->throttle.waited_us;
	pthread_mutex_unlock(&db->mutex);
	if (!*job || waited >= JOB_MAX_US)
		return false;
	if (*us > JOB_MAX_US - waited)
		*us = JOB_MAX_US - waited;
	return true;
}

void throttle(struct store *db, const struct excess *e, uint64_t took_us)
{
	uint64_t us, job, slept = 0;

	if (!e->over)
		return;
	us = due(db, e, took_us);
	if (!us || !choose_job(db, &job, &us))
		return;
	do {
		uint64_t piece = us - slept;

		if (piece > LOOK_EVERY_US)
			piece = LOOK_EVERY_US;
		os.sleep_us(piece);
		slept += piece;
	} while (slept < us && lock_claimed(&db->lock, job, NULL) > 0);
	pthread_mutex_lock(&db->mutex);
	if (db->throttle.job == job)
		db->throttle.waited_us += slept;
	pthread_mutex_unlock(&db->mutex);
}

struct store_pressure pressure_of(const struct options *o, uint64_t level0_runs,
				  uint64_t level0_bytes, uint64_t sealed_logs)
{
	struct store_pressure p = {
		.level0_runs = level0_runs,
		.level0_bytes = level0_bytes,
		.soft_runs = o->level0_runs,
		.soft_bytes = o->level0_bytes,
		.hard_runs = o->level0_hard,
		.sealed_logs = sealed_logs,
		.sealed_max = o->sealed_logs,
		.job_bytes = o->job_bytes,
		.automatic = o->maintenance == MAINTENANCE_AUTO,
	};

	if (p.level0_runs >= p.hard_runs)
		p.level = STORE_PRESSURE_HARD;
	else if (p.level0_runs >= p.soft_runs || p.level0_bytes >= p.soft_bytes)
		p.level = STORE_PRESSURE_SOFT;
	return p;
}

int store_pressure(struct store *db, struct store_pressure *p,
		   struct store_error *err)
{
	struct generation *g;
	int r = generation_current(db, &g, err);

	if (r < 0)
		return r;
	*p = pressure_of(&g->v.options, g->v.level0_runs, g->v.level0_bytes,
			 g->v.n_logs - (generation_active(g) != NULL));
	if (p->level && p->automatic)
		r = find_job(db, g, &p->table_under_work, err);
	generation_close(g);
	return r;
}
