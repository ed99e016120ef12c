#include "tests/crash/power_history.h"

#include "lib/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX_BYTES 48000u

static const struct store_setting_text settings[] = {
	{ "write_buffer", "6K" }, { "tree_buffer", "16K" },
	{ "sealed_logs", "2" },	  { "level0_runs", "2" },
	{ "block_bytes", "512" }, { "table_bytes", "4K" },
};

static const struct store_config config = {
	.flags = STORE_WRITE | STORE_CREATE,
	.tool = "power",
	.strategy = "tiered",
	.settings = settings,
	.n_settings = sizeof(settings) / sizeof(settings[0]),
};

/* ---- keys, values, models ---- */

static struct slice key_of(uint32_t k, char *text, size_t n)
{
	snprintf(text, n, "key-%02" PRIu32 "-%.*s", k, (int)(k % 5 * 7),
		 "abcdefghijklmnopqrstuvwxyzabcdefghij");
	return slice_str(text);
}

static uint32_t value_len(uint32_t k, uint32_t version)
{
	uint32_t h = (k * 2654435761u) ^ (version * 40503u);

	h ^= h >> 15;
	if (version % 67 == 66)
		return 40000 + h % 5000; /* in chunks */
	switch (h % 8) {
	case 0:
		return 5;
	case 1:
		return 400 + h / 8 % 400;
	case 2:
		return 1100 + h / 8 % 500;
	default:
		return 8 + h / 8 % 60;
	}
}

/* Half of it compressible, and the version in front. */
static struct slice value_of(uint32_t k, uint32_t version, uint8_t *buf)
{
	uint32_t len = value_len(k, version);
	uint32_t r = k * 7919 + version * 104729 + 1;
	char head[24];

	for (uint32_t i = 0; i < len; i++) {
		r = r * 1664525 + 1013904223;
		buf[i] = i % 64 < 32 ? (uint8_t)(r >> 24) : (uint8_t)('a' + k);
	}
	snprintf(head, sizeof(head), "%04" PRIu32 ":", version % 10000);
	memcpy(buf, head, 5);
	return slice_make(buf, len);
}

/* Which version is this?  UINT32_MAX: none that we ever wrote. */
static uint32_t version_of(uint32_t k, struct slice v)
{
	static uint8_t buf[VALUE_MAX_BYTES];
	char head[5] = "";
	uint32_t version;

	if (v.len < 5)
		return UINT32_MAX;
	memcpy(head, v.data, 4);
	version = (uint32_t)strtoul(head, NULL, 10);
	return version && slice_eq(v, value_of(k, version, buf)) ? version
								 : UINT32_MAX;
}

static struct model *history_next(struct history *h)
{
	if (h->n + 2 > h->cap) {
		h->cap = h->cap ? 2 * h->cap : 64;
		h->models = xrealloc(h->models, h->cap * sizeof(*h->models));
	}
	h->models[h->n + 1] = h->models[h->n];
	return &h->models[++h->n];
}

void history_init(struct history *h, const struct model *m, uint32_t base)
{
	*h = (struct history){ .base = base };
	h->cap = 64;
	h->models = xrealloc(NULL, h->cap * sizeof(*h->models));
	h->models[0] = *m;
}

void history_release(struct history *h)
{
	free(h->models);
	*h = HISTORY_INIT;
}

/* ---- the workload ---- */

static int said(const char *what, const struct store_error *err)
{
	printf("# %s: %s\n", what, err->text);
	return -1;
}

static void note(struct trace *t, enum event_kind kind, uint32_t n)
{
	if (t)
		trace_add(t, kind)->n = n;
}

static int step(struct store_batch *b, struct model *m, uint32_t k,
		uint32_t version, struct store_error *err)
{
	static uint8_t buf[VALUE_MAX_BYTES];
	char text[64];
	struct slice key = key_of(k, text, sizeof(text));

	m->version[k] = version;
	if (!version)
		return store_batch_delete(b, key, err);
	return store_batch_put(b, key, value_of(k, version, buf), err);
}

