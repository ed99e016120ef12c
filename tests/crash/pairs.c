/*
 * pairs - two tools on one store: one is stopped after each of its system
 * calls, the other runs to its end, then the first goes on.
 *
 *	pairs [--full] [--list] [PAIR...]
 *
 * The tools are those of $LSM_BIN, else $BUILD/bin, else build/bin.  When the
 * second waits for a lock that the stopped one holds, the first goes on and
 * both run on together.  Both must succeed, what they print must be true of
 * one moment, and the oracle must find what both have written.  With --full
 * the second is stopped on its way as well, and the first overtakes it: at
 * points spread over both.
 *
 * Prints TAP; the exit status is 1 if anything was violated.
 */
#include "tests/crash/oracle.h"
#include "tests/crash/scene.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIAL_SECONDS 30
#define TOLD 5
/* Both wait, again and again: for each other. */
#define DEADLOCK_ROUNDS 500
/* With --full: where the first is stopped, and each how many-eth call of the
 * second. */
#define FULL_POINTS 12
#define FULL_STRIDE 11

/* A command, and the record it puts, if it puts one. */
struct party {
	const char *argv[SCENE_ARGS];
	const char *key, *value;
};

struct pair {
	const char *name;
	const char *scene; /* whose store it is */
	struct party a, b; /* `a` is the one that is stopped */
	bool copied;
	bool one_creates; /* exactly one of them succeeds, the other says 73 */
};

#define PUT(k, v)                                                              \
	{                                                                      \
		.argv = { "lsm-put", k, v }, .key = k, .value = v              \
	}
#define DO(...)                                                                \
	{                                                                      \
		.argv = { __VA_ARGS__ }                                        \
	}
#define INIT                                                                   \
	DO("lsm-init", "write_buffer=4K", "level0_runs=2", "maintenance=cron")

static const struct pair pairs[] = {
	{ .name = "put/flush",
	  .scene = "put",
	  .a = PUT("a", "1"),
	  .b = DO("lsm-flush") },
	{ .name = "flush/put",
	  .scene = "put",
	  .a = DO("lsm-flush"),
	  .b = PUT("a", "1") },
	{ .name = "put/put",
	  .scene = "put",
	  .a = PUT("a", "1"),
	  .b = PUT("b", "2") },
	{ .name = "put/put-same-key",
	  .scene = "put",
	  .a = PUT("a", "1"),
	  .b = PUT("a", "2") },
	{ .name = "put/rotate",
	  .scene = "rotate",
	  .a = PUT("a", "1"),
	  .b = PUT("big", "@") },
	{ .name = "rotate/put",
	  .scene = "rotate",
	  .a = PUT("big", "@"),
	  .b = PUT("a", "1") },
	{ .name = "put/torn-put",
	  .scene = "put-over-torn-tail",
	  .a = PUT("a", "1"),
	  .b = PUT("b", "2") },
	{ .name = "get/flush",
	  .scene = "put",
	  .a = DO("lsm-get", "k007"),
	  .b = DO("lsm-flush") },
	{ .name = "get/compact",
	  .scene = "compact",
	  .a = DO("lsm-get", "k007"),
	  .b = DO("lsm-compact", "--all") },
	{ .name = "compact/get",
	  .scene = "compact",
	  .a = DO("lsm-compact", "--all"),
	  .b = DO("lsm-get", "k007") },
	{ .name = "get/put",
	  .scene = "rotate",
	  .a = DO("lsm-get", "big"),
	  .b = PUT("big", "@") },
	{ .name = "scan/flush",
	  .scene = "put",
	  .a = DO("lsm-scan"),
	  .b = DO("lsm-flush") },
	{ .name = "flush/scan",
	  .scene = "put",
	  .a = DO("lsm-flush"),
	  .b = DO("lsm-scan") },
	{ .name = "scan/compact",
	  .scene = "compact",
	  .a = DO("lsm-scan"),
	  .b = DO("lsm-compact", "--all") },
	{ .name = "scan/put",
	  .scene = "rotate",
	  .a = DO("lsm-scan"),
	  .b = PUT("big", "@") },
	{ .name = "flush/flush",
	  .scene = "flush-sealed",
	  .a = DO("lsm-flush"),
	  .b = DO("lsm-flush") },
	{ .name = "put/compact",
	  .scene = "compact",
	  .a = PUT("a", "1"),
	  .b = DO("lsm-compact") },
	{ .name = "flush/compact",
	  .scene = "compact",
	  .a = DO("lsm-flush"),
	  .b = DO("lsm-compact", "--all") },
	{ .name = "compact/flush",
	  .scene = "compact",
	  .a = DO("lsm-compact", "--all"),
	  .b = DO("lsm-flush") },
	{ .name = "compact/compact",
	  .scene = "compact",
	  .a = DO("lsm-compact", "--all"),
	  .b = DO("lsm-compact", "--all") },
	{ .name = "create/create",
	  .scene = "create",
	  .a = INIT,
	  .b = INIT,
	  .one_creates = true },
	{ .name = "create-by-put/create-by-put",
	  .scene = "create",
	  .a = PUT("a", "1"),
	  .b = PUT("b", "2") },
	{ .name = "recover/recover",
	  .scene = "recover-by-get",
	  .a = PUT("a", "1"),
	  .b = PUT("b", "2"),
	  .copied = true },
	{ .name = "recover/get",
	  .scene = "recover-by-get",
	  .a = PUT("a", "1"),
	  .b = DO("lsm-get", "k007"),
	  .copied = true },
	{ .name = "heal/put",
	  .scene = "heal",
	  .a = PUT("a", "1"),
	  .b = PUT("b", "2") },
};

