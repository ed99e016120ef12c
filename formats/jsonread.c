#include "formats/jsonread.h"

#include "formats/jsontext.h"

#include <stdarg.h>
#include <stdio.h>

#define COUNT_MAX ((INT64_C(1) << 53) - 1)

int jsonread_bad(const struct jsonread *rd, const char *fmt, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return store_corrupt(rd->err, rd->dir, rd->name, STORE_NO_OFFSET, why);
}

/*
 * jansson's own messages quote the text, which may hold anything.  Of a failed
 * allocation it tells in three ways: by its code, by none, and, for a string,
 * as bad syntax.
 */
int jsonread_load(const struct jsonread *rd, struct slice text, json_t **root)
{
	const char *what = "not JSON, or no memory to parse it";
	json_error_t why = { .line = 0 };

	*root = json_loadb((const char *)text.data, text.len,
			   JSON_REJECT_DUPLICATES, &why);
	if (*root)
		return 0;
	switch (json_error_code(&why)) {
	case json_error_unknown:
	case json_error_out_of_memory:
		return store_nomem(rd->err);
	case json_error_duplicate_key:
		what = "a member stands twice";
		break;
	case json_error_numeric_overflow:
		what = "a number is too large";
		break;
	default:
		break;
	}
	return store_corrupt(rd->err, rd->dir, rd->name,
			     why.position > 0 ? (uint64_t)why.position : 0,
			     what);
}

const char *jsonread_shown(const char *name)
{
	struct slice s = slice_str(name);

	return s.len <= 60 && text_ok(s) ? name : "?";
}

int jsonread_only(const struct jsonread *rd, json_t *o,
		  const char *const *names)
{
	void *it;

	if (!json_is_object(o))
		return jsonread_bad(rd, "an object is missing");
	for (it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
		const char *key = json_object_iter_key(it);
		size_t i = 0;

		while (names[i] && strcmp(names[i], key))
			i++;
		if (!names[i])
			return jsonread_bad(rd, "unknown member \"%s\"",
					    jsonread_shown(key));
	}
	return 0;
}

int jsonread_count(const struct jsonread *rd, json_t *o, const char *name,
		   uint64_t *v)
{
	json_t *j = json_object_get(o, name);
	json_int_t i = json_integer_value(j);

	*v = 0;
	if (!json_is_integer(j) || i < 0 || i > COUNT_MAX)
		return jsonread_bad(rd, "\"%s\" is not a count below 2^53",
				    name);
	*v = (uint64_t)i;
	return 0;
}

int jsonread_pattern(const struct jsonread *rd, json_t *o, const char *name,
		     uint64_t *v)
{
	json_t *j = json_object_get(o, name);

	*v = 0;
	if (!json_is_string(j) || !hex_decode_u64(v, jsonread_slice(j)))
		return jsonread_bad(rd, "\"%s\" is not 16 hexadecimal digits",
				    name);
	return 0;
}

int jsonread_array(const struct jsonread *rd, json_t *o, const char *name,
		   json_t **list)
{
	*list = json_object_get(o, name);
	if (!json_is_array(*list))
		return jsonread_bad(rd, "\"%s\" is not a list", name);
	return 0;
}
