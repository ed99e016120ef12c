/*
 * data.c - the records of the program rows, on stdout.
 *
 *	data FORMAT RECORDS [KEYS]
 *
 * FORMAT tsv, ldb ("key ==> value"), dump (the text that mdb_load reads), or
 * cdb (+klen,vlen:key->value): records 0 to RECORDS-1, random order, 16-byte
 * keys, 100-byte values.  present, absent or zipf: KEYS keys to look up, a
 * line each, of a store with RECORDS records.
 */
#include "tests/bench/workload.h"

#include <stdio.h>

#define KEY_LEN 16
#define VALUE_LEN 100

static int usage(void)
{
	fputs("usage: data tsv|ldb|dump|cdb RECORDS\n"
	      "       data present|absent|zipf RECORDS KEYS\n",
	      stderr);
	return 64;
}

/* How a record is written: what stands before, between and behind. */
struct shape {
	const char *name, *header, *before, *between, *behind, *footer;
};

static const struct shape shapes[] = {
	{ "tsv", "", "", "\t", "\n", "" },
	{ "ldb", "", "", " ==> ", "\n", "" },
	{ "dump",
	  "VERSION=3\nformat=print\ntype=btree\nmapsize=17179869184\n"
	  "HEADER=END\n",
	  " ", "\n ", "\n", "DATA=END\n" },
	{ "cdb", "", "+16,100:", "->", "\n", "\n" },
};

static void print_records(const struct shape *s, uint64_t records)
{
	uint8_t key[KEY_LEN], value[VALUE_LEN];

	fputs(s->header, stdout);
	for (uint64_t n = 0; n < records; n++) {
		workload_key(n, false, key, sizeof(key));
		workload_value(n, 0, value, sizeof(value));
		fputs(s->before, stdout);
		fwrite(key, 1, sizeof(key), stdout);
		fputs(s->between, stdout);
		fwrite(value, 1, sizeof(value), stdout);
		fputs(s->behind, stdout);
	}
	fputs(s->footer, stdout);
}

static int print_keys(const char *kind, uint64_t records, uint64_t keys)
{
	struct workload_zipf zipf;
	uint8_t key[KEY_LEN + 1];
	uint64_t n;

	workload_zipf_init(&zipf, records);
	for (uint64_t i = 0; i < keys; i++) {
		if (!strcmp(kind, "present"))
			n = workload_uniform(i, records);
		else if (!strcmp(kind, "absent"))
			n = WORKLOAD_ABSENT + i;
		else if (!strcmp(kind, "zipf"))
			n = workload_zipf(&zipf, i);
		else
			return usage();
		workload_key(n, false, key, KEY_LEN);
		key[KEY_LEN] = '\n';
		fwrite(key, 1, sizeof(key), stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t records = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
	int r = 64;

	if (records == 0)
		return usage();
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		if (argc == 3 && !strcmp(argv[1], shapes[i].name)) {
			print_records(&shapes[i], records);
			r = 0;
		}
	if (argc == 4)
		r = print_keys(argv[1], records, strtoull(argv[3], NULL, 10));
	else if (r)
		return usage();
	return fflush(stdout) || ferror(stdout) ? 74 : r;
}
