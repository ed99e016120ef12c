/*
 * modelcompact.h - the compactions of the model test: due, of all, of a range,
 * by threads, and stopped in the middle.
 */
#ifndef TESTS_UNIT_MODELCOMPACT_H
#define TESTS_UNIT_MODELCOMPACT_H

#include "tests/unit/world.h"

static void compact(struct world *w, const char *strategy, int all)
{
	struct store_compact_config c = { .strategy = strategy, .all = all };

	MUST(store_compact(any_handle(w), &c, NULL, &err) >= 0);
}

static void op_leveled(struct world *w)
{
	compact(w, "leveled", 0);
}

static void op_tiered(struct world *w)
{
	compact(w, "tiered", 0);
}

static void op_compact_all(struct world *w)
{
	compact(w, NULL, 1);
}

/* A flag that is raised when so many tables are written. */
struct stop_after {
	volatile sig_atomic_t flag;
	size_t left;
};

static void count_tables(void *ctx, const struct store_progress *p)
{
	struct stop_after *s = ctx;

	(void)p;
	if (s->left-- == 0)
		s->flag = 1;
}

static void op_compact_stopped(struct world *w)
{
	struct stop_after s = { .left = below(w, 6) };
	struct store_compact_config c = {
		.strategy = below(w, 2) ? "leveled" : "tiered",
		.all = below(w, 2) == 0,
		.workers = (unsigned)below(w, 3),
		.stop = &s.flag,
		.progress = count_tables,
		.progress_ctx = &s,
	};

	MUST(store_compact(any_handle(w), &c, NULL, &err) >= 0);
}

static void op_compact_range(struct world *w)
{
	static uint8_t from[3000];
	struct slice key = any_key(w);
	struct store_compact_config c = { .all = 0 };

	memcpy(from, key.data, key.len);
	c.from = slice_make(from, key.len);
	c.to = any_key(w);
	if (slice_cmp(c.from, c.to) >= 0)
		c.to = SLICE_NULL;
	MUST(store_compact(any_handle(w), &c, NULL, &err) >= 0);
}

#endif
