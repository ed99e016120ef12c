/*
 * spawn.c - how long do commands take against each other?
 *
 *	spawn [-r] RUNS A [ARG...] -- B [ARG...] [-- C...]
 *
 * Starts them in turn, A B A B..., stdout on /dev/null, and prints
 * "RATIO A_US B_US": the median of A over the median of B, and the medians of
 * all.  With -r: a line a round, the microseconds of each; a command that is
 * SLOW times slower than the first then takes part in every SLOW-th round
 * only, and "-" stands for the others.  A command that fails ends it with 1.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define COMMANDS_MAX 16
#define SLOW 16

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

/* Cut the arguments at each "--"; how many commands they are. */
static int split(char **argv, char ***commands)
{
	int n = 0;

	for (char **a = argv; *a; n++) {
		if (n == COMMANDS_MAX)
			return 0;
		commands[n] = a;
		while (*a && strcmp(*a, "--"))
			a++;
		if (a == commands[n])
			return 0;
		if (*a)
			*a++ = NULL;
	}
	return n;
}

/* took[c * runs + i] of command c in round i. */
static void print(double *took, int n, int runs)
{
	for (int c = 0; c < n; c++)
		qsort(took + (long)c * runs, (size_t)runs, sizeof(*took),
		      compare);
	printf("%.3f", took[runs / 2] / took[runs + runs / 2]);
	for (int c = 0; c < n; c++)
		printf(" %.0f", took[(long)c * runs + runs / 2]);
	printf("\n");
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t quiet;
	int raw = argc > 1 && !strcmp(argv[1], "-r");
	int runs = argc > raw + 1 ? atoi(argv[raw + 1]) : 0;
	char **commands[COMMANDS_MAX];
	int n = runs > 0 ? split(argv + raw + 2, commands) : 0;
	double *took;

	if (n < 2 - raw) {
		fprintf(stderr,
			"usage: spawn [-r] RUNS A... -- B... [-- C...]\n");
		return 64;
	}
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	took = calloc((size_t)runs * (size_t)n, sizeof(*took));
	if (!took)
		return 71;
	for (int i = 0; i < runs; i++) {
		for (int c = 0; c < n; c++) {
			double *t = took + (long)c * runs;
			char end = c == n - 1 ? '\n' : ' ';

			if (raw && i % SLOW && t[0] > SLOW * took[0]) {
				printf("-%c", end);
				continue;
			}
			t[i] = run(commands[c], &quiet);
			if (raw)
				printf("%.0f%c", t[i], end);
		}
	}
	if (!raw)
		print(took, n, runs);
	free(took);
	return 0;
}
