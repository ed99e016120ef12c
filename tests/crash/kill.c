/*
 * kill - kill a tool before every system call it makes, and after writes cut
 * short, and have the oracle judge what is left.
 *
 *	kill [--full] [--list] [SCENE...]
 *
 * The tools are those of $LSM_BIN, else $BUILD/bin, else build/bin.  For each
 * scene the command is run once, its calls counted; then, for every n, it is
 * killed before its nth call, and its writes are cut at 1, 512, 4096 k and
 * length - 1 bytes; each time the store is judged (oracle.h) as it lies, with
 * its living memory, and as a copy, without.  Then the next process dies,
 * too: a put after the death is killed before its mth call, for a sample of
 * n and m, and with --full for more of them.
 *
 * Prints TAP; the exit status is 1 if anything was violated.
 */
#include "tests/crash/oracle.h"
#include "tests/crash/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A trial that takes so long hangs. */
#define TRIAL_SECONDS 30
/* Of one scene's violations, so many are told. */
#define TOLD 5
#define RECOUNTS 8
/* By so many calls a thread may be ahead, or behind. */
#define TURNS 32
#define AGAIN_KEY "again"
#define AGAIN_VALUE "and again"

struct cut {
	unsigned long write; /* the nth of the run */
	unsigned long call;  /* which is this call of it */
	uint64_t bytes;	     /* that arrive */
};

/* The oldest state that may be, as it lies and as a copy. */
struct least {
	size_t lying, copied;
};

struct trials {
	const struct scene *scene;
	struct stage stage;
	struct oracle oracle;
	char copy[260];	     /* judged without its living memory */
	unsigned long calls; /* when nobody kills it */
	unsigned long writes;
	struct cut *cuts;
	size_t n_cuts;
	unsigned long points; /* deaths before a call */
	/* seen[n - 1]: after a death before call n, and so after every later */
	struct least *seen;
	unsigned long second; /* deaths of the next process */
	unsigned long violations;
	char at[160]; /* the trial under way */
};

static struct trials *under_way;

static void too_long(int sig)
{
	(void)sig;
	printf("not ok - kill: %s: %s: hangs\n", under_way->scene->name,
	       under_way->at);
	fflush(stdout);
	_exit(1);
}

static void violated(struct trials *t, const char *what)
{
	struct buf said = BUF_INIT;

	if (t->violations++ >= TOLD)
		return;
	printf("# kill: %s: %s: %s\n", t->scene->name, t->at, what);
	if (place_read(t->stage.root, "output", &said) && said.len)
		printf("# it said: %.*s", (int)said.len,
		       (const char *)said.data);
	buf_free(&said);
}

static void launch(struct trials *t, struct traced *run,
		   const char *const *argv)
{
	const char *full[SCENE_ARGS + 3];
	struct command c = { .argv = full,
			     .in = *t->stage.input ? t->stage.input : NULL,
			     .out = t->stage.output };
	char room[300];

	stage_command(&t->stage, argv, room, full);
	alarm(TRIAL_SECONDS);
	trace_start(run, &c);
}

/* Both judgements; a copy is made before the first changes anything. */
static void judge(struct trials *t, struct oracle *o, struct least *least)
{
	struct verdict v;

	if (access(t->stage.dir, R_OK) == 0) {
		place_copy(t->stage.dir, t->copy);
		oracle_judge(o, t->copy, AS_A_COPY,
			     t->scene->unpromised ? 0 : least->copied, &v);
		if (!v.ok) {
			char text[600];

			snprintf(text, sizeof(text), "as a copy: %s", v.text);
			violated(t, text);
		} else {
			least->copied = v.state;
		}
	}
	oracle_judge(o, t->stage.dir, AS_IT_LIES, least->lying, &v);
	if (!v.ok)
		violated(t, v.text);
	else
		least->lying = v.state;
}

static void add_cut(struct trials *t, uint64_t bytes)
{
	struct cut *p = realloc(t->cuts, (t->n_cuts + 1) * sizeof(*p));

	if (!p)
		exit(2);
	t->cuts = p;
	p[t->n_cuts++] = (struct cut){ t->writes, t->calls, bytes };
}

/* Every place where a write of this length is cut, each once. */
static void add_cuts(struct trials *t, uint64_t length)
{
	t->writes += length > 0;
	if (length > 1)
		add_cut(t, 1);
	if (length > 512)
		add_cut(t, 512);
	for (uint64_t at = 4096; at < length; at += 4096)
		if (at != length - 1)
			add_cut(t, at);
	if (length > 2 && length - 1 != 512)
		add_cut(t, length - 1);
}

/* Once the command has said yes. */
static struct least promised(const struct trials *t)
{
	return (struct least){ t->stage.n_states - 1, t->stage.n_states - 1 };
}

/*
 * What was seen after a death before call n, and so must be seen after it
 * again.  Threads take their calls by turns that differ from run to run: with
 * those, what was seen some calls earlier.
 */
