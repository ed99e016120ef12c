#include "bin/many.h"
#include "bin/records.h"

#include <pthread.h>
#include <unistd.h>

static const char *const synopsis[] = {
	"[-eqx] [-d DIR] [-f NAME] [--missing] [--no-wait] "
	"[--timeout SECONDS] KEY ...",
	"[-eq] [-d DIR] [-f NAME] [--missing] [--no-wait] [--timeout SECONDS]",
	NULL,
};

enum {
	OPT_MISSING = 256,
};

static const struct tool_option options[] = {
	{ "exists", 'e', NULL, "print nothing: the status tells" },
	{ "missing", OPT_MISSING, NULL, "print the absent keys alone" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-get",
	.summary = "Print the value of a key, or the records of many. Keys are "
		   "read from stdin\nif there is no operand. Status 1: a key "
		   "is absent.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_FORMATS | TOOL_HEX,
};

/* How far ahead a value is asked for: they lie in the order of the keys. */
#define AHEAD 8u

/* Answers a batch while the next is read and looked up. */
struct answerer {
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;
	pthread_cond_t moved;
	struct many *batch; /* which it has now, or NULL */
	bool end;
	int r; /* what it met first, with `err`: then it answers no more */
	struct store_error err;
};

/* The output and what is below it belong to who answers at the time. */
struct get {
	struct tool t;
	struct store *db;
	struct answerer answerer;
	struct many_found found[MANY_WORKERS];
	struct many batches[2];
	struct many *batch; /* being collected */
	bool exists;
	bool missing;
	struct record_output out;
	struct buf value;
	bool absent; /* a key of those answered */
};

/* A piece of the only value asked for: out at once, without a copy. */
static int print_piece(void *ctx, struct slice piece)
{
	return tool_write(1, piece.data, piece.len, ctx);
}

/* 0 found, 1 absent. */
static int get_value(struct get *g, struct slice key, struct store_error *err)
{
	int r = store_read(g->db, key, print_piece, err, err);

	if (r > 0 && isatty(1))
		r = tool_write(1, "\n", 1, err) < 0 ? STORE_EIO : 1;
	return r < 0 ? r : r == 0;
}

/* 0 found, 1 absent. */
static int get_record(struct get *g, struct slice key, struct store_error *err)
{
	int r;

	if (g->exists || g->missing)
		r = store_read(g->db, key, NULL, NULL, err);
	else
		r = store_get(g->db, key, &g->value, err);
	if (r < 0)
		return r;
	if (r == 0) {
		if (g->missing && !g->exists &&
		    (r = output_key(&g->out, key, err)) < 0)
			return r;
		return 1;
	}
	if (!g->exists && !g->missing)
		r = output_record(&g->out, key, buf_slice(&g->value), err);
	return r < 0 ? r : 0;
}

static int get_operands(struct get *g, struct store_error *err)
{
	struct tool *t = &g->t;
	bool absent = false;
	int r;

	if (t->argc == 1 && !t->format_given && !g->exists && !g->missing)
		return get_value(g, tool_key(t, t->argv[0]), err);
	for (int i = 0; i < t->argc; i++) {
		if ((r = get_record(g, tool_key(t, t->argv[i]), err)) < 0)
			return r;
		absent |= r > 0;
	}
	return absent;
}

/* 0 printed or told, 1 absent. */
static int answer(struct get *g, const struct many *m, size_t i,
		  struct store_error *err)
{
	const struct answer *a = &m->answers[i];

	if (a->large)
		return get_record(g, m->keys[i], err);
	if (g->exists || (a->found && g->missing))
		return !a->found;
	if (a->found)
		return output_record(&g->out, m->keys[i], many_value(m, i),
				     err);
	if (!g->missing)
		return 1;
	return output_key(&g->out, m->keys[i], err) < 0 ? STORE_EIO : 1;
}

/* Answer what was looked up. */
static int answer_all(struct get *g, struct many *m, struct store_error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < m->n; i++) {
		many_prefetch(m, i + AHEAD);
		r = answer(g, m, i, err);
		g->absent |= r > 0;
	}
	many_clear(m);
	return r < 0 ? r : 0;
}

