#include "bin/records.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define INPUT_BYTES (256u << 10)
#define PIPE_BYTES (1u << 20)

/* ---- input ---- */

static void say_that_we_wait(const struct tool *t, const char *what)
{
	if (!t->quiet && isatty(0))
		tool_say(t, "reading %s from the terminal; end with Ctrl-D",
			 what);
}

void input_init(struct record_input *in, const struct tool *t, bool keys)
{
	char what[40];

	*in = (struct record_input){
		.name = "stdin",
		.parser = RECORD_PARSER_INIT(t->format, keys, "stdin"),
	};
	/*
	 * A larger pipe lets the writer go on while a batch is synced, and
	 * makes the next batch larger.  Not a pipe, or not allowed: no matter.
	 */
	fcntl(0, F_SETPIPE_SZ, PIPE_BYTES);
	strcpy(what, record_format_names[t->format]);
	say_that_we_wait(t, strcat(what, keys ? " keys" : " records"));
}

void input_release(struct record_input *in)
{
	record_parser_release(&in->parser);
	free(in->data);
	in->data = NULL;
}

static int read_some(int fd, void *p, size_t len, size_t *got,
		     struct store_error *err)
{
	for (;;) {
		ssize_t n = read(fd, p, len);

		if (n >= 0) {
			*got = (size_t)n;
			return 0;
		}
		if (errno == EAGAIN) {
			struct pollfd in = { .fd = fd, .events = POLLIN };

			poll(&in, 1, -1);
		} else if (errno != EINTR) {
			return store_fail(err, STORE_EIO, "stdin: read: %s",
					  strerror(errno));
		}
	}
}

/* Room for more behind the unused bytes, which move to the front. */
static int make_room(struct record_input *in, struct store_error *err)
{
	size_t left = in->len - in->pos;

	if (in->pos > 0 && left <= in->cap / 2) {
		memmove(in->data, in->data + in->pos, left);
		in->pos = 0;
		in->len = left;
	} else if (in->len == in->cap) {
		size_t cap = in->cap ? in->cap * 2 : INPUT_BYTES;
		uint8_t *p = realloc(in->data, cap);

		if (!p)
			return store_nomem(err);
		in->data = p;
		in->cap = cap;
	}
	return 0;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Is there nothing to read?  The end is something to read. */
static bool is_pause(struct record_input *in)
{
	struct pollfd p = { .fd = in->fd, .events = POLLIN };

	if (poll(&p, 1, 0) != 0)
		return false;
	return !in->lull || now_ms() - in->since_ms >= HURRY_MS ||
	       poll(&p, 1, LULL_MS) == 0;
}

int input_next(struct record_input *in, struct record *r,
	       struct store_error *err)
{
	for (;;) {
		struct slice have = SLICE_NULL;
		size_t used, got;
		int ret;

		if (in->data)
			have = slice_make(in->data + in->pos,
					  in->len - in->pos);
		ret = record_parse(&in->parser, have, in->eof, &used, r, err);
		in->pos += used;
		if (ret > 0 && !in->fresh) {
			in->fresh = true;
			in->since_ms = in->lull ? now_ms() : 0;
		}
		if (ret != 0 || in->eof)
			return ret;
		if (used)
			continue;
		if (in->fresh && is_pause(in)) {
			in->fresh = false;
			return RECORD_PAUSE;
		}
		if ((ret = make_room(in, err)) < 0 ||
		    (ret = read_some(in->fd, in->data + in->len,
				     in->cap - in->len, &got, err)) < 0)
			return ret;
		in->len += got;
		in->eof = got == 0;
	}
}

int input_value(const struct tool *t, struct buf *value,
		struct store_error *err)
{
	size_t got = 1;
	int r;

	say_that_we_wait(t, "the value");
	buf_clear(value);
	while (got > 0) {
		if (value->len > STORE_VALUE_MAX)
			return store_fail(err, STORE_EINVAL,
					  "a value of more than %u bytes",
					  STORE_VALUE_MAX);
		if (buf_reserve(value, INPUT_BYTES) < 0)
			return store_nomem(err);
		r = read_some(0, value->data + value->len,
			      value->cap - value->len, &got, err);
		if (r < 0)
			return r;
		value->len += got;
	}
	return 0;
}

/* ---- output ---- */

void output_release(struct record_output *out)
{
	buf_free(&out->buf);
}

int output_flush(struct record_output *out, struct store_error *err)
{
	int r = 0;

	if (out->buf.len > 0 &&
	    (!out->turn || out->turn(out->ctx, true) == OUTPUT_NOW))
		r = tool_write(1, out->buf.data, out->buf.len, err);
	buf_clear(&out->buf);
	out->full = OUTPUT_BYTES;
	return r;
}

/* After something was appended with result `r`. */
static int collected(struct record_output *out, int r, struct store_error *err)
{
	if (r < 0 || out->buf.len < out->full)
		return r;
	if (out->turn && out->buf.len < OUTPUT_MOST &&
	    out->turn(out->ctx, false) == OUTPUT_NOT_YET) {
		out->full = out->buf.len + OUTPUT_BYTES;
		return r;
	}
	/* Whoever reads it goes on meanwhile.  Not a pipe: no matter. */
	if (!out->streams)
		fcntl(1, F_SETPIPE_SZ, PIPE_BYTES);
	out->streams = true;
	return output_flush(out, err);
}

int output_record(struct record_output *out, struct slice key,
		  struct slice value, struct store_error *err)
{
	return collected(out,
			 record_write(out->format, &out->buf, key, value, err),
			 err);
}

int output_key(struct record_output *out, struct slice key,
	       struct store_error *err)
{
	return collected(
		out, record_write_key(out->format, &out->buf, key, err), err);
}

int output_start(struct record_output *out, struct slice key,
		 struct store_error *err)
{
	return collected(
		out, record_write_start(out->format, &out->buf, key, err), err);
}

int output_piece(void *ctx, struct slice piece)
{
	struct record_output *out = ctx;
	struct store_error *err = out->err;

	return collected(out,
			 record_write_piece(out->format, &out->buf, piece, err),
			 err);
}

int output_end(struct record_output *out, struct store_error *err)
{
	return collected(out, record_write_end(out->format, &out->buf, err),
			 err);
}

int output_raw(struct record_output *out, struct slice s,
	       struct store_error *err)
{
	int r = buf_append_slice(&out->buf, s) < 0 ? store_nomem(err) : 0;

	return collected(out, r, err);
}
