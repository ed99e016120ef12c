#include "lib/trust.h"

#include "lib/rebuild.h"

#include <errno.h>

/* Is `t` sound, and of this very file, store and log? */
static bool is_own(const struct store *db, const struct token *t,
		   uint64_t magic, const struct os_place *at, uint64_t salt)
{
	return token_ok(t, magic, LIVING_VERSION) && t->dev == at->dev &&
	       t->inode == at->inode && t->salt == salt &&
	       (!db->uuid_known ||
		memcmp(t->uuid, db->uuid, sizeof(t->uuid)) == 0);
}

/* Does `t` list our boot, and, if it is asked, our mount with it? */
static bool lists(const struct store *db, const struct token *t, uint64_t mount)
{
	for (uint32_t i = 0; i < t->n_pairs; i++)
		if (!memcmp(t->pairs[i].boot, db->boot, sizeof(db->boot)) &&
		    t->pairs[i].mount == mount)
			return true;
	return false;
}

static bool state_matches(const struct store *db, const struct token *t)
{
	return is_own(db, t, STATE_MAGIC, &db->place, STATE_SALT) &&
	       lists(db, t, db->place.mount);
}

static int place_of(struct living *l, struct os_place *at,
		    struct store_error *err)
{
	if (os.place(l->view.fd, at) == 0)
		return 0;
	return store_fail_errno(err, l->view.dir->path, l->view.name, "statx",
				errno);
}

/* STATE's token, and whether it is ours.  1, 0, or an error. */
static int state_trusted(struct store *db, struct token *t,
			 struct store_error *err)
{
	bool cached, placed = db->state_open && db->place.inode;
	int r;

	memset(t, 0, sizeof(*t));
	if (!db->state_open) {
		r = rebuild_open_state(db, false, err);
		if (r < 0)
			return r;
		if (!db->state_open)
			return 0;
	}
	/* An open file does not move: its place is asked for once. */
	r = placed ? 0 : place_of(&db->state, &db->place, err);
	if (r == 0)
		r = living_token(&db->state, t, !db->place.unique, &cached,
				 err);
	if (r < 0)
		return r;
	/* Having been read, the page is in memory: the first look counts. */
	if (!cached)
		db->cold = true;
	if (db->cold || !state_matches(db, t))
		return 0;
	memcpy(db->uuid, t->uuid, sizeof(db->uuid));
	db->uuid_known = true;
	return 1;
}

int trust_tree(struct store *db, struct memtable *m, struct store_error *err)
{
	struct os_place at;
	struct token t;
	bool cached;
	int r;

	r = place_of(&m->tree, &at, err);
	if (r == 0)
		r = living_token(&m->tree, &t, false, &cached, err);
	if (r < 0)
		return r;
	return is_own(db, &t, IDX_MAGIC, &at, m->salt) && lists(db, &t, 0);
}

int trust_new_tree(struct store *db, uint64_t number, uint64_t salt,
		   struct store_error *err)
{
	struct slot commit = { .v[COMMIT_LOG_BYTES] = WAL_HEADER,
			       .v[COMMIT_NODES] = NODE_FIRST,
			       .v[COMMIT_CHAIN] = salt };
	struct slot sync = { .v[SYNC_LENGTH] = WAL_HEADER };
	struct os_place at;
	struct living tree;
	struct token t;
	char name[NAME_SIZE];
	bool cached;
	int r;

	name_make(name, FILE_IDX, number);
	/* A left-over of this number would be of a log that never was. */
	r = os_unlink(&db->dir, name, err);
	if (r < 0)
		return r;
	r = living_open(&tree, &db->dir, name, true, true, 0, err);
	if (r < 0)
		return r;
	r = living_token(&db->state, &t, false, &cached, err);
	if (r == 0)
		r = place_of(&tree, &at, err);
	if (r == 0)
		r = living_publish(&tree, IDX_COMMIT_OFF, &commit, err);
	if (r == 0)
		r = living_publish(&tree, IDX_SYNC_OFF, &sync, err);
	if (r == 0) {
		t.magic = IDX_MAGIC;
		t.version = LIVING_VERSION;
		t.dev = at.dev;
		t.inode = at.inode;
		t.salt = salt;
		memset(t.pairs, 0, sizeof(t.pairs));
		memcpy(t.pairs[0].boot, db->boot, sizeof(db->boot));
		t.n_pairs = 1;
		r = living_write_token(&tree, &t, err);
	}
	living_close(&tree);
	if (r < 0)
		os_unlink(&db->dir, name, NULL);
	return r;
}