static void *answer_thread(void *ctx)
{
	struct get *g = ctx;
	struct answerer *a = &g->answerer;

	pthread_mutex_lock(&a->mutex);
	for (;;) {
		struct many *m = a->batch;

		if (m) {
			pthread_mutex_unlock(&a->mutex);
			a->r = answer_all(g, m, &a->err);
			pthread_mutex_lock(&a->mutex);
			a->batch = NULL;
			pthread_cond_signal(&a->moved);
		} else if (a->end) {
			break;
		} else {
			pthread_cond_wait(&a->moved, &a->mutex);
		}
	}
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

/* Have it answered; false when there is no thread to do so. */
static bool hand_over(struct get *g, struct many *m)
{
	struct answerer *a = &g->answerer;

	if (!a->started)
		a->started =
			pthread_create(&a->thread, NULL, answer_thread, g) == 0;
	if (!a->started)
		return false;
	pthread_mutex_lock(&a->mutex);
	a->batch = m;
	pthread_cond_signal(&a->moved);
	pthread_mutex_unlock(&a->mutex);
	return true;
}

/* Wait until all that was handed over is answered. */
static int settle(struct get *g, struct store_error *err)
{
	struct answerer *a = &g->answerer;

	pthread_mutex_lock(&a->mutex);
	while (a->batch)
		pthread_cond_wait(&a->moved, &a->mutex);
	pthread_mutex_unlock(&a->mutex);
	if (a->r < 0)
		*err = a->err;
	return a->r;
}

static void end_answers(struct answerer *a)
{
	if (!a->started)
		return;
	pthread_mutex_lock(&a->mutex);
	a->end = true;
	pthread_cond_signal(&a->moved);
	pthread_mutex_unlock(&a->mutex);
	pthread_join(a->thread, NULL);
}

/*
 * Look up what was collected, and answer it: with `more` to come, another
 * thread does that while we read on.  It has the values, so the next batch is
 * looked up when it is through with them; nor is a snapshot held that long.
 */
static int answer_batch(struct get *g, bool more, struct store_error *err)
{
	struct many *m = g->batch;
	int r = settle(g, err);

	if (r >= 0)
		r = many_find(m, g->db, err);
	if (r < 0) {
		many_clear(m);
		return r;
	}
	if (!more || !hand_over(g, m))
		return answer_all(g, m, err);
	g->batch = &g->batches[m == g->batches];
	g->batch->want = m->want;
	return 0;
}

/* All keys up to the end of the input, or to a bad one. */
static int get_stream(struct get *g, struct record_input *in,
		      struct store_error *err)
{
	struct record rec;
	int r;

	while ((r = input_next(in, &rec, err)) > 0) {
		if (r == RECORD_PAUSE) {
			r = answer_batch(g, false, err);
			if (r >= 0)
				r = output_flush(&g->out, err);
		} else {
			r = many_add(g->batch, rec.key, err);
			if (r >= 0 && many_is_full(g->batch))
				r = answer_batch(g, true, err);
		}
		if (r < 0)
			break;
	}
	return r;
}

static int get_keys(struct get *g, struct store_error *err)
{
	struct store_error mine = STORE_ERROR_INIT;
	struct record_input in;
	int r, r2;

	for (unsigned i = 0; i < 2; i++)
		g->batches[i] =
			MANY_INIT(g->exists || g->missing ? NULL : g->found);
	g->batch = g->batches;
	pthread_mutex_init(&g->answerer.mutex, NULL);
	pthread_cond_init(&g->answerer.moved, NULL);
	input_init(&in, &g->t, true);
	r = get_stream(g, &in, err);
	input_release(&in);
	/*
	 * What stands before a bad key is answered; what was handed over stands
	 * before all that we met.
	 */
	r2 = answer_batch(g, false, &mine);
	if (r2 < 0 && (r >= 0 || g->answerer.r < 0)) {
		*err = mine;
		r = r2;
	}
	end_answers(&g->answerer);
	pthread_cond_destroy(&g->answerer.moved);
	pthread_mutex_destroy(&g->answerer.mutex);
	for (unsigned i = 0; i < 2; i++)
		many_release(&g->batches[i]);
	many_found_release(g->found);
	return r < 0 ? r : g->absent;
}

/* Print what there is, also before an error; the first error counts. */
static int finish(struct get *g, int r, struct store_error *err)
{
	int r2 = output_flush(&g->out, err);

	if (r2 >= 0 && !g->exists)
		r2 = tool_close_stdout(&g->t, err);
	return r < 0 ? r : r2 < 0 ? r2 : r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	/* static: memory that is left to exit is still pointed to */
	static struct get g;
	struct tool *t = &g.t;
	int c, r;

	tool_start(t, &spec, argc, argv);
	while ((c = tool_option(t)) != -1) {
		if (c == 'e')
			g.exists = true;
		else
			g.missing = true;
	}
	if (t->argc == 0 && t->hex)
		tool_usage(t, "-x is for operands");
	/* A bad operand is found before the first value is printed. */
	for (int i = 0; i < t->argc && !t->hex; i++)
		tool_key(t, t->argv[i]);
	g.out = OUTPUT_INIT(t->format, &err);
	r = tool_open(t, &g.db,
		      t->argc == 1 ? STORE_READ | STORE_ONE_SHOT : STORE_READ,
		      &err);
	if (r >= 0)
		r = t->argc ? get_operands(&g, &err) : get_keys(&g, &err);
	/* One key: the kernel closes all of it sooner than we could. */
	if (t->argc != 1)
		store_close(g.db);
	r = finish(&g, r, &err);
	output_release(&g.out);
	buf_free(&g.value);
	return tool_status(t, r, &err);
}
