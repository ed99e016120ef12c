/*
 * test_model.c - the store against a sorted map.
 *
 * A seed makes a list of operations of some thirty kinds; each is done to a
 * store with a tiny write buffer and to an array, and whatever is read must be
 * equal.  SEED=n runs one seed; SEEDS and OPS change how many.
 */
#include "tests/unit/modelcompact.h"
#include "tests/unit/world.h"

/* ---- operations ---- */

static void put(struct world *w, struct slice key, struct slice value)
{
	static struct buf k;

	buf_assign(&k, key); /* it may lie in the model */
	MUST(store_put(any_handle(w), buf_slice(&k), value, any_sync(w),
		       &err) == 0);
	model_put(&w->m, buf_slice(&k), value);
}

static void op_put_new(struct world *w)
{
	put(w, any_key(w), any_value(w, 60));
}

static void op_overwrite(struct world *w)
{
	put(w, present_key(w), any_value(w, 60));
}

static void op_put_empty(struct world *w)
{
	put(w, any_key(w), SLICE_NULL);
}

static void op_put_middle(struct world *w)
{
	put(w, any_key(w), any_value(w, 5000));
}

static void op_put_large(struct world *w)
{
	put(w, any_key(w), any_value(w, 200000));
}

static void del(struct world *w, struct slice key)
{
	static struct buf k;

	buf_assign(&k, key);
	MUST(store_delete(any_handle(w), buf_slice(&k), any_sync(w), &err) ==
	     0);
	model_delete(&w->m, buf_slice(&k));
}

static void op_delete_present(struct world *w)
{
	del(w, present_key(w));
}

static void op_delete_any(struct world *w)
{
	del(w, any_key(w));
}

/* Up to `n` steps into `b`; one that makes it `most` bytes long is the last. */
static void fill_batch(struct world *w, struct store_batch *b, size_t n,
		       size_t most, bool one_key)
{
	static struct buf k;

	buf_assign(&k, any_key(w));
	for (size_t i = 0; i < n && b->bytes.len < most; i++) {
		if (!one_key)
			buf_assign(&k,
				   below(w, 3) ? any_key(w) : present_key(w));
		if (below(w, 4)) {
			struct slice v = any_value(w, 40);

			MUST(store_batch_put(b, buf_slice(&k), v, &err) == 0);
			model_put(&w->m, buf_slice(&k), v);
		} else {
			MUST(store_batch_delete(b, buf_slice(&k), &err) == 0);
			model_delete(&w->m, buf_slice(&k));
		}
	}
}

static void batch_of(struct world *w, size_t n, bool one_key)
{
	struct store_batch b = STORE_BATCH_INIT;

	/* Within the smallest write buffer, whatever the last key. */
	fill_batch(w, &b, n, 1000, one_key);
	MUST(store_write(any_handle(w), &b, any_sync(w), &err) == 0);
	store_batch_free(&b);
}

static void op_batch(struct world *w)
{
	batch_of(w, 1 + below(w, 30), false);
}

static void op_batch_one_key(struct world *w)
{
	batch_of(w, 2 + below(w, 5), true);
}

/* Some batches around the log; sometimes one is given up before. */
static void op_load(struct world *w)
{
	struct store *db = any_handle(w);
	struct store_batch b = STORE_BATCH_INIT;
	struct store_load *load;
	bool atomic = below(w, 2);

	if (below(w, 8) == 0) {
		MUST(store_load_open(db, true, &load, &err) == 0);
		MUST(store_batch_put(&b, any_key(w), any_value(w, 40), &err) ==
		     0);
		MUST(store_load_add(load, &b, &err) == 0);
		store_load_free(load);
	}
	MUST(store_load_open(db, atomic, &load, &err) == 0);
	for (size_t n = 1 + below(w, 4); n > 0; n--) {
		fill_batch(w, &b, 1 + below(w, 100), SIZE_MAX, false);
		MUST(store_load_add(load, &b, &err) == 0);
		MUST(b.count == 0 && b.bytes.len == 0);
	}
	MUST(store_load_commit(load, &err) == 0);
	store_load_free(load);
	store_batch_free(&b);
}

static void op_empty_batch(struct world *w)
{
	struct store_batch b = STORE_BATCH_INIT;

	MUST(store_write(w->db, &b, STORE_SYNC, &err) == 0);
}

static void op_sync(struct world *w)
{
	MUST(store_sync(w->db, &err) == 0);
}

