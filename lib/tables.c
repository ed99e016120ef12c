#include "lib/tables.h"

#define SLOTS 64u /* of the hash; a power of two */

struct open_table {
	uint64_t number;
	struct table *table;
	uint64_t asked; /* a clock of lookups */
	struct open_table *next;
};

struct tables {
	pthread_mutex_t mutex;
	struct open_table *slot[SLOTS];
	size_t n;
	uint64_t clock;
};

struct tables *tables_new(struct store *db)
{
	struct tables *t = calloc(1, sizeof(*t));

	(void)db;
	if (t)
		pthread_mutex_init(&t->mutex, NULL);
	return t;
}

void tables_free(struct tables *t)
{
	struct open_table *o;

	if (!t)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		while ((o = t->slot[i])) {
			t->slot[i] = o->next;
			table_close(o->table);
			free(o);
		}
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

static void close_oldest(struct tables *t)
{
	struct open_table **oldest = NULL, *o;

	for (size_t i = 0; i < SLOTS; i++)
		for (struct open_table **p = &t->slot[i]; *p; p = &(*p)->next)
			if (!oldest || (*p)->asked < (*oldest)->asked)
				oldest = p;
	if (!oldest)
		return;
	o = *oldest;
	*oldest = o->next;
	table_close(o->table);
	free(o);
	t->n--;
}

static struct open_table *find(struct tables *t, uint64_t number)
{
	struct open_table *o = t->slot[number % SLOTS];

	while (o && o->number != number)
		o = o->next;
	return o;
}

int tables_get(struct store *db, uint64_t number, struct table **out,
	       struct store_error *err)
{
	struct tables *t = db->tables;
	struct open_table *o;
	int r = 0;

	pthread_mutex_lock(&t->mutex);
	o = find(t, number);
	if (!o) {
		if (t->n >= TABLES_OPEN)
			close_oldest(t);
		o = calloc(1, sizeof(*o));
		r = o ? table_open(&o->table, &db->dir, number, db->cache,
				   &db->counters, err)
		      : store_nomem(err);
		if (r < 0) {
			free(o);
			goto out;
		}
		o->number = number;
		o->next = t->slot[number % SLOTS];
		t->slot[number % SLOTS] = o;
		t->n++;
	}
	o->asked = ++t->clock;
	table_ref(o->table);
	*out = o->table;
out:
	pthread_mutex_unlock(&t->mutex);
	return r;
}

struct run_iter {
	struct iter it;
	struct store *db;
	struct generation *g;
	const struct version_run *run;
	struct roster *roster;		/* or NULL */
	const struct roster_run *known; /* in it, this one */
	bool stream;
	uint64_t index; /* of the table `cur` walks */
	struct iter *cur;
	/* of a trimmed table: what it holds below `from` is not there */
	bool trimmed;
	struct buf from;
	struct window window;
};

static int open_known(struct run_iter *ri, uint64_t index, struct table **t,
		      struct store_error *err)
{
	struct roster_table *rt = &ri->known->tables[index];

	ri->trimmed = rt->trimmed;
	if (ri->trimmed && buf_assign(&ri->from, rt->smallest) < 0)
		return store_nomem(err);
	return roster_open(ri->db, ri->roster, rt, t, err);
}

/* As the version image names it. */
static int open_named(struct run_iter *ri, uint64_t index, struct table **t,
		      struct store_error *err)
{
	struct version_table vt;
	int r = version_table_at(&ri->g->v, &ri->g->source, &ri->window,
				 ri->run, index, &vt, err);

	ri->trimmed = r == 0 && vt.trimmed;
	if (ri->trimmed)
		r = version_smallest(&ri->g->v, &ri->g->source, &ri->window,
				     ri->run, index, &ri->from, err);
	return r < 0 ? r : tables_get(ri->db, vt.number, t, err);
}

/* The first table that ends at or above `key`: 1, or 0 when none does. */
static int find_index(struct run_iter *ri, struct slice key, uint64_t *index,
		      struct store_error *err)
{
	struct version_table vt;

	if (!ri->known)
		return version_seek(&ri->g->v, &ri->g->source, &ri->window,
				    ri->run, key, index, &vt, err);
	*index = roster_seek(ri->known, 0, key, slice_prefix(key));
	return *index < ri->known->n;
}

/* Go to table `index`, if there is one: 1, 0, or an error. */
static int enter(struct run_iter *ri, uint64_t index, struct store_error *err)
{
	struct table *t;
	int r;

	if (ri->cur && ri->index == index)
		return 1;
	iter_close(ri->cur);
	ri->cur = NULL;
	if (index >= ri->run->tables)
		return 0;
	r = (ri->known ? open_known : open_named)(ri, index, &t, err);
	if (r < 0)
		return r;
	r = table_iter(t, ri->stream, &ri->cur, err);
	table_close(t);
	ri->index = index;
	return r < 0 ? r : 1;
}

/* A move backwards may have left what a trimmed table still shows. */
static int clip(const struct run_iter *ri, int r)
{
	if (r == 1 && ri->trimmed &&
	    slice_cmp(ri->cur->e.key, buf_slice(&ri->from)) < 0)
		return 0;
	return r;
}

static int first_of_table(struct run_iter *ri, struct store_error *err)
{
	if (ri->trimmed)
		return ri->cur->ops->seek(ri->cur, buf_slice(&ri->from), err);
	return ri->cur->ops->first(ri->cur, err);
}

static int show(struct run_iter *ri, int r)
{
	if (r == 1)
		ri->it.e = ri->cur->e;
	return r;
}

/* The first entry of table `index`, or of the next that has any. */
static int forward_from(struct run_iter *ri, uint64_t index,
			struct store_error *err)
{
	int r;

	while ((r = enter(ri, index, err)) == 1) {
		r = first_of_table(ri, err);
		if (r != 0)
			break;
		index++;
	}
	return show(ri, r);
}

/* The last entry of the tables below `index`. */
static int backward_from(struct run_iter *ri, uint64_t index,
			 struct store_error *err)
{
	int r = 0;

	while (r == 0 && index-- > 0) {
		r = enter(ri, index, err);
		if (r == 1)
			r = clip(ri, ri->cur->ops->last(ri->cur, err));
	}
	return show(ri, r);
}

static int ri_first(struct iter *it, struct store_error *err)
{
	return forward_from((struct run_iter *)it, 0, err);
}

static int ri_last(struct iter *it, struct store_error *err)
{
	struct run_iter *ri = (struct run_iter *)it;

	return backward_from(ri, ri->run->tables, err);
}

static int ri_seek(struct iter *it, struct slice key, struct store_error *err)
{
	struct run_iter *ri = (struct run_iter *)it;
	uint64_t index;
	int r = find_index(ri, key, &index, err);

	if (r <= 0)
		return r;
	r = enter(ri, index, err);
	if (r == 1 && ri->trimmed && slice_cmp(key, buf_slice(&ri->from)) < 0)
		r = first_of_table(ri, err);
	else if (r == 1)
		r = ri->cur->ops->seek(ri->cur, key, err);
	if (r == 0)
		return forward_from(ri, index + 1, err);
	return show(ri, r);
}

static int ri_seek_before(struct iter *it, struct slice key,
			  struct store_error *err)
{
	struct run_iter *ri = (struct run_iter *)it;
	uint64_t index;
	int r = find_index(ri, key, &index, err);

	if (r < 0)
		return r;
	if (r == 0)
		return ri_last(it, err);
	r = enter(ri, index, err);
	if (r == 1)
		r = clip(ri, ri->cur->ops->seek_before(ri->cur, key, err));
	if (r == 0)
		return backward_from(ri, index, err);
	return show(ri, r);
}

static int ri_next(struct iter *it, struct store_error *err)
{
	struct run_iter *ri = (struct run_iter *)it;
	int r;

	if (!ri->cur)
		return 0;
	r = ri->cur->ops->next(ri->cur, err);
	return r == 0 ? forward_from(ri, ri->index + 1, err) : show(ri, r);
}

static int ri_prev(struct iter *it, struct store_error *err)
{
	struct run_iter *ri = (struct run_iter *)it;
	int r;

	if (!ri->cur)
		return 0;
	r = clip(ri, ri->cur->ops->prev(ri->cur, err));
	return r == 0 ? backward_from(ri, ri->index, err) : show(ri, r);
}

static int ri_chunk(struct iter *it, uint64_t i, struct slice *out,
		    struct store_error *err)
{
	struct run_iter *ri = (struct run_iter *)it;

	return ri->cur->ops->chunk(ri->cur, i, out, err);
}

static void ri_close(struct iter *it)
{
	struct run_iter *ri = (struct run_iter *)it;

	iter_close(ri->cur);
	buf_free(&ri->from);
	window_release(&ri->window);
	generation_close(ri->g);
	free(ri);
}

static const struct iter_ops run_ops = {
	.first = ri_first,
	.last = ri_last,
	.seek = ri_seek,
	.seek_before = ri_seek_before,
	.next = ri_next,
	.prev = ri_prev,
	.chunk = ri_chunk,
	.close = ri_close,
};

int run_iter(struct store *db, struct generation *g, struct roster *roster,
	     size_t i, bool stream, struct iter **out, struct store_error *err)
{
	struct run_iter *ri = calloc(1, sizeof(*ri));

	if (!ri)
		return store_nomem(err);
	ri->it.ops = &run_ops;
	ri->db = db;
	generation_ref(g);
	ri->g = g;
	ri->run = &g->v.runs[i];
	ri->roster = roster;
	ri->known = roster ? &roster->runs[i] : NULL;
	ri->stream = stream;
	ri->window = WINDOW_INIT(VIEW_PAGE);
	*out = &ri->it;
	return 0;
}
