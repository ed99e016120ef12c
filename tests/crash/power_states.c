#include "tests/crash/power_states.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many are told in full, and so many are enough. */
#define SHOWN_FAILURES 3
#define MANY_FAILURES 10
/* Of a long write, so many places are tried to tear it. */
#define TEARS 12
/* Of living memory the last few pending events are varied one by one. */
#define LIVING_FOCUS 6

/* A walk along one trace. */
struct walk {
	struct states *s;
	const struct history *h;
	const struct trace *t;
	struct disk disk;
	uint32_t floor, ceil;
	bool rotating, building, again;
	struct fs_boot boot; /* before the failure */
};

void states_init(struct states *s)
{
	*s = (struct states){ .random = 6, .resample = 1999 };
}

void states_release(struct states *s)
{
	free(s->seen);
	s->seen = NULL;
}

static struct seen *find(struct states *s, uint64_t hash)
{
	size_t i = hash & (s->cap_seen - 1);

	while (s->seen[i].hash && s->seen[i].hash != hash)
		i = (i + 1) & (s->cap_seen - 1);
	return &s->seen[i];
}

static struct seen *seen(struct states *s, uint64_t hash)
{
	struct seen *old = s->seen;
	size_t cap = s->cap_seen;

	if (2 * (s->n_seen + 1) > cap) {
		s->cap_seen = cap ? 2 * cap : 1 << 16;
		s->seen = xrealloc(NULL, s->cap_seen * sizeof(*s->seen));
		memset(s->seen, 0, s->cap_seen * sizeof(*s->seen));
		for (size_t i = 0; i < cap; i++)
			if (old[i].hash)
				*find(s, old[i].hash) = old[i];
		free(old);
	}
	return find(s, hash);
}

/*
 * After the failure: another boot; or the same one, the filesystem mounted
 * again, with an id that tells, or with the old one and a cold cache.
 */
static struct fs_boot reboot(struct fs_boot was, uint64_t hash)
{
	switch (hash >> 60 & 3) {
	case 0:
		was.mount++;
		was.unique = true;
		break;
	case 1:
		was.unique = false;
		was.cold = true;
		break;
	default:
		was.boot++;
		was.unique = hash >> 59 & 1;
		break;
	}
	return was;
}

static void explain(const struct walk *w, const struct cut *c, uint64_t hash)
{
	const struct disk *d = &w->disk;

	printf("# state %016" PRIx64 " at event %zu of %zu, %s names, %s\n",
	       hash, d->at, w->t->n,
	       d->profile == DISK_WEAK ? "weak" : "ordered",
	       w->again ? "in a recovery" : "in the workload");
	printf("# acknowledged %" PRIu32 ", begun %" PRIu32 "; %s boot%s\n",
	       w->floor, w->ceil, fs.boot.boot == w->boot.boot ? "same" : "new",
	       fs.boot.cold ? ", cold" : "");
	printf("# cut: base %" PRIu64 " unit %u inode %" PRIu32
	       " units %" PRIu64 "-%" PRIu64 " until %" PRIu64
	       " length %" PRIu64 "/%d names %d/%zu random %" PRIx64 "\n",
	       c->base, c->unit, c->inode, c->first, c->end, c->until,
	       c->length_until, c->lengths, c->names, c->name_event, c->random);
	for (size_t i = 0; i < d->n_pending; i++) {
		const struct event *e = &w->t->events[d->pending[i]];

		printf("#   %zu: kind %d inode %" PRIu32 " %s %s off %" PRIu64
		       " len %" PRIu64 "\n",
		       d->pending[i], e->kind, e->inode, e->name, e->to, e->off,
		       e->len);
	}
}

static void check_again(struct walk *w, const struct cut *c, int64_t n);

/* One state: make it, and unless it was met before, recover it. */
static void visit(struct walk *w, const struct cut *c)
{
	struct states *s = w->s;
	uint64_t hash = disk_state(&w->disk, c);
	struct seen *e = seen(s, hash);
	struct fs_boot boot = fs.boot;

	s->count.made++;
	if (e->hash) {
		/* The same bytes come up the same: was that enough here? */
		if (e->n < 0 || (e->n >= w->floor && e->n <= w->ceil))
			return;
	} else {
		s->n_seen++;
		s->count.distinct++;
		s->count.rotating += w->rotating;
		s->count.building += w->building && !w->rotating;
		s->count.again += w->again;
	}
	fs.boot = reboot(w->boot, hash);
	e->hash = hash;
	e->n = history_check(w->h, w->floor, w->ceil, hash % 8 == 0);
	if (e->n < 0 && s->failures++ < SHOWN_FAILURES)
		explain(w, c, hash);
	if (e->n >= 0 && !w->again && s->resample &&
	    s->count.distinct % s->resample == 0)
		check_again(w, c, e->n);
	fs.boot = boot;
}

/* The same state once more, and the power fails while it recovers. */
static void check_again(struct walk *w, const struct cut *c, int64_t n)
{
	struct trace t = TRACE_INIT;
	struct history h;
	struct disk base;
	struct cut all = CUT_INIT;
	struct fs_boot boot = fs.boot;

	history_init(&h, &w->h->models[n], 6000);
	disk_state(&w->disk, c);
	fs.boot = boot;
	disk_init(&base, &t, w->disk.profile);
	if (history_resume(&h, &t) < 0) {
		w->s->failures++;
	} else {
		disk_state(&base, &all);
		fs.boot = boot;
		states_check(w->s, &h, &t, w->disk.profile, true);
	}
	disk_release(&base);
	history_release(&h);
	trace_release(&t);
}

