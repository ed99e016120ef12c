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
	struct buf claimed; /* uint64_t: tables found in others' jobs */
	uint64_t left;	    /* bytes that jobs may still read */
	struct store_compact_result *result;
};

/* The tree as it is now: the manifest that is published, and its survey. */
struct outlook {
	struct manifest m;
	struct survey s;
};

#define OUTLOOK_INIT ((struct outlook){ MANIFEST_INIT, SURVEY_INIT })

/* *o is OUTLOOK_INIT; on failure it is released. */
int outlook_read(struct outlook *o, const struct compaction *c,
		 struct store_error *err);
void outlook_release(struct outlook *o);

/*
 * Claim, look again, carry out, sweep.  1 done; 0 left alone, because another
 * process works on an input (which is noted in c->claimed) or the store has
 * changed.
 */
int compaction_do(struct compaction *c, const struct plan_job *j,
		  struct store_error *err);

#endif
