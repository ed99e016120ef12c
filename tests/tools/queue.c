/*
 * queue.c - a writer that uses the asynchronous queue.
 *
 *	queue DIR PREFIX N
 *
 * Submits N puts, of PREFIX1 to PREFIXN, as fast as the queue takes them, and
 * prints each that completes, as a record: from then on it is durable.
 */
#include "lib/store.h"

#include <stdio.h>
#include <stdlib.h>

static const char *prefix;

/* What has completed, up to 100; waits for the first. */
static int reap(struct store *db, struct store_error *err)
{
	struct store_completion c[100];
	int n = store_reap(db, c, 100, -1, err);

	for (int i = 0; i < n; i++) {
		if (c[i].result < 0) {
			*err = c[i].err;
			return c[i].result;
		}
		printf("%s%llu\tv%llu\n", prefix, (unsigned long long)c[i].id,
		       (unsigned long long)c[i].id);
	}
	return n;
}

static int submit(struct store *db, int i, struct store_error *err)
{
	char key[100], value[20];
	int r;

	snprintf(key, sizeof(key), "%s%d", prefix, i);
	snprintf(value, sizeof(value), "v%d", i);
	while ((r = store_submit_put(db, slice_str(key), slice_str(value), NULL,
				     NULL, err)) == STORE_EFULL) {
		*err = STORE_ERROR_INIT;
		if ((r = reap(db, err)) < 0)
			break;
	}
	return r;
}

int main(int argc, char **argv)
{
	struct store_config config = { .flags = STORE_WRITE | STORE_CREATE };
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;
	int n, r;

	if (argc != 4) {
		fprintf(stderr, "usage: queue DIR PREFIX N\n");
		return 64;
	}
	prefix = argv[2];
	n = atoi(argv[3]);
	r = store_open(&db, argv[1], &config, &err);
	for (int i = 1; r >= 0 && i <= n; i++)
		r = submit(db, i, &err);
	while (r >= 0 && (r = reap(db, &err)) > 0)
		;
	store_close(db);
	if (r < 0) {
		fprintf(stderr, "queue: %s\n", err.text);
		return 1;
	}
	return 0;
}
