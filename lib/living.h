/*
 * living.h - a file used as memory that processes share: STATE and the trees.
 *
 * Reads and writes of its token and cells (formats/state.h).  Written by
 * pwrite, or, a cell of a tree, through a map (view_poke()), under the lock the
 * cell belongs to; read without any lock.  It is never fsynced, and believed
 * only as trust.h allows.
 */
#ifndef LIB_LIVING_H
#define LIB_LIVING_H

#include "formats/state.h"
#include "lib/view.h"

struct living {
	struct view view;
};

/*
 * Open `name`.  `create`: make it, with the mode of a new file, if it is not
 * there.  `map_bytes`: see view.h; 0 never maps.  STORE_EGONE.
 */
int living_open(struct living *l, const struct dir *dir, const char *name,
		bool write, bool create, uint64_t map_bytes,
		struct store_error *err);
void living_close(struct living *l);

/*
 * The newest state of a cell.  Reads again while a writer is between its
 * bytes; STORE_ECORRUPT when it never checks.
 */
int living_read(struct living *l, uint32_t off, struct slot *s,
		struct store_error *err);

/* Through a map only: is the cell still the one whose `seq` was read? */
bool living_same(const struct living *l, uint32_t off, uint64_t seq);

/* Publish `s`, read before and changed under the cell's lock. */
int living_publish(struct living *l, uint32_t off, struct slot *s,
		   struct store_error *err);

/*
 * The token, as it lies there: not checked.  A file too short gives zeros.
 * `cached_only`: *cached tells whether it came from a living page cache.
 */
int living_token(struct living *l, struct token *t, bool cached_only,
		 bool *cached, struct store_error *err);
int living_write_token(struct living *l, struct token *t,
		       struct store_error *err);

#endif
