/*
 * Reading MANIFEST.json: manifest_parse().
 *
 * The decoder takes what it knows out of jansson's tree; that nothing else
 * stands in the text, no second spelling, order or space, is proved at the
 * end, by writing what was read and comparing the bytes.
 */
#include "formats/jsonread.h"
#include "formats/jsontext.h"
#include "formats/manifest.h"

#include <inttypes.h>
#include <xxhash.h>

#define MAY_IGNORE_DEPTH 16

/* `n` elements; never NULL for want of elements. */
static int make(const struct jsonread *rd, void *array, size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		return store_nomem(rd->err);
	memcpy(array, &p, sizeof(p));
	/* cppcheck-suppress memleak ; it is in *array */
	return 0;
}

/* ---- parts ---- */

static int read_head(const struct jsonread *rd, struct manifest *m,
		     json_t *root)
{
	json_t *format = json_object_get(root, "format");
	json_t *uuid = json_object_get(root, "uuid");
	uint64_t major, minor;
	int r;

	if (!json_is_string(format) ||
	    !slice_eq(jsonread_slice(format), slice_str(MANIFEST_FORMAT)))
		return jsonread_bad(rd, "not a manifest");
	if ((r = jsonread_count(rd, root, "major", &major)) < 0 ||
	    (r = jsonread_count(rd, root, "minor", &minor)) < 0)
		return r;
	if (major > MANIFEST_MAJOR)
		return jsonread_bad(rd,
				    "format version %" PRIu64
				    " is newer than this program",
				    major);
	if (major < MANIFEST_MAJOR || minor > UINT32_MAX)
		return jsonread_bad(
			rd, "there is no format version %" PRIu64 ".%" PRIu64,
			major, minor);
	m->minor = (uint32_t)minor;
	if (!json_is_string(uuid) ||
	    json_string_length(uuid) != 2 * sizeof(m->uuid) ||
	    !hex_decode(m->uuid, jsonread_slice(uuid)))
		return jsonread_bad(rd,
				    "\"uuid\" is not 32 hexadecimal digits");
	if ((r = jsonread_count(rd, root, "generation", &m->generation)) < 0 ||
	    (r = jsonread_count(rd, root, "next_number", &m->next_number)) <
		    0 ||
	    (r = jsonread_count(rd, root, "created_ms", &m->created_ms)) < 0 ||
	    (r = jsonread_count(rd, root, "flushed_bytes", &m->flushed_bytes)) <
		    0)
		return r;
	return 0;
}

static int read_option(const struct jsonread *rd, struct options *o,
		       const struct option_spec *s, json_t *list)
{
	struct store_error why = STORE_ERROR_INIT;
	uint64_t v;
	int r;

	if (s->type == OPTION_WORD) {
		json_t *j = json_object_get(list, s->name);

		if (!json_is_string(j) ||
		    options_set(o, slice_str(s->name), jsonread_slice(j),
				&why) < 0)
			return jsonread_bad(rd, "%.140s",
					    why.code ? why.text : s->name);
		return 0;
	}
	if ((r = jsonread_count(rd, list, s->name, &v)) < 0)
		return r;
	memcpy((char *)o + s->offset, &v, sizeof(v));
	return 0;
}

static int read_options(const struct jsonread *rd, struct manifest *m,
			json_t *root)
{
	json_t *list = json_object_get(root, "options");
	void *it;
	int r;

	if (!json_is_object(list))
		return jsonread_bad(rd, "\"options\" is not an object");
	for (it = json_object_iter(list); it;
	     it = json_object_iter_next(list, it)) {
		const char *key = json_object_iter_key(it);

		if (!option_find(slice_str(key)))
			return jsonread_bad(rd, "unknown option \"%s\"",
					    jsonread_shown(key));
	}
	for (const struct option_spec *s = option_specs; s->name; s++)
		if ((r = read_option(rd, &m->options, s, list)) < 0)
			return r;
	return 0;
}

