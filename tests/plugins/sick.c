/* Cannot even say how much work waits without a crash. */
#include "plugins/strategy.h"

static uint64_t need(const struct lsm_view *v)
{
	const uint64_t *volatile nowhere = (const uint64_t *)(uintptr_t)8;

	return v->n_tables + *nowhere;
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
	.name = "sick",
	.summary = "for tests: crashes in need()",
	.need = need,
	.plan = plan,
};
