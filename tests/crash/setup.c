#include "tests/crash/setup.h"

#include "lib/names.h"
#include "tests/crash/oracle.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void setup_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "scene: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(2);
}

void setup_check(int r, const struct store_error *err, const char *what)
{
	if (r < 0)
		setup_die("%s: %s", what, err->text);
}

struct model *setup_before(struct stage *s)
{
	return &s->states[0];
}

/* One more state, that is so far like the last. */
struct model *setup_next_state(struct stage *s)
{
	struct model *m;

	if (s->n_states == SCENE_STATES)
		setup_die("too many states");
	m = &s->states[s->n_states++];
	*m = MODEL_INIT;
	model_copy(m, m - 1);
	return m;
}

void setup_open_with(struct stage *s, unsigned flags,
		     const struct store_setting_text *settings, size_t n)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_config c = { .flags = flags,
				  .settings = settings,
				  .n_settings = n };

	setup_check(store_open(&s->db, s->dir, &c, &err), &err, "open");
}

void setup_reopen(struct stage *s)
{
	setup_open_with(s, STORE_WRITE, NULL, 0);
}

void setup_close_store(struct stage *s)
{
	store_close(s->db);
	s->db = NULL;
}

/* Small in every way, so that a few records rotate, flush and merge. */
void setup_make_small(struct stage *s)
{
	static const struct store_setting_text small[] = {
		{ "write_buffer", "4K" },    { "tree_buffer", "64K" },
		{ "sealed_logs", "2" },	     { "level0_runs", "2" },
		{ "level0_bytes", "4K" },    { "table_bytes", "4K" },
		{ "table_bytes_max", "8K" }, { "block_bytes", "512" },
		{ "maintenance", "cron" },   { "load_memory", "24K" },
	};

	setup_open_with(s, STORE_WRITE | STORE_CREATE, small,
			sizeof(small) / sizeof(small[0]));
}

void setup_put(struct stage *s, const char *key, const char *value)
{
	struct store_error err = STORE_ERROR_INIT;

	setup_check(store_put(s->db, slice_str(key), slice_str(value),
			      STORE_SYNC, &err),
		    &err, "put");
	model_put(setup_before(s), slice_str(key), slice_str(value));
}

void setup_delete(struct stage *s, const char *key)
{
	struct store_error err = STORE_ERROR_INIT;

	setup_check(store_delete(s->db, slice_str(key), STORE_SYNC, &err), &err,
		    "delete");
	model_delete(setup_before(s), slice_str(key));
}

void setup_flush(struct stage *s)
{
	struct store_error err = STORE_ERROR_INIT;

	setup_check(store_flush(s->db, &err), &err, "flush");
}

void setup_compact(struct stage *s)
{
	struct store_compact_config c = { .all = 1 };
	struct store_error err = STORE_ERROR_INIT;

	setup_check(store_compact(s->db, &c, NULL, &err), &err, "compact");
}

/* Keys from..to, in one batch. */
void setup_put_range(struct stage *s, int from, int to, const char *tag)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_batch b = STORE_BATCH_INIT;
	char key[20], value[80];

	for (int i = from; i < to; i++) {
		snprintf(key, sizeof(key), "k%03d", i);
		snprintf(value, sizeof(value), "%s of %d, %d times %d", tag, i,
			 i * 7919, i);
		setup_check(store_batch_put(&b, slice_str(key),
					    slice_str(value), &err),
			    &err, "batch");
		model_put(setup_before(s), slice_str(key), slice_str(value));
	}
	setup_check(store_write(s->db, &b, STORE_SYNC, &err), &err, "write");
	store_batch_free(&b);
}

uint64_t setup_active_log(struct stage *s)
{
	struct store_error err = STORE_ERROR_INIT;
	const struct log_meta *log;
	struct manifest m;
	uint64_t number;

	if (!oracle_manifest(s->dir, &m, &err) ||
	    !(log = manifest_active_log(&m)))
		setup_die("no active log: %s", err.text);
	number = log->number;
	manifest_release(&m);
	return number;
}

/* What a log holds, without the room behind its last batch. */
static size_t without_room(const struct buf *log)
{
	size_t n = log->len;

	while (n > 0 && !log->data[n - 1])
		n--;
	return n;
}

/* Put until a record of 300 bytes does not fit the active log any more. */
void setup_fill_log(struct stage *s)
{
	struct buf log = BUF_INIT;
	char key[20], name[NAME_SIZE];

	name_make(name, FILE_WAL, setup_active_log(s));
	for (int i = 0; place_read(s->dir, name, &log); i++) {
		if (without_room(&log) > 4096 - 300)
			break;
		snprintf(key, sizeof(key), "fill%03d", i);
		setup_put(s, key,
			  "to the brim of the log, and no further than that");
	}
	buf_free(&log);
}
