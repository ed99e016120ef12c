/*
 * crew.h - the threads of a compaction, and how they share its jobs.
 *
 * One plan at a time lies on the table; whoever is free takes the next job of
 * it, and who finds none plans anew.  A plan is made by one thread at a time;
 * what others work on it sees by their claims, as it does that of other
 * processes.  It is over when a plan holds nothing and nobody works any more:
 * until then somebody's work may bring more.
 */
#ifndef LIB_CREW_H
#define LIB_CREW_H

#include "lib/compact.h"

/*
 * Until nothing is due (or the jobs of c->given are done; those that others
 * have made impossible count as busy), or `c->pace` says so (result->stopped).
 * Starts config->workers - 1 threads, with all signals blocked, and joins them.
 *   STORE_ENOSPACE  what is left does not fit on the disk
 */
int crew_run(struct compaction *c, struct store_compact_result *result,
	     struct store_error *err);

#endif
