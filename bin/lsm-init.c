#include "bin/tool.h"

enum {
	OPT_STRATEGY = 256,
	OPT_COMPRESSION,
};

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--strategy NAME] [--compression CODEC] [--no-wait] "
	"[--timeout SECONDS] [NAME=VALUE ...]",
	NULL,
};

static const struct tool_option options[] = {
	{ "strategy", OPT_STRATEGY, "NAME", "the compaction strategy" },
	{ "compression", OPT_COMPRESSION, "CODEC",
	  "none, lz4 or zstd, in all levels" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-init",
	.summary =
		"Create a store, with options of its own or of its strategy.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

struct init {
	struct tool t;
	const char *strategy;
	const char *compression;
	struct store_setting_text *settings;
	size_t n_settings;
};

static void add_setting(struct init *in, const char *name, const char *value)
{
	in->settings[in->n_settings++] =
		(struct store_setting_text){ name, value };
}

/* --compression first, so that an operand may say otherwise of a level. */
static int make_settings(struct init *in, struct store_error *err)
{
	struct tool *t = &in->t;

	in->settings = calloc((size_t)t->argc + 2, sizeof(*in->settings));
	if (!in->settings)
		return store_nomem(err);
	if (in->compression) {
		add_setting(in, "compression", in->compression);
		add_setting(in, "compression_last", in->compression);
	}
	for (int i = 0; i < t->argc; i++) {
		char *eq = strchr(t->argv[i], '=');

		if (!eq || eq == t->argv[i])
			tool_usage(t, "not NAME=VALUE: %s", t->argv[i]);
		*eq = '\0';
		add_setting(in, t->argv[i], eq + 1);
	}
	return 0;
}

static int create(struct init *in, struct store_error *err)
{
	struct store_config c;
	struct store *db = NULL;
	int r;

	tool_config(&in->t, STORE_WRITE | STORE_CREATE, &c);
	c.strategy = in->strategy;
	c.settings = in->settings;
	c.n_settings = in->n_settings;
	r = store_open(&db, in->t.dir, &c, err);
	if (r >= 0 && !store_created(db))
		r = store_fail(err, STORE_ENOSPACE, "%s: there is a store here",
			       in->t.dir);
	store_close(db);
	return r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct init in = { .strategy = NULL };
	int c, r;

	tool_start(&in.t, &spec, argc, argv);
	while ((c = tool_option(&in.t)) != -1) {
		if (c == OPT_STRATEGY)
			in.strategy = in.t.value;
		else
			in.compression = in.t.value;
	}
	if ((r = make_settings(&in, &err)) >= 0)
		r = create(&in, &err);
	free(in.settings);
	return tool_status(&in.t, r, &err);
}
