#include "tests/bench/rows.h"

#include "tests/bench/workload.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#define CHUNK 1000 /* calls between which the clock stands still */
#define POOL 10007 /* different values */

enum order { IN_ORDER, AT_RANDOM, ANY_STORED, NONE_STORED };

static void chunk_make(struct run *r)
{
	size_t n = r->batch > CHUNK ? r->batch : CHUNK;

	r->chunk = calloc(n, sizeof(*r->chunk));
	r->keys = malloc(n * r->key_len);
	r->pool = malloc(POOL * r->value_len);
	if (!r->chunk || !r->keys || !r->pool)
		engine_die("drive", "no memory");
	for (uint64_t i = 0; i < POOL; i++)
		workload_value(i, 0, r->pool + i * r->value_len, r->value_len);
}

static void chunk_free(struct run *r)
{
	free(r->chunk);
	free(r->keys);
	free(r->pool);
}

/* The keys of calls first to first + n, and values of the given turn. */
static void chunk_fill(struct run *r, uint64_t first, size_t n,
		       enum order order, uint64_t turn)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t *key = r->keys + i * r->key_len;
		uint64_t k = first + i;

		if (order == ANY_STORED)
			k = workload_uniform(k, r->records);
		else if (order == NONE_STORED)
			k += WORKLOAD_ABSENT;
		workload_key(k, order == IN_ORDER, key, r->key_len);
		r->chunk[i].key = slice_make(key, r->key_len);
		r->chunk[i].value = slice_make(
			r->pool + (k + turn * 31) % POOL * r->value_len,
			r->value_len);
	}
}

/* Write (or delete) `ops` records in batches. */
static void write_all(struct run *r, uint64_t ops, uint64_t batch,
		      enum order order, uint64_t turn, bool removes)
{
	for (uint64_t at = 0; at < ops;) {
		size_t n = batch > CHUNK ? batch : CHUNK / batch * batch;
		uint64_t then, now;

		if (n > ops - at)
			n = ops - at;
		chunk_fill(r, at, n, order, turn);
		for (size_t i = 0; removes && i < n; i++)
			r->chunk[i].value = SLICE_NULL;
		then = usage_clock_ns();
		for (size_t i = 0; i < n; i += batch) {
			engine.write(r->db, r->chunk + i,
				     batch < n - i ? batch : n - i, r->sync);
			now = usage_clock_ns();
			latency_add(&r->latency, now - then);
			r->timed_ns += now - then;
			then = now;
		}
		at += n;
		r->done += n;
	}
}

static void row_fillseq(struct run *r)
{
	write_all(r, r->ops, r->batch, IN_ORDER, 0, false);
}

static void row_fillrandom(struct run *r)
{
	write_all(r, r->ops, r->batch, AT_RANDOM, 0, false);
}

static void row_overwrite(struct run *r)
{
	write_all(r, r->ops, r->batch, ANY_STORED, 1, false);
}

static void row_deleterandom(struct run *r)
{
	write_all(r, r->ops, r->batch, ANY_STORED, 0, true);
}

/* The database that others begin with: filled at random, then compacted. */
static void row_build(struct run *r)
{
	uint64_t then;

	write_all(r, r->records, r->batch, AT_RANDOM, 0, false);
	then = usage_clock_ns();
	if (engine.compact)
		engine.compact(r->db);
	r->timed_ns += usage_clock_ns() - then;
}

static void row_compact(struct run *r)
{
	uint64_t then;

	write_all(r, r->records, r->batch, AT_RANDOM, 0, false);
	then = usage_clock_ns();
	engine.compact(r->db);
	r->timed_ns = usage_clock_ns() - then;
	r->done = 1;
}

static void see(struct run *r, struct slice value)
{
	r->bytes += value.len + (value.len ? value.data[value.len - 1] : 0);
}

/* `n` lookups from the first on. */
static void get_all(struct run *r, void *reader, uint64_t first, uint64_t n,
		    enum order order)
{
	struct slice value;

	for (uint64_t at = 0; at < n;) {
		size_t some = n - at < CHUNK ? n - at : CHUNK;
		uint64_t then;

		chunk_fill(r, first + at, some, order, 0);
		then = usage_clock_ns();
		for (size_t i = 0; i < some; i++)
			if (engine.get(reader, r->chunk[i].key, &value)) {
				see(r, value);
				r->found++;
			}
		r->timed_ns += usage_clock_ns() - then;
		at += some;
		r->done += some;
	}
}

/* Every record once, to have caches filled, then some lookups. */
static void warm_up(struct run *r, enum order order)
{
	void *reader = engine.reader_open(r->db);
	struct engine_op at;

	for (bool on = engine.first(reader, &at); on;
	     on = engine.next(reader, &at))
		see(r, at.value);
	get_all(r, reader, r->ops, r->warm, order);
	r->timed_ns = r->done = r->found = 0;
	engine.reader_close(reader);
}

