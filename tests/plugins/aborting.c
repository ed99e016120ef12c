/* Gives up loudly. */
#include "tests/plugins/bad.h"

#include <stdlib.h>

STRATEGY("aborting")
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
	abort();
}
