/*
 * One log: every batch and entry of it, and its tree, where that is believed.
 */
#include "lib/trust.h"
#include "lib/verify.h"
#include "lib/verifytree.h"
#include "lib/wal.h"

/* Address space, not memory: the log may grow while we look. */
#define LOG_MAP (UINT64_C(1) << 32)

struct check {
	struct verify *v;
	const struct log_meta *meta;
	struct memtable *m; /* NULL: no tree is believed */
	struct view *log;
	struct view copy; /* without a tree: what `log` is */
	uint64_t salt;
	uint64_t batches;
	struct buf entries; /* struct log_entry each, for the tree */
};

static int damaged(const struct check *c, uint64_t off, const char *why,
		   struct store_error *err)
{
	return store_corrupt(err, c->log->dir->path, c->log->name, off, why);
}

static int keep(struct check *c, uint64_t off, const struct wal_entry *e,
		struct store_error *err)
{
	struct log_entry entry = { .prefix = slice_prefix(e->key),
				   .hash = tail_hash(e->key),
				   .off = off,
				   .len = (uint32_t)e->length,
				   .key_len = (uint16_t)e->key.len,
				   .kind = e->kind };

	if (!c->m)
		return 0;
	return buf_append(&c->entries, &entry, sizeof(entry)) < 0
		       ? store_nomem(err)
		       : 0;
}

/* The batch's checksum is right; its entries must be, too. */
static int check_batch(struct check *c, uint64_t off, const struct wal_batch *b,
		       struct slice bytes, struct store_error *err)
{
	struct wal_entry e;
	const char *why;
	int r = 0;

	if (b->synced > off)
		return damaged(c, off, "a batch tells of a sync after it", err);
	bytes.data += WAL_BATCH_HEADER;
	bytes.len -= WAL_BATCH_HEADER;
	off += WAL_BATCH_HEADER;
	for (uint32_t i = 0; r == 0 && i < b->count; i++) {
		if (!wal_entry_decode(bytes, &e, &why))
			return damaged(c, off, why, err);
		if (!wal_entry_check(slice_make(bytes.data, (size_t)e.length),
				     c->salt))
			return damaged(c, off, "bad entry checksum", err);
		r = keep(c, off, &e, err);
		bytes.data += e.length;
		bytes.len -= (size_t)e.length;
		off += e.length;
	}
	if (r == 0 && bytes.len)
		return damaged(c, off, "a batch holds more than its entries",
			       err);
	return r;
}

static int walk(struct check *c, struct wal_walk *w, struct store_error *err)
{
	struct wal_batch b;
	struct slice bytes;
	uint64_t off = w->off;
	int r;

	while ((r = wal_walk_next(w, &b, &bytes, err)) == 1) {
		r = check_batch(c, off, &b, bytes, err);
		if (r < 0)
			break;
		off = w->off;
		c->batches++;
	}
	return r;
}

/* ---- with its tree ---- */

static int check_tree(struct check *c, const struct root *at,
		      struct store_error *err)
{
	const char *name = c->m->tree.view.name;
	struct store_error e = STORE_ERROR_INIT;
	struct tree_reader t;
	int r;

	if (at->batches != c->batches)
		return verify_find(c->v, FIND_TREE, name, IDX_COMMIT_OFF,
				   "another number of batches than the log "
				   "has");
	tree_reader_init(&t, c->m, at);
	r = tree_verify(&t, (struct log_entry *)(void *)c->entries.data,
			c->entries.len / sizeof(struct log_entry), &e);
	tree_reader_release(&t);
	return r < 0 ? verify_error(c->v, FIND_TREE, name, &e, err) : 0;
}

/* Up to the published length every byte is a batch's, with its checksum. */
static int walk_published(struct check *c, const struct root *at,
			  struct store_error *err)
{
	struct wal_walk w;
	uint64_t size;
	int r = os_size(c->log->fd, &size, c->log->dir, c->log->name, err);

	if (r < 0)
		return r;
	if (size < at->log_bytes)
		return damaged(c, size, "shorter than its published length",
			       err);
	wal_walk_init(&w, c->log, c->salt, at->log_bytes);
	r = walk(c, &w, err);
	if (r == 0 && w.off != at->log_bytes)
		r = damaged(c, w.off, "damaged batch", err);
	if (r == 0 && w.chain != at->chain)
		r = damaged(c, w.off, "another checksum than its tree tells",
			    err);
	wal_walk_release(&w);
	return r;
}

/* The cells of a tree: what is synced is published, what is sealed is whole. */
static int check_cells(struct check *c, struct root *at,
		       struct store_error *err)
{
	struct living *tree = &c->m->tree;
	const char *name = tree->view.name;
	struct slot sync;
	int r;

