/*
 * props.h - what a table says of itself: its properties block, JSON.
 *
 * From the properties of all tables a lost manifest can be rebuilt.  The
 * text is canonical: no spaces, keys sorted; anything else is damaged.
 * Members: formats/sstable.md.
 */
#ifndef FORMATS_PROPS_H
#define FORMATS_PROPS_H

#include "formats/bytes.h"
#include "formats/error.h"
#include "formats/options.h"

struct table_props {
	uint8_t uuid[16]; /* of the store */
	uint64_t number;
	uint64_t age_first, age_last; /* log numbers its data came from */
	uint32_t level, run;	      /* where it was to be installed */
	uint64_t entries, tombstones;
	uint64_t oldest_tombstone_ms; /* 0 when there is none */
	uint64_t created_ms;
	uint64_t *replaces; /* numbers of the files it was made from */
	size_t n_replaces;
	/*
	 * Numbers of files that it took a part of: all below `trims_below`
	 * that was not in the tables before it.  Both empty when there is none.
	 */
	uint64_t *trims;
	size_t n_trims;
	struct buf trims_below;
	struct buf smallest, largest; /* keys */
};

#define TABLE_PROPS_INIT ((struct table_props){ .number = 0 })

/* A TABLE_PROPS_INIT or a released one is fine. */
void table_props_release(struct table_props *p);

/* Append the JSON text of `p` to `out`.  -1: no memory. */
int props_encode(const struct table_props *p, struct buf *out);

/*
 * Decode; `p` is TABLE_PROPS_INIT and owned by the caller, also on failure.
 * NULL, or what is wrong.  A member of a newer minor version is refused: it
 * would have set a feature bit.
 */
const char *props_decode(struct slice text, struct table_props *p);

#endif