#define N_PAIRS (sizeof(pairs) / sizeof(pairs[0]))

/* One of the two, as it runs. */
struct actor {
	const struct party *party;
	struct traced t;
	char out[260];
	bool started;
};

struct trials {
	const struct pair *pair;
	struct stage stage;
	struct oracle oracle;
	size_t finals; /* the first state in which both have written */
	struct actor a, b;
	unsigned long schedules;
	unsigned long waited; /* of them, in which b waited for a */
	unsigned long violations;
	char at[160];
};

static struct trials *under_way;

static void too_long(int sig)
{
	(void)sig;
	printf("not ok - pairs: %s: %s: hangs\n", under_way->pair->name,
	       under_way->at);
	fflush(stdout);
	_exit(1);
}

static void tell_output(const struct actor *r, const char *who)
{
	struct buf said = BUF_INIT;

	if (place_read("", r->out, &said) && said.len)
		printf("# %s said: %.*s\n", who,
		       (int)(said.len < 300 ? said.len : 300),
		       (const char *)said.data);
	buf_free(&said);
}

static void violated(struct trials *t, const char *what)
{
	if (t->violations++ >= TOLD)
		return;
	printf("# pairs: %s: %s: %s\n", t->pair->name, t->at, what);
	tell_output(&t->a, "the first");
	tell_output(&t->b, "the second");
}

static void launch(struct trials *t, struct actor *r)
{
	const char *full[SCENE_ARGS + 3];
	struct command c = { .argv = full, .out = r->out };
	char room[300];

	stage_command(&t->stage, r->party->argv, room, full);
	trace_start(&r->t, &c);
	r->started = true;
}

/* Both to their ends, each as far as it comes. */
static void finish(struct trials *t)
{
	for (int rounds = 0; !t->a.t.ended || !t->b.t.ended; rounds++) {
		if (rounds > DEADLOCK_ROUNDS) {
			violated(t, "both wait for each other");
			trace_kill(&t->a.t);
			trace_kill(&t->b.t);
			return;
		}
		if (!t->a.t.ended)
			trace_until(&t->a.t, 0);
		if (!t->b.t.ended)
			trace_until(&t->b.t, 0);
	}
}

/* ---- what they said ---- */