static struct least seen_at(const struct trials *t, unsigned long n)
{
	if (t->scene->threads && n <= TURNS)
		return (struct least){ 0, 0 };
	if (t->scene->threads)
		n -= TURNS;
	if (n > t->points)
		return promised(t);
	return t->seen[n - 1];
}

static void add_seen(struct trials *t, struct least least)
{
	struct least *p = realloc(t->seen, (t->points + 1) * sizeof(*p));

	if (!p)
		exit(2);
	t->seen = p;
	p[t->points++] = least;
}

/* The run that nobody kills: what it does, and that it does it. */
static void count_calls(struct trials *t)
{
	struct traced run;
	enum trace_stop stop;
	struct least last = promised(t);
	struct verdict v;

	snprintf(t->at, sizeof(t->at), "left alone");
	stage_reset(&t->stage);
	launch(t, &run, t->scene->argv);
	while ((stop = trace_next(&run)) != TRACE_END) {
		t->calls = run.calls;
		if (stop == TRACE_ENTRY)
			add_cuts(t, trace_write_length(&run));
	}
	if (trace_exit(&run) != 0)
		violated(t, "the command failed");
	oracle_no_tail(t->stage.dir, &v);
	if (!v.ok && strcmp(t->scene->argv[0], "lsm-get"))
		violated(t, v.text);
	judge(t, &t->oracle, &last);
}

/*
 * Let a run reach its nth call, and kill it before that is made; false when
 * it has come to its end.
 */
static bool kill_before(struct trials *t, struct traced *run, unsigned long n)
{
	while (trace_next(run) != TRACE_END)
		if (run->calls == n) {
			trace_kill(run);
			return true;
		}
	if (trace_exit(run) != 0)
		violated(t, "the command failed");
	return false;
}

/* Who asks a strategy waits for another process, once more or once less. */
static bool same_number(const struct trials *t)
{
	unsigned long d = t->points > t->calls ? t->points - t->calls
					       : t->calls - t->points;

	return d <= (strcmp(t->scene->argv[0], "lsm-compact") ? 0 : 2);
}

/*
 * As many points as a run that nobody kills makes calls; it is counted again
 * where it does not seem so.
 */
static void compare_points(struct trials *t)
{
	struct traced run;
	char text[100];

	for (int i = 0; i < RECOUNTS && !same_number(t); i++) {
		stage_reset(&t->stage);
		launch(t, &run, t->scene->argv);
		while (trace_next(&run) != TRACE_END)
			t->calls = run.calls;
	}
	if (same_number(t))
		return;
	snprintf(text, sizeof(text),
		 "%lu points, but left alone it made %lu calls", t->points,
		 t->calls);
	violated(t, text);
}

/*
 * Every call, until there are no more: their number is found, not believed,
 * and then compared.
 */
static void kill_everywhere(struct trials *t)
{
	struct least least = { 0, 0 };
	struct traced run;
	bool last = false;

	for (unsigned long n = 1; !last; n++) {
		snprintf(t->at, sizeof(t->at), "before call %lu", n);
		stage_reset(&t->stage);
		launch(t, &run, t->scene->argv);
		last = !kill_before(t, &run, n);
		if (t->scene->threads)
			least = seen_at(t, n);
		/* Its last call is exit: then it has said yes. */
		if (last || run.nr == SYS_exit_group)
			least = promised(t);
		judge(t, &t->oracle, &least);
		if (!last)
			add_seen(t, least);
	}
	compare_points(t);
}

static void cut_everywhere(struct trials *t)
{
	struct traced run;

	for (size_t i = 0; i < t->n_cuts; i++) {
		const struct cut *c = &t->cuts[i];
		struct least least = seen_at(t, c->call);
		unsigned long writes = 0;
		uint64_t length = 0;

		snprintf(t->at, sizeof(t->at), "write %lu cut at %llu bytes",
			 c->write, (unsigned long long)c->bytes);
		stage_reset(&t->stage);
		launch(t, &run, t->scene->argv);
		while (writes < c->write) {
			enum trace_stop stop = trace_next(&run);

			if (stop == TRACE_END)
				break;
			length = trace_write_length(&run);
			writes += stop == TRACE_ENTRY && length;
		}
		if (run.ended) {
			violated(t, "this time it wrote less often");
			continue;
		}
		/* Lengths differ a little: numbers compress well or badly. */
		trace_cut_write(&run,
				c->bytes < length ? c->bytes : length - 1);
		trace_next(&run);
		trace_kill(&run);
		judge(t, &t->oracle, &least);
	}
}

/* ---- the next process dies, too ---- */

static const char *const again_argv[] = { "lsm-put", AGAIN_KEY, AGAIN_VALUE,
					  NULL };

