/*
 * flip_store.h - the small store of flip.c, and a reader who knows it by
 * heart.
 */
#ifndef TESTS_CRASH_FLIP_STORE_H
#define TESTS_CRASH_FLIP_STORE_H

#include "lib/names.h"
#include "lib/store.h"

#define FLIP_KEYS 12

struct flip_store {
	char root[500]; /* of all of it, removed at the end */
	char dir[520];
	char table[NAME_SIZE], log[NAME_SIZE], tree[NAME_SIZE];
	uint64_t last_batch; /* where it begins in the log */
	/* values, NULL where there is none: with the last batch and without */
	const char *now[FLIP_KEYS], *before[FLIP_KEYS];
};

/* Make it below a new temporary directory.  -1: a message was printed. */
int flip_make(struct flip_store *s);
void flip_unmake(const struct flip_store *s);

/* Remove the files of the directory whose names end so. */
void flip_remove(const char *dir, const char *suffix);

enum flip_answer {
	FLIP_RIGHT,
	FLIP_HONEST, /* right, but where it said that the store is damaged */
	FLIP_WRONG,
};

/*
 * Open the store and read everything, key by key and by a scan.  `tail`: it
 * may, as a whole, be without the last batch.
 */
enum flip_answer flip_read(const struct flip_store *s, bool tail);

#endif
