#include "lib/rebuild.h"

#include "lib/install.h"
#include "lib/recover.h"
#include "lib/trust.h"

#include <errno.h>

/*
 * A file rebuilt by one user serves all: give it the store's owner, group and
 * mode, or do without.
 */
static int adopt(struct store *db, int fd, const char *name,
		 struct store_error *err)
{
	struct stat want, have;

	if (os.fstatat(db->dir.fd, NAME_MANIFEST, &want) < 0)
		return errno == ENOENT
			       ? 0
			       : store_fail_errno(err, db->dir.path,
						  NAME_MANIFEST, "stat", errno);
	if (os.fstat(fd, &have) < 0)
		return store_fail_errno(err, db->dir.path, name, "fstat",
					errno);
	if ((have.st_uid != want.st_uid || have.st_gid != want.st_gid) &&
	    os.fchown(fd, want.st_uid, want.st_gid) < 0)
		return store_fail_errno(err, db->dir.path, name, "chown",
					errno);
	if ((have.st_mode & 07777) != (want.st_mode & 07777) &&
	    os.fchmod(fd, want.st_mode & 07777) < 0)
		return store_fail_errno(err, db->dir.path, name, "chmod",
					errno);
	return 0;
}

int rebuild_open_state(struct store *db, bool create, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	bool write = db->lock.writable;
	int r;

	r = living_open(&db->state, &db->dir, NAME_STATE, write, create,
			STATE_PAGE, &e);
	if (r == STORE_EGONE && !create)
		return 0;
	if (r == 0 && create)
		r = adopt(db, db->state.view.fd, NAME_STATE, &e);
	if (r < 0) {
		if (err && err->code == 0)
			*err = e;
		return r;
	}
	db->state_open = true;
	return 0;
}

/*
 * Is it certain that no process of this boot has written through this living
 * file?  Whoever does adds its boot to the token first; so a sound token with
 * other boots only says so.  Then what the log holds was read from the disk.
 */
static bool boots_before(struct store *db, struct living *l, uint64_t magic,
			 uint64_t salt)
{
	struct os_place at;
	struct token t;
	bool cached;

	if (os.place(l->view.fd, &at) < 0 ||
	    living_token(l, &t, false, &cached, NULL) < 0)
		return false;
	if (!token_ok(&t, magic, LIVING_VERSION) || t.n_pairs == 0 ||
	    t.dev != at.dev || t.inode != at.inode || t.salt != salt ||
	    memcmp(t.uuid, db->uuid, sizeof(t.uuid)))
		return false;
	for (uint32_t i = 0; i < t.n_pairs; i++)
		if (!memcmp(t.pairs[i].boot, db->boot, sizeof(db->boot)))
			return false;
	return true;
}

/* A token for `l` that lists our pair, and those of this boot it had. */
static int new_token(struct store *db, struct living *l, uint64_t magic,
		     uint64_t salt, const struct token *old, struct token *t,
		     struct store_error *err)
{
	struct os_place at;
	uint32_t n = 0;

	if (os.place(l->view.fd, &at) < 0)
		return store_fail_errno(err, db->dir.path, l->view.name,
					"statx", errno);
	*t = (struct token){ .magic = magic,
			     .version = LIVING_VERSION,
			     .dev = at.dev,
			     .inode = at.inode,
			     .salt = salt };
	memcpy(t->uuid, db->uuid, sizeof(t->uuid));
	for (uint32_t i = 0;
	     magic == STATE_MAGIC && i < old->n_pairs && n < STATE_PAIRS - 1;
	     i++)
		if (!memcmp(old->pairs[i].boot, db->boot, sizeof(db->boot)) &&
		    old->pairs[i].mount != db->place.mount)
			t->pairs[n++] = old->pairs[i];
	memcpy(t->pairs[n].boot, db->boot, sizeof(db->boot));
	/* A tree's is 0: who comes to it has come through STATE. */
	t->pairs[n].mount = magic == STATE_MAGIC ? db->place.mount : 0;
	t->n_pairs = n + 1;
	return 0;
}

static int write_tree(struct store *db, struct living *tree,
		      const struct root *at, const struct buf *nodes,
		      bool poisoned, struct store_error *err)
{
	struct slot commit = { .v[COMMIT_ROOT] = at->root | at->tail << 32,
			       .v[COMMIT_LOG_BYTES] = at->log_bytes,
			       .v[COMMIT_NODES] = at->nodes | at->skip << 32,
			       .v[COMMIT_ENTRIES] = at->entries,
			       .v[COMMIT_CHAIN] = at->chain,
			       .v[COMMIT_BATCHES] = at->batches };
	struct slot sync = { .v[SYNC_LENGTH] =
				     poisoned ? WAL_HEADER : at->log_bytes,
			     .v[SYNC_POISONED] = poisoned };
	static const uint8_t zeros[STATE_PAGE];
	const char *name = tree->view.name;
	int r;

	/* The token goes first, and comes last. */
	r = os_write(tree->view.fd, zeros, sizeof(zeros), 0, &db->dir, name,
		     err);
	if (r == 0)
		r = os_write(tree->view.fd, nodes->data, nodes->len, STATE_PAGE,
			     &db->dir, name, err);
	if (r == 0)
		r = living_publish(tree, IDX_COMMIT_OFF, &commit, err);
	if (r == 0)
		r = living_publish(tree, IDX_SYNC_OFF, &sync, err);
	return r;
}