/* The states, and each with what the second process puts. */
static void twice_oracle(const struct trials *t, struct oracle *o)
{
	size_t n = t->stage.n_states;
	struct model *m = calloc(2 * n, sizeof(*m));

	if (!m)
		exit(2);
	for (size_t i = 0; i < n; i++) {
		model_copy(&m[2 * i], &t->stage.states[i]);
		model_copy(&m[2 * i + 1], &t->stage.states[i]);
		model_put(&m[2 * i + 1], slice_str(AGAIN_KEY),
			  slice_str(AGAIN_VALUE));
	}
	oracle_init(o, m, 2 * n, t->scene->creates, t->oracle.verify);
	for (size_t i = 0; i < 2 * n; i++)
		model_free(&m[i]);
	free(m);
}

/* Dead before call n; kill what comes next at every `step`th of its calls. */
static void kill_second(struct trials *t, struct oracle *o, unsigned long n,
			unsigned long step)
{
	struct least least = seen_at(t, n);
	struct place after = { .n = 0 };
	struct traced run;
	bool killed = true;
	char keep[260];

	snprintf(keep, sizeof(keep), "%s.second", t->stage.dir);
	stage_reset(&t->stage);
	launch(t, &run, t->scene->argv);
	if (!kill_before(t, &run, n))
		return;
	place_save(&after, t->stage.dir, keep);
	/*
	 * State i is 2 i, and 2 i + 1 with the second put.  A copy may hold a
	 * batch that was not published; the next writer puts his in its place.
	 */
	least.lying *= 2;
	/* Another first call each time, so that the steps meet everything. */
	for (unsigned long m = 1 + n % step; killed; m += step) {
		killed = false;
		least.copied = least.lying;
		snprintf(t->at, sizeof(t->at),
			 "before call %lu, then before call %lu of a put", n,
			 m);
		place_restore(&after);
		launch(t, &run, again_argv);
		while (!killed && trace_next(&run) != TRACE_END)
			if ((killed = run.calls == m))
				trace_kill(&run);
		if (!killed && trace_exit(&run) != 0)
			violated(t, "the second command failed");
		judge(t, o, &least);
		t->second += killed;
		if ((!killed || run.nr == SYS_exit_group) &&
		    (least.lying % 2 == 0 || least.copied % 2 == 0))
			violated(t, "the second put was promised, and is gone");
	}
	place_release(&after);
}

static void kill_twice(struct trials *t, bool full)
{
	/* About so many first deaths, spread over the calls that may matter. */
	unsigned long deaths = full ? 40 : 5, step = full ? 2 : 11;
	unsigned long stride = t->calls / deaths + 1;
	struct oracle o;

	twice_oracle(t, &o);
	for (unsigned long n = t->calls - 1; n > stride / 2; n -= stride) {
		kill_second(t, &o, n, step);
		if (n < stride)
			break;
	}
	oracle_release(&o);
}

static unsigned long run_scene(const struct scene *scene, const char *bin,
			       const char *verify, bool full)
{
	struct trials t = { .scene = scene };

	under_way = &t;
	stage_make(&t.stage, scene, bin);
	snprintf(t.copy, sizeof(t.copy), "%s.copy", t.stage.dir);
	oracle_init(&t.oracle, t.stage.states, t.stage.n_states, scene->creates,
		    verify);
	count_calls(&t);
	if (t.violations == 0) {
		kill_everywhere(&t);
		cut_everywhere(&t);
		kill_twice(&t, full);
	}
	alarm(0);
	printf("%s - kill: %s: %lu points, %zu cut writes, %lu second deaths, "
	       "%lu violations\n",
	       t.violations ? "not ok" : "ok", scene->name, t.points, t.n_cuts,
	       t.second, t.violations);
	fflush(stdout);
	place_remove(t.copy);
	oracle_release(&t.oracle);
	stage_free(&t.stage);
	free(t.cuts);
	free(t.seen);
	return t.violations;
}

int main(int argc, char **argv)
{
	const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
	char bin[200], plugins[200], verify[220];
	const struct scene *all, *s;
	unsigned long violations = 0;
	bool full = false;
	size_t n;

	snprintf(bin, sizeof(bin), "%.180s/bin", build);
	snprintf(plugins, sizeof(plugins), "%.180s/plugins", build);
	if (getenv("LSM_BIN"))
		snprintf(bin, sizeof(bin), "%.190s", getenv("LSM_BIN"));
	snprintf(verify, sizeof(verify), "%s/lsm-verify", bin);
	all = scene_all(plugins, &n);
	signal(SIGALRM, too_long);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		if (!strcmp(argv[1], "--full"))
			full = true;
		for (size_t i = 0; i < n && !strcmp(argv[1], "--list"); i++)
			puts(all[i].name);
		if (!strcmp(argv[1], "--list"))
			return 0;
	}
	for (size_t i = 0; i < (argc > 1 ? (size_t)argc - 1 : n); i++) {
		s = argc > 1 ? scene_find(all, n, argv[i + 1]) : &all[i];
		if (!s) {
			fprintf(stderr, "kill: no scene %s\n", argv[i + 1]);
			return 2;
		}
		violations += run_scene(
			s, bin, access(verify, X_OK) == 0 ? verify : NULL,
			full);
	}
	return violations ? 1 : 0;
}
