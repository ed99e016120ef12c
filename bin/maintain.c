#include "bin/maintain.h"
#include "bin/child.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_MS 1
/* For a child to come to the end of a table. */
#define PATIENCE_MS 10000
#define KILLED_BY_TERM (128 + 15)

__attribute__((format(printf, 2, 3))) static void say_once(struct maintain *m,
							   const char *fmt, ...)
{
	char text[400];
	va_list ap;

	if (m->said || m->t->quiet)
		return;
	m->said = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tool_say(m->t, "warning: %s", text);
}

static void say_overdue(struct maintain *m, const struct store_pressure *p)
{
	say_once(m,
		 "level 0 has %" PRIu64 " runs, the hard limit is %" PRIu64
		 ": lsm-compact is overdue; writes go on",
		 p->level0_runs, p->hard_runs);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* `max_bytes` 0: until nothing is due. */
static void start(struct maintain *m, uint64_t max_bytes)
{
	struct store_error err = STORE_ERROR_INIT;
	char parent[24], most[24];
	const char *args[] = { "lsm-compact", "-q",	    "-d",
			       m->t->dir,     "--child-of", parent,
			       NULL,	      NULL,	    NULL };

	snprintf(parent, sizeof(parent), "%ld", (long)getpid());
	snprintf(most, sizeof(most), "%" PRIu64, max_bytes);
	if (max_bytes) {
		args[6] = "--max-bytes";
		args[7] = most;
	}
	m->child = child_start(args, &err);
	if (m->child < 0) {
		m->child = 0;
		say_once(m, "level 0 is not compacted: %s; writes go on",
			 err.text);
	}
}

/* Was that of use?  75: others are at it. */
static bool judge(struct maintain *m, int status)
{
	if (status == EXIT_DONE || status == EXIT_BUSY ||
	    status == KILLED_BY_TERM)
		return true;
	say_once(m,
		 "level 0 is not compacted: lsm-compact ended with status %d; "
		 "writes go on",
		 status);
	return false;
}

/*
 * Has the child come to its end?  Then level 0 is as the strategy wants it:
 * another one is worth its while when it has grown, and when this one failed,
 * when it is twice as large.
 */
static bool reap(struct maintain *m, struct store *db)
{
	struct store_pressure p;
	int status;

	if (!child_done(m->child, &status))
		return false;
	m->child = 0;
	m->enough = judge(m, status) ? 1 : 2;
	if (store_pressure(db, &p, NULL) == 0)
		m->enough *= p.level0_runs;
	return true;
}

/*
 * To ask who works on level 0 takes some calls: where writes are many and
 * fast, not after each.
 */
static bool too_early(struct maintain *m)
{
	uint64_t now = now_ms();

	if (m->due && now - m->looked_ms < LOOK_EVERY_MS)
		return true;
	m->looked_ms = now;
	return false;
}

void maintain_step(struct maintain *m, struct store *db)
{
	struct store_pressure p;

	if (m->child && !reap(m, db))
		return;
	/* What is wrong with the store its own operations tell. */
	if (too_early(m) || store_pressure(db, &p, NULL) < 0)
		return;
	m->due = p.level && p.automatic;
	if (!p.level)
		m->enough = 0;
	if (p.level == STORE_PRESSURE_HARD && !p.automatic)
		say_overdue(m, &p);
	if (!m->due || p.table_under_work || p.level0_runs <= m->enough)
		return;
	start(m, 0);
	if (!m->child)
		m->enough = 2 * p.level0_runs;
}

void maintain_end(struct maintain *m)
{
	if (m->child)
		judge(m, child_end(m->child, PATIENCE_MS));
	m->child = 0;
}

void maintain_once(const struct tool *t, struct store *db)
{
	struct maintain m = MAINTAIN_INIT(t);
	struct store_pressure p;

	if (store_pressure(db, &p, NULL) < 0 || p.level != STORE_PRESSURE_HARD)
		return;
	if (!p.automatic) {
		say_overdue(&m, &p);
		return;
	}
	if (p.table_under_work)
		return;
	start(&m, p.job_bytes);
	if (m.child)
		judge(&m, child_wait(m.child, PATIENCE_MS));
}
