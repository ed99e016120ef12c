/*
 * power_history.h - what the store was told, and whether it remembers.
 *
 * A history is a line of operations; model n is what the store must hold
 * after the first n.  The workload carries them out through lib/store.h on the
 * simulated filesystem, noting in the trace when each began and what was
 * acknowledged.  history_check() opens what a power failure left.
 */
#ifndef TESTS_CRASH_POWER_HISTORY_H
#define TESTS_CRASH_POWER_HISTORY_H

#include "tests/crash/power_fs.h"

#define KEYS 24u

/* For each key the version of its value; 0: absent. */
struct model {
	uint32_t version[KEYS];
};

struct history {
	struct model *models; /* models[n]: after n operations */
	uint32_t n;	      /* of the last one begun */
	uint32_t cap;
	uint32_t base; /* operation n writes version base + n */
};

#define HISTORY_INIT ((struct history){ NULL, 0, 0, 0 })

/* A history that begins with a store holding `m`. */
void history_init(struct history *h, const struct model *m, uint32_t base);
void history_release(struct history *h);

/*
 * The workload: `ops` writes of all kinds on an empty filesystem, with
 * rotations, flushes, compactions, reopens and two handles.  Records into
 * `t`.  0, or -1 with a message printed.
 */
int history_run(struct history *h, struct trace *t, uint32_t ops);

/*
 * What follows a crash: open, one more write, a flush.  Records into `t`, of a
 * filesystem whose store holds the first model of `h`.
 */
int history_resume(struct history *h, struct trace *t);

/*
 * Open the store that the filesystem holds, which must need no help, and hold
 * the first n operations for an n from `floor` to `ceil`; returns the largest
 * such n.  Then one more write must work and be there after a reopen.  The
 * filesystem is changed by that.  -1, with a message printed.
 */
int64_t history_check(const struct history *h, uint32_t floor, uint32_t ceil,
		      bool flush);

#endif
