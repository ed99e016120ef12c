#include "lib/writer.h"

#include "lib/flush.h"
#include "lib/install.h"
#include "lib/number.h"
#include "lib/sync.h"
#include "lib/trust.h"
#include "lib/wal.h"

#include <errno.h>

int writer_root(struct store *db, struct memtable *m, struct root *at,
		struct store_error *err)
{
	if (!lock_tenant(&db->lock) || !m->last.seq)
		return memtable_root(m, at, err);
	*at = m->last;
	return 0;
}

/* Draw a number and make a log and its tree: R1. */
static int make_log(struct store *db, uint64_t *number, struct store_error *err)
{
	struct wal_header h;
	char name[NAME_SIZE];
	int r;

	r = number_draw(db, number, err);
	if (r < 0)
		return r;
	memcpy(h.uuid, db->uuid, sizeof(h.uuid));
	h.number = *number;
	if (os.random(&h.salt, sizeof(h.salt)) < 0)
		r = store_fail_errno(err, NULL, "getrandom", "salt", errno);
	if (r == 0)
		r = wal_create(&db->dir, &h, err);
	if (r == 0) {
		r = trust_new_tree(db, h.number, h.salt, err);
		if (r < 0) {
			name_make(name, FILE_WAL, h.number);
			os_unlink(&db->dir, name, NULL);
		}
	}
	if (r < 0)
		lock_unclaim(&db->lock, *number);
	return r;
}

/* The log was not installed: nobody has seen it. */
static void unmake_log(struct store *db, uint64_t number)
{
	char name[NAME_SIZE];

	name_make(name, FILE_WAL, number);
	os_unlink(&db->dir, name, NULL);
	name_make(name, FILE_IDX, number);
	os_unlink(&db->dir, name, NULL);
}

struct rotation {
	uint64_t old; /* 0: none */
	uint64_t length, chain;
	uint64_t new;
	uint64_t now_ms;
	/* healing: the old log's contents as tables, in the same install */
	bool heal;
	const struct table_meta *tables;
	size_t n;
	bool named; /* the manifest names what was made: it must stay */
};

static int rotate_edit(struct manifest *m, void *ctx, struct store_error *err)
{
	struct rotation *x = ctx;
	const struct log_meta *active = manifest_active_log(m);
	int r = 0;

	/* Only WRITE's holder rotates; what else is named here is a bug. */
	if ((active ? active->number : 0) != x->old)
		return store_fail(err, STORE_EBUG,
				  "rotation: another log is active");
	if (x->heal && m->logs[0].number != x->old)
		return 1;
	if (x->heal) {
		r = manifest_remove_log(m, x->old, err);
		if (r == 0)
			r = manifest_add_run(m, 0, x->tables, x->n, err);
		for (size_t i = 0; i < x->n; i++)
			m->flushed_bytes += x->tables[i].bytes;
	} else if (x->old) {
		r = manifest_seal_log(m, x->old, x->length, x->chain, err);
	}
	if (r == 0)
		r = manifest_add_log(m, x->new, x->now_ms, err);
	return r;
}

/* Make and install the new log. */
static int install_rotation(struct store *db, struct rotation *x,
			    struct store_error *err)
{
	int r = make_log(db, &x->new, err);

	if (r < 0)
		return r;
	x->now_ms = os.now_ms();
	r = install(db, rotate_edit, x, &x->named, err);
	if (!x->named)
		unmake_log(db, x->new);
	lock_unclaim(&db->lock, x->new);
	return r;
}

static int renew(struct store *db, struct generation **g,
		 struct store_error *err)
{
	generation_close(*g);
	*g = NULL;
	return generation_current(db, g, err);
}

int writer_rotate(struct store *db, struct generation **g,
		  struct store_error *err)
{
	struct memtable *m = generation_active(*g);
	struct rotation x = { 0 };
	struct root at;
	int r;

