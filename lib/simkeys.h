/*
 * simkeys.h - the keys of a simulated store, and what tables hold of them.
 *
 * No key and no entry is simulated, only how many there are.  Keys are the
 * numbers from 0 up, and stand in tables as eight bytes.  They fall into
 * classes, by how often they are written: the keys of a class are alike, and
 * spread evenly over all keys.  What a table holds is told by shares, for each
 * class: of the keys in the table's range so many have an entry in it.
 *
 * Which keys of a class these are is left to chance, so of two tables that
 * hold a and b of them a * b have an entry in both.  Only of the first writes
 * of keys, `fill`, no key has two.  So a mix is the expected outcome of any
 * merge of random writes, exactly, without knowing one of them.
 */
#ifndef LIB_SIMKEYS_H
#define LIB_SIMKEYS_H

#include "formats/options.h"
#include "plugins/strategy.h"

#define SIM_CLASSES_MAX 128
#define SIM_KEY 8 /* bytes */

/*
 * Of the keys of a class: shares that were written later than for the first
 * time, and whose newest such entry is a put, or a tombstone; and the share
 * whose first write is here, whether it is overwritten here or not.
 */
struct sim_mix {
	double fill, put, dead;
};

static inline double mix_touched(const struct sim_mix *m)
{
	return m->put + m->dead;
}

/* Shares of the keys that have an entry here: a put, of either kind. */
static inline double mix_puts(const struct sim_mix *m)
{
	return m->put + m->fill * (1 - mix_touched(m));
}

/* What is `newer` is merged over `m`. */
static inline void mix_merge(struct sim_mix *m, const struct sim_mix *newer)
{
	double rest = 1 - mix_touched(newer);

	m->put = newer->put + rest * m->put;
	m->dead = newer->dead + rest * m->dead;
	m->fill += newer->fill;
	if (m->fill > 1)
		m->fill = 1;
}

/* Tombstones go, with what they hide. */
static inline void mix_drop(struct sim_mix *m)
{
	double left = m->fill * (1 - mix_touched(m));

	m->dead = 0;
	m->fill = m->put < 1 ? left / (1 - m->put) : 0;
	if (m->fill > 1)
		m->fill = 1;
}

struct sim_keys {
	uint64_t n; /* in all, at least 1 */
	size_t n_classes;
	double share[SIM_CLASSES_MAX]; /* of all keys; they add up to 1 */
	double rate[SIM_CLASSES_MAX];  /* of random writes; likewise */
};

/* All keys are written alike. */
void simkeys_uniform(struct sim_keys *k, uint64_t n);
/* The key of rank i, counted from 1, is written 1/i^exponent as often. */
void simkeys_zipf(struct sim_keys *k, uint64_t n, double exponent);

/* ---- what an entry weighs in a table ---- */

struct sim_weight {
	double value;	 /* bytes of a value as it is stored */
	double key;	 /* of a key */
	double put_head; /* of an entry's head, and what comes with it */
	double dead_head;
	double block;	/* bytes of a block that are entries */
	double trailer; /* that come with a block */
	double restart; /* keys from one whole key to the next */
	double stored;	/* part of a block that compression leaves */
	double filter;	/* bytes of the filter for a key */
	double scale;	/* what a real store was seen to need of this */
};

/* What a table of no entries would weigh. */
#define SIM_TABLE_BYTES 500

void simweight_init(struct sim_weight *w, const struct options *o,
		    uint64_t key_bytes, uint64_t value_bytes, double stored);

/*
 * Bytes of a key's entries, if so many of them are puts and tombstones.  Keys
 * are taken to be decimal digits, of which neighbours share all but as many
 * as the distance between them has.
 */
double simweight_of(const struct sim_weight *w, double puts, double dead);

/* ---- as a key in a view ---- */

static inline void sim_key_write(uint8_t *bytes, uint64_t key)
{
	for (int i = 0; i < SIM_KEY; i++)
		bytes[i] = (uint8_t)(key >> (56 - 8 * i));
}

static inline uint64_t sim_key_read(struct lsm_key k)
{
	uint64_t key = 0;

	for (size_t i = 0; i < SIM_KEY && i < k.len; i++)
		key = key << 8 | k.data[i];
	return key;
}

#endif
