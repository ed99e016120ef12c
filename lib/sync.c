#include "lib/sync.h"

/* The most a leader waits for company, of the time a sync takes. */
#define COMPANY_SHARE 2
#define COMPANY_MAX_US 10000

/* Of the last sync that began. */
static uint64_t turn_of(const struct slot *s)
{
	return s->v[SYNC_GROUP] >> 32;
}

/*
 * Between mark and record a signal must not end us: the log would count as
 * poisoned, though its sync may have succeeded.
 */
static int sync_marked(struct store *db, struct memtable *m, struct slot *s,
		       const struct root *at, struct store_error *err)
{
	uint64_t n = at->log_bytes, turn = turn_of(s) + 1, start;
	sigset_t before;
	int r, w;

	hint_write(db, ROLE_SYNC);
	os_signals_hold(&before);
	s->v[SYNC_SYNCING] = n;
	s->v[SYNC_GROUP] = turn << 32;
	r = living_publish(&m->tree, IDX_SYNC_OFF, s, err);
	if (r == 0) {
		start = os.monotonic_us();
#ifndef MUTANT_no_fdatasync
		r = os_sync(m->log.fd, true, &db->dir, m->log.name, err);
#endif
		COUNT(&db->counters, syncs, 1);
		/* A failed sync is never retried: see manifest.md. */
		if (r == 0 && s->v[SYNC_LENGTH] < n)
			s->v[SYNC_LENGTH] = n;
		if (r < 0)
			s->v[SYNC_POISONED] = 1;
		s->v[SYNC_SYNCING] = 0;
		s->v[SYNC_TOOK_US] = os.monotonic_us() - start;
		s->v[SYNC_GROUP] = turn << 32 |
				   (uint32_t)(at->batches - s->v[SYNC_BATCHES]);
		s->v[SYNC_BATCHES] = at->batches;
		w = living_publish(&m->tree, IDX_SYNC_OFF, s, r ? NULL : err);
		if (r == 0)
			r = w;
	}
	os_signals_back(&before);
	return r;
}

/*
 * Those whom the last sync released are about to write again; a leader that
 * starts at once leaves them to the next sync, and every write then takes
 * two.  So it waits while batches keep coming, for a fraction of a sync; but
 * not where one process writes alone.
 */
static int wait_for_company(struct memtable *m, const struct slot *s,
			    struct root *at, struct store_error *err)
{
	uint64_t most = s->v[SYNC_TOOK_US] / COMPANY_SHARE, waited = 0;
	uint64_t step, before;
	int r;

	if (most > COMPANY_MAX_US)
		most = COMPANY_MAX_US;
	if ((uint32_t)s->v[SYNC_GROUP] < 2 &&
	    at->batches - s->v[SYNC_BATCHES] < 2)
		return 0;
	step = most / 8;
	while (step && waited < most) {
		before = at->batches;
		os.sleep_us(step);
		waited += step;
		r = memtable_root(m, at, err);
		if (r < 0)
			return r;
		if (at->batches == before && waited > step)
			break;
	}
	return 0;
}

/* As leader, under SYNC: 0 done or covered already, 1 poisoned. */
static int lead(struct store *db, struct memtable *m, uint64_t upto,
		struct store_error *err)
{
	struct root at;
	struct slot s;
	int r;

	r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
	if (r < 0)
		return r;
	if (s.v[SYNC_LENGTH] >= upto)
		return 0;
	if (s.v[SYNC_POISONED])
		return 1;
	if (s.v[SYNC_SYNCING]) {
		/* We hold SYNC, so the leader that marked it is dead. */
		s.v[SYNC_POISONED] = 1;
		s.v[SYNC_SYNCING] = 0;
		r = living_publish(&m->tree, IDX_SYNC_OFF, &s, err);
		return r < 0 ? r : 1;
	}
	/* Everything published before the sync begins is covered by it. */
	r = memtable_root(m, &at, err);
	if (r == 0)
		r = wait_for_company(m, &s, &at, err);
	if (r == 0)
		r = sync_marked(db, m, &s, &at, err);
	return r;
}

/* We hold the turn to come: lead it, unless it began and ended meanwhile. */
static int lead_turn(struct store *db, struct memtable *m, uint64_t upto,
		     uint64_t turn, bool *led, struct store_error *err)
{
	struct slot s;
	int r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);

	*led = r == 0 && turn_of(&s) + 1 == turn;
	if (*led) {
		r = lock_acquire(&db->lock, ROLE_SYNC, err);
		if (r < 0)
			return r;
		r = lead(db, m, upto, err);
		lock_release(&db->lock, ROLE_SYNC);
	}
	return r;
}

