/*
 * records.h - records on a pipe: tsv, nul and jsonl, read and written.
 *
 * The parser is incremental and pure: the caller hands it the bytes it has,
 * from the first one not yet used, and gets one record at a time; when the
 * bytes end inside a record it says so, and is called again with more.
 * Nothing is searched twice, so a value of a gigabyte that arrives in small
 * reads costs no more than one that arrives whole.  Bytes: formats/records.md.
 *
 *	struct record_parser p = RECORD_PARSER_INIT(RECORD_TSV, false, "stdin");
 *
 *	while ((r = record_parse(&p, in, eof, &used, &rec, err)) > 0)
 *		... rec.key, rec.value; go on `used` bytes further
 */
#ifndef FORMATS_RECORDS_H
#define FORMATS_RECORDS_H

#include "formats/bytes.h"
#include "formats/error.h"

#define RECORD_KEY_MAX 65535u
#define RECORD_VALUE_MAX (1u << 30)
#define RECORD_VERSION 1 /* of the header object of a framed jsonl stream */

enum record_format {
	RECORD_TSV = 0,
	RECORD_NUL = 1,
	RECORD_JSONL = 2,
};

/* The names, by enum record_format; ends with NULL. */
extern const char *const record_format_names[];

/* The format called `name`, or -1. */
int record_format_find(const char *name);

struct record {
	struct slice key;
	struct slice value; /* empty when keys alone are read */
};

enum record_stream {
	RECORD_PLAIN,  /* no header seen */
	RECORD_FRAMED, /* jsonl with a header: must end with its end mark */
	RECORD_ENDED,  /* the end mark was read */
};

struct record_parser {
	enum record_format format;
	bool keys;	  /* keys alone */
	const char *name; /* of the input, for messages; borrowed */
	uint64_t line;	  /* of the record at hand, from 1 */
	uint64_t offset;  /* of its first byte in the input, from 0 */
	size_t seen;	  /* bytes of it already searched for its end */
	size_t key_end;	  /* nul: where its key ends; 0 not yet known */
	struct buf key;	  /* decoded, where the input's own bytes will not do */
	struct buf value;
	enum record_stream stream;
	uint64_t count;	   /* framed: records read */
	uint64_t checksum; /* framed: record_checksum() over them */
};

#define RECORD_PARSER_INIT(format_, keys_, name_)                              \
	((struct record_parser){ .format = (format_),                          \
				 .keys = (keys_),                              \
				 .name = (name_),                              \
				 .line = 1 })

void record_parser_release(struct record_parser *p);

/*
 * The next record of `in`, which starts where the last call's *used ended;
 * `eof` says that nothing follows `in`.
 *   1  *r and *used; the slices lie in `in` or in the parser, until the next
 *      call
 *   0  no record: call again with a longer `in`, or, at eof, the end.  *used
 *      bytes (header and end mark of a framed stream) are done with
 *   STORE_ECORRUPT  a bad record; the message names line or offset
 *   STORE_ESYSTEM   no memory
 */
int record_parse(struct record_parser *p, struct slice in, bool eof,
		 size_t *used, struct record *r, struct store_error *err);

/*
 * Append one record, or one key alone, to `out`.
 *   STORE_ECORRUPT  nul: there is a NUL inside; `out` is as it was
 *   STORE_ESYSTEM   no memory
 */
int record_write(enum record_format format, struct buf *out, struct slice key,
		 struct slice value, struct store_error *err);
int record_write_key(enum record_format format, struct buf *out,
		     struct slice key, struct store_error *err);

/*
 * tsv and nul can write a value in pieces: start, piece..., end.  jsonl
 * cannot: whether a value is text is known only when all of it was seen.
 */
static inline bool record_writes_pieces(enum record_format format)
{
	return format != RECORD_JSONL;
}
int record_write_start(enum record_format format, struct buf *out,
		       struct slice key, struct store_error *err);
int record_write_piece(enum record_format format, struct buf *out,
		       struct slice piece, struct store_error *err);
int record_write_end(enum record_format format, struct buf *out,
		     struct store_error *err);

/*
 * A framed jsonl stream: header, records, end mark.  `members` is further
 * members as JSON text ("\"from\":{...}"), or NULL; `value` NULL leaves the
 * value out.  A record's only further member that readers accept is "from".
 */
int record_write_header(struct buf *out, const char *members,
			struct store_error *err);
int record_write_jsonl(struct buf *out, struct slice key,
		       const struct slice *value, const char *members,
		       struct store_error *err);
int record_write_end_mark(struct buf *out, uint64_t count, uint64_t checksum,
			  struct store_error *err);
/* The checksum of a stream so far (0 at first) and one more record. */
uint64_t record_checksum(uint64_t sofar, struct slice key, struct slice value);

/*
 * Append `s` in tsv's escapes.  -1: no memory.
 */
int record_escape(struct buf *out, struct slice s);

/*
 * Decode hex digits, two a byte, either case, to `out`, which has room for
 * hex.len / 2 bytes and may be hex.data itself.  False when they are not.
 */
bool record_unhex(struct slice hex, uint8_t *out);

#endif
