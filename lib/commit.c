#include "lib/batch.h"
#include "lib/edit.h"
#include "lib/flush.h"
#include "lib/flusher.h"
#include "lib/iter.h"
#include "lib/sync.h"
#include "lib/writeback.h"
#include "lib/writer.h"

#define SMALL_BUFFER (8u << 20)
#define TREE_PIECE (64u << 10)
/* What is written into room, and given some. */
#define SMALL_BATCH (WAL_ROOM / 4)

/* One commit on its way. */
struct commit {
	struct store_batch *batch;
	struct memtable *m; /* where it went; a reference */
	uint64_t from;	    /* the log's bytes before it */
	uint64_t upto;	    /* durable when the log is synced so far */
	bool durable;	    /* it will be synced */
	bool rotated;
	struct excess excess; /* of flushes over compaction */
};

/* Log and tree together at most an eighth of memory each, halving. */
static void limits(struct store *db, const struct options *o, uint64_t *log,
		   uint64_t *tree)
{
	*log = o->write_buffer;
	*tree = o->tree_buffer;
	if (*log <= SMALL_BUFFER)
		return;
	if (!db->memory)
		db->memory = os.memory();
	while (db->memory && *log > SMALL_BUFFER &&
	       *log + *tree > db->memory / 8) {
		*log /= 2;
		*tree /= 2;
	}
}

/*
 * A tree's file, too, grows by the piece, a hole: its length is written with
 * the sync of a log whose inode happens to lie beside its own.  (ftruncate
 * would take the pages out of everybody's maps.)
 */
static void grow(struct memtable *m, const struct root *before,
		 const struct root *after)
{
	uint64_t piece = after->nodes * NODE_BYTES / TREE_PIECE;

	if (before->nodes == NODE_FIRST ||
	    before->nodes * NODE_BYTES / TREE_PIECE != piece)
		os.pwrite(m->tree.view.fd, "", 1,
			  (off_t)((piece + 1) * TREE_PIECE - 1));
}

/*
 * The batch, through a map where there is room for it.  Its header comes
 * first: should we die now, that is how it is seen that this is no room.  Not
 * through the map if a sync waits: that would write all of the page cache's
 * folio, as a rule the whole room, and pwrite only the touched pages.  A large
 * batch is on its way to the disk while the tree is worked on.
 */
static int write_batch(struct memtable *m, uint64_t at, struct slice batch,
		       bool durable, struct store_error *err)
{
	const uint8_t *entries = batch.data + WAL_BATCH_HEADER;
	int r;

	if (!durable && batch.len <= SMALL_BATCH &&
	    at + batch.len <= m->log_end &&
	    view_poke(&m->log, at, batch.data, WAL_BATCH_HEADER) &&
	    view_poke(&m->log, at + WAL_BATCH_HEADER, entries,
		      batch.len - WAL_BATCH_HEADER))
		return 0;
	r = os_write(m->log.fd, batch.data, batch.len, at, m->dir, m->log.name,
		     err);
	if (r == 0 && m->log_end < at + batch.len)
		m->log_end = at + batch.len;
	if (r == 0 && durable && batch.len > SMALL_BATCH)
		os.writeback(m->log.fd, (off_t)at, (off_t)batch.len);
	return r;
}

/* The new nodes: likewise, where there are zeros ahead for a tail. */
static int write_nodes(struct memtable *m, const struct root *before,
		       struct tree_edit *e, struct store_error *err)
{
	uint64_t at = before->nodes * NODE_BYTES;
	int r;

	if (at + e->nodes.len <= m->tree_end &&
	    view_poke(&m->tree.view, at, e->nodes.data, e->nodes.len))
		return 0;
	if (view_pokes(&m->tree.view) &&
	    buf_append_zeros(&e->nodes, TAIL_NODES * NODE_BYTES) < 0)
		return store_nomem(err);
	r = os_write(m->tree.view.fd, e->nodes.data, e->nodes.len, at, m->dir,
		     m->tree.view.name, err);
	if (r == 0)
		m->tree_end = at + e->nodes.len;
	return r;
}

/* W5 and W6. */
static int publish(struct memtable *m, const struct root *before,
		   struct tree_edit *e, struct store_error *err)
{
	struct slot s = { .seq = before->seq,
			  .v[COMMIT_ROOT] = e->at.root | e->at.tail << 32,
			  .v[COMMIT_LOG_BYTES] = e->at.log_bytes,
			  .v[COMMIT_NODES] = e->at.nodes | e->at.skip << 32,
			  .v[COMMIT_ENTRIES] = e->at.entries,
			  .v[COMMIT_CHAIN] = e->at.chain,
			  .v[COMMIT_BATCHES] = e->at.batches };
	int r;

