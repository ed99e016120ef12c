#include "tests/crash/oracle.h"

#include "lib/names.h"
#include "lib/store.h"
#include "lib/wal.h"
#include "tests/crash/place.h"
#include "tests/crash/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nothing a judgement does takes so long. */
#define HANG_SECONDS 20

#define PROBE_KEY "~probe"
#define PROBE_VALUE "the next put"

static bool wrong(struct verdict *v, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool wrong(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
	v->ok = false;
	return false;
}

static int open_store(const char *dir, unsigned flags, struct store **db,
		      struct store_error *err)
{
	struct store_config c = { .flags = flags,
				  .timeout_ms = STORE_NO_WAIT,
				  .tool = "oracle" };

	return store_open(db, dir, &c, err);
}

/* Everything the store holds, as model_text() has it. */
static int read_all(struct store *db, struct buf *out, struct store_error *err)
{
	struct store_iter *it;
	struct slice value;
	int r = store_iter_open(db, NULL, &it, err);

	buf_clear(out);
	if (r < 0)
		return r;
	for (r = store_iter_first(it, err); r == 1;
	     r = store_iter_next(it, err)) {
		r = store_iter_value(it, &value, err);
		if (r < 0)
			break;
		model_record(out, store_iter_key(it), value);
	}
	store_iter_close(it);
	return r;
}

bool oracle_manifest(const char *dir, struct manifest *m,
		     struct store_error *err)
{
	struct buf text = BUF_INIT;
	int r = -1;

	*m = MANIFEST_INIT;
	if (!place_read(dir, NAME_MANIFEST, &text))
		store_fail(err, STORE_EGONE, "%s: no manifest", dir);
	else
		r = manifest_parse(m, buf_slice(&text), dir, NAME_MANIFEST,
				   err);
	buf_free(&text);
	return r == 0;
}

/* Which of the states is `text`?  o->n: none. */
static size_t which(const struct oracle *o, size_t least,
		    const struct buf *text, bool with_probe)
{
	struct buf want = BUF_INIT;
	size_t i;

	for (i = least; i < o->n; i++) {
		struct model m = MODEL_INIT;
		bool same;

		model_copy(&m, &o->states[i]);
		if (with_probe)
			model_put(&m, slice_str(PROBE_KEY),
				  slice_str(PROBE_VALUE));
		model_text(&m, &want);
		same = slice_eq(buf_slice(&want), buf_slice(text));
		model_free(&m);
		if (same)
			break;
	}
	buf_free(&want);
	return i;
}

/* Open, read all, close: the state must be one of those allowed. */
static bool see_state(const struct oracle *o, const char *dir, size_t least,
		      const char *when, bool with_probe, struct verdict *v)
{
	struct store_error err = STORE_ERROR_INIT;
	struct buf text = BUF_INIT;
	struct store *db = NULL;
	int r = open_store(dir, STORE_READ, &db, &err);

	if (r == STORE_ENOSTORE && o->creates && least == 0 && !with_probe) {
		v->state = 0;
		return true;
	}
	if (r == 0)
		r = read_all(db, &text, &err);
	if (r < 0) {
		wrong(v, "%s: %s", when, err.text);
	} else {
		v->state = which(o, least, &text, with_probe);
		if (v->state == o->n)
			wrong(v,
			      "%s: %zu bytes of records, none of the states "
			      "from %zu that may be",
			      when, text.len, least);
	}
	store_close(db);
	buf_free(&text);
	return v->ok;
}

/* The next writer must have cut whatever tail there was. */
static bool no_tail(const char *dir, struct verdict *v)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m = MANIFEST_INIT;
	const struct log_meta *log;
	struct dir d = DIR_INIT;
	struct wal_walk w;
	struct wal_batch b;
	struct slice bytes;
	struct view view;
	char name[NAME_SIZE];
	uint64_t salt, size = 0;
	int fd, r;

	if (!oracle_manifest(dir, &m, &err))
		return wrong(v, "after the next put: %s", err.text);
	log = manifest_active_log(&m);
	name_make(name, FILE_WAL, log ? log->number : 0);
	manifest_release(&m);
	if (!log || dir_open(&d, dir, &err) < 0 ||
	    (fd = os_open(&d, name, O_RDONLY, 0, &err)) < 0) {
		dir_close(&d);
		return wrong(v, "after the next put: no active log %s",
			     err.text);
	}
	view_init(&view, fd, &d, name, 0);
	r = wal_open_header(&view, NULL, 0, &salt, &err);
	if (r == 0)
		r = os_size(fd, &size, &d, name, &err);
	wal_walk_init(&w, &view, salt, size);
	while (r >= 0 && (r = wal_walk_next(&w, &b, &bytes, &err)) == 1)
		;
	if (r < 0)
		wrong(v, "after the next put: %s", err.text);
	else if (w.off != size)
		wrong(v,
		      "after the next put: %s has %llu bytes behind its last "
		      "batch",
		      name, (unsigned long long)(size - w.off));
	wal_walk_release(&w);
	view_close(&view);
	dir_close(&d);
	return v->ok;
}

