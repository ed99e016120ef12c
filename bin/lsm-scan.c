#include "bin/parts.h"

#include <inttypes.h>
#include <stdio.h>

/* A longer value is streamed where its format allows it. */
#define WHOLE_VALUE (1u << 20)

enum {
	OPT_REVERSE = 256,
	OPT_LIMIT,
	OPT_KEYS_ONLY,
	OPT_COUNT,
};

static const char *const synopsis[] = {
	"[-qx] [-d DIR] [-f NAME] [--from KEY] [--to KEY] [--prefix KEY] "
	"[--after KEY] [--reverse] [--limit N] [--keys-only] [--count] "
	"[--no-wait] [--timeout SECONDS]",
	NULL,
};

static const struct tool_option options[] = {
	RANGE_OPTIONS,
	{ "after", RANGE_AFTER, "KEY", "keys above KEY: where a page went on" },
	{ "reverse", OPT_REVERSE, NULL, "from the last key to the first" },
	{ "limit", OPT_LIMIT, "N", "at most N records" },
	{ "keys-only", OPT_KEYS_ONLY, NULL, "keys without values" },
	{ "count", OPT_COUNT, NULL, "print how many, nothing else" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-scan",
	.summary = "Print the records of a range in key order, as they were "
		   "when it began.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_FORMATS | TOOL_HEX,
};

struct scan {
	struct tool t;
	struct range range;
	struct record_output out;
	uint64_t limit;
	bool reverse;
	bool keys_only;
	bool count;
};

static int print_record(const struct scan *s, struct store_iter *it,
			struct record_output *out, struct store_error *err)
{
	struct slice key = store_iter_key(it), value;
	int r;

	if (s->keys_only)
		return output_key(out, key, err);
	if (store_iter_value_len(it) > WHOLE_VALUE &&
	    record_writes_pieces(out->format)) {
		if ((r = output_start(out, key, err)) < 0 ||
		    (r = store_iter_read(it, output_piece, out, err)) < 0)
			return r;
		return output_end(out, err);
	}
	r = store_iter_value(it, &value, err);
	return r < 0 ? r : output_record(out, key, value, err);
}

/* A parts_fn, and more: it may be the whole range, from either end. */
static int walk(void *ctx, struct store_iter *it, const struct range *range,
		struct record_output *out, uint64_t *n, struct store_error *err)
{
	const struct scan *s = ctx;
	int r = range_first(range, it, s->reverse, err);

	while (r > 0) {
		if (!s->count && (r = print_record(s, it, out, err)) < 0)
			break;
		if (++*n == s->limit)
			break;
		r = range_next(range, it, s->reverse, err);
	}
	return r < 0 ? r : 0;
}

static int scan(struct scan *s, struct store *db, struct store_error *err)
{
	struct store_snapshot *snap = NULL;
	struct store_iter *it = NULL;
	char text[24];
	uint64_t n = 0;
	int r = store_snapshot(db, &snap, err);

	if (r == 0 && !s->reverse && s->limit == UINT64_MAX) {
		r = parts_walk(db, snap, &s->range, s->out.format, walk, s, &n,
			       err);
	} else if (r == 0 && s->limit > 0) {
		r = store_iter_open(db, snap, &it, err);
		if (r == 0)
			r = walk(s, it, &s->range, &s->out, &n, err);
		store_iter_close(it);
	}
	store_snapshot_free(snap);
	if (r == 0 && s->count) {
		snprintf(text, sizeof(text), "%" PRIu64 "\n", n);
		r = output_raw(&s->out, slice_str(text), err);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct scan s = { .range = RANGE_INIT, .limit = UINT64_MAX };
	struct tool *t = &s.t;
	struct store *db = NULL;
	int c, r, r2;

	tool_start(t, &spec, argc, argv);
	while ((c = tool_option(t)) != -1) {
		if (c == OPT_REVERSE)
			s.reverse = true;
		else if (c == OPT_KEYS_ONLY)
			s.keys_only = true;
		else if (c == OPT_COUNT)
			s.count = true;
		else if (c == OPT_LIMIT)
			s.limit = tool_number(t, "limit", t->value, 0,
					      UINT64_MAX - 1);
		else
			range_take(&s.range, t, c);
	}
	if (t->argc)
		tool_usage(t, "takes no operands");
	range_settle(&s.range, t);
	s.out = OUTPUT_INIT(t->format, &err);
	if ((r = tool_open(t, &db, STORE_READ, &err)) >= 0)
		r = scan(&s, db, &err);
	store_close(db);
	/* What was read before an error is printed; the error is told. */
	if ((r2 = output_flush(&s.out, &err)) >= 0)
		r2 = tool_close_stdout(t, &err);
	output_release(&s.out);
	range_release(&s.range);
	return tool_status(t, r < 0 ? r : r2, &err);
}
