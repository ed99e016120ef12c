/*
 * simmerge.h - merging what is known of tables: spans into one, and tables
 * of it.
 */
#ifndef LIB_SIMMERGE_H
#define LIB_SIMMERGE_H

#include "formats/manifest.h"
#include "lib/fence.h"
#include "lib/simload.h"

/* What is known of a table besides its meta. */
struct sim_table {
	uint64_t low, end;
	bool gone;	      /* consumed by the job that is being installed */
	struct sim_mix mix[]; /* of each class */
};

/* ---- one of many ---- */

/*
 * A stretch of keys in which the same spans lie: what is left of them, of
 * each class.  A negative result stops.
 */
typedef int sim_stretch_fn(void *ctx, uint64_t low, uint64_t end,
			   struct sim_mix *mix, uint64_t oldest_ms,
			   struct store_error *err);

/*
 * `spans` in any order.  Stretches are handed over by ascending keys, and end
 * at `cuts`, too.  Spans and cuts are sorted.
 */
int simmerge(const struct sim_keys *keys, struct sim_span *spans, size_t n,
	     uint64_t *cuts, size_t n_cuts, sim_stretch_fn *fn, void *ctx,
	     struct store_error *err);

/* ---- tables ---- */

/* Tables in the making: how many keys of them have what. */
struct sim_output {
	const struct sim_keys *keys;
	const struct sim_weight *weight;
	uint64_t table_bytes;
	uint64_t now_ms;
	uint64_t age;	     /* of a flush */
	struct fence *fence; /* of a merge; or NULL */
	/* what is finished: metas without numbers, and their contents */
	struct table_meta *metas;
	struct sim_table **tables;
	size_t n, cap;
	/* the one under way */
	bool open;
	uint64_t low, end, oldest_ms;
	double puts, dead, bytes;
	struct sim_mix mix[SIM_CLASSES_MAX]; /* times keys */
};

/* Add a stretch; tombstones that hide nothing are left out. */
int simoutput_add(struct sim_output *o, uint64_t low, uint64_t end,
		  struct sim_mix *mix, uint64_t oldest_ms,
		  struct store_error *err);
/* End the table under way, if there is one. */
int simoutput_end(struct sim_output *o, struct store_error *err);
void simoutput_release(struct sim_output *o);

#endif
