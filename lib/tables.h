/*
 * tables.h - the open tables of a handle, by number, shared by its threads.
 *
 * A number is used once, so an open table is right for every generation that
 * names it.  At most TABLES_OPEN stay open; the least recently asked for is
 * closed first (its holders keep it until they are done).
 */
#ifndef LIB_TABLES_H
#define LIB_TABLES_H

#include "lib/engine.h"
#include "lib/roster.h"
#include "lib/table.h"

#define TABLES_OPEN 256

struct tables *tables_new(struct store *db); /* NULL: no memory */
void tables_free(struct tables *t);

/* The table, with a reference for the caller.  STORE_EGONE. */
int tables_get(struct store *db, uint64_t number, struct table **out,
	       struct store_error *err);

/*
 * Iterate over run number `i` of the generation: its tables one behind the
 * other, each opened when it is reached.  Keeps a reference to the generation.
 * `roster`: the generation's, or NULL: its image is asked, page by page.
 */
int run_iter(struct store *db, struct generation *g, struct roster *roster,
	     size_t i, bool stream, struct iter **out, struct store_error *err);

#endif