/* Operation n: of one key mostly, of several in one batch now and then. */
static int one(struct store *db, struct history *h, struct trace *t,
	       enum store_sync sync)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_batch b = STORE_BATCH_INIT;
	struct model *m = history_next(h);
	uint32_t n = h->base + h->n;
	uint32_t steps = n % 67 == 66 ? 1 : n % 7 == 0 ? 5 : 1 + n % 2;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < steps; i++) {
		uint32_t k = (uint32_t)(fs_random() >> 33) % KEYS;
		bool gone = n % 5 == 0 && i == 1;

		/* One put at least, so that no two models are the same. */
		if (value_len(k, n) > 1000 && steps > 2)
			continue;
		r = step(&b, m, i ? k : n % KEYS, gone ? 0 : n, &err);
	}
	note(t, EV_BEGIN, h->n);
	if (r == 0)
		r = store_write(db, &b, sync, &err);
	store_batch_free(&b);
	if (r < 0)
		return said("write", &err);
	if (store_warning(db, &err))
		return said("warning", &err);
	if (sync == STORE_SYNC)
		note(t, EV_ACK, h->n);
	return 0;
}

/* What is done beside writing, from time to time. */
static int beside(struct store **db, const struct history *h, struct trace *t,
		  uint32_t i)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_compact_config all = { .all = i % 2 };
	int r = 0;

	if (i % 17 == 16)
		r = store_sync(*db, &err);
	else if (i % 29 == 28)
		r = store_flush(*db, &err);
	if (r >= 0 && (i % 17 == 16 || i % 29 == 28))
		note(t, EV_ACK, h->n);
	if (r >= 0 && i % 41 == 40)
		r = store_compact(*db, &all, NULL, &err);
	if (r >= 0 && i % 23 == 22) {
		store_close(*db);
		r = store_open(db, FS_DIR, &config, &err);
	}
	return r < 0 ? said("maintenance", &err) : 0;
}

int history_run(struct history *h, struct trace *t, uint32_t ops)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db[2] = { NULL, NULL };
	int r;

	fs.trace = t;
	r = store_open(&db[0], FS_DIR, &config, &err);
	if (r == 0)
		note(t, EV_ACK, 0);
	if (r == 0)
		r = store_open(&db[1], FS_DIR, &config, &err);
	if (r < 0)
		said("open", &err);
	for (uint32_t i = 0; r >= 0 && i < ops; i++) {
		struct store **mine = &db[i / 3 % 2];

		r = one(*mine, h, t, i % 11 < 4 ? STORE_NOSYNC : STORE_SYNC);
		if (r == 0)
			r = beside(mine, h, t, i);
	}
	store_close(db[0]);
	store_close(db[1]);
	fs.trace = NULL;
	return r < 0 ? -1 : 0;
}

int history_resume(struct history *h, struct trace *t)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;
	int r;

	fs.trace = t;
	r = store_open(&db, FS_DIR, &config, &err);
	if (r < 0) {
		said("open", &err);
		goto out;
	}
	r = one(db, h, t, STORE_SYNC);
	if (r == 0 && store_flush(db, &err) < 0)
		r = said("flush", &err);
	store_close(db);
out:
	fs.trace = NULL;
	return r < 0 ? -1 : 0;
}

/* ---- the check ---- */

/* What the store holds, as versions. */
static int read_all(struct store *db, struct model *m, struct store_error *err)
{
	struct store_iter *it;
	struct slice v;
	char text[64];
	uint32_t k = 0;
	int r = store_iter_open(db, NULL, &it, err);

	memset(m, 0, sizeof(*m));
	if (r < 0)
		return r;
	for (r = store_iter_first(it, err); r == 1;
	     r = store_iter_next(it, err)) {
		while (k < KEYS && slice_cmp(key_of(k, text, sizeof(text)),
					     store_iter_key(it)))
			k++;
		r = store_iter_value(it, &v, err);
		if (r < 0)
			break;
		if (k == KEYS) {
			r = store_fail(err, STORE_EBUG, "a key out of nowhere");
			break;
		}
		m->version[k] = version_of(k, v);
	}
	store_iter_close(it);
	return r;
}

