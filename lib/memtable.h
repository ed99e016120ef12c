/*
 * memtable.h - a log and the tree over it: the newest data of the store.
 *
 * The log holds the bytes, the tree only their order; every process shares
 * both.  The tree is persistent: a commit copies the nodes on the paths it
 * changes, appends the copies, and publishes a root.  So whoever has a root
 * has an immutable snapshot, without any lock, for as long as it likes; and a
 * writer killed at any instruction has changed nothing that was published.
 *
 * A memtable may also be private: rebuilt from a copy of its log in this
 * process's memory, when the shared tree is not to be believed (trust.h).
 */
#ifndef LIB_MEMTABLE_H
#define LIB_MEMTABLE_H

#include "formats/manifest.h"
#include "formats/wal.h"
#include "lib/iter.h"
#include "lib/living.h"
#include "lib/table.h"

/* A published state of the tree: the commit cell, checked. */
struct root {
	uint64_t root; /* node index; 0: empty */
	uint64_t tail; /* the last nodes, in no tree yet: tail.h */
	uint64_t log_bytes;
	uint64_t nodes;
	uint64_t skip; /* bytes of the keys: tree_digest() */
	uint64_t entries;
	uint64_t chain;
	uint64_t batches;
	uint64_t seq; /* of the cell */
};

static inline bool root_empty(const struct root *at)
{
	return !at->root && !at->tail;
}

struct memtable {
	atomic_uint refs;
	uint64_t number;
	uint64_t salt;
	bool writable;
	bool private;	   /* in our memory; `fixed` is its root */
	struct root fixed; /* private: what the copy held */
	/* Under WRITE: */
	uint64_t log_end;  /* of the file: behind the last batch may be room */
	bool room_seen;	   /* all of the room was looked at once */
	uint32_t room;	   /* that much was added last, as the tenant */
	uint64_t tree_end; /* no hole before it */
	uint64_t synced;   /* of the log, when last looked at */
	uint64_t sound;	   /* the sync cell that was no cause for concern */
	struct root last;  /* published by us; seq 0: not known */
	struct view log;
	struct living tree;
	const struct dir *dir;
};

/*
 * Open log `meta` and its tree, whose token the caller checks (trust.c).
 *   STORE_EGONE     one of the files is not there
 *   STORE_ECORRUPT  the log's header is damaged or another store's
 */
int memtable_open(struct memtable **out, const struct dir *dir,
		  const uint8_t uuid[16], const struct log_meta *meta,
		  bool write, uint64_t log_map, uint64_t tree_map,
		  struct store_error *err);
/* Only the log; the tree is built in private memory from a copy of it. */
int memtable_open_private(struct memtable **out, const struct dir *dir,
			  const uint8_t uuid[16], const struct log_meta *meta,
			  struct store_error *err);
/*
 * For healing a poisoned log: the first `limit` bytes of it, in private
 * memory.  A batch past `synced` that fails ends it, and *cut tells.
 */
int memtable_open_prefix(struct memtable **out, const struct dir *dir,
			 const uint8_t uuid[16], const struct log_meta *meta,
			 uint64_t limit, uint64_t synced, bool *cut,
			 struct store_error *err);
void memtable_ref(struct memtable *m);
void memtable_close(struct memtable *m); /* drops one reference */

/* Load the published root. */
int memtable_root(struct memtable *m, struct root *at, struct store_error *err);

/*
 * Find `key` as of `at`: 1 and *l (a tombstone is found, too), or 0.  The
 * value is copied into l->value, or, if large, borrowed.
 */
int memtable_get(struct memtable *m, const struct root *at, struct slice key,
		 struct lookup *l, struct store_error *err);

/* How many keys, deleted ones included: the tree's, and those of the tail. */
int memtable_keys(struct memtable *m, const struct root *at, uint64_t *n,
		  struct store_error *err);

/* Iterate over `at`; keeps a reference. */
int memtable_iter(struct memtable *m, const struct root *at, struct iter **out,
		  struct store_error *err);

#endif
