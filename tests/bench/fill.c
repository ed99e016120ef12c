/*
 * fill.c - a stream into a store of ours, by a process that goes on for all
 * of it.
 *
 *	fill DIR WORKLOAD RECORDS LOOKUPS
 *
 * The store is there already, as lsm-init made it.  A thread compacts when
 * store_pressure() says that it is due, one job at a time, beside the writer;
 * when all is written the rest is flushed and compacted until nothing is due.
 * Then as many lookups are made of keys that are there as of keys that are
 * not.  Prints a line of JSON: of either lookups how many filters were asked
 * and how many of these did not say no.
 */
#include "lib/store.h"
#include "tests/bench/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct compactor {
	struct store *db;
	pthread_t thread;
	volatile sig_atomic_t stop;
};

static void check(int r, const struct store_error *err)
{
	if (r < 0) {
		fprintf(stderr, "fill: %s\n", err->text);
		exit(1);
	}
}

static void *compact_when_due(void *arg)
{
	struct compactor *c = arg;
	struct store_error err = STORE_ERROR_INIT;
	struct store_pressure p;

	while (!c->stop) {
		check(store_pressure(c->db, &p, &err), &err);
		if (p.level >= STORE_PRESSURE_SOFT)
			check(store_compact(c->db, NULL, NULL, &err), &err);
		else
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 },
				  NULL);
	}
	return NULL;
}

static void write_all(struct store *db, struct stream *s)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_batch b = STORE_BATCH_INIT;
	struct stream_op op;

	while (stream_next(s, &op)) {
		struct slice key = slice_make(op.key, sizeof(op.key));
		struct slice value = slice_make(op.value, sizeof(op.value));

		check(op.deletes ? store_batch_delete(&b, key, &err)
				 : store_batch_put(&b, key, value, &err),
		      &err);
		if (b.count < STREAM_BATCH && s->at < s->writes)
			continue;
		check(store_write(db, &b, STORE_NOSYNC, &err), &err);
		store_batch_clear(&b);
	}
	store_batch_free(&b);
}

/* All that is due, whatever the pressure. */
static void finish(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_compact_result done;
	struct store_need need;
	int due;

	check(store_flush(db, &err), &err);
	while ((due = store_compact_need(db, NULL, &need, &err)) > 0) {
		check(store_compact(db, NULL, &done, &err), &err);
		if (done.jobs == 0)
			break;
	}
	check(due, &err);
	check(store_flush(db, &err), &err);
}

static void look_up(struct store *db, uint64_t records, bool present,
		    uint64_t n)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_stat before, after;
	struct buf value = BUF_INIT;
	uint8_t key[STREAM_KEY];
	uint64_t found = 0;
	int r;

	check(store_stat(db, &before, &err), &err);
	for (uint64_t i = 0; i < n; i++) {
		stream_lookup(records, present, i, key);
		r = store_get(db, slice_make(key, sizeof(key)), &value, &err);
		check(r, &err);
		found += r > 0;
	}
	check(store_stat(db, &after, &err), &err);
	buf_free(&value);
	after.filter_probes -= before.filter_probes;
	after.filter_negatives -= before.filter_negatives;
	printf("\"%s\":{\"lookups\":%ju,\"found\":%ju,\"asked\":%ju,"
	       "\"read\":%ju}",
	       present ? "present" : "absent", (uintmax_t)n, (uintmax_t)found,
	       (uintmax_t)after.filter_probes,
	       (uintmax_t)(after.filter_probes - after.filter_negatives));
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct compactor c = { 0 };
	uint64_t records = argc == 5 ? strtoull(argv[3], NULL, 10) : 0, lookups;
	struct stream s;

	if (records < 2 || !stream_init(&s, argv[2], records)) {
		fputs("usage: fill DIR WORKLOAD RECORDS LOOKUPS\n", stderr);
		return 64;
	}
	lookups = strtoull(argv[4], NULL, 10);
	check(store_open(&c.db, argv[1],
			 &(struct store_config){ .flags = STORE_WRITE }, &err),
	      &err);
	if (pthread_create(&c.thread, NULL, compact_when_due, &c))
		return 71;
	write_all(c.db, &s);
	c.stop = 1;
	pthread_join(c.thread, NULL);
	finish(c.db);
	putchar('{');
	look_up(c.db, records, true, lookups);
	putchar(',');
	look_up(c.db, records, false, lookups);
	puts("}");
	store_close(c.db);
	return fflush(stdout) ? 74 : 0;
}