	/* In this order: both only grow, and what is synced was published. */
	r = living_read(tree, IDX_SYNC_OFF, &sync, err);
	if (r == 0)
		r = memtable_root(c->m, at, err);
	if (r == 0 && (sync.v[SYNC_LENGTH] > at->log_bytes ||
		       sync.v[SYNC_SYNCING] > at->log_bytes))
		r = store_corrupt(err, tree->view.dir->path, name, IDX_SYNC_OFF,
				  "more is synced than published");
	if (r == 0 && c->meta->sealed &&
	    (at->log_bytes != c->meta->length ||
	     at->chain != c->meta->checksum))
		r = store_corrupt(err, tree->view.dir->path, name,
				  IDX_COMMIT_OFF,
				  "differs from what the manifest says was "
				  "sealed");
	if (r == 0 && sync.v[SYNC_POISONED])
		r = verify_find(c->v, FIND_POISONED, c->log->name,
				sync.v[SYNC_LENGTH], NULL);
	return r;
}

static int check_shared(struct check *c, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	struct root at;
	int r;

	c->log = &c->m->log;
	c->salt = c->m->salt;
	r = check_cells(c, &at, &e);
	if (r < 0)
		return verify_error(c->v, FIND_TREE, c->m->tree.view.name, &e,
				    err);
	r = walk_published(c, &at, &e);
	if (r < 0)
		return verify_error(c->v, FIND_LOG, c->log->name, &e, err);
	/* Sorting and matching read keys all over the log. */
	view_map(c->log, false);
	return check_tree(c, &at, err);
}

/* ---- alone ---- */

/* `copy` is taken over. */
static int walk_copy(struct check *c, struct buf *copy, struct store_error *err)
{
	const struct log_meta *meta = c->meta;
	uint64_t size = copy->len;
	struct wal_walk w;
	bool torn = false;
	int r = 0;

	view_memory(c->log, copy->data, copy->len, c->log->dir, c->log->name);
	*copy = BUF_INIT;
	if (meta->sealed && size < meta->length)
		return damaged(c, size, "a sealed log is cut short", err);
	wal_walk_init(&w, c->log, c->salt, meta->sealed ? meta->length : size);
	r = walk(c, &w, err);
	if (r == 0 && meta->sealed &&
	    (w.off != meta->length || w.chain != meta->checksum))
		r = damaged(c, w.off, "damaged batch in a sealed log", err);
	if (r == 0 && !meta->sealed) {
		r = wal_walk_tail(&w, 0, err);
		if (r == 0)
			r = wal_walk_room(&w, err);
		torn = r == 0;
	}
	wal_walk_release(&w);
	if (r >= 0 && torn)
		r = verify_find(c->v, FIND_TAIL, c->log->name, w.off, NULL);
	return r;
}

/* As a private reader: the bytes are copied first, and checked afterwards. */
static int check_alone(struct check *c, const char *name,
		       struct store_error *err)
{
	const struct inspection *in = &c->v->in;
	struct store_error e = STORE_ERROR_INIT;
	struct buf copy = BUF_INIT;
	int fd = os_open(&in->db->dir, name, O_RDONLY, 0, &e);
	int r;

	if (fd == STORE_EGONE)
		return verify_find(c->v, FIND_MISSING, name, STORE_NO_OFFSET,
				   NULL);
	if (fd < 0)
		return verify_error(c->v, FIND_LOG, name, &e, err);
	c->log = &c->copy;
	view_init(c->log, fd, &in->db->dir, name, 0);
	r = wal_open_header(c->log, in->m.uuid, c->meta->number, &c->salt, &e);
	if (r == 0)
		r = os_read_file(&in->db->dir, name, SIZE_MAX / 2, &copy, &e);
	if (r == 0) {
		os_close(c->log->fd);
		r = walk_copy(c, &copy, &e);
	}
	view_close(c->log);
	buf_free(&copy);
	return r < 0 ? verify_error(c->v, FIND_LOG, name, &e, err) : 0;
}

/* The tree, if there is one to believe: 1; 0: the log must do alone. */
static int open_tree(struct check *c, struct store_error *err)
{
	const struct inspection *in = &c->v->in;
	int r;

	if (in->db->private)
		return 0;
	r = memtable_open(&c->m, &in->db->dir, in->m.uuid, c->meta, false,
			  LOG_MAP, 0, err);
	return r < 0 ? r : trust_tree(in->db, c->m, err);
}

int verify_log(struct verify *v, const struct log_meta *meta,
	       struct store_error *err)
{
	struct check c = { .v = v, .meta = meta };
	struct store_error e = STORE_ERROR_INIT;
	char name[NAME_SIZE], tree[NAME_SIZE];
	struct stat st;
	int r;

	name_make(name, FILE_WAL, meta->number);
	name_make(tree, FILE_IDX, meta->number);
	r = open_tree(&c, &e);
	if (r == 1) {
		r = check_shared(&c, err);
		goto out;
	}
	if (r < 0 && r != STORE_EGONE) {
		r = verify_error(v, FIND_LOG, name, &e, err);
		goto out;
	}
	memtable_close(c.m);
	c.m = NULL;
	/* Without its log, a tree is not missed. */
	r = 0;
	if (!v->in.db->private && os.fstatat(v->in.db->dir.fd, name, &st) == 0)
		r = verify_find(v, FIND_NO_TREE, tree, STORE_NO_OFFSET, NULL);
	if (r == 0)
		r = check_alone(&c, name, err);
out:
	memtable_close(c.m);
	buf_free(&c.entries);
	return r;
}
