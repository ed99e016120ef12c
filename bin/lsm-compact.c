#include "bin/child.h"
#include "bin/limits.h"
#include "bin/progress.h"
#include "bin/settings.h"
#include "bin/whole.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	OPT_ALL = 256,
	OPT_APPLY,
	OPT_CHILD_OF,
	OPT_FROM,
	OPT_IS_NEEDED,
	OPT_MAX_BYTES,
	OPT_OPTIONS,
	OPT_PLAN,
	OPT_PROGRESS,
	OPT_RATE,
	OPT_STRATEGY,
	OPT_TO,
	OPT_UNTIL,
	OPT_VIEW,
};

#define MAX_WORKERS 64
#define MAX_PLAN (16u << 20) /* bytes; formats/plan.md */

static const char *const synopsis[] = {
	"[-qvx] [-d DIR] [--all] [--from KEY] [--to KEY] [-j N] "
	"[--strategy NAME] [--until HH:MM] [--max-bytes N] [--rate N] "
	"[--progress jsonl] [--child-of PID] [--no-wait] [--timeout SECONDS]",
	"--is-needed [-qv] [-d DIR] [--strategy NAME] [--no-wait] "
	"[--timeout SECONDS]",
	"--plan [-q] [-d DIR] [--all] [--strategy NAME] [--max-bytes N] "
	"[--no-wait] [--timeout SECONDS]",
	"--view [-q] [-d DIR] [--all] [--strategy NAME] [--no-wait] "
	"[--timeout SECONDS]",
	"--apply FILE [-qv] [-d DIR] [-j N] [--until HH:MM] [--max-bytes N] "
	"[--rate N] [--progress jsonl] [--child-of PID] [--no-wait] "
	"[--timeout SECONDS]",
	"--options NAME [OPTION=VALUE ...]",
	NULL,
};

static const struct tool_option options[] = {
	{ "all", OPT_ALL, NULL, "until one run is left" },
	{ "from", OPT_FROM, "KEY", "only what holds keys from this one on" },
	{ "to", OPT_TO, "KEY", "and below this one: into the last level" },
	{ "jobs", 'j', "N", "N at a time" },
	{ "strategy", OPT_STRATEGY, "NAME", "this strategy, this run only" },
	{ "is-needed", OPT_IS_NEEDED, NULL,
	  "status 0 if work waits, 1 if not" },
	{ "plan", OPT_PLAN, NULL, "print the jobs that are due, as JSON" },
	{ "view", OPT_VIEW, NULL, "print what a strategy sees, as JSON" },
	{ "apply", OPT_APPLY, "FILE", "carry out a plan; - is standard input" },
	{ "until", OPT_UNTIL, "HH:MM", "end at this time of day" },
	{ "max-bytes", OPT_MAX_BYTES, "N", "read at most so many bytes" },
	{ "rate", OPT_RATE, "N", "write at most so many bytes a second" },
	{ "progress", OPT_PROGRESS, "jsonl", "JSON on stderr while it works" },
	{ "options", OPT_OPTIONS, "NAME",
	  "print the options of a strategy, as lines of JSON" },
	{ "child-of", OPT_CHILD_OF, "PID", "end when its parent PID does" },
	{ "verbose", 'v', NULL, "print one line on what was done" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-compact",
	.summary = "Merge tables as the store's strategy plans it: one round.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_HEX,
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
		 " busy=%" PRIu64 " stopped=%d\n",
		 c->jobs, c->tables_in, c->tables_out, c->bytes_in,
		 c->bytes_out, c->dropped, c->busy, c->stopped);
	r = tool_write(1, line, strlen(line), err);
	return r < 0 ? r : tool_close_stdout(t, err);
}

struct request {
	struct store_compact_config config;
	char *from, *to;
	char *options_of; /* a strategy */
	char *apply;	  /* a file */
	struct buf text;  /* of it */
	bool is_needed, plan, view, jsonl, verbose;
};

static void take_option(struct tool *t, struct request *q, int c)
{
	struct store_compact_config *config = &q->config;

	switch (c) {
	case OPT_ALL:
		config->all = 1;
		break;
	case OPT_FROM:
		q->from = t->value;
		break;
	case OPT_TO:
		q->to = t->value;
		break;
	case 'j':
		config->workers = (unsigned)tool_number(t, "jobs", t->value, 1,
							MAX_WORKERS);
		break;
	case OPT_STRATEGY:
		config->strategy = t->value;
		break;
	case OPT_IS_NEEDED:
		q->is_needed = true;
		break;
	case OPT_UNTIL:
		config->until_ms = limits_until(t, t->value);
		break;
	case OPT_MAX_BYTES:
		config->max_bytes = tool_size(t, "max-bytes", t->value);
		break;
	case OPT_RATE:
		config->rate = tool_size(t, "rate", t->value);
		break;
	case OPT_OPTIONS:
		q->options_of = t->value;
		break;
	case OPT_PLAN:
		q->plan = true;
		break;
	case OPT_VIEW:
		q->view = true;
		break;
	case OPT_APPLY:
		q->apply = t->value;
		break;
	case OPT_CHILD_OF:
		child_of(tool_number(t, "child-of", t->value, 1, INT32_MAX));
		break;
	case OPT_PROGRESS:
		if (strcmp(t->value, "jsonl"))
			tool_usage(t, "--progress: only jsonl: %s", t->value);
		q->jsonl = true;
		break;
	default:
		q->verbose = true;
	}
}

