/* Thinks for ever, and says nothing. */
#include "tests/plugins/bad.h"

STRATEGY("spinning")
{
	volatile uint64_t thought = v->n_tables;

	(void)budget;
	(void)emit;
	(void)ctx;
	for (;;)
		thought++;
}
