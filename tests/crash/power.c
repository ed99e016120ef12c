/*
 * power.c - what is left when the power fails, at every point of a workload.
 *
 * libstore runs on a filesystem in memory that records what is written and
 * synced (power_fs.h).  For each prefix of the record the states that a disk
 * may be left in are built (power_disk.h, power_states.h) and opened with the
 * real recovery code: each must come up without help, hold a prefix of the
 * history with every acknowledged write in it (power_history.h), and take
 * more writes; and some fail again while they recover.
 *
 *	power [-n OPERATIONS] [-r RANDOM] [-a EVERY] [-m STATES] [-s SEED]
 *
 * OPERATIONS of the workload; RANDOM mixtures at each point; of the states
 * EVERY so many fails again; at least STATES distinct ones, or it is a
 * failure.  Output is TAP.
 */
#include "tests/crash/power_states.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct run {
	uint32_t ops;
	uint64_t least;
	struct states states;
	struct history history;
	struct trace trace;
};

static int ok(int n, bool good, const char *claim)
{
	printf("%sok %d - %s\n", good ? "" : "not ", n, claim);
	fflush(stdout);
	return good ? 0 : 1;
}

static bool check_profile(struct run *r, enum disk_profile profile)
{
	fs_reset();
	states_check(&r->states, &r->history, &r->trace, profile, false);
	return r->states.failures == 0;
}

static int run(struct run *r)
{
	const struct states_count *c = &r->states.count;
	struct model empty = { { 0 } };
	clock_t start = clock();
	double seconds;
	int bad = 0;

	fs_install();
	fs.boot = (struct fs_boot){ .boot = 1, .mount = 1, .unique = true };
	history_init(&r->history, &empty, 0);
	bad += ok(1, history_run(&r->history, &r->trace, r->ops) == 0,
		  "a workload runs on the recording filesystem");
	if (bad)
		return bad;
	bad += ok(
		2, trace_lint(&r->trace) == 0,
		"nothing is named or unlinked before what it needs is synced");
	bad += ok(3, check_profile(r, DISK_WEAK),
		  "each state recovers when names are promised nothing");
	bad += ok(4, check_profile(r, DISK_ORDERED),
		  "each state recovers when names keep their order");
	bad += ok(5, c->distinct >= r->least, "there were enough of them");
	bad += ok(6, c->rotating > 0 && c->building > 0 && c->again > 0,
		  "also in rotations, flushes, compactions and recoveries");
	seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	printf("# %zu events, %" PRIu64 " points, %" PRIu64 " states, %" PRIu64
	       " distinct (%" PRIu64 " across a rotation, %" PRIu64
	       " across a flush or "
	       "compaction, %" PRIu64 " in a recovery), %" PRIu64
	       " failures, %.1f s\n1..6\n",
	       r->trace.n, c->points, c->made, c->distinct, c->rotating,
	       c->building, c->again, r->states.failures, seconds);
	return bad;
}

int main(int argc, char **argv)
{
	struct run r = { .ops = 60, .least = 20000 };
	uint64_t seed = 0;
	int c, bad;

	states_init(&r.states);
	while ((c = getopt(argc, argv, "a:n:r:m:s:")) != -1)
		switch (c) {
		case 'a':
			r.states.resample = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			r.ops = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			r.states.random = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			r.least = strtoull(optarg, NULL, 10);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		default:
			return 64;
		}
	while (seed-- > 0)
		fs_random();
	bad = run(&r);
	states_release(&r.states);
	history_release(&r.history);
	trace_release(&r.trace);
	return bad != 0;
}
