/*
 * faults - a sync of one tool fails, and while the tool deals with that,
 * another works on the store.
 *
 *	faults [--list] [CASE...]
 *
 * The tools are those of $LSM_BIN, else $BUILD/bin, else build/bin.  The first
 * is the command of a scene (scene.h).  Each of its syncs, of files and of the
 * directory, fails once with EIO; after that, at each later call of the first,
 * it is stopped, and the second runs, to its end or as far as it comes; then
 * the first goes on.  The first must end with 0 or 74, the second with 0, and
 * the oracle must find what they have said is done, and nothing half-done.
 *
 * Prints TAP; the exit status is 1 if anything was violated.
 */
#include "tests/crash/oracle.h"
#include "tests/crash/scene.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIAL_SECONDS 30
#define TOLD 5
/* Both wait, again and again: for each other. */
#define DEADLOCK_ROUNDS 500
#define STATUS_IO 74

#define KEY "second"
#define VALUE "of the second process"

struct meeting {
	const char *name;
	const char *scene; /* whose command is the first tool */
	const char *second[SCENE_ARGS];
	bool puts; /* the second puts KEY */
};

#define PUTS .second = { "lsm-put", KEY, VALUE }, .puts = true
#define FLUSHES .second = { "lsm-flush" }
#define COMPACTS .second = { "lsm-compact" }

static const struct meeting meetings[] = {
	{ .name = "put/put", .scene = "put", PUTS },
	{ .name = "put/flush", .scene = "put", FLUSHES },
	{ .name = "first-put/put", .scene = "first-put", PUTS },
	{ .name = "first-put/compact", .scene = "first-put", COMPACTS },
	{ .name = "rotate/put", .scene = "rotate", PUTS },
	{ .name = "rotate/compact", .scene = "rotate", COMPACTS },
	{ .name = "make-room/put", .scene = "make-room", PUTS },
	{ .name = "make-room/compact", .scene = "make-room", COMPACTS },
	{ .name = "flush/put", .scene = "flush", PUTS },
	{ .name = "flush/compact", .scene = "flush", COMPACTS },
	{ .name = "flush-sealed/flush", .scene = "flush-sealed", FLUSHES },
	{ .name = "heal/put", .scene = "heal", PUTS },
	{ .name = "heal/compact", .scene = "heal", COMPACTS },
	{ .name = "finish-flush/put", .scene = "finish-flush", PUTS },
	{ .name = "recover/put", .scene = "recover-by-put", PUTS },
	{ .name = "compact/put", .scene = "compact", PUTS },
	{ .name = "compact/flush", .scene = "compact", FLUSHES },
	{ .name = "pieces/put", .scene = "pieces-leveled", PUTS },
};

#define N_MEETINGS (sizeof(meetings) / sizeof(meetings[0]))

struct trials {
	const struct meeting *meeting;
	const struct scene *scene;
	struct stage stage;
	struct oracle oracle;
	char said[2][260]; /* what the first and the second said */
	struct traced first, second;
	unsigned long syncs, schedules;
	unsigned long waited; /* schedules in which the second had to wait */
	unsigned long violations;
	char at[160];
};

static struct trials *under_way;

static void too_long(int sig)
{
	(void)sig;
	printf("not ok - faults: %s: %s: hangs\n", under_way->meeting->name,
	       under_way->at);
	fflush(stdout);
	_exit(1);
}

static void violated(struct trials *t, const char *what)
{
	static const char *const who[] = { "the first", "the second" };

	if (t->violations++ >= TOLD)
		return;
	printf("# faults: %s: %s: %s\n", t->meeting->name, t->at, what);
	for (size_t i = 0; i < 2; i++) {
		struct buf said = BUF_INIT;

		if (place_read("", t->said[i], &said) && said.len)
			printf("# %s said: %.*s\n", who[i],
			       (int)(said.len < 300 ? said.len : 300),
			       (const char *)said.data);
		buf_free(&said);
	}
}

static void launch(struct trials *t, size_t i)
{
	struct traced *run = i ? &t->second : &t->first;
	const char *full[SCENE_ARGS + 3];
	struct command c = { .argv = full, .out = t->said[i] };
	char room[300];

	if (i == 0 && *t->stage.input)
		c.in = t->stage.input;
	stage_command(&t->stage, i ? t->meeting->second : t->scene->argv, room,
		      full);
	trace_start(run, &c);
}

/* Both to their ends, each as far as it comes. */
static void finish(struct trials *t)
{
	for (int rounds = 0; !t->first.ended || !t->second.ended; rounds++) {
		if (rounds > DEADLOCK_ROUNDS) {
			violated(t, "both wait for each other");
			trace_kill(&t->first);
			trace_kill(&t->second);
			return;
		}
		if (!t->first.ended)
			trace_until(&t->first, 0);
		if (!t->second.ended)
			trace_until(&t->second, 0);
	}
}

static void judge(struct trials *t)
{
	int first = trace_exit(&t->first), second = trace_exit(&t->second);
	size_t half = t->stage.n_states / 2, least = 0;
	struct verdict v;

	t->schedules++;
	if (first != 0 && first != STATUS_IO)
		violated(t, "the first ended neither with 0 nor with 74");
	if (second != 0)
		violated(t, "the second failed");
	if (second == 0 && t->meeting->puts)
		least = half;
	if (first == 0)
		least += half - 1;
	oracle_judge(&t->oracle, t->stage.dir, AS_IT_LIES, least, &v);
	if (!v.ok)
		violated(t, v.text);
}

