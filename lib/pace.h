/*
 * pace.h - how fast and how far a compaction may go: the stop flag, the time,
 * the bytes and the rate of its caller, and telling him how far it came.
 *
 * One pace is shared by the threads of a compaction.  Whoever works tells it
 * what he has read and written, in steps of some 64 KiB, and asks whether to
 * go on; it sleeps when the rate is exceeded.  No lock of the store may be
 * held that others wait for.
 */
#ifndef LIB_PACE_H
#define LIB_PACE_H

#include "lib/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct pace {
	const struct store_compact_config *config;
	pthread_mutex_t mutex;
	uint64_t budget;   /* of max_bytes: still to be read */
	uint64_t due_us;   /* when what was written so far is paid for */
	uint64_t shown_ms; /* when progress was told last */
	atomic_bool over;  /* a limit was met, or somebody failed */
	struct store_progress progress;
};

void pace_init(struct pace *p, const struct store_compact_config *config);
void pace_release(struct pace *p);

/* Is it time to end?  Once it is, it stays so. */
bool pace_over(struct pace *p);
/* End: a thread has failed. */
void pace_end(struct pace *p);

/*
 * May a job that reads `bytes` be begun?  The first may always, and is then
 * cut short when the budget is used up.
 */
bool pace_afford(struct pace *p, uint64_t bytes);

/* Work that has been planned; less than 0 when it was not done after all. */
void pace_plan(struct pace *p, int64_t bytes);
/* Input that was read for a job done because of `what`. */
void pace_read(struct pace *p, uint64_t bytes, const char *what);
/* Output: waits as long as the rate demands, or the flag is not raised. */
void pace_wrote(struct pace *p, uint64_t bytes);
/* Tell of progress now: at the end of a table. */
void pace_show(struct pace *p, const char *what);
/* A job is done. */
void pace_job(struct pace *p, const char *what);

#endif
