#include "lib/merge.h"

struct source {
	struct iter *it;
	uint64_t prefix; /* of its current key */
};

/*
 * A binary heap of the sources that stand on an entry, the next one to show
 * on top.  Equal keys are ordered by age, newest first, in both directions,
 * so the top is always the entry to show, and what follows it with the same
 * key is hidden.  When that may be, which the children of the top tell, `key`
 * gets a copy of the shown key before its source moves on.
 */
struct merge {
	struct iter it;
	struct source *sources; /* newest first */
	size_t n;
	uint32_t *heap;
	size_t filled;
	bool forward;
	struct buf key;
	uint64_t hidden;
};

/* Is source `a` to be shown before `b`? */
static bool before(const struct merge *m, uint32_t a, uint32_t b)
{
	const struct source *x = &m->sources[a], *y = &m->sources[b];
	int d;

	if (x->prefix != y->prefix)
		return (x->prefix < y->prefix) == m->forward;
	d = slice_cmp(x->it->e.key, y->it->e.key);
	if (d != 0)
		return (d < 0) == m->forward;
	return a < b;
}

static void sift_down(struct merge *m, size_t i)
{
	uint32_t moved = m->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= m->filled)
			break;
		if (child + 1 < m->filled &&
		    before(m, m->heap[child + 1], m->heap[child]))
			child++;
		if (!before(m, m->heap[child], moved))
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = moved;
}

static int nowhere(struct merge *m, int r)
{
	m->filled = 0;
	return r;
}

/* Show the top. */
static int show(struct merge *m)
{
	struct iter *top;

	if (m->filled == 0)
		return 0;
	top = m->sources[m->heap[0]].it;
	m->it.e = top->e;
	return 1;
}

enum mover { FIRST, LAST, SEEK, SEEK_BEFORE };

/* Position every source and build the heap. */
static int position(struct merge *m, enum mover how, struct slice key,
		    struct store_error *err)
{
	m->forward = how == FIRST || how == SEEK;
	m->filled = 0;
	for (size_t i = 0; i < m->n; i++) {
		struct iter *it = m->sources[i].it;
		int r;

		if (how == FIRST)
			r = it->ops->first(it, err);
		else if (how == LAST)
			r = it->ops->last(it, err);
		else if (how == SEEK)
			r = it->ops->seek(it, key, err);
		else
			r = it->ops->seek_before(it, key, err);
		if (r < 0)
			return nowhere(m, r);
		if (r == 0)
			continue;
		m->sources[i].prefix = slice_prefix(it->e.key);
		m->heap[m->filled++] = (uint32_t)i;
	}
	for (size_t i = m->filled / 2; i-- > 0;)
		sift_down(m, i);
	return 0;
}

static int position_and_show(struct iter *it, enum mover how, struct slice key,
			     struct store_error *err)
{
	struct merge *m = (struct merge *)it;
	int r = position(m, how, key, err);

	return r < 0 ? r : show(m);
}

/* Move the top source on and restore the heap. */
static int advance_top(struct merge *m, struct store_error *err)
{
	struct source *s = &m->sources[m->heap[0]];
	int r = m->forward ? s->it->ops->next(s->it, err)
			   : s->it->ops->prev(s->it, err);

	if (r < 0)
		return r;
	if (r > 0 && m->filled == 1)
		return 0; /* nobody is left to be compared with */
	if (r > 0)
		s->prefix = slice_prefix(s->it->e.key);
	else
		m->heap[0] = m->heap[--m->filled];
	if (m->filled)
		sift_down(m, 0);
	return 0;
}

/* May another source stand on the shown key?  Then a child of the top does. */
static bool may_be_double(const struct merge *m)
{
	uint64_t prefix = m->sources[m->heap[0]].prefix;

	return (m->filled > 1 && m->sources[m->heap[1]].prefix == prefix) ||
	       (m->filled > 2 && m->sources[m->heap[2]].prefix == prefix);
}

