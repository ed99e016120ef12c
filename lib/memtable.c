#include "lib/memtable.h"

#include "lib/logorder.h"
#include "lib/merge.h"
#include "lib/recover.h"
#include "lib/tail.h"
#include "lib/wal.h"

static int alloc(struct memtable **out, const struct dir *dir,
		 const struct log_meta *meta, struct store_error *err)
{
	struct memtable *m = calloc(1, sizeof(*m));

	if (!m)
		return store_nomem(err);
	atomic_init(&m->refs, 1);
	m->dir = dir;
	m->number = meta->number;
	m->synced = WAL_HEADER; /* it was when the log was made */
	m->log.fd = -1;
	m->tree.view.fd = -1;
	*out = m;
	return 0;
}

static int open_log(struct memtable *m, const uint8_t uuid[16], bool write,
		    uint64_t log_map, struct store_error *err)
{
	char name[NAME_SIZE];
	int fd;

	name_make(name, FILE_WAL, m->number);
	fd = os_open(m->dir, name, write ? O_RDWR : O_RDONLY, 0, err);
	if (fd < 0)
		return fd;
	view_init(&m->log, fd, m->dir, name, log_map);
	m->log.writable = write && m->dir->in_place;
	return wal_open_header(&m->log, uuid, m->number, &m->salt, err);
}

int memtable_open(struct memtable **out, const struct dir *dir,
		  const uint8_t uuid[16], const struct log_meta *meta,
		  bool write, uint64_t log_map, uint64_t tree_map,
		  struct store_error *err)
{
	struct memtable *m = NULL;
	char name[NAME_SIZE];
	int r;

	r = alloc(&m, dir, meta, err);
	if (r < 0)
		return r;
	m->writable = write;
	r = open_log(m, uuid, write, log_map, err);
	if (r == 0) {
		name_make(name, FILE_IDX, m->number);
		r = living_open(&m->tree, dir, name, write, false, tree_map,
				err);
		m->tree.view.writable = m->log.writable;
	}
	if (r < 0) {
		memtable_close(m);
		return r;
	}
	*out = m;
	return 0;
}

/*
 * The log is copied first and checked afterwards: a writer may cut a torn
 * tail and append over it while we look.
 */
static int copy_log(struct memtable *m, uint64_t limit, struct store_error *err)
{
	uint64_t size;
	size_t got;
	uint8_t *data;
	int r;

	r = os_size(m->log.fd, &size, m->dir, m->log.name, err);
	if (r < 0)
		return r;
	if (size > limit)
		size = limit;
	data = malloc((size_t)size + 1);
	if (!data)
		return store_nomem(err);
	r = os_read_some(m->log.fd, data, (size_t)size, 0, &got, m->dir,
			 m->log.name, err);
	if (r < 0) {
		free(data);
		return r;
	}
	os_close(m->log.fd);
	view_memory(&m->log, data, got, m->dir, m->log.name);
	return 0;
}

/* The nodes of a tree in memory, where its file would have them. */
static int keep_nodes(struct memtable *m, const struct buf *nodes,
		      struct store_error *err)
{
	struct buf page = BUF_INIT;

	if (buf_append_zeros(&page, STATE_PAGE) < 0 ||
	    buf_append_slice(&page, buf_slice(nodes)) < 0) {
		buf_free(&page);
		return store_nomem(err);
	}
	view_memory(&m->tree.view, page.data, page.len, m->dir, m->log.name);
	return 0;
}

static int open_copy(struct memtable **out, const struct dir *dir,
		     const uint8_t uuid[16], const struct log_meta *meta,
		     uint64_t limit, struct store_error *err)
{
	struct memtable *m = NULL;
	int r = alloc(&m, dir, meta, err);

	if (r < 0)
		return r;
	m->private = true;
	*out = m;
	r = open_log(m, uuid, false, 0, err);
	return r < 0 ? r : copy_log(m, limit, err);
}

int memtable_open_private(struct memtable **out, const struct dir *dir,
			  const uint8_t uuid[16], const struct log_meta *meta,
			  struct store_error *err)
{
	struct memtable *m = NULL;
	struct buf nodes = BUF_INIT;
	int r;

