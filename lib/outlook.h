/*
 * outlook.h - the tree as it is now, with all that a strategy is told of it.
 *
 * C1 and C2 of formats/manifest.md: the published manifest and its survey,
 * with the claims, pins, memtable, disk and time of the moment.  What is
 * claimed is asked of the kernel, so jobs of other processes are seen.
 */
#ifndef LIB_OUTLOOK_H
#define LIB_OUTLOOK_H

#include "lib/engine.h"
#include "lib/survey.h"

struct outlook {
	struct manifest m;
	struct survey s; /* borrows the keys of `m` */
};

#define OUTLOOK_INIT ((struct outlook){ MANIFEST_INIT, SURVEY_INIT })

struct outlook_ask {
	enum lsm_trigger trigger;
	const uint64_t *options; /* of the strategy; must stay */
	const uint64_t *own;	 /* tables that the caller claims itself */
	size_t n_own;
	bool blind; /* as if nobody claimed anything */
};

/*
 * Takes no lock that waits.  *o is OUTLOOK_INIT; on failure it is released.
 */
int outlook_read(struct outlook *o, struct store *db,
		 const struct outlook_ask *ask, struct store_error *err);
void outlook_release(struct outlook *o);

#endif
