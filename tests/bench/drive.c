/*
 * drive.c - one row, one library, one process.
 *
 *	drive-ENGINE ROW DIR [NAME=NUMBER...]
 *	drive-ENGINE --settings
 *
 * Prints one line of JSON: what was done, how long the library's calls took,
 * what the process used from the start of the row to the end of close, and
 * what is left on the disk.  DIR must exist.  Numbers: records, ops, batch,
 * sync, key_len, value_len, cache_bytes, warm, writes_per_s.
 */
#include "tests/bench/rows.h"
#include "tests/bench/workload.h"

#include <stdio.h>

_Noreturn void engine_die(const char *what, const char *why)
{
	fprintf(stderr, "drive: %s: %s\n", what, why);
	exit(1);
}

static void set(struct run *r, const char *text)
{
	const struct {
		const char *name;
		uint64_t *to;
	} names[] = {
		{ "records", &r->records },
		{ "ops", &r->ops },
		{ "batch", &r->batch },
		{ "sync", &r->sync },
		{ "key_len", &r->key_len },
		{ "value_len", &r->value_len },
		{ "cache_bytes", &r->cache_bytes },
		{ "warm", &r->warm },
		{ "writes_per_s", &r->writes_per_s },
	};
	const char *is = strchr(text, '=');

	for (size_t i = 0; is && i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(text, names[i].name, (size_t)(is - text)) &&
		    !names[i].name[is - text]) {
			*names[i].to = strtoull(is + 1, NULL, 10);
			return;
		}
	engine_die("not a setting", text);
}

static void print(const struct run *r, const struct usage *from,
		  const struct usage *to)
{
	const struct latency *l = &r->latency;

	printf("{\"engine\":\"%s\",\"row\":\"%s\",\"done\":%ju,\"found\":%ju,"
	       "\"bytes\":%ju,\"seconds\":%.6f,\"us_per_op\":%.4f,",
	       engine.name, r->row->name, (uintmax_t)r->done,
	       (uintmax_t)r->found, (uintmax_t)r->bytes,
	       (double)r->timed_ns / 1e9,
	       (double)r->timed_ns / 1e3 / (double)(r->done ? r->done : 1));
	if (l->calls)
		printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
		       "\"max_us\":%.1f,",
		       latency_at_us(l, 0.5), latency_at_us(l, 0.99),
		       latency_at_us(l, 0.999), (double)l->max_ns / 1e3);
	printf("\"cpu_s\":%.3f,\"written_bytes\":%ju,\"disk_bytes\":%ju,"
	       "\"peak_kib\":%ju}\n",
	       to->cpu_s - from->cpu_s,
	       (uintmax_t)(to->written_bytes - from->written_bytes),
	       (uintmax_t)usage_disk_bytes(r->dir),
	       (uintmax_t)usage_peak_kib());
}

static void check(const struct run *r)
{
	if (r->key_len < WORKLOAD_DIGITS || r->key_len > WORKLOAD_KEY_MAX ||
	    !r->value_len || !r->batch || !r->records || !r->writes_per_s)
		engine_die("drive", "a number out of its bounds");
	if (r->row->run && !engine.compact && !strcmp(r->row->name, "compact"))
		engine_die(engine.name, "does not compact");
}

int main(int argc, char **argv)
{
	struct run r = { .records = 2000000,
			 .batch = 1,
			 .key_len = 16,
			 .value_len = 100,
			 .cache_bytes = 512 << 20,
			 .writes_per_s = 20000 };
	struct usage from, to;

	if (argc == 2 && !strcmp(argv[1], "--settings")) {
		printf("%s\n", engine.settings);
		return 0;
	}
	if (argc < 3 || !(r.row = row_find(argv[1]))) {
		fputs("usage: drive ROW DIR [NAME=NUMBER...]\n", stderr);
		return 64;
	}
	r.dir = argv[2];
	for (int i = 3; i < argc; i++)
		set(&r, argv[i]);
	if (!r.ops)
		r.ops = r.records;
	check(&r);
	r.db = engine.open(
		&(struct engine_config){ .dir = r.dir,
					 .cache_bytes = r.cache_bytes,
					 .sync = r.sync,
					 .ordered = r.row->ordered });
	usage_now(&from);
	row_run(&r);
	engine.close(r.db);
	usage_now(&to);
	print(&r, &from, &to);
	return fflush(stdout) ? 74 : 0;
}
