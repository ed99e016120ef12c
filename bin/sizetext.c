#include "bin/sizetext.h"

#include <stdio.h>

const char *size_text(char *p, uint64_t v)
{
	static const char units[] = "BKMGTPE";
	double d = (double)v;
	int u = 0;

	while (d >= 1024 && units[u + 1]) {
		d /= 1024;
		u++;
	}
	snprintf(p, SIZE_TEXT, d < 10 && u ? "%.1f%c" : "%.0f%c", d, units[u]);
	return p;
}
