/*
 * inspect_stat(): a store in figures, for lsm-stat.
 */
#include "lib/inspect.h"

#include "lib/inspectdump.h"
#include "lib/inspectstore.h"
#include "lib/pressure.h"

#include <assert.h>

/* Ranges of LOCK that are looked at; more are not told. */
#define RANGES_MAX 4096
/* A Bloom filter of one bit a key, used well, is wrong so often. */
#define WRONG_A_BIT 0.6185

/* ---- locks ---- */

static int stat_roles(struct inspection *in, struct stat_report *s,
		      struct store_error *err)
{
	struct store *db = in->db;
	struct hint h;

	static_assert(STAT_LOCKS == ROLES, "inspect.h repeats lib/lock.h");
	for (int i = 0; i < ROLES; i++) {
		struct stat_lock *l = &s->locks[i];
		int held = lock_held(&db->lock, (enum lock_role)i, err);

		if (held < 0)
			return held;
		l->role = dump_role_name((enum lock_role)i);
		l->held = held;
		if (db->state_open &&
		    dump_hint(&db->state, (enum lock_role)i, &h)) {
			memcpy(l->tool, h.tool, sizeof(l->tool));
			l->tool[sizeof(l->tool) - 1] = '\0';
			l->pid = h.pid;
		}
	}
	s->n_locks = ROLES;
	return 0;
}

/* Generations under a pin; before we pin one ourselves. */
static int stat_pins(struct inspection *in, struct stat_report *s,
		     struct store_error *err)
{
	uint64_t at = LOCK_PIN, start, end;
	int r;

	s->pins = calloc(RANGES_MAX, sizeof(*s->pins));
	if (!s->pins)
		return store_nomem(err);
	while (s->n_pins < RANGES_MAX) {
		r = lock_next(&in->db->lock, at, INT64_MAX, &start, &end, err);
		if (r <= 0)
			return r;
		s->pins[s->n_pins++] =
			(struct stat_pin){ start - LOCK_PIN, end - LOCK_PIN };
		at = end;
	}
	return 0;
}

/* What file `number` is to who claims it; *run: the table's, or n_runs. */
static enum stat_claimed what_is(const struct manifest *m, uint64_t number,
				 size_t *level, size_t *run)
{
	size_t index;

	if (manifest_find_table(m, number, level, run, &index))
		return STAT_TABLE;
	if (manifest_find_log(m, number))
		return STAT_LOG;
	for (size_t i = 0; i < m->n_dropped; i++)
		if (m->dropped[i].number == number)
			return STAT_DROPPED;
	return STAT_NEW;
}

static void count_claim(struct inspection *in, struct stat_report *s,
			uint64_t number)
{
	struct stat_claim *c = &s->claims[s->n_claims++];
	size_t level = 0, run = 0, at = 0;

	c->number = number;
	c->what = what_is(&in->m, number, &level, &run);
	if (c->what != STAT_TABLE)
		return;
	for (size_t l = 0; l < level; l++)
		at += in->m.levels[l].n;
	s->runs[at + run].claimed++;
	if (!s->pressure.table_under_work)
		s->pressure.table_under_work = number;
}

static int stat_claims(struct inspection *in, struct stat_report *s,
		       struct store_error *err)
{
	uint64_t at = LOCK_CLAIM, start, end;
	int r;

	s->claims = calloc(RANGES_MAX, sizeof(*s->claims));
	if (!s->claims)
		return store_nomem(err);
	for (;;) {
		r = lock_next(&in->db->lock, at, LOCK_PIN, &start, &end, err);
		if (r <= 0)
			return r;
		for (at = start; at < end; at++) {
			if (s->n_claims == RANGES_MAX)
				return 0;
			count_claim(in, s, at - LOCK_CLAIM);
		}
	}
}

/* ---- files ---- */

static void add_table(struct stat_run *run, const struct table_meta *t)
{
	run->tables++;
	run->bytes += t->bytes;
	run->entries += t->entries;
	run->tombstones += t->tombstones;
	if (t->oldest_tombstone_ms &&
	    (!run->oldest_tombstone_ms ||
	     t->oldest_tombstone_ms < run->oldest_tombstone_ms))
		run->oldest_tombstone_ms = t->oldest_tombstone_ms;
}

static int stat_runs(const struct manifest *m, struct stat_report *s,
		     struct store_error *err)
{
	size_t n = 0;

	for (size_t l = 0; l < m->n_levels; l++)
		n += m->levels[l].n;
	s->n_levels = m->n_levels;
	s->runs = calloc(n + 1, sizeof(*s->runs));
	if (!s->runs)
		return store_nomem(err);
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t i = 0; i < m->levels[l].n; i++) {
			const struct run *run = &m->levels[l].runs[i];
			struct stat_run *out = &s->runs[s->n_runs++];

			out->level = (uint32_t)l;
			for (size_t t = 0; t < run->n; t++)
				add_table(out, &run->tables[t]);
		}
	return 0;
}

/* 0 when it is not there. */
static uint64_t size_of(struct inspection *in, enum file_kind kind,
			uint64_t number)
{
	char name[NAME_SIZE];
	struct stat st;

	name_make(name, kind, number);
	if (os.fstatat(in->db->dir.fd, name, &st) < 0)
		return 0;
	return (uint64_t)st.st_size;
}

static int stat_files(struct inspection *in, struct stat_report *s,
		      struct store_error *err)
{
	const struct manifest *m = &in->m;

