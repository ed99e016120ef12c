#include "tests/crash/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Who waits for a lock this long waits for somebody whom we have stopped. */
#define BLOCKED_AFTER_NS 4000000
#define FIRST_POLL_NS 10000

static void fail(const char *what)
{
	fprintf(stderr, "trace: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void redirect(int fd, const char *path, int flags)
{
	int got = open(path ? path : "/dev/null", flags, 0666);

	if (got < 0 || dup2(got, fd) < 0)
		_exit(126);
	if (got != fd)
		close(got);
}

/* On one processor: so no tool starts threads, whose calls we do not see. */
static void become(const struct command *c)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		_exit(126);
	redirect(0, c->in, O_RDONLY);
	redirect(1, c->out, O_WRONLY | O_CREAT | O_APPEND);
	redirect(2, c->out, O_WRONLY | O_CREAT | O_APPEND);
	execv(c->argv[0], (char *const *)c->argv);
	_exit(127);
}

void trace_start(struct traced *t, const struct command *c)
{
	*t = (struct traced){ .nr = -1 };
	t->pid = vfork();
	if (t->pid < 0)
		fail("vfork");
	if (t->pid == 0) {
		personality(ADDR_NO_RANDOMIZE);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(126);
		become(c);
	}
	if (waitpid(t->pid, &t->status, 0) < 0)
		fail("waitpid");
	if (!WIFSTOPPED(t->status)) {
		fprintf(stderr, "trace: cannot run %s\n", c->argv[0]);
		exit(2);
	}
	if (ptrace(PTRACE_SETOPTIONS, t->pid, NULL,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) < 0)
		fail("PTRACE_SETOPTIONS");
}

static bool may_block(const struct traced *t)
{
	return t->inside && t->nr == SYS_fcntl && t->args[1] == F_OFD_SETLKW;
}

/* True when it has stopped or ended; false when it waits for a lock. */
static bool await(struct traced *t)
{
	int64_t pause = FIRST_POLL_NS, waited = 0;

	while (may_block(t)) {
		pid_t got = waitpid(t->pid, &t->status, WNOHANG);

		if (got < 0)
			fail("waitpid");
		if (got > 0)
			return true;
		if (waited >= BLOCKED_AFTER_NS)
			return false;
		nanosleep(&(struct timespec){ 0, pause }, NULL);
		waited += pause;
		pause *= 2;
	}
	if (waitpid(t->pid, &t->status, 0) < 0)
		fail("waitpid");
	return true;
}

static void read_call(struct traced *t)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_GETREGS");
	t->nr = (long)r.orig_rax;
	t->args[0] = r.rdi;
	t->args[1] = r.rsi;
	t->args[2] = r.rdx;
	t->args[3] = r.r10;
	t->args[4] = r.r8;
	t->args[5] = r.r9;
}

enum trace_stop trace_next(struct traced *t)
{
	int sig = 0;

	for (;;) {
		if (!t->running &&
		    ptrace(PTRACE_SYSCALL, t->pid, NULL, (long)sig) < 0)
			fail("PTRACE_SYSCALL");
		t->running = true;
		if (!await(t))
			return TRACE_BLOCKED;
		t->running = false;
		if (!WIFSTOPPED(t->status)) {
			t->ended = true;
			return TRACE_END;
		}
		if (WSTOPSIG(t->status) == (SIGTRAP | 0x80))
			break;
		sig = WSTOPSIG(t->status); /* one of its own: it gets it */
	}
	t->inside = !t->inside;
	if (!t->inside)
		return TRACE_EXIT;
	t->calls++;
	read_call(t);
	return TRACE_ENTRY;
}

enum trace_stop trace_until(struct traced *t, unsigned long n)
{
	enum trace_stop s;

	do
		s = trace_next(t);
	while (s != TRACE_END && s != TRACE_BLOCKED &&
	       !(n && s == TRACE_EXIT && t->calls >= n));
	return s;
}

void trace_kill(struct traced *t)
{
	struct user_regs_struct r;

	if (t->ended)
		return;
	/* A number that no call has: whatever the kernel does, it is not made.
	 */
	if (t->inside && !t->running &&
	    ptrace(PTRACE_GETREGS, t->pid, NULL, &r) == 0) {
		r.orig_rax = (unsigned long long)-1;
		ptrace(PTRACE_SETREGS, t->pid, NULL, &r);
	}
	kill(t->pid, SIGKILL);
	if (waitpid(t->pid, &t->status, 0) < 0)
		fail("waitpid");
	t->ended = true;
}

uint64_t trace_write_length(const struct traced *t)
{
	if (t->nr == SYS_pwrite64 || (t->nr == SYS_write && t->args[0] > 2))
		return t->args[2];
	return 0;
}

void trace_cut_write(struct traced *t, uint64_t n)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_GETREGS");
	r.rdx = n;
	if (ptrace(PTRACE_SETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_SETREGS");
}

enum trace_stop trace_fail(struct traced *t, int error)
{
	struct user_regs_struct r;
	enum trace_stop stop;

	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_GETREGS");
	r.orig_rax = (unsigned long long)-1;
	if (ptrace(PTRACE_SETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_SETREGS");
	stop = trace_next(t);
	if (stop != TRACE_EXIT)
		return stop;
	if (ptrace(PTRACE_GETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_GETREGS");
	r.rax = (unsigned long long)-error;
	if (ptrace(PTRACE_SETREGS, t->pid, NULL, &r) < 0)
		fail("PTRACE_SETREGS");
	return stop;
}

int trace_exit(const struct traced *t)
{
	return WIFEXITED(t->status) ? WEXITSTATUS(t->status)
				    : 128 + WTERMSIG(t->status);
}

int trace_run(const struct command *c)
{
	int status;
	pid_t pid = vfork();

	if (pid < 0)
		fail("vfork");
	if (pid == 0)
		become(c);
	if (waitpid(pid, &status, 0) < 0)
		fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
