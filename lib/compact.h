/*
 * compact.h - a run of store_compact(): C1 to C5 of formats/manifest.md.
 *
 * store_compact() (lib/store.h) lives in compact.c; nothing else of the
 * library refers to it, so only who calls it links the loading of plugins.
 */
#ifndef LIB_COMPACT_H
#define LIB_COMPACT_H

#include "lib/engine.h"
#include "lib/job.h"
#include "lib/outlook.h"
#include "lib/plan.h"
#include "lib/plugin.h"

struct compaction {
	struct store *db;
	const struct store_compact_config *config;
	struct plugin plugin; /* none where a plan is given */
	struct plan *given;   /* instead of asking; emptied; or NULL */
	bool drops;	      /* jobs may drop tables */
	uint64_t options[LSM_OPTIONS_MAX]; /* of the strategy */
	enum lsm_trigger trigger;
	struct pace pace;
	uint64_t left; /* bytes that jobs may still read */
};

/*
 * Load strategy `name`, or, for NULL, the store's with its settings.  The
 * caller closes c->plugin in any case.  STORE_ECONFIG.
 */
int compaction_load(struct compaction *c, const char *name,
		    struct store_error *err);

/* May this handle compact, and is the configuration sound? */
int compaction_check(const struct store *db,
		     const struct store_compact_config *config,
		     struct store_error *err);

/* C1: the tree as it is now.  *o is OUTLOOK_INIT; on failure released. */
int compaction_look(const struct compaction *c, struct outlook *o,
		    struct store_error *err);

/*
 * Claim, look again, carry out.  Adds to *result.  An enum job_end;
 * JOB_REFUSED also when an input is in another's job, which counts as busy;
 * JOB_PART when there was disk only for a smaller one (fit.h), which is not
 * tried for a job that somebody else has given.
 */
int compaction_do(struct compaction *c, const struct plan_job *j,
		  struct store_compact_result *result, struct store_error *err);

#endif
