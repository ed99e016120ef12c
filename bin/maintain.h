/*
 * maintain.h - compaction by those who write: `maintenance: auto`.
 *
 * A long-lived writer keeps a struct maintain and calls maintain_step() after
 * each write: at the soft limit of level 0 it starts lsm-compact as a child
 * beside it, one at a time, unless somebody else is at it already; it must
 * call maintain_end(), which ends the child.  A one-shot tool calls
 * maintain_once() after its write: at the hard limit it has lsm-compact do one
 * bounded piece of work, and waits for that.  So no tool leaves a process
 * behind; and if the tool is killed, the kernel sends the child SIGTERM.
 *
 * Whatever goes wrong here is said once, as a warning, and never makes a
 * write fail.  Under `maintenance: cron` nothing is started.
 */
#ifndef BIN_MAINTAIN_H
#define BIN_MAINTAIN_H

#include "bin/tool.h"

#include <sys/types.h>

struct maintain {
	const struct tool *t;
	pid_t child; /* lsm-compact, or 0 */
	bool due;    /* when pressure was looked at, and that was: */
	uint64_t looked_ms;
	uint64_t enough; /* no other child up to so many runs */
	bool said;	 /* that it does not work, or is overdue */
};

#define MAINTAIN_INIT(t_) ((struct maintain){ .t = (t_) })

void maintain_step(struct maintain *m, struct store *db);
void maintain_end(struct maintain *m);
void maintain_once(const struct tool *t, struct store *db);

#endif
