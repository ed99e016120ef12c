/* Stays loaded when it is closed, as does lasting. */
#include "tests/plugins/bad.h"

STRATEGY("staying")
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
}