	r = open_copy(&m, dir, uuid, meta, UINT64_MAX, err);
	if (r == 0)
		r = recover_tree(m, meta, 0, &m->fixed, &nodes, err);
	if (r == 0)
		r = keep_nodes(m, &nodes, err);
	buf_free(&nodes);
	if (r < 0)
		memtable_close(m);
	else
		*out = m;
	return r;
}

int memtable_open_prefix(struct memtable **out, const struct dir *dir,
			 const uint8_t uuid[16], const struct log_meta *meta,
			 uint64_t limit, uint64_t synced, bool *cut,
			 struct store_error *err)
{
	struct memtable *m = NULL;
	struct buf nodes = BUF_INIT;
	int r;

	r = open_copy(&m, dir, uuid, meta, limit, err);
	if (r == 0)
		r = recover_prefix(m, limit, synced, &m->fixed, &nodes, cut,
				   err);
	if (r == 0)
		r = keep_nodes(m, &nodes, err);
	buf_free(&nodes);
	if (r < 0)
		memtable_close(m);
	else
		*out = m;
	return r;
}

void memtable_ref(struct memtable *m)
{
	atomic_fetch_add(&m->refs, 1);
}

void memtable_close(struct memtable *m)
{
	if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
		return;
	view_close(&m->log);
	view_close(&m->tree.view);
	free(m);
}

int memtable_root(struct memtable *m, struct root *at, struct store_error *err)
{
	struct slot s;
	int r;

	if (m->private) {
		*at = m->fixed;
		return 0;
	}
	r = living_read(&m->tree, IDX_COMMIT_OFF, &s, err);
	if (r < 0)
		return r;
	*at = (struct root){ .root = s.v[COMMIT_ROOT] & UINT32_MAX,
			     .tail = s.v[COMMIT_ROOT] >> 32,
			     .log_bytes = s.v[COMMIT_LOG_BYTES],
			     .nodes = s.v[COMMIT_NODES] & UINT32_MAX,
			     .skip = s.v[COMMIT_NODES] >> 32,
			     .entries = s.v[COMMIT_ENTRIES],
			     .chain = s.v[COMMIT_CHAIN],
			     .batches = s.v[COMMIT_BATCHES],
			     .seq = s.seq };
	if (at->log_bytes < WAL_HEADER || at->nodes < NODE_FIRST ||
	    at->root >= at->nodes || at->skip > SKIP_MAX ||
	    (at->root && at->root < NODE_FIRST) || at->tail > TAIL_MAX ||
	    at->tail > at->nodes - NODE_FIRST)
		return store_corrupt(err, m->dir->path, m->tree.view.name,
				     IDX_COMMIT_OFF, "impossible root");
	return 0;
}

static void give_back(void *lender)
{
	memtable_close(lender);
}

/* A large value stays in the map; what is small is copied. */
static int keep_value(struct memtable *m, struct slice value, struct lookup *l,
		      struct store_error *err)
{
	const uint8_t *map = atomic_load(&m->log.map);

	if (value.len < CHUNK_BYTES || !map || value.data < map ||
	    value.data >= map + m->log.map_bytes)
		return buf_assign(&l->value, value) < 0 ? store_nomem(err) : 0;
	memtable_ref(m);
	l->borrowed = value;
	l->lender = m;
	l->give_back = give_back;
	return 0;
}

int memtable_get(struct memtable *m, const struct root *at, struct slice key,
		 struct lookup *l, struct store_error *err)
{
	struct tree_reader t;
	struct tree_node n;
	struct wal_entry e;
	int r;

	if (root_empty(at))
		return 0;
	tree_reader_init(&t, m, at);
	r = tail_or_tree_find(&t, key, &n, err);
	if (r <= 0)
		goto out;
	r = tree_entry(&t, &n, &e, err);
	if (r < 0)
		goto out;
	l->kind = (enum entry_kind)e.kind;
	l->expires_ms = e.expires_ms;
	l->value_len = e.value.len;
	l->chunked = false;
	r = keep_value(m, e.value, l, err);
	if (r == 0)
		r = 1;
out:
	tree_reader_release(&t);
	return r;
}

