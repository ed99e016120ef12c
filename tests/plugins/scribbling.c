/*
 * Finds the memory its answers go to and fills it with nonsense.  The second
 * argument of emit() is the engine's and holds a pointer to it: the first
 * word of it that may be one is followed.
 */
#include "tests/plugins/bad.h"

#include <sys/mman.h>
#include <unistd.h>

/* Is it the beginning of a page that is there? */
static bool is_page(uintptr_t p)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	return p >= (UINT64_C(1) << 32) && p < (UINT64_C(1) << 47) &&
	       p % page == 0;
}

STRATEGY("scribbling")
{
	struct lsm_job job =
		JOB_OF(LSM_MERGE, v->tables[LAST(v)].level, LAST(v));
	const uintptr_t *words = ctx;

	(void)budget;
	emit(ctx, &job);
	for (size_t i = 0; i < 8; i++)
		if (is_page(words[i])) {
			memset((void *)words[i], 0xa5, 1000);
			return;
		}
}
