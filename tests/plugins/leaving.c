/* Ends the process as if all were well, with all that exit() calls. */
#include "tests/plugins/bad.h"

#include <stdlib.h>

STRATEGY("leaving")
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
	exit(0);
}