static int read_strategy(const struct jsonread *rd, struct manifest *m,
			 json_t *root)
{
	json_t *name = json_object_get(root, "strategy");
	json_t *list = json_object_get(root, "settings");
	void *it;
	int r;

	if (!json_is_string(name) || !json_is_object(list))
		return jsonread_bad(rd,
				    "\"strategy\" or \"settings\" is missing");
	m->strategy = strdup(json_string_value(name));
	if (!m->strategy)
		return store_nomem(rd->err);
	if ((r = make(rd, &m->settings, json_object_size(list),
		      sizeof(*m->settings))) < 0)
		return r;
	for (it = json_object_iter(list); it;
	     it = json_object_iter_next(list, it)) {
		struct setting *s = &m->settings[m->n_settings];
		json_t *v = json_object_iter_value(it);

		if (!json_is_string(v))
			return jsonread_bad(rd, "a setting is not a string");
		m->n_settings++;
		s->name = strdup(json_object_iter_key(it));
		s->value = strdup(json_string_value(v));
		if (!s->name || !s->value)
			return store_nomem(rd->err);
	}
	return 0;
}

static int read_log(const struct jsonread *rd, json_t *o, struct log_meta *log)
{
	static const char *const names[] = { "number", "sealed",   "created_ms",
					     "length", "checksum", NULL };
	json_t *sealed = json_object_get(o, "sealed");
	int r;

	if ((r = jsonread_only(rd, o, names)) < 0 ||
	    (r = jsonread_count(rd, o, "number", &log->number)) < 0 ||
	    (r = jsonread_count(rd, o, "created_ms", &log->created_ms)) < 0)
		return r;
	if (!json_is_boolean(sealed))
		return jsonread_bad(rd, "\"sealed\" is neither true nor false");
	log->sealed = json_is_true(sealed);
	if (log->sealed &&
	    ((r = jsonread_count(rd, o, "length", &log->length)) < 0 ||
	     (r = jsonread_pattern(rd, o, "checksum", &log->checksum)) < 0))
		return r;
	return 0;
}

static int read_logs(const struct jsonread *rd, struct manifest *m,
		     json_t *root)
{
	json_t *list;
	int r;

	if ((r = jsonread_array(rd, root, "logs", &list)) < 0 ||
	    (r = make(rd, &m->logs, json_array_size(list), sizeof(*m->logs))) <
		    0)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++)
		if ((r = read_log(rd, json_array_get(list, i),
				  &m->logs[m->n_logs++])) < 0)
			return r;
	return 0;
}

static int read_dropped(const struct jsonread *rd, struct manifest *m,
			json_t *root)
{
	static const char *const names[] = { "number", "last", NULL };
	json_t *list;
	int r;

	if ((r = jsonread_array(rd, root, "dropped", &list)) < 0 ||
	    (r = make(rd, &m->dropped, json_array_size(list),
		      sizeof(*m->dropped))) < 0)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct dropped *d = &m->dropped[m->n_dropped++];
		json_t *v = json_array_get(list, i);

		if ((r = jsonread_only(rd, v, names)) < 0 ||
		    (r = jsonread_count(rd, v, "number", &d->number)) < 0 ||
		    (r = jsonread_count(rd, v, "last", &d->last)) < 0)
			return r;
	}
	return 0;
}

/* ---- levels ---- */

static int read_key(const struct jsonread *rd, json_t *o, const char *name,
		    const char *name_hex, struct buf *key)
{
	json_t *text = json_object_get(o, name);
	json_t *digits = json_object_get(o, name_hex);
	struct slice s = jsonread_slice(text ? text : digits);

	if (text ? digits || !json_is_string(text) : !json_is_string(digits))
		return jsonread_bad(
			rd, "a table needs one string: \"%s\" or \"%s\"", name,
			name_hex);
	if (text)
		return buf_assign(key, s) < 0 ? store_nomem(rd->err) : 0;
	if (buf_reserve(key, s.len / 2 + 1) < 0)
		return store_nomem(rd->err);
	if (!hex_decode(key->data, s))
		return jsonread_bad(rd, "\"%s\" is not hexadecimal", name_hex);
	key->len = s.len / 2;
	return 0;
}

