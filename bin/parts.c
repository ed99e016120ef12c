#include "bin/parts.h"

#include <pthread.h>
#include <unistd.h>

#define WORKERS 4u
/* Bytes of tables in a part: few at first, for who waits for the first record.
 */
#define PART_FIRST (64u << 10)
#define PART_BYTES (256u << 10)

struct parts {
	struct store *db;
	struct store_snapshot *snap;
	const struct range *range;
	enum record_format format;
	parts_fn *fn;
	void *ctx;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	struct buf from; /* where the next part begins */
	uint64_t bytes;	 /* of it */
	bool all;	 /* no part is left */
	uint64_t taken, written;
	uint64_t n;
	int r; /* of the first part that failed */
	struct store_error err;
};

struct worker {
	struct parts *p;
	bool begun; /* `taken` is what take() said, before the thread began */
	int taken;
	uint64_t part; /* its number */
	struct range range;
	struct buf from, to;
	struct store_iter *it;
	struct record_output out;
	struct store_error err;
};

/* Are all parts before ours written? */
static enum output_turn turn(void *ctx, bool wait)
{
	struct worker *w = ctx;
	struct parts *p = w->p;
	enum output_turn t = OUTPUT_NOW;

	pthread_mutex_lock(&p->mutex);
	while (wait && p->written < w->part)
		pthread_cond_wait(&p->moved, &p->mutex);
	if (p->r < 0)
		t = OUTPUT_NEVER;
	else if (p->written < w->part)
		t = OUTPUT_NOT_YET;
	pthread_mutex_unlock(&p->mutex);
	return t;
}

/* Cut off the next part, with the lock held: 0 or an error. */
static int cut(struct worker *w)
{
	struct parts *p = w->p;
	struct store_error err = STORE_ERROR_INIT;

	w->part = p->taken++;
	w->range = *p->range;
	if (buf_assign(&w->from, buf_slice(&p->from)) < 0)
		return store_nomem(&w->err);
	w->range.from = buf_slice(&w->from);
	/* Damage there is met, and told, by who walks the rest. */
	if (store_cut(p->snap, w->range.from, p->bytes, &w->to, &err) <= 0 ||
	    (w->range.has_to &&
	     slice_cmp(buf_slice(&w->to), w->range.to) >= 0)) {
		p->all = true;
		return 0;
	}
	w->range.to = buf_slice(&w->to);
	w->range.has_to = true;
	if (p->bytes < PART_BYTES)
		p->bytes *= 2;
	return buf_assign(&p->from, w->range.to) < 0 ? store_nomem(&w->err) : 0;
}

/* The next part: 1, 0 when there is none, or an error of that part. */
static int take(struct worker *w)
{
	struct parts *p = w->p;
	int r = 0;

	pthread_mutex_lock(&p->mutex);
	if (!p->all && p->r >= 0) {
		r = cut(w);
		r = r < 0 ? r : 1;
	}
	pthread_mutex_unlock(&p->mutex);
	return r;
}

/* Our part ended with `r`: what it printed is written, and the next may. */
static int end(struct worker *w, int r, uint64_t n)
{
	struct store_error err = STORE_ERROR_INIT;
	struct parts *p = w->p;
	int r2 = output_flush(&w->out, &err);

	turn(w, true);
	pthread_mutex_lock(&p->mutex);
	if (p->r >= 0 && (r < 0 || r2 < 0)) {
		p->r = r < 0 ? r : r2;
		p->err = r < 0 ? w->err : err;
	}
	r = p->r;
	p->n += n;
	p->written++;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->mutex);
	return r;
}

/* Take parts until there are none. */
static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct parts *p = w->p;
	int r = w->begun ? w->taken : take(w);

	while (r != 0) {
		uint64_t n = 0;

		if (r > 0 && !w->it)
			r = store_iter_open(p->db, p->snap, &w->it, &w->err);
		if (r >= 0)
			r = p->fn(p->ctx, w->it, &w->range, &w->out, &n,
				  &w->err);
		if (end(w, r, n) < 0)
			break;
		r = take(w);
	}
	store_iter_close(w->it);
	output_release(&w->out);
	buf_free(&w->from);
	buf_free(&w->to);
	return NULL;
}

static void worker_init(struct worker *w, struct parts *p)
{
	*w = (struct worker){ .p = p,
			      .out = OUTPUT_INIT(p->format, &w->err),
			      .err = STORE_ERROR_INIT };
	w->out.turn = turn;
	w->out.ctx = w;
}

/* As many threads as are of use, ours among them. */
static void work_all(struct parts *p)
{
	struct worker workers[WORKERS];
	pthread_t threads[WORKERS];
	long most = 1;
	unsigned n = 1;

	for (unsigned i = 0; i < WORKERS; i++)
		worker_init(&workers[i], p);
	workers[0].begun = true;
	workers[0].taken = take(&workers[0]);
	if (workers[0].taken > 0 && !p->all)
		most = sysconf(_SC_NPROCESSORS_ONLN);
	while (n < WORKERS && (long)n < most &&
	       pthread_create(&threads[n], NULL, work, &workers[n]) == 0)
		n++;
	work(&workers[0]);
	while (n > 1)
		pthread_join(threads[--n], NULL);
}

int parts_walk(struct store *db, struct store_snapshot *snap,
	       const struct range *range, enum record_format format,
	       parts_fn *fn, void *ctx, uint64_t *n, struct store_error *err)
{
	struct parts p = { .db = db,
			   .snap = snap,
			   .range = range,
			   .format = format,
			   .fn = fn,
			   .ctx = ctx,
			   .bytes = PART_FIRST,
			   .err = STORE_ERROR_INIT };

	pthread_mutex_init(&p.mutex, NULL);
	pthread_cond_init(&p.moved, NULL);
	if (buf_assign(&p.from, range->from) < 0)
		p.r = store_nomem(&p.err);
	else
		work_all(&p);
	pthread_cond_destroy(&p.moved);
	pthread_mutex_destroy(&p.mutex);
	buf_free(&p.from);
	*n = p.n;
	if (p.r < 0)
		*err = p.err;
	return p.r;
}
