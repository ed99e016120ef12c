/*
 * spawn.c - how long does one command take against another?
 *
 *	spawn RUNS A [ARG...] -- B [ARG...]
 *
 * Starts the two in turn, A B A B..., stdout on /dev/null, and prints
 * "RATIO A_US B_US": the median of A over the median of B, and both medians.
 * A command that fails ends it with 1.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double run(char **argv, posix_spawn_file_actions_t *quiet)
{
	double start = now_us();
	int status;
	pid_t p;

	if (posix_spawnp(&p, argv[0], quiet, NULL, argv, environ) != 0 ||
	    waitpid(p, &status, 0) < 0 || status != 0) {
		fprintf(stderr, "spawn: %s failed\n", argv[0]);
		exit(1);
	}
	return now_us() - start;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t quiet;
	int n = argc > 1 ? atoi(argv[1]) : 0;
	char **a = argv + 2, **b = a;
	double *ta, *tb;

	while (*b && strcmp(*b, "--"))
		b++;
	if (n < 1 || argc < 5 || !*b || !b[1]) {
		fprintf(stderr, "usage: spawn RUNS A... -- B...\n");
		return 64;
	}
	*b++ = NULL;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	ta = calloc((size_t)n, sizeof(*ta));
	tb = calloc((size_t)n, sizeof(*tb));
	if (!ta || !tb)
		return 71;
	for (int i = 0; i < n; i++) {
		ta[i] = run(a, &quiet);
		tb[i] = run(b, &quiet);
	}
	qsort(ta, (size_t)n, sizeof(*ta), compare);
	qsort(tb, (size_t)n, sizeof(*tb), compare);
	printf("%.3f %.0f %.0f\n", ta[n / 2] / tb[n / 2], ta[n / 2], tb[n / 2]);
	free(ta);
	free(tb);
	return 0;
}
