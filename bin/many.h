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
	uint64_t off; /* of its value in the memory of the thread that found it
		       */
	uint32_t len;
	uint16_t worker;
	bool found;
	bool large; /* the value is still to be read */
};

#define MANY_WORKERS 2u

struct many {
	bool values; /* wanted, and not just whether they are there */
	size_t want; /* keys that make a batch; grows and shrinks with values */
	struct buf bytes; /* of the keys */
	size_t *offs;	  /* of each, and of the end */
	struct answer *answers;
	struct slice *keys;
	size_t n, cap;
	struct buf found[MANY_WORKERS];
};

#define MANY_FIRST 4096u
#define MANY_INIT(values_)                                                     \
	((struct many){ .values = (values_), .want = MANY_FIRST })

void many_release(struct many *m);
void many_clear(struct many *m); /* for the next batch */
/* Add a key, which is copied. */
int many_add(struct many *m, struct slice key, struct store_error *err);
/* Are they enough? */
bool many_is_full(const struct many *m);
/* Look all of them up. */
int many_find(struct many *m, struct store *db, struct store_error *err);
/* The value of key `i`; unless large. */
struct slice many_value(const struct many *m, size_t i);

#endif
