#include "bin/maintain.h"
#include "bin/records.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES 4096

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--no-wait] [--timeout SECONDS]",
	NULL,
};

static const struct tool_spec spec = {
	.name = "lsm-shell",
	.summary = "Get, put and delete at a prompt.",
	.synopsis = synopsis,
	.has = TOOL_WAITS,
};

struct shell {
	struct tool t;
	struct store *db; /* NULL until there is one */
	struct maintain maintain;
	struct record_output out;
	struct buf in; /* read from stdin, not yet used from `pos` on */
	size_t pos;
	struct buf value;
};

static int say(struct shell *sh, const char *before, struct slice what,
	       const char *after)
{
	struct store_error *err = sh->out.err;
	int r;

	if ((r = output_raw(&sh->out, slice_str(before), err)) < 0 ||
	    (r = output_raw(&sh->out, what, err)) < 0)
		return r;
	return output_raw(&sh->out, slice_str(after), err);
}

static int say_line(struct shell *sh, const char *text)
{
	return say(sh, text, SLICE_NULL, "\n");
}

/* ---- the store ---- */

/*
 * Open the store if that was not done.  Without `create`, 0 when there is
 * none; it may come into being later, so each command looks again.
 */
static int open_store(struct shell *sh, bool create, struct store_error *err)
{
	struct store_error first = STORE_ERROR_INIT;
	unsigned flags = STORE_WRITE | (create ? STORE_CREATE : 0);
	int r;

	if (sh->db)
		return 1;
	r = tool_open(&sh->t, &sh->db, flags, &first);
	if (r == STORE_EACCESS && !create)
		r = tool_open(&sh->t, &sh->db, STORE_READ, err);
	else
		*err = first;
	if (r == STORE_ENOSTORE && !create)
		return 0;
	return r < 0 ? r : 1;
}

/* 1, or what went wrong, said in the conversation. */
static int say_error(struct shell *sh, const struct store_error *err)
{
	return say(sh, "Error: ", slice_str(err->text), "\n");
}

static void after_write(struct shell *sh)
{
	tool_warn(&sh->t, sh->db);
	maintain_step(&sh->maintain, sh->db);
}

static int do_get(struct shell *sh, struct slice key)
{
	struct store_error err = STORE_ERROR_INIT;
	int r;

	if ((r = open_store(sh, false, &err)) > 0)
		r = store_get(sh->db, key, &sh->value, &err);
	if (r < 0)
		return say_error(sh, &err);
	if (r == 0)
		return say_line(sh, "Key not found");
	if ((r = say(sh, "Key: ", key, ", Value: ")) < 0)
		return r;
	return say(sh, "", buf_slice(&sh->value), "\n");
}

static int do_put(struct shell *sh, struct slice key, struct slice value)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_batch b = STORE_BATCH_INIT;
	int r;

	/* A key over its limit must not create a store. */
	if ((r = store_batch_put(&b, key, value, &err)) >= 0 &&
	    (r = open_store(sh, true, &err)) > 0)
		r = store_write(sh->db, &b, STORE_SYNC, &err);
	store_batch_free(&b);
	if (r < 0)
		return say_error(sh, &err);
	after_write(sh);
	if ((r = say(sh, "Put Key: ", key, ", Value: ")) < 0)
		return r;
	return say(sh, "", value, "\n");
}

static int do_delete(struct shell *sh, struct slice key)
{
	struct store_error err = STORE_ERROR_INIT;
	int r;

	if ((r = open_store(sh, false, &err)) > 0)
		r = store_delete(sh->db, key, STORE_SYNC, &err);
	if (r < 0)
		return say_error(sh, &err);
	if (sh->db)
		after_write(sh);
	return say(sh, "Deleted Key: ", key, "\n");
}

/* ---- the conversation ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The next word of the line, blanks before it skipped. */
static struct slice take_word(struct slice *line)
{
	struct slice word;

	while (line->len && is_blank(line->data[0]))
		*line = slice_make(line->data + 1, line->len - 1);
	word = slice_make(line->data, 0);
	while (word.len < line->len && !is_blank(word.data[word.len]))
		word.len++;
	*line = slice_make(line->data + word.len, line->len - word.len);
	return word;
}

