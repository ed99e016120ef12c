#include "bin/child.h"
#include "bin/records.h"
#include "bin/sizetext.h"
#include "lib/inspect.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define OPT_JSON 256
#define BAR_WIDTH 40

static const char *const synopsis[] = {
	"[-q] [-d DIR] [--json] [--no-wait] [--timeout SECONDS]",
	NULL,
};

static const struct tool_option options[] = {
	{ "json", OPT_JSON, NULL, "print JSON, for programs" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-stat",
	.summary = "Show the state of a store: its tree, its debt, and who "
		   "holds what.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS,
};

struct stat {
	struct tool t;
	struct stat_report s;
	/* what lsm-compact --is-needed says */
	bool need_known;
	uint64_t need;
	char why[300]; /* or why it is not known */
	struct record_output out;
};

/* ---- need ---- */

/* need=BYTES why="TEXT" */
static bool read_need(struct stat *st, const char *text)
{
	const char *why = strchr(text, '"');
	int end = -1;

	if (sscanf(text, "need=%" SCNu64 " why=%n", &st->need, &end) != 1 ||
	    end < 0 || !why)
		return false;
	snprintf(st->why, sizeof(st->why), "%.*s",
		 (int)strcspn(why + 1, "\"\n"), why + 1);
	return true;
}

/* The strategy knows, and lsm-compact knows the strategy. */
static int ask_need(struct stat *st, struct store_error *err)
{
	const char *args[] = { "lsm-compact", "--is-needed", "-qv",
			       "-d",	      st->t.dir,     NULL };
	struct store_error why = STORE_ERROR_INIT;
	struct buf said = BUF_INIT;
	int status = child_run(args, &said, &why);
	const char *text;

	if (buf_append(&said, "", 1) < 0) {
		buf_free(&said);
		return store_nomem(err);
	}
	text = (const char *)said.data;
	if (status < 0)
		snprintf(st->why, sizeof(st->why), "%.299s", why.text);
	else if (status <= EXIT_NO)
		st->need_known = read_need(st, text);
	else
		snprintf(st->why, sizeof(st->why), "%.*s",
			 (int)strcspn(text, "\n"), text);
	buf_free(&said);
	return 0;
}

/* ---- JSON: formats/stat.md ---- */

static json_t *count(uint64_t v)
{
	return json_integer((json_int_t)(v > INT64_MAX ? INT64_MAX : v));
}

static json_t *levels_json(const struct stat_report *s)
{
	json_t *levels = json_array(), *runs = NULL;

	for (size_t l = 0; l < s->n_levels; l++) {
		runs = json_array();
		for (size_t i = 0; i < s->n_runs; i++) {
			const struct stat_run *r = &s->runs[i];

			if (r->level != l)
				continue;
			json_array_append_new(
				runs,
				json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "tables",
					  count(r->tables), "bytes",
					  count(r->bytes), "entries",
					  count(r->entries), "tombstones",
					  count(r->tombstones),
					  "oldest_tombstone_ms",
					  count(r->oldest_tombstone_ms),
					  "claimed", count(r->claimed)));
		}
		json_array_append_new(
			levels, json_pack("{s:o,s:o}", "compacted_bytes",
					  count(l < s->n_compacted
							? s->compacted_bytes[l]
							: 0),
					  "runs", runs));
	}
	return levels;
}

static json_t *logs_json(const struct stat_report *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_logs; i++)
		json_array_append_new(
			list, json_pack("{s:o,s:b,s:o}", "number",
					count(s->logs[i].number), "sealed",
					s->logs[i].sealed, "bytes",
					count(s->logs[i].bytes)));
	return list;
}

static json_t *locks_json(const struct stat_report *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_locks; i++) {
		const struct stat_lock *l = &s->locks[i];
		json_t *o = json_pack("{s:s,s:b}", "role", l->role, "held",
				      l->held);
		json_t *tool = json_string(l->tool);

		if (*l->tool && tool) {
			json_object_set(o, "tool", tool);
			json_object_set_new(o, "pid", count(l->pid));
		}
		json_decref(tool);
		json_array_append_new(list, o);
	}
	return list;
}

