#include "lib/recover.h"

#include "lib/edit.h"
#include "lib/wal.h"

/* Every valid batch up to `limit` into a tree; the walk stays where it ends. */
static int replay(struct memtable *m, struct wal_walk *w, struct root *at,
		  struct buf *nodes, struct store_error *err)
{
	struct root empty = { .log_bytes = WAL_HEADER,
			      .nodes = NODE_FIRST,
			      .chain = m->salt };
	struct tree_edit e;
	struct wal_batch b;
	struct slice bytes;
	int r;

	tree_edit_init(&e, m, &empty);
	/* Keys of earlier batches are compared in the log. */
	e.base.at.log_bytes = w->limit;
	while ((r = wal_walk_next(w, &b, &bytes, err)) == 1) {
		r = tree_edit_batch(&e, bytes, b.count, b.checksum, err);
		if (r < 0)
			break;
	}
	if (r == 0) {
		*at = e.at;
		*nodes = e.nodes;
		e.nodes = BUF_INIT;
	}
	tree_edit_release(&e);
	return r;
}

/* The length to walk: a private copy's, or the file's. */
static int log_size(struct memtable *m, uint64_t *size, struct store_error *err)
{
	if (m->log.fd < 0) {
		*size = m->log.map_bytes;
		return 0;
	}
	return os_size(m->log.fd, size, m->dir, m->log.name, err);
}

int recover_tree(struct memtable *m, const struct log_meta *meta,
		 uint64_t synced, struct root *at, struct buf *nodes,
		 struct store_error *err)
{
	struct wal_walk w;
	uint64_t size;
	int r;

	r = log_size(m, &size, err);
	if (r < 0)
		return r;
	if (meta->sealed && size < meta->length)
		return store_corrupt(err, m->dir->path, m->log.name, size,
				     "a sealed log is cut short");
	/* Keys are compared all over the log: a map, if there can be one. */
	if (m->log.fd >= 0) {
		if (!m->log.map_bytes)
			m->log.map_bytes = size;
		view_map(&m->log, true);
	}
	wal_walk_init(&w, &m->log, m->salt, meta->sealed ? meta->length : size);
	r = replay(m, &w, at, nodes, err);
	if (r == 0 && meta->sealed &&
	    (w.off != meta->length || w.chain != meta->checksum))
		r = store_corrupt(err, m->dir->path, m->log.name, w.off,
				  "damaged batch in a sealed log");
	if (r == 0 && !meta->sealed)
		r = wal_walk_tail(&w, synced, err);
	if (r < 0)
		buf_free(nodes);
	wal_walk_release(&w);
	return r;
}

int recover_prefix(struct memtable *m, uint64_t limit, uint64_t synced,
		   struct root *at, struct buf *nodes, bool *cut,
		   struct store_error *err)
{
	struct wal_walk w;
	uint64_t size;
	int r = log_size(m, &size, err);

	if (r < 0)
		return r;
	wal_walk_init(&w, &m->log, m->salt, size < limit ? size : limit);
	r = replay(m, &w, at, nodes, err);
	*cut = w.off < limit;
	if (r == 0 && *cut && w.off < synced)
		r = store_corrupt(err, m->dir->path, m->log.name, w.off,
				  "damaged batch: it was known to be synced");
	if (r < 0)
		buf_free(nodes);
	wal_walk_release(&w);
	return r;
}
