/*
 * jsonl.h - one line of a jsonl stream: a record, a header or an end mark.
 *
 * What record_parse() uses for RECORD_JSONL; nobody else includes this.  The
 * writing side is in records.h.  Bytes: formats/records.md.
 */
#ifndef FORMATS_JSONL_H
#define FORMATS_JSONL_H

#include "formats/bytes.h"

enum jsonl_kind {
	JSONL_BAD,    /* *why tells */
	JSONL_NOMEM,  /* no memory */
	JSONL_RECORD, /* key and value are filled */
	JSONL_HEADER,
	JSONL_END_MARK, /* count and checksum are filled */
};

struct jsonl_line {
	struct buf *key, *value; /* contents replaced */
	uint64_t count;
	uint64_t checksum;
	const char *why; /* fixed text, or memory of this struct */
	char text[200];
};

/* Read one line, without its LF; `keys`: a record has a key alone. */
enum jsonl_kind jsonl_parse(struct slice line, bool keys, struct jsonl_line *l);

#endif
