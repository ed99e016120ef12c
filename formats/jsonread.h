/*
 * jsonread.h - taking typed members out of a parsed JSON document.
 *
 * Every function returns 0, or reports the fault as STORE_ECORRUPT of the
 * file that the struct names.  Counts are integers from 0 to 2^53 - 1, where
 * all JSON readers agree; patterns of 64 bits are 16 hexadecimal digits.
 */
#ifndef FORMATS_JSONREAD_H
#define FORMATS_JSONREAD_H

#include "formats/bytes.h"
#include "formats/error.h"

#include <jansson.h>

struct jsonread {
	const char *dir, *name; /* for messages */
	struct store_error *err;
};

/* The document is damaged; returns STORE_ECORRUPT. */
int jsonread_bad(const struct jsonread *rd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Parse all of `text`; a member that stands twice is refused. */
int jsonread_load(const struct jsonread *rd, struct slice text, json_t **root);

/* `o` must be an object with no member but `names`, which end with NULL. */
int jsonread_only(const struct jsonread *rd, json_t *o,
		  const char *const *names);

int jsonread_count(const struct jsonread *rd, json_t *o, const char *name,
		   uint64_t *v);
int jsonread_pattern(const struct jsonread *rd, json_t *o, const char *name,
		     uint64_t *v);
/* *list is borrowed from `o`. */
int jsonread_array(const struct jsonread *rd, json_t *o, const char *name,
		   json_t **list);

/* A name out of the document, fit for a message. */
const char *jsonread_shown(const char *name);

/* The bytes of a JSON string, borrowed; empty when it is none. */
static inline struct slice jsonread_slice(json_t *j)
{
	return slice_make(json_string_value(j), json_string_length(j));
}

#endif