/* The next put, then maintenance. */
static bool next_put(const struct oracle *o, const char *dir, struct verdict *v)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db = NULL;
	int r = open_store(dir, STORE_WRITE | (o->creates ? STORE_CREATE : 0),
			   &db, &err);

	if (r == 0)
		r = store_put(db, slice_str(PROBE_KEY), slice_str(PROBE_VALUE),
			      STORE_SYNC, &err);
	if (r == 0 && store_warning(db, &err))
		r = -1;
	store_close(db);
	return r == 0 ? no_tail(dir, v)
		      : wrong(v, "the next put: %s", err.text);
}

static bool maintain(const char *dir, struct verdict *v)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db = NULL;
	int r = open_store(dir, STORE_WRITE, &db, &err);

	if (r == 0)
		r = store_flush(db, &err);
	store_close(db);
	return r >= 0 || wrong(v, "the next flush: %s", err.text);
}

static bool belongs(const struct manifest *m, const char *name)
{
	uint64_t n;

	switch (name_parse(name, &n)) {
	case FILE_LOCK:
	case FILE_STATE:
	case FILE_MANIFEST:
		return true;
	case FILE_WAL:
	case FILE_IDX:
		return manifest_find_log(m, n) != NULL;
	case FILE_SST:
		return manifest_names(m, n) && !manifest_find_log(m, n);
	case FILE_VER:
		return n == m->generation;
	default:
		return false;
	}
}

/* After maintenance: what the manifest names, what lives, and no orphan. */
static bool exact_files(const char *dir, struct verdict *v)
{
	struct store_error err = STORE_ERROR_INIT;
	struct manifest m;
	size_t n, durable = 0, named = 0;
	char **names = place_names(dir, &n);

	if (!oracle_manifest(dir, &m, &err)) {
		place_free_names(names, n);
		return wrong(v, "after maintenance: %s", err.text);
	}
	named = m.n_logs;
	for (size_t l = 0; l < m.n_levels; l++)
		for (size_t r = 0; r < m.levels[l].n; r++)
			named += m.levels[l].runs[r].n;
	for (size_t i = 0; v->ok && i < n; i++) {
		uint64_t number;
		enum file_kind k = name_parse(names[i], &number);

		durable += k == FILE_WAL || k == FILE_SST;
		if (!belongs(&m, names[i]))
			wrong(v, "after maintenance: %s is an orphan",
			      names[i]);
	}
	if (v->ok && durable != named)
		wrong(v,
		      "after maintenance: %zu logs and tables, but the "
		      "manifest names %zu",
		      durable, named);
	manifest_release(&m);
	place_free_names(names, n);
	return v->ok;
}

static bool verified(const struct oracle *o, const char *dir, struct verdict *v)
{
	const char *argv[] = { o->verify, "-d", dir, NULL };
	char out[600];
	struct command c = { .argv = argv, .out = out };
	struct buf said = BUF_INIT;
	int status;

	if (!o->verify)
		return true;
	snprintf(out, sizeof(out), "%s.said", dir);
	unlink(out);
	status = trace_run(&c);
	if (status != 0) {
		place_read("", out, &said);
		wrong(v, "lsm-verify: status %d: %.*s", status,
		      (int)(said.len < 300 ? said.len : 300),
		      (const char *)said.data);
		buf_free(&said);
	}
	unlink(out);
	return v->ok;
}

/* Living memory can be deleted, and nothing is lost. */
static void drop_living(const char *dir)
{
	size_t n;
	char **names = place_names(dir, &n);

	for (size_t i = 0; i < n; i++) {
		uint64_t number;
		enum file_kind k = name_parse(names[i], &number);

		if (k == FILE_STATE || k == FILE_IDX || k == FILE_VER)
			place_unlink(dir, names[i]);
	}
	place_free_names(names, n);
}

static void judge(const struct oracle *o, const char *dir, size_t least,
		  struct verdict *v)
{
	size_t state;

	if (!see_state(o, dir, least, "reopened", false, v))
		return;
	state = v->state;
	if (!next_put(o, dir, v) ||
	    !see_state(o, dir, state, "after the next put", true, v))
		return;
	if (v->state != state) {
		wrong(v, "after the next put: state %zu became %zu", state,
		      v->state);
		return;
	}
	if (maintain(dir, v) && exact_files(dir, v) && verified(o, dir, v) &&
	    see_state(o, dir, state, "after maintenance", true, v)) {
		drop_living(dir);
		see_state(o, dir, state, "without living memory", true, v);
	}
	v->state = state;
}

void oracle_judge(const struct oracle *o, const char *dir, size_t least,
		  struct verdict *v)
{
	struct verdict *shared = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (shared == MAP_FAILED || (pid = fork()) < 0) {
		perror("oracle");
		exit(2);
	}
	shared->ok = true;
	if (pid == 0) {
		alarm(HANG_SECONDS);
		judge(o, dir, least, shared);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	*v = *shared;
	munmap(shared, sizeof(*v));
	if (WIFSIGNALED(status))
		wrong(v, "the library died of signal %d%s", WTERMSIG(status),
		      WTERMSIG(status) == SIGALRM ? ": it hangs" : "");
	else if (WEXITSTATUS(status) != 0)
		wrong(v, "the library exited");
}
