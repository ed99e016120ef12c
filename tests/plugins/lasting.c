/* Stays loaded when it is closed, as does staying. */
#include "tests/plugins/bad.h"

STRATEGY("lasting")
{
	(void)v;
	(void)budget;
	(void)emit;
	(void)ctx;
}
