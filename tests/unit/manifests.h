/*
 * manifests.h - manifests for tests: a small one that is always the same, and
 * random ones that keep every invariant.
 */
#ifndef TESTS_UNIT_MANIFESTS_H
#define TESTS_UNIT_MANIFESTS_H

#include "formats/manifest.h"

#include <stdio.h>

static inline uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Tests have memory. */
static inline void must(int r)
{
	if (r < 0)
		abort();
}

static inline struct table_meta make_table(uint64_t number, uint64_t age_first,
					   uint64_t age_last,
					   const char *smallest,
					   const char *largest)
{
	struct table_meta t = { .number = number,
				.age_first = age_first,
				.age_last = age_last,
				.bytes = 1000 * number,
				.entries = 100,
				.created_ms = 1700000000000,
				.checksum = 1000 + number };

	must(buf_assign(&t.smallest, slice_str(smallest)));
	must(buf_assign(&t.largest, slice_str(largest)));
	return t;
}

static inline void add_run(struct manifest *m, uint32_t level,
			   struct table_meta *t, size_t n)
{
	must(manifest_add_run(m, level, t, n, NULL));
	for (size_t i = 0; i < n; i++)
		table_meta_release(&t[i]);
}

static inline struct setting make_setting(const char *name, const char *value)
{
	return (struct setting){ strdup(name), strdup(value) };
}

static inline void start_manifest(struct manifest *m)
{
	options_default(&m->options);
	m->strategy = strdup("leveled");
	m->settings = calloc(2, sizeof(*m->settings));
	m->settings[0] = make_setting("a", "");
	m->settings[1] = make_setting("ratio", "10");
	m->n_settings = 2;
}

/*
 *	level 0: run { 11 k10..k50 }, run { 10 k00..k55 }
 *	level 1: run { 4 k01..k10, 5 k20..k30, 6 k40..k50 }
 *	logs 30 (sealed), 31; dropped 2, 3; generation 7, next number 90
 */
static inline void small_manifest(struct manifest *m)
{
	struct table_meta old[] = {
		make_table(1, 1, 3, "k01", "k10"),
		make_table(5, 1, 3, "k20", "k30"),
		make_table(6, 1, 3, "k40", "k50"),
	};
	struct table_meta mid = make_table(10, 8, 8, "k00", "k55");
	struct table_meta new = make_table(11, 12, 12, "k10", "k50");

	old[0].number = 4;
	old[0].checksum = 1001;
	start_manifest(m);
	for (size_t i = 0; i < sizeof(m->uuid); i++)
		m->uuid[i] = (uint8_t)(17 * i);
	m->generation = 7;
	m->next_number = 90;
	m->created_ms = 1700000000000;
	add_run(m, 1, old, 3);
	add_run(m, 0, &mid, 1);
	add_run(m, 0, &new, 1);
	must(manifest_add_log(m, 30, 1700000050000, NULL));
	must(manifest_seal_log(m, 30, 4096, 0xfeedULL, NULL));
	must(manifest_add_log(m, 31, 1700000060000, NULL));
	m->flushed_bytes = 12345;
	m->compacted_bytes[1] = 5;
	m->dropped = calloc(2, sizeof(*m->dropped));
	m->dropped[0] = (struct dropped){ 2, 5 };
	m->dropped[1] = (struct dropped){ 3, 6 };
	m->n_dropped = 2;
}

static inline int cmp_bufs(const void *a, const void *b)
{
	return slice_cmp(buf_slice(a), buf_slice(b));
}

/* Short and long, text and not, many with long prefixes in common. */
static inline void random_key(struct buf *key, uint64_t *s)
{
	size_t len = 1 + next_random(s) % 12;
	uint64_t kind = next_random(s) % 8;

	if (next_random(s) % 40 == 0)
		len += next_random(s) % 9000;
	if (kind < 3)
		must(buf_append(key, "shared prefix", 13));
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)(next_random(s) >> 20);

		must(buf_append_u8(key, kind & 1   ? 'a' + c % 26
					: kind & 2 ? c & 1
						   : c));
	}
}

/* `n` tables between 2n different keys, ascending. */
static inline void random_run(struct manifest *m, uint32_t level, size_t n,
			      uint64_t age, uint64_t *s)
{
	struct buf *keys = calloc(2 * n, sizeof(*keys));
	struct table_meta *t = calloc(n, sizeof(*t));
	size_t kept = 0;

	for (size_t i = 0; i < 2 * n; i++)
		random_key(&keys[i], s);
	qsort(keys, 2 * n, sizeof(*keys), cmp_bufs);
	for (size_t i = 0; i + 1 < 2 * n; i += 2) {
		/* the gap to the table before must be a real one */
		if (kept && cmp_bufs(&t[kept - 1].largest, &keys[i]) >= 0)
			continue;
		t[kept] = (struct table_meta){
			.number = m->next_number++,
			.age_first = age - next_random(s) % 3,
			.age_last = age,
			.bytes = 1 + next_random(s) % 1000000,
			.entries = 5 + next_random(s) % 1000,
			.tombstones = next_random(s) % 5,
			.created_ms = next_random(s) % NUMBER_MAX,
			.checksum = next_random(s),
			.trimmed = next_random(s) % 4 == 0,
		};
		must(buf_assign(&t[kept].smallest, buf_slice(&keys[i])));
		must(buf_assign(&t[kept].largest, buf_slice(&keys[i + 1])));
		kept++;
	}
	add_run(m, level, t, kept);
	for (size_t i = 0; i < 2 * n; i++)
		buf_free(&keys[i]);
	free(keys);
	free(t);
}