static const char *claim_name(enum stat_claimed what)
{
	static const char *const names[] = {
		[STAT_TABLE] = "compaction",
		[STAT_LOG] = "flush",
		[STAT_DROPPED] = "sweep",
		[STAT_NEW] = "new",
	};

	return names[what];
}

static json_t *claims_json(const struct stat_report *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_claims; i++)
		json_array_append_new(
			list, json_pack("{s:o,s:s}", "number",
					count(s->claims[i].number), "for",
					claim_name(s->claims[i].what)));
	return list;
}

static json_t *pins_json(const struct stat_report *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_pins; i++)
		json_array_append_new(list,
				      json_pack("{s:o,s:o}", "first",
						count(s->pins[i].first), "last",
						count(s->pins[i].end - 1)));
	return list;
}

static const char *level_name(enum store_pressure_level l)
{
	static const char *const names[] = { "none", "soft", "hard" };

	return names[l];
}

static json_t *pressure_json(const struct store_pressure *p)
{
	return json_pack(
		"{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b}", "level",
		level_name(p->level), "level0_runs", count(p->level0_runs),
		"level0_bytes", count(p->level0_bytes), "soft_runs",
		count(p->soft_runs), "soft_bytes", count(p->soft_bytes),
		"hard_runs", count(p->hard_runs), "sealed_logs",
		count(p->sealed_logs), "sealed_max", count(p->sealed_max),
		"compacting", p->table_under_work != 0);
}

static json_t *need_json(const struct stat *st)
{
	if (!st->need_known)
		return json_pack("{s:s}", "error", st->why);
	return json_pack("{s:o,s:s}", "bytes", count(st->need), "why", st->why);
}

static json_t *amplification_json(const struct stat_report *s)
{
	json_t *o = json_pack(
		"{s:f,s:f,s:o,s:f}", "write", s->write_amplification, "space",
		s->space_amplification, "lookup_runs", count(s->lookup_runs),
		"lookup_blocks", s->lookup_blocks);

	/* Of nothing there is no amplification. */
	if (s->write_amplification == 0)
		json_object_set_new(o, "write", json_null());
	if (s->space_amplification == 0)
		json_object_set_new(o, "space", json_null());
	return o;
}

static int print_json(struct stat *st, struct store_error *err)
{
	const struct stat_report *s = &st->s;
	json_t *doc;
	char *text;
	int r;

	doc = json_pack(
		"{s:o,s:o,s:o,s:b,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,"
		"s:o,s:{s:o,s:o}}",
		"generation", count(s->generation), "created_ms",
		count(s->created_ms), "now_ms", count(s->now_ms), "trusted",
		s->trusted, "strategy", s->strategy, "maintenance",
		s->pressure.automatic ? "auto" : "cron", "flushed_bytes",
		count(s->flushed_bytes), "free_disk",
		s->free_disk == UINT64_MAX ? json_null() : count(s->free_disk),
		"levels", levels_json(s), "logs", logs_json(s), "pressure",
		pressure_json(&s->pressure), "need", need_json(st),
		"amplification", amplification_json(s), "locks", locks_json(s),
		"claims", claims_json(s), "pins", pins_json(s), "dropped",
		"files", count(s->dropped), "bytes", count(s->dropped_bytes));
	text = doc ? json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(6))
		   : NULL;
	r = text ? output_raw(&st->out, slice_str(text), err)
		 : store_nomem(err);
	if (r >= 0)
		r = output_raw(&st->out, slice_str("\n"), err);
	free(text);
	json_decref(doc);
	return r;
}

/* ---- text ---- */

__attribute__((format(printf, 2, 3))) static void line(struct stat *st,
						       const char *fmt, ...)
{
	char text[700];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	n = (size_t)vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n > sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	/* A failure shows again when all is flushed. */
	output_raw(&st->out, slice_make(text, n), st->out.err);
}

