#include "lib/chain.h"

#include "lib/table.h"

struct chain {
	struct iter it;
	struct store *db;
	struct passing *passing;
	size_t n, at;
	struct iter *cur; /* walks table `at`; NULL: not opened */
	struct chain_table tables[];
};

static int chain_enter(struct chain *c, struct store_error *err)
{
	struct store_error e = STORE_ERROR_INIT;
	char name[NAME_SIZE];
	struct table *t;
	int r;

	r = table_open(&t, &c->db->dir, c->tables[c->at].number, NULL,
		       &c->db->counters, &e);
	if (r == STORE_EGONE) {
		/* Named and claimed, so nobody may have unlinked it. */
		name_make(name, FILE_SST, c->tables[c->at].number);
		return store_corrupt(err, c->db->dir.path, name,
				     STORE_NO_OFFSET, "is missing");
	}
	if (r < 0)
		return store_fail(err, r, "%s", e.text);
	passing_add(c->passing, table_size(t), table_pass(t));
	r = table_iter(t, true, &c->cur, err);
	table_close(t);
	return r;
}

static int first_of_table(struct chain *c, struct store_error *err)
{
	struct slice from = c->tables[c->at].from;

	return from.len ? c->cur->ops->seek(c->cur, from, err)
			: c->cur->ops->first(c->cur, err);
}

static void chain_leave(struct chain *c)
{
	iter_close(c->cur);
	c->cur = NULL;
}

/* `r` is what moving in the current table gave: on to the next if nothing. */
static int chain_settle(struct chain *c, int r, struct store_error *err)
{
	while (r == 0) {
		chain_leave(c);
		if (++c->at >= c->n)
			return 0;
		r = chain_enter(c, err);
		if (r == 0)
			r = first_of_table(c, err);
	}
	if (r > 0)
		c->it.e = c->cur->e;
	return r;
}

static int chain_first(struct iter *it, struct store_error *err)
{
	struct chain *c = (struct chain *)it;
	int r;

	chain_leave(c);
	c->at = 0;
	if (c->n == 0)
		return 0;
	r = chain_enter(c, err);
	if (r == 0)
		r = first_of_table(c, err);
	return chain_settle(c, r, err);
}

static int chain_next(struct iter *it, struct store_error *err)
{
	struct chain *c = (struct chain *)it;

	if (!c->cur)
		return 0;
	return chain_settle(c, c->cur->ops->next(c->cur, err), err);
}

static int chain_chunk(struct iter *it, uint64_t i, struct slice *out,
		       struct store_error *err)
{
	struct chain *c = (struct chain *)it;

	return c->cur->ops->chunk(c->cur, i, out, err);
}

static int chain_block(const struct iter *it, struct iter_block *b)
{
	const struct chain *c = (const struct chain *)it;

	return c->cur ? c->cur->ops->block(c->cur, b) : 0;
}

static int chain_skip(struct iter *it, struct store_error *err)
{
	struct chain *c = (struct chain *)it;

	if (!c->cur)
		return 0;
	return chain_settle(c, c->cur->ops->skip(c->cur, err), err);
}

static void chain_close(struct iter *it)
{
	struct chain *c = (struct chain *)it;

	chain_leave(c);
	free(c);
}

static const struct iter_ops chain_ops = {
	.first = chain_first,
	.next = chain_next,
	.chunk = chain_chunk,
	.close = chain_close,
	.block = chain_block,
	.skip = chain_skip,
};

int chain_open(struct store *db, const struct chain_table *tables, size_t n,
	       struct passing *passing, struct iter **out,
	       struct store_error *err)
{
	struct chain *c = calloc(1, sizeof(*c) + n * sizeof(*tables));

	if (!c)
		return store_nomem(err);
	c->it.ops = &chain_ops;
	c->db = db;
	c->passing = passing;
	c->n = n;
	memcpy(c->tables, tables, n * sizeof(*tables));
	*out = &c->it;
	return 0;
}
