/*
 * tableout.h - the file that a table is being written to: a buffer in front
 * of it, the checksum of all that went through, and blocks appended to it.
 *
 * Used by build.c and buildindex.c alone.  Errors of writing leave the file
 * of no use; tableout_abort() takes it away.
 */
#ifndef LIB_TABLEOUT_H
#define LIB_TABLEOUT_H

#include "formats/block.h"
#include "formats/sstable.h"
#include "lib/counters.h"
#include "lib/names.h"
#include "lib/os.h"
#include "lib/passing.h"

#include <xxhash.h>

struct tableout {
	const struct dir *dir;
	struct counters *counters; /* or NULL */
	struct passing *passing;   /* or NULL */
	uint64_t passed;	   /* pages before it were put out, or stay */
	char name[NAME_SIZE], tmp[NAME_SIZE];
	int fd;
	uint64_t salt; /* random, of this table */
	struct packer packer;
	struct buf pending; /* not yet written; begins at `off` in the file */
	uint64_t off;
	XXH3_state_t *sum; /* of everything written */
};

/* Create NNNNNN.sst.tmp, which must not be there.  `o` is all zeros. */
int tableout_open(struct tableout *o, const struct dir *dir, uint64_t number,
		  enum codec codec, mode_t mode, struct counters *counters,
		  struct store_error *err);
/*
 * Write what is pending, fsync, and let go of the descriptor and the buffer
 * until tableout_resume().
 */
int tableout_pause(struct tableout *o, struct store_error *err);
int tableout_resume(struct tableout *o, struct store_error *err);
/* Write what is pending, fsync, rename to NNNNNN.sst. */
int tableout_finish(struct tableout *o, struct store_error *err);
/* Unlink the file. */
void tableout_abort(struct tableout *o);
/* Close and free; after either of the two. */
void tableout_release(struct tableout *o);

/* Where the next byte will lie. */
static inline uint64_t tableout_end(const struct tableout *o)
{
	return o->off + o->pending.len;
}

/* Of the whole file, once all is written. */
static inline uint64_t tableout_sum(const struct tableout *o)
{
	return XXH3_64bits_digest(o->sum);
}

/* Write when the buffer is full; after appending to `pending` by hand. */
int tableout_flow(struct tableout *o, struct store_error *err);
/* Write all that is pending. */
int tableout_drain(struct tableout *o, struct store_error *err);
/* Append a stored block; *place is where it lies. */
int tableout_block(struct tableout *o, struct slice payload, enum sst_kind kind,
		   struct sst_place *place, struct store_error *err);
/* The same for a block as it was stored in another table. */
int tableout_move(struct tableout *o, const struct sst_block *b,
		  enum sst_kind kind, struct sst_place *place,
		  struct store_error *err);
/* End what `w` holds, append it, clear `w`. */
int tableout_writer(struct tableout *o, struct block_writer *w,
		    enum sst_kind kind, struct sst_place *place,
		    struct store_error *err);

#endif
