#include "tests/crash/flip_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const keys[FLIP_KEYS] = {
	"a",  "ab", "apple", "b",     "banana", "c",
	"cc", "d",  "echo",  "echo2", "f",	"zz",
};

/* Each batch synced, as it should be, but the log without room behind it. */
static int put(struct store *db, struct flip_store *s, int from, int to,
	       const char *const *values, struct store_error *err)
{
	struct store_batch b = STORE_BATCH_INIT;
	int r = 0;

	for (int i = from; r == 0 && i < to; i++) {
		s->now[i] = values[i - from];
		r = values[i - from]
			    ? store_batch_put(&b, slice_str(keys[i]),
					      slice_str(values[i - from]), err)
			    : store_batch_delete(&b, slice_str(keys[i]), err);
	}
	if (r == 0)
		r = store_write(db, &b, STORE_NOSYNC, err);
	if (r == 0)
		r = store_sync(db, err);
	store_batch_free(&b);
	return r;
}

/* A table, and a log of three batches that hides some of it. */
static int fill(struct store *db, struct flip_store *s, struct store_error *err)
{
	static const char *const old[] = {
		"one",	"two two two two two",
		"red",	"yellow and long, or longish",
		"long", "old",
		"gone", "4",
		"old",	"there"
	};
	static const char *const first[] = { "new", NULL };
	static const char *const second[] = { "again", "" };
	static const char *const last[] = { "the last", NULL, "of it" };
	char path[600];
	struct stat st;
	int r;

	r = put(db, s, 0, 10, old, err);
	if (r == 0)
		r = store_flush(db, err);
	if (r >= 0)
		r = put(db, s, 5, 7, first, err);
	if (r == 0)
		r = put(db, s, 9, 11, second, err);
	memcpy(s->before, s->now, sizeof(s->now));
	if (r < 0)
		return r;
	for (uint64_t n = 1; n < 20; n++) {
		snprintf(path, sizeof(path), "%s/%06d.wal", s->dir, (int)n);
		if (stat(path, &st) == 0) {
			s->last_batch = (uint64_t)st.st_size;
			snprintf(s->log, NAME_SIZE, "%06d.wal", (int)n);
			snprintf(s->tree, NAME_SIZE, "%06d.idx", (int)n);
		}
		snprintf(path, sizeof(path), "%s/%06d.sst", s->dir, (int)n);
		if (stat(path, &st) == 0)
			snprintf(s->table, NAME_SIZE, "%06d.sst", (int)n);
	}
	return put(db, s, 7, 10, last, err);
}

int flip_make(struct flip_store *s)
{
	struct store_config config = { .flags = STORE_CREATE | STORE_WRITE,
				       .tool = "flip" };
	struct store_error err = STORE_ERROR_INIT;
	struct store *db = NULL;
	const char *base = getenv("LSM_CRASH_TMP");
	char path[600];
	int r;

	*s = (struct flip_store){ .last_batch = 0 };
	if (!base)
		base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(s->root, sizeof(s->root), "%s/lsm-flip.XXXXXX", base);
	if (!mkdtemp(s->root)) {
		perror(s->root);
		return -1;
	}
	snprintf(s->dir, sizeof(s->dir), "%s/data", s->root);
	r = store_open(&db, s->dir, &config, &err);
	if (r == 0)
		r = fill(db, s, &err);
	store_close(db);
	if (r < 0) {
		fprintf(stderr, "flip: %s\n", err.text);
		return -1;
	}
	snprintf(path, sizeof(path), "%s/%s", s->dir, s->table);
	return chmod(path, 0644);
}

void flip_remove(const char *dir, const char *suffix)
{
	DIR *d = opendir(dir);
	size_t n = strlen(suffix);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len >= n && !strcmp(e->d_name + len - n, suffix))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

void flip_unmake(const struct flip_store *s)
{
	flip_remove(s->dir, "");
	rmdir(s->dir);
	rmdir(s->root);
}

/* ---- the reader ---- */

/* Which of the two states the answers so far agree with. */
struct answers {
	bool now, before;
	bool honest; /* some were errors */
};

static void answer(struct answers *a, const struct flip_store *s, int key,
		   const struct slice *got)
{
	const char *now = s->now[key], *before = s->before[key];

	if (!got) {
		a->now &= !now;
		a->before &= !before;
		return;
	}
	a->now &= now && slice_eq(*got, slice_str(now));
	a->before &= before && slice_eq(*got, slice_str(before));
}

/* An error must say damage, and nothing else was the matter. */
static void fault(struct answers *a, int code)
{
	a->honest = true;
	if (code != STORE_ECORRUPT)
		a->now = a->before = false;
}

static void get_all(struct store *db, const struct flip_store *s,
		    struct answers *a)
{
	struct buf value = BUF_INIT;
	struct slice v;

	for (int i = 0; i < FLIP_KEYS; i++) {
		int r = store_get(db, slice_str(keys[i]), &value, NULL);

		v = buf_slice(&value);
		if (r < 0)
			fault(a, r);
		else
			answer(a, s, i, r == 1 ? &v : NULL);
	}
	buf_free(&value);
}

static void scan_all(struct store *db, const struct flip_store *s,
		     struct answers *a)
{
	struct store_iter *it = NULL;
	struct slice v;
	int i = 0, r = store_iter_open(db, NULL, &it, NULL);

	if (r == 0)
		r = store_iter_first(it, NULL);
	for (; r == 1; r = store_iter_next(it, NULL)) {
		while (i < FLIP_KEYS &&
		       slice_cmp(slice_str(keys[i]), store_iter_key(it)) < 0)
			answer(a, s, i++, NULL);
		if (i == FLIP_KEYS ||
		    !slice_eq(slice_str(keys[i]), store_iter_key(it))) {
			a->now = a->before = false;
			break;
		}
		r = store_iter_value(it, &v, NULL);
		if (r < 0)
			break;
		answer(a, s, i++, &v);
	}
	if (r < 0)
		fault(a, r);
	for (; r == 0 && i < FLIP_KEYS; i++)
		answer(a, s, i, NULL);
	store_iter_close(it);
}

enum flip_answer flip_read(const struct flip_store *s, bool tail)
{
	struct answers a = { .now = true, .before = true };
	struct store *db;
	int r = store_open(&db, s->dir, NULL, NULL);

	if (r < 0)
		return r == STORE_ECORRUPT ? FLIP_HONEST : FLIP_WRONG;
	get_all(db, s, &a);
	scan_all(db, s, &a);
	store_close(db);
	if (!a.now && !(tail && a.before))
		return FLIP_WRONG;
	return a.honest ? FLIP_HONEST : FLIP_RIGHT;
}
