#include "lib/survey.h"

#define DIGIT 10

void survey_release(struct survey *s)
{
	free(s->tables);
	free(s->runs);
	free(s->levels);
	free(s->by_number);
	free(s->trimmed);
	free(s->view.scratch);
	*s = SURVEY_INIT;
}

static int survey_reserve(struct survey *s, const struct manifest *m)
{
	struct lsm_view *v = &s->view;

	for (size_t l = 0; l < m->n_levels; l++) {
		v->n_runs += m->levels[l].n;
		for (size_t r = 0; r < m->levels[l].n; r++)
			v->n_tables += m->levels[l].runs[r].n;
	}
	v->n_levels = m->n_levels;
	/* One more, so that an empty store has arrays, too. */
	s->tables = calloc(v->n_tables + 1, sizeof(*s->tables));
	s->runs = calloc(v->n_runs + 1, sizeof(*s->runs));
	s->levels = calloc(v->n_levels + 1, sizeof(*s->levels));
	s->by_number = calloc(v->n_tables + 1, sizeof(*s->by_number));
	s->trimmed = calloc(v->n_tables + 1, sizeof(*s->trimmed));
	v->scratch = calloc(v->n_tables + 1, sizeof(*v->scratch));
	v->tables = s->tables;
	v->runs = s->runs;
	v->levels = s->levels;
	return s->tables && s->runs && s->levels && s->by_number &&
			       s->trimmed && v->scratch
		       ? 0
		       : -1;
}

static struct lsm_key key_of(const struct buf *b)
{
	return (struct lsm_key){ b->data, b->len };
}

static void fill_run(struct survey *s, const struct run *run, size_t *t,
		     struct lsm_run *out, uint32_t level, uint32_t index)
{
	*out = (struct lsm_run){ .first = *t, .n = run->n };
	for (size_t i = 0; i < run->n; i++) {
		const struct table_meta *m = &run->tables[i];
		struct lsm_table *at = &s->tables[*t];

		s->trimmed[(*t)++] = m->trimmed;
		*at = (struct lsm_table){
			.number = m->number,
			.level = level,
			.run = index,
			.age_first = m->age_first,
			.age_last = m->age_last,
			.bytes = m->bytes,
			.entries = m->entries,
			.tombstones = m->tombstones,
			.oldest_tombstone_ms = m->oldest_tombstone_ms,
			.created_ms = m->created_ms,
			.smallest = key_of(&m->smallest),
			.largest = key_of(&m->largest),
		};
		out->bytes += m->bytes;
	}
}

static void fill(struct survey *s, const struct manifest *m)
{
	size_t t = 0, r = 0;

	for (size_t l = 0; l < m->n_levels; l++) {
		struct lsm_level *level = &s->levels[l];

		level->first = r;
		level->n = m->levels[l].n;
		for (size_t i = 0; i < level->n; i++, r++) {
			fill_run(s, &m->levels[l].runs[i], &t, &s->runs[r],
				 (uint32_t)l, (uint32_t)i);
			level->bytes += s->runs[r].bytes;
		}
	}
}

/* The ends of a table's range, by their first bytes where these differ. */
struct ends {
	uint64_t smallest, largest;
};

static int cmp_end(uint64_t x_prefix, struct lsm_key x, uint64_t y_prefix,
		   struct lsm_key y)
{
	if (x_prefix != y_prefix)
		return x_prefix < y_prefix ? -1 : 1;
	return slice_cmp(survey_key(x), survey_key(y));
}

/* Two runs side by side: each table of `above` is told what it meets. */
static void add_overlap(struct survey *s, const struct ends *ends,
			const struct lsm_run *above,
			const struct lsm_run *below)
{
	size_t i = above->first, j = below->first;

	while (i < above->first + above->n && j < below->first + below->n) {
		struct lsm_table *a = &s->tables[i];
		const struct lsm_table *b = &s->tables[j];

		if (cmp_end(ends[i].largest, a->largest, ends[j].smallest,
			    b->smallest) >= 0 &&
		    cmp_end(ends[j].largest, b->largest, ends[i].smallest,
			    a->smallest) >= 0)
			a->overlap_below += b->bytes;
		if (cmp_end(ends[i].largest, a->largest, ends[j].largest,
			    b->largest) < 0)
			i++;
		else
			j++;
	}
}

