#include "lib/simkeys.h"

#include "lib/build.h"

#include <math.h>

void simkeys_uniform(struct sim_keys *k, uint64_t n)
{
	k->n = n;
	k->n_classes = 1;
	k->share[0] = k->rate[0] = 1;
}

/* The sum of i^-s for i in (a, b], nearly: by the trapezoid's error term. */
static double zipf_sum(double a, double b, double s)
{
	double sum = 0;

	/* One by one while the steps are steep. */
	while (a < b && a < 64) {
		a += 1;
		sum += pow(a, -s);
	}
	if (a >= b)
		return sum;
	/* The midpoint rule: i^-s is the integral over (i - 1/2, i + 1/2). */
	a += 0.5;
	b += 0.5;
	if (fabs(s - 1) < 1e-9)
		return sum + log(b / a);
	return sum + (pow(b, 1 - s) - pow(a, 1 - s)) / (1 - s);
}

/*
 * Classes of ranks from one power of a step to the next: within one the rates
 * differ by no more than that step.
 */
void simkeys_zipf(struct sim_keys *k, uint64_t n, double exponent)
{
	double end = (double)n, first = 0, last, step;
	double all = zipf_sum(0, end, exponent);

	step = pow(end, 1.0 / (SIM_CLASSES_MAX - 8));
	if (step < M_SQRT2)
		step = M_SQRT2;
	k->n = n;
	k->n_classes = 0;
	while (first < end) {
		last = floor(first * step);
		if (last < first + 1)
			last = first + 1;
		if (last > end || k->n_classes + 1 == SIM_CLASSES_MAX)
			last = end;
		k->share[k->n_classes] = (last - first) / end;
		k->rate[k->n_classes++] = zipf_sum(first, last, exponent) / all;
		first = last;
	}
}

static double varint_len(double v)
{
	return v < 128 ? 1 : v < 16384 ? 2 : v < 2097152 ? 3 : 4;
}

/* formats/sstable.md: blocks, entries, restarts, trailers, index. */
void simweight_init(struct sim_weight *w, const struct options *o,
		    uint64_t key_bytes, uint64_t value_bytes, double stored)
{
	double longest = (double)(key_bytes + value_bytes);
	double block = (double)o->block_bytes;
	double few = BUILD_ENTRIES_FEW * longest;

	*w = (struct sim_weight){ .value = (double)value_bytes,
				  .key = (double)key_bytes,
				  .stored = stored,
				  .scale = 1,
				  .restart = (double)o->restart_interval,
				  .filter = (double)o->filter_bits / 8 };
	w->put_head = 3 + varint_len(w->value) + 4 / w->restart;
	w->dead_head = 4 + 4 / w->restart;
	/* A block ends when the next entry might not fit: lib/build.c. */
	w->block = block - 29 - longest / 2;
	if (w->block < few && few < 2 * block)
		w->block = few;
	if (w->block < longest)
		w->block = longest;
	/* trailer, count of restarts, an entry of the index */
	w->trailer = 14 + 4 + 14;
}

/*
 * Digits that a key does not share with the one before, if their distance is
 * random and `mean` on average: the last one, and each before it if it is
 * carried into, or leapt over.
 */
static double unshared(double mean, double most)
{
	double digits = 1;

	for (double unit = 10; digits < most; unit *= 10) {
		double more = mean / unit * -expm1(-unit / mean);

		digits += more;
		if (more < 0.001)
			break;
	}
	return digits < most ? digits : most;
}

double simweight_of(const struct sim_weight *w, double puts, double dead)
{
	double n = puts + dead, digits, key, bytes;

	if (n <= 0)
		return 0;
	digits = unshared(n < 1 ? 1 / n : 1, w->key);
	key = digits + (w->key - digits) / w->restart;
	bytes = puts * (w->put_head + w->value) + dead * w->dead_head + n * key;
	return w->scale * (bytes * w->stored + bytes / w->block * w->trailer +
			   n * w->filter);
}