/* 0 go on, 1 exit, or what ends the shell. */
static int obey(struct shell *sh, struct slice line)
{
	struct slice rest = line;
	struct slice command = take_word(&rest);
	struct slice key = take_word(&rest);
	struct slice tail = rest;
	bool more = take_word(&tail).len > 0;

	if (command.len == 0)
		return 0;
	if (slice_eq(command, slice_str("exit"))) {
		int r = key.len ? say_line(sh, "Error: exit takes nothing")
				: say_line(sh, "Exiting CLI.");

		return r < 0 ? r : key.len == 0;
	}
	if (slice_eq(command, slice_str("put"))) {
		if (!key.len || !rest.len)
			return say_line(sh, "Error: put <key> <value>");
		return do_put(sh, key, slice_make(rest.data + 1, rest.len - 1));
	}
	if (slice_eq(command, slice_str("get")))
		return key.len && !more ? do_get(sh, key)
					: say_line(sh, "Error: get <key>");
	if (slice_eq(command, slice_str("delete")))
		return key.len && !more ? do_delete(sh, key)
					: say_line(sh, "Error: delete <key>");
	return say(sh, "Error: unknown command: ", command, "\n");
}

/* More bytes behind the unused ones, which move to the front: 0 at the end. */
static int read_more(struct shell *sh, struct store_error *err)
{
	size_t left = sh->in.len - sh->pos;
	ssize_t n;

	if (left && sh->pos)
		memmove(sh->in.data, sh->in.data + sh->pos, left);
	sh->in.len = left;
	sh->pos = 0;
	if (buf_reserve(&sh->in, READ_BYTES) < 0)
		return store_nomem(err);
	do {
		n = read(0, sh->in.data + left, sh->in.cap - left);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return store_fail(err, STORE_EIO, "stdin: read: %s",
				  strerror(errno));
	sh->in.len += (size_t)n;
	return n > 0;
}

/* The next line, without its LF: 1, or 0 at the end of stdin. */
static int read_line(struct shell *sh, struct slice *line,
		     struct store_error *err)
{
	size_t seen = 0; /* bytes of the line without an LF */
	int r = 1;

	while (r > 0) {
		const uint8_t *start, *lf = NULL;
		size_t left = sh->in.len - sh->pos;

		start = left ? sh->in.data + sh->pos : NULL;
		if (left > seen)
			lf = memchr(start + seen, '\n', left - seen);
		if (lf) {
			*line = slice_make(start, (size_t)(lf - start));
			sh->pos += line->len + 1;
			return 1;
		}
		seen = left;
		r = read_more(sh, err);
	}
	if (r < 0 || seen == 0)
		return r;
	*line = slice_make(sh->in.data, seen);
	sh->pos = seen;
	return 1;
}

static int converse(struct shell *sh, struct store_error *err)
{
	struct slice line = SLICE_NULL;
	int r;

	if ((r = say_line(sh, "LSM Storage Engine CLI")) < 0 ||
	    (r = say_line(sh, "Commands: get <key>, put <key> <value>, "
			      "delete <key>, exit")) < 0)
		return r;
	do {
		if ((r = say(sh, "> ", SLICE_NULL, "")) < 0 ||
		    (r = output_flush(&sh->out, err)) < 0 ||
		    (r = read_line(sh, &line, err)) < 0)
			return r;
		if (r == 0) {
			/* Leave the terminal's next prompt a line of its own.
			 */
			r = isatty(0) ? say_line(sh, "") : 0;
			break;
		}
		r = obey(sh, line);
	} while (r == 0);
	return r < 0 ? r : output_flush(&sh->out, err);
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct shell sh = { .in = BUF_INIT, .value = BUF_INIT };
	int r;

	tool_start(&sh.t, &spec, argc, argv);
	sh.maintain = MAINTAIN_INIT(&sh.t);
	while (tool_option(&sh.t) != -1)
		;
	if (sh.t.argc)
		tool_usage(&sh.t, "takes no operands");
	sh.out = OUTPUT_INIT(RECORD_TSV, &err);
	r = converse(&sh, &err);
	maintain_end(&sh.maintain);
	store_close(sh.db);
	if (r >= 0)
		r = tool_close_stdout(&sh.t, &err);
	output_release(&sh.out);
	buf_free(&sh.in);
	buf_free(&sh.value);
	return tool_status(&sh.t, r, &err);
}
