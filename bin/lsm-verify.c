#include "bin/records.h"
#include "lib/inspect.h"

enum {
	OPT_STRICT = 256,
};

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--strict] [--no-wait] [--timeout SECONDS]",
	NULL,
};

static const struct tool_option options[] = {
	{ "strict", OPT_STRICT, NULL,
	  "files that nothing needs are damage, too" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-verify",
	.summary = "Check every checksum and every invariant of a store; print "
		   "what is found\nas lines of JSON.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

struct verify {
	struct tool t;
	struct record_output out;
};

static int print_finding(void *ctx, const struct finding *f)
{
	struct verify *v = ctx;
	struct buf line = BUF_INIT;
	int r;

	if (v->t.quiet)
		return 0;
	r = finding_json(f, &line, v->out.err);
	if (r == 0)
		r = output_raw(&v->out, buf_slice(&line), v->out.err);
	buf_free(&line);
	return r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct verify_config config = { .found = print_finding };
	struct verify v;
	int c, r, r2;

	tool_start(&v.t, &spec, argc, argv);
	while ((c = tool_option(&v.t)) != -1)
		config.strict = true;
	if (v.t.argc)
		tool_usage(&v.t, "takes no operands");
	config.timeout_ms = v.t.timeout_ms;
	config.ctx = &v;
	v.out = OUTPUT_INIT(v.t.format, &err);
	r = verify_store(v.t.dir, &config, &err);
	if (r == 1)
		r = STORE_ECORRUPT;
	/* What was found before an error is printed; the error is told. */
	if ((r2 = output_flush(&v.out, &err)) >= 0 && !v.t.quiet)
		r2 = tool_close_stdout(&v.t, &err);
	output_release(&v.out);
	return tool_status(&v.t, r < 0 ? r : r2, &err);
}
