#include "bin/records.h"
#include "bin/settings.h"
#include "bin/sizetext.h"
#include "lib/inspect.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

enum {
	OPT_COMPACT = 256,
	OPT_DELETES,
	OPT_DISK,
	OPT_FROM_STORE,
	OPT_INGEST,
	OPT_JSON,
	OPT_KEY_BYTES,
	OPT_RECORDS,
	OPT_STORED,
	OPT_STRATEGY,
	OPT_UPDATES,
	OPT_VALUE_BYTES,
	OPT_WORKLOAD,
};

/* Keys are counted, and sums of bytes stay below 2^63. */
#define WRITES_MAX (UINT64_C(1) << 50)
#define BYTES_MAX 0x1p60
#define KEY_BYTES_MAX 65535
#define VALUE_BYTES_MAX (UINT64_C(1) << 30)

#define MIB (UINT64_C(1) << 20)

static const char *const synopsis[] = {
	"[-q] [--strategy NAME] [--workload NAME] [--records N] [--updates N] "
	"[--deletes PERCENT] [--key-bytes N] [--value-bytes N] "
	"[--stored PERCENT] [--ingest N] [--disk N] [--compact WHEN] [--json] "
	"[NAME=VALUE ...]",
	"--from-store [-q] [-d DIR] [--strategy NAME] [--workload NAME] "
	"[--records N] [--updates N] [--deletes PERCENT] [--value-bytes N] "
	"[--ingest N] [--disk N] [--compact WHEN] [--json] [--no-wait] "
	"[--timeout SECONDS] [NAME=VALUE ...]",
	NULL,
};

