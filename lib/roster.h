/*
 * roster.h - the tables of a generation, in memory, for handles that look up
 * again and again.
 *
 * The version image is made for one lookup: a few pages of it are read and
 * checked, whatever the size of the store.  Who looks up often reads all of it
 * once, keeps the key ranges, and, where there are not too many tables, keeps
 * them open as well.
 */
#ifndef LIB_ROSTER_H
#define LIB_ROSTER_H

#include "lib/engine.h"
#include "lib/table.h"

struct roster_table {
	uint64_t low, high; /* prefixes of the keys */
	struct slice smallest, largest;
	uint64_t number;
	bool trimmed; /* it holds more, below `smallest`, that is not there */
	_Atomic(struct table *) table; /* kept open, or NULL */
};

struct roster_run {
	struct roster_table *tables; /* ascending, disjoint */
	size_t n;
};

struct roster {
	struct roster_run *runs; /* as in the version: search order */
	size_t n_runs;
	struct roster_table *tables; /* of all runs */
	size_t n_tables;
	struct buf keys;
	bool keep;	    /* tables stay open */
	atomic_size_t open; /* so many of them are */
};

/*
 * The generation's roster, made once `lookups` more of them make it worth its
 * while; it lives as long as the generation.  NULL in *out before that.
 */
int roster_of(struct store *db, struct generation *g, uint64_t lookups,
	      struct roster **out, struct store_error *err);
void roster_free(struct roster *r); /* NULL is fine */

/*
 * Are all its tables open, now and for as long as it lives?  Then nobody can
 * take from who has its generation what that names.
 */
bool roster_is_open(const struct roster *r);

/* The table whose range may hold `key`, or NULL; `prefix` is the key's. */
struct roster_table *roster_find(const struct roster_run *run, struct slice key,
				 uint64_t prefix);
/* The first table at or behind `from` that ends at or above `key`, or n. */
size_t roster_seek(const struct roster_run *run, size_t from, struct slice key,
		   uint64_t prefix);
/* Open it; the reference is the caller's.  STORE_EGONE. */
int roster_open(struct store *db, struct roster *r, struct roster_table *rt,
		struct table **out, struct store_error *err);

#endif
