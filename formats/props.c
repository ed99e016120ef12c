#include "formats/props.h"

#include "formats/manifest.h" /* KEY_MAX, NUMBER_MAX */

#include <jansson.h>

void table_props_release(struct table_props *p)
{
	free(p->replaces);
	free(p->trims);
	buf_free(&p->trims_below);
	buf_free(&p->smallest);
	buf_free(&p->largest);
	*p = TABLE_PROPS_INIT;
}

static json_t *hex(struct slice s)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(s.len * 2 + 1);
	json_t *j;

	if (!text)
		return NULL;
	for (size_t i = 0; i < s.len; i++) {
		text[2 * i] = digits[s.data[i] >> 4];
		text[2 * i + 1] = digits[s.data[i] & 15];
	}
	j = json_stringn(text, s.len * 2);
	free(text);
	return j;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool unhex(const json_t *j, size_t min, size_t max, struct buf *out)
{
	const char *s = json_string_value(j);
	size_t n = json_string_length(j);

	if (!s || n % 2 || n / 2 < min || n / 2 > max)
		return false;
	buf_clear(out);
	for (size_t i = 0; i < n; i += 2) {
		int hi = nibble(s[i]), lo = nibble(s[i + 1]);

		if (hi < 0 || lo < 0 ||
		    buf_append_u8(out, (uint8_t)(hi << 4 | lo)) < 0)
			return false;
	}
	return true;
}

static bool number(const json_t *j, uint64_t max, uint64_t *v)
{
	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return false;
	*v = (uint64_t)json_integer_value(j);
	return *v <= max;
}

static json_t *numbers(const uint64_t *v, size_t n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(a, json_integer((json_int_t)v[i])))
			goto nomem;
	return a;
nomem:
	json_decref(a);
	return NULL;
}

static json_t *to_json(const struct table_props *p)
{
	json_int_t v[] = {
		(json_int_t)p->age_first,  (json_int_t)p->age_last,
		(json_int_t)p->created_ms, (json_int_t)p->entries,
		(json_int_t)p->level,	   (json_int_t)p->number,
		(json_int_t)p->run,	   (json_int_t)p->oldest_tombstone_ms,
		(json_int_t)p->tombstones,
	};

	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I"
			 " s:o s:o s:o s:o s:o s:o}",
			 "age_first", v[0], "age_last", v[1], "created_ms",
			 v[2], "entries", v[3], "level", v[4], "number", v[5],
			 "run", v[6], "oldest_tombstone_ms", v[7], "tombstones",
			 v[8], "uuid",
			 hex(slice_make(p->uuid, sizeof(p->uuid))), "replaces",
			 numbers(p->replaces, p->n_replaces), "trims",
			 numbers(p->trims, p->n_trims), "trims_below",
			 hex(buf_slice(&p->trims_below)), "smallest",
			 hex(buf_slice(&p->smallest)), "largest",
			 hex(buf_slice(&p->largest)));
}

static int dump(const json_t *j, struct buf *out)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	int r = text ? buf_append_slice(out, slice_str(text)) : -1;

	free(text);
	return r;
}

int props_encode(const struct table_props *p, struct buf *out)
{
	json_t *j = to_json(p);
	int r = j ? dump(j, out) : -1;

	json_decref(j);
	return r;
}

static bool get_numbers(const json_t *a, uint64_t **v, size_t *n)
{
	*n = json_array_size(a);
	*v = json_is_array(a) ? calloc(*n + 1, sizeof(**v)) : NULL;
	if (!*v) {
		*n = 0;
		return false;
	}
	for (size_t i = 0; i < *n; i++)
		if (!number(json_array_get(a, i), NUMBER_MAX, &(*v)[i]))
			return false;
	return true;
}

/* Every member, and as many as there are: no unknown one. */
static bool get_members(const json_t *j, struct table_props *p)
{
	const struct {
		const char *name;
		uint64_t *v;
	} counts[] = {
		{ "age_first", &p->age_first },
		{ "age_last", &p->age_last },
		{ "created_ms", &p->created_ms },
		{ "entries", &p->entries },
		{ "number", &p->number },
		{ "oldest_tombstone_ms", &p->oldest_tombstone_ms },
		{ "tombstones", &p->tombstones },
	};
	const size_t n = sizeof(counts) / sizeof(counts[0]);
	struct buf uuid = BUF_INIT;
	uint64_t level, run;
	bool ok;

	for (size_t i = 0; i < n; i++)
		if (!number(json_object_get(j, counts[i].name), NUMBER_MAX,
			    counts[i].v))
			return false;
	if (!number(json_object_get(j, "level"), UINT32_MAX, &level) ||
	    !number(json_object_get(j, "run"), UINT32_MAX, &run))
		return false;
	p->level = (uint32_t)level;
	p->run = (uint32_t)run;
	ok = unhex(json_object_get(j, "uuid"), 16, 16, &uuid);
	if (ok)
		memcpy(p->uuid, uuid.data, sizeof(p->uuid));
	buf_free(&uuid);
	return ok && json_object_size(j) == n + 8 &&
	       get_numbers(json_object_get(j, "replaces"), &p->replaces,
			   &p->n_replaces) &&
	       get_numbers(json_object_get(j, "trims"), &p->trims,
			   &p->n_trims) &&
	       unhex(json_object_get(j, "trims_below"), 0, KEY_MAX,
		     &p->trims_below) &&
	       (p->n_trims == 0) == (p->trims_below.len == 0) &&
	       unhex(json_object_get(j, "smallest"), 1, KEY_MAX,
		     &p->smallest) &&
	       unhex(json_object_get(j, "largest"), 1, KEY_MAX, &p->largest);
}

const char *props_decode(struct slice text, struct table_props *p)
{
	json_t *j = json_loadb((const char *)text.data, text.len,
			       JSON_REJECT_DUPLICATES, NULL);
	struct buf again = BUF_INIT;
	const char *why = NULL;

	if (!json_is_object(j) || !get_members(j, p))
		why = "malformed properties";
	else if (dump(j, &again) < 0 || !slice_eq(buf_slice(&again), text))
		why = "properties are not canonical JSON";
	buf_free(&again);
	json_decref(j);
	return why;
}
