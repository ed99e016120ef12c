/*
 * confine.h - a forked child that can compute, and nothing else.
 *
 * Behind os.confine; with os.c the only code of libstore that makes system
 * calls, in a file of its own because only the child of ask.h makes these.
 */
#ifndef LIB_CONFINE_H
#define LIB_CONFINE_H

#include <sys/types.h>

/* How long the child may go on. */
struct confines {
	unsigned cpu_s;	 /* of computing: then SIGXCPU, and SIGKILL */
	unsigned real_s; /* then SIGALRM; only where it might wait: see below */
};

/*
 * For a forked child of `parent`.  From here on it dies with its parent, has
 * no descriptor, no signal handler and no core dump, gets no memory but what
 * it has and 8 MiB of stack, and is ended when its time is up, but not by a
 * signal that is meant for its host (HUP, INT, QUIT, TERM, USR1, 2); and every
 * system call but those that end it fails.  (That last is a seccomp filter,
 * for x86-64 and aarch64; where there is none, and under the sanitizers, which
 * make calls of their own, it is left out, and waiting is bounded instead.)
 */
void confine(pid_t parent, const struct confines *c);

#endif
