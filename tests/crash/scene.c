#include "tests/crash/scene.h"

#include "lib/lock.h"
#include "lib/names.h"
#include "tests/crash/oracle.h"
#include "tests/crash/setup.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- what other processes leave behind ---- */

static const char *const big_value =
	"a value of some length, so that the log, which was full to the brim "
	"before, has no room for it: then the log is sealed, a new one is "
	"made, this goes into the new one, and whoever put it flushes the "
	"old one and sweeps; that is much for one put, and dies in many ways, "
	"which is why it is written down here at such length";

/* Rotate `n` times, but let nobody flush: so many sealed logs more. */
static void seal_logs(struct stage *s, int n)
{
	struct store_error err = STORE_ERROR_INIT;
	struct lock l;
	struct dir d;

	setup_check(dir_open(&d, s->dir, &err), &err, "directory");
	setup_check(lock_open(&l, &d, true, false, 0, &err), &err, "LOCK");
	/* Somebody else flushes them, and will not be ready: they are claimed.
	 */
	while (n-- > 0) {
		if (lock_claim(&l, setup_active_log(s), &err) != 1)
			setup_die("claim: %s", err.text);
		setup_fill_log(s);
		setup_put(s, "sealed", big_value);
	}
	lock_close(&l);
	dir_close(&d);
}

static bool writes_to(const struct traced *t, const char *suffix)
{
	char link[64], path[300];
	ssize_t n;
	size_t len = strlen(suffix);

	if (!trace_write_length(t))
		return false;
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)t->pid,
		 (int)t->args[0]);
	n = readlink(link, path, sizeof(path));
	return n > (ssize_t)len && !memcmp(path + n - len, suffix, len);
}

static void start(struct stage *s, struct traced *t, const char *const *argv)
{
	const char *full[SCENE_ARGS + 3];
	struct command c = { .argv = full, .out = s->output };
	char room[300];

	stage_command(s, argv, room, full);
	trace_start(t, &c);
}

/* A tool dies after its first write to a file *suffix, of which `keep` came. */
static void die_writing(struct stage *s, const char *const *argv,
			const char *suffix, uint64_t keep)
{
	struct traced t;
	enum trace_stop stop;

	start(s, &t, argv);
	while ((stop = trace_next(&t)) != TRACE_END)
		if (stop == TRACE_ENTRY && writes_to(&t, suffix))
			break;
	if (stop == TRACE_END)
		setup_die("%s never wrote to %s", argv[0], suffix);
	if (keep < trace_write_length(&t))
		trace_cut_write(&t, keep);
	trace_next(&t);
	trace_kill(&t);
}

/* A tool dies after its nth rename. */
static void die_renaming(struct stage *s, const char *const *argv, int n)
{
	struct traced t;
	enum trace_stop stop;

	start(s, &t, argv);
	while ((stop = trace_next(&t)) != TRACE_END)
		if (stop == TRACE_EXIT &&
		    (t.nr == SYS_renameat || t.nr == SYS_renameat2 ||
		     t.nr == SYS_rename) &&
		    --n == 0)
			break;
	if (stop == TRACE_END)
		setup_die("%s renamed too little", argv[0]);
	trace_kill(&t);
}

/* ---- the scenes ---- */

/* Three runs that overlap, deleted keys, and a log. */
static void make_usual(struct stage *s)
{
	setup_make_small(s);
	setup_put_range(s, 0, 30, "first");
	setup_flush(s);
	setup_put_range(s, 20, 40, "second");
	setup_delete(s, "k005");
	setup_delete(s, "k025");
	setup_flush(s);
	setup_put_range(s, 38, 45, "third");
	setup_delete(s, "k000");
	setup_close_store(s);
}

static void after_put(struct stage *s, const char *key, const char *value)
{
	model_put(setup_next_state(s), slice_str(key), slice_str(value));
}

static void scene_nothing(struct stage *s)
{
	(void)s;
}

static void scene_put_new(struct stage *s)
{
	after_put(s, "a", "1");
}

static void scene_first(struct stage *s)
{
	setup_make_small(s);
	setup_close_store(s);
	after_put(s, "a", "1");
}

static void scene_put(struct stage *s)
{
	make_usual(s);
	after_put(s, "k007", "new");
}

static const char *const torn_put[] = { "lsm-put", "torn",
					"by a writer that died while it wrote "
					"this, a longer one than comes next",
					NULL };

