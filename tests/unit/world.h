/*
 * world.h - what the model test walks through: a store, its map, snapshots of
 * both, and random keys and values.
 */
#ifndef TESTS_UNIT_WORLD_H
#define TESTS_UNIT_WORLD_H

#include "lib/inspect.h"
#include "lib/store.h"
#include "tests/unit/map.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SNAPSHOTS 3

struct world {
	char dir[200];
	struct store *db;
	struct store *other; /* a second handle, as another process would be */
	struct model m;
	struct store_snapshot *snap[MAX_SNAPSHOTS];
	struct model was[MAX_SNAPSHOTS];
	struct store_pin pin; /* its value is `pinned` */
	struct buf pinned;
	uint64_t random;
	const char *op;
	uint64_t seed, step;
};

static struct store_error err;

/* splitmix64 */
static uint64_t rnd(struct world *w)
{
	uint64_t z = (w->random += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(struct world *w, size_t n)
{
	return (size_t)(rnd(w) % n);
}

#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond)) {                                                 \
			printf("# SEED=%llu step %llu, %s: %s (line %d): "     \
			       "%s\n",                                         \
			       (unsigned long long)w->seed,                    \
			       (unsigned long long)w->step, w->op, #cond,      \
			       __LINE__, err.text);                            \
			longjmp(test_failed, 1);                               \
		}                                                              \
	} while (0)

static struct slice any_key(struct world *w)
{
	static uint8_t k[3000];
	size_t which = below(w, 100), n;

	if (which < 80) {
		n = (size_t)sprintf((char *)k, "key%03zu", below(w, 250));
	} else if (which < 90) { /* equal prefixes, NULs, high bytes */
		n = 1 + below(w, 12);
		for (size_t i = 0; i < n; i++)
			k[i] = (uint8_t) "\0\0\xff\xfe"[below(w, 4)];
	} else if (which < 98) {
		n = (size_t)sprintf((char *)k,
				    "a-rather-long-common-prefix-"
				    "%04zu",
				    below(w, 100));
	} else {
		/* Few: all of them would be what a store consists of. */
		n = 2000 + 300 * below(w, 4);
		memset(k, 'L', n);
		k[n - 1] = (uint8_t)below(w, 4);
	}
	return slice_make(k, n);
}

static struct slice any_value(struct world *w, size_t max)
{
	static uint8_t v[200000];
	size_t n = below(w, max + 1);
	uint64_t r = rnd(w);

	for (size_t i = 0; i < n; i++)
		v[i] = (uint8_t)(i % 64 < 32 ? r >> (i % 8 * 8) : i / 64);
	return slice_make(v, n);
}

static struct slice present_key(struct world *w)
{
	if (w->m.n == 0)
		return any_key(w);
	return buf_slice(&w->m.p[below(w, w->m.n)].key);
}

static enum store_sync any_sync(struct world *w)
{
	return below(w, 20) ? STORE_NOSYNC : STORE_SYNC;
}

static struct store *any_handle(struct world *w)
{
	return below(w, 4) ? w->db : w->other;
}

#endif
