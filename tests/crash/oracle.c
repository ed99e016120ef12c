#include "tests/crash/oracle.h"

#include "lib/names.h"
#include "lib/store.h"
#include "lib/wal.h"
#include "tests/crash/place.h"
#include "tests/crash/trace.h"

#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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

static void hire(struct oracle *o);
static int dismiss(struct oracle *o);

void oracle_init(struct oracle *o, const struct model *states, size_t n,
		 bool creates, const char *verify)
{
	*o = (struct oracle){ .verify = verify, .n = n, .creates = creates };
	o->texts = calloc(n, sizeof(*o->texts));
	o->probed = calloc(n, sizeof(*o->probed));
	if (!o->texts || !o->probed)
		exit(2);
	for (size_t i = 0; i < n; i++) {
		struct model m = MODEL_INIT;

		model_copy(&m, &states[i]);
		model_text(&m, &o->texts[i]);
		model_put(&m, slice_str(PROBE_KEY), slice_str(PROBE_VALUE));
		model_text(&m, &o->probed[i]);
		model_free(&m);
	}
	hire(o);
}

void oracle_release(struct oracle *o)
{
	dismiss(o);
	for (size_t i = 0; i < o->n; i++) {
		buf_free(&o->texts[i]);
		buf_free(&o->probed[i]);
	}
	free(o->texts);
	free(o->probed);
}

/* One judgement under way. */
struct trial {
	const struct oracle *o;
	const char *dir;
	struct verdict *v;
	struct store *db;
	bool probed; /* the next put is in */
};

static bool begin(struct trial *t, unsigned flags, const char *when)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_config c = { .flags = flags,
				  .timeout_ms = STORE_NO_WAIT,
				  .tool = "oracle" };
	int r = store_open(&t->db, t->dir, &c, &err);

	if (r == STORE_ENOSTORE && t->o->creates && !t->probed)
		return true;
	return r == 0 || wrong(t->v, "%s: %s", when, err.text);
}

static void end(struct trial *t)
{
	store_close(t->db);
	t->db = NULL;
}

/* What it holds is state `least` or a later one; t->v->state tells which. */
static bool see(struct trial *t, size_t least, const char *when)
{
	const struct buf *texts = t->probed ? t->o->probed : t->o->texts;
	struct store_error err = STORE_ERROR_INIT;
	struct buf text = BUF_INIT;
	size_t i = least;

	if (t->db && read_all(t->db, &text, &err) < 0) {
		wrong(t->v, "%s: %s", when, err.text);
		goto out;
	}
	while (i < t->o->n && !slice_eq(buf_slice(&text), buf_slice(&texts[i])))
		i++;
	t->v->state = i;
	if (i == t->o->n)
		wrong(t->v,
		      "%s: %zu bytes of records, none of the states from %zu "
		      "that may be",
		      when, text.len, least);
out:
	buf_free(&text);
	return t->v->ok;
}

/* Nothing that was seen may go, or come. */
static bool see_again(struct trial *t, const char *when)
{
	size_t state = t->v->state;

	if (!see(t, state, when))
		return false;
	return t->v->state == state || wrong(t->v, "%s: state %zu became %zu",
					     when, state, t->v->state);
}

/* Bytes of log `name` behind its last batch that are not room. */
static int tail_of(const struct dir *d, const char *name, uint64_t *tail,
		   struct store_error *err)
{
	struct wal_walk w;
	struct wal_batch b;
	struct slice bytes;
	struct view view;
	uint64_t salt, size = 0;
	int r, fd = os_open(d, name, O_RDONLY, 0, err);

	if (fd < 0)
		return fd;
	view_init(&view, fd, d, name, 0);
	r = wal_open_header(&view, NULL, 0, &salt, err);
	if (r == 0)
		r = os_size(fd, &size, d, name, err);
	wal_walk_init(&w, &view, salt, size);
	while (r >= 0 && (r = wal_walk_next(&w, &b, &bytes, err)) == 1)
		;
	if (r >= 0)
		r = wal_walk_room(&w, err);
	*tail = r == 0 ? size - w.off : 0;
	wal_walk_release(&w);
	view_close(&view);
	return r;
}