/* Half a batch behind the log's end. */
static void scene_torn(struct stage *s)
{
	make_usual(s);
	die_writing(s, torn_put, ".wal", 100);
	after_put(s, "k007", "new");
}

/* A whole batch, never published. */
static void scene_unpublished(struct stage *s)
{
	make_usual(s);
	die_writing(s, torn_put, ".wal", UINT64_MAX);
	/* Without living memory it counts as written; it was never promised. */
	after_put(s, torn_put[1], torn_put[2]);
	after_put(s, "k007", "new");
	model_delete(&s->states[2], slice_str(torn_put[1]));
}

static void scene_large(struct stage *s)
{
	struct buf value = BUF_INIT;

	make_usual(s);
	for (int i = 0; i < 20000; i++)
		if (buf_append_u32(&value, (uint32_t)i * 2654435761u) < 0)
			setup_die("no memory");
	place_write(s->root, "input", buf_slice(&value));
	model_put(setup_next_state(s), slice_str("large"), buf_slice(&value));
	buf_free(&value);
}

static void scene_delete(struct stage *s)
{
	make_usual(s);
	model_delete(setup_next_state(s), slice_str("k030"));
}

static void scene_delete_prefix(struct stage *s)
{
	struct model *m;
	char key[20];

	make_usual(s);
	m = setup_next_state(s);
	for (int i = 30; i < 40; i++) {
		snprintf(key, sizeof(key), "k%03d", i);
		model_delete(m, slice_str(key));
	}
}

/* `n` records on stdin, `each` of which make a state. */
static void input_records(struct stage *s, int n, int each)
{
	struct buf text = BUF_INIT;
	char key[20], value[120], line[150];
	struct model *m = NULL;

	for (int i = 0; i < n; i++) {
		if (i % each == 0)
			m = setup_next_state(s);
		snprintf(key, sizeof(key), "k%03d", i * 37 % 100);
		snprintf(value, sizeof(value),
			 "record %d of the input, as long as this sentence "
			 "happens to be",
			 i);
		snprintf(line, sizeof(line), "%s\t%s\n", key, value);
		if (buf_append(&text, line, strlen(line)) < 0)
			setup_die("no memory");
		model_put(m, slice_str(key), slice_str(value));
	}
	place_write(s->root, "input", buf_slice(&text));
	buf_free(&text);
}

static void scene_batch(struct stage *s)
{
	make_usual(s);
	input_records(s, 20, 20);
}

static void scene_stream(struct stage *s)
{
	make_usual(s);
	input_records(s, 90, 15);
}

/* What fills a third of load_memory, as setup_make_small() has it. */
#define PIECE_RECORDS 75

/* A piece and some more: the piece is loaded, the rest goes to the log. */
static void scene_load(struct stage *s)
{
	make_usual(s);
	input_records(s, PIECE_RECORDS + 20, PIECE_RECORDS);
}

/* Two pieces over sealed logs, all of them or none. */
static void scene_load_atomic(struct stage *s)
{
	make_usual(s);
	setup_reopen(s);
	seal_logs(s, 1);
	setup_close_store(s);
	input_records(s, PIECE_RECORDS + 20, PIECE_RECORDS + 20);
}

static void scene_rotate(struct stage *s)
{
	make_usual(s);
	setup_reopen(s);
	setup_fill_log(s);
	setup_close_store(s);
	after_put(s, "big", big_value);
}

/* The log is full, and so is the row of sealed ones. */
static void scene_room(struct stage *s)
{
	make_usual(s);
	setup_reopen(s);
	seal_logs(s, 2);
	setup_fill_log(s);
	setup_close_store(s);
	after_put(s, "big", big_value);
}

static void scene_usual(struct stage *s)
{
	make_usual(s);
}

static void scene_flush_sealed(struct stage *s)
{
	make_usual(s);
	setup_reopen(s);
	seal_logs(s, 1);
	setup_close_store(s);
}

static void scene_compact(struct stage *s)
{
	setup_make_small(s);
	setup_put_range(s, 0, 30, "zeroth");
	setup_flush(s);
	setup_compact(s);
	for (int i = 0; i < 3; i++) {
		setup_put_range(s, i * 10, i * 10 + 25, "later");
		setup_delete(s, i ? "k012" : "k003");
		setup_flush(s);
	}
	setup_put(s, "k002", "in the log");
	setup_close_store(s);
}

