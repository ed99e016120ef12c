#include "formats/records.h"
#include "formats/jsonl.h"

#include <inttypes.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The longest a byte gets: \xHH in tsv, \u00HH in jsonl. */
#define TSV_KEY_TEXT (4 * (size_t)RECORD_KEY_MAX)
#define LINE_MAX_BYTES (6 * ((size_t)RECORD_KEY_MAX + RECORD_VALUE_MAX) + 65536)

const char *const record_format_names[] = { "tsv", "nul", "jsonl", NULL };

int record_format_find(const char *name)
{
	for (int i = 0; record_format_names[i]; i++)
		if (!strcmp(record_format_names[i], name))
			return i;
	return -1;
}

void record_parser_release(struct record_parser *p)
{
	buf_free(&p->key);
	buf_free(&p->value);
}

static int bad(const struct record_parser *p, const char *why,
	       struct store_error *err)
{
	if (p->format == RECORD_NUL)
		return store_fail(err, STORE_ECORRUPT,
				  "%s: offset %" PRIu64 ": %s", p->name,
				  p->offset, why);
	return store_fail(err, STORE_ECORRUPT, "%s: line %" PRIu64 ": %s",
			  p->name, p->line, why);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool record_unhex(struct slice hex, uint8_t *out)
{
	if (hex.len % 2)
		return false;
	for (size_t i = 0; i < hex.len; i += 2) {
		int hi = hex_digit(hex.data[i]);
		int lo = hex_digit(hex.data[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

/* ---- tsv ---- */

/* The letter after the backslash, or 0 for a byte that stands for itself. */
static uint8_t escape_of(uint8_t c)
{
	switch (c) {
	case '\t':
		return 't';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\0':
		return '0';
	case '\\':
		return '\\';
	default:
		return 0;
	}
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/*
 * Is one of the eight bytes at or below CR, or a backslash?  The bytes above
 * one that is may be told wrongly, for a borrow goes upwards.  (Warren,
 * Hacker's Delight, 6-1.)
 */
static inline uint64_t special(const uint8_t *p)
{
	uint64_t v, slash;

	memcpy(&v, p, 8);
	slash = v ^ EACH('\\');
	return ((v - EACH('\r' + 1)) & ~v & EACH(0x80)) |
	       ((slash - EACH(1)) & ~slash & EACH(0x80));
}

#ifdef __SSE2__
/* The same of sixteen, exactly. */
static inline int special16(const uint8_t *p)
{
	const __m128i cr = _mm_set1_epi8('\r');
	const __m128i slash = _mm_set1_epi8('\\');
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);

	return _mm_movemask_epi8(
		_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, cr), v),
			     _mm_cmpeq_epi8(v, slash)));
}
#else
static inline int special16(const uint8_t *p)
{
	return (special(p) | special(p + 8)) != 0;
}
#endif

/* Bytes from the start on that are none of those. */
static size_t plain(const uint8_t *p, size_t len)
{
	size_t i = 0;

	for (; len - i >= 16 && !special16(p + i); i += 16)
		;
	for (; len - i >= 8 && !special(p + i); i += 8)
		;
	while (i < len && p[i] > '\r' && p[i] != '\\')
		i++;
	return i;
}

int record_escape(struct buf *out, struct slice s)
{
	const uint8_t *p = s.data;
	size_t left = s.len;

	while (left) {
		size_t n = plain(p, left);
		uint8_t e[2] = { '\\', 0 };

		if (buf_append(out, p, n) < 0)
			return -1;
		p += n;
		left -= n;
		if (left == 0)
			break;
		e[1] = escape_of(*p);
		if ((e[1] ? buf_append(out, e, 2) : buf_append(out, p, 1)) < 0)
			return -1;
		p++;
		left--;
	}
	return 0;
}

/* One escape at in.data[i], a backslash: its length, or 0 when it is bad. */
static size_t unescape_one(struct slice in, size_t i, uint8_t *c)
{
	if (i + 1 >= in.len)
		return 0;
	switch (in.data[i + 1]) {
	case 't':
		*c = '\t';
		return 2;
	case 'n':
		*c = '\n';
		return 2;
	case 'r':
		*c = '\r';
		return 2;
	case '0':
		*c = '\0';
		return 2;
	case '\\':
		*c = '\\';
		return 2;
	case 'x':
		if (i + 3 >= in.len ||
		    !record_unhex(slice_make(in.data + i + 2, 2), c))
			return 0;
		return 4;
	default:
		return 0;
	}
}

/*
 * *out is `in` without its escapes: `in` itself where there are none, else a
 * copy in `mem`.
 */
static int unescape(const struct record_parser *p, struct slice in,
		    struct buf *mem, struct slice *out, struct store_error *err)
{
	const uint8_t *b = in.len ? memchr(in.data, '\\', in.len) : NULL;
	size_t i;

	*out = in;
	if (!b)
		return 0;
	i = (size_t)(b - in.data);
	buf_clear(mem);
	if (buf_reserve(mem, in.len) < 0)
		return store_nomem(err);
	memcpy(mem->data, in.data, i);
	mem->len = i;
	while (i < in.len) {
		uint8_t c = in.data[i];
		size_t n = c == '\\' ? unescape_one(in, i, &c) : 1;

		if (n == 0)
			return bad(p, "unknown escape after a backslash", err);
		mem->data[mem->len++] = c;
		i += n;
	}
	*out = buf_slice(mem);
	return 0;
}

/* 1 a record. */
static int parse_tsv(struct record_parser *p, struct slice line,
		     struct record *r, struct store_error *err)
{
	const uint8_t *tab =
		line.len ? memchr(line.data, '\t', line.len) : NULL;
	struct slice key = line;
	int ret;

	if (line.len == 0)
		return bad(p, "an empty line", err);
	if (p->keys) {
		if (tab)
			return bad(p, "a TAB in a key (written \\t)", err);
		ret = unescape(p, line, &p->key, &r->key, err);
		return ret < 0 ? ret : 1;
	}
	if (!tab)
		return bad(p, "no TAB between key and value", err);
	key.len = (size_t)(tab - line.data);
	if ((ret = unescape(p, key, &p->key, &r->key, err)) < 0)
		return ret;
	ret = unescape(p, slice_make(tab + 1, line.len - key.len - 1),
		       &p->value, &r->value, err);
	return ret < 0 ? ret : 1;
}

/* ---- jsonl ---- */

/* 1 a record, 0 a header or an end mark. */
static int parse_jsonl(struct record_parser *p, struct slice line,
		       struct record *r, struct store_error *err)
{
	struct jsonl_line l = { .key = &p->key, .value = &p->value };

	if (p->stream == RECORD_ENDED)
		return bad(p, "a line after the end mark", err);
	switch (jsonl_parse(line, p->keys, &l)) {
	case JSONL_RECORD:
		r->key = buf_slice(&p->key);
		r->value = buf_slice(&p->value);
		p->count++;
		if (p->stream == RECORD_FRAMED)
			p->checksum =
				record_checksum(p->checksum, r->key, r->value);
		return 1;
	case JSONL_HEADER:
		if (p->line != 1)
			return bad(p, "a header that is not first", err);
		p->stream = RECORD_FRAMED;
		return 0;
	case JSONL_END_MARK:
		if (p->stream != RECORD_FRAMED)
			return bad(p, "an end mark without a header", err);
		if (l.count != p->count)
			return bad(p, "the count is not that of the end mark",
				   err);
		if (l.checksum != p->checksum)
			return bad(p,
				   "the checksum is not that of the end mark",
				   err);
		p->stream = RECORD_ENDED;
		return 0;
	case JSONL_NOMEM:
		return store_nomem(err);
	default:
		return bad(p, l.why, err);
	}
}

/* ---- lines: tsv and jsonl ---- */

/* An unfinished line that cannot become a record is refused at once. */
static int check_part(struct record_parser *p, struct slice in,
		      struct store_error *err)
{
	uint8_t first = in.len ? in.data[0] : '{';

	if (p->format == RECORD_TSV && in.len > TSV_KEY_TEXT &&
	    (p->keys || !memchr(in.data, '\t', TSV_KEY_TEXT + 1)))
		return bad(p, "no end of the key within its limit", err);
	if (p->format == RECORD_JSONL && first != '{' && first != ' ' &&
	    first != '\t' && first != '\r')
		return bad(p, "not a JSON object", err);
	if (in.len > LINE_MAX_BYTES)
		return bad(p, "longer than any record", err);
	return 0;
}

static int parse_line(struct record_parser *p, struct slice in, bool eof,
		      size_t *used, struct record *r, struct store_error *err)
{
	struct slice line = in;
	const uint8_t *lf = NULL;

	if (in.len > p->seen)
		lf = memchr(in.data + p->seen, '\n', in.len - p->seen);
	if (lf) {
		line.len = (size_t)(lf - in.data);
	} else if (!eof) {
		p->seen = in.len;
		return check_part(p, in, err);
	} else if (in.len == 0) {
		if (p->stream == RECORD_FRAMED)
			return bad(p, "cut short: no end mark", err);
		return 0;
	}
	*used = line.len + (lf ? 1 : 0);
	return p->format == RECORD_JSONL ? parse_jsonl(p, line, r, err)
					 : parse_tsv(p, line, r, err);
}

/* ---- nul ---- */

/* The field that starts at `from`: 1 and where its NUL is, 0 not there yet. */
static int find_nul(struct record_parser *p, struct slice in, size_t from,
		    size_t max, size_t *end, struct store_error *err)
{
	size_t at = p->seen > from ? p->seen : from;
	const uint8_t *z = NULL;

	if (in.len > at)
		z = memchr(in.data + at, '\0', in.len - at);
	*end = z ? (size_t)(z - in.data) : in.len;
	if (*end > from && *end - from > max)
		return bad(p, "a key or value over its limit", err);
	if (!z)
		p->seen = in.len;
	return z != NULL;
}

static int parse_nul(struct record_parser *p, struct slice in, bool eof,
		     size_t *used, struct record *r, struct store_error *err)
{
	size_t end = 0;
	int ret;

	if (eof && in.len == 0)
		return 0;
	if (p->key_end == 0) {
		ret = find_nul(p, in, 0, RECORD_KEY_MAX, &end, err);
		if (ret < 0)
			return ret;
		if (ret == 0)
			return eof ? bad(p, "ends inside a key", err) : 0;
		if (end == 0)
			return bad(p, "an empty key", err);
		p->key_end = end;
	}
	r->key = slice_make(in.data, p->key_end);
	if (!p->keys) {
		size_t from = p->key_end + 1;

		ret = find_nul(p, in, from, RECORD_VALUE_MAX, &end, err);
		if (ret < 0)
			return ret;
		if (ret == 0)
			return eof ? bad(p, "ends inside a value", err) : 0;
		r->value = slice_make(in.data + from, end - from);
	}
	*used = end + 1;
	return 1;
}

/* ---- all formats ---- */

/* Until one call has used nothing, the record at hand is `*used` further. */
static void advance(struct record_parser *p, size_t used)
{
	p->offset += used;
	p->seen = 0;
	p->key_end = 0;
	if (p->format != RECORD_NUL)
		p->line++;
}

int record_parse(struct record_parser *p, struct slice in, bool eof,
		 size_t *used, struct record *r, struct store_error *err)
{
	int ret;

	*used = 0;
	for (;;) {
		size_t n = 0;

		*r = (struct record){ SLICE_NULL, SLICE_NULL };
		if (p->format == RECORD_NUL)
			ret = parse_nul(p, in, eof, &n, r, err);
		else
			ret = parse_line(p, in, eof, &n, r, err);
		if (ret < 0 || n == 0)
			return ret;
		if (ret > 0 && r->key.len == 0)
			return bad(p, "an empty key", err);
		if (ret > 0 && (r->key.len > RECORD_KEY_MAX ||
				r->value.len > RECORD_VALUE_MAX))
			return bad(p, "a key or value over its limit", err);
		advance(p, n);
		*used += n;
		if (ret > 0)
			return ret;
		in = slice_make(in.data + n, in.len - n);
	}
}

static int append(enum record_format format, struct buf *out, struct slice s,
		  struct store_error *err)
{
	if (format == RECORD_TSV)
		return record_escape(out, s) < 0 ? store_nomem(err) : 0;
	if (s.len && memchr(s.data, '\0', s.len))
		return store_fail(err, STORE_ECORRUPT,
				  "a NUL inside cannot be written as nul; "
				  "use tsv or jsonl");
	return buf_append_slice(out, s) < 0 ? store_nomem(err) : 0;
}

static int append_char(struct buf *out, char c, struct store_error *err)
{
	return buf_append(out, &c, 1) < 0 ? store_nomem(err) : 0;
}

int record_write_start(enum record_format format, struct buf *out,
		       struct slice key, struct store_error *err)
{
	int r = append(format, out, key, err);

	return r < 0 ? r
		     : append_char(out, format == RECORD_TSV ? '\t' : '\0',
				   err);
}

int record_write_piece(enum record_format format, struct buf *out,
		       struct slice piece, struct store_error *err)
{
	return append(format, out, piece, err);
}

int record_write_end(enum record_format format, struct buf *out,
		     struct store_error *err)
{
	return append_char(out, format == RECORD_NUL ? '\0' : '\n', err);
}

/* A record without anything to escape, which most are: true when it is one. */
static bool write_plain(struct buf *out, struct slice key, struct slice value)
{
	uint8_t *p;

	if (plain(key.data, key.len) != key.len ||
	    plain(value.data, value.len) != value.len ||
	    buf_reserve(out, key.len + value.len + 2) < 0)
		return false;
	p = out->data + out->len;
	memcpy(p, key.data, key.len);
	p[key.len] = '\t';
	if (value.len)
		memcpy(p + key.len + 1, value.data, value.len);
	p[key.len + 1 + value.len] = '\n';
	out->len += key.len + value.len + 2;
	return true;
}

int record_write(enum record_format format, struct buf *out, struct slice key,
		 struct slice value, struct store_error *err)
{
	size_t len = out->len;
	int r;

	if (format == RECORD_TSV && write_plain(out, key, value))
		return 0;
	if (format == RECORD_JSONL)
		return record_write_jsonl(out, key, &value, NULL, err);
	if ((r = record_write_start(format, out, key, err)) < 0 ||
	    (r = append(format, out, value, err)) < 0 ||
	    (r = record_write_end(format, out, err)) < 0)
		out->len = len;
	return r;
}

int record_write_key(enum record_format format, struct buf *out,
		     struct slice key, struct store_error *err)
{
	size_t len = out->len;
	int r;

	if (format == RECORD_JSONL)
		return record_write_jsonl(out, key, NULL, NULL, err);
	if ((r = append(format, out, key, err)) < 0 ||
	    (r = record_write_end(format, out, err)) < 0)
		out->len = len;
	return r;
}