	if (m) {
		r = memtable_root(m, &at, err);
		if (r < 0)
			return r;
		if (at.log_bytes <= WAL_HEADER)
			return 0;
		/* R0: what survives a crash must be a prefix. */
		r = sync_wait(db, m, at.log_bytes, err);
		if (r != 0)
			return r;
		x.old = m->number;
		x.length = at.log_bytes;
		x.chain = at.chain;
	}
	r = install_rotation(db, &x, err);
	/* Who flushes it reads the log alone, and that perhaps later. */
	if (r == 0 && m) {
		view_forget(&m->log, 0, at.log_bytes);
		view_forget(&m->tree.view, 0, at.nodes * NODE_BYTES);
	}
	return r < 0 ? r : renew(db, g, err);
}

/*
 * What those who wait for the poisoned log's sync ask next.  Once poisoned,
 * the cell is the healer's to write.  If this fails, or we die before it, they
 * answer that they do not know.
 */
static void record_healed(struct memtable *m, uint64_t upto)
{
	struct slot s;

	if (living_read(&m->tree, IDX_SYNC_OFF, &s, NULL) < 0 ||
	    s.v[SYNC_LENGTH] >= upto)
		return;
	s.v[SYNC_LENGTH] = upto;
	living_publish(&m->tree, IDX_SYNC_OFF, &s, NULL);
}

/* The poisoned log's batches, every checksum verified, as tables. */
static int heal_log(struct store *db, struct generation *g, struct memtable *m,
		    struct store_error *err)
{
	const struct log_meta *meta = &g->v.logs[g->n_logs - 1];
	struct rotation x = { .old = m->number, .heal = true };
	struct table_meta *tables = NULL;
	struct store_error cut_err = STORE_ERROR_INIT;
	struct memtable *copy = NULL;
	struct root at;
	struct slot s;
	bool cut = false;
	int r;

	r = memtable_root(m, &at, err);
	if (r == 0)
		r = living_read(&m->tree, IDX_SYNC_OFF, &s, err);
	if (r == 0)
		r = memtable_open_prefix(&copy, &db->dir, db->uuid, meta,
					 at.log_bytes, s.v[SYNC_LENGTH], &cut,
					 err);
	if (r < 0)
		return r;
	if (cut) {
		store_fail(&cut_err, STORE_ECORRUPT,
			   "%s/%s: a failed sync lost unacknowledged writes",
			   db->dir.path, m->log.name);
		store_warn(db, &cut_err);
	}
	r = flush_build(db, copy, &copy->fixed, &g->v.options, meta->created_ms,
			&tables, &x.n, err);
	if (r == 0) {
		x.tables = tables;
		r = install_rotation(db, &x, err);
		if (r == 0)
			record_healed(m, copy->fixed.log_bytes);
		else if (r > 0)
			r = store_fail(err, STORE_EBUG,
				       "healing: an older log is left");
		flush_discard(db, tables, x.n, !x.named);
	}
	memtable_close(copy);
	return r;
}

/* 0 healed; 1: log *busy is claimed by another, wait for it without WRITE. */
static int heal(struct store *db, struct generation **g, uint64_t *busy,
		struct store_error *err)
{
	int r;

	/* Age order: what is older must be a table first. */
	while ((r = flush_oldest(db, busy, err)) == 1)
		;
	if (r != 0)
		return r < 0 ? r : 1;
	r = renew(db, g, err);
	if (r == 0)
		r = heal_log(db, *g, generation_active(*g), err);
	return r < 0 ? r : renew(db, g, err);
}

/*
 * Is what lies behind the published length room?  Whatever a crash of the
 * machine left there was left before we opened the log; so once all of it has
 * been looked at, only a writer that died can have left anything, and that
 * begins with a batch's header, which is never all zeros.
 */