static const struct tool_option options[] = {
	{ "from-store", OPT_FROM_STORE, NULL, "begin with a store's tables" },
	{ "strategy", OPT_STRATEGY, "NAME", "the compaction strategy" },
	{ "workload", OPT_WORKLOAD, "NAME",
	  "uniform, zipf, sequential, time-series, delete-heavy" },
	{ "records", OPT_RECORDS, "N", "keys written for the first time" },
	{ "updates", OPT_UPDATES, "N", "writes after that" },
	{ "deletes", OPT_DELETES, "PERCENT", "so many updates are deletes" },
	{ "key-bytes", OPT_KEY_BYTES, "N", "bytes of a key" },
	{ "value-bytes", OPT_VALUE_BYTES, "N", "bytes of a value" },
	{ "stored", OPT_STORED, "PERCENT", "what compression leaves of both" },
	{ "ingest", OPT_INGEST, "N", "write so many bytes a second" },
	{ "disk", OPT_DISK, "N", "bytes a second that the disk moves" },
	{ "compact", OPT_COMPACT, "WHEN",
	  "soft: at level 0's soft limit; flush: after each" },
	{ "json", OPT_JSON, NULL, "print JSON, for programs" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-sim",
	.summary = "Foresee what a strategy makes of a workload, without data.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

struct simulation {
	struct tool t;
	struct sim_config c;
	struct sim_report r;
	struct settings settings;
	struct record_output out;
	/* given on the command line */
	bool from_store, json, records, updates, deletes, key, value, stored;
};

/* ---- the command line ---- */

static const struct sim_config defaults = {
	.records = 1000000,
	.key_bytes = 16,
	.value_bytes = 100,
	.stored = 100,
	.ingest = 10 * MIB,
	.disk = 200 * MIB,
};

static void take_size(struct simulation *s, int c)
{
	struct tool *t = &s->t;

	switch (c) {
	case OPT_KEY_BYTES:
		s->c.key_bytes =
			tool_number(t, "key-bytes", t->value, 1, KEY_BYTES_MAX);
		s->key = true;
		break;
	case OPT_VALUE_BYTES:
		s->c.value_bytes = tool_number(t, "value-bytes", t->value, 0,
					       VALUE_BYTES_MAX);
		s->value = true;
		break;
	case OPT_STORED:
		s->c.stored =
			(unsigned)tool_number(t, "stored", t->value, 1, 100);
		s->stored = true;
		break;
	case OPT_INGEST:
		s->c.ingest = strcmp(t->value, "0")
				      ? tool_size(t, "ingest", t->value)
				      : 0;
		break;
	default:
		s->c.disk = tool_size(t, "disk", t->value);
	}
}

static void take_option(struct simulation *s, int c)
{
	struct tool *t = &s->t;

	switch (c) {
	case OPT_FROM_STORE:
		s->from_store = true;
		break;
	case OPT_STRATEGY:
		s->c.strategy = t->value;
		break;
	case OPT_WORKLOAD:
		if (!sim_workload_of(t->value, &s->c.workload))
			tool_usage(t, "--workload: no such one: %s", t->value);
		break;
	case OPT_RECORDS:
		s->c.records =
			tool_number(t, "records", t->value, 0, WRITES_MAX);
		s->records = true;
		break;
	case OPT_UPDATES:
		s->c.updates =
			tool_number(t, "updates", t->value, 0, WRITES_MAX);
		s->updates = true;
		break;
	case OPT_DELETES:
		s->c.deletes =
			(unsigned)tool_number(t, "deletes", t->value, 0, 100);
		s->deletes = true;
		break;
	case OPT_COMPACT:
		s->c.every_flush = !strcmp(t->value, "flush");
		if (!s->c.every_flush && strcmp(t->value, "soft"))
			tool_usage(t, "--compact: soft or flush: %s", t->value);
		break;
	case OPT_JSON:
		s->json = true;
		break;
	default:
		take_size(s, c);
	}
}

/* What depends on the workload, where it was not said. */
static void complete(struct simulation *s)
{
	const struct tool *t = &s->t;
	struct sim_config *c = &s->c;
	bool series = c->workload == SIM_TIMESERIES;
	bool ascending = series || c->workload == SIM_SEQUENTIAL;

	if (s->from_store && !s->records)
		c->records = 0;
	if (s->from_store && !s->value)
		c->value_bytes = 0; /* the store tells */
	if (!s->updates &&
	    (c->workload == SIM_ZIPF || c->workload == SIM_DELETES))
		c->updates = c->records;
	if (!s->deletes && c->workload == SIM_DELETES)
		c->deletes = 50;
	if (series && (c->updates || c->deletes))
		tool_usage(t, "time-series: nothing is updated or deleted");
	if (s->from_store && c->records && !ascending)
		tool_usage(t,
			   "--from-store: --records are new keys behind "
			   "those that are there: sequential or time-series");
	if (s->from_store && (s->key || s->stored))
		tool_usage(t, "--from-store: the store tells the size of keys "
			      "and what compression leaves");
	if (!s->from_store && !c->records)
		tool_usage(t, "--records: at least 1");
	if (((double)c->records + (double)c->updates) *
		    (double)(c->key_bytes + c->value_bytes + 12) >
	    BYTES_MAX)
		tool_usage(t, "more than 2^60 bytes would be written");
}

/* ---- JSON: formats/sim.md ---- */

static json_t *count(uint64_t v)
{
	return json_integer((json_int_t)(v > INT64_MAX ? INT64_MAX : v));
}

static json_t *number_or_null(double v)
{
	return v > 0 ? json_real(v) : json_null();
}

static json_t *levels_json(const struct sim_report *r)
{
	json_t *levels = json_array();

	for (size_t i = 0; i < r->n_levels; i++) {
		const struct sim_level *l = &r->levels[i];

		json_array_append_new(
			levels,
			json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "runs",
				  count(l->runs), "tables", count(l->tables),
				  "bytes", count(l->bytes), "entries",
				  count(l->entries), "tombstones",
				  count(l->tombstones), "written_bytes",
				  count(l->written)));
	}
	return levels;
}

static json_t *amplification_json(const struct sim_report *r)
{
	return json_pack("{s:o,s:o,s:o,s:f,s:f,s:f,s:f}", "write",
			 number_or_null(r->write), "space",
			 number_or_null(r->space), "space_max",
			 number_or_null(r->space_max), "lookup_runs", r->runs,
			 "lookup_runs_mean", r->runs_mean, "lookup_runs_max",
			 r->runs_max, "lookup_blocks", r->blocks);
}

static json_t *stalls_json(const struct simulation *s)
{
	const struct sim_report *r = &s->r;

	if (!s->c.ingest)
		return json_null();
	return json_pack("{s:f,s:f,s:f,s:f,s:o}", "seconds", r->seconds,
			 "slowed_seconds", r->slowed, "stalled_seconds",
			 r->stalled, "longest_seconds", r->longest,
			 "flushes_at_hard", count(r->over_hard));
}

static json_t *workload_json(const struct simulation *s)
{
	const struct sim_config *c = &s->c;

	return json_pack("{s:s,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s}", "name",
			 sim_workload_name(c->workload), "from_store",
			 s->from_store, "records", count(c->records), "updates",
			 count(c->updates), "deletes_percent",
			 count(c->deletes), "key_bytes", count(s->r.key_bytes),
			 "value_bytes", count(s->r.value_bytes), "ingest",
			 count(c->ingest), "disk", count(c->disk), "compact",
			 c->every_flush ? "flush" : "soft");
}

static int print_json(struct simulation *s, struct store_error *err)
{
	const struct sim_report *r = &s->r;
	json_t *doc;
	char *text;
	int w;

	doc = json_pack(
		"{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,"
		"s:o}",
		"strategy", r->strategy, "workload", workload_json(s),
		"user_bytes", count((uint64_t)r->user_bytes), "flushes",
		count(r->flushes), "flushed_bytes", count(r->flushed_bytes),
		"jobs", count(r->jobs), "compacted_bytes",
		count(r->compacted_bytes), "read_bytes", count(r->read_bytes),
		"amplification", amplification_json(r), "tables",
		count(r->tables), "tables_max", count(r->tables_max), "bytes",
		count(r->bytes), "bytes_max", count(r->bytes_max), "stalls",
		stalls_json(s), "sustainable_ingest",
		number_or_null(r->sustainable), "levels", levels_json(r));
	text = doc ? json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(6))
		   : NULL;
	w = text ? output_raw(&s->out, slice_str(text), err) : store_nomem(err);
	if (w >= 0)
		w = output_raw(&s->out, slice_str("\n"), err);
	free(text);
	json_decref(doc);
	return w;
}

