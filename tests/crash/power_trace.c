#include "tests/crash/power_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p) {
		fprintf(stderr, "power: out of memory\n");
		exit(71);
	}
	return p;
}

struct event *trace_add(struct trace *t, enum event_kind kind)
{
	struct event *e;

	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 1024;
		t->events = xrealloc(t->events, t->cap * sizeof(*t->events));
	}
	e = &t->events[t->n++];
	memset(e, 0, sizeof(*e));
	e->kind = kind;
	return e;
}

void trace_release(struct trace *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->events[i].data);
	free(t->events);
	*t = TRACE_INIT;
}
