/*
 * whole.h - a file that is read in one piece, because it means nothing before
 * its end: a plan.
 */
#ifndef BIN_WHOLE_H
#define BIN_WHOLE_H

#include "bin/tool.h"

/*
 * All of file `path`, or of standard input for "-", appended to `text`; of one
 * longer than `most` only so much that text->len is above it.
 *   STORE_ENOSTORE  there is no such file
 */
int whole_read(const char *path, size_t most, struct buf *text,
	       struct store_error *err);

#endif
