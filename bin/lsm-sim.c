#include "bin/records.h"
#include "bin/settings.h"
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

#define RECORDS_MAX (UINT64_C(1) << 50)
#define RECORDS 1000000
#define KEY_BYTES 16
#define VALUE_BYTES 100
#define MIB (UINT64_C(1) << 20)

static const char *const synopsis[] = {
	"[-q] [--strategy NAME] [--workload NAME] [--records N] [--updates N] "
	"[--deletes PERCENT] [--key-bytes N] [--value-bytes N] "
	"[--stored PERCENT] [--ingest N] [--disk N] [--compact WHEN] [--json] "
	"[NAME=VALUE ...]",
	NULL,
};

static const struct tool_option options[] = {
	{ "strategy", OPT_STRATEGY, "NAME", "the compaction strategy" },
	{ "workload", OPT_WORKLOAD, "NAME",
	  "uniform, zipf, sequential, time-series or delete-heavy" },
	{ "records", OPT_RECORDS, "N", "keys written for the first time" },
	{ "updates", OPT_UPDATES, "N", "writes after that" },
	{ "deletes", OPT_DELETES, "PERCENT", "so many updates are deletes" },
	{ "key-bytes", OPT_KEY_BYTES, "N", "of a key" },
	{ "value-bytes", OPT_VALUE_BYTES, "N", "of a value" },
	{ "stored", OPT_STORED, "PERCENT", "what compression leaves" },
	{ "ingest", OPT_INGEST, "N", "bytes written a second; 0: no clock" },
	{ "disk", OPT_DISK, "N", "bytes that the disk moves in a second" },
	{ "compact", OPT_COMPACT, "WHEN", "it starts: at soft, or each flush" },
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
	bool json;
};

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct simulation s = { .settings = SETTINGS_INIT };
	struct store_config base;
	int c, r;

	tool_start(&s.t, &spec, argc, argv);
	s.c = (struct sim_config){ .records = RECORDS,
				   .key_bytes = 16,
				   .value_bytes = 100,
				   .stored = 100,
				   .ingest = 0,
				   .disk = 200 * MIB };
	while ((c = tool_option(&s.t)) != -1) {
		if (c == OPT_STRATEGY)
			s.c.strategy = s.t.value;
		if (c == OPT_RECORDS)
			s.c.records = tool_number(&s.t, "records", s.t.value, 1,
						  RECORDS_MAX);
		if (c == OPT_UPDATES)
			s.c.updates = tool_number(&s.t, "updates", s.t.value, 0,
						  RECORDS_MAX);
		if (c == OPT_VALUE_BYTES)
			s.c.value_bytes = tool_number(
				&s.t, "value-bytes", s.t.value, 0, RECORDS_MAX);
		if (c == OPT_WORKLOAD)
			sim_workload_of(s.t.value, &s.c.workload);
		if (c == OPT_INGEST)
			s.c.ingest = tool_size(&s.t, "ingest", s.t.value);
	}
	settings_sort(&s.settings, &s.t, s.t.argv, s.t.argc, &err);
	tool_config(&s.t, STORE_READ, &base);
	s.c.plugins = base.plugins;
	s.c.settings = s.settings.store;
	s.c.n_settings = s.settings.n_store;
	s.c.strategy_settings = s.settings.strategy;
	s.c.n_strategy_settings = s.settings.n_strategy;
	r = inspect_sim(&s.c, &s.r, &err);
	if (r == 0) {
		printf("wa %.2f space %.2f max %.2f runs %.2f flushes %lu jobs "
		       "%lu\n",
		       s.r.write, s.r.space, s.r.space_max, s.r.runs_mean,
		       s.r.flushes, s.r.jobs);
		for (size_t i = 0; i < s.r.n_levels; i++)
			printf("%zu %lu %lu %lu %lu %lu\n", i,
			       s.r.levels[i].runs, s.r.levels[i].tables,
			       s.r.levels[i].bytes, s.r.levels[i].entries,
			       s.r.levels[i].written);
		printf("seconds %.1f slowed %.1f stalled %.1f longest %.1f "
		       "hard %lu sust %.1fM\n",
		       s.r.seconds, s.r.slowed, s.r.stalled, s.r.longest,
		       s.r.over_hard, s.r.sustainable / MIB);
	}
	return tool_status(&s.t, r, &err);
}
