/*
 * The text of MANIFEST.json: one line a table, so that people, diff and grep
 * can read it.  jansson writes the values, this file the lines.
 */
#include "formats/jsontext.h"
#include "formats/manifest.h"

#include <jansson.h>
#include <xxhash.h>

/* These return 0, or -1 when there is no memory. */

static int put(struct buf *out, const char *text)
{
	return buf_append(out, text, strlen(text));
}

static int append(const char *p, size_t n, void *out)
{
	return buf_append(out, p, n);
}

/* Takes over `v`; NULL is what jansson gives when there is no memory. */
static int put_json(struct buf *out, json_t *v)
{
	int r = v ? json_dump_callback(v, append, out, JSON_ENCODE_ANY) : -1;

	json_decref(v);
	return r;
}

static int put_name(struct buf *out, const char *name)
{
	return put(out, " \"") < 0 || put(out, name) < 0 || put(out, "\": ") < 0
		       ? -1
		       : 0;
}

static int put_member(struct buf *out, const char *name, json_t *v)
{
	int r = put_name(out, name);

	if (r < 0)
		json_decref(v);
	else
		r = put_json(out, v);
	return r < 0 ? r : put(out, ",\n");
}

/* Element `i` of a list, on a line of its own. */
static int put_line(struct buf *out, size_t i, const char *indent, json_t *v)
{
	if (put(out, i ? ",\n" : "\n") < 0 || put(out, indent) < 0) {
		json_decref(v);
		return -1;
	}
	return put_json(out, v);
}

/* Close a list of `n` lines; an empty one stays on the line of its name. */
static int put_end(struct buf *out, size_t n, const char *indent,
		   const char *end)
{
	if (n && (put(out, "\n") < 0 || put(out, indent) < 0))
		return -1;
	return put(out, end);
}

static json_t *count(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *pattern(uint64_t v)
{
	char digits[16];

	hex_encode_u64(digits, v);
	return json_stringn(digits, sizeof(digits));
}

static int put_options(struct buf *out, const struct options *o)
{
	size_t n = 0;

	if (put_name(out, "options") < 0 || put(out, "{") < 0)
		return -1;
	for (const struct option_spec *s = option_specs; s->name; s++) {
		uint64_t v = option_get(o, s);

		if (put(out, n++ ? ",\n " : "\n ") < 0 ||
		    put_name(out, s->name) < 0 ||
		    put_json(out, s->type == OPTION_WORD
					  ? json_string(s->words[v])
					  : count(v)) < 0)
			return -1;
	}
	return put_end(out, n, " ", "},\n");
}

static json_t *settings_json(const struct manifest *m)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < m->n_settings; i++) {
		const struct setting *s = &m->settings[i];

		if (json_object_set_new(o, s->name, json_string(s->value))) {
			json_decref(o);
			o = NULL;
		}
	}
	return o;
}

static int put_logs(struct buf *out, const struct manifest *m)
{
	if (put_name(out, "logs") < 0 || put(out, "[") < 0)
		return -1;
	for (size_t i = 0; i < m->n_logs; i++) {
		const struct log_meta *l = &m->logs[i];
		json_t *o = json_pack("{s:I,s:b,s:I}", "number",
				      (json_int_t)l->number, "sealed",
				      (int)l->sealed, "created_ms",
				      (json_int_t)l->created_ms);

		if (o && l->sealed)
			(void)(json_object_set_new(o, "length",
						   count(l->length)) ||
			       json_object_set_new(o, "checksum",
						   pattern(l->checksum)));
		if (o && l->sealed && json_object_size(o) != 5) {
			json_decref(o);
			return -1;
		}
		if (put_line(out, i, "  ", o) < 0)
			return -1;
	}
	return put_end(out, m->n_logs, " ", "],\n");
}

/* "smallest" or, for a key that is no text, "smallest_hex". */
static int set_key(json_t *o, const char *name, const char *name_hex,
		   const struct buf *key)
{
	json_t *v;
	char *digits;

	if (text_ok(buf_slice(key)))
		return json_object_set_new(
			o, name, json_stringn((char *)key->data, key->len));
	digits = malloc(2 * key->len);
	if (!digits)
		return -1;
	hex_encode(digits, key->data, key->len);
	v = json_stringn(digits, 2 * key->len);
	free(digits);
	return json_object_set_new(o, name_hex, v);
}