/* Everything in one merge that is installed in several pieces. */
static void scene_pieces(struct stage *s)
{
	static const struct store_setting_text small[] = {
		{ "write_buffer", "16K" }, { "level0_runs", "9" },
		{ "table_bytes", "4K" },   { "table_bytes_max", "4K" },
		{ "compression", "none" }, { "compression_last", "none" },
		{ "job_bytes", "4K" },	   { "block_bytes", "1K" },
		{ "maintenance", "cron" },
	};

	setup_open_with(s, STORE_WRITE | STORE_CREATE, small,
			sizeof(small) / sizeof(small[0]));
	setup_put_range(s, 0, 170, "first");
	setup_flush(s);
	setup_put_range(s, 60, 240, "second");
	setup_delete(s, "k005");
	setup_delete(s, "k125");
	setup_flush(s);
	setup_put(s, "k002", "in the log");
	setup_close_store(s);
}

/* That merge has ended early: tables are left whose files hold too much. */
static void scene_leftovers(struct stage *s)
{
	struct store_compact_config config = { .all = 1,
					       .strategy = "tiered",
					       .max_bytes = 1 };
	struct store_compact_result result;
	struct store_error err = STORE_ERROR_INIT;

	scene_pieces(s);
	setup_reopen(s);
	setup_check(store_compact(s->db, &config, &result, &err), &err,
		    "compact");
	if (!result.stopped)
		setup_die("the merge came to its end");
	setup_close_store(s);
}

/* Files that a reader kept, and those of the dead. */
static void scene_sweep(struct stage *s)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_snapshot *snap;
	struct store *reader;

	setup_make_small(s);
	setup_put_range(s, 0, 30, "first");
	setup_flush(s);
	setup_put_range(s, 10, 40, "second");
	setup_check(store_open(&reader, s->dir, NULL, &err), &err, "open");
	setup_check(store_snapshot(reader, &snap, &err), &err, "snapshot");
	setup_flush(s);
	setup_compact(s);
	store_snapshot_free(snap);
	store_close(reader);
	place_write(s->dir, "000001.sst", slice_str("an orphan"));
	place_write(s->dir, "000002.sst.tmp", slice_str("half a table"));
	place_write(s->dir, "MANIFEST.json.tmp", slice_str("{"));
	place_write(s->dir, "000001.ver", slice_str("old"));
	place_write(s->dir, "000009.ver.tmp", slice_str("half"));
	setup_close_store(s);
}

/* The living memory is of another boot, or a copy's: all is read anew. */
static void scene_recover(struct stage *s)
{
	make_usual(s);
	setup_reopen(s);
	seal_logs(s, 1);
	setup_close_store(s);
	die_writing(s, torn_put, ".wal", 100);
	after_put(s, "k007", "new");
}

static void scene_recover_read(struct stage *s)
{
	scene_recover(s);
	model_free(&s->states[--s->n_states]);
}

/* Recovered, and nobody has written since: the log counts as poisoned. */
static void scene_heal(struct stage *s)
{
	char other[260];

	make_usual(s);
	setup_reopen(s);
	seal_logs(s, 1);
	setup_close_store(s);
	snprintf(other, sizeof(other), "%s.copy", s->dir);
	place_copy(s->dir, other);
	place_remove(s->dir);
	if (rename(other, s->dir) < 0)
		setup_die("rename: %s", strerror(errno));
	setup_reopen(s);
	setup_close_store(s);
	after_put(s, "k007", "new");
}

static const char *const flush_argv[] = { "lsm-flush", NULL };

/* MANIFEST.json is the new one, and nobody was told: of a rotation... */
static void scene_finish_rotation(struct stage *s)
{
	make_usual(s);
	die_renaming(s, flush_argv, 2);
	after_put(s, "k007", "new");
}

/* ... and of a flush. */
static void scene_finish_flush(struct stage *s)
{
	make_usual(s);
	die_renaming(s, flush_argv, 5);
	after_put(s, "k007", "new");
}

