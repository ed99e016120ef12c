/*
 * loadrun.h - a piece of a load as a sorted run: tables, written but for what
 * tells their age, which is known only when they are installed (B1 and B4 of
 * formats/manifest.md).
 *
 * Order of calls: loadrun_build, loadrun_finish for several, and install with
 * loadrun_place; loadrun_release at any time.
 */
#ifndef LIB_LOADRUN_H
#define LIB_LOADRUN_H

#include "formats/manifest.h"
#include "lib/engine.h"

struct load_table;

struct loadrun {
	struct load_table **tables; /* ascending; their numbers are claimed */
	size_t n, cap;
	struct table_meta *metas; /* of finished ones: `n` of them */
	uint64_t bytes;		  /* of files, when finished */
};

#define LOADRUN_INIT ((struct loadrun){ NULL, 0, 0, NULL, 0 })

/*
 * Write a batch's entries as sealed tables, fsynced.  What its memory has room
 * for behind them is used for sorting.  When *stop becomes true it may give up,
 * with 1.
 *   STORE_ENOSPACE, STORE_EIO  nothing is left
 */
int loadrun_build(struct loadrun *run, struct store *db,
		  const struct options *options, struct store_batch *batch,
		  const atomic_bool *stop, struct store_error *err);
/* Give the tables their age and their names.  The caller holds WRITE. */
int loadrun_finish(struct loadrun *run, uint64_t age, struct store_error *err);
/*
 * Edit: put the finished run as deep as the ranges that are there allow, for
 * it is newer than all of them.
 */
int loadrun_place(const struct loadrun *run, struct manifest *m,
		  struct store_error *err);
/* Give the claims back; `unlink`: and remove the files. */
void loadrun_release(struct loadrun *run, struct store *db, bool unlink);

#endif