static int is_room(struct store *db, struct memtable *m, uint64_t from,
		   uint64_t len, struct store_error *err)
{
	uint8_t piece[VIEW_PAGE];
	uint64_t n, at;
	size_t got;
	int r;

	if (len > WAL_ROOM_MAX)
		return 0;
	if (m->room_seen && len > WAL_BATCH_HEADER)
		len = WAL_BATCH_HEADER;
	for (at = 0; at < len; at += n) {
		n = len - at < sizeof(piece) ? len - at : sizeof(piece);
		r = os_read_some(m->log.fd, piece, (size_t)n, from + at, &got,
				 &db->dir, m->log.name, err);
		if (r < 0)
			return r;
		if (!slice_zero(slice_make(piece, got)))
			return 0;
	}
	m->room_seen = true;
	return 1;
}

/*
 * W3: a writer died between append and publish, or a crash left a torn tail.
 * The cut must be durable before anything is written there: half of it over
 * what was cut, with valid batches of that behind it, would look like damage.
 * 1: the log turned out to be poisoned.
 */
static int cut_back(struct store *db, struct memtable *m,
		    struct store_error *err)
{
	struct root at;
	uint64_t size;
	int r;

	/* Nobody else has written anything since we looked. */
	if (lock_tenant(&db->lock) && m->log_end)
		return 0;
	m->last.seq = 0;
	m->room = 0;
	r = memtable_root(m, &at, err);
	if (r == 0)
		r = os_size(m->log.fd, &size, &db->dir, m->log.name, err);
	if (r < 0)
		return r;
	if (size < at.log_bytes)
		return store_corrupt(err, db->dir.path, m->log.name, size,
				     "is shorter than what was published");
	m->log_end = size;
#ifdef MUTANT_no_tail_repair
	return 0;
#endif
	r = is_room(db, m, at.log_bytes, size - at.log_bytes, err);
	if (r < 0 || (r > 0 && size - at.log_bytes <= WAL_ROOM))
		return r < 0 ? r : 0;
	m->log_end = at.log_bytes;
	if (os.ftruncate(m->log.fd, (off_t)at.log_bytes) < 0)
		return store_fail_errno(err, db->dir.path, m->log.name,
					"truncate", errno);
	/* A tenant's room is more than everybody should look through. */
	return r > 0 ? 0 : sync_wait(db, m, SYNC_ANYHOW, err);
}

/* W2 and W3 under WRITE: 0 ready, 1 wait for log *busy and come again. */
static int prepare(struct store *db, struct generation **g, uint64_t *busy,
		   struct store_error *err)
{
	struct memtable *m;
	int r;

	r = generation_known(db, g, err);
	if (r == 0) {
		r = install_settle(db, err);
		if (r == 0)
			r = generation_current(db, g, err);
	}
	if (r < 0)
		return r;
	m = generation_active(*g);
	if (!m)
		return 0;
	r = sync_poisoned(db, m, err);
	if (r == 0)
		r = cut_back(db, m, err);
	return r == 1 ? heal(db, g, busy, err) : r;
}

int writer_enter(struct store *db, struct generation **g,
		 struct store_error *err)
{
	uint64_t busy = 0;
	int r;

	if (!db->write)
		return store_fail(err, STORE_EACCESS,
				  "%s: the store was opened for reading only",
				  db->dir.path);
	for (;;) {
		*g = NULL;
#ifndef MUTANT_state_before_lock
		r = lock_acquire(&db->lock, ROLE_WRITE, err);
		if (r < 0)
			return r;
		if (!lock_tenant(&db->lock))
			lock_again(&db->lock, hint_write(db, ROLE_WRITE));
		r = prepare(db, g, &busy, err);
#else
		r = generation_current(db, g, err);
		if (r == 0)
			r = lock_acquire(&db->lock, ROLE_WRITE, err);
#endif
		if (r == 0)
			return 0;
		writer_leave(db, *g);
		if (r < 0)
			return r;
		r = lock_claim_wait(&db->lock, busy, err);
		if (r < 0)
			return r;
	}
}

void writer_leave(struct store *db, struct generation *g)
{
	lock_release(&db->lock, ROLE_WRITE);
	generation_close(g);
}
