/*
 * workload.h - the records of every row: the same keys, the same values, in
 * the same order for all that are compared.
 *
 * Key n is WORKLOAD_DIGITS decimal digits, padded in front with letters to
 * the length asked for.  Random keys are a hash of n: distinct for all n in
 * use (tests/bench/smoke.bats asks), in no order.  Keys from WORKLOAD_ABSENT
 * on are never stored.  Values are half compressible: the first half is
 * letters and digits by chance, the second repeats it.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "formats/bytes.h"

#define WORKLOAD_DIGITS 16
#define WORKLOAD_ABSENT (1ull << 40)
#define WORKLOAD_KEY_MAX 64

/* A well-mixed 64-bit hash of n. */
uint64_t workload_mix(uint64_t n);

/* Key n of `len` bytes (16 to WORKLOAD_KEY_MAX); `ordered`: n itself. */
void workload_key(uint64_t n, bool ordered, uint8_t *key, size_t len);

/* The value that goes with n, of its `turn`th overwriting. */
void workload_value(uint64_t n, uint64_t turn, uint8_t *value, size_t len);

/*
 * Which record the i-th lookup is for, of `records`: each as likely as any
 * other, or by Zipf's law (exponent 0.99, as YCSB), spread over all keys.
 */
uint64_t workload_uniform(uint64_t i, uint64_t records);

struct workload_zipf {
	uint64_t records;
	double zeta, eta, alpha, half;
};

void workload_zipf_init(struct workload_zipf *z, uint64_t records);
uint64_t workload_zipf(const struct workload_zipf *z, uint64_t i);

#endif