static int read_table(const struct jsonread *rd, json_t *o,
		      struct table_meta *t)
{
	static const char *const names[] = {
		"number",      "age_first", "age_last",
		"bytes",       "entries",   "tombstones",
		"created_ms",  "checksum",  "oldest_tombstone_ms",
		"smallest",    "largest",   "smallest_hex",
		"largest_hex", "trimmed",   NULL
	};
	json_t *trimmed = json_object_get(o, "trimmed");
	int r;

	if ((r = jsonread_only(rd, o, names)) < 0 ||
	    (r = jsonread_count(rd, o, "number", &t->number)) < 0 ||
	    (r = jsonread_count(rd, o, "age_first", &t->age_first)) < 0 ||
	    (r = jsonread_count(rd, o, "age_last", &t->age_last)) < 0 ||
	    (r = jsonread_count(rd, o, "bytes", &t->bytes)) < 0 ||
	    (r = jsonread_count(rd, o, "entries", &t->entries)) < 0 ||
	    (r = jsonread_count(rd, o, "tombstones", &t->tombstones)) < 0 ||
	    (r = jsonread_count(rd, o, "oldest_tombstone_ms",
				&t->oldest_tombstone_ms)) < 0 ||
	    (r = jsonread_count(rd, o, "created_ms", &t->created_ms)) < 0 ||
	    (r = jsonread_pattern(rd, o, "checksum", &t->checksum)) < 0 ||
	    (r = read_key(rd, o, "smallest", "smallest_hex", &t->smallest)) <
		    0 ||
	    (r = read_key(rd, o, "largest", "largest_hex", &t->largest)) < 0)
		return r;
	/* there when it is true, else not */
	if (trimmed && !json_is_true(trimmed))
		return jsonread_bad(rd, "\"trimmed\" is not true");
	t->trimmed = trimmed;
	return 0;
}

static int read_run(const struct jsonread *rd, json_t *list, struct run *run)
{
	int r;

	if (!json_is_array(list))
		return jsonread_bad(rd, "a run is not a list");
	if ((r = make(rd, &run->tables, json_array_size(list),
		      sizeof(*run->tables))) < 0)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++)
		if ((r = read_table(rd, json_array_get(list, i),
				    &run->tables[run->n++])) < 0)
			return r;
	return 0;
}

static int read_levels(const struct jsonread *rd, struct manifest *m,
		       json_t *root)
{
	json_t *list;
	int r;

	if ((r = jsonread_array(rd, root, "levels", &list)) < 0)
		return r;
	if (json_array_size(list) > MANIFEST_MAX_LEVELS)
		return jsonread_bad(rd, "more than %d levels",
				    MANIFEST_MAX_LEVELS);
	if ((r = make(rd, &m->levels, json_array_size(list),
		      sizeof(*m->levels))) < 0)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct level *l = &m->levels[m->n_levels++];
		json_t *runs = json_array_get(list, i);

		if (!json_is_array(runs))
			return jsonread_bad(rd, "a level is not a list");
		if ((r = make(rd, &l->runs, json_array_size(runs),
			      sizeof(*l->runs))) < 0)
			return r;
		for (size_t j = 0; j < json_array_size(runs); j++)
			if ((r = read_run(rd, json_array_get(runs, j),
					  &l->runs[l->n++])) < 0)
				return r;
	}
	return 0;
}

static int read_compacted(const struct jsonread *rd, struct manifest *m,
			  json_t *root)
{
	json_t *list;
	int r;

	if ((r = jsonread_array(rd, root, "compacted_bytes", &list)) < 0)
		return r;
	if (json_array_size(list) > MANIFEST_MAX_LEVELS)
		return jsonread_bad(rd, "more than %d levels",
				    MANIFEST_MAX_LEVELS);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *v = json_array_get(list, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return jsonread_bad(
				rd, "\"compacted_bytes\" holds no count");
		m->compacted_bytes[i] = (uint64_t)json_integer_value(v);
	}
	return 0;
}

/* ---- may_ignore ---- */

