#include "tests/crash/trace.h"

#include <errno.h>
#include <fcntl.h>
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

/* A call that waits for a lock this long waits for one that we have stopped. */
#define BLOCKED_AFTER_NS 3000000
#define POLL_NS 100000
/* Nothing else that a tool does takes so long: it hangs. */
#define HANG_SECONDS 20

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

static void become(const struct command *c)
{
	redirect(0, c->in, O_RDONLY);
	redirect(1, c->out, O_WRONLY | O_CREAT | O_APPEND);
	redirect(2, c->out, O_WRONLY | O_CREAT | O_APPEND);
	personality(ADDR_NO_RANDOMIZE);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(126);
	execv(c->argv[0], (char *const *)c->argv);
	_exit(127);
}

void trace_start(struct traced *t, const struct command *c)
{
	*t = (struct traced){ .nr = -1 };
	t->pid = fork();
	if (t->pid < 0)
		fail("fork");
	if (t->pid == 0)
		become(c);
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
	static const struct timespec pause = { 0, POLL_NS };
	int64_t left = may_block(t) ? BLOCKED_AFTER_NS
				    : INT64_C(1000000000) * HANG_SECONDS;
	pid_t got;

	/* Calls that cannot block for long are simply waited for. */
	if (!may_block(t) && t->inside == false) {
		got = waitpid(t->pid, &t->status, 0);
		if (got < 0)
			fail("waitpid");
		return true;
	}
	for (;;) {
		got = waitpid(t->pid, &t->status, WNOHANG);
		if (got < 0)
			fail("waitpid");
		if (got > 0)
			return true;
		if (left <= 0)
			break;
		nanosleep(&pause, NULL);
		left -= POLL_NS;
	}
	return false;
}
