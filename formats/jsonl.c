#include "formats/jsonl.h"
#include "formats/records.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <xxhash.h>

/* ---- reading ---- */

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_append(struct buf *out, struct slice s)
{
	size_t need = (s.len + 2) / 3 * 4, i = 0;
	uint8_t *p;

	if (buf_reserve(out, need) < 0)
		return -1;
	p = out->data + out->len;
	for (; i < s.len; i += 3) {
		size_t n = s.len - i < 3 ? s.len - i : 3;
		uint32_t v = (uint32_t)s.data[i] << 16;

		if (n > 1)
			v |= (uint32_t)s.data[i + 1] << 8;
		if (n > 2)
			v |= s.data[i + 2];
		*p++ = (uint8_t)alphabet[v >> 18];
		*p++ = (uint8_t)alphabet[v >> 12 & 63];
		*p++ = n > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
		*p++ = n > 2 ? (uint8_t)alphabet[v & 63] : '=';
	}
	out->len += need;
	return 0;
}

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* 1, 0 when it is not base64 as we write it, -1 when there is no memory. */
static int base64_decode(struct slice s, struct buf *out)
{
	buf_clear(out);
	if (s.len % 4)
		return 0;
	if (buf_reserve(out, s.len / 4 * 3) < 0)
		return -1;
	for (size_t i = 0; i < s.len; i += 4) {
		const uint8_t *p = s.data + i;
		int pad = 0;
		uint32_t v = 0;

		if (i + 4 == s.len && p[3] == '=')
			pad = p[2] == '=' ? 2 : 1;
		for (int j = 0; j < 4; j++) {
			int d = j >= 4 - pad ? 0 : base64_digit(p[j]);

			if (d < 0)
				return 0;
			v = v << 6 | (uint32_t)d;
		}
		/* Bits that no byte takes must be zero: one text a value. */
		if ((pad == 1 && (v & 0xff)) || (pad == 2 && (v & 0xffff)))
			return 0;
		out->data[out->len++] = (uint8_t)(v >> 16);
		if (pad < 2)
			out->data[out->len++] = (uint8_t)(v >> 8);
		if (pad < 1)
			out->data[out->len++] = (uint8_t)v;
	}
	return 1;
}

static enum jsonl_kind bad(struct jsonl_line *l, const char *why)
{
	l->why = why;
	return JSONL_BAD;
}

static struct slice string_slice(const json_t *j)
{
	return slice_make(json_string_value(j), json_string_length(j));
}

/* One field, plain or base64; `seen` guards against both at once. */
static enum jsonl_kind take_field(struct jsonl_line *l, const json_t *v,
				  bool base64, struct buf *out, bool *seen)
{
	int r;

	if (*seen)
		return bad(l, "a field stands twice");
	*seen = true;
	if (!json_is_string(v))
		return bad(l, "key and value must be strings");
	if (!base64)
		return buf_assign(out, string_slice(v)) < 0 ? JSONL_NOMEM
							    : JSONL_RECORD;
	r = base64_decode(string_slice(v), out);
	if (r < 0)
		return JSONL_NOMEM;
	return r ? JSONL_RECORD : bad(l, "bad base64");
}

static enum jsonl_kind take_record(struct jsonl_line *l, json_t *obj, bool keys)
{
	bool has_key = false, has_value = false;
	const char *name;
	json_t *v;

	buf_clear(l->key);
	buf_clear(l->value);
	json_object_foreach(obj, name, v)
	{
		enum jsonl_kind k = JSONL_RECORD;

		if (!strcmp(name, "key") || !strcmp(name, "key_base64"))
			k = take_field(l, v, name[3], l->key, &has_key);
		else if (!strcmp(name, "value") ||
			 !strcmp(name, "value_base64"))
			k = take_field(l, v, name[5], l->value, &has_value);
		else if (strcmp(name, "from"))
			k = bad(l, "a member that is neither key nor value");
		if (k != JSONL_RECORD)
			return k;
	}
	if (!has_key)
		return bad(l, "no key");
	if (keys && has_value)
		return bad(l, "a value where a key alone is expected");
	if (!keys && !has_value)
		return bad(l, "no value");
	return JSONL_RECORD;
}

static enum jsonl_kind take_header(struct jsonl_line *l, const json_t *version)
{
	if (!json_is_integer(version) ||
	    json_integer_value(version) != RECORD_VERSION)
		return bad(l, "a stream of an unknown version");
	return JSONL_HEADER;
}

static enum jsonl_kind take_end_mark(struct jsonl_line *l, const json_t *obj)
{
	const json_t *count = json_object_get(obj, "records");
	const json_t *sum = json_object_get(obj, "checksum");
	uint8_t bytes[8];

