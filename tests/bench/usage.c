#include "tests/bench/usage.h"

#include "tests/bench/engine.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The number after `name` in a file of /proc; 0 if it is not there. */
static uint64_t proc_number(const char *path, const char *name)
{
	char line[256];
	uint64_t n = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		engine_die(path, "cannot open");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			n = strtoull(line + strlen(name), NULL, 10);
	fclose(f);
	return n;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void usage_now(struct usage *u)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	u->cpu_s = seconds(r.ru_utime) + seconds(r.ru_stime);
	getrusage(RUSAGE_CHILDREN, &r);
	u->cpu_s += seconds(r.ru_utime) + seconds(r.ru_stime);
	u->written_bytes = proc_number("/proc/self/io", "write_bytes: ");
}

uint64_t usage_peak_kib(void)
{
	return proc_number("/proc/self/status", "VmHWM:");
}

uint64_t usage_disk_bytes(const char *dir)
{
	struct dirent *e;
	struct stat st;
	uint64_t n = 0;
	DIR *d = opendir(dir);

	if (!d)
		engine_die(dir, "cannot open");
	while ((e = readdir(d)))
		if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    S_ISREG(st.st_mode))
			n += (uint64_t)st.st_blocks * 512;
	closedir(d);
	return n;
}

uint64_t usage_clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void latency_add(struct latency *l, uint64_t ns)
{
	unsigned octave = 63 - (unsigned)__builtin_clzll(ns | 8);

	l->count[octave * 8 + ((ns >> (octave - 3)) & 7)]++;
	l->calls++;
	if (ns > l->max_ns)
		l->max_ns = ns;
}

double latency_at_us(const struct latency *l, double share)
{
	uint64_t below = 0, want = (uint64_t)(share * (double)l->calls);

	for (unsigned i = 3 * 8; i < 64 * 8; i++) {
		below += l->count[i];
		if (below > want)
			return (double)((9 + i % 8) << (i / 8 - 3)) / 1e3;
	}
	return (double)l->max_ns / 1e3;
}