static int print_piece(void *ctx, struct slice piece)
{
	return tool_write(1, piece.data, piece.len, ctx);
}

/* What a strategy takes; with OPTION=VALUE operands, whether it takes those. */
static int print_options(const struct tool *t, const char *strategy,
			 struct store_error *err)
{
	struct store_setting_text *list;
	struct store_config c;
	int r;

	list = calloc((size_t)t->argc + 1, sizeof(*list));
	if (!list)
		return store_nomem(err);
	for (int i = 0; i < t->argc; i++)
		list[i] = settings_cut(t, t->argv[i]);
	tool_config(t, STORE_READ, &c);
	r = store_strategy(c.plugins, strategy, list, (size_t)t->argc,
			   print_piece, err, err);
	free(list);
	return r < 0 ? r : tool_close_stdout(t, err);
}

/* One line: status 0 says that work waits, 1 that none does. */
static int tell_need(const struct tool *t, struct store *db,
		     const struct request *q, struct store_error *err)
{
	struct store_need need;
	char line[160];
	int w, r = store_compact_need(db, q->config.strategy, &need, err);

	if (r < 0 || !q->verbose)
		return r < 0 ? r : !r;
	snprintf(line, sizeof(line), "need=%" PRIu64 " why=\"%s\"\n",
		 need.bytes, need.why);
	w = tool_write(1, line, strlen(line), err);
	if (w == 0)
		w = tool_close_stdout(t, err);
	return w < 0 ? w : !r;
}

static int print_plan(const struct tool *t, struct store *db,
		      const struct store_compact_config *config,
		      struct store_error *err)
{
	struct buf json = BUF_INIT;
	int r = store_compact_plan(db, config, &json, err);

	if (r == 0)
		r = tool_write(1, json.data, json.len, err);
	buf_free(&json);
	return r < 0 ? r : tool_close_stdout(t, err);
}

static int print_view(const struct tool *t, struct store *db,
		      const struct store_compact_config *config,
		      struct store_error *err)
{
	int r = store_compact_view(db, config, print_piece, err, err);

	return r < 0 ? r : tool_close_stdout(t, err);
}

/* Nothing done, for others are at all of it. */
static int fail_busy(const struct tool *t, struct store_error *err)
{
	return store_fail(err, STORE_EBUSY,
			  "%s: other processes are at all that is due", t->dir);
}

static int compact(const struct tool *t, struct store *db, struct request *q,
		   struct store_error *err)
{
	struct store_compact_result result = { .jobs = 0 };
	struct progress progress;
	int r;

	progress_start(&progress, t, q->jsonl);
	q->config.stop = limits_catch_signals();
	q->config.progress = progress_tell;
	q->config.progress_ctx = &progress;
	r = q->apply ? store_compact_apply(db, &q->config, buf_slice(&q->text),
					   &result, err)
		     : store_compact(db, &q->config, &result, err);
	progress_end(&progress);
	if (r < 0)
		return r;
	tool_warn(t, db);
	if (q->verbose && (r = print_result(t, &result, err)) < 0)
		return r;
	return !result.jobs && result.busy ? fail_busy(t, err) : 0;
}

/* Switches that would mean nothing together. */
static void check(const struct tool *t, const struct request *q)
{
	bool range = q->from || q->to;

	if (q->is_needed + q->plan + q->view + (q->apply != NULL) > 1)
		tool_usage(t, "--is-needed, --plan, --view and --apply: one "
			      "of them");
	if (q->apply && (q->config.all || q->config.strategy || range))
		tool_usage(t, "--apply: the plan says what is to be done");
	if ((q->plan || q->view) && range)
		tool_usage(t, "--from and --to: no strategy plans them");
}

static int run(const struct tool *t, struct store **db, struct request *q,
	       struct store_error *err)
{
	bool looks = q->is_needed || q->plan || q->view;
	int r = q->apply ? whole_read(q->apply, MAX_PLAN, &q->text, err) : 0;

	if (r == 0)
		r = tool_open(t, db, looks ? STORE_READ : STORE_WRITE, err);
	if (r < 0)
		return r;
	if (q->is_needed)
		return tell_need(t, *db, q, err);
	if (q->plan)
		return print_plan(t, *db, &q->config, err);
	if (q->view)
		return print_view(t, *db, &q->config, err);
	return compact(t, *db, q, err);
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct request q = { .is_needed = false };
	struct store *db = NULL;
	struct tool t;
	int c, r;

	tool_start(&t, &spec, argc, argv);
	while ((c = tool_option(&t)) != -1)
		take_option(&t, &q, c);
	if (q.options_of)
		return tool_status(&t, print_options(&t, q.options_of, &err),
				   &err);
	if (t.argc)
		tool_usage(&t, "takes no operands");
	/* Now -x is known, wherever it stood. */
	if (q.from)
		q.config.from = tool_key(&t, q.from);
	if (q.to)
		q.config.to = tool_key(&t, q.to);
	check(&t, &q);
	r = run(&t, &db, &q, &err);
	buf_free(&q.text);
	store_close(db);
	limits_die_of_interrupt();
	return tool_status(&t, r, &err);
}
