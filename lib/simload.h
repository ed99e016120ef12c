/*
 * simload.h - the workloads of a simulation: what a stretch of writes leaves.
 *
 * Writes are numbered from 0: first `records` first writes, one of each key,
 * then `updates` of keys that are there.  The log is flushed in between.
 */
#ifndef LIB_SIMLOAD_H
#define LIB_SIMLOAD_H

#include "lib/inspect.h"
#include "lib/simkeys.h"

/*
 * What keys [low, end) have of something: a table, or a stretch of writes.  Of
 * two that overlap the one with the smaller rank is newer.
 */
struct sim_span {
	uint64_t low, end;
	size_t rank;
	const struct sim_mix *mix; /* of each class */
	uint64_t oldest_ms;	   /* tombstone; 0: none */
};

struct sim_load {
	enum sim_workload workload;
	uint64_t records, updates;
	uint64_t first; /* the key of the first record */
	uint64_t late;	/* a late record comes so many writes late at most */
	double deletes; /* part of the updates */
	double write_bytes[2]; /* in the log: a first write, an update */
	double user_bytes[2];  /* keys and values alone */
	struct sim_keys keys;
};

#define SIM_LOAD_SPANS 8

/* Spans of some writes, and the mixes they point to. */
struct sim_stretch {
	struct sim_span spans[SIM_LOAD_SPANS];
	size_t n;
	struct sim_mix mix[SIM_LOAD_SPANS][SIM_CLASSES_MAX];
};

/* `present` keys are there already; their classes are the workload's. */
void simload_init(struct sim_load *l, const struct sim_config *c,
		  uint64_t present);

/*
 * The end of the writes from `from` on that fill a log of `bytes`.  It is also
 * flushed when the first writes are done, and at the end of each pass through
 * ascending keys: what is known of a table does not tell two ends of the keys
 * from all between them.
 */
uint64_t simload_fill(const struct sim_load *l, uint64_t from, uint64_t bytes);

/* What writes [from, to) leave, the newest of each key. */
void simload_stretch(const struct sim_load *l, uint64_t from, uint64_t to,
		     struct sim_stretch *s);

/* Bytes of keys and values of writes [from, to). */
double simload_user_bytes(const struct sim_load *l, uint64_t from, uint64_t to);

static inline uint64_t simload_writes(const struct sim_load *l)
{
	return l->records + l->updates;
}

#endif