/* A run is a stretch of the bar; its level's bytes are to scale. */
static void draw_level(struct stat *st, uint32_t level, uint64_t largest)
{
	const struct stat_report *s = &st->s;
	char bar[BAR_WIDTH + 1];
	size_t n = 0;

	for (size_t i = 0; i < s->n_runs; i++) {
		uint64_t width;

		if (s->runs[i].level != level)
			continue;
		width = largest ? s->runs[i].bytes * BAR_WIDTH / largest : 0;
		if (n && n < BAR_WIDTH)
			bar[n++] = '|';
		for (uint64_t k = 0; k < (width ? width : 1); k++)
			if (n < BAR_WIDTH)
				bar[n++] = s->runs[i].claimed ? '+' : '#';
	}
	bar[n] = '\0';
	if (n)
		line(st, "  L%-2" PRIu32 " %s", level, bar);
}

static struct stat_run sum_level(const struct stat_report *s, uint32_t level,
				 uint64_t *runs)
{
	struct stat_run sum = { .level = level };

	*runs = 0;
	for (size_t i = 0; i < s->n_runs; i++) {
		const struct stat_run *r = &s->runs[i];

		if (r->level != level)
			continue;
		++*runs;
		sum.tables += r->tables;
		sum.bytes += r->bytes;
		sum.entries += r->entries;
		sum.tombstones += r->tombstones;
		sum.claimed += r->claimed;
	}
	return sum;
}

static void print_tree(struct stat *st)
{
	const struct stat_report *s = &st->s;
	uint64_t largest = 0, runs;
	char bytes[SIZE_TEXT], wrote[SIZE_TEXT];

	line(st, "%-6s %6s %7s %7s %12s %11s %8s %6s", "LEVEL", "RUNS",
	     "TABLES", "BYTES", "ENTRIES", "TOMBSTONES", "WRITTEN", "BUSY");
	for (uint32_t l = 0; l < s->n_levels; l++) {
		struct stat_run sum = sum_level(s, l, &runs);
		uint64_t written =
			l < s->n_compacted ? s->compacted_bytes[l] : 0;

		if (l == 0)
			written += s->flushed_bytes;
		if (sum.bytes > largest)
			largest = sum.bytes;
		line(st,
		     "%-6" PRIu32 " %6" PRIu64 " %7" PRIu64 " %7s %12" PRIu64
		     " %11" PRIu64 " %8s %6" PRIu64,
		     l, runs, sum.tables, size_text(bytes, sum.bytes),
		     sum.entries, sum.tombstones, size_text(wrote, written),
		     sum.claimed);
	}
	for (uint32_t l = 0; isatty(1) && l < s->n_levels; l++)
		draw_level(st, l, largest);
}

static void print_pressure(struct stat *st)
{
	const struct store_pressure *p = &st->s.pressure;
	char bytes[SIZE_TEXT], soft[SIZE_TEXT], need[SIZE_TEXT];

	line(st,
	     "pressure     %s: level 0 has %" PRIu64 " runs, %s (soft %" PRIu64
	     " or %s, hard %" PRIu64 "); %s",
	     level_name(p->level), p->level0_runs,
	     size_text(bytes, p->level0_bytes), p->soft_runs,
	     size_text(soft, p->soft_bytes), p->hard_runs,
	     p->table_under_work ? "a compaction is under way"
				 : "nobody compacts");
	if (st->need_known)
		line(st, "need         %s%s%s", size_text(need, st->need),
		     *st->why ? ": " : "", st->why);
	else
		line(st, "need         not known: %s", st->why);
	if (p->level == STORE_PRESSURE_HARD && !p->automatic)
		line(st, "             maintenance is left to cron: "
			 "lsm-compact is overdue");
}

static void print_amplification(struct stat *st)
{
	const struct stat_report *s = &st->s;
	char text[2][SIZE_TEXT] = { "none yet", "none yet" };

	if (s->write_amplification > 0)
		snprintf(text[0], SIZE_TEXT, "%.2f", s->write_amplification);
	if (s->space_amplification > 0)
		snprintf(text[1], SIZE_TEXT, "%.2f", s->space_amplification);
	line(st, "amplification");
	line(st, "  write      %s (tables written over bytes flushed)",
	     text[0]);
	line(st,
	     "  space      %s (estimate: tables over those alone in their "
	     "key range)",
	     text[1]);
	line(st,
	     "  read       at most %" PRIu64 " runs and logs a lookup, %.3f "
	     "blocks in vain (estimate)",
	     s->lookup_runs, s->lookup_blocks);
}

