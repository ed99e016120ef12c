/*
 * modelcompact.h - the compactions of the model test: due, of all, of a range,
 * by threads, stopped in the middle, by every strategy that is built and by
 * their plans as text, under a strategy that changes.
 */
#ifndef TESTS_UNIT_MODELCOMPACT_H
#define TESTS_UNIT_MODELCOMPACT_H

#include "lib/plugin.h"
#include "tests/unit/world.h"

#include <inttypes.h>

static void compact(struct world *w, const char *strategy, int all)
{
	struct store_compact_config c = { .strategy = strategy, .all = all };

	MUST(store_compact(any_handle(w), &c, NULL, &err) >= 0);
}

/* ---- strategies: all that are built, whichever they are ---- */

#define MAX_STRATEGIES 32

struct strategies {
	char name[MAX_STRATEGIES][40];
	size_t n;
};

static int cmp_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* By name, so that a seed means the same everywhere. */
static const struct strategies *strategies(void)
{
	static struct strategies s;
	struct dirent *e;
	DIR *d = s.n ? NULL : opendir(PLUGIN_DIR);

	while (d && (e = readdir(d)) && s.n < MAX_STRATEGIES)
		if (sscanf(e->d_name, "lsm-strategy-%39[^.].so", s.name[s.n]) ==
		    1)
			s.n++;
	if (d) {
		closedir(d);
		qsort(s.name, s.n, sizeof(s.name[0]), cmp_name);
	}
	return &s;
}

static const char *any_strategy(struct world *w)
{
	MUST(strategies()->n >= 2);
	return strategies()->name[below(w, strategies()->n)];
}

static uint64_t any_value_of(struct world *w, const struct lsm_option *o)
{
	const uint64_t some[] = { o->min, o->def, o->def + 1, 2 * o->def,
				  o->def / 2 };
	uint64_t v = some[below(w, 5)];

	if (o->type == LSM_SIGNED)
		return (int64_t)v < (int64_t)o->min   ? o->min
		       : (int64_t)v > (int64_t)o->max ? o->max
						      : v;
	return v < o->min ? o->min : v > o->max ? o->max : v;
}

/*
 * One of its options anew; false when it has none, or drops tables, which the
 * model would miss: by default it must not.
 */
static bool any_setting(struct world *w, const char *strategy,
			struct store_setting_text *set)
{
	static char name[64], value[24];
	uint64_t values[LSM_OPTIONS_MAX];
	struct plugin p = PLUGIN_INIT;
	const struct lsm_option *o;
	bool fits = false;

	MUST(plugin_open(&p, PLUGIN_DIR, strategy, &err) == 0);
	if (p.strategy->n_options &&
	    !(p.strategy->flags & LSM_STRATEGY_DROPS)) {
		struct store_error why = STORE_ERROR_INIT;
		const struct setting one = { name, value };

		o = &p.strategy->options[below(w, p.strategy->n_options)];
		snprintf(name, sizeof(name), "%s", o->name);
		snprintf(value, sizeof(value),
			 o->type == LSM_SIGNED ? "%" PRId64 : "%" PRIu64,
			 any_value_of(w, o));
		fits = plugin_options(p.strategy, &one, 1, values, &why) == 0;
	}
	plugin_close(&p);
	*set = (struct store_setting_text){ name, value };
	return fits;
}

static void op_change_strategy(struct world *w)
{
	const char *name = any_strategy(w);
	struct store_setting_text set;
	struct store_change change = { .strategy = name,
				       .strategy_settings = &set };

	change.n_strategy_settings = any_setting(w, name, &set);
	MUST(store_configure(any_handle(w), &change, &err) >= 0);
}

static void op_compact(struct world *w)
{
	compact(w, NULL, 0);
}

static void op_compact_by_another(struct world *w)
{
	compact(w, any_strategy(w), 0);
}

/* A plan as text, carried out at once or when the store has gone on. */
static void op_apply(struct world *w)
{
	struct store_compact_config c = { .strategy = any_strategy(w),
					  .all = below(w, 4) == 0 };
	struct buf plan = BUF_INIT;
	int r;

	MUST(store_compact_plan(any_handle(w), &c, &plan, &err) == 0);
	if (below(w, 4) == 0)
		MUST(store_flush(any_handle(w), &err) >= 0);
	if (below(w, 8) == 0)
		compact(w, NULL, 0);
	r = store_compact_apply(any_handle(w), NULL, buf_slice(&plan), NULL,
				&err);
	MUST(r == 0 || r == STORE_ECONFIG);
	err = STORE_ERROR_INIT;
	buf_free(&plan);
}

/* ---- the ways to compact ---- */

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
		.strategy = any_strategy(w),
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
