/*
 * power_states.h - the states that a power failure may leave, one by one.
 *
 * At each point of a trace: nothing of what is pending survives; all of it;
 * all but one event; one alone; one torn at each sector or page, or with a
 * hole in it; lengths without bytes; names without files' contents and the
 * other way round; and random mixtures.  States met before are passed over.
 */
#ifndef TESTS_CRASH_POWER_STATES_H
#define TESTS_CRASH_POWER_STATES_H

#include "tests/crash/power_disk.h"
#include "tests/crash/power_history.h"

struct states_count {
	uint64_t points;   /* of traces at which power failed */
	uint64_t made;	   /* states */
	uint64_t distinct; /* of them, different */
	uint64_t rotating; /* of these, while a log was being exchanged */
	uint64_t building; /* or a table written and installed */
	uint64_t again;	   /* in a recovery from another failure */
};

struct states {
	struct states_count count;
	unsigned random;   /* random mixtures at each point, of each unit */
	unsigned resample; /* each such distinct state fails once more */
	uint64_t failures;
	/* hashes of states seen, and the operation each came up with */
	struct seen {
		uint64_t hash;
		int64_t n;
	} * seen;
	size_t n_seen, cap_seen;
};

void states_init(struct states *s);
void states_release(struct states *s);

/*
 * Check all states of trace `t`, whose disk began as the filesystem is now,
 * against `h`.  `again`: the trace is of a recovery.  Adds to s->failures,
 * printing the first few; many end it.
 */
void states_check(struct states *s, const struct history *h,
		  const struct trace *t, enum disk_profile profile, bool again);

#endif