/* The next writer must have cut whatever tail there was. */
static bool no_tail(const char *dir, struct verdict *v)
{
	struct store_error err = STORE_ERROR_INIT;
	const struct log_meta *log;
	struct dir d = DIR_INIT;
	char name[NAME_SIZE];
	struct manifest m;
	uint64_t tail = 0;

	if (!oracle_manifest(dir, &m, &err))
		return wrong(v, "after a put: %s", err.text);
	log = manifest_active_log(&m);
	if (log) {
		name_make(name, FILE_WAL, log->number);
		if (dir_open(&d, dir, &err) < 0 ||
		    tail_of(&d, name, &tail, &err) < 0)
			wrong(v, "after a put: %s", err.text);
		else if (tail)
			wrong(v,
			      "after a put: %s has %llu bytes behind its last "
			      "batch",
			      name, (unsigned long long)tail);
	}
	dir_close(&d);
	manifest_release(&m);
	return v->ok;
}

void oracle_no_tail(const char *dir, struct verdict *v)
{
	*v = (struct verdict){ .ok = true };
	no_tail(dir, v);
}

/* The next put, which must cut what a torn writer left; then maintenance. */
static bool go_on(struct trial *t)
{
	struct store_error err = STORE_ERROR_INIT;

	if (store_put(t->db, slice_str(PROBE_KEY), slice_str(PROBE_VALUE),
		      STORE_SYNC, &err) < 0 ||
	    store_warning(t->db, &err))
		return wrong(t->v, "the next put: %s", err.text);
	t->probed = true;
	if (!no_tail(t->dir, t->v) || !see_again(t, "after the next put"))
		return false;
	if (store_flush(t->db, &err) < 0)
		return wrong(t->v, "the next flush: %s", err.text);
	return see_again(t, "after the next flush");
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

static void judge(struct trial *t, enum oracle_manner manner, size_t least)
{
	unsigned flags = STORE_WRITE | (t->o->creates ? STORE_CREATE : 0);

	if (manner == AS_A_COPY) {
		if (!begin(t, STORE_READ, "opened for reading") ||
		    !see(t, least, "opened for reading"))
			return;
		end(t);
		least = t->v->state;
	}
	if (!begin(t, flags, "opened for writing") ||
	    !see(t, least, "opened for writing") || !go_on(t))
		return;
	end(t);
	if (!exact_files(t->dir, t->v) || manner == AS_A_COPY ||
	    !verified(t->o, t->dir, t->v))
		return;
	drop_living(t->dir);
	if (begin(t, STORE_READ, "without living memory"))
		see_again(t, "without living memory");
	end(t);
}

/* ---- the child, and talking to it ---- */

struct question {
	char dir[300];
	enum oracle_manner manner;
	size_t least;
};

static void answer_questions(const struct oracle *o, int line)
{
	struct question q;
	struct verdict v;
	struct trial t = { .o = o, .v = &v };

	/* The same memory over and over, rather than the kernel's. */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	while (read(line, &q, sizeof(q)) == sizeof(q)) {
		v = (struct verdict){ .ok = true };
		t.dir = q.dir;
		t.probed = false;
		alarm(HANG_SECONDS);
		judge(&t, q.manner, q.least);
		alarm(0);
		end(&t);
		if (write(line, &v, sizeof(v)) != sizeof(v))
			break;
	}
	_exit(0);
}

static void hire(struct oracle *o)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    (o->judge = fork()) < 0) {
		perror("oracle");
		exit(2);
	}
	if (o->judge == 0) {
		close(pair[0]);
		signal(SIGALRM, SIG_DFL);
		answer_questions(o, pair[1]);
	}
	close(pair[1]);
	o->line = pair[0];
}

static int dismiss(struct oracle *o)
{
	int status = 0;

	close(o->line);
	waitpid(o->judge, &status, 0);
	return status;
}

void oracle_judge(struct oracle *o, const char *dir, enum oracle_manner manner,
		  size_t least, struct verdict *v)
{
	struct question q = { .manner = manner, .least = least };
	int status;

	snprintf(q.dir, sizeof(q.dir), "%s", dir);
	if (send(o->line, &q, sizeof(q), MSG_NOSIGNAL) == sizeof(q) &&
	    recv(o->line, v, sizeof(*v), MSG_WAITALL) == sizeof(*v))
		return;
	status = dismiss(o);
	*v = (struct verdict){ .ok = true };
	if (WIFSIGNALED(status))
		wrong(v, "the library died of signal %d%s", WTERMSIG(status),
		      WTERMSIG(status) == SIGALRM ? ": it hangs" : "");
	else
		wrong(v, "the library exited");
	hire(o);
}
