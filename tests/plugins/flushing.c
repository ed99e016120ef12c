/* Asks for a flush whenever the memtable holds anything, and for no more. */
#include "tests/plugins/bad.h"

STRATEGY("flushing")
{
	struct lsm_job job = { .kind = LSM_FLUSH, .why = "the log has data" };

	(void)budget;
	if (v->log_bytes && v->log_created_ms && v->log_created_ms <= v->now_ms)
		emit(ctx, &job);
}
