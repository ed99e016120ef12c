#include "bin/maintain.h"
#include "bin/records.h"

/*
 * What is left of a load when the input ends or pauses, and is less, goes
 * through the log.
 */
#define SMALL_BYTES (4u << 20)
/* Batches that become larger get all the memory that they may need. */
#define GROWN_BYTES (1u << 20)

enum {
	OPT_ATOMIC = 256,
	OPT_BATCH_SIZE,
	OPT_SYNC,
};

static const char *const synopsis[] = {
	"[-qx] [-d DIR] [--no-wait] [--timeout SECONDS] [--sync MODE] KEY "
	"VALUE",
	"[-q] [-d DIR] [-f NAME] [--no-wait] [--timeout SECONDS] [--sync MODE] "
	"[--atomic] [--batch-size N]",
	NULL,
};

static const struct tool_option options[] = {
	{ "atomic", OPT_ATOMIC, NULL, "all records of the input, or none" },
	{ "batch-size", OPT_BATCH_SIZE, "N", "commit every N records" },
	{ "sync", OPT_SYNC, "MODE", "full (default), or none: not durable" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-put",
	.summary = "Store a value, or records from stdin. VALUE - is read from "
		   "stdin.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_FORMATS | TOOL_HEX,
};

struct put {
	struct tool t;
	struct store *db;
	struct store_batch batch;
	struct maintain maintain;
	enum store_sync sync;
	bool atomic;
	uint64_t max_records;	 /* of a batch */
	struct store_load *load; /* under way, or NULL */
};

static int log_batch(struct put *p, struct store_error *err)
{
	int r = store_write(p->db, &p->batch, p->sync, err);

	store_batch_clear(&p->batch);
	if (r >= 0) {
		tool_warn(&p->t, p->db);
		maintain_step(&p->maintain, p->db);
	}
	return r;
}

static int load_batch(struct put *p, struct store_error *err)
{
	int r = 0;

	if (!p->load)
		r = store_load_open(p->db, p->atomic, &p->load, err);
	if (r == 0)
		r = store_load_add(p->load, &p->batch, err);
	if (r == 0)
		maintain_step(&p->maintain, p->db);
	return r;
}

/* All that was read becomes visible and durable. */
static int commit(struct put *p, struct store_error *err)
{
	size_t left = p->batch.bytes.len;
	int r = 0;

	if (left > store_batch_limit(p->db) ||
	    (p->load && (p->atomic || left >= SMALL_BYTES)))
		r = load_batch(p, err);
	if (r == 0 && p->load) {
		r = store_load_commit(p->load, err);
		store_load_free(p->load);
		p->load = NULL;
		if (r == 0)
			tool_warn(&p->t, p->db);
	}
	return r < 0 ? r : log_batch(p, err);
}

static int add(struct put *p, const struct record *rec, struct store_error *err)
{
	struct buf *b = &p->batch.bytes;
	int r = store_batch_put(&p->batch, rec->key, rec->value, err);

	if (r < 0)
		return r;
	if (p->batch.count >= p->max_records)
		return commit(p, err);
	if (store_load_is_full(p->db, &p->batch))
		return load_batch(p, err);
	if (b->len > GROWN_BYTES && b->cap < store_load_piece(p->db) &&
	    buf_reserve(b, store_load_piece(p->db) - b->len) < 0)
		return store_nomem(err);
	return 0;
}

static int put_records(struct put *p, struct store_error *err)
{
	struct record_input in;
	struct record rec;
	int r, r2;

	input_init(&in, &p->t, false);
	in.lull = true;
	while ((r = input_next(&in, &rec, err)) > 0) {
		if (r == 1)
			r = add(p, &rec, err);
		else if (!p->atomic)
			r = commit(p, err);
		if (r < 0)
			goto out;
	}
	/* What stands before a bad record is kept, but not of an atomic input.
	 */
	if (r == 0 || !p->atomic) {
		struct store_error mine = STORE_ERROR_INIT;

		if ((r2 = commit(p, &mine)) < 0) {
			*err = mine;
			r = r2;
		}
	}
out:
	input_release(&in);
	return r;
}

static int put_operands(struct put *p, struct store_error *err)
{
	struct slice key = tool_key(&p->t, p->t.argv[0]);
	struct slice text = slice_str(p->t.argv[1]);
	struct buf value = BUF_INIT;
	int r = 0;

	/* Judged before the store is opened, and perhaps made. */
	if (slice_eq(text, slice_str("-"))) {
		r = input_value(&p->t, &value, err);
		text = buf_slice(&value);
	} else {
		text = tool_bytes(&p->t, p->t.argv[1]);
	}
	if (r >= 0)
		r = store_batch_put(&p->batch, key, text, err);
	/* It may be 1 GiB; the batch has it now, and the write copies that. */
	buf_free(&value);
	if (r < 0 || (r = tool_open(&p->t, &p->db,
				    STORE_WRITE | STORE_CREATE | STORE_ONE_SHOT,
				    err)) < 0)
		return r;
	r = store_write(p->db, &p->batch, p->sync, err);
	if (r >= 0) {
		tool_warn(&p->t, p->db);
		maintain_once(&p->t, p->db);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	struct put p = { .batch = STORE_BATCH_INIT, .max_records = UINT64_MAX };
	struct tool *t = &p.t;
	bool piecewise = false;
	int c, r;

	tool_start(t, &spec, argc, argv);
	p.maintain = MAINTAIN_INIT(t);
	while ((c = tool_option(t)) != -1) {
		if (c == OPT_ATOMIC)
			p.atomic = true;
		else if (c == OPT_SYNC)
			p.sync = tool_sync(t, t->value);
		else
			p.max_records = tool_number(t, "batch-size", t->value,
						    1, UINT32_MAX);
	}
	piecewise = p.max_records != UINT64_MAX;
	if (t->argc != 0 && t->argc != 2)
		tool_usage(t, "needs KEY and VALUE, or no operands");
	if (p.atomic && piecewise)
		tool_usage(t, "--atomic and --batch-size exclude each other");
	if (t->argc == 2 && (p.atomic || piecewise || t->format_given))
		tool_usage(t, "-f, --atomic and --batch-size are for records "
			      "from stdin");
	if (t->argc == 0 && t->hex)
		tool_usage(t, "-x is for operands");

	if (t->argc == 2)
		r = put_operands(&p, &err);
	else if ((r = tool_open(t, &p.db, STORE_WRITE | STORE_CREATE, &err)) >=
		 0)
		r = put_records(&p, &err);
	store_load_free(p.load);
	maintain_end(&p.maintain);
	store_batch_free(&p.batch);
	store_close(p.db);
	return tool_status(t, r, &err);
}