/* The record, or all records, of one of the states as the tool prints it. */
static void expected(const struct trials *t, const struct actor *r,
		     size_t state, struct buf *out)
{
	const struct model *m = &t->stage.states[state];
	bool one = !strcmp(r->party->argv[0], "lsm-get");

	buf_clear(out);
	for (size_t i = 0; i < m->n; i++) {
		struct slice key = buf_slice(&m->pairs[i].key);
		int bad = 0;

		if (one && !slice_eq(key, slice_str(r->party->argv[1])))
			continue;
		if (!one) {
			bad |= buf_append_slice(out, key) < 0;
			bad |= buf_append_u8(out, '\t') < 0;
		}
		bad |= buf_append_slice(out, buf_slice(&m->pairs[i].value)) < 0;
		if (!one)
			bad |= buf_append_u8(out, '\n') < 0;
		if (bad)
			exit(2);
	}
}

/* Of two compactions, one may find the other at all that is due: 75. */
static bool compacts(const struct actor *r)
{
	return !strcmp(r->party->argv[0], "lsm-compact");
}

static void check_output(struct trials *t, const struct actor *r)
{
	const char *tool = r->party->argv[0];
	bool reads = !strcmp(tool, "lsm-get") || !strcmp(tool, "lsm-scan");
	struct buf said = BUF_INIT, want = BUF_INIT;
	int status = trace_exit(&r->t);
	bool ok = false;

	place_read("", r->out, &said);
	for (size_t i = 0; reads && !ok && i < t->stage.n_states; i++) {
		expected(t, r, i, &want);
		ok = slice_eq(buf_slice(&said), buf_slice(&want)) &&
		     (status == 0 || (status == 1 && want.len == 0));
	}
	if (!reads)
		ok = status == 0 && said.len == 0;
	if (status == 75 && compacts(&t->a) && compacts(&t->b))
		ok = true;
	if (!ok)
		violated(t, r == &t->a ? "the first failed, or spoke untruth"
				       : "the second failed, or spoke untruth");
	buf_free(&said);
	buf_free(&want);
}

static void check_creators(struct trials *t)
{
	int a = trace_exit(&t->a.t), b = trace_exit(&t->b.t);

	if (!(a == 0 && b == 73) && !(a == 73 && b == 0))
		violated(t, "not one created it, and the other was refused");
}

static void judge(struct trials *t)
{
	struct verdict v;

	t->schedules++;
	if (t->pair->one_creates) {
		check_creators(t);
	} else {
		check_output(t, &t->a);
		check_output(t, &t->b);
	}
	oracle_judge(&t->oracle, t->stage.dir, AS_IT_LIES, t->finals, &v);
	if (!v.ok)
		violated(t, v.text);
}

/* ---- schedules ---- */

static void prepare(struct trials *t)
{
	stage_reset(&t->stage);
	unlink(t->a.out);
	unlink(t->b.out);
	alarm(TRIAL_SECONDS);
	launch(t, &t->a);
}

/* a to its call k, b to its end, a to its end: false when a has no call k. */
static bool stop_once(struct trials *t, unsigned long k)
{
	snprintf(t->at, sizeof(t->at), "stopped after call %lu", k);
	prepare(t);
	if (trace_until(&t->a.t, k) == TRACE_END) {
		launch(t, &t->b);
		finish(t);
		judge(t);
		return false;
	}
	launch(t, &t->b);
	t->waited += trace_until(&t->b.t, 0) == TRACE_BLOCKED;
	finish(t);
	judge(t);
	return true;
}

/* a to k, b to l, a to its end or to a lock of b's, then the rest. */
static bool stop_twice(struct trials *t, unsigned long k, unsigned long l)
{
	bool more;

	snprintf(t->at, sizeof(t->at),
		 "stopped after call %lu, the other after %lu", k, l);
	prepare(t);
	trace_until(&t->a.t, k);
	launch(t, &t->b);
	/* Who waits for the first gets no further, however far it may go. */
	more = trace_until(&t->b.t, l) == TRACE_EXIT;
	finish(t);
	judge(t);
	return more;
}