static int expect(struct store *db, const struct model *m, const char *when)
{
	static uint8_t buf[VALUE_MAX_BYTES];
	struct store_error err = STORE_ERROR_INIT;
	struct store_iter *it = NULL;
	struct buf got = BUF_INIT;
	struct slice v;
	char text[64];
	int r = store_iter_open(db, NULL, &it, &err);
	int more = r < 0 ? r : store_iter_first(it, &err);

	for (uint32_t k = 0; r >= 0 && more >= 0 && k < KEYS; k++) {
		struct slice key = key_of(k, text, sizeof(text));

		r = store_get(db, key, &got, &err);
		if (r < 0 || r != (m->version[k] != 0))
			break;
		if (r == 0)
			continue;
		v = value_of(k, m->version[k], buf);
		if (!slice_eq(v, buf_slice(&got)) || more != 1 ||
		    slice_cmp(key, store_iter_key(it)) ||
		    store_iter_value(it, &v, &err) < 0 ||
		    !slice_eq(v, buf_slice(&got))) {
			r = -1;
			break;
		}
		more = store_iter_next(it, &err);
		r = 0;
	}
	if (r == 0 && more != 0)
		r = -1;
	if (r != 0)
		printf("# %s: wrong contents: %s\n", when, err.text);
	store_iter_close(it);
	buf_free(&got);
	return r != 0 ? -1 : 0;
}

static int64_t find_model(const struct history *h, const struct model *m,
			  uint32_t floor, uint32_t ceil)
{
	for (uint32_t n = ceil + 1; n-- > floor;)
		if (!memcmp(m, &h->models[n], sizeof(*m)))
			return n;
	printf("# holds no prefix from %" PRIu32 " to %" PRIu32 "\n", floor,
	       ceil);
	for (uint32_t n = 0; n <= h->n; n++)
		if (!memcmp(m, &h->models[n], sizeof(*m)))
			printf("# but that of %" PRIu32 "\n", n);
	for (uint32_t k = 0; k < KEYS; k++)
		if (m->version[k] != h->models[floor].version[k])
			printf("# key %" PRIu32 ": version %" PRIu32
			       ", acknowledged %" PRIu32 "\n",
			       k, m->version[k], h->models[floor].version[k]);
	return -1;
}

/* Nothing lies about but what the store consists of. */
static int no_orphans(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_stat s;
	uint64_t logs = 0, tables = 0, number;

	if (store_stat(db, &s, &err) < 0)
		return said("stat", &err);
	for (size_t i = 0; i < fs.n_names; i++)
		switch (name_parse(fs.names[i].name, &number)) {
		case FILE_WAL:
			logs++;
			break;
		case FILE_SST:
			tables++;
			break;
		case FILE_SST_TMP:
		case FILE_VER_TMP:
		case FILE_MANIFEST_TMP:
		case FILE_FOREIGN:
			printf("# left behind: %s\n", fs.names[i].name);
			return -1;
		default:
			break;
		}
	if (logs == s.logs && tables == s.tables)
		return 0;
	printf("# left behind: %" PRIu64 " logs of %" PRIu64 ", %" PRIu64
	       " tables of %" PRIu64 "\n",
	       logs, s.logs, tables, s.tables);
	return -1;
}

static int64_t check_open(const struct history *h, uint32_t floor,
			  uint32_t ceil, bool flush, struct model *after)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db = NULL;
	struct history more;
	struct model m;
	int64_t n = -1;

	if (store_open(&db, FS_DIR, &config, &err) < 0)
		return said("open", &err);
	if (store_created(db) && floor > 0) {
		printf("# the store is gone\n");
		goto out;
	}
	if (read_all(db, &m, &err) < 0) {
		said("read", &err);
		goto out;
	}
	n = find_model(h, &m, floor, ceil);
	if (n < 0)
		goto out;
	history_init(&more, &m, 5000);
	if (one(db, &more, NULL, STORE_SYNC) < 0)
		n = -1;
	if (n >= 0 && flush && store_flush(db, &err) < 0)
		n = said("flush", &err);
	if (n >= 0 && flush)
		n = no_orphans(db) < 0 ? -1 : n;
	*after = more.models[1];
	if (n >= 0 && expect(db, after, "after a write") < 0)
		n = -1;
	history_release(&more);
out:
	store_close(db);
	return n;
}

int64_t history_check(const struct history *h, uint32_t floor, uint32_t ceil,
		      bool flush)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db;
	struct model after;
	int64_t n = check_open(h, floor, ceil, flush, &after);

	if (n < 0)
		return n;
	if (store_open(&db, FS_DIR, &config, &err) < 0)
		return said("reopen", &err);
	if (expect(db, &after, "after a reopen") < 0)
		n = -1;
	store_close(db);
	if (n >= 0 && fs_open_count() > 0) {
		printf("# descriptors left open\n");
		n = -1;
	}
	return n;
}
