#include "lib/writeback.h"

/* A log is on its way to the disk in pieces of so much. */
#define PIECE (1u << 20)
/* So often what lies before them is taken out of the map as well. */
#define FORGET (8u << 20)

struct writeback {
	pthread_mutex_t mutex;
	pthread_cond_t woken;
	pthread_t thread;
	bool started, closing;
	struct memtable *log; /* to do, a reference; NULL: nothing */
	uint64_t from, to;
};

int writeback_new(struct writeback **out, struct store_error *err)
{
	struct writeback *w = calloc(1, sizeof(*w));

	if (!w)
		return store_nomem(err);
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->woken, NULL);
	*out = w;
	return 0;
}

static void write_back(struct memtable *m, uint64_t from, uint64_t to)
{
	/* What is compared with lies anywhere in it, and seldom is. */
	if (from / FORGET != to / FORGET)
		view_forget(&m->log, 0, to);
	else
		view_forget(&m->log, from, to - from);
	os.writeback(m->log.fd, (off_t)from, (off_t)(to - from));
}

static void *work(void *ctx)
{
	struct writeback *w = ctx;
	struct memtable *m;
	uint64_t from, to;

	pthread_mutex_lock(&w->mutex);
	while (w->log || !w->closing) {
		if (!w->log) {
			pthread_cond_wait(&w->woken, &w->mutex);
			continue;
		}
		m = w->log;
		from = w->from;
		to = w->to;
		w->log = NULL;
		pthread_mutex_unlock(&w->mutex);
		write_back(m, from, to);
		memtable_close(m);
		pthread_mutex_lock(&w->mutex);
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

/* Leave it to the thread; false when the caller has to do it. */
static bool leave(struct writeback *w, struct memtable *m, uint64_t from,
		  uint64_t to)
{
	sigset_t before;
	bool left;

	pthread_mutex_lock(&w->mutex);
	if (!w->started) {
		os_signals_hold(&before);
		w->started = pthread_create(&w->thread, NULL, work, w) == 0;
		os_signals_back(&before);
	}
	left = w->started && (!w->log || (w->log == m && w->to == from));
	if (left) {
		if (!w->log) {
			memtable_ref(m);
			w->log = m;
			w->from = from;
		}
		w->to = to;
		pthread_cond_signal(&w->woken);
	}
	pthread_mutex_unlock(&w->mutex);
	return left;
}

void writeback_log(struct store *db, struct memtable *m, uint64_t from,
		   uint64_t upto)
{
	from -= from % PIECE;
	upto -= upto % PIECE;
	if (from == upto ||
	    (db->writeback && leave(db->writeback, m, from, upto)))
		return;
	write_back(m, from, upto);
}

void writeback_close(struct store *db)
{
	struct writeback *w = db->writeback;

	if (!w)
		return;
	pthread_mutex_lock(&w->mutex);
	w->closing = true;
	pthread_cond_signal(&w->woken);
	pthread_mutex_unlock(&w->mutex);
	if (w->started)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->woken);
	pthread_mutex_destroy(&w->mutex);
	free(w);
	db->writeback = NULL;
}
