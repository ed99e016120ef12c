/*
 * engine.h - an open store, as the rooms inside libstore see it.
 *
 * A generation is one version of the store, opened: its image, its logs.  It
 * is immutable and counted; threads share it.  The handle keeps the newest
 * one it has seen, and looks at STATE before every operation.
 */
#ifndef LIB_ENGINE_H
#define LIB_ENGINE_H

#include "formats/version.h"
#include "lib/cache.h"
#include "lib/counters.h"
#include "lib/living.h"
#include "lib/lock.h"
#include "lib/memtable.h"
#include "lib/pressure.h"
#include "lib/store.h"

struct roster;
struct tables;
struct queue;
struct flusher;

struct generation {
	atomic_uint refs;
	uint64_t number;
	uint64_t checksum; /* of its MANIFEST.json */
	struct version v;
	struct page_source source; /* of the image */
	struct view image;	   /* what the source reads */
	struct memtable **logs;	   /* as v.logs: oldest first */
	size_t n_logs;
	atomic_uint_fast64_t lookups; /* made before there was a roster */
	_Atomic(struct roster *) roster;
};

/* Private mode has no STATE to look at: has anything changed? */
struct signature {
	uint64_t manifest_inode, manifest_bytes, manifest_mtime_ns;
	/* 1: the active log has more than was read; of `current` never */
	uint64_t more;
};

struct store {
	struct dir dir;
	struct lock lock;
	bool write;
	bool one_shot;
	bool created;
	bool private; /* living memory is not trusted and not ours to rebuild */
	bool alive;   /* we hold ALIVE, shared */
	bool cold;    /* STATE was not in memory when we first read it */
	bool installing;  /* as STATE said when `current` was last looked at */
	uint8_t uuid[16]; /* from STATE's token or the manifest */
	bool uuid_known;
	uint8_t boot[16];
	struct os_place place; /* of STATE: our mount */
	struct living state;
	bool state_open;
	struct cache *cache;
	struct tables *tables; /* open tables, by number */
	struct counters counters;
	char tool[24];
	uint64_t pid;
	char *plugins; /* directory of strategies, or NULL */
	/* group sync: one thread at a time deals with other processes */
	pthread_mutex_t sync_mutex;
	pthread_cond_t sync_done;
	bool sync_busy;
	pthread_mutex_t mutex; /* guards what follows */
	struct generation *current;
	struct signature seen; /* private: what `current` was read from */
	struct store_error warning;
	struct throttle throttle;
	atomic_bool slowed; /* the last write found an excess */
	struct queue *queue;
	struct flusher *flusher;     /* with STORE_BACKGROUND */
	struct writeback *writeback; /* likewise */
	uint64_t known;	 /* under WRITE: STATE's cell that tells of `current` */
	uint64_t memory; /* under WRITE: what the machine has; 0: not asked */
	uint64_t batch_limit;
	uint64_t load_memory;
	atomic_uint_fast64_t load_piece; /* 0: not yet worked out */
	bool opened; /* one_shot: `current` was looked at since the open */
};

/*
 * The newest generation, with a reference for the caller.
 *   STORE_EGONE  a file it names went away meanwhile: try again
 */
int generation_current(struct store *db, struct generation **out,
		       struct store_error *err);
/*
 * The same under WRITE, for who writes again and again: 1 and *out, if what
 * STATE says is what the handle has, and no install is under way; else 0.
 */
int generation_known(struct store *db, struct generation **out,
		     struct store_error *err);
/*
 * For a lookup: whose handle is there for one operation has just opened the
 * newest, and does not look again.
 */
int generation_look(struct store *db, struct generation **out,
		    struct store_error *err);
/* The same, pinned (S1-S3): undo with generation_unpin(). */
int generation_pin(struct store *db, struct generation **out,
		   struct store_error *err);
void generation_unpin(struct store *db, struct generation *g);
void generation_ref(struct generation *g);
void generation_close(struct generation *g); /* drops one reference */
/* The active log's memtable, or NULL. */
struct memtable *generation_active(const struct generation *g);

/* Remember a failure beside an operation that succeeded; clears *err. */
void store_warn(struct store *db, struct store_error *err);

/*
 * The hint for those who wait: "lsm-put (pid 12)".  True if it was ours yet,
 * so that nobody has had the role since we had.
 */
bool hint_write(struct store *db, enum lock_role role);

#endif
