/*
 * sizetext.h - a number of bytes for eyes: 1536 is 1.5K.
 */
#ifndef BIN_SIZETEXT_H
#define BIN_SIZETEXT_H

#include <stdint.h>

#define SIZE_TEXT 16

/* `p` has room for SIZE_TEXT; returns it. */
const char *size_text(char *p, uint64_t v);

#endif
