#include "lib/sync.h"

/*
 * Between mark and record a signal must not end us: the log would count as
 * poisoned, though its sync may have succeeded.
 */
static int sync_marked(struct store *db, struct memtable *m, struct slot *s,
		       uint64_t n, struct store_error *err)
{
	sigset_t every, old;
	int r, w;

	sigfillset(&every);
	os.procmask(SIG_BLOCK, &every, &old);
	s->v[SYNC_SYNCING] = n;
	r = living_publish(&m->tree, IDX_SYNC_OFF, s, err);
	if (r == 0) {
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
		w = living_publish(&m->tree, IDX_SYNC_OFF, s, r ? NULL : err);
		if (r == 0)
			r = w;
	}
	os.procmask(SIG_SETMASK, &old, NULL);
	return r;
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
	if (r < 0)
		return r;
	return sync_marked(db, m, &s, at.log_bytes, err);
}

int sync_wait(struct store *db, struct memtable *m, uint64_t upto,
	      struct store_error *err)
{
	struct slot s;
	int r;

	r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
	if (r < 0 || s.v[SYNC_LENGTH] >= upto)
		return r;
	r = lock_acquire(&db->lock, ROLE_SYNC, err);
	if (r < 0)
		return r;
	r = lead(db, m, upto, err);
	lock_release(&db->lock, ROLE_SYNC);
	return r;
}

int sync_poisoned(struct store *db, struct memtable *m, struct store_error *err)
{
	struct slot s;
	int r;

	r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
	if (r < 0 || s.v[SYNC_POISONED])
		return r < 0 ? r : 1;
	if (!s.v[SYNC_SYNCING])
		return 0;
	/* A leader at work, or a dead one?  SYNC tells; do not wait for it. */
	r = lock_try(&db->lock, ROLE_SYNC, err);
	if (r <= 0)
		return r;
	r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
	if (r == 0 && s.v[SYNC_SYNCING] && !s.v[SYNC_POISONED]) {
		s.v[SYNC_POISONED] = 1;
		s.v[SYNC_SYNCING] = 0;
		r = living_publish(&m->tree, IDX_SYNC_OFF, &s, err);
	}
	lock_release(&db->lock, ROLE_SYNC);
	return r < 0 ? r : (int)s.v[SYNC_POISONED];
}
