#include "bin/tool.h"

enum {
	OPT_IS_NEEDED = 256,
};

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--is-needed] [--no-wait] [--timeout SECONDS]",
	NULL,
};

static const struct tool_option options[] = {
	{ "is-needed", OPT_IS_NEEDED, NULL,
	  "only ask: 0 it would write a table, 1 not" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-flush",
	.summary = "Bring what the logs hold into tables, and sweep files that "
		   "nothing needs.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store *db = NULL;
	bool ask = false;
	struct tool t;
	int r;

	tool_start(&t, &spec, argc, argv);
	while (tool_option(&t) != -1)
		ask = true;
	if (t.argc)
		tool_usage(&t, "takes no operands");
	r = tool_open(&t, &db, ask ? STORE_READ : STORE_WRITE, &err);
	if (r < 0)
		goto out;
	if (ask) {
		r = store_flush_is_needed(db, &err);
		if (r >= 0)
			r = !r;
	} else if ((r = store_flush(db, &err)) >= 0) {
		tool_warn(&t, db);
		r = 0;
	}
out:
	store_close(db);
	return tool_status(&t, r, &err);
}
