/*
 * snapshot.h - the store as it was at one moment: a pinned generation, the
 * roots of its logs, and a frozen clock (S1 to S4 of formats/manifest.md).
 */
#ifndef LIB_SNAPSHOT_H
#define LIB_SNAPSHOT_H

#include "lib/engine.h"

struct store_snapshot {
	struct store *db;
	struct generation *g;
	bool pinned;
	struct roster *roster; /* the generation's, or NULL */
	struct root *roots;    /* of its logs */
	uint64_t now_ms;
};

/*
 * Find the live entry of `key` in generation `g`: 1 or 0.  `roots` NULL: the
 * logs' newest.  now_ms 0: now.  STORE_EGONE: a table is not there.
 */
int lookup_in(struct store *db, struct generation *g, const struct root *roots,
	      uint64_t now_ms, struct slice key, struct lookup *l,
	      struct store_error *err);

/* The newest state; pins only when it must. */
int lookup(struct store *db, struct slice key, struct lookup *l,
	   struct store_error *err);

/*
 * A file of a pinned generation, as *err tells, is missing: it cannot have gone
 * away, so that is damage, STORE_ECORRUPT.
 */
int snapshot_gone(struct store_error *err);

/* Hand a value in memory to a sink, piece by piece. */
int sink_pieces(struct slice value, store_sink *sink, void *ctx);

#endif
