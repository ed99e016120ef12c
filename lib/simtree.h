/*
 * simtree.h - a store without data: a manifest, and what its tables hold.
 *
 * Tables come by flushes of spans and go by jobs, which are those of a plan
 * (plan.h), checked and carried out as the engine does it, but for the data.
 * A job is made at its beginning and installed at its end, and between the two
 * only flushes may come.
 */
#ifndef LIB_SIMTREE_H
#define LIB_SIMTREE_H

#include "lib/piece.h"
#include "lib/simmerge.h"

struct simtree {
	struct manifest m;
	const struct sim_keys *keys;
	struct sim_weight weight;
	struct sim_table **tables; /* by number; NULL: there is none */
	size_t n_tables;	   /* room */
	uint64_t flushes;
	uint64_t written[MANIFEST_MAX_LEVELS]; /* by flushes and jobs */
};

#define SIMTREE_INIT ((struct simtree){ .m = MANIFEST_INIT })

void simtree_release(struct simtree *t);

/* A table that is in the manifest already; takes over `content`. */
int simtree_know(struct simtree *t, uint64_t number, struct sim_table *content,
		 struct store_error *err);

/* The memtable becomes tables of level 0; *bytes of them. */
int simtree_flush(struct simtree *t, struct sim_span *spans, size_t n,
		  uint64_t log_created_ms, uint64_t now_ms, uint64_t *bytes,
		  struct store_error *err);

struct simjob {
	const struct plan_job *plan;
	struct piece_input *inputs; /* as in struct pieces */
	size_t n_inputs;
	struct sim_output out;
	size_t place;		/* of the run, in its level */
	uint64_t flushes;	/* when it was made */
	uint64_t read, written; /* bytes */
};

/*
 * For a plan that plan_job_check() has found right for `s`, which is of t->m.
 * `j` and `s` must stay until simjob_release().
 */
int simjob_make(struct simjob *j, struct simtree *t,
		const struct plan_job *plan, const struct survey *s,
		uint64_t now_ms, struct store_error *err);
int simjob_install(struct simjob *j, struct simtree *t,
		   struct store_error *err);
void simjob_release(struct simjob *j);

/* How it stands, for a report. */
struct simtree_look {
	uint64_t tables, bytes;
	double once; /* bytes, were it one run */
	double runs; /* that may hold a key */
};

int simtree_look(struct simtree *t, struct simtree_look *look,
		 struct store_error *err);

#endif