static void print_logs(struct stat *st)
{
	const struct stat_report *s = &st->s;
	char bytes[SIZE_TEXT];

	for (size_t i = 0; i < s->n_logs; i++)
		line(st, "log          %06" PRIu64 ".wal %s%s",
		     s->logs[i].number, size_text(bytes, s->logs[i].bytes),
		     s->logs[i].sealed ? ", sealed" : "");
	if (s->dropped)
		line(st,
		     "dropped      %" PRIu64 " files, %s: kept for readers, "
		     "or the next sweep takes them",
		     s->dropped, size_text(bytes, s->dropped_bytes));
}

/* Claims of neighbours, for one purpose, in one line. */
static void print_claims(struct stat *st)
{
	const struct stat_report *s = &st->s;

	for (size_t i = 0, n; i < s->n_claims; i += n) {
		const struct stat_claim *c = &s->claims[i];

		for (n = 1; i + n < s->n_claims && c[n].what == c->what &&
			    c[n].number == c->number + n;
		     n++)
			;
		if (n == 1)
			line(st, "claim        %06" PRIu64 ": %s", c->number,
			     claim_name(c->what));
		else
			line(st,
			     "claim        %06" PRIu64 " to %06" PRIu64 ": %s",
			     c->number, c[n - 1].number, claim_name(c->what));
	}
}

static void print_locks(struct stat *st)
{
	const struct stat_report *s = &st->s;

	for (size_t i = 0; i < s->n_locks; i++) {
		const struct stat_lock *l = &s->locks[i];

		/* We hold alive ourselves. */
		if (!l->held || !strcmp(l->role, "alive"))
			continue;
		if (*l->tool)
			line(st,
			     "lock         %s: taken last by %s (pid "
			     "%" PRIu64 ")",
			     l->role, l->tool, l->pid);
		else
			line(st, "lock         %s", l->role);
	}
	for (size_t i = 0; i < s->n_pins; i++)
		line(st, "pin          generation %" PRIu64 "%s",
		     s->pins[i].first,
		     s->pins[i].end > s->pins[i].first + 1 ? " and on" : "");
}

static void print_text(struct stat *st)
{
	const struct stat_report *s = &st->s;
	char room[SIZE_TEXT];

	line(st, "strategy     %s, maintenance by %s", s->strategy,
	     s->pressure.automatic ? "writers (auto)" : "cron");
	line(st, "generation   %" PRIu64 "%s", s->generation,
	     s->trusted ? "" : " (living memory is not there, or not trusted)");
	if (s->free_disk != UINT64_MAX)
		line(st, "free disk    %s", size_text(room, s->free_disk));
	print_pressure(st);
	print_amplification(st);
	print_logs(st);
	print_locks(st);
	print_claims(st);
	print_tree(st);
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct stat st = { .s = STAT_REPORT_INIT };
	struct tool *t = &st.t;
	bool json = false;
	int r;

	tool_start(t, &spec, argc, argv);
	while (tool_option(t) != -1)
		json = true;
	if (t->argc)
		tool_usage(t, "takes no operands");
	st.out = OUTPUT_INIT(RECORD_TSV, &err);
	if ((r = inspect_stat(t->dir, t->timeout_ms, &st.s, &err)) >= 0 &&
	    (r = ask_need(&st, &err)) >= 0) {
		if (json)
			r = print_json(&st, &err);
		else
			print_text(&st);
	}
	if (r >= 0 && (r = output_flush(&st.out, &err)) >= 0)
		r = tool_close_stdout(t, &err);
	output_release(&st.out);
	inspect_stat_release(&st.s);
	return tool_status(t, r, &err);
}