/*
 * E4: somebody alive vouches for the files, reached through another mount.
 * Our pair into STATE's token; the oldest makes room, whose processes, if
 * there are any, have entered and do not look again.
 */
static int add_pair(struct store *db, struct token *t, struct store_error *err)
{
	if (t->n_pairs == STATE_PAIRS) {
		memmove(&t->pairs[0], &t->pairs[1],
			sizeof(t->pairs[0]) * (STATE_PAIRS - 1));
		t->n_pairs--;
	}
	memcpy(t->pairs[t->n_pairs].boot, db->boot, sizeof(db->boot));
	t->pairs[t->n_pairs].mount = db->place.mount;
	t->n_pairs++;
	return living_write_token(&db->state, t, err);
}

/*
 * E2 to E4 under WRITE and MANIFEST: 1 entered, 0 start over.  With
 * `distrust`, a token that matches is not enough.
 */
static int enter_locked(struct store *db, bool distrust,
			struct store_error *err)
{
	struct token t;
	int trusted, r;

	r = lock_alive_try_exclusive(&db->lock, err);
	if (r < 0)
		return r;
	trusted = state_trusted(db, &t, err);
	if (trusted < 0) {
		if (r == 1)
			lock_alive_release(&db->lock);
		return trusted;
	}
	if (r == 1) {
		if (!trusted || distrust) {
			r = rebuild(db, err);
			if (r < 0) {
				lock_alive_release(&db->lock);
				return r;
			}
			db->cold = false;
		}
		r = lock_alive_share(&db->lock, err);
		return r < 0 ? r : 1;
	}
	/* A rebuild that broke off: who holds ALIVE is only looking. */
	if (!token_ok(&t, STATE_MAGIC, LIVING_VERSION) || t.n_pairs == 0)
		return 0;
	if (distrust)
		return store_corrupt(err, db->dir.path, NAME_STATE, TOKEN_OFF,
				     "a tree is missing or damaged while other "
				     "processes use the store; end them and "
				     "try again");
	/* Memory that was only paged out matches already. */
	if (!state_matches(db, &t)) {
		r = add_pair(db, &t, err);
		if (r < 0)
			return r;
	}
	memcpy(db->uuid, t.uuid, sizeof(db->uuid));
	db->uuid_known = true;
	r = lock_alive_share(&db->lock, err);
	return r < 0 ? r : 1;
}

/* E1: trusted, ALIVE taken, trusted still: 1; else 0 and nothing is held. */
static int enter_trusting(struct store *db, struct store_error *err)
{
	struct token t;
	int r;

	r = state_trusted(db, &t, err);
	if (r <= 0)
		return r;
	r = lock_alive(&db->lock, err);
	if (r < 0)
		return r;
	r = state_trusted(db, &t, err);
	if (r <= 0)
		lock_alive_release(&db->lock);
	return r;
}

static int enter_rebuilding(struct store *db, bool distrust,
			    struct store_error *err)
{
	int r = lock_acquire(&db->lock, ROLE_WRITE, err);

	if (r < 0)
		return r;
	r = lock_acquire(&db->lock, ROLE_MANIFEST, err);
	if (r == 0) {
		r = enter_locked(db, distrust, err);
		lock_release(&db->lock, ROLE_MANIFEST);
	}
	lock_release(&db->lock, ROLE_WRITE);
	return r;
}

int trust_enter(struct store *db, bool distrust, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	int r;

	if (os.boot_id(db->boot) < 0)
		return store_fail_errno(err, NULL,
					"/proc/sys/kernel/random/boot_id",
					"read", errno);
	for (;;) {
		r = distrust ? 0 : enter_trusting(db, &e);
		if (r == 0 && db->lock.writable)
			r = enter_rebuilding(db, distrust, &e);
		else if (r == 0)
			r = STORE_EACCESS;
		if (r != 0)
			break;
		os.yield();
	}
	if (r == 1) {
		db->alive = true;
		return 0;
	}
	/*
	 * A reader can do without: it builds in its own memory what it may
	 * not, or cannot, repair.  A damaged store stays damaged.
	 */
	if (db->write || r == STORE_ECORRUPT || r == STORE_EBUSY) {
		if (err && err->code == 0)
			*err = e;
		return r;
	}
	db->private = true;
	return 0;
}

void trust_leave(struct store *db)
{
	if (db->alive)
		lock_alive_release(&db->lock);
	db->alive = false;
}