/* Past the shown key, its older entries included. */
static int move_on(struct merge *m, struct store_error *err)
{
	uint64_t prefix = m->sources[m->heap[0]].prefix;
	int r;

	if (!may_be_double(m)) {
		r = advance_top(m, err);
		return r < 0 ? nowhere(m, r) : show(m);
	}
	if (buf_assign(&m->key, m->it.e.key) < 0)
		return nowhere(m, store_nomem(err));
	for (;;) {
		const struct source *top;

		r = advance_top(m, err);
		if (r < 0)
			return nowhere(m, r);
		if (m->filled == 0)
			return 0;
		top = &m->sources[m->heap[0]];
		if (top->prefix != prefix ||
		    !slice_eq(top->it->e.key, buf_slice(&m->key)))
			return show(m);
		m->hidden++;
	}
}

/*
 * Turning round: the sources stand at or behind the shown key, each on its
 * own side, so all are positioned anew.  Forwards that finds the shown key
 * itself again, which is then passed over.
 */
static int turn(struct merge *m, bool forward, struct store_error *err)
{
	struct buf key = BUF_INIT;
	uint64_t hidden = m->hidden;
	int r;

	if (buf_assign(&key, m->it.e.key) < 0)
		return nowhere(m, store_nomem(err));
	r = position(m, forward ? SEEK : SEEK_BEFORE, buf_slice(&key), err);
	if (r == 0)
		r = show(m);
	if (r > 0 && forward && slice_eq(m->it.e.key, buf_slice(&key)))
		r = move_on(m, err);
	m->hidden = hidden; /* they were counted on the way there */
	buf_free(&key);
	return r;
}

static int merge_first(struct iter *it, struct store_error *err)
{
	return position_and_show(it, FIRST, SLICE_NULL, err);
}

static int merge_last(struct iter *it, struct store_error *err)
{
	return position_and_show(it, LAST, SLICE_NULL, err);
}

static int merge_seek(struct iter *it, struct slice key,
		      struct store_error *err)
{
	return position_and_show(it, SEEK, key, err);
}

static int merge_seek_before(struct iter *it, struct slice key,
			     struct store_error *err)
{
	return position_and_show(it, SEEK_BEFORE, key, err);
}

static int merge_next(struct iter *it, struct store_error *err)
{
	struct merge *m = (struct merge *)it;

	if (m->filled == 0)
		return 0;
	return m->forward ? move_on(m, err) : turn(m, true, err);
}

static int merge_prev(struct iter *it, struct store_error *err)
{
	struct merge *m = (struct merge *)it;

	if (m->filled == 0)
		return 0;
	return m->forward ? turn(m, false, err) : move_on(m, err);
}

static int merge_chunk(struct iter *it, uint64_t i, struct slice *out,
		       struct store_error *err)
{
	struct merge *m = (struct merge *)it;
	struct iter *top;

	if (m->filled == 0)
		return store_fail(err, STORE_EBUG, "merge: no current entry");
	top = m->sources[m->heap[0]].it;
	return top->ops->chunk(top, i, out, err);
}

static void merge_close(struct iter *it)
{
	struct merge *m = (struct merge *)it;

	for (size_t i = 0; i < m->n; i++)
		iter_close(m->sources[i].it);
	free(m->sources);
	free(m->heap);
	buf_free(&m->key);
	free(m);
}

static const struct iter_ops merge_ops = {
	.first = merge_first,
	.last = merge_last,
	.seek = merge_seek,
	.seek_before = merge_seek_before,
	.next = merge_next,
	.prev = merge_prev,
	.chunk = merge_chunk,
	.close = merge_close,
};

int merge_open(struct iter **out, struct iter **sources, size_t n,
	       struct store_error *err)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (m) {
		m->it.ops = &merge_ops;
		m->sources = calloc(n + 1, sizeof(*m->sources));
		m->heap = calloc(n + 1, sizeof(*m->heap));
	}
	if (!m || !m->sources || !m->heap) {
		for (size_t i = 0; i < n; i++)
			iter_close(sources[i]);
		if (m)
			merge_close(&m->it);
		return store_nomem(err);
	}
	for (size_t i = 0; i < n; i++)
		m->sources[i].it = sources[i];
	m->n = n;
	*out = &m->it;
	return 0;
}

uint64_t merge_hidden(const struct iter *merge)
{
	return ((const struct merge *)merge)->hidden;
}

size_t merge_source(const struct iter *merge)
{
	return ((const struct merge *)merge)->heap[0];
}
