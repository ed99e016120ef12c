/*
 * plan.h - jobs of compaction, in memory and as JSON: what a strategy wants
 * done, before anyone has believed it.
 *
 * `lsm-compact --plan` prints the text, `lsm-compact --apply` carries it out,
 * and any program may write it.  Bytes: formats/plan.md.
 */
#ifndef FORMATS_PLAN_H
#define FORMATS_PLAN_H

#include "formats/bytes.h"
#include "formats/error.h"

#define PLAN_FORMAT "lsm-plan"
#define PLAN_VERSION 1
#define PLAN_MAX_BYTES (16u << 20)
#define PLAN_MAX_JOBS 4096u
#define PLAN_WHY 64	 /* bytes of a reason, its NUL included */
#define PLAN_STRATEGY 33 /* of a strategy's name, likewise */

/* The numbers of plugins/strategy.h. */
enum plan_kind {
	PLAN_MERGE = 1,
	PLAN_MOVE = 2,
	PLAN_DROP = 3,
	PLAN_FLUSH = 4,
};

/* A job, independent of the view it was made from. */
struct plan_job {
	uint32_t kind;	/* enum plan_kind, once it is checked */
	uint32_t level; /* of the output */
	uint64_t into;	/* a table of the run it goes into; 0: a new run */
	uint64_t *inputs;
	size_t n_inputs;
	uint64_t bytes;	      /* of the inputs */
	uint64_t table_bytes; /* cut the output here; 0: not said */
	char why[PLAN_WHY];   /* printable ASCII */
};

struct plan {
	struct plan_job *jobs;
	size_t n;
	uint64_t need; /* bytes that wait to be read, these jobs' included */
};

#define PLAN_INIT ((struct plan){ NULL, 0, 0 })

void plan_release(struct plan *p);
void plan_job_release(struct plan_job *j);

/* What stands around the jobs in the text. */
struct plan_heading {
	uint8_t uuid[16];    /* of the store */
	uint64_t generation; /* that the plan was made for; 0: not said */
	char strategy[PLAN_STRATEGY]; /* whose plan; "" not said */
	bool drops;		      /* jobs may drop tables */
};

/* Append the text to `out`. */
int plan_format(const struct plan *p, const struct plan_heading *h,
		struct buf *out, struct store_error *err);

/*
 * Parse a plan, of at most PLAN_MAX_BYTES and PLAN_MAX_JOBS.  *p is PLAN_INIT;
 * on failure it is released.  Only the form is judged: what the jobs mean, a
 * store must say.
 *   STORE_ECORRUPT  not JSON, not a plan, of a newer version, or with a member
 *                   that is unknown, twice there, missing or of a wrong type;
 *                   the message names it, and the job
 */
int plan_parse(struct plan *p, struct plan_heading *h, struct slice text,
	       struct store_error *err);

#endif
