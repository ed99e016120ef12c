/*
 * sim.h - a simulation under way: a store without data, its load, its clock,
 * and the compaction beside it.
 *
 * inspect_sim() (lib/inspect.h) lives in sim.c.  simround.c asks the strategy
 * and carries out what it plans, simstore.c begins with a store that is there.
 */
#ifndef LIB_SIM_H
#define LIB_SIM_H

#include "lib/inspect.h"
#include "lib/plugin.h"
#include "lib/simtree.h"

struct sim {
	const struct sim_config *config; /* `own` */
	struct sim_config own;
	struct sim_report *report;
	struct plugin plugin;
	uint64_t options[LSM_OPTIONS_MAX];
	struct simtree tree;
	struct sim_load load;
	struct sim_stretch stretch; /* room */
	uint64_t began_ms;	    /* Unix time, when the clock stood at 0 */
	double now;		    /* seconds */
	/* the log: writes [log_from, at), the first of them at log_since */
	uint64_t at, log_from;
	double log_since;
	/* a round of compaction */
	bool busy; /* there is one */
	struct plan plan;
	size_t next;	  /* job of the plan */
	uint64_t done;	  /* jobs, when the plan was made */
	uint64_t flushes; /* when it began */
	uint64_t runs;	  /* in level 0, then */
	bool settled;	  /* the last one has left nothing that is due */
	unsigned stale;	  /* plans of which no job could be done, in a row */
	uint64_t left;	  /* bytes it may read yet */
	struct survey survey; /* of generation `surveyed` */
	uint64_t surveyed;
	bool working; /* on this job */
	struct simjob job;
	double ends;   /* when it is done */
	double waited; /* writers, for it */
};

static inline uint64_t sim_now_ms(const struct sim *s)
{
	return s->began_ms + (uint64_t)(s->now * 1000);
}

/* All that is in the log becomes tables. */
int sim_flush(struct sim *s, struct store_error *err);

/*
 * Begin a round, unless there is one: what the strategy says is due, until it
 * says nothing.  s->working: it is on a job, which is done at s->ends.
 */
int simround_begin(struct sim *s, struct store_error *err);
/* The job is done: install it, and go on. */
int simround_go_on(struct sim *s, struct store_error *err);
/* Until the round is over; the clock goes on. */
int simround_finish(struct sim *s, struct store_error *err);
void simround_release(struct sim *s);

/* The store `config->dir`: its manifest, and when that was. */
int simstore_read(struct sim *s, struct store_error *err);
/*
 * Its tables, when the options are settled: how many keys there may be, what
 * each table holds of them, and what they weigh.  Fills in s->own and s->load.
 */
int simstore_begin(struct sim *s, struct store_error *err);

#endif