static int fill_overlaps(struct survey *s)
{
	const struct lsm_view *v = &s->view;
	struct ends *ends = calloc(v->n_tables + 1, sizeof(*ends));

	if (!ends)
		return -1;
	for (size_t i = 0; i < v->n_tables; i++)
		ends[i] = (struct ends){
			slice_prefix(survey_key(s->tables[i].smallest)),
			slice_prefix(survey_key(s->tables[i].largest))
		};
	for (size_t l = 0; l + 1 < v->n_levels; l++) {
		size_t below = l + 1;

		while (v->levels[below].n == 0)
			below++; /* the last level has runs */
		for (size_t i = 0; i < v->levels[l].n; i++)
			for (size_t j = 0; j < v->levels[below].n; j++)
				add_overlap(
					s, ends,
					&v->runs[v->levels[l].first + i],
					&v->runs[v->levels[below].first + j]);
	}
	free(ends);
	return 0;
}

static size_t digit_of(const struct survey *s, size_t table, unsigned shift)
{
	return s->tables[table].number >> shift & ((1 << DIGIT) - 1);
}

/*
 * By digits of DIGIT bits, the lowest first: numbers are drawn one after the
 * other, so few digits tell them apart, and a view is made for each job.
 */
static int sort_by_number(struct survey *s)
{
	size_t *from = s->by_number, n = s->view.n_tables;
	size_t *room = calloc(n + 1, sizeof(*room)), *to = room;
	size_t begin[1 << DIGIT];
	uint64_t largest = 0;

	if (!room)
		return -1;
	for (size_t i = 0; i < n; i++) {
		from[i] = i;
		if (s->tables[i].number > largest)
			largest = s->tables[i].number;
	}
	for (unsigned shift = 0; shift < 64 && largest >> shift;
	     shift += DIGIT) {
		size_t *sorted = to, at = 0;

		memset(begin, 0, sizeof(begin));
		for (size_t i = 0; i < n; i++)
			begin[digit_of(s, from[i], shift)]++;
		for (size_t d = 0; d < 1 << DIGIT; d++) {
			size_t count = begin[d];

			begin[d] = at;
			at += count;
		}
		for (size_t i = 0; i < n; i++)
			to[begin[digit_of(s, from[i], shift)]++] = from[i];
		to = from;
		from = sorted;
	}
	if (from == room)
		memcpy(s->by_number, room, n * sizeof(*room));
	free(room);
	return 0;
}

static void fill_claims(struct survey *s, const struct survey_facts *f)
{
	for (size_t i = 0; i < f->n_claimed; i++) {
		size_t at = survey_find(s, f->claimed[i]);
		struct lsm_table *t = &s->tables[at];

		if (at == s->view.n_tables)
			continue;
		t->claimed = true;
		s->runs[s->levels[t->level].first + t->run].claimed = true;
		s->levels[t->level].claimed = true;
	}
}

int survey_make(struct survey *s, const struct manifest *m,
		const struct survey_facts *facts, struct store_error *err)
{
	struct lsm_view *v = &s->view;

	if (survey_reserve(s, m) < 0) {
		survey_release(s);
		return store_nomem(err);
	}
	fill(s, m);
	if (fill_overlaps(s) < 0 || sort_by_number(s) < 0) {
		survey_release(s);
		return store_nomem(err);
	}
	fill_claims(s, facts);
	v->max_levels = MANIFEST_MAX_LEVELS;
	v->write_buffer = m->options.write_buffer;
	v->level0_runs = m->options.level0_runs;
	v->level0_bytes = m->options.level0_bytes;
	v->level_ratio = m->options.level_ratio;
	v->table_bytes = m->options.table_bytes;
	v->table_bytes_max = m->options.table_bytes_max;
	v->job_bytes = m->options.job_bytes;
	v->options = facts->options;
	v->log_bytes = facts->log_bytes;
	v->log_created_ms = facts->log_created_ms;
	v->flushed_bytes = m->flushed_bytes;
	for (size_t i = 0; i < MANIFEST_MAX_LEVELS; i++)
		v->compacted_bytes += m->compacted_bytes[i];
	v->now_ms = facts->now_ms;
	v->free_disk = facts->free_disk;
	v->oldest_pin = facts->oldest_pin;
	v->generation = m->generation;
	v->trigger = facts->trigger;
	return 0;
}

size_t survey_find(const struct survey *s, uint64_t number)
{
	size_t low = 0, high = s->view.n_tables;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->tables[s->by_number[mid]].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < s->view.n_tables &&
	    s->tables[s->by_number[low]].number == number)
		return s->by_number[low];
	return s->view.n_tables;
}
