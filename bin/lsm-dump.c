#include "bin/records.h"
#include "lib/inspect.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

/* A longer value is streamed where its format allows it. */
#define WHOLE_VALUE (1u << 20)

enum {
	OPT_RECORDS = 256,
};

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--no-wait] [--timeout SECONDS] [FILE]",
	"--records [-q] [-d DIR] [-f NAME] [--no-wait] [--timeout SECONDS] "
	"[FILE]",
	NULL,
};

static const struct tool_option options[] = {
	{ "records", OPT_RECORDS, NULL,
	  "the records, not how they are stored" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-dump",
	.summary = "Print a store, or one file of a store, as JSON; or its "
		   "records.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_FORMATS,
};

struct dump {
	struct tool t;
	struct record_output out;
	bool records;
	uint64_t count;
	uint64_t checksum;
	uint64_t deletes; /* left out: the format cannot say them */
	struct buf value;
	struct buf line;
	char *from; /* as JSON, of the record before; then of which */
	char file[64];
	enum store_kind kind;
	uint64_t expires_ms;
};

static int print_piece(void *ctx, struct slice piece)
{
	struct dump *d = ctx;

	return output_raw(&d->out, piece, d->out.err);
}

static int keep_piece(void *ctx, struct slice piece)
{
	struct dump *d = ctx;

	return buf_append_slice(&d->value, piece) < 0 ? store_nomem(d->out.err)
						      : 0;
}

static char *make_from(const struct inspect_record *rec)
{
	json_t *file = json_string(rec->file), *o;
	char *from, *text = NULL;

	if (!file) /* not UTF-8 */
		file = json_string("?");
	o = json_pack("{s:s,s:o}", "kind",
		      rec->kind == STORE_DELETE ? "delete" : "put", "file",
		      file);
	if (o && rec->expires_ms)
		json_object_set_new(o, "expires_ms",
				    json_integer((json_int_t)rec->expires_ms));
	from = o ? json_dumps(o, JSON_COMPACT) : NULL;
	if (from && asprintf(&text, "\"from\":%s", from) < 0)
		text = NULL;
	free(from);
	json_decref(o);
	return text;
}

/* "from":{...}: where the record lies, for people and programs. */
static const char *from_text(struct dump *d, const struct inspect_record *rec)
{
	if (d->from && rec->kind == d->kind &&
	    rec->expires_ms == d->expires_ms && !strcmp(rec->file, d->file))
		return d->from;
	free(d->from);
	d->from = make_from(rec);
	d->kind = rec->kind;
	d->expires_ms = rec->expires_ms;
	/* One that is longer is not the store's: it is made each time. */
	snprintf(d->file, sizeof(d->file), "%s", rec->file);
	return d->from;
}

static int print_jsonl(struct dump *d, const struct inspect_record *rec,
		       struct store_error *err)
{
	bool is_delete = rec->kind == STORE_DELETE;
	struct slice value;
	const char *from = from_text(d, rec);
	int r = from ? 0 : store_nomem(err);

	buf_clear(&d->value);
	buf_clear(&d->line);
	if (r == 0)
		r = inspect_value(rec, keep_piece, d, err);
	value = buf_slice(&d->value);
	if (r >= 0)
		r = record_write_jsonl(&d->line, rec->key,
				       is_delete ? NULL : &value, from, err);
	if (r >= 0)
		r = output_raw(&d->out, buf_slice(&d->line), err);
	d->checksum = record_checksum(d->checksum, rec->key, value);
	d->count++;
	return r;
}

static int print_record(void *ctx, const struct inspect_record *rec,
			struct store_error *err)
{
	struct dump *d = ctx;
	int r;

	if (d->out.format == RECORD_JSONL)
		return print_jsonl(d, rec, err);
	if (rec->kind == STORE_DELETE) {
		d->deletes++;
		return 0;
	}
	if (rec->value_len > WHOLE_VALUE) {
		if ((r = output_start(&d->out, rec->key, err)) < 0 ||
		    (r = inspect_value(rec, output_piece, &d->out, err)) < 0)
			return r;
		return output_end(&d->out, err);
	}
	buf_clear(&d->value);
	r = inspect_value(rec, keep_piece, d, err);
	return r < 0 ? r
		     : output_record(&d->out, rec->key, buf_slice(&d->value),
				     err);
}

/* A framed stream: whoever reads it knows whether it came whole. */
static int print_frame(struct dump *d, bool end, struct store_error *err)
{
	int r;

	if (d->out.format != RECORD_JSONL)
		return 0;
	buf_clear(&d->line);
	r = end ? record_write_end_mark(&d->line, d->count, d->checksum, err)
		: record_write_header(&d->line, NULL, err);
	return r < 0 ? r : output_raw(&d->out, buf_slice(&d->line), err);
}

static int dump_records(struct dump *d, const char *file,
			struct store_error *err)
{
	struct store *db = NULL;
	int r = 0;

	if (!file)
		r = tool_open(&d->t, &db, STORE_READ, err);
	if (r >= 0)
		r = print_frame(d, false, err);
	if (r >= 0)
		r = file ? inspect_file_records(file, print_record, d, err)
			 : inspect_records(db, print_record, d, err);
	store_close(db);
	if (r >= 0)
		r = print_frame(d, true, err);
	if (r >= 0 && d->deletes && !d->t.quiet)
		tool_say(&d->t,
			 "%" PRIu64 " deletes left out; -f jsonl shows them",
			 d->deletes);
	return r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct dump d = { .count = 0 };
	struct tool *t = &d.t;
	const char *file;
	int c, r, r2;

	tool_start(t, &spec, argc, argv);
	while ((c = tool_option(t)) != -1)
		d.records = true;
	if (t->argc > 1)
		tool_usage(t, "takes one file at most");
	if (t->format_given && !d.records)
		tool_usage(t, "-f goes with --records");
	file = t->argc ? t->argv[0] : NULL;
	d.out = OUTPUT_INIT(t->format, &err);
	if (d.records)
		r = dump_records(&d, file, &err);
	else if (file)
		r = inspect_file(file, print_piece, &d, &err);
	else
		r = inspect_store(t->dir, t->timeout_ms, print_piece, &d, &err);
	/* What was read before an error is printed; the error is told. */
	if ((r2 = output_flush(&d.out, &err)) >= 0)
		r2 = tool_close_stdout(t, &err);
	output_release(&d.out);
	buf_free(&d.value);
	buf_free(&d.line);
	free(d.from);
	return tool_status(t, r < 0 ? r : r2, &err);
}
