#include "lib/queue.h"

#include "lib/batch.h"

#include <errno.h>

/* Neighbouring writes share a batch up to this many bytes. */
#define BATCH_BYTES (1u << 20)

struct op {
	uint64_t id;
	enum store_op kind;
	void *user;
	struct buf key;		  /* get */
	struct store_batch batch; /* the others */
	int result;
	struct buf value;
	struct store_error err;
	struct op *next;
};

struct ops {
	struct op *first, **last;
};

struct queue {
	struct store *db;
	pthread_mutex_t mutex;
	pthread_cond_t work; /* for the worker: submitted, or closing */
	pthread_cond_t done; /* for reapers: completed */
	pthread_t worker;
	bool started, closing;
	struct ops waiting, completed;
	uint64_t depth, under_way; /* submitted and not yet reaped */
	uint64_t unfinished;	   /* submitted and not yet completed */
	uint64_t next_id;
	int fd; /* eventfd, or -1 */
};

static void ops_init(struct ops *o)
{
	o->first = NULL;
	o->last = &o->first;
}

static void ops_push(struct ops *o, struct op *op)
{
	op->next = NULL;
	*o->last = op;
	o->last = &op->next;
}

static struct op *ops_pop(struct ops *o)
{
	struct op *op = o->first;

	if (op) {
		o->first = op->next;
		if (!o->first)
			o->last = &o->first;
	}
	return op;
}

static void op_free(struct op *op)
{
	buf_free(&op->key);
	store_batch_free(&op->batch);
	buf_free(&op->value);
	free(op);
}

/*
 * Writes from the front of the queue, as many as share a batch; at least one.
 */
static struct op *take_writes(struct queue *q, struct store_batch *all)
{
	struct ops taken;
	struct op *op;

	ops_init(&taken);
	while ((op = q->waiting.first) && op->kind != STORE_OP_GET) {
		if (taken.first &&
		    all->bytes.len + op->batch.bytes.len > BATCH_BYTES)
			break;
		if (taken.first && all->bytes.len + op->batch.bytes.len >
					   store_batch_limit(q->db))
			break;
		if (batch_join(all, &op->batch) < 0) {
			if (taken.first)
				break;
			store_nomem(&op->err); /* it fails alone */
			op->result = STORE_ESYSTEM;
		}
		ops_push(&taken, ops_pop(&q->waiting));
		if (op->result < 0)
			break;
	}
	return taken.first;
}

static void run_writes(struct queue *q, struct op *first,
		       struct store_batch *all)
{
	struct store_error err = STORE_ERROR_INIT;
	int r = first->result;

	if (r == 0)
		r = store_write(q->db, all, STORE_SYNC, &err);
	for (struct op *op = first; op; op = op->next) {
		op->result = r;
		if (r < 0 && op->err.code == 0)
			op->err = err;
	}
}

/* Under the mutex: a chain of finished operations is there to be reaped. */
static void complete(struct queue *q, struct op *first)
{
	struct op *next;

	for (struct op *op = first; op; op = next) {
		next = op->next;
		ops_push(&q->completed, op);
		q->unfinished--;
	}
	if (q->fd >= 0)
		os.event_set(q->fd);
	pthread_cond_broadcast(&q->done);
}

static void *work(void *ctx)
{
	struct queue *q = ctx;
	struct store_batch all = STORE_BATCH_INIT;
	struct op *first;

	pthread_mutex_lock(&q->mutex);
	for (;;) {
		while (!q->waiting.first && !q->closing)
			pthread_cond_wait(&q->work, &q->mutex);
		if (!q->waiting.first)
			break;
		if (q->waiting.first->kind == STORE_OP_GET) {
			first = ops_pop(&q->waiting);
			first->next = NULL;
			pthread_mutex_unlock(&q->mutex);
			first->result = store_get(q->db, buf_slice(&first->key),
						  &first->value, &first->err);
		} else {
			store_batch_clear(&all);
			first = take_writes(q, &all);
			pthread_mutex_unlock(&q->mutex);
			run_writes(q, first, &all);
		}
		pthread_mutex_lock(&q->mutex);
		complete(q, first);
	}
	pthread_mutex_unlock(&q->mutex);
	store_batch_free(&all);
	return NULL;
}

/* The handle's queue, made at the first need. */
static int queue_of(struct store *db, struct queue **out,
		    struct store_error *err)
{
	struct queue *q;
	struct store_stat s;
	int r = 0;

	pthread_mutex_lock(&db->mutex);
	q = db->queue;
	pthread_mutex_unlock(&db->mutex);
	if (q) {
		*out = q;
		return 0;
	}
	r = store_stat(db, &s, err);
	if (r < 0)
		return r;
	q = calloc(1, sizeof(*q));
	if (!q)
		return store_nomem(err);
	q->db = db;
	q->depth = s.queue_depth;
	q->fd = -1;
	ops_init(&q->waiting);
	ops_init(&q->completed);
	pthread_mutex_init(&q->mutex, NULL);
	pthread_cond_init(&q->work, NULL);
	os_cond_init(&q->done);
	pthread_mutex_lock(&db->mutex);
	if (db->queue) { /* another thread was first */
		free(q);
		q = db->queue;
	}
	db->queue = q;
	pthread_mutex_unlock(&db->mutex);
	*out = q;
	return 0;
}

