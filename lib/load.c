#include "lib/load.h"

#include "lib/flush.h"
#include "lib/install.h"
#include "lib/loadrun.h"
#include "lib/number.h"
#include "lib/order.h"
#include "lib/sweep.h"
#include "lib/writer.h"

#define STACK_BYTES (256u << 10)
#define PIECE_MIN (4u << 10)

enum piece_state { WAITING, UNDER_WORK, WRITTEN };

struct piece {
	struct piece *next;
	struct store_batch batch; /* until it is written */
	enum piece_state state;
	struct loadrun run;
};

struct store_load {
	struct store *db;
	bool atomic;
	bool alone; /* one processor: threads would bring nothing */
	struct options options;
	uint64_t piece_bytes;
	pthread_t threads[LOAD_WORKERS];
	unsigned n_threads;
	atomic_bool stop;      /* what is under way is of no use any more */
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t changed;
	struct piece *first; /* in the order they were added */
	struct piece **last;
	unsigned unwritten; /* pieces whose bytes are in memory */
	bool installing;
	bool closing;
	struct buf spare[LOAD_WORKERS]; /* memory for the next pieces */
	int r;				/* the first failure */
	struct store_error err;
};

/* ---- installing: B2 to B5 ---- */

struct arrivals {
	struct piece *first;
	size_t n; /* that many of the list */
};

/* The one behind the i-th.  The last one's link may be set meanwhile. */
static struct piece *behind(const struct arrivals *a, const struct piece *p,
			    size_t i)
{
	return i + 1 < a->n ? p->next : NULL;
}

static int load_edit(struct manifest *m, void *ctx, struct store_error *err)
{
	const struct arrivals *a = ctx;
	const struct log_meta *active = manifest_active_log(m);
	const struct piece *p = a->first;
	int r = 0;

	/*
	 * The active log is empty, and older than what is loaded.  The next
	 * writer makes another.
	 */
	if (active)
		r = manifest_remove_log(m, active->number, err);
	if (r == 0 && m->n_logs)
		return 1;
	for (size_t i = 0; r == 0 && i < a->n; p = behind(a, p, i), i++)
		r = loadrun_place(&p->run, m, err);
	return r;
}

/* B4 under WRITE, every log but the empty active one being flushed. */
static int install_arrivals(struct store *db, struct arrivals *a,
			    struct store_error *err)
{
	struct piece *p = a->first;
	bool named = false;
	uint64_t age;
	int r = 0;

	for (size_t i = 0; r == 0 && i < a->n; p = behind(a, p, i), i++) {
		r = number_age(db, &age, err);
		if (r == 0)
			r = loadrun_finish(&p->run, age, err);
	}
	if (r == 0)
		r = install(db, load_edit, a, &named, err);
	if (r > 0)
		r = store_fail(err, STORE_EBUG, "load: a log is left");
	p = a->first;
	for (size_t i = 0; i < a->n; p = behind(a, p, i), i++)
		loadrun_release(&p->run, db, !named);
	return r;
}

/*
 * B3 under WRITE: 0 every log but the empty active one is flushed, 1 the
 * active log was poisoned, enter again; 2 log *busy is somebody else's work.
 */
static int clear_logs(struct store *db, struct generation **g, uint64_t *busy,
		      struct store_error *err)
{
	int r = generation_active(*g) ? writer_rotate(db, g, err) : 0;

	while (r == 0 && (r = flush_oldest(db, busy, err)) == 1)
		r = 0;
	return r;
}

static int install_pieces(struct store *db, struct piece *first, size_t n,
			  struct store_error *err)
{
	struct arrivals a = { first, n };
	struct store_error e = STORE_ERROR_INIT;
	struct generation *g;
	uint64_t busy = 0;
	int r;

	do {
		/* B2: what can be flushed without WRITE is. */
		while ((r = flush_oldest(db, &busy, err)) == 1)
			;
		if (r == 2)
			r = lock_claim_wait(&db->lock, busy, err);
		if (r == 0)
			r = writer_enter(db, &g, err);
		if (r < 0)
			return r;
		r = clear_logs(db, &g, &busy, err);
		if (r == 0)
			r = install_arrivals(db, &a, err);
		writer_leave(db, g);
	} while (r > 0);
	/* It is done; what follows only makes room. */
	if (r == 0 && sweep(db, &e) < 0)
		store_warn(db, &e);
	return r;
}

/* ---- the threads ---- */