	if (!json_is_integer(count) || json_integer_value(count) < 0 ||
	    !json_is_string(sum) || json_string_length(sum) != 16 ||
	    !record_unhex(string_slice(sum), bytes))
		return bad(l, "a bad end mark");
	l->count = (uint64_t)json_integer_value(count);
	l->checksum = 0;
	for (int i = 0; i < 8; i++)
		l->checksum = l->checksum << 8 | bytes[i];
	return JSONL_END_MARK;
}

enum jsonl_kind jsonl_parse(struct slice line, bool keys, struct jsonl_line *l)
{
	json_error_t e;
	json_t *obj, *v;
	enum jsonl_kind k;

	obj = json_loadb((const char *)line.data, line.len,
			 JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (!obj) {
		if (json_error_code(&e) == json_error_out_of_memory)
			return JSONL_NOMEM;
		snprintf(l->text, sizeof(l->text), "not JSON: %s", e.text);
		return bad(l, l->text);
	}
	if (!json_is_object(obj))
		k = bad(l, "not an object");
	else if ((v = json_object_get(obj, "lsm_records")))
		k = take_header(l, v);
	else if (json_is_true(json_object_get(obj, "end")))
		k = take_end_mark(l, obj);
	else
		k = take_record(l, obj, keys);
	json_decref(obj);
	return k;
}

/* ---- writing ---- */

static int append_piece(const char *p, size_t len, void *ctx)
{
	return buf_append(ctx, p, len);
}

static int append_str(struct buf *out, const char *s)
{
	return buf_append(out, s, strlen(s));
}

/*
 * Append the string, as jansson would, if it is ASCII without control
 * characters: 1.  That is most of them, and takes no memory.  0: it is not.
 */
static int append_ascii(struct buf *out, struct slice s)
{
	size_t room = 2 * s.len + 2;
	uint8_t *p;

	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < 0x20 || s.data[i] >= 0x7f)
			return 0;
	if (buf_reserve(out, room) < 0)
		return -1;
	p = out->data + out->len;
	*p++ = '"';
	for (size_t i = 0; i < s.len; i++) {
		if (s.data[i] == '"' || s.data[i] == '\\')
			*p++ = '\\';
		*p++ = s.data[i];
	}
	*p++ = '"';
	out->len = (size_t)(p - out->data);
	return 1;
}

/*
 * Append `"NAME":"..."`, or `"NAME_base64":"..."` when `s` is not UTF-8.
 * -1: no memory.
 */
static int append_field(struct buf *out, const char *name, struct slice s)
{
	size_t len = out->len;
	json_t *j;
	int r;

	if (append_str(out, "\"") < 0 || append_str(out, name) < 0 ||
	    append_str(out, "\":") < 0)
		return -1;
	r = append_ascii(out, s);
	if (r != 0)
		return r < 0 ? r : 0;
	out->len = len;
	/* NULL: not UTF-8, or no memory, which base64 then finds as well */
	j = json_stringn(s.len ? (const char *)s.data : "", s.len);
	if (append_str(out, "\"") < 0 || append_str(out, name) < 0 ||
	    append_str(out, j ? "\":" : "_base64\":\"") < 0)
		r = -1;
	else if (j)
		r = json_dump_callback(j, append_piece, out, JSON_ENCODE_ANY);
	else if (base64_append(out, s) < 0 || append_str(out, "\"") < 0)
		r = -1;
	json_decref(j);
	return r;
}

static int append_members(struct buf *out, const char *members)
{
	if (members &&
	    (append_str(out, ",") < 0 || append_str(out, members) < 0))
		return -1;
	return append_str(out, "}\n");
}

int record_write_jsonl(struct buf *out, struct slice key,
		       const struct slice *value, const char *members,
		       struct store_error *err)
{
	size_t len = out->len;

	if (append_str(out, "{") < 0 || append_field(out, "key", key) < 0 ||
	    (value && (append_str(out, ",") < 0 ||
		       append_field(out, "value", *value) < 0)) ||
	    append_members(out, members) < 0) {
		out->len = len;
		return store_nomem(err);
	}
	return 0;
}

int record_write_header(struct buf *out, const char *members,
			struct store_error *err)
{
	char text[40];

	snprintf(text, sizeof(text), "{\"lsm_records\":%d", RECORD_VERSION);
	if (append_str(out, text) < 0 || append_members(out, members) < 0)
		return store_nomem(err);
	return 0;
}

int record_write_end_mark(struct buf *out, uint64_t count, uint64_t checksum,
			  struct store_error *err)
{
	char text[120];

	snprintf(text, sizeof(text),
		 "{\"end\":true,\"records\":%" PRIu64
		 ",\"checksum\":\"%016" PRIx64 "\"}\n",
		 count, checksum);
	return append_str(out, text) < 0 ? store_nomem(err) : 0;
}

uint64_t record_checksum(uint64_t sofar, struct slice key, struct slice value)
{
	sofar = XXH3_64bits_withSeed(key.data, key.len, sofar);
	return XXH3_64bits_withSeed(value.data, value.len, sofar);
}