static void check_get(struct world *w, struct slice key)
{
	static struct buf k, v;
	bool found;
	size_t i;

	buf_assign(&k, key);
	i = model_find(&w->m, buf_slice(&k), &found);
	MUST(store_get(any_handle(w), buf_slice(&k), &v, &err) == found);
	MUST(!found || slice_eq(buf_slice(&v), buf_slice(&w->m.p[i].value)));
}

/* What was pinned before is as it was; then another one. */
static void op_pin(struct world *w)
{
	struct slice v = buf_slice(&w->pinned), key;
	bool found;
	size_t i;

	MUST(slice_eq(w->pin.value, v));
	key = below(w, 9) ? present_key(w) : any_key(w);
	i = model_find(&w->m, key, &found);
	MUST(store_get_pinned(w->db, key, &w->pin, &err) == found);
	v = found ? buf_slice(&w->m.p[i].value) : SLICE_NULL;
	MUST(slice_eq(w->pin.value, v));
	buf_assign(&w->pinned, v);
}

static void op_get(struct world *w)
{
	check_get(w, below(w, 2) ? present_key(w) : any_key(w));
}

static int collect(void *ctx, struct slice piece)
{
	return piece.len > 65536 ? -1 : buf_append_slice(ctx, piece);
}

static void op_read(struct world *w)
{
	static struct buf k, v;
	bool found;
	size_t i;

	buf_assign(&k, present_key(w));
	i = model_find(&w->m, buf_slice(&k), &found);
	buf_clear(&v);
	MUST(store_read(w->db, buf_slice(&k), collect, &v, &err) == found);
	MUST(!found || slice_eq(buf_slice(&v), buf_slice(&w->m.p[i].value)));
}

static void op_exists(struct world *w)
{
	static struct buf k;
	bool found;

	buf_assign(&k, below(w, 2) ? present_key(w) : any_key(w));
	model_find(&w->m, buf_slice(&k), &found);
	MUST(store_read(w->db, buf_slice(&k), NULL, NULL, &err) == found);
}

static void check_at(struct world *w, const struct model *m,
		     struct store_iter *it, size_t i)
{
	struct slice v;

	MUST(slice_eq(store_iter_key(it), buf_slice(&m->p[i].key)));
	MUST(store_iter_value_len(it) == m->p[i].value.len);
	MUST(store_iter_value(it, &v, &err) == 0);
	MUST(slice_eq(v, buf_slice(&m->p[i].value)));
}

static void walk_forward(struct world *w, const struct model *m,
			 struct store_snapshot *s)
{
	struct store_iter *it;
	size_t i = 0;
	int r;

	MUST(store_iter_open(w->db, s, &it, &err) == 0);
	for (r = store_iter_first(it, &err); r == 1;
	     r = store_iter_next(it, &err)) {
		MUST(i < m->n);
		check_at(w, m, it, i++);
	}
	MUST(r == 0 && i == m->n);
	store_iter_close(it);
}

static void op_forward(struct world *w)
{
	walk_forward(w, &w->m, NULL);
}

static void op_backward(struct world *w)
{
	struct store_iter *it;
	size_t i = w->m.n;
	int r;

	MUST(store_iter_open(w->other, NULL, &it, &err) == 0);
	for (r = store_iter_last(it, &err); r == 1;
	     r = store_iter_prev(it, &err)) {
		MUST(i > 0);
		check_at(w, &w->m, it, --i);
	}
	MUST(r == 0 && i == 0);
	store_iter_close(it);
}

/* Seek somewhere, then wander in both directions. */
static void op_wander(struct world *w)
{
	struct store_iter *it;
	static struct buf k;
	bool found;
	size_t i;
	int r;

	buf_assign(&k, below(w, 2) ? any_key(w) : present_key(w));
	i = model_find(&w->m, buf_slice(&k), &found);
	MUST(store_iter_open(w->db, NULL, &it, &err) == 0);
	if (below(w, 2)) {
		r = store_iter_seek(it, buf_slice(&k), &err);
	} else {
		r = store_iter_seek_before(it, buf_slice(&k), &err);
		i--; /* wraps below the first */
	}
	for (size_t n = below(w, 30);; n--) {
		MUST(r == (i < w->m.n));
		if (r == 0 || n == 0)
			break;
		check_at(w, &w->m, it, i);
		if (below(w, 3)) {
			r = store_iter_next(it, &err);
			i++;
		} else {
			r = store_iter_prev(it, &err);
			i--;
		}
	}
	store_iter_close(it);
}

static void op_snapshot(struct world *w)
{
	size_t i = below(w, MAX_SNAPSHOTS);

	if (w->snap[i])
		return;
	MUST(store_snapshot(w->db, &w->snap[i], &err) == 0);
	w->was[i] = model_copy(&w->m);
}

