/*
 * jsontext.h - bytes as the strings of a JSON document.
 *
 * A string in our JSON is UTF-8 without control characters, so that it reads
 * the same in every tool and harms no terminal; bytes that are not, and
 * 64-bit patterns, are written in lower-case hexadecimal digits.
 */
#ifndef FORMATS_JSONTEXT_H
#define FORMATS_JSONTEXT_H

#include "formats/bytes.h"

/*
 * Valid UTF-8 (no overlong form, no surrogate, at most U+10FFFF) and no
 * control character (U+0000 to U+001F, U+007F to U+009F).
 */
bool text_ok(struct slice s);

/* Write 2 * len digits to `out`, and no NUL. */
void hex_encode(char *out, const uint8_t *p, size_t len);

/* `digits` into digits.len / 2 bytes; false when one is not [0-9a-f]. */
bool hex_decode(uint8_t *out, struct slice digits);

/* 64 bits as 16 digits, the highest first; `out` has no NUL. */
void hex_encode_u64(char *out, uint64_t v);
bool hex_decode_u64(uint64_t *v, struct slice digits);

#endif