static void fail(struct store_load *l, int r, const struct store_error *err)
{
	if (l->r == 0) {
		l->r = r;
		l->err = *err;
	}
	atomic_store(&l->stop, true);
}

static void drop_first(struct store_load *l)
{
	struct piece *p = l->first;

	l->first = p->next;
	if (!l->first)
		l->last = &l->first;
	loadrun_release(&p->run, l->db, true);
	store_batch_free(&p->batch);
	free(p);
}

/* Keep its memory for a piece to come. */
static void recycle(struct store_load *l, struct buf *bytes)
{
	for (size_t i = 0; i < LOAD_WORKERS; i++)
		if (!l->spare[i].data) {
			l->spare[i] = *bytes;
			*bytes = BUF_INIT;
			return;
		}
	buf_free(bytes);
}

/*
 * In the order they were added, one at a time: each is to hide those before
 * it.  Called and returns with the mutex held.
 */
static void install_written(struct store_load *l)
{
	struct store_error err = STORE_ERROR_INIT;
	struct piece *p;
	int r;

	while (!l->atomic && !l->installing && l->r == 0 && (p = l->first) &&
	       p->state == WRITTEN) {
		l->installing = true;
		pthread_mutex_unlock(&l->mutex);
		r = install_pieces(l->db, p, 1, &err);
		pthread_mutex_lock(&l->mutex);
		l->installing = false;
		if (r < 0)
			fail(l, r, &err);
		drop_first(l);
		pthread_cond_broadcast(&l->changed);
	}
}

static struct piece *next_waiting(struct store_load *l)
{
	struct piece *p = l->first;

	while (p && p->state != WAITING)
		p = p->next;
	return p;
}

static void write_piece(struct store_load *l, struct piece *p)
{
	struct store_error err = STORE_ERROR_INIT;
	int r;

	p->state = UNDER_WORK;
	pthread_mutex_unlock(&l->mutex);
	r = loadrun_build(&p->run, l->db, &l->options, &p->batch, &l->stop,
			  &err);
	pthread_mutex_lock(&l->mutex);
	if (r < 0)
		fail(l, r, &err);
	recycle(l, &p->batch.bytes);
	p->state = WRITTEN;
	l->unwritten--;
	pthread_cond_broadcast(&l->changed);
}

