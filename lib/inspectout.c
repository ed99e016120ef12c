#include "lib/inspectout.h"

#include "formats/jsontext.h"
#include "formats/manifest.h" /* NUMBER_MAX */
#include "formats/records.h"

#include <assert.h>
#include <stdio.h>

#define FLUSH_BYTES 32768u
#define PIECE_BYTES 65536u

static void flush(struct out *o)
{
	size_t done = 0;

	while (o->r == 0 && done < o->buf.len) {
		size_t n = o->buf.len - done;
		int r;

		if (n > PIECE_BYTES)
			n = PIECE_BYTES;
		r = o->sink(o->ctx, slice_make(o->buf.data + done, n));
		if (r < 0)
			o->r = r;
		done += n;
	}
	buf_clear(&o->buf);
}

static int append(const char *p, size_t n, void *out)
{
	return buf_append(out, p, n);
}

static void put(struct out *o, const char *p, size_t n)
{
	if (o->r == 0 && buf_append(&o->buf, p, n) < 0)
		o->r = store_nomem(o->err);
}

static void new_line(struct out *o)
{
	static const char blanks[OUT_DEPTH + 1] = "                ";

	put(o, "\n", 1);
	put(o, blanks, o->depth);
}

static void start(struct out *o, const char *name)
{
	if (o->buf.len > FLUSH_BYTES)
		flush(o);
	if (o->depth == 0)
		return;
	if (o->begun[o->depth - 1])
		put(o, ",", 1);
	o->begun[o->depth - 1] = true;
	new_line(o);
	if (name) {
		put(o, "\"", 1);
		put(o, name, strlen(name));
		put(o, "\": ", 3);
	}
}

void out_open(struct out *o, const char *name, char bracket)
{
	assert(o->depth < OUT_DEPTH);
	start(o, name);
	put(o, &bracket, 1);
	o->begun[o->depth] = false;
	o->close[o->depth++] = bracket == '{' ? '}' : ']';
}

void out_close(struct out *o)
{
	assert(o->depth > 0);
	o->depth--;
	if (o->begun[o->depth])
		new_line(o);
	put(o, &o->close[o->depth], 1);
}

void out_put(struct out *o, const char *name, json_t *v)
{
	start(o, name);
	if (o->r == 0 &&
	    (!v || json_dump_callback(v, append, &o->buf, JSON_ENCODE_ANY)))
		o->r = store_nomem(o->err);
	json_decref(v);
}

void out_count(struct out *o, const char *name, uint64_t v)
{
	out_put(o, name, value_count(v));
}

void out_pattern(struct out *o, const char *name, uint64_t v)
{
	out_put(o, name, value_pattern(v));
}

void out_string(struct out *o, const char *name, const char *s)
{
	out_put(o, name, value_string(s));
}

void out_bool(struct out *o, const char *name, bool v)
{
	out_put(o, name, json_boolean(v));
}

void out_text(struct out *o, const char *name, struct slice json)
{
	start(o, name);
	put(o, (const char *)json.data, json.len);
}

void out_error(struct out *o, const struct store_error *e)
{
	/* Of a list, only the object around it can bear a member. */
	while (o->depth && o->close[o->depth - 1] == ']')
		out_close(o);
	out_string(o, "error", e->text);
}

int out_end(struct out *o, int r)
{
	while (o->depth)
		out_close(o);
	put(o, "\n", 1);
	flush(o);
	buf_free(&o->buf);
	return o->r < 0 ? o->r : r;
}

json_t *value_count(uint64_t v)
{
	return v <= NUMBER_MAX ? json_integer((json_int_t)v) : value_pattern(v);
}

json_t *value_pattern(uint64_t v)
{
	char digits[16];

	hex_encode_u64(digits, v);
	return json_stringn(digits, sizeof(digits));
}

json_t *value_hex(const uint8_t *p, size_t n)
{
	char *digits = malloc(2 * n + 1);
	json_t *v;

	if (!digits)
		return NULL;
	hex_encode(digits, p, n);
	v = json_stringn(digits, 2 * n);
	free(digits);
	return v;
}

json_t *value_string(const char *s)
{
	json_t *v;
	char *plain;

	if (text_ok(slice_str(s)))
		return json_string(s);
	plain = strdup(s);
	if (!plain)
		return NULL;
	for (char *p = plain; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	v = json_string(plain);
	free(plain);
	return v;
}

/* As records have their keys, so that there is one base64 and one rule. */
int value_set_bytes(json_t *o, const char *name, struct slice s)
{
	struct buf text = BUF_INIT;
	json_t *record = NULL, *v;
	const char *member;
	char full[64];
	int r = -1;

	if (record_write_key(RECORD_JSONL, &text, s, NULL) == 0)
		record = json_loadb((char *)text.data, text.len, JSON_ALLOW_NUL,
				    NULL);
	json_object_foreach(record, member, v)
	{
		snprintf(full, sizeof(full), "%s%s", name,
			 member + strlen("key"));
		r = json_object_set(o, full, v);
	}
	json_decref(record);
	buf_free(&text);
	return r;
}
