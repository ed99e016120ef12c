/*
 * ask.h: a strategy's mistakes stay in the child it runs in, and the host may
 * do with signals and threads what it likes.
 */
#include "lib/ask.h"
#include "lib/os.h"
#include "tests/unit/tree.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TREE                                                                   \
	"level 0\n"                                                            \
	"run\n"                                                                \
	"30 a..m age 30 1M\n"                                                  \
	"run\n"                                                                \
	"20 c..f age 20 2M\n"

static uint64_t some_need(const struct lsm_view *v)
{
	return v->n_tables;
}

static void plan_all(const struct lsm_view *v, const struct lsm_budget *b,
		     lsm_emit *emit, void *ctx)
{
	struct lsm_job job = { .kind = LSM_MERGE,
			       .level = 1,
			       .run = LSM_NEW_RUN,
			       .inputs = v->scratch,
			       .why = "all" };

	(void)b;
	for (size_t i = 0; i < v->n_tables; i++)
		v->scratch[job.n_inputs++] = v->tables[i].number;
	emit(ctx, &job);
}

static void plan_long(const struct lsm_view *v, const struct lsm_budget *b,
		      lsm_emit *emit, void *ctx)
{
	volatile uint64_t n = 0;

	while (n < 30000000)
		n++;
	plan_all(v, b, emit, ctx);
}

static void plan_for_ever(const struct lsm_view *v, const struct lsm_budget *b,
			  lsm_emit *emit, void *ctx)
{
	volatile bool on = true;

	(void)v;
	(void)b;
	(void)emit;
	(void)ctx;
	while (on)
		;
}

static void plan_crash(const struct lsm_view *v, const struct lsm_budget *b,
		       lsm_emit *emit, void *ctx)
{
	(void)v;
	(void)b;
	(void)emit;
	(void)ctx;
	abort();
}

static int touched;

static void plan_touch(const struct lsm_view *v, const struct lsm_budget *b,
		       lsm_emit *emit, void *ctx)
{
	touched = 1;
	v->scratch[0] = 77;
	plan_all(v, b, emit, ctx);
	v->scratch[0] = 78;
}

static const char *object(const uint64_t *options)
{
	return options[0] == 1 ? "one is\nnot enough" : NULL;
}

/* Ask for the plan of TREE: 0, or STORE_ECONFIG and so on, and *err. */
static int ask_plan(void (*plan)(const struct lsm_view *,
				 const struct lsm_budget *, lsm_emit *, void *),
		    struct answer *a, struct store_error *err)
{
	const struct lsm_strategy strategy = { .name = "test",
					       .need = some_need,
					       .plan = plan };
	const struct lsm_budget budget = { 16, UINT64_MAX };
	struct survey s;
	const struct question q = { .strategy = &strategy,
				    .survey = &s,
				    .budget = &budget };
	struct tree t;
	int r;

	*a = ANSWER_INIT;
	*err = STORE_ERROR_INIT;
	tree_read(&t, TREE);
	tree_survey(&s, &t, NULL);
	r = ask(a, &q, err);
	CHECK(s.view.scratch[0] == 0);
	survey_release(&s);
	manifest_release(&t.m);
	return r;
}

static void check_answer(void)
{
	struct store_error err;
	struct answer a;

	CHECK_OK(ask_plan(plan_all, &a, &err), err);
	CHECK(a.need == 2 && a.n_jobs == 1 && !a.broken);
	CHECK(a.jobs[0].n_inputs == 2 && a.jobs[0].level == 1);
	CHECK(a.inputs[0] == 30 && a.inputs[1] == 20);
	CHECK(!strcmp(a.jobs[0].why, "all"));
	answer_release(&a);
}

static void check_refused(const char *what)
{
	struct store_error err;
	struct answer a;

	CHECK(ask_plan(plan_crash, &a, &err) == STORE_ECONFIG);
	CHECK(strstr(err.text, what) && !a.memory);
}

TEST(an_answer_comes_over_whole)
{
	check_answer();
}

TEST(no_child_is_left)
{
	check_answer();
	check_refused("crashed: Aborted");
	CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
}

TEST(what_the_child_writes_stays_there)
{
	struct store_error err;
	struct answer a;

	CHECK_OK(ask_plan(plan_touch, &a, &err), err);
	CHECK(a.inputs[0] == 30 && touched == 0);
	answer_release(&a);
}

TEST(an_objection_is_told_as_printable_text)
{
	const struct lsm_strategy strategy = { .name = "test",
					       .check = object };
	uint64_t values[1] = { 1 };
	const struct question q = { .strategy = &strategy, .options = values };
	struct store_error err = STORE_ERROR_INIT;
	struct answer a = ANSWER_INIT;

	CHECK_OK(ask(&a, &q, &err), err);
	CHECK(!strcmp(a.objection, "one is?not enough"));
	answer_release(&a);
	values[0] = 2;
	CHECK_OK(ask(&a, &q, &err), err);
	CHECK(!*a.objection);
	answer_release(&a);
}

TEST(a_loop_without_end_is_ended)
{
	const struct confines before = ask_confines;
	struct store_error err;
	struct answer a;

	ask_confines = (struct confines){ .cpu_s = 1, .real_s = 20 };
	CHECK(ask_plan(plan_for_ever, &a, &err) == STORE_ECONFIG);
	CHECK(strstr(err.text, "plan: found no end"));
	ask_confines = before;
}

