/*
 * many.h - the keys of a stream, looked up many at a time, answered in the
 * order they were asked in.
 *
 * Keys are collected until the input pauses or there are enough of them; then
 * all are looked up, in the state after the last of them was read, by as many
 * threads as there are processors.
 */
#ifndef BIN_MANY_H
#define BIN_MANY_H

#include "bin/tool.h"

/* What is known of a key. */
struct answer {
	uint32_t off; /* of its value in the memory of who found it */
	uint32_t len;
	uint8_t worker;
	bool found;
	bool large; /* the value is still to be read */
};

#define MANY_WORKERS 2u

/*
 * Values that one thread finds.  On lines of memory of its own: the other
 * would wait at each.
 */
struct many_found {
	_Alignas(64) struct buf values;
	size_t last; /* where the last of them begins */
};

/* A batch. */
struct many {
	/*
	 * Of MANY_WORKERS, or NULL: whether the keys are there is all.  Batches
	 * may share it, if one is answered before another is looked up.
	 */
	struct many_found *found;
	size_t want;	/* keys that make it; grows and shrinks with values */
	uint8_t *bytes; /* of the keys */
	size_t used;
	struct slice *keys;
	struct answer *answers;
	size_t n;
};

#define MANY_FIRST 4096u
#define MANY_INIT(found_)                                                      \
	((struct many){ .found = (found_), .want = MANY_FIRST })

void many_release(struct many *m);
void many_found_release(struct many_found *found);
void many_clear(struct many *m); /* for the next keys */
/* Add a key, which is copied. */
int many_add(struct many *m, struct slice key, struct store_error *err);
/* Are they enough? */
bool many_is_full(const struct many *m);
/* Look all of them up. */
int many_find(struct many *m, struct store *db, struct store_error *err);
/* The value of key `i`; unless large. */
struct slice many_value(const struct many *m, size_t i);
/* That of key `i`, if there is such a key, is asked for soon. */
void many_prefetch(const struct many *m, size_t i);

#endif