	s->logs = calloc(m->n_logs + 1, sizeof(*s->logs));
	if (!s->logs)
		return store_nomem(err);
	for (; s->n_logs < m->n_logs; s->n_logs++) {
		const struct log_meta *l = &m->logs[s->n_logs];

		s->logs[s->n_logs] = (struct stat_log){
			.number = l->number,
			.sealed = l->sealed,
			.bytes = l->sealed ? l->length
					   : size_of(in, FILE_WAL, l->number),
		};
	}
	for (size_t i = 0; i < m->n_dropped; i++) {
		uint64_t number = m->dropped[i].number;
		uint64_t bytes = size_of(in, FILE_SST, number) +
				 size_of(in, FILE_WAL, number);

		s->dropped += bytes > 0;
		s->dropped_bytes += bytes;
	}
	return 0;
}

/* ---- what follows from it ---- */

static bool overlaps(const struct run *run, const struct table_meta *t)
{
	size_t low = 0, high = run->n;

	/* The first of its tables that does not end before `t`. */
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (slice_cmp(buf_slice(&run->tables[mid].largest),
			      buf_slice(&t->smallest)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < run->n && slice_cmp(buf_slice(&run->tables[low].smallest),
					 buf_slice(&t->largest)) <= 0;
}

/*
 * Bytes of the tables that overlap no larger run: as if what is in the others
 * were there twice.
 */
static uint64_t bytes_once(const struct manifest *m,
			   const struct stat_report *s)
{
	const struct run **runs = calloc(s->n_runs + 1, sizeof(*runs));
	uint64_t once = 0;
	size_t n = 0;

	if (!runs)
		return 0;
	for (size_t l = 0; l < m->n_levels; l++)
		for (size_t i = 0; i < m->levels[l].n; i++)
			runs[n++] = &m->levels[l].runs[i];
	for (size_t i = 0; i < n; i++)
		for (size_t t = 0; t < runs[i]->n; t++) {
			uint64_t mine = s->runs[i].bytes;
			size_t k = 0;

			/* Of two of one size the later one is the larger. */
			while (k < n &&
			       !(k != i &&
				 (s->runs[k].bytes > mine ||
				  (s->runs[k].bytes == mine && k > i)) &&
				 overlaps(runs[k], &runs[i]->tables[t])))
				k++;
			if (k == n)
				once += runs[i]->tables[t].bytes;
		}
	free(runs);
	return once;
}

static void estimate(const struct manifest *m, struct stat_report *s)
{
	uint64_t written = s->flushed_bytes, bytes = 0, once;
	double wrong = 1;

	for (size_t i = 0; i < s->n_compacted; i++)
		written += s->compacted_bytes[i];
	for (size_t i = 0; i < s->n_runs; i++)
		bytes += s->runs[i].bytes;
	for (uint64_t i = 0; i < m->options.filter_bits; i++)
		wrong *= WRONG_A_BIT;
	if (s->flushed_bytes)
		s->write_amplification =
			(double)written / (double)s->flushed_bytes;
	once = bytes_once(m, s);
	if (once)
		s->space_amplification = (double)bytes / (double)once;
	s->lookup_runs = s->n_runs + s->n_logs;
	s->lookup_blocks = wrong * (double)s->n_runs;
}

static int stat_manifest(struct inspection *in, struct stat_report *s,
			 struct store_error *err)
{
	const struct manifest *m = &in->m;
	uint64_t sealed = 0, bytes0 = 0, runs0 = 0;
	int r;

	s->generation = m->generation;
	s->created_ms = m->created_ms;
	s->now_ms = os.now_ms();
	s->trusted = !in->db->private;
	s->free_disk = os.free_bytes(in->db->dir.fd);
	s->flushed_bytes = m->flushed_bytes;
	memcpy(s->strategy, m->strategy,
	       strnlen(m->strategy, sizeof(s->strategy) - 1));
	s->compacted_bytes = calloc(MANIFEST_MAX_LEVELS, sizeof(uint64_t));
	if (!s->compacted_bytes)
		return store_nomem(err);
	for (size_t i = 0; i < MANIFEST_MAX_LEVELS; i++) {
		s->compacted_bytes[i] = m->compacted_bytes[i];
		if (m->compacted_bytes[i])
			s->n_compacted = i + 1;
	}
	r = stat_runs(m, s, err);
	if (r == 0)
		r = stat_files(in, s, err);
	for (size_t i = 0; r == 0 && i < s->n_runs && !s->runs[i].level; i++) {
		runs0++;
		bytes0 += s->runs[i].bytes;
	}
	for (size_t i = 0; r == 0 && i < s->n_logs; i++)
		sealed += s->logs[i].sealed;
	s->pressure = pressure_of(&m->options, runs0, bytes0, sealed);
	if (r == 0)
		estimate(m, s);
	return r;
}

int inspect_stat(const char *dir, int64_t timeout_ms, struct stat_report *out,
		 struct store_error *err)
{
	struct inspection in = INSPECTION_INIT;
	int r = inspection_open(&in, dir, timeout_ms, err);

	if (r < 0)
		return r;
	if (in.locked) {
		r = stat_roles(&in, out, err);
		if (r == 0)
			r = stat_pins(&in, out, err);
	}
	if (r == 0)
		r = inspection_read(&in, err);
	if (r == 0)
		r = stat_manifest(&in, out, err);
	if (r == 0 && in.locked)
		r = stat_claims(&in, out, err);
	inspection_close(&in);
	if (r < 0)
		inspect_stat_release(out);
	return r;
}

void inspect_stat_release(struct stat_report *s)
{
	free(s->compacted_bytes);
	free(s->runs);
	free(s->logs);
	free(s->claims);
	free(s->pins);
	*s = STAT_REPORT_INIT;
}
