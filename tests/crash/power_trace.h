/*
 * power_trace.h - what was asked of the filesystem, in order.
 *
 * The simulated filesystem (power_fs.h) appends an event for each call that
 * changes or syncs something; the workload appends when an operation begins
 * and when it was acknowledged.  A prefix of the trace is all that a machine
 * had done when its power failed.
 */
#ifndef TESTS_CRASH_POWER_TRACE_H
#define TESTS_CRASH_POWER_TRACE_H

#include "lib/names.h"

#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EV_MKDIR,     /* the store's directory */
	EV_SYNC_ROOT, /* its parent is synced */
	EV_CREATE,    /* name, inode */
	EV_RENAME,    /* name, to, inode */
	EV_UNLINK,    /* name */
	EV_SYNC_DIR,
	EV_WRITE, /* inode, off, len, data */
	EV_TRUNC, /* inode, len */
	EV_SYNC,  /* inode */
	EV_BEGIN, /* n: operation n of the history begins */
	EV_ACK,	  /* n: all up to operation n must survive from here on */
};

struct event {
	enum event_kind kind;
	uint32_t inode;
	uint32_t n;
	uint64_t off, len;
	uint8_t *data;
	char name[NAME_SIZE], to[NAME_SIZE];
};

struct trace {
	struct event *events;
	size_t n, cap;
};

#define TRACE_INIT ((struct trace){ NULL, 0, 0 })

/* Append a zeroed event of this kind; valid until the next append. */
struct event *trace_add(struct trace *t, enum event_kind kind);
void trace_release(struct trace *t);

/* Does the event change a name, or the bytes of a file? */
static inline int event_is_name(const struct event *e)
{
	return e->kind == EV_CREATE || e->kind == EV_RENAME ||
	       e->kind == EV_UNLINK || e->kind == EV_MKDIR;
}

static inline int event_is_data(const struct event *e)
{
	return e->kind == EV_WRITE || e->kind == EV_TRUNC;
}

/*
 * The rule every such trace must keep: what a manifest names is durable, under
 * its name, before that manifest is renamed into place; nothing is unlinked
 * while that rename is not.  0, or -1 with a message printed.
 */
int trace_lint(const struct trace *t);

/* malloc and realloc that end the program when there is no memory. */
void *xrealloc(void *p, size_t n);

#endif