/* What any JSON tool gives back as it was: no real, no control character. */
static bool plain(json_t *v, int depth)
{
	json_int_t i = json_integer_value(v); /* 0 when it is none */

	if (depth > MAY_IGNORE_DEPTH || json_is_real(v) ||
	    i > (json_int_t)NUMBER_MAX || i < -(json_int_t)NUMBER_MAX)
		return false;
	if (json_is_string(v))
		return text_ok(jsonread_slice(v));
	for (size_t k = 0; k < json_array_size(v); k++)
		if (!plain(json_array_get(v, k), depth + 1))
			return false;
	for (void *it = json_object_iter(v); it;
	     it = json_object_iter_next(v, it))
		if (!text_ok(slice_str(json_object_iter_key(it))) ||
		    !plain(json_object_iter_value(it), depth + 1))
			return false;
	return true;
}

static int read_may_ignore(const struct jsonread *rd, struct manifest *m,
			   json_t *root)
{
	json_t *v = json_object_get(root, "may_ignore");
	char *text;
	int r;

	if (!json_is_object(v) || !plain(v, 1))
		return jsonread_bad(rd, "\"may_ignore\" is not a plain object");
	if (json_object_size(v) == 0)
		return 0;
	text = json_dumps(v, 0);
	if (!text)
		return store_nomem(rd->err);
	r = buf_assign(&m->may_ignore, slice_str(text));
	free(text);
	return r < 0 ? store_nomem(rd->err) : 0;
}

/* ---- the whole ---- */

static int check_checksum(const struct jsonread *rd, struct slice t)
{
	size_t end = sizeof(MANIFEST_END) - 1;
	uint64_t sum;

	if (t.len > MANIFEST_MAX_BYTES)
		return jsonread_bad(rd, "larger than any manifest");
	if (t.len < 16 + end || memcmp(t.data + t.len - end, MANIFEST_END, end))
		return jsonread_bad(rd, "no manifest, or its end is missing");
	if (!hex_decode_u64(&sum, slice_make(t.data + t.len - end - 16, 16)) ||
	    sum != XXH3_64bits(t.data, t.len - end - 16))
		return jsonread_bad(rd, "bad checksum");
	return 0;
}

static int check_canonical(const struct jsonread *rd, const struct manifest *m,
			   struct slice text)
{
	struct buf again = BUF_INIT;
	uint64_t sum;
	size_t i = 0;
	int r = manifest_format(m, &again, &sum, rd->err);

	if (r == 0 && !slice_eq(text, buf_slice(&again))) {
		while (i < again.len && i < text.len &&
		       again.data[i] == text.data[i])
			i++;
		r = store_corrupt(rd->err, rd->dir, rd->name, i,
				  "not as this program writes it");
	}
	buf_free(&again);
	return r;
}

int manifest_parse(struct manifest *m, struct slice text, const char *dir,
		   const char *name, struct store_error *err)
{
	static const char *const names[] = { "format",	      "major",
					     "minor",	      "uuid",
					     "generation",    "next_number",
					     "created_ms",    "options",
					     "strategy",      "settings",
					     "logs",	      "levels",
					     "flushed_bytes", "compacted_bytes",
					     "dropped",	      "may_ignore",
					     "checksum",      NULL };
	struct jsonread rd = { dir, name, err };
	json_t *root = NULL;
	int r;

	if ((r = check_checksum(&rd, text)) < 0 ||
	    (r = jsonread_load(&rd, text, &root)) < 0 ||
	    (r = read_head(&rd, m, root)) < 0 ||
	    (r = jsonread_only(&rd, root, names)) < 0 ||
	    (r = read_options(&rd, m, root)) < 0 ||
	    (r = read_strategy(&rd, m, root)) < 0 ||
	    (r = read_logs(&rd, m, root)) < 0 ||
	    (r = read_levels(&rd, m, root)) < 0 ||
	    (r = read_compacted(&rd, m, root)) < 0 ||
	    (r = read_dropped(&rd, m, root)) < 0 ||
	    (r = read_may_ignore(&rd, m, root)) < 0 ||
	    (r = manifest_check(m, dir, name, err)) < 0)
		goto out;
	r = check_canonical(&rd, m, text);
out:
	json_decref(root);
	if (r < 0)
		manifest_release(m);
	return r;
}
