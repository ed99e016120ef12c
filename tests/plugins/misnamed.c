/* Calls itself by another name than its file's. */
#include "tests/plugins/bad.h"

STRATEGY("leveled")
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
}
