/*
 * wal.h - the write-ahead log as a file: made by rotation, appended to by
 * commit, walked by recovery, healing, dump and verify.
 *
 * One process appends, and it holds WRITE; any number read what is published.
 * A batch survives power loss once sync.h says so, not before.
 * Bytes: formats/wal.md.
 */
#ifndef LIB_WAL_H
#define LIB_WAL_H

#include "formats/wal.h"
#include "lib/view.h"

/*
 * Make log `number`, O_EXCL, header written and fsynced.  On failure it is
 * unlinked.  The caller claims the number.
 */
int wal_create(const struct dir *dir, const struct wal_header *h,
	       struct store_error *err);

/* Read and check the header against the store and the file's name. */
int wal_open_header(struct view *log, const uint8_t uuid[16], uint64_t number,
		    uint64_t *salt, struct store_error *err);

/* A walk over the batches of a log, oldest first. */
struct wal_walk {
	struct view *log;
	struct window window;
	uint64_t salt;
	uint64_t limit;	 /* where to stop: length of file or published */
	uint64_t off;	 /* of the next batch */
	uint64_t chain;	 /* checksum of the one before it */
	uint64_t synced; /* the largest known: some batch said so */
};

void wal_walk_init(struct wal_walk *w, struct view *log, uint64_t salt,
		   uint64_t limit);
void wal_walk_release(struct wal_walk *w);

/*
 * The next batch: 1, with its bytes in *bytes until the next call, when it is
 * there and its checksum is right; 0 when not: w->off is then where valid
 * bytes end, and wal_walk_tail() judges what follows.
 */
int wal_walk_next(struct wal_walk *w, struct wal_batch *b, struct slice *bytes,
		  struct store_error *err);

/*
 * Is there nothing behind the last valid batch but zeros, room for what comes?
 * 1 or 0.
 */
int wal_walk_room(struct wal_walk *w, struct store_error *err);

/*
 * What lies behind the last valid batch?  0: room, or a torn tail, which the
 * next writer cuts: it is past every length known to be synced, and
 * either nothing valid follows it or it has holes where sectors never
 * reached the disk.  STORE_ECORRUPT: damage, nothing may be cut.
 * `synced`: a length known from elsewhere; 0 when none is.
 */
int wal_walk_tail(struct wal_walk *w, uint64_t synced, struct store_error *err);

#endif
