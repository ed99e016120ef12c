/*
 * compact.h - rounds of compaction: C1 to C5 of formats/manifest.md.
 *
 * store_compact() (lib/store.h) lives in compact.c; nothing else of the
 * library refers to it, so only who calls it links the loading of plugins.
 */
#ifndef LIB_COMPACT_H
#define LIB_COMPACT_H

#include "lib/engine.h"
#include "lib/plan.h"
#include "lib/plugin.h"

/* One run of store_compact(). */
struct compaction {
	struct store *db;
	struct plugin plugin;
	uint64_t options[LSM_OPTIONS_MAX]; /* of the strategy */
	enum lsm_trigger trigger;
	uint64_t left; /* bytes that jobs may still read */
	struct store_compact_result *result;
};

/*
 * Claim, look again, carry out, sweep.  1 done; 0 left alone, because another
 * process works on an input or the store has changed.
 */
int compaction_do(struct compaction *c, const struct plan_job *j,
		  struct store_error *err);

#endif