static json_t *table_json(const struct table_meta *t)
{
	json_t *o = json_pack(
		"{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "number",
		(json_int_t)t->number, "age_first", (json_int_t)t->age_first,
		"age_last", (json_int_t)t->age_last, "bytes",
		(json_int_t)t->bytes, "entries", (json_int_t)t->entries,
		"tombstones", (json_int_t)t->tombstones, "oldest_tombstone_ms",
		(json_int_t)t->oldest_tombstone_ms, "created_ms",
		(json_int_t)t->created_ms, "checksum", pattern(t->checksum));

	if (o &&
	    (set_key(o, "smallest", "smallest_hex", &t->smallest) ||
	     set_key(o, "largest", "largest_hex", &t->largest) ||
	     (t->trimmed && json_object_set_new(o, "trimmed", json_true())))) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static int put_level(struct buf *out, const struct level *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (put(out, i ? ",\n   [" : "\n   [") < 0)
			return -1;
		for (size_t j = 0; j < l->runs[i].n; j++)
			if (put_line(out, j, "    ",
				     table_json(&l->runs[i].tables[j])) < 0)
				return -1;
		if (put_end(out, l->runs[i].n, "   ", "]") < 0)
			return -1;
	}
	return put_end(out, l->n, "  ", "]");
}

static int put_levels(struct buf *out, const struct manifest *m)
{
	if (put_name(out, "levels") < 0 || put(out, "[") < 0)
		return -1;
	for (size_t i = 0; i < m->n_levels; i++)
		if (put(out, i ? ",\n  [" : "\n  [") < 0 ||
		    put_level(out, &m->levels[i]) < 0)
			return -1;
	return put_end(out, m->n_levels, " ", "],\n");
}

/* By level, up to the last that is not zero. */
static json_t *compacted_json(const struct manifest *m)
{
	size_t n = MANIFEST_MAX_LEVELS;
	json_t *a = json_array();

	while (n && m->compacted_bytes[n - 1] == 0)
		n--;
	for (size_t i = 0; a && i < n; i++) {
		if (json_array_append_new(a, count(m->compacted_bytes[i]))) {
			json_decref(a);
			a = NULL;
		}
	}
	return a;
}

static int put_dropped(struct buf *out, const struct manifest *m)
{
	if (put_name(out, "dropped") < 0 || put(out, "[") < 0)
		return -1;
	for (size_t i = 0; i < m->n_dropped; i++) {
		json_t *o = json_pack("{s:I,s:I}", "number",
				      (json_int_t)m->dropped[i].number, "last",
				      (json_int_t)m->dropped[i].last);

		if (put_line(out, i, "  ", o) < 0)
			return -1;
	}
	return put_end(out, m->n_dropped, " ", "],\n");
}

static int put_head(struct buf *out, const struct manifest *m)
{
	char uuid[2 * sizeof(m->uuid)];

	hex_encode(uuid, m->uuid, sizeof(m->uuid));
	if (put(out, "{\n") < 0 ||
	    put_member(out, "format", json_string(MANIFEST_FORMAT)) < 0 ||
	    put_member(out, "major", count(MANIFEST_MAJOR)) < 0 ||
	    put_member(out, "minor", count(m->minor)) < 0 ||
	    put_member(out, "uuid", json_stringn(uuid, sizeof(uuid))) < 0 ||
	    put_member(out, "generation", count(m->generation)) < 0 ||
	    put_member(out, "next_number", count(m->next_number)) < 0 ||
	    put_member(out, "created_ms", count(m->created_ms)) < 0)
		return -1;
	return 0;
}

static int put_all(struct buf *out, const struct manifest *m)
{
	struct slice ignore = buf_slice(&m->may_ignore);
	size_t start = out->len;
	char digits[16];

	if (put_head(out, m) < 0 || put_options(out, &m->options) < 0 ||
	    put_member(out, "strategy", json_string(m->strategy)) < 0 ||
	    put_member(out, "settings", settings_json(m)) < 0 ||
	    put_logs(out, m) < 0 || put_levels(out, m) < 0 ||
	    put_member(out, "flushed_bytes", count(m->flushed_bytes)) < 0 ||
	    put_member(out, "compacted_bytes", compacted_json(m)) < 0 ||
	    put_dropped(out, m) < 0 || put_name(out, "may_ignore") < 0 ||
	    buf_append_slice(out, ignore.len ? ignore : slice_str("{}")) < 0 ||
	    put(out, ",\n") < 0 || put_name(out, "checksum") < 0 ||
	    put(out, "\"") < 0)
		return -1;
	hex_encode_u64(digits,
		       XXH3_64bits(out->data + start, out->len - start));
	if (buf_append(out, digits, sizeof(digits)) < 0)
		return -1;
	return put(out, MANIFEST_END);
}

int manifest_format(const struct manifest *m, struct buf *out,
		    uint64_t *checksum, struct store_error *err)
{
	size_t start = out->len;
	struct slice text;

	if (put_all(out, m) < 0) {
		out->len = start;
		return store_nomem(err);
	}
	text = slice_make(out->data + start, out->len - start);
	if (text.len > MANIFEST_MAX_BYTES) {
		out->len = start;
		return store_fail(err, STORE_EINVAL,
				  "the manifest would be over %u MiB",
				  MANIFEST_MAX_BYTES >> 20);
	}
	*checksum = manifest_checksum(text);
	return 0;
}

uint64_t manifest_checksum(struct slice text)
{
	return XXH3_64bits(text.data, text.len);
}