static void op_check_snapshot(struct world *w)
{
	for (size_t i = 0; i < MAX_SNAPSHOTS; i++)
		if (w->snap[i])
			walk_forward(w, &w->was[i], w->snap[i]);
}

static void op_snapshot_get(struct world *w)
{
	static struct buf k, v;
	bool found;
	size_t i, s = below(w, MAX_SNAPSHOTS);

	if (!w->snap[s])
		return;
	buf_assign(&k, any_key(w));
	i = model_find(&w->was[s], buf_slice(&k), &found);
	MUST(store_snapshot_get(w->snap[s], buf_slice(&k), &v, &err) == found);
	MUST(!found ||
	     slice_eq(buf_slice(&v), buf_slice(&w->was[s].p[i].value)));
}

static void free_snapshot(struct world *w, size_t i)
{
	store_snapshot_free(w->snap[i]);
	w->snap[i] = NULL;
	model_free(&w->was[i]);
}

static void op_free_snapshot(struct world *w)
{
	size_t i = below(w, MAX_SNAPSHOTS);

	if (w->snap[i])
		free_snapshot(w, i);
}

static void op_flush(struct world *w)
{
	MUST(store_flush(any_handle(w), &err) >= 0);
}

static void op_async(struct world *w)
{
	struct store_completion c;
	size_t n = 1 + below(w, 20);

	for (size_t i = 0; i < n; i++) {
		struct slice k = any_key(w), v = any_value(w, 50);

		MUST(store_submit_put(w->db, k, v, NULL, NULL, &err) == 0);
		model_put(&w->m, k, v);
	}
	for (size_t i = 0; i < n; i++) {
		MUST(store_reap(w->db, &c, 1, -1, &err) == 1);
		MUST(c.result == 0);
		buf_free(&c.value);
	}
}

static void open_all(struct world *w)
{
	struct store_config config = { .flags = STORE_WRITE | STORE_CREATE,
				       .plugins = PLUGIN_DIR };

	MUST(store_open(&w->db, w->dir, &config, &err) == 0);
	MUST(store_open(&w->other, w->dir, &config, &err) == 0);
}

static void close_all(struct world *w)
{
	for (size_t i = 0; i < MAX_SNAPSHOTS; i++)
		if (w->snap[i])
			free_snapshot(w, i);
	store_pin_release(&w->pin);
	buf_clear(&w->pinned);
	store_close(w->db);
	store_close(w->other);
	w->db = w->other = NULL;
}

static void op_reopen(struct world *w)
{
	close_all(w);
	open_all(w);
}

/* Unlink files by what their names end in. */
static void unlink_like(struct world *w, const char *suffix)
{
	DIR *d = opendir(w->dir);
	struct dirent *e;
	char path[600];

	MUST(d);
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name), s = strlen(suffix);

		if (n < s || strcmp(e->d_name + n - s, suffix))
			continue;
		snprintf(path, sizeof(path), "%s/%s", w->dir, e->d_name);
		unlink(path);
	}
	closedir(d);
}

static void op_lose_rebuildable(struct world *w)
{
	size_t which = below(w, 8);

	close_all(w);
	if (which & 1 || which == 0)
		unlink_like(w, "STATE");
	if (which & 2)
		unlink_like(w, ".idx");
	if (which & 4)
		unlink_like(w, ".ver");
	open_all(w);
}

/* A torn tail: what a writer killed in W4 leaves. */
static void op_torn_tail(struct world *w)
{
	DIR *d;
	struct dirent *e;
	char path[600], last[300] = "";
	uint8_t junk[100];
	int fd;

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)rnd(w);
	d = opendir(w->dir);
	MUST(d);
	while ((e = readdir(d)))
		if (strstr(e->d_name, ".wal") && strcmp(e->d_name, last) > 0)
			snprintf(last, sizeof(last), "%s", e->d_name);
	closedir(d);
	if (!*last)
		return;
	snprintf(path, sizeof(path), "%s/%s", w->dir, last);
	fd = open(path, O_WRONLY | O_APPEND);
	MUST(fd >= 0);
	MUST(write(fd, junk, 1 + below(w, sizeof(junk))) > 0);
	close(fd);
	if (below(w, 2))
		op_lose_rebuildable(w);
}

static void op_verify(struct world *w)
{
	struct verify_config c = { .strict = false };

	MUST(verify_store(w->dir, &c, &err) == 0);
}