	grow(m, before, &e->at);
	r = write_nodes(m, before, e, err);
	if (r == 0)
		r = living_publish(&m->tree, IDX_COMMIT_OFF, &s, err);
	m->last = e->at;
	m->last.seq = r == 0 ? s.seq : 0;
	return r;
}

/*
 * To sync a file that grows, the kernel must commit its new length; where it
 * is written over, only the bytes: two thirds of the time here.  And where it
 * has bytes, they can be written through a map.  So who writes small batches
 * makes it longer by some room, zeros, ahead of them; the tenant, who goes on
 * and on, each time by twice as much.  A full disk has no room to give, which
 * is no reason to fail.
 */
static void extend(struct memtable *m, uint64_t upto, bool tenant)
{
	static uint8_t zeros[WAL_ROOM_MAX];
	uint64_t room = WAL_ROOM, end;

	if (tenant) {
		room = m->room ? 2 * (uint64_t)m->room : WAL_ROOM;
		if (room > WAL_ROOM_MAX)
			room = WAL_ROOM_MAX;
		m->room = (uint32_t)room;
	}
	end = (upto / room + 1) * room;
	if (os_write(m->log.fd, zeros, (size_t)(end - upto), upto, m->dir,
		     m->log.name, NULL) == 0)
		m->log_end = end;
}

/* W4 to W6 at the published end of `m`. */
static int append(struct store *db, struct memtable *m, const struct root *at,
		  struct commit *c, struct store_error *err)
{
	struct slice batch = buf_slice(&c->batch->bytes);
	struct tree_edit e;
	uint64_t chain = 0;
	int r;

	/* Who writes again and again does it through maps. */
	if (lock_tenant(&db->lock)) {
		view_map(&m->log, false);
		view_map(&m->tree.view, false);
	}
	r = batch_seal(c->batch, m->salt, m->synced, at->chain, &chain, err);
	if (r < 0)
		return r;
	tree_edit_init(&e, m, at);
#ifndef MUTANT_publish_before_append
	r = write_batch(m, at->log_bytes, batch, c->durable, err);
#endif
	if (r == 0)
		r = tree_edit_commit(&e, batch, c->batch->count, chain, err);
	if (r == 0)
		r = publish(m, at, &e, err);
#ifdef MUTANT_publish_before_append
	if (r == 0)
		r = write_batch(m, at->log_bytes, batch, c->durable, err);
#endif
	if (r < 0) {
		/* As if it had never been tried, also after a crash. */
		m->log_end = 0;
		if (os.ftruncate(m->log.fd, (off_t)at->log_bytes) == 0)
			sync_wait(db, m, SYNC_ANYHOW, NULL);
		goto out;
	}
	if ((c->durable || view_pokes(&m->log)) &&
	    m->log_end <= e.at.log_bytes && batch.len <= SMALL_BATCH)
		extend(m, e.at.log_bytes,
		       lock_tenant(&db->lock) && !c->durable);
	COUNT(&db->counters, batches, 1);
	memtable_ref(m);
	c->m = m;
	c->from = at->log_bytes;
	c->upto = e.at.log_bytes;
out:
	tree_edit_release(&e);
	return r;
}

static size_t sealed_logs(const struct generation *g)
{
	return g->v.n_logs - (generation_active(g) ? 1 : 0);
}

/*
 * Under WRITE: 0 committed, 1 come again (healed), 2 too many sealed logs:
 * flush, then come again.
 */
static int commit_locked(struct store *db, struct generation **g,
			 struct commit *c, struct store_error *err)
{
	uint64_t log_limit, tree_limit;
	struct memtable *m = generation_active(*g);
	struct root at;
	int r;

	limits(db, &(*g)->v.options, &log_limit, &tree_limit);
	if (m) {
		r = writer_root(db, m, &at, err);
		if (r < 0)
			return r;
	}
	if (!m || (at.log_bytes > WAL_HEADER &&
		   (at.log_bytes + c->batch->bytes.len > log_limit ||
		    at.nodes * NODE_BYTES > tree_limit))) {
		if (sealed_logs(*g) >= (*g)->v.options.sealed_logs)
			return 2;
		r = writer_rotate(db, g, err);
		if (r != 0)
			return r;
		c->rotated = m != NULL;
		m = generation_active(*g);
		r = memtable_root(m, &at, err);
		if (r < 0)
			return r;
	}
	return append(db, m, &at, c, err);
}