static const struct scene fixed[] = {
	{ .name = "create",
	  .make = scene_nothing,
	  .argv = { "lsm-init", "write_buffer=4K", "level0_runs=2",
		    "maintenance=cron" },
	  .creates = true },
	{ .name = "create-by-put",
	  .make = scene_put_new,
	  .argv = { "lsm-put", "a", "1" },
	  .creates = true },
	{ .name = "first-put",
	  .make = scene_first,
	  .argv = { "lsm-put", "a", "1" } },
	{ .name = "put",
	  .make = scene_put,
	  .argv = { "lsm-put", "k007", "new" } },
	{ .name = "put-over-torn-tail",
	  .make = scene_torn,
	  .argv = { "lsm-put", "k007", "new" } },
	{ .name = "put-over-unpublished",
	  .make = scene_unpublished,
	  .argv = { "lsm-put", "k007", "new" },
	  .unpromised = true },
	{ .name = "put-large",
	  .make = scene_large,
	  .argv = { "lsm-put", "large", "-" } },
	{ .name = "del", .make = scene_delete, .argv = { "lsm-del", "k030" } },
	{ .name = "del-prefix",
	  .make = scene_delete_prefix,
	  .argv = { "lsm-del", "--prefix", "k03" } },
	{ .name = "batch",
	  .make = scene_batch,
	  .argv = { "lsm-put", "--atomic" } },
	{ .name = "stream",
	  .make = scene_stream,
	  .argv = { "lsm-put", "--batch-size", "15" } },
	{ .name = "load",
	  .make = scene_load,
	  .argv = { "lsm-put" },
	  .threads = true },
	{ .name = "load-atomic",
	  .make = scene_load_atomic,
	  .argv = { "lsm-put", "--atomic" },
	  .threads = true },
	{ .name = "rotate",
	  .make = scene_rotate,
	  .argv = { "lsm-put", "big", "@" } },
	{ .name = "make-room",
	  .make = scene_room,
	  .argv = { "lsm-put", "big", "@" } },
	{ .name = "flush", .make = scene_usual, .argv = { "lsm-flush" } },
	{ .name = "flush-sealed",
	  .make = scene_flush_sealed,
	  .argv = { "lsm-flush" } },
	{ .name = "sweep", .make = scene_sweep, .argv = { "lsm-flush" } },
	{ .name = "recover-by-put",
	  .make = scene_recover,
	  .argv = { "lsm-put", "k007", "new" },
	  .copied = true },
	{ .name = "recover-by-get",
	  .make = scene_recover_read,
	  .argv = { "lsm-get", "k007" },
	  .copied = true },
	{ .name = "recover-by-flush",
	  .make = scene_recover_read,
	  .argv = { "lsm-flush" },
	  .copied = true },
	{ .name = "heal",
	  .make = scene_heal,
	  .argv = { "lsm-put", "k007", "new" } },
	{ .name = "finish-rotation",
	  .make = scene_finish_rotation,
	  .argv = { "lsm-put", "k007", "new" } },
	{ .name = "finish-flush",
	  .make = scene_finish_flush,
	  .argv = { "lsm-put", "k007", "new" } },
	{ .name = "compact", .make = scene_compact, .argv = { "lsm-compact" } },
	{ .name = "compact-leftovers",
	  .make = scene_leftovers,
	  .argv = { "lsm-compact", "--strategy", "tiered" } },
};

#define N_FIXED (sizeof(fixed) / sizeof(fixed[0]))
#define MAX_SCENES (N_FIXED + 32)
#define PLUGIN_PREFIX "lsm-strategy-"

/* Each strategy merges everything, at once and piece by piece. */
static void add_strategy(struct scene *all, size_t *n, const char *file)
{
	static const struct {
		const char *prefix;
		void (*make)(struct stage *s);
	} kinds[] = { { "compact-", scene_compact },
		      { "pieces-", scene_pieces } };
	char *strategy = strdup(file + strlen(PLUGIN_PREFIX));

	if (!strategy)
		setup_die("no memory");
	*strchrnul(strategy, '.') = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char *name = malloc(strlen(strategy) + 10);

		if (!name)
			setup_die("no memory");
		sprintf(name, "%s%s", kinds[i].prefix, strategy);
		all[(*n)++] = (struct scene){
			.name = name,
			.make = kinds[i].make,
			.argv = { "lsm-compact", "--all", "--strategy",
				  strategy },
		};
	}
}

const struct scene *scene_all(const char *plugins, size_t *n)
{
	static struct scene all[MAX_SCENES];
	char **names;
	size_t files;

	memcpy(all, fixed, sizeof(fixed));
	*n = N_FIXED;
	names = place_names(plugins, &files);
	for (size_t i = 0; i < files && *n + 2 <= MAX_SCENES; i++)
		if (!strncmp(names[i], PLUGIN_PREFIX, strlen(PLUGIN_PREFIX)))
			add_strategy(all, n, names[i]);
	place_free_names(names, files);
	return all;
}

const struct scene *scene_find(const struct scene *all, size_t n,
			       const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].name, name))
			return &all[i];
	return NULL;
}

const char *scene_operand(const char *arg)
{
	return strcmp(arg, "@") ? arg : big_value;
}
