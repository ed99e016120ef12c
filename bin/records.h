/*
 * records.h - records in from a descriptor, records out to one.
 *
 * Input is read in large pieces and parsed by formats/records.h; a record
 * lies in the buffer it was read into.  Output is collected and written in
 * large pieces; nothing is known to have arrived before output_flush().
 */
#ifndef BIN_RECORDS_H
#define BIN_RECORDS_H

#include "bin/tool.h"

struct record_input {
	int fd;
	const char *name; /* for messages */
	struct record_parser parser;
	uint8_t *data;
	size_t pos, len, cap; /* data[pos..len) is read and not yet used */
	bool eof;
	bool fresh; /* a record was returned since the last pause */
	/*
	 * Set by who would rather take much at once than answer at once: a
	 * pause is then LULL_MS without input, or none at this moment when the
	 * first record since the last pause has waited for HURRY_MS.
	 */
	bool lull;
	uint64_t since_ms;
};

#define RECORD_PAUSE 2
#define LULL_MS 10
#define HURRY_MS 1000

/*
 * Records (or, with `keys`, keys alone) from stdin, in the tool's format.
 * Says once on stderr that it waits, if stdin is a terminal.
 */
void input_init(struct record_input *in, const struct tool *t, bool keys);
void input_release(struct record_input *in);

/*
 * 1: the next record, valid until the next call.  0: the end.
 * RECORD_PAUSE: no whole record is there now, and whoever writes our input
 * takes its time; said once, the next call waits.
 *   STORE_ECORRUPT  a bad record
 *   STORE_EIO       it cannot be read
 */
int input_next(struct record_input *in, struct record *r,
	       struct store_error *err);

/* All of stdin as one value: at most STORE_VALUE_MAX bytes, STORE_EINVAL. */
int input_value(const struct tool *t, struct buf *value,
		struct store_error *err);

enum output_turn { OUTPUT_NOT_YET, OUTPUT_NOW, OUTPUT_NEVER };

struct record_output {
	enum record_format format;
	struct buf buf;
	size_t full;		 /* more bytes than that are to be written */
	struct store_error *err; /* where output_piece() tells of a failure */
	bool streams;		 /* more than one piece was written */
	/*
	 * Set by who shares stdout with others: is it our turn to write?  Asked
	 * to wait, it does not say NOT_YET; NEVER: what we have is dropped.
	 */
	enum output_turn (*turn)(void *ctx, bool wait);
	void *ctx;
};

#define OUTPUT_BYTES (256u << 10)
/* With others writing: who has as much waits for his turn. */
#define OUTPUT_MOST (4u << 20)

#define OUTPUT_INIT(format_, err_)                                             \
	((struct record_output){ .format = (format_),                          \
				 .buf = BUF_INIT,                              \
				 .full = OUTPUT_BYTES,                         \
				 .err = (err_) })

void output_release(struct record_output *out);

/* Any of these may write what was collected: STORE_EIO when that fails. */
int output_record(struct record_output *out, struct slice key,
		  struct slice value, struct store_error *err);
int output_key(struct record_output *out, struct slice key,
	       struct store_error *err);
/* A record whose value comes in pieces: start, output_piece()..., end. */
int output_start(struct record_output *out, struct slice key,
		 struct store_error *err);
/* A store_sink; `ctx` is the output. */
store_sink output_piece;
int output_end(struct record_output *out, struct store_error *err);
/* Bytes as they are. */
int output_raw(struct record_output *out, struct slice s,
	       struct store_error *err);
int output_flush(struct record_output *out, struct store_error *err);

#endif