static void *work(void *ctx)
{
	struct store_load *l = ctx;
	struct piece *p;

	pthread_mutex_lock(&l->mutex);
	while (!l->closing) {
		p = next_waiting(l);
		if (p) {
			write_piece(l, p);
			install_written(l);
		} else {
			pthread_cond_wait(&l->changed, &l->mutex);
		}
	}
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

/* One more, as long as there may be; signals are the caller's thread's. */
static int start_worker(struct store_load *l, struct store_error *err)
{
	pthread_attr_t attr;
	sigset_t before;
	int e;

	if (l->alone || l->n_threads == LOAD_WORKERS)
		return 0;
	os_signals_hold(&before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	e = pthread_create(&l->threads[l->n_threads], &attr, work, l);
	pthread_attr_destroy(&attr);
	os_signals_back(&before);
	if (e == 0)
		l->n_threads++;
	else if (l->n_threads == 0) /* else those that run will do */
		return store_fail_errno(err, NULL, "load", "thread", e);
	return 0;
}

/* ---- store.h ---- */

uint64_t load_piece_bytes(uint64_t load_memory)
{
	uint64_t memory = os.memory(), bytes = load_memory;

	if (memory && bytes > memory / 4)
		bytes = memory / 4;
	bytes /= LOAD_WORKERS + 1;
	if (bytes > UINT32_MAX)
		bytes = UINT32_MAX;
	return bytes < PIECE_MIN ? PIECE_MIN : bytes;
}

int store_load_open(struct store *db, int atomic, struct store_load **out,
		    struct store_error *err)
{
	struct generation *g;
	struct store_load *l;
	int r;

	if (!db->write)
		return store_fail(err, STORE_EACCESS,
				  "%s: the store was opened for reading only",
				  db->dir.path);
	r = generation_current(db, &g, err);
	if (r < 0)
		return r;
	l = calloc(1, sizeof(*l));
	if (l) {
		l->db = db;
		l->atomic = atomic;
		l->alone = os.processors() < 2;
		l->options = g->v.options;
		l->piece_bytes = load_piece_bytes(l->options.load_memory);
		l->last = &l->first;
		l->err = STORE_ERROR_INIT;
		pthread_mutex_init(&l->mutex, NULL);
		pthread_cond_init(&l->changed, NULL);
	}
	generation_close(g);
	*out = l;
	return l ? 0 : store_nomem(err);
}

/* Worked out when it is first asked for: most who open a store never do. */
uint64_t store_load_piece(struct store *db)
{
	uint64_t bytes =
		atomic_load_explicit(&db->load_piece, memory_order_relaxed);

	if (bytes == 0) {
		bytes = load_piece_bytes(db->load_memory);
		atomic_store_explicit(&db->load_piece, bytes,
				      memory_order_relaxed);
	}
	return bytes;
}

int store_load_is_full(struct store *db, const struct store_batch *b)
{
	return b->bytes.len + 2 * b->count * sizeof(struct order_item) >=
	       store_load_piece(db);
}

/* The first failure, to whoever asks. */
static int failure(struct store_load *l, struct store_error *err)
{
	if (l->r < 0 && err && err->code == 0)
		*err = l->err;
	return l->r;
}

static void append(struct store_load *l, struct piece *p)
{
	*l->last = p;
	l->last = &p->next;
	l->unwritten++;
	pthread_cond_broadcast(&l->changed);
}

/* Waits until there is room for its bytes; then `p` is the load's. */
static int hand_over(struct store_load *l, struct piece *p,
		     struct store_batch *b, struct store_error *err)
{
	int r;

	pthread_mutex_lock(&l->mutex);
	while (l->r == 0 && l->unwritten >= LOAD_WORKERS)
		pthread_cond_wait(&l->changed, &l->mutex);
	r = failure(l, err);
	if (r == 0) {
		p->batch = *b;
		b->bytes = BUF_INIT;
		for (size_t i = 0; i < LOAD_WORKERS && !b->bytes.data; i++) {
			b->bytes = l->spare[i];
			l->spare[i] = BUF_INIT;
		}
		store_batch_clear(b);
		append(l, p);
	} else {
		free(p);
	}
	if (r == 0 && l->alone) {
		write_piece(l, p);
		install_written(l);
		r = failure(l, err);
	}
	pthread_mutex_unlock(&l->mutex);
	return r;
}

/* Tables that are faster than compaction wait for it, as writes do. */
static int slow_down(struct store *db, uint64_t took_us,
		     struct store_error *err)
{
	struct generation *g;
	struct excess e;
	int r = generation_current(db, &g, err);

	if (r < 0)
		return r;
	e = excess_of(&g->v.options, g->v.level0_runs);
	generation_close(g);
	throttle(db, &e, took_us);
	return 0;
}

int store_load_add(struct store_load *l, struct store_batch *b,
		   struct store_error *err)
{
	uint64_t began = os.monotonic_us();
	struct piece *p;
	int r;

	if (b->count == 0)
		return 0;
	p = calloc(1, sizeof(*p));
	if (!p)
		return store_nomem(err);
	p->run = LOADRUN_INIT;
	r = start_worker(l, err);
	if (r == 0)
		r = hand_over(l, p, b, err);
	else
		free(p);
	return r < 0 ? r : slow_down(l->db, os.monotonic_us() - began, err);
}

/* All of an atomic load, in one install; the mutex is held. */
static int install_all(struct store_load *l, struct store_error *err)
{
	size_t n = 0;
	int r;

	for (struct piece *p = l->first; p; p = p->next)
		n++;
	r = n ? install_pieces(l->db, l->first, n, err) : 0;
	while (l->first)
		drop_first(l);
	return r;
}

int store_load_commit(struct store_load *l, struct store_error *err)
{
	int r;

	pthread_mutex_lock(&l->mutex);
	while (l->r == 0 && (l->unwritten || (!l->atomic && l->first)))
		pthread_cond_wait(&l->changed, &l->mutex);
	r = failure(l, err);
	if (r == 0 && l->atomic)
		r = install_all(l, err);
	pthread_mutex_unlock(&l->mutex);
	return r;
}

void store_load_free(struct store_load *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->mutex);
	l->closing = true;
	atomic_store(&l->stop, true);
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->mutex);
	while (l->n_threads > 0)
		pthread_join(l->threads[--l->n_threads], NULL);
	while (l->first)
		drop_first(l);
	for (size_t i = 0; i < LOAD_WORKERS; i++)
		buf_free(&l->spare[i]);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}
