/* Calls itself until the stack is used up. */
#include "tests/plugins/bad.h"

static uint64_t dive(volatile uint64_t depth)
{
	volatile uint64_t here[64] = { depth };

	return depth ? dive(depth + 1) + here[depth % 64] : 0;
}

STRATEGY("diving")
{
	(void)budget;
	(void)emit;
	(void)ctx;
	v->scratch[0] = dive(1);
}
