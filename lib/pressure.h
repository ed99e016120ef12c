/*
 * pressure.h - flushes that run ahead of compaction, and what is done about
 * it: writers are slowed down, smoothly and never for long.
 *
 * store_pressure() (lib/store.h) lives in pressure.c.
 */
#ifndef LIB_PRESSURE_H
#define LIB_PRESSURE_H

#include "formats/version.h"
#include "lib/store.h"

/* Runs in level 0 over its soft limit. */
struct excess {
	uint64_t over; /* 0: none, or writers are not to wait for anyone */
	uint64_t left; /* runs to the hard limit; 0: reached */
};

/* Everything but who is at work on it. */
struct store_pressure pressure_of(const struct options *o, uint64_t level0_runs,
				  uint64_t level0_bytes, uint64_t sealed_logs);

struct excess excess_of(const struct options *o, uint64_t level0_runs);

/* What a handle remembers of it; guarded by its mutex. */
struct throttle {
	uint64_t owed_us;   /* to wait, once it is worth a sleep */
	uint64_t job;	    /* a table under work: the job waited for */
	uint64_t waited_us; /* for that job */
};

/*
 * After a write that took `took_us`, no lock held: wait, or not.  Of the time
 * over/left as much again as the write took, and at the hard limit until the
 * job that is under way is done; never longer than that job, nor than
 * a second, nor ten seconds for one job, which may be stopped for good.
 */
void throttle(struct store *db, const struct excess *e, uint64_t took_us);

#endif