/* About `tables` tables over several levels; passes manifest_check(). */
static inline void random_manifest(struct manifest *m, uint64_t seed,
				   size_t tables)
{
	uint64_t s = seed * 0x9e3779b97f4a7c15u;
	uint64_t age = 100000;
	uint32_t level = 0;

	start_manifest(m);
	for (size_t i = 0; i < sizeof(m->uuid); i++)
		m->uuid[i] = (uint8_t)(next_random(&s) >> 9);
	m->generation = 1 + next_random(&s) % NUMBER_MAX;
	m->created_ms = next_random(&s) % NUMBER_MAX;
	m->next_number = 200000;
	m->options.compression = next_random(&s) % 3;
	m->options.filter_bits = next_random(&s) % 33;
	while (tables) {
		size_t n = 1 + next_random(&s) % tables;

		random_run(m, level, n, age, &s);
		age -= 10;
		tables -= n;
		level += next_random(&s) % 3 == 0;
	}
	for (uint64_t i = next_random(&s) % 4; i; i--) {
		uint64_t n = m->next_number++;

		must(manifest_add_log(m, n, next_random(&s) % NUMBER_MAX,
				      NULL));
		if (i > 1 || next_random(&s) % 2)
			must(manifest_seal_log(m, n,
					       next_random(&s) % NUMBER_MAX,
					       next_random(&s), NULL));
	}
	m->flushed_bytes = next_random(&s) % NUMBER_MAX;
	m->compacted_bytes[next_random(&s) % MANIFEST_MAX_LEVELS] = 12;
}

static inline bool same_table(const struct table_meta *a,
			      const struct table_meta *b)
{
	return a->number == b->number && a->age_first == b->age_first &&
	       a->age_last == b->age_last && a->bytes == b->bytes &&
	       a->entries == b->entries && a->tombstones == b->tombstones &&
	       a->oldest_tombstone_ms == b->oldest_tombstone_ms &&
	       a->created_ms == b->created_ms && a->checksum == b->checksum &&
	       a->trimmed == b->trimmed &&
	       slice_eq(buf_slice(&a->smallest), buf_slice(&b->smallest)) &&
	       slice_eq(buf_slice(&a->largest), buf_slice(&b->largest));
}

static inline bool same_levels(const struct manifest *a,
			       const struct manifest *b)
{
	if (a->n_levels != b->n_levels)
		return false;
	for (size_t l = 0; l < a->n_levels; l++) {
		if (a->levels[l].n != b->levels[l].n)
			return false;
		for (size_t r = 0; r < a->levels[l].n; r++) {
			const struct run *x = &a->levels[l].runs[r];
			const struct run *y = &b->levels[l].runs[r];

			if (x->n != y->n)
				return false;
			for (size_t i = 0; i < x->n; i++)
				if (!same_table(&x->tables[i], &y->tables[i]))
					return false;
		}
	}
	return true;
}

static inline bool same_manifest(const struct manifest *a,
				 const struct manifest *b)
{
	bool same = !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
		    a->generation == b->generation &&
		    a->next_number == b->next_number &&
		    a->created_ms == b->created_ms &&
		    !memcmp(&a->options, &b->options, sizeof(a->options)) &&
		    !strcmp(a->strategy, b->strategy) &&
		    a->n_settings == b->n_settings &&
		    a->flushed_bytes == b->flushed_bytes &&
		    !memcmp(a->compacted_bytes, b->compacted_bytes,
			    sizeof(a->compacted_bytes)) &&
		    a->n_logs == b->n_logs && a->n_dropped == b->n_dropped;

	for (size_t i = 0; same && i < a->n_settings; i++)
		same = !strcmp(a->settings[i].name, b->settings[i].name) &&
		       !strcmp(a->settings[i].value, b->settings[i].value);
	for (size_t i = 0; same && i < a->n_logs; i++)
		same = a->logs[i].number == b->logs[i].number &&
		       a->logs[i].sealed == b->logs[i].sealed &&
		       a->logs[i].created_ms == b->logs[i].created_ms &&
		       a->logs[i].length == b->logs[i].length &&
		       a->logs[i].checksum == b->logs[i].checksum;
	return same && same_levels(a, b);
}

#endif