/* Flush one sealed log, or wait for whoever does. */
static int make_room(struct store *db, struct store_error *err)
{
	uint64_t busy = 0;
	int r = flush_oldest(db, &busy, err);

	if (r == 2)
		return lock_claim_wait(&db->lock, busy, err);
	return r < 0 ? r : 0;
}

static int commit(struct store *db, struct commit *c, struct store_error *err)
{
	struct generation *g;
	int r;

	do {
		r = writer_enter(db, &g, err);
		if (r < 0)
			return r;
		r = commit_locked(db, &g, c, err);
		if (r == 0)
			c->excess = excess_of(&g->v.options, g->v.level0_runs);
		writer_leave(db, g);
		if (r == 2) {
			r = make_room(db, err);
			r = r < 0 ? r : 1;
		}
	} while (r == 1);
	return r;
}

/*
 * W8 and W9.  A log that somebody else's failed sync poisoned is healed by
 * entering as a writer, unless another was faster.  What it held is then in a
 * durable table, as far as it could be read; the sync cell tells how far.
 */
static int settle(struct store *db, struct memtable *m, uint64_t upto,
		  struct store_error *err)
{
	struct generation *g;
	int r = sync_wait(db, m, upto, err);

	if (r != 1)
		return r;
	r = writer_enter(db, &g, err);
	if (r < 0)
		return r;
	writer_leave(db, g);
	r = sync_covers(m, upto, err);
	if (r == 0)
		r = store_fail(
			err, STORE_EIO,
			"%s/%s: a sync failed: what was written last may "
			"be lost",
			db->dir.path, m->log.name);
	return r < 0 ? r : 0;
}

int store_write(struct store *db, struct store_batch *b, enum store_sync sync,
		struct store_error *err)
{
	struct commit c = { .batch = b, .durable = sync == STORE_SYNC };
	uint64_t began = 0, took = 0;
	bool slowed;
	int r;

	if (b->count == 0)
		return 0;
	if (b->count > 1 && b->bytes.len > store_batch_limit(db))
		return store_fail(err, STORE_EINVAL,
				  "a batch of %zu bytes is over the limit of "
				  "%llu (the write buffer)",
				  b->bytes.len,
				  (unsigned long long)store_batch_limit(db));
	/* Slowing down is by how long a write takes. */
	slowed = atomic_load_explicit(&db->slowed, memory_order_relaxed);
	if (slowed)
		began = os.monotonic_us();
	r = commit(db, &c, err);
	if (r == 0 && sync == STORE_SYNC) {
		/* It is visible, and stays: too late to say "try again". */
		lock_patient(true);
		r = settle(db, c.m, c.upto, err);
		lock_patient(false);
	} else if (r == 0) {
		writeback_log(db, c.m, c.from, c.upto);
	}
	if (slowed)
		took = os.monotonic_us() - began;
	if (r == 0 && c.rotated && !flusher_wake(db))
		flush_sealed(db);
	if (slowed != (c.excess.over > 0))
		atomic_store(&db->slowed, !slowed);
	if (r == 0)
		throttle(db, &c.excess, took);
	memtable_close(c.m);
	return r;
}

uint64_t store_batch_limit(const struct store *db)
{
	return db->batch_limit;
}

int store_sync(struct store *db, struct store_error *err)
{
	struct generation *g;
	struct memtable *m;
	struct root at;
	int r;

	/* Sealed logs were synced before they were sealed. */
	r = generation_current(db, &g, err);
	if (r < 0)
		return r;
	m = generation_active(g);
	if (m && !db->private) {
		r = memtable_root(m, &at, err);
		if (r == 0)
			r = settle(db, m, at.log_bytes, err);
	}
	generation_close(g);
	return r;
}

/* A batch of one. */
static int write_one(struct store *db, const struct store_entry *e,
		     enum store_sync sync, struct store_error *err)
{
	struct store_batch b = STORE_BATCH_INIT;
	int r = store_batch_add(&b, e, err);

	if (r == 0)
		r = store_write(db, &b, sync, err);
	store_batch_free(&b);
	return r;
}

int store_put(struct store *db, struct slice key, struct slice value,
	      enum store_sync sync, struct store_error *err)
{
	return write_one(db,
			 &(struct store_entry){ .kind = STORE_PUT,
						.key = key,
						.value = value },
			 sync, err);
}

int store_delete(struct store *db, struct slice key, enum store_sync sync,
		 struct store_error *err)
{
	return write_one(
		db, &(struct store_entry){ .kind = STORE_DELETE, .key = key },
		sync, err);
}