/* The tree of one log.  `before`: STATE knows only earlier boots. */
static int rebuild_tree(struct store *db, const struct log_meta *meta,
			bool before, const struct token *state,
			struct store_error *err)
{
	struct memtable *m = NULL;
	struct buf nodes = BUF_INIT;
	struct living tree;
	struct token t;
	struct root at;
	char name[NAME_SIZE];
	bool poisoned;
	int r;

	name_make(name, FILE_IDX, meta->number);
	r = living_open(&tree, &db->dir, name, true, true, 0, err);
	if (r < 0)
		return r;
	r = adopt(db, tree.view.fd, name, err);
	if (r == 0)
		r = memtable_open(&m, &db->dir, db->uuid, meta, false, 0, 0,
				  err);
	if (r == STORE_EGONE)
		r = STORE_ECORRUPT;
	if (r == 0)
		r = recover_tree(m, meta, 0, &at, &nodes, err);
	if (r < 0)
		goto out;
	/*
	 * A failed sync's mark may be what was lost: then the log's bytes may
	 * be in memory only, and the next writer moves them to a table.
	 */
	poisoned = !meta->sealed && at.log_bytes > WAL_HEADER && !before &&
		   !boots_before(db, &tree, IDX_MAGIC, m->salt);
	r = write_tree(db, &tree, &at, &nodes, poisoned, err);
	if (r == 0)
		r = new_token(db, &tree, IDX_MAGIC, m->salt, state, &t, err);
	if (r == 0)
		r = living_write_token(&tree, &t, err);
out:
	memtable_close(m);
	living_close(&tree);
	buf_free(&nodes);
	return r;
}

/* Clear STATE's token: from here to the end nobody believes it. */
static int clear_state(struct store *db, struct token *old, bool *before,
		       struct store_error *err)
{
	static const uint8_t zeros[STATE_PAGE];
	bool cached;
	int r = 0;

	if (!db->state_open)
		r = rebuild_open_state(db, true, err);
	if (r < 0)
		return r;
	if (os.place(db->state.view.fd, &db->place) < 0)
		return store_fail_errno(err, db->dir.path, NAME_STATE, "statx",
					errno);
	r = living_token(&db->state, old, false, &cached, err);
	if (r < 0)
		return r;
	*before = boots_before(db, &db->state, STATE_MAGIC, STATE_SALT);
	if (!token_ok(old, STATE_MAGIC, LIVING_VERSION))
		old->n_pairs = 0;
	return os_write(db->state.view.fd, zeros, sizeof(zeros), 0, &db->dir,
			NAME_STATE, err);
}

/* The largest number the directory holds. */
static int see_number(void *ctx, const char *name)
{
	uint64_t *largest = ctx;
	uint64_t n;

	switch (name_parse(name, &n)) {
	case FILE_WAL:
	case FILE_SST:
	case FILE_SST_TMP:
	case FILE_IDX:
		if (n > *largest)
			*largest = n;
		break;
	default:
		break;
	}
	return 0;
}

static int write_state(struct store *db, const struct manifest *m,
		       uint64_t checksum, const struct token *old,
		       struct store_error *err)
{
	struct slot generation = { .v[GENERATION_NUMBER] = m->generation,
				   .v[GENERATION_CHECKSUM] = checksum };
	struct slot counter = { .v[COUNTER_NEXT] = m->next_number };
	uint64_t largest = 0;
	struct token t;
	int r;

	if (os.list(db->dir.fd, see_number, &largest) < 0)
		return store_fail_errno(err, db->dir.path, NULL, "list", errno);
	if (counter.v[COUNTER_NEXT] <= largest)
		counter.v[COUNTER_NEXT] = largest + 1;
	r = living_publish(&db->state, STATE_GENERATION_OFF, &generation, err);
	if (r == 0)
		r = living_publish(&db->state, STATE_COUNTER_OFF, &counter,
				   err);
	if (r == 0)
		r = new_token(db, &db->state, STATE_MAGIC, STATE_SALT, old, &t,
			      err);
	if (r == 0)
		r = living_write_token(&db->state, &t, err);
	return r;
}

int rebuild(struct store *db, struct store_error *err)
{
	struct manifest m = MANIFEST_INIT;
	struct buf text = BUF_INIT;
	struct token old;
	uint64_t checksum;
	bool before = false;
	int r;

	r = os_read_file(&db->dir, NAME_MANIFEST, MANIFEST_MAX_BYTES, &text,
			 err);
	if (r == 0)
		r = manifest_parse(&m, buf_slice(&text), db->dir.path,
				   NAME_MANIFEST, err);
	if (r < 0)
		goto out;
	memcpy(db->uuid, m.uuid, sizeof(db->uuid));
	db->uuid_known = true;
	r = clear_state(db, &old, &before, err);
	/* The mark of an install may be lost: finish in any case. */
	if (r == 0)
		r = install_write(db, &m, &checksum, err);
	for (size_t i = 0; r == 0 && i < m.n_logs; i++)
		r = rebuild_tree(db, &m.logs[i], before, &old, err);
	if (r == 0)
		r = write_state(db, &m, checksum, &old, err);
out:
	manifest_release(&m);
	buf_free(&text);
	return r;
}