static const struct {
	const char *name;
	void (*run)(struct world *);
	unsigned weight;
} ops[] = {
	{ "put new", op_put_new, 120 },
	{ "overwrite", op_overwrite, 80 },
	{ "put empty", op_put_empty, 10 },
	{ "put middle", op_put_middle, 10 },
	{ "put large", op_put_large, 1 },
	{ "delete present", op_delete_present, 40 },
	{ "delete any", op_delete_any, 10 },
	{ "batch", op_batch, 20 },
	{ "batch of one key", op_batch_one_key, 8 },
	{ "load", op_load, 3 },
	{ "empty batch", op_empty_batch, 1 },
	{ "sync", op_sync, 2 },
	{ "pin", op_pin, 60 },
	{ "get", op_get, 60 },
	{ "read", op_read, 20 },
	{ "exists", op_exists, 20 },
	{ "forward", op_forward, 6 },
	{ "backward", op_backward, 6 },
	{ "wander", op_wander, 30 },
	{ "snapshot", op_snapshot, 4 },
	{ "check snapshots", op_check_snapshot, 3 },
	{ "snapshot get", op_snapshot_get, 10 },
	{ "free snapshot", op_free_snapshot, 3 },
	{ "flush", op_flush, 8 },
	{ "change strategy", op_change_strategy, 2 },
	{ "compact", op_compact, 4 },
	{ "compact by another strategy", op_compact_by_another, 4 },
	{ "plan and apply", op_apply, 2 },
	{ "compact all", op_compact_all, 1 },
	{ "compaction that is stopped", op_compact_stopped, 4 },
	{ "compaction of a range", op_compact_range, 1 },
	{ "async", op_async, 3 },
	{ "reopen", op_reopen, 2 },
	{ "lose rebuildable files", op_lose_rebuildable, 2 },
	{ "torn tail", op_torn_tail, 1 },
	{ "verify", op_verify, 1 },
};

#define N_OPS (sizeof(ops) / sizeof(ops[0]))

static void one_op(struct world *w)
{
	unsigned total = 0, at;

	for (size_t i = 0; i < N_OPS; i++)
		total += ops[i].weight;
	at = (unsigned)below(w, total);
	for (size_t i = 0; i < N_OPS; i++) {
		if (at < ops[i].weight) {
			w->op = ops[i].name;
			ops[i].run(w);
			return;
		}
		at -= ops[i].weight;
	}
}

static void create(struct world *w)
{
	static const char *const buffers[] = { "4K", "16K", "64K" };
	static const char *const blocks[] = { "256", "1K", "4K" };
	static const char *const jobs[] = { "4K", "16K", "64K" };
	static const char *const codecs[] = { "none", "lz4", "zstd" };
	struct store_setting_text s[] = {
		{ "write_buffer", buffers[below(w, 3)] },
		{ "block_bytes", blocks[below(w, 3)] },
		{ "compression", codecs[below(w, 3)] },
		{ "table_bytes", "8K" },
		{ "table_bytes_max", "16K" },
		{ "level0_bytes", "64K" },
		{ "job_bytes", jobs[below(w, 3)] },
		{ "filter_bits", below(w, 2) ? "10" : "0" },
		{ "restart_interval", below(w, 2) ? "16" : "1" },
	};
	struct store_config config = {
		.flags = STORE_WRITE | STORE_CREATE,
		.strategy = any_strategy(w),
		.settings = s,
		.n_settings = sizeof(s) / sizeof(s[0]),
		.plugins = PLUGIN_DIR,
	};

	w->op = "create";
	MUST(store_open(&w->db, w->dir, &config, &err) == 0);
	store_close(w->db);
	open_all(w);
}

static void run_seed(uint64_t seed, uint64_t n)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	char command[300];

	err = STORE_ERROR_INIT;
	w->seed = w->random = seed;
	snprintf(w->dir, sizeof(w->dir), "%s/lsm-model.%d.%llu", tmp,
		 (int)getpid(), (unsigned long long)seed);
	create(w);
	for (w->step = 0; w->step < n; w->step++)
		one_op(w);
	w->op = "the end";
	op_forward(w);
	op_reopen(w);
	op_forward(w);
	op_verify(w);
	close_all(w);
	buf_free(&w->pinned);
	model_free(&w->m);
	snprintf(command, sizeof(command), "rm -rf %s", w->dir);
	CHECK(system(command) == 0);
	free(w);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

TEST(a_store_reads_as_a_sorted_map_after_any_operations)
{
	uint64_t n = number("OPS", 2000);

	if (getenv("SEED")) {
		run_seed(number("SEED", 1), n);
		return;
	}
	for (uint64_t seed = 1; seed <= number("SEEDS", 200); seed++)
		run_seed(seed, n);
}

TEST_MAIN()