/* A turn ended, and its mark stands: is its leader dead? */
static int look_after(struct store *db, struct memtable *m, uint64_t upto,
		      struct store_error *err)
{
	int r = lock_try(&db->lock, ROLE_SYNC, err);

	if (r == 1) {
		r = lead(db, m, upto, err);
		lock_release(&db->lock, ROLE_SYNC);
	}
	return r;
}

/*
 * Among processes.  To wait for SYNC would be wrong: when a sync ends, the
 * next leader has SYNC again before those whom the last one covered are
 * awake, and they would sit through a sync for nothing.  So syncs have turns,
 * each with a byte that its leader holds to the end; who is not the leader
 * waits for the turn under way, or for the one to come if somebody has it.
 */
static int take_part(struct store *db, struct memtable *m, uint64_t upto,
		     struct store_error *err)
{
	uint64_t turn, waited = 0; /* for which turn, last */
	struct slot s;
	bool led;
	int r;

	for (;;) {
		r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
		if (r < 0 || s.v[SYNC_LENGTH] >= upto)
			return r;
		if (s.v[SYNC_POISONED])
			return 1;
		turn = turn_of(&s);
		if (!s.v[SYNC_SYNCING]) {
			turn++;
			r = lock_turn_try(&db->lock, turn, err);
			if (r == 1) {
				r = lead_turn(db, m, upto, turn, &led, err);
				lock_turn_release(&db->lock, turn);
				if (led || r < 0)
					return r;
				continue;
			}
		} else if (waited == turn) {
			r = look_after(db, m, upto, err);
		}
		if (r < 0)
			return r;
		r = lock_turn_wait(&db->lock, turn, err);
		if (r < 0)
			return r;
		waited = turn;
	}
}

int sync_wait(struct store *db, struct memtable *m, uint64_t upto,
	      struct store_error *err)
{
	struct slot s;
	int r;

	pthread_mutex_lock(&db->sync_mutex);
	for (;;) {
		r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
		if (r < 0 || s.v[SYNC_LENGTH] >= upto || !db->sync_busy)
			break;
		pthread_cond_wait(&db->sync_done, &db->sync_mutex);
	}
	if (r < 0 || s.v[SYNC_LENGTH] >= upto) {
		pthread_mutex_unlock(&db->sync_mutex);
		return r;
	}
	db->sync_busy = true;
	pthread_mutex_unlock(&db->sync_mutex);
	r = take_part(db, m, upto, err);
	pthread_mutex_lock(&db->sync_mutex);
	db->sync_busy = false;
	pthread_cond_broadcast(&db->sync_done);
	pthread_mutex_unlock(&db->sync_mutex);
	return r;
}

int sync_covers(struct memtable *m, uint64_t upto, struct store_error *err)
{
	struct slot s;
	int r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);

	return r < 0 ? r : s.v[SYNC_LENGTH] >= upto;
}

/* Under SYNC: a mark that nobody alive stands behind. */
static int settle_mark(struct memtable *m, struct slot *s,
		       struct store_error *err)
{
	int r = living_read(&m->tree, IDX_SYNC_OFF, s, err);

	if (r == 0 && s->v[SYNC_SYNCING] && !s->v[SYNC_POISONED]) {
		s->v[SYNC_POISONED] = 1;
		s->v[SYNC_SYNCING] = 0;
		r = living_publish(&m->tree, IDX_SYNC_OFF, s, err);
	}
	return r < 0 ? r : (int)s->v[SYNC_POISONED];
}

int sync_poisoned(struct store *db, struct memtable *m, struct store_error *err)
{
	struct slot s;
	int r;

	if (living_same(&m->tree, IDX_SYNC_OFF, m->sound))
		return 0;
	r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
	if (r < 0 || s.v[SYNC_POISONED])
		return r < 0 ? r : 1;
	m->synced = s.v[SYNC_LENGTH];
	m->sound = s.v[SYNC_SYNCING] ? 0 : s.seq;
	if (!s.v[SYNC_SYNCING])
		return 0;
	/* A leader at work, or a dead one?  SYNC tells; do not wait for it. */
	pthread_mutex_lock(&db->sync_mutex);
	r = db->sync_busy ? 0 : lock_try(&db->lock, ROLE_SYNC, err);
	if (r == 1) {
		r = settle_mark(m, &s, err);
		lock_release(&db->lock, ROLE_SYNC);
	}
	pthread_mutex_unlock(&db->sync_mutex);
	return r;
}
