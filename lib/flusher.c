#include "lib/flusher.h"

#include "lib/flush.h"

struct flusher {
	pthread_mutex_t mutex;
	pthread_cond_t woken;
	pthread_t thread;
	bool started, due, closing;
};

int flusher_new(struct flusher **out, struct store_error *err)
{
	struct flusher *f = calloc(1, sizeof(*f));

	if (!f)
		return store_nomem(err);
	pthread_mutex_init(&f->mutex, NULL);
	pthread_cond_init(&f->woken, NULL);
	*out = f;
	return 0;
}

static void *work(void *ctx)
{
	struct store *db = ctx;
	struct flusher *f = db->flusher;

	pthread_mutex_lock(&f->mutex);
	while (f->due || !f->closing) {
		if (!f->due) {
			pthread_cond_wait(&f->woken, &f->mutex);
			continue;
		}
		/* Who seals a log while we flush says so again. */
		f->due = false;
		pthread_mutex_unlock(&f->mutex);
		flush_sealed(db);
		pthread_mutex_lock(&f->mutex);
	}
	pthread_mutex_unlock(&f->mutex);
	return NULL;
}

bool flusher_wake(struct store *db)
{
	struct flusher *f = db->flusher;
	sigset_t before;

	if (!f)
		return false;
	pthread_mutex_lock(&f->mutex);
	if (!f->started) {
		os_signals_hold(&before);
		f->started = pthread_create(&f->thread, NULL, work, db) == 0;
		os_signals_back(&before);
	}
	f->due = f->started;
	pthread_cond_signal(&f->woken);
	pthread_mutex_unlock(&f->mutex);
	return f->started;
}

void flusher_close(struct store *db)
{
	struct flusher *f = db->flusher;

	if (!f)
		return;
	pthread_mutex_lock(&f->mutex);
	f->closing = true;
	pthread_cond_signal(&f->woken);
	pthread_mutex_unlock(&f->mutex);
	if (f->started)
		pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->woken);
	pthread_mutex_destroy(&f->mutex);
	free(f);
	db->flusher = NULL;
}
