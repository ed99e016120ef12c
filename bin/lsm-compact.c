#include "bin/tool.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	OPT_ALL = 256,
	OPT_STRATEGY,
};

static const char *const synopsis[] = {
	"[-qv] [-d DIR] [--all] [--strategy NAME] [--no-wait] "
	"[--timeout SECONDS]",
	NULL,
};

static const struct tool_option options[] = {
	{ "all", OPT_ALL, NULL, "until one run is left" },
	{ "strategy", OPT_STRATEGY, "NAME", "this strategy, this run only" },
	{ "verbose", 'v', NULL, "print one line on what was done" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-compact",
	.summary = "Merge tables as the store's strategy plans it: one round.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

static int print_result(const struct tool *t,
			const struct store_compact_result *c,
			struct store_error *err)
{
	char line[240];
	int r;

	snprintf(line, sizeof(line),
		 "jobs=%" PRIu64 " tables_in=%" PRIu64 " tables_out=%" PRIu64
		 " bytes_in=%" PRIu64 " bytes_out=%" PRIu64 " dropped=%" PRIu64
		 " busy=%" PRIu64 "\n",
		 c->jobs, c->tables_in, c->tables_out, c->bytes_in,
		 c->bytes_out, c->dropped, c->busy);
	r = tool_write(1, line, strlen(line), err);
	return r < 0 ? r : tool_close_stdout(t, err);
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_compact_config config = { .strategy = NULL };
	struct store_compact_result result = { .jobs = 0 };
	struct store *db = NULL;
	bool verbose = false;
	struct tool t;
	int c, r;

	tool_start(&t, &spec, argc, argv);
	while ((c = tool_option(&t)) != -1) {
		if (c == OPT_ALL)
			config.all = 1;
		else if (c == OPT_STRATEGY)
			config.strategy = t.value;
		else
			verbose = true;
	}
	if (t.argc)
		tool_usage(&t, "takes no operands");
	if ((r = tool_open(&t, &db, STORE_WRITE, &err)) >= 0 &&
	    (r = store_compact(db, &config, &result, &err)) >= 0) {
		tool_warn(&t, db);
		r = 0;
	}
	store_close(db);
	if (r >= 0 && verbose)
		r = print_result(&t, &result, &err);
	return tool_status(&t, r, &err);
}