/* Bytes and names, each none or all, and lengths without bytes. */
static void visit_whole(struct walk *w)
{
	static const uint64_t bases[] = { NEVER, 0 };
	struct disk *d = &w->disk;
	struct cut c = CUT_INIT;

	for (int b = 0; b < 2; b++)
		for (int l = 0; l <= (b == 1); l++) {
			c.base = bases[b];
			c.lengths = l ? LENGTHS_AS_DATA : LENGTHS_ALL;
			c.names = NAMES_ALL;
			visit(w, &c);
			c.names = NAMES_NONE;
			visit(w, &c);
			for (size_t i = 0; i < d->n_pending; i++) {
				c.name_event = d->pending[i];
				if (!event_is_name(&w->t->events[c.name_event]))
					continue;
				c.names = NAMES_BEFORE;
				visit(w, &c);
				if (d->profile == DISK_ORDERED)
					continue;
				c.names = NAMES_BUT;
				visit(w, &c);
				c.names = NAMES_ONLY;
				visit(w, &c);
			}
		}
}

/*
 * One write: lost, or cut off before or behind a unit, or with that unit
 * missing, while all else is there; or there alone, as far as that unit.
 */
static void visit_write(struct walk *w, size_t at, unsigned unit)
{
	const struct event *e = &w->t->events[at];
	uint64_t first = e->off / unit;
	uint64_t end = (e->off + e->len + unit - 1) / unit;
	uint64_t stride = 1 + (end - first) / TEARS;
	struct cut c = CUT_INIT;

	c.unit = unit;
	c.inode = e->inode;
	for (uint64_t u = first; u < end; u += stride) {
		c.base = NEVER;
		c.until = at;
		c.first = u;
		c.end = end; /* what comes before it is there */
		c.length_until = NEVER;
		visit(w, &c);
		c.length_until = at;
		visit(w, &c);
		if (end - first > 1) {
			c.end = u + 1; /* a hole */
			c.length_until = NEVER;
			visit(w, &c);
		}
		c.base = 0;
		c.until = at + 1;
		c.first = first;
		c.end = u + 1; /* nothing else, and no more of it */
		c.lengths = LENGTHS_AS_DATA;
		c.length_until = at + 1;
		visit(w, &c);
		c.lengths = LENGTHS_ALL;
	}
}

static void visit_truncation(struct walk *w, size_t at)
{
	struct cut c = CUT_INIT;

	c.inode = w->t->events[at].inode;
	c.length_until = at;
	visit(w, &c);
	c.base = 0;
	c.length_until = at + 1;
	c.lengths = LENGTHS_AS_DATA;
	visit(w, &c);
}

static void visit_singles(struct walk *w)
{
	struct disk *d = &w->disk;
	size_t living = 0;

	for (size_t i = d->n_pending; i-- > 0;) {
		const struct event *e = &w->t->events[d->pending[i]];

		if (!event_is_data(e))
			continue;
		if (d->files[e->inode].living &&
		    (w->again || living++ >= LIVING_FOCUS))
			continue;
		if (e->kind == EV_TRUNC) {
			visit_truncation(w, d->pending[i]);
			continue;
		}
		visit_write(w, d->pending[i], 512);
		if (!w->again)
			visit_write(w, d->pending[i], 4096);
	}
}

static void visit_random(struct walk *w)
{
	struct disk *d = &w->disk;
	struct cut c = CUT_INIT;

	if (d->n_pending < 2)
		return;
	for (unsigned i = 0; i < (w->again ? 1 : 2 * w->s->random); i++) {
		c.unit = i % 2 ? 4096 : 512;
		c.random = fs_random() | 1;
		c.names = i % 4 ? NAMES_RANDOM : NAMES_ALL;
		c.name_event = d->pending[fs_random() % d->n_pending];
		visit(w, &c);
	}
}

/* What is the workload about when this event is done? */
static void classify(struct walk *w, const struct event *e)
{
	uint64_t number;

	if (e->kind == EV_CREATE) {
		enum file_kind k = name_parse(e->name, &number);

		w->rotating |= k == FILE_WAL;
		w->building |= k == FILE_SST_TMP;
	}
	if (e->kind == EV_BEGIN)
		w->ceil = e->n;
	if (e->kind == EV_ACK)
		w->floor = e->n;
	if (e->kind == EV_BEGIN || e->kind == EV_ACK)
		w->rotating = w->building = false;
}

void states_check(struct states *s, const struct history *h,
		  const struct trace *t, enum disk_profile profile, bool again)
{
	struct walk w = {
		.s = s, .h = h, .t = t, .again = again, .boot = fs.boot
	};

	disk_init(&w.disk, t, profile);
	for (;;) {
		s->count.points++;
		visit_whole(&w);
		visit_singles(&w);
		visit_random(&w);
		if (w.disk.at == t->n || s->failures >= MANY_FAILURES)
			break;
		classify(&w, &t->events[w.disk.at]);
		disk_advance(&w.disk);
	}
	disk_release(&w.disk);
}