struct memtable_iter {
	struct iter it;
	struct tree_reader t;
	struct tree_walk walk;
};

/* A walker's 1 becomes the entry it stands on. */
static int show(struct memtable_iter *mi, int r, struct store_error *err)
{
	struct wal_entry e;

	if (r <= 0)
		return r;
	r = tree_entry(&mi->t, tree_walk_node(&mi->walk), &e, err);
	if (r < 0)
		return r;
	mi->it.e = (struct entry){ .kind = (enum entry_kind)e.kind,
				   .key = e.key,
				   .value = e.value,
				   .value_len = e.value.len,
				   .expires_ms = e.expires_ms };
	return 1;
}

static int mi_first(struct iter *it, struct store_error *err)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;

	return show(mi, tree_walk_end(&mi->t, &mi->walk, 0, err), err);
}

static int mi_last(struct iter *it, struct store_error *err)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;

	return show(mi, tree_walk_end(&mi->t, &mi->walk, 1, err), err);
}

static int mi_seek(struct iter *it, struct slice key, struct store_error *err)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;

	return show(mi, tree_walk_seek(&mi->t, &mi->walk, key, err), err);
}

static int mi_next(struct iter *it, struct store_error *err)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;

	return show(mi, tree_walk_step(&mi->t, &mi->walk, 1, err), err);
}

static int mi_prev(struct iter *it, struct store_error *err)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;

	return show(mi, tree_walk_step(&mi->t, &mi->walk, 0, err), err);
}

static int mi_seek_before(struct iter *it, struct slice key,
			  struct store_error *err)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;
	int r = tree_walk_seek(&mi->t, &mi->walk, key, err);

	if (r < 0)
		return r;
	return r ? mi_prev(it, err) : mi_last(it, err);
}

static int mi_chunk(struct iter *it, uint64_t i, struct slice *out,
		    struct store_error *err)
{
	(void)it;
	(void)i;
	(void)out;
	return store_fail(err, STORE_EBUG, "a memtable holds no chunks");
}

static void mi_close(struct iter *it)
{
	struct memtable_iter *mi = (struct memtable_iter *)it;

	memtable_close(mi->t.m);
	tree_reader_release(&mi->t);
	free(mi);
}

static const struct iter_ops memtable_ops = {
	.first = mi_first,
	.last = mi_last,
	.seek = mi_seek,
	.seek_before = mi_seek_before,
	.next = mi_next,
	.prev = mi_prev,
	.chunk = mi_chunk,
	.close = mi_close,
};

static int tree_iter(struct memtable *m, const struct root *at,
		     struct iter **out, struct store_error *err)
{
	struct memtable_iter *mi = calloc(1, sizeof(*mi));

	if (!mi)
		return store_nomem(err);
	mi->it.ops = &memtable_ops;
	memtable_ref(m);
	tree_reader_init(&mi->t, m, at);
	*out = &mi->it;
	return 0;
}

int memtable_iter(struct memtable *m, const struct root *at, struct iter **out,
		  struct store_error *err)
{
	struct iter *both[2];
	int r;

	if (!at->tail)
		return tree_iter(m, at, out, err);
	r = logorder_tail(m, at, &both[0], err);
	if (r == 0 && !at->root) {
		*out = both[0];
		return 0;
	}
	if (r == 0) {
		r = tree_iter(m, at, &both[1], err);
		if (r < 0)
			iter_close(both[0]);
	}
	return r < 0 ? r : merge_open(out, both, 2, err);
}

int memtable_keys(struct memtable *m, const struct root *at, uint64_t *n,
		  struct store_error *err)
{
	struct tree_reader t;
	struct tree_node node;
	struct iter *it;
	int r, found;

	*n = at->entries;
	if (!at->tail)
		return 0;
	r = logorder_tail(m, at, &it, err);
	if (r < 0)
		return r;
	tree_reader_init(&t, m, at);
	for (r = it->ops->first(it, err); r > 0; r = it->ops->next(it, err)) {
		found = tree_find(&t, it->e.key, &node, err);
		if (found < 0) {
			r = found;
			break;
		}
		*n += !found;
	}
	tree_reader_release(&t);
	iter_close(it);
	return r;
}
