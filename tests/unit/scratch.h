/*
 * scratch.h - a new directory name for each store of a test; all of them are
 * removed when the program ends.  In memory where there is /dev/shm.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_root[64];

static void scratch_remove(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", scratch_root);
	if (system(command) != 0)
		perror(scratch_root);
}

/* A path where there is nothing yet. */
static const char *scratch(void)
{
	static char path[100];
	static int n;

	if (!*scratch_root) {
		snprintf(scratch_root, sizeof(scratch_root),
			 "%s/lsm-unit.XXXXXX",
			 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		if (!mkdtemp(scratch_root))
			abort();
		atexit(scratch_remove);
	}
	snprintf(path, sizeof(path), "%s/%d", scratch_root, ++n);
	return path;
}

#endif