static void gets(struct run *r, enum order order)
{
	void *reader;

	warm_up(r, order);
	reader = engine.reader_open(r->db);
	get_all(r, reader, 0, r->ops, order);
	engine.reader_close(reader);
}

static void row_readrandom(struct run *r)
{
	gets(r, ANY_STORED);
}

static void row_readmissing(struct run *r)
{
	gets(r, NONE_STORED);
}

static void walk(struct run *r, bool (*begin)(void *, struct engine_op *),
		 bool (*move)(void *, struct engine_op *))
{
	struct engine_op at;
	uint64_t then;
	void *reader;

	warm_up(r, ANY_STORED);
	reader = engine.reader_open(r->db);
	then = usage_clock_ns();
	for (bool on = begin(reader, &at); on && r->done < r->ops;
	     on = move(reader, &at)) {
		r->bytes += at.key.data[0];
		see(r, at.value);
		r->done++;
	}
	r->timed_ns = usage_clock_ns() - then;
	r->found = r->done;
	engine.reader_close(reader);
}

static void row_readseq(struct run *r)
{
	walk(r, engine.first, engine.next);
}

static void row_readreverse(struct run *r)
{
	walk(r, engine.last, engine.prev);
}

/* The record sought and the 50 behind it. */
static void seek_one(struct run *r, void *reader, struct slice key)
{
	struct engine_op at;
	bool on = engine.seek(reader, key, &at);

	r->found += on;
	for (int i = 0; on && i < 50; i++) {
		see(r, at.value);
		on = engine.next(reader, &at);
	}
}

static void row_seekrandom(struct run *r)
{
	void *reader;

	warm_up(r, ANY_STORED);
	reader = engine.reader_open(r->db);
	for (uint64_t n = 0; n < r->ops;) {
		size_t some = r->ops - n < CHUNK ? r->ops - n : CHUNK;
		uint64_t then;

		chunk_fill(r, n, some, ANY_STORED, 0);
		then = usage_clock_ns();
		for (size_t i = 0; i < some; i++)
			seek_one(r, reader, r->chunk[i].key);
		r->timed_ns += usage_clock_ns() - then;
		n += some;
		r->done += some;
	}
	engine.reader_close(reader);
}

struct beside {
	struct run run; /* its own keys and values, our database */
	volatile bool stop;
};

/* Batches of overwrites at a steady rate, and how long each took. */
static void *write_beside(void *arg)
{
	struct beside *b = arg;
	struct run *r = &b->run;
	uint64_t start = usage_clock_ns(), due, now;

	for (uint64_t n = 0; !b->stop; n += r->batch) {
		due = start + n * 1000000000 / r->writes_per_s;
		now = usage_clock_ns();
		if (now < due)
			nanosleep(&(struct timespec){ .tv_nsec = (long)(due -
									now) },
				  NULL);
		chunk_fill(r, n, r->batch, ANY_STORED, 1);
		now = usage_clock_ns();
		engine.write(r->db, r->chunk, r->batch, false);
		latency_add(&r->latency, usage_clock_ns() - now);
	}
	return NULL;
}

static void row_readwhilewriting(struct run *r)
{
	struct beside b = { .run = *r };
	pthread_t writer;
	void *reader;

	warm_up(r, ANY_STORED);
	reader = engine.reader_open(r->db);
	chunk_make(&b.run);
	if (pthread_create(&writer, NULL, write_beside, &b))
		engine_die("drive", "no thread");
	get_all(r, reader, 0, r->ops, ANY_STORED);
	b.stop = true;
	pthread_join(writer, NULL);
	r->latency = b.run.latency;
	chunk_free(&b.run);
	engine.reader_close(reader);
}

static const struct row rows[] = {
	{ "build", row_build, false, true, true },
	{ "fillseq", row_fillseq, true, true, true },
	{ "fillrandom", row_fillrandom, false, true, true },
	{ "overwrite", row_overwrite, false, true, false },
	{ "deleterandom", row_deleterandom, false, true, false },
	{ "readrandom", row_readrandom, false, false, false },
	{ "readmissing", row_readmissing, false, false, false },
	{ "readseq", row_readseq, false, false, false },
	{ "readreverse", row_readreverse, false, false, false },
	{ "seekrandom", row_seekrandom, false, false, false },
	{ "readwhilewriting", row_readwhilewriting, false, true, false },
	{ "compact", row_compact, false, true, true },
};

void row_run(struct run *r)
{
	chunk_make(r);
	r->row->run(r);
	chunk_free(r);
}

const struct row *row_find(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}
