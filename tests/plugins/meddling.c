/*
 * Does what it can to the store and to who asks it: files, processes, output,
 * signals.  Where the engine confines it (x86-64 and aarch64), nothing comes
 * of that; and its plan is empty, which is no offence.
 */
#include "tests/plugins/bad.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

STRATEGY("meddling")
{
	const char *dir = getenv("LSM_DIR");
	char path[1000];

	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
	snprintf(path, sizeof(path), "%s/MANIFEST.json", dir ? dir : ".");
	if (unlink(path) == 0 || open(path, O_RDWR) >= 0 ||
	    write(1, "meddling\n", 9) == 9 || fork() >= 0 ||
	    kill(getppid(), SIGKILL) == 0 ||
	    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0)
		abort();
}