/* ---- text ---- */

__attribute__((format(printf, 2, 3))) static void line(struct simulation *s,
						       const char *fmt, ...)
{
	char text[400];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n > sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	/* A failure shows again when all is flushed. */
	output_raw(&s->out, slice_make(text, n), s->out.err);
}

static void print_workload(struct simulation *s)
{
	const struct sim_config *c = &s->c;
	const struct sim_report *r = &s->r;
	char a[SIZE_TEXT], b[SIZE_TEXT], d[SIZE_TEXT];

	line(s, "strategy     %s", r->strategy);
	line(s,
	     "workload     %s%s: %" PRIu64 " first writes, %" PRIu64
	     " updates (%u %% deletes), %" PRIu64 " + %" PRIu64 " bytes each",
	     s->from_store ? "on a store, " : "",
	     sim_workload_name(c->workload), c->records, c->updates, c->deletes,
	     r->key_bytes, r->value_bytes);
	line(s,
	     "written      %s of keys and values; %s by %" PRIu64 " flushes, "
	     "%s by %" PRIu64 " jobs",
	     size_text(a, (uint64_t)r->user_bytes),
	     size_text(b, r->flushed_bytes), r->flushes,
	     size_text(d, r->compacted_bytes), r->jobs);
}

static void print_amplification(struct simulation *s)
{
	const struct sim_report *r = &s->r;

	line(s, "amplification");
	if (r->write > 0)
		line(s, "  write      %.2f (tables written over bytes flushed)",
		     r->write);
	else
		line(s, "  write      none: nothing was flushed");
	line(s,
	     "  space      %.2f at the end, %.2f at most (tables over one run "
	     "of the same)",
	     r->space, r->space_max);
	line(s,
	     "  read       %.1f runs a lookup at the end, %.1f on average, "
	     "%.1f at most; %.3f blocks in vain",
	     r->runs, r->runs_mean, r->runs_max, r->blocks);
}

