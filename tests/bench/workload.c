#include "tests/bench/workload.h"

#include <math.h>

#define TEN_TO_16 10000000000000000ull
#define THETA 0.99

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t workload_mix(uint64_t n)
{
	n += 0x9e3779b97f4a7c15ull;
	n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9ull;
	n = (n ^ (n >> 27)) * 0x94d049bb133111ebull;
	return n ^ (n >> 31);
}

void workload_key(uint64_t n, bool ordered, uint8_t *key, size_t len)
{
	uint64_t v = ordered ? n : workload_mix(n) % TEN_TO_16;
	size_t pad = len - WORKLOAD_DIGITS;

	memset(key, 'k', pad);
	for (size_t i = WORKLOAD_DIGITS; i-- > 0; v /= 10)
		key[pad + i] = (uint8_t)('0' + v % 10);
}

void workload_value(uint64_t n, uint64_t turn, uint8_t *value, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789+-";
	uint64_t state = workload_mix(n ^ (turn + 1) << 48), bits = 0;
	size_t half = (len + 1) / 2;

	for (size_t i = 0; i < half; i++, bits >>= 6) {
		if (i % 10 == 0)
			bits = workload_mix(state++);
		value[i] = (uint8_t)letters[bits & 63];
	}
	memcpy(value + half, value, len - half);
}

uint64_t workload_uniform(uint64_t i, uint64_t records)
{
	return workload_mix(i ^ 0x5eedull << 32) % records;
}

/* Gray et al., "Quickly generating billion-record databases", 1994. */
void workload_zipf_init(struct workload_zipf *z, uint64_t records)
{
	double zeta2 = 1 + pow(0.5, THETA);

	z->records = records;
	z->zeta = 0;
	for (uint64_t i = 1; i <= records; i++)
		z->zeta += pow(1.0 / (double)i, THETA);
	z->half = zeta2;
	z->alpha = 1 / (1 - THETA);
	z->eta = (1 - pow(2.0 / (double)records, 1 - THETA)) /
		 (1 - zeta2 / z->zeta);
}

uint64_t workload_zipf(const struct workload_zipf *z, uint64_t i)
{
	double u = (double)(workload_mix(i ^ 0x21bfull << 32) >> 11) * 0x1p-53;
	double uz = u * z->zeta;
	uint64_t rank;

	if (uz < 1)
		rank = 0;
	else if (uz < z->half)
		rank = 1;
	else
		rank = (uint64_t)((double)z->records *
				  pow(z->eta * u - z->eta + 1, z->alpha));
	return workload_mix(rank) % z->records;
}
