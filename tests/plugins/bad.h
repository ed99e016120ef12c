/*
 * bad.h - what the bad strategies of the tests share: each is one plan() that
 * proposes what must be refused.
 */
#ifndef TESTS_PLUGINS_BAD_H
#define TESTS_PLUGINS_BAD_H

#include "plugins/strategy.h"

static uint64_t bad_need(const struct lsm_view *v)
{
	return v->n_tables;
}

#define STRATEGY_OF_ABI(name_, abi_)                                           \
	static void bad_plan(const struct lsm_view *v,                         \
			     const struct lsm_budget *budget, lsm_emit *emit,  \
			     void *ctx);                                       \
	const struct lsm_strategy lsm_strategy = {                             \
		.abi = (abi_),                                                 \
		.size = sizeof(struct lsm_strategy),                           \
		.name = (name_),                                               \
		.summary = "for tests: its plans must be refused",             \
		.need = bad_need,                                              \
		.plan = bad_plan,                                              \
	};                                                                     \
	static void bad_plan(const struct lsm_view *v,                         \
			     const struct lsm_budget *budget, lsm_emit *emit,  \
			     void *ctx)

#define STRATEGY(name_) STRATEGY_OF_ABI(name_, LSM_STRATEGY_ABI)

/* The last table of the view; of an empty one, what is never looked at. */
#define LAST(v) ((v)->n_tables - ((v)->n_tables > 0))

/* The one input is table `index` of the view. */
#define JOB_OF(kind_, level_, index_)                                          \
	{                                                                      \
		.kind = (kind_), .level = (level_), .run = LSM_NEW_RUN,        \
		.inputs = &v->tables[index_].number, .n_inputs = 1,            \
		.why = "bad"                                                   \
	}

#endif
