#include "lib/simload.h"

#include <math.h>

#define ZIPF_EXPONENT 0.99 /* as YCSB has it */
/* Of a time series every tenth record is late. */
#define LATE_PART 0.1
#define LATE_MOST UINT64_C(100000)

/* formats/wal.md */
#define LOG_HEADER 64
#define LOG_BATCH 40
#define LOG_ENTRY 12

void simload_init(struct sim_load *l, const struct sim_config *c,
		  uint64_t present)
{
	uint64_t keys = present + c->records;
	double key = (double)c->key_bytes, value = (double)c->value_bytes;

	*l = (struct sim_load){ .workload = c->workload,
				.records = c->records,
				.updates = c->updates,
				.first = present,
				.deletes = (double)c->deletes / 100 };
	l->late = c->records / 10;
	if (l->late > LATE_MOST)
		l->late = LATE_MOST;
	if (c->workload == SIM_ZIPF)
		simkeys_zipf(&l->keys, keys, ZIPF_EXPONENT);
	else
		simkeys_uniform(&l->keys, keys);
	l->user_bytes[0] = key + value;
	l->user_bytes[1] = key + value * (1 - l->deletes);
	for (int i = 0; i < 2; i++)
		l->write_bytes[i] = LOG_ENTRY + l->user_bytes[i];
}

static bool is_ascending(const struct sim_load *l)
{
	return l->workload == SIM_SEQUENTIAL || l->workload == SIM_TIMESERIES;
}

/* What begins anew begins with an empty log. */
static uint64_t end_of_pass(const struct sim_load *l, uint64_t from)
{
	uint64_t all = simload_writes(l), end;

	if (from < l->records)
		return l->records;
	if (!is_ascending(l))
		return all;
	end = l->records + ((from - l->records) / l->keys.n + 1) * l->keys.n;
	return end < all ? end : all;
}

uint64_t simload_fill(const struct sim_load *l, uint64_t from, uint64_t bytes)
{
	uint64_t end = end_of_pass(l, from);
	double room = (double)bytes - LOG_HEADER - LOG_BATCH;
	double n = floor(room / l->write_bytes[from >= l->records]);

	if (n < 1)
		n = 1;
	return n < (double)(end - from) ? from + (uint64_t)n : end;
}

double simload_user_bytes(const struct sim_load *l, uint64_t from, uint64_t to)
{
	uint64_t middle = from > l->records ? from : l->records;

	if (middle > to)
		middle = to;
	return (double)(middle - from) * l->user_bytes[0] +
	       (double)(to - middle) * l->user_bytes[1];
}

/* ---- spans ---- */

static struct sim_mix *add_span(struct sim_stretch *s, uint64_t low,
				uint64_t end)
{
	struct sim_mix *mix = s->mix[s->n];

	/* Later spans are of later writes. */
	s->spans[s->n] =
		(struct sim_span){ low, end, SIM_LOAD_SPANS - s->n, mix, 0 };
	s->n++;
	return mix;
}

static void add_even(const struct sim_load *l, struct sim_stretch *s,
		     uint64_t low, uint64_t end, struct sim_mix each)
{
	struct sim_mix *mix;

	if (low >= end)
		return;
	mix = add_span(s, low, end);
	for (size_t c = 0; c < l->keys.n_classes; c++)
		mix[c] = each;
}

/*
 * Keys are times.  A late record comes later than its time by as much as
 * chance will have it, up to `late`; so a few of those before `from` come now,
 * and a few of [from, to) do not come yet.
 */
static void fill_series(const struct sim_load *l, struct sim_stretch *s,
			uint64_t from, uint64_t to)
{
	double n = (double)(to - from), late = (double)l->late, old;
	uint64_t back = l->late < from ? from - l->late : 0;

	if (late < 1)
		old = 0;
	else if (n <= late)
		old = LATE_PART * (n - n * n / (2 * late));
	else
		old = LATE_PART * late / 2;
	if (from == back)
		old = 0;
	add_even(l, s, l->first + back, l->first + from,
		 (struct sim_mix){ .fill = old / ((double)(from - back) + 1) });
	add_even(l, s, l->first + from, l->first + to,
		 (struct sim_mix){ .fill = (n - old) / n });
}

static void first_writes(const struct sim_load *l, struct sim_stretch *s,
			 uint64_t from, uint64_t to)
{
	double n = (double)(to - from);

	if (l->workload == SIM_TIMESERIES)
		fill_series(l, s, from, to);
	else if (l->workload == SIM_SEQUENTIAL)
		add_even(l, s, l->first + from, l->first + to,
			 (struct sim_mix){ .fill = 1 });
	else
		add_even(l, s, 0, l->keys.n,
			 (struct sim_mix){ .fill = n / (double)l->keys.n });
}

/* In the order of the keys, again and again. */
static void ascending_updates(const struct sim_load *l, struct sim_stretch *s,
			      uint64_t from, uint64_t to)
{
	struct sim_mix each = { .put = 1 - l->deletes, .dead = l->deletes };
	uint64_t n = l->keys.n, low = from % n, end = low + (to - from);

	if (to - from >= n) {
		add_even(l, s, 0, n, each);
		return;
	}
	add_even(l, s, low, end < n ? end : n, each);
	if (end > n)
		add_even(l, s, 0, end - n, each);
}

/* A key that is hit x times on average is hit at all by 1 - e^-x. */
static void random_updates(const struct sim_load *l, struct sim_stretch *s,
			   uint64_t from, uint64_t to)
{
	const struct sim_keys *k = &l->keys;
	struct sim_mix *mix = add_span(s, 0, k->n);

	for (size_t c = 0; c < k->n_classes; c++) {
		double hit = -expm1(-(double)(to - from) * k->rate[c] /
				    (k->share[c] * (double)k->n));

		mix[c] = (struct sim_mix){ .put = hit * (1 - l->deletes),
					   .dead = hit * l->deletes };
	}
}

void simload_stretch(const struct sim_load *l, uint64_t from, uint64_t to,
		     struct sim_stretch *s)
{
	uint64_t middle = from > l->records ? from : l->records;

	s->n = 0;
	if (middle > to)
		middle = to;
	if (from < middle)
		first_writes(l, s, from, middle);
	if (middle >= to)
		return;
	if (is_ascending(l))
		ascending_updates(l, s, middle - l->records, to - l->records);
	else
		random_updates(l, s, middle, to);
}
