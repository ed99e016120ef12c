/*
 * child.h - running another of our tools beside this one.
 *
 * The tool is the one that was installed with this one, by its compiled-in
 * absolute path, never by PATH.  It gets the same environment and working
 * directory, default signals, none blocked, and no descriptor but 0, 1 and 2.
 * A child must be waited for: child_run() does, child_start() wants
 * child_done() until it is true, child_wait() or child_end().
 */
#ifndef BIN_CHILD_H
#define BIN_CHILD_H

#include "formats/bytes.h"
#include "formats/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* What child_run() keeps of a child's output. */
#define CHILD_OUTPUT_MAX (1u << 20)

/*
 * Run `args[0]` (a tool's name) to its end, stdin on /dev/null, and keep what
 * it says, stdout and stderr, in *out (contents replaced; the end of what is
 * more than CHILD_OUTPUT_MAX is lost).  Its exit status, 128 and the signal
 * that ended it, or
 *   STORE_ESYSTEM  it cannot be started: not there, or no process to be had
 */
int child_run(const char *const *args, struct buf *out,
	      struct store_error *err);

/* Start it, stdin and stdout on /dev/null, stderr ours: its pid. */
pid_t child_start(const char *const *args, struct store_error *err);

/* Has it ended?  Then true, and *status as child_run() returns it. */
bool child_done(pid_t pid, int *status);

/*
 * Wait until it ends; one that is stopped, which might be for ever, is ended
 * as by child_end().  Its status.
 */
int child_wait(pid_t pid, unsigned patience_ms);

/*
 * End it and wait for that: SIGTERM, on which a tool finishes what is nearly
 * done, and, if it takes more than `patience_ms`, SIGKILL.  A stopped one is
 * set going.  Its status.
 */
int child_end(pid_t pid, unsigned patience_ms);

/*
 * For a child: be sent SIGTERM when the parent ends, which is process `pid`.
 * If it has ended already, so does this process, with status 0.
 */
void child_of(uint64_t pid);

#endif
