/* Crashes when its options are judged. */
#include "plugins/strategy.h"

#include <stdlib.h>

static const char *check(const uint64_t *options)
{
	(void)options;
	abort();
}

static uint64_t need(const struct lsm_view *v)
{
	return v->n_tables;
}

static void plan(const struct lsm_view *v, const struct lsm_budget *budget,
		 lsm_emit *emit, void *ctx)
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
}

const struct lsm_strategy lsm_strategy = {
	.abi = LSM_STRATEGY_ABI,
	.size = sizeof(struct lsm_strategy),
	.name = "touchy",
	.summary = "for tests: crashes in check()",
	.check = check,
	.need = need,
	.plan = plan,
};