static bool is_sync(const struct traced *t)
{
	return t->nr == SYS_fsync || t->nr == SYS_fdatasync;
}

/*
 * The nth sync of the first fails; it is stopped after `later` more calls.
 * False when it has ended before that.
 */
static bool meet(struct trials *t, unsigned long n, unsigned long later)
{
	unsigned long syncs = 0;
	enum trace_stop stop;

	snprintf(t->at, sizeof(t->at), "sync %lu failed, stopped %lu later", n,
		 later);
	stage_reset(&t->stage);
	unlink(t->said[0]);
	unlink(t->said[1]);
	alarm(TRIAL_SECONDS);
	launch(t, 0);
	do {
		stop = trace_next(&t->first);
		syncs += stop == TRACE_ENTRY && is_sync(&t->first);
	} while (stop != TRACE_END && syncs < n);
	t->second.ended = true;
	if (stop == TRACE_END)
		return false;
	stop = trace_fail(&t->first, EIO);
	if (later)
		stop = trace_until(&t->first, t->first.calls + later);
	launch(t, 1);
	t->waited += trace_until(&t->second, 0) == TRACE_BLOCKED;
	finish(t);
	judge(t);
	return stop != TRACE_END;
}

/* How many syncs the first makes when nothing fails. */
static unsigned long count_syncs(struct trials *t)
{
	unsigned long n = 0;
	enum trace_stop stop;

	snprintf(t->at, sizeof(t->at), "left alone");
	stage_reset(&t->stage);
	alarm(TRIAL_SECONDS);
	launch(t, 0);
	while ((stop = trace_next(&t->first)) != TRACE_END)
		n += stop == TRACE_ENTRY && is_sync(&t->first);
	if (trace_exit(&t->first) != 0)
		violated(t, "the command failed");
	return n;
}

/* The states of the scene, then each with what the second puts. */
static void double_states(struct trials *t)
{
	struct stage *s = &t->stage;
	size_t n = s->n_states;

	for (size_t i = 0; i < n; i++) {
		struct model *m = &s->states[s->n_states++];

		*m = MODEL_INIT;
		model_copy(m, &s->states[i]);
		if (t->meeting->puts)
			model_put(m, slice_str(KEY), slice_str(VALUE));
	}
}

static unsigned long run_meeting(const struct meeting *meeting,
				 const struct scene *scene, const char *bin,
				 const char *verify)
{
	struct trials t = { .meeting = meeting, .scene = scene };

	under_way = &t;
	stage_make(&t.stage, scene, bin);
	double_states(&t);
	oracle_init(&t.oracle, t.stage.states, t.stage.n_states, scene->creates,
		    verify);
	for (size_t i = 0; i < 2; i++)
		snprintf(t.said[i], sizeof(t.said[i]), "%s/said.%zu",
			 t.stage.root, i);
	t.syncs = count_syncs(&t);
	for (unsigned long n = 1; n <= t.syncs; n++)
		for (unsigned long later = 0; meet(&t, n, later); later++)
			;
	alarm(0);
	printf("%s - faults: %s: %lu syncs, %lu schedules, %lu with a wait, "
	       "%lu violations\n",
	       t.violations || t.schedules == 0 ? "not ok" : "ok",
	       meeting->name, t.syncs, t.schedules, t.waited, t.violations);
	fflush(stdout);
	oracle_release(&t.oracle);
	stage_free(&t.stage);
	return t.violations + (t.schedules == 0);
}

static const struct meeting *find_meeting(const char *name)
{
	for (size_t i = 0; i < N_MEETINGS; i++)
		if (!strcmp(meetings[i].name, name))
			return &meetings[i];
	fprintf(stderr, "faults: no case %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
	char bin[200], plugins[200], verify[220];
	unsigned long violations = 0;
	const struct scene *all;
	size_t n;

	snprintf(bin, sizeof(bin), "%.180s/bin", build);
	if (getenv("LSM_BIN"))
		snprintf(bin, sizeof(bin), "%.190s", getenv("LSM_BIN"));
	snprintf(verify, sizeof(verify), "%s/lsm-verify", bin);
	snprintf(plugins, sizeof(plugins), "%.180s/plugins", build);
	all = scene_all(plugins, &n);
	signal(SIGALRM, too_long);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "--list")) {
		for (size_t i = 0; i < N_MEETINGS; i++)
			puts(meetings[i].name);
		return 0;
	}
	for (size_t i = 0; i < (argc > 1 ? (size_t)argc - 1 : N_MEETINGS);
	     i++) {
		const struct meeting *m =
			argc > 1 ? find_meeting(argv[i + 1]) : &meetings[i];

		const struct scene *scene = scene_find(all, n, m->scene);

		if (!scene) {
			printf("not ok - faults: %s: no scene %s\n", m->name,
			       m->scene);
			violations++;
			continue;
		}
		violations +=
			run_meeting(m, scene, bin,
				    access(verify, X_OK) == 0 ? verify : NULL);
	}
	return violations ? 1 : 0;
}