static void print_stalls(struct simulation *s)
{
	const struct sim_report *r = &s->r;
	char a[SIZE_TEXT], b[SIZE_TEXT];

	if (!s->c.ingest)
		line(s, "stalls       not told: writers wait for compaction "
			"after each flush");
	else if (r->slowed + r->stalled <= 0)
		line(s, "stalls       none in %.0f seconds at %s a second",
		     r->seconds, size_text(a, s->c.ingest));
	else
		line(s,
		     "stalls       %.0f of %.0f seconds: slowed down by %.0f, "
		     "stopped for %.0f, at most %.1f for a job; %" PRIu64
		     " flushes at the hard limit",
		     r->slowed + r->stalled, r->seconds, r->slowed, r->stalled,
		     r->longest, r->over_hard);
	if (r->sustainable > 0)
		line(s,
		     "ingest       %s a second for long, on a disk of %s a "
		     "second",
		     size_text(a, (uint64_t)r->sustainable),
		     size_text(b, s->c.disk));
}

static void print_tree(struct simulation *s)
{
	const struct sim_report *r = &s->r;
	char a[SIZE_TEXT], b[SIZE_TEXT];

	line(s, "tables       %" PRIu64 ", %s; at most %" PRIu64 ", %s",
	     r->tables, size_text(a, r->bytes), r->tables_max,
	     size_text(b, r->bytes_max));
	line(s, "%-6s %6s %7s %7s %12s %11s %8s", "LEVEL", "RUNS", "TABLES",
	     "BYTES", "ENTRIES", "TOMBSTONES", "WRITTEN");
	for (size_t i = 0; i < r->n_levels; i++) {
		const struct sim_level *l = &r->levels[i];

		line(s,
		     "%-6zu %6" PRIu64 " %7" PRIu64 " %7s %12" PRIu64
		     " %11" PRIu64 " %8s",
		     i, l->runs, l->tables, size_text(a, l->bytes), l->entries,
		     l->tombstones, size_text(b, l->written));
	}
}

static void print_text(struct simulation *s)
{
	print_workload(s);
	print_amplification(s);
	print_stalls(s);
	print_tree(s);
}

/* ---- the whole ---- */

static int simulate(struct simulation *s, struct store_error *err)
{
	struct store_config common;
	int r;

	tool_config(&s->t, STORE_READ, &common);
	s->c.plugins = common.plugins;
	s->c.timeout_ms = common.timeout_ms;
	s->c.dir = s->from_store ? s->t.dir : NULL;
	s->c.settings = s->settings.store;
	s->c.n_settings = s->settings.n_store;
	s->c.strategy_settings = s->settings.strategy;
	s->c.n_strategy_settings = s->settings.n_strategy;
	r = inspect_sim(&s->c, &s->r, err);
	if (r < 0)
		return r;
	if (s->json)
		r = print_json(s, err);
	else
		print_text(s);
	if (r >= 0)
		r = output_flush(&s->out, err);
	return r < 0 ? r : tool_close_stdout(&s->t, err);
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct simulation s = { .c = defaults,
				.r = SIM_REPORT_INIT,
				.settings = SETTINGS_INIT };
	int c, r;

	tool_start(&s.t, &spec, argc, argv);
	while ((c = tool_option(&s.t)) != -1)
		take_option(&s, c);
	complete(&s);
	s.out = OUTPUT_INIT(RECORD_TSV, &err);
	r = settings_sort(&s.settings, &s.t, s.t.argv, s.t.argc, &err);
	if (r >= 0)
		r = simulate(&s, &err);
	settings_release(&s.settings);
	output_release(&s.out);
	inspect_sim_release(&s.r);
	return tool_status(&s.t, r, &err);
}