static void all_schedules(struct trials *t, bool full)
{
	unsigned long calls = 0, step;

	while (stop_once(t, calls + 1))
		calls++;
	if (!full)
		return;
	/* All of them would take days: points that fall elsewhere in each pair.
	 */
	step = calls / FULL_POINTS + 1;
	for (unsigned long k = 1; k <= calls; k += step)
		for (unsigned long l = 1 + k % FULL_STRIDE; stop_twice(t, k, l);
		     l += FULL_STRIDE)
			;
}

/* before, a's, b's, both in either order. */
static void make_states(struct trials *t)
{
	const struct party *a = &t->pair->a, *b = &t->pair->b;
	struct stage *s = &t->stage;
	static const char order[][2] = { "a", "b", { 'a', 'b' }, { 'b', 'a' } };

	while (s->n_states > 1)
		model_free(&s->states[--s->n_states]);
	for (size_t i = 0; i < 4; i++) {
		struct model *m = &s->states[s->n_states++];

		*m = MODEL_INIT;
		model_copy(m, &s->states[0]);
		for (size_t k = 0; k < 2 && order[i][k]; k++) {
			const struct party *p = order[i][k] == 'a' ? a : b;

			if (p->key)
				model_put(m, slice_str(p->key),
					  slice_str(scene_operand(p->value)));
		}
	}
	t->finals = 3;
}

static unsigned long run_pair(const struct pair *pair, const struct scene *of,
			      const char *bin, const char *verify, bool full)
{
	struct trials t = { .pair = pair };
	struct scene scene = *of;

	under_way = &t;
	scene.copied = pair->copied;
	stage_make(&t.stage, &scene, bin);
	make_states(&t);
	oracle_init(&t.oracle, t.stage.states, t.stage.n_states, of->creates,
		    verify);
	t.a.party = &pair->a;
	t.b.party = &pair->b;
	snprintf(t.a.out, sizeof(t.a.out), "%s/a", t.stage.root);
	snprintf(t.b.out, sizeof(t.b.out), "%s/b", t.stage.root);
	all_schedules(&t, full);
	alarm(0);
	printf("%s - pairs: %s: %lu schedules, %lu with a wait, "
	       "%lu violations\n",
	       t.violations ? "not ok" : "ok", pair->name, t.schedules,
	       t.waited, t.violations);
	fflush(stdout);
	oracle_release(&t.oracle);
	stage_free(&t.stage);
	return t.violations;
}

static const struct pair *find_pair(const char *name)
{
	for (size_t i = 0; i < N_PAIRS; i++)
		if (!strcmp(pairs[i].name, name))
			return &pairs[i];
	fprintf(stderr, "pairs: no pair %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *build = getenv("BUILD") ? getenv("BUILD") : "build";
	char bin[200], verify[220];
	const struct scene *all, *scene;
	unsigned long violations = 0;
	bool full = false;
	size_t n;

	snprintf(bin, sizeof(bin), "%.180s/bin", build);
	if (getenv("LSM_BIN"))
		snprintf(bin, sizeof(bin), "%.190s", getenv("LSM_BIN"));
	snprintf(verify, sizeof(verify), "%s/lsm-verify", bin);
	all = scene_all("", &n);
	signal(SIGALRM, too_long);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		if (!strcmp(argv[1], "--full"))
			full = true;
		if (strcmp(argv[1], "--list"))
			continue;
		for (size_t i = 0; i < N_PAIRS; i++)
			puts(pairs[i].name);
		return 0;
	}
	for (size_t i = 0; i < (argc > 1 ? (size_t)argc - 1 : N_PAIRS); i++) {
		const struct pair *p =
			argc > 1 ? find_pair(argv[i + 1]) : &pairs[i];

		scene = scene_find(all, n, p->scene);
		violations += run_pair(
			p, scene, bin,
			access(verify, X_OK) == 0 ? verify : NULL, full);
	}
	return violations ? 1 : 0;
}