/* Takes over `op`, also on failure. */
static int submit(struct store *db, struct op *op, uint64_t *id,
		  struct store_error *err)
{
	struct queue *q = NULL;
	sigset_t before;
	int r = queue_of(db, &q, err);

	if (r < 0) {
		op_free(op);
		return r;
	}
	pthread_mutex_lock(&q->mutex);
	if (q->under_way >= q->depth) {
		r = store_fail(err, STORE_EFULL,
			       "%s: %llu asynchronous operations are under way",
			       db->dir.path, (unsigned long long)q->under_way);
	} else if (!q->started) {
		os_signals_hold(&before);
		r = pthread_create(&q->worker, NULL, work, q);
		os_signals_back(&before);
		if (r > 0)
			r = store_fail_errno(err, db->dir.path, NULL,
					     "start a thread", r);
		q->started = r == 0;
	}
	if (r == 0) {
		op->id = ++q->next_id;
		if (id)
			*id = op->id;
		ops_push(&q->waiting, op);
		q->under_way++;
		q->unfinished++;
		pthread_cond_signal(&q->work);
	}
	pthread_mutex_unlock(&q->mutex);
	if (r < 0)
		op_free(op);
	return r;
}

static struct op *op_new(enum store_op kind, void *user,
			 struct store_error *err)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op) {
		store_nomem(err);
		return NULL;
	}
	op->kind = kind;
	op->user = user;
	return op;
}

int store_submit_get(struct store *db, struct slice key, void *user,
		     uint64_t *id, struct store_error *err)
{
	struct op *op = op_new(STORE_OP_GET, user, err);

	if (!op)
		return STORE_ESYSTEM;
	if (buf_append_slice(&op->key, key) < 0) {
		op_free(op);
		return store_nomem(err);
	}
	return submit(db, op, id, err);
}

static int submit_entry(struct store *db, enum store_op kind,
			const struct store_entry *e, void *user, uint64_t *id,
			struct store_error *err)
{
	struct op *op = op_new(kind, user, err);
	int r;

	if (!op)
		return STORE_ESYSTEM;
	r = store_batch_add(&op->batch, e, err);
	if (r < 0) {
		op_free(op);
		return r;
	}
	return submit(db, op, id, err);
}

int store_submit_put(struct store *db, struct slice key, struct slice value,
		     void *user, uint64_t *id, struct store_error *err)
{
	struct store_entry e = { .kind = STORE_PUT,
				 .key = key,
				 .value = value };

	return submit_entry(db, STORE_OP_PUT, &e, user, id, err);
}

int store_submit_delete(struct store *db, struct slice key, void *user,
			uint64_t *id, struct store_error *err)
{
	struct store_entry e = { .kind = STORE_DELETE, .key = key };

	return submit_entry(db, STORE_OP_DELETE, &e, user, id, err);
}

int store_submit_write(struct store *db, const struct store_batch *b,
		       void *user, uint64_t *id, struct store_error *err)
{
	struct op *op = op_new(STORE_OP_WRITE, user, err);

	if (!op)
		return STORE_ESYSTEM;
	if (batch_join(&op->batch, b) < 0) {
		op_free(op);
		return store_nomem(err);
	}
	return submit(db, op, id, err);
}

/* Under the mutex: until something is completed, or the time is up. */
static void wait_completed(struct queue *q, int timeout_ms)
{
	struct timespec t = os_deadline(timeout_ms < 0 ? 0 : timeout_ms);

	while (!q->completed.first && q->unfinished) {
		if (timeout_ms < 0)
			pthread_cond_wait(&q->done, &q->mutex);
		else if (timeout_ms == 0 ||
			 pthread_cond_timedwait(&q->done, &q->mutex, &t) ==
				 ETIMEDOUT)
			break;
	}
}

int store_reap(struct store *db, struct store_completion *c, int n,
	       int timeout_ms, struct store_error *err)
{
	struct queue *q = NULL;
	struct op *op;
	int got = 0, r = queue_of(db, &q, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&q->mutex);
	wait_completed(q, timeout_ms);
	while (got < n && (op = ops_pop(&q->completed))) {
		c[got++] = (struct store_completion){ .id = op->id,
						      .op = op->kind,
						      .user = op->user,
						      .result = op->result,
						      .value = op->value,
						      .err = op->err };
		op->value = BUF_INIT;
		op_free(op);
		q->under_way--;
	}
	if (!q->completed.first && q->fd >= 0)
		os.event_clear(q->fd);
	pthread_mutex_unlock(&q->mutex);
	return got;
}

int store_queue_fd(struct store *db, struct store_error *err)
{
	struct queue *q = NULL;
	int r = queue_of(db, &q, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&q->mutex);
	if (q->fd < 0)
		q->fd = os.event();
	r = q->fd;
	if (r < 0)
		r = store_fail_errno(err, db->dir.path, NULL, "eventfd", errno);
	else if (q->completed.first)
		os.event_set(q->fd);
	pthread_mutex_unlock(&q->mutex);
	return r;
}

void queue_close(struct store *db)
{
	struct queue *q = db->queue;
	struct op *op;

	if (!q)
		return;
	pthread_mutex_lock(&q->mutex);
	q->closing = true;
	pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->mutex);
	if (q->started)
		pthread_join(q->worker, NULL);
	while ((op = ops_pop(&q->completed)))
		op_free(op);
	os_close(q->fd);
	pthread_mutex_destroy(&q->mutex);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->done);
	free(q);
	db->queue = NULL;
}
