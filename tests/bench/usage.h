/*
 * usage.h - what a process has used so far, and how long its calls took.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <stdint.h>

struct usage {
	double cpu_s;		/* user and system, all threads */
	uint64_t written_bytes; /* that went to the disk, or will */
};

void usage_now(struct usage *u);
/* The most memory that was ever resident, in KiB. */
uint64_t usage_peak_kib(void);
/* Blocks that the files in a directory take, in bytes. */
uint64_t usage_disk_bytes(const char *dir);
/* A clock that only goes forward. */
uint64_t usage_clock_ns(void);

/* Durations in buckets an eighth of an octave wide. */
struct latency {
	uint64_t count[64 * 8];
	uint64_t calls, max_ns;
};

void latency_add(struct latency *l, uint64_t ns);
/* Such that `share` (0 to 1) of the calls took less; the bucket's upper end. */
double latency_at_us(const struct latency *l, double share);

#endif
