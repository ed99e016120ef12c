#include "bin/settings.h"
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
	struct settings settings;
};

/* --compression first, so that an operand may say otherwise of a level. */
static int set_compression(struct init *in, struct store_error *err)
{
	struct settings *s = &in->settings;
	struct store_setting_text *p;

	if (!in->compression)
		return 0;
	p = realloc(s->store, (s->n_store + 2) * sizeof(*p));
	if (!p)
		return store_nomem(err);
	s->store = p;
	memmove(p + 2, p, s->n_store * sizeof(*p));
	p[0] = (struct store_setting_text){ "compression", in->compression };
	p[1] = (struct store_setting_text){ "compression_last",
					    in->compression };
	s->n_store += 2;
	return 0;
}

/* The strategy is judged where one, or an option of it, is given. */
static int check_strategy(struct init *in, struct store_error *err)
{
	struct store_error why = STORE_ERROR_INIT;
	struct store_configuration standard;
	const struct settings *s = &in->settings;
	struct buf answer = BUF_INIT;
	int r;

	if (!in->strategy && !s->n_strategy)
		return 0;
	r = store_configuration(NULL, &standard, err);
	if (r < 0)
		return r;
	r = settings_ask(in->strategy ? in->strategy : standard.strategy,
			 s->strategy, s->n_strategy, &answer, &why);
	if (r > 0 && !in->t.quiet)
		tool_say(&in->t, "warning: the strategy is not checked: %s",
			 why.text);
	if (r < 0)
		*err = why;
	store_configuration_free(&standard);
	buf_free(&answer);
	return r < 0 ? r : 0;
}

static int create(struct init *in, struct store_error *err)
{
	struct store_config c;
	struct store *db = NULL;
	int r;

	tool_config(&in->t, STORE_WRITE | STORE_CREATE, &c);
	c.strategy = in->strategy;
	c.settings = in->settings.store;
	c.n_settings = in->settings.n_store;
	c.strategy_settings = in->settings.strategy;
	c.n_strategy_settings = in->settings.n_strategy;
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
	struct init in = { .settings = SETTINGS_INIT };
	int c, r;

	tool_start(&in.t, &spec, argc, argv);
	while ((c = tool_option(&in.t)) != -1) {
		if (c == OPT_STRATEGY)
			in.strategy = in.t.value;
		else
			in.compression = in.t.value;
	}
	if ((r = settings_sort(&in.settings, &in.t, in.t.argv, in.t.argc,
			       &err)) >= 0 &&
	    (r = set_compression(&in, &err)) >= 0 &&
	    (r = check_strategy(&in, &err)) >= 0)
		r = create(&in, &err);
	settings_release(&in.settings);
	return tool_status(&in.t, r, &err);
}
