#include "bin/many.h"
#include "bin/records.h"

#include <unistd.h>

static const char *const synopsis[] = {
	"[-eqx] [-d DIR] [-f NAME] [--missing] [--no-wait] "
	"[--timeout SECONDS] KEY ...",
	"[-eq] [-d DIR] [-f NAME] [--missing] [--no-wait] [--timeout SECONDS]",
	NULL,
};

enum {
	OPT_MISSING = 256,
};

static const struct tool_option options[] = {
	{ "exists", 'e', NULL, "print nothing: the status tells" },
	{ "missing", OPT_MISSING, NULL, "print the absent keys alone" },
	{ NULL, 0, NULL, NULL },
};

static const struct tool_spec spec = {
	.name = "lsm-get",
	.summary = "Print the value of a key, or the records of many. Keys are "
		   "read from stdin\nif there is no operand. Status 1: a key "
		   "is absent.",
	.synopsis = synopsis,
	.options = options,
	.has = TOOL_WAITS | TOOL_FORMATS | TOOL_HEX,
};

struct get {
	struct tool t;
	struct store *db;
	struct record_output out;
	struct buf value;
	bool exists;
	bool missing;
};

/* A piece of the only value asked for: out at once, without a copy. */
static int print_piece(void *ctx, struct slice piece)
{
	return tool_write(1, piece.data, piece.len, ctx);
}

/* 0 found, 1 absent. */
static int get_value(struct get *g, struct slice key, struct store_error *err)
{
	int r = store_read(g->db, key, print_piece, err, err);

	if (r > 0 && isatty(1))
		r = tool_write(1, "\n", 1, err) < 0 ? STORE_EIO : 1;
	return r < 0 ? r : r == 0;
}

/* 0 found, 1 absent. */
static int get_record(struct get *g, struct slice key, struct store_error *err)
{
	int r;

	if (g->exists || g->missing)
		r = store_read(g->db, key, NULL, NULL, err);
	else
		r = store_get(g->db, key, &g->value, err);
	if (r < 0)
		return r;
	if (r == 0) {
		if (g->missing && !g->exists &&
		    (r = output_key(&g->out, key, err)) < 0)
			return r;
		return 1;
	}
	if (!g->exists && !g->missing)
		r = output_record(&g->out, key, buf_slice(&g->value), err);
	return r < 0 ? r : 0;
}

static int get_operands(struct get *g, struct store_error *err)
{
	struct tool *t = &g->t;
	bool absent = false;
	int r;

	if (t->argc == 1 && !t->format_given && !g->exists && !g->missing)
		return get_value(g, tool_key(t, t->argv[0]), err);
	for (int i = 0; i < t->argc; i++) {
		if ((r = get_record(g, tool_key(t, t->argv[i]), err)) < 0)
			return r;
		absent |= r > 0;
	}
	return absent;
}

/* 0 printed or told, 1 absent. */
static int answer(struct get *g, const struct many *m, size_t i,
		  struct store_error *err)
{
	const struct answer *a = &m->answers[i];

	if (a->large)
		return get_record(g, m->keys[i], err);
	if (g->exists || (a->found && g->missing))
		return !a->found;
	if (a->found)
		return output_record(&g->out, m->keys[i], many_value(m, i),
				     err);
	if (!g->missing)
		return 1;
	return output_key(&g->out, m->keys[i], err) < 0 ? STORE_EIO : 1;
}

/* Look up what was collected, and answer. */
static int answer_all(struct get *g, struct many *m, bool *absent,
		      struct store_error *err)
{
	int r = many_find(m, g->db, err);

	for (size_t i = 0; r >= 0 && i < m->n; i++) {
		r = answer(g, m, i, err);
		*absent |= r > 0;
	}
	many_clear(m);
	return r < 0 ? r : 0;
}

static int get_keys(struct get *g, struct store_error *err)
{
	struct many m = MANY_INIT(!g->exists && !g->missing);
	struct store_error mine = STORE_ERROR_INIT;
	struct record_input in;
	struct record rec;
	bool absent = false;
	int r, r2;

	input_init(&in, &g->t, true);
	while ((r = input_next(&in, &rec, err)) > 0) {
		if (r == 1)
			r = many_add(&m, rec.key, err);
		if (r == RECORD_PAUSE || (r >= 0 && many_is_full(&m))) {
			int pause = r;

			r = answer_all(g, &m, &absent, err);
			if (r >= 0 && pause == RECORD_PAUSE)
				r = output_flush(&g->out, err);
		}
		if (r < 0)
			break;
	}
	/* What stands before a bad key is answered. */
	r2 = answer_all(g, &m, &absent, &mine);
	if (r2 < 0 && r >= 0) {
		*err = mine;
		r = r2;
	}
	input_release(&in);
	many_release(&m);
	return r < 0 ? r : absent;
}

/* Print what there is, also before an error; the first error counts. */
static int finish(struct get *g, int r, struct store_error *err)
{
	int r2 = output_flush(&g->out, err);

	if (r2 >= 0 && !g->exists)
		r2 = tool_close_stdout(&g->t, err);
	return r < 0 ? r : r2 < 0 ? r2 : r;
}

int main(int argc, char **argv)
{
	struct store_error err = STORE_ERROR_INIT;
	/* static: memory that is left to exit is still pointed to */
	static struct get g;
	struct tool *t = &g.t;
	int c, r;

	tool_start(t, &spec, argc, argv);
	while ((c = tool_option(t)) != -1) {
		if (c == 'e')
			g.exists = true;
		else
			g.missing = true;
	}
	if (t->argc == 0 && t->hex)
		tool_usage(t, "-x is for operands");
	/* A bad operand is found before the first value is printed. */
	for (int i = 0; i < t->argc && !t->hex; i++)
		tool_key(t, t->argv[i]);
	g.out = OUTPUT_INIT(t->format, &err);
	r = tool_open(t, &g.db,
		      t->argc == 1 ? STORE_READ | STORE_ONE_SHOT : STORE_READ,
		      &err);
	if (r >= 0)
		r = t->argc ? get_operands(&g, &err) : get_keys(&g, &err);
	/* One key: the kernel closes all of it sooner than we could. */
	if (t->argc != 1)
		store_close(g.db);
	r = finish(&g, r, &err);
	output_release(&g.out);
	buf_free(&g.value);
	return tool_status(t, r, &err);
}