/* As the child of a host that is told to end, by a signal to its group. */
static void plan_told_to_end(const struct lsm_view *v,
			     const struct lsm_budget *budget, lsm_emit *emit,
			     void *ctx)
{
	static const int sigs[] = { SIGHUP,  SIGINT,  SIGQUIT,
				    SIGTERM, SIGUSR1, SIGUSR2 };

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		raise(sigs[i]);
	plan_all(v, budget, emit, ctx);
}

TEST(a_signal_that_is_meant_for_the_host_does_not_end_planning)
{
	struct store_error err;
	struct answer a;

	CHECK_OK(ask_plan(plan_told_to_end, &a, &err), err);
	CHECK(a.n_jobs == 1);
	answer_release(&a);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static _Atomic(pid_t) *stopped; /* shared with the child */

static void plan_stopped(const struct lsm_view *v,
			 const struct lsm_budget *budget, lsm_emit *emit,
			 void *ctx)
{
	*stopped = getpid();
	raise(SIGSTOP);
	plan_all(v, budget, emit, ctx);
}

static void *go_on(void *unused)
{
	while (!*stopped)
		os.sleep_us(1000);
	os.sleep_us(1500000);
	CHECK(kill(*stopped, SIGCONT) == 0);
	return unused;
}

TEST(time_for_which_a_child_was_stopped_is_not_its_own)
{
	const struct confines before = ask_confines;
	struct store_error err;
	struct answer a;
	pthread_t thread;

	stopped = os.share(sizeof(*stopped));
	CHECK(stopped && !pthread_create(&thread, NULL, go_on, NULL));
	ask_confines = (struct confines){ .cpu_s = 10, .real_s = 1 };
	CHECK_OK(ask_plan(plan_stopped, &a, &err), err);
	CHECK(a.n_jobs == 1);
	answer_release(&a);
	CHECK(!pthread_join(thread, NULL));
	ask_confines = before;
	os.unmap((void *)stopped, sizeof(*stopped));
}

#endif

/* ---- hosts ---- */

static volatile sig_atomic_t reaped, ticks;

static void reap_all(int sig)
{
	int e = errno;

	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		reaped++;
	errno = e;
}

static void tick(int sig)
{
	(void)sig;
	ticks++;
}

TEST(a_host_may_ignore_its_children)
{
	CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	check_answer();
	check_refused("ended before it had answered");
	CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

TEST(a_host_may_reap_all_children_in_a_handler)
{
	CHECK(signal(SIGCHLD, reap_all) != SIG_ERR);
	for (int i = 0; i < 50; i++)
		check_answer();
	CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

TEST(a_host_may_be_interrupted_while_it_waits)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } };
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };
	struct sigaction a = { .sa_handler = tick }; /* no SA_RESTART */
	struct store_error err;
	struct answer answer;

	ticks = 0;
	CHECK(sigaction(SIGALRM, &a, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	CHECK_OK(ask_plan(plan_long, &answer, &err), err);
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
	CHECK(signal(SIGALRM, SIG_DFL) != SIG_ERR);
	CHECK(ticks > 2 && answer.n_jobs == 1);
	answer_release(&answer);
}

TEST(the_signals_of_a_host_are_as_they_were)
{
	sigset_t mask, after;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
	check_answer();
	CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
	CHECK(sigismember(&after, SIGUSR2) && !sigismember(&after, SIGCHLD));
	sigemptyset(&mask);
	CHECK(pthread_sigmask(SIG_SETMASK, &mask, NULL) == 0);
}

static void *churn(void *stop)
{
	while (!*(volatile bool *)stop)
		free(malloc(100 + (size_t)rand() % 100000));
	return NULL;
}

static void *ask_often(void *bad)
{
	const struct lsm_strategy strategy = { .name = "test",
					       .check = object };
	const uint64_t values[1] = { 1 };
	const struct question q = { .strategy = &strategy, .options = values };

	for (int i = 0; i < 100; i++) {
		struct store_error err = STORE_ERROR_INIT;
		struct answer a = ANSWER_INIT;

		if (ask(&a, &q, &err) < 0 || !*a.objection)
			*(volatile bool *)bad = true;
		answer_release(&a);
	}
	return NULL;
}

TEST(threads_may_ask_beside_threads_that_allocate)
{
	pthread_t busy[2], asking[2];
	volatile bool stop = false, bad = false;

	for (int i = 0; i < 2; i++) {
		CHECK(!pthread_create(&busy[i], NULL, churn, (void *)&stop));
		CHECK(!pthread_create(&asking[i], NULL, ask_often,
				      (void *)&bad));
	}
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(asking[i], NULL));
	stop = true;
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(busy[i], NULL));
	CHECK(!bad);
}

/* ---- a system that refuses ---- */

static pid_t no_process(void)
{
	errno = EAGAIN;
	return -1;
}

static void *no_memory(size_t len)
{
	(void)len;
	return NULL;
}

TEST(without_a_process_or_memory_nothing_is_asked)
{
	void *(*share)(size_t) = os.share;
	pid_t (*fork)(void) = os.fork;
	struct store_error err;
	struct answer a;
	int r;

	os.fork = no_process;
	r = ask_plan(plan_all, &a, &err);
	os.fork = fork;
	CHECK(r == STORE_ESYSTEM && strstr(err.text, "no process"));
	os.share = no_memory;
	r = ask_plan(plan_all, &a, &err);
	os.share = share;
	CHECK(r == STORE_ESYSTEM && !a.memory);
	check_answer();
}

TEST_MAIN()
