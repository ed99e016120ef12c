#include "bin/maintain.h"
#include "bin/range.h"
#include "bin/records.h"

#define BATCH_BYTES (4u << 20)
#define ENTRY_OVERHEAD 32u

enum {
	OPT_ALL = 256,
	OPT_SYNC,
};

static const char *const synopsis[] = {
	"[-nqx] [-d DIR] [-f NAME] [--no-wait] [--timeout SECONDS] "
	"[--sync MODE] KEY ...",
	"[-nq] [-d DIR] [-f NAME] [--no-wait] [--timeout SECONDS] "
	"[--sync MODE]",
	"[-nqx] [-d DIR] [-f NAME] [--no-wait] [--timeout SECONDS] "
	"[--sync MODE] [--from KEY] [--to KEY] [--prefix KEY] [--all]",
	NULL,
};

static const struct tool_option options[] = {
	RANGE_OPTIONS,
	{ "all", OPT_ALL, NULL, "every key there is" },
	{ "dry-run", 'n', NULL, "print the keys that would go" },
	{ "sync", OPT_SYNC, "MODE", "full (default), or none: not durable" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-del",
	.summary = "Delete keys, or a range of them in one atomic batch. Keys "
		   "are read from stdin\nif neither is given.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_FORMATS | TOOL_HEX,
};

struct del {
	struct tool t;
	struct store *db;
	struct store_batch batch;
	struct maintain maintain;
	struct record_output out;
	struct range range;
	enum store_sync sync;
	uint64_t max_bytes; /* of a batch */
	bool dry_run;
	bool all;
	bool whole; /* one batch or nothing: operands, a range */
};

static int commit(struct del *d, struct store_error *err)
{
	int r = store_write(d->db, &d->batch, d->sync, err);

	store_batch_clear(&d->batch);
	if (r >= 0) {
		tool_warn(&d->t, d->db);
		if (d->whole)
			maintain_once(&d->t, d->db);
		else
			maintain_step(&d->maintain, d->db);
	}
	return r;
}

static int delete_key(struct del *d, struct slice key, struct store_error *err)
{
	int r = 0;

	if (d->dry_run) {
		/* A key that is not there would not go. */
		if (!range_given(&d->range) && !d->all)
			r = store_read(d->db, key, NULL, NULL, err);
		else
			r = 1;
		return r > 0 ? output_key(&d->out, key, err) : r;
	}
	if (d->batch.count &&
	    d->batch.bytes.len + key.len + ENTRY_OVERHEAD > d->max_bytes) {
		if (d->whole)
			return store_fail(
				err, STORE_EINVAL,
				"the keys do not fit one batch of %llu bytes; "
				"nothing was deleted",
				(unsigned long long)d->max_bytes);
		r = commit(d, err);
	}
	return r < 0 ? r : store_batch_delete(&d->batch, key, err);
}

static int delete_range(struct del *d, struct store_error *err)
{
	struct store_iter *it = NULL;
	int r;

	if ((r = store_iter_open(d->db, NULL, &it, err)) < 0)
		return r;
	r = range_first(&d->range, it, false, err);
	while (r > 0) {
		if ((r = delete_key(d, store_iter_key(it), err)) < 0)
			break;
		r = range_next(&d->range, it, false, err);
	}
	store_iter_close(it);
	return r < 0 || d->dry_run ? r : commit(d, err);
}

static int delete_operands(struct del *d, struct store_error *err)
{
	int r;

	for (int i = 0; i < d->t.argc; i++)
		if ((r = delete_key(d, tool_key(&d->t, d->t.argv[i]), err)) < 0)
			return r;
	return d->dry_run ? 0 : commit(d, err);
}

static int delete_input(struct del *d, struct store_error *err)
{
	struct record_input in;
	struct record rec;
	int r;

	if (d->max_bytes > BATCH_BYTES)
		d->max_bytes = BATCH_BYTES;
	input_init(&in, &d->t, true);
	while ((r = input_next(&in, &rec, err)) > 0) {
		if (r == 1)
			r = delete_key(d, rec.key, err);
		else
			r = d->dry_run ? output_flush(&d->out, err)
				       : commit(d, err);
		if (r < 0)
			goto out;
	}
	/* What stands before a bad key is done. */
	if (!d->dry_run) {
		struct store_error mine = STORE_ERROR_INIT;
		int r2 = commit(d, &mine);

		if (r2 < 0) {
			*err = mine;
			r = r2;
		}
	}
out:
	input_release(&in);
	return r;
}

static void read_options(struct del *d)
{
	struct tool *t = &d->t;
	int c;

	while ((c = tool_option(t)) != -1) {
		if (c == 'n')
			d->dry_run = true;
		else if (c == OPT_ALL)
			d->all = true;
		else if (c == OPT_SYNC)
			d->sync = tool_sync(t, t->value);
		else
			range_take(&d->range, t, c);
	}
	range_settle(&d->range, t);
	d->whole = t->argc || d->all || range_given(&d->range);
	if (t->argc && (d->all || range_given(&d->range)))
		tool_usage(t, "keys and a range exclude each other");
	if (d->all && range_given(&d->range))
		tool_usage(t, "--all and a range exclude each other");
	/* A range that holds every key is an empty variable more often. */
	if (range_given(&d->range) && !d->range.from.len && !d->range.has_to)
		tool_usage(t, "an empty range option would delete everything; "
			      "--all does that");
	if (!d->whole && t->hex)
		tool_usage(t, "-x is for operands");
	for (int i = 0; i < t->argc && !t->hex; i++)
		tool_key(t, t->argv[i]);
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct del d = { .batch = STORE_BATCH_INIT, .range = RANGE_INIT };
	struct tool *t = &d.t;
	int r, r2 = 0;

	tool_start(t, &spec, argc, argv);
	read_options(&d);
	d.maintain = MAINTAIN_INIT(t);
	d.out = OUTPUT_INIT(t->format, &err);
	r = tool_open(t, &d.db, d.dry_run ? STORE_READ : STORE_WRITE, &err);
	if (r >= 0) {
		d.max_bytes = store_batch_limit(d.db);
		if (t->argc)
			r = delete_operands(&d, &err);
		else
			r = d.whole ? delete_range(&d, &err)
				    : delete_input(&d, &err);
	}
	maintain_end(&d.maintain);
	store_close(d.db);
	if (d.dry_run && (r2 = output_flush(&d.out, &err)) >= 0)
		r2 = tool_close_stdout(t, &err);
	store_batch_free(&d.batch);
	output_release(&d.out);
	range_release(&d.range);
	return tool_status(t, r < 0 ? r : r2, &err);
}
