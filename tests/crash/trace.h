/*
 * trace.h - a program run call by call: killed before any system call, after
 * a write cut short, or stopped between two of them.
 *
 *	trace_start(&t, &command);
 *	while (trace_next(&t) != TRACE_END)
 *		if (t.calls == n)
 *			trace_kill(&t);
 *
 * Calls are counted over the whole process, from its first after execve;
 * address space is not randomised, so that two runs make the same calls.
 * Programs of one thread, on x86-64.  A failure of ptrace itself ends the
 * harness with status 2.
 */
#ifndef TESTS_CRASH_TRACE_H
#define TESTS_CRASH_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What to run; NULL files are /dev/null. */
struct command {
	const char *const *argv; /* argv[0] is a path */
	const char *in;
	const char *out; /* also its stderr; appended to */
};

enum trace_stop {
	TRACE_ENTRY,   /* about to make call number t->calls */
	TRACE_EXIT,    /* has made it */
	TRACE_BLOCKED, /* waits for a lock; go on with trace_next() */
	TRACE_END,     /* is gone: t->status tells how */
};

struct traced {
	pid_t pid;
	unsigned long calls; /* entered so far */
	long nr;	     /* the call it is in, or was in last */
	uint64_t args[6];
	bool inside;
	bool running; /* trace_next() said TRACE_BLOCKED */
	bool ended;
	int status; /* as waitpid() has it */
};

void trace_start(struct traced *t, const struct command *c);

/* Let it run to its next stop. */
enum trace_stop trace_next(struct traced *t);

/*
 * Let it run until it has made call number `n`, or is blocked, or gone.
 * n == 0: to its end, or a block.
 */
enum trace_stop trace_until(struct traced *t, unsigned long n);

/* Kill it where it stands: a call it is about to make is not made. */
void trace_kill(struct traced *t);

/* At the entry of a write to a file: its length, else 0. */
uint64_t trace_write_length(const struct traced *t);
/* At the entry of a write: it writes only the first `n` bytes. */
void trace_cut_write(struct traced *t, uint64_t n);

/* At an entry: the call is not made, it fails with `error`; then its exit. */
enum trace_stop trace_fail(struct traced *t, int error);

/* The exit status, or 128 + signal. */
int trace_exit(const struct traced *t);

/* Run to its end; its exit status. */
int trace_run(const struct command *c);

#endif
