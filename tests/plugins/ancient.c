/* Was built for another ABI. */
#include "tests/plugins/bad.h"

STRATEGY_OF_ABI("ancient", LSM_STRATEGY_ABI + 1)
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
}
