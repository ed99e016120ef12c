#include "lib/merge.h"

/*
 * A tree of losers (Knuth, The Art of Computer Programming 3, 5.4.1): each
 * inner node keeps the source that lost there, and what won everywhere is
 * shown.  When it moves on, only those that it beat on its way up are looked
 * at, for nobody else can be next.
 *
 * Sources are compared by codes, their keys are looked at only when these are
 * equal.  A code is the seven bytes behind what the keys of all sources had in
 * common when it was last looked for, the `base`.  A key without the base comes
 * behind all that have it, and when one is to be shown each source has moved
 * since: that pays for a new base.  So do many equal codes.
 *
 * Of equal keys the newest source's wins, in both directions, and those it beat
 * are marked as hidden.
 */
#define CODE_OTHER (UINT64_C(1) << 56) /* a key without the base */
#define CODE_END UINT64_MAX	       /* no entry is left */
#define TIES_MANY 4u		       /* for each source */

struct node {
	uint64_t code;
	uint64_t who; /* the source's index, NODE_HIDDEN */
};

#define NODE_HIDDEN (UINT64_C(1) << 63) /* a newer source has the same key */
#define NOBODY UINT64_MAX

/*
 * Node 0 is the winner, 1 to n - 1 are the losers, the parent of i is i / 2,
 * and source i would be node n + i.
 */
struct merge {
	struct iter it;
	struct iter **sources; /* newest first */
	size_t n;
	struct node *nodes;
	size_t live; /* sources that stand on an entry */
	bool forward;
	struct buf base;
	uint64_t ties; /* equal codes since that was looked for */
	uint64_t hidden;
};

static struct iter *source_of(const struct merge *m, const struct node *node)
{
	return m->sources[node->who & ~NODE_HIDDEN];
}

/* ---- codes ---- */

static uint64_t code_of(const struct merge *m, struct slice key)
{
	size_t n = m->base.len;
	uint64_t other = 0, bytes;

	if (n && (key.len < n || memcmp(key.data, m->base.data, n) != 0)) {
		other = CODE_OTHER;
		n = 0;
	}
	bytes = slice_prefix(slice_make(key.data + n, key.len - n)) >> 8;
	return other | (m->forward ? bytes : bytes ^ (CODE_OTHER - 1));
}

/* Codes are equal: does `a` come before `b`? */
static bool settle_tie(struct merge *m, struct node *a, struct node *b)
{
	uint64_t x = a->who & ~NODE_HIDDEN, y = b->who & ~NODE_HIDDEN;
	int d;

	if (a->code == CODE_END)
		return x < y;
	m->ties++;
	d = slice_cmp(m->sources[x]->e.key, m->sources[y]->e.key);
	if (d != 0)
		return (d < 0) == m->forward;
	(x < y ? b : a)->who |= NODE_HIDDEN;
	return x < y;
}

/* What the keys of all sources share; all codes are told anew. */
static int find_base(struct merge *m, struct store_error *err)
{
	struct slice first = source_of(m, &m->nodes[0])->e.key;
	size_t len = first.len;

	for (size_t i = 1; i < m->n; i++)
		if (m->nodes[i].code != CODE_END)
			len = slice_common(slice_make(first.data, len),
					   source_of(m, &m->nodes[i])->e.key);
	if (buf_assign(&m->base, slice_make(first.data, len)) < 0)
		return store_nomem(err);
	for (size_t i = 0; i < m->n; i++)
		if (m->nodes[i].code != CODE_END)
			m->nodes[i].code =
				code_of(m, source_of(m, &m->nodes[i])->e.key);
	m->ties = 0;
	return 0;
}

/* ---- the tree ---- */

/* Who comes first is `player`, the other stays: without a branch to guess. */
static inline void match(struct merge *m, struct node *other,
			 struct node *player)
{
	bool loses = other->code < player->code;
	uint64_t mask, code, who;

	if (__builtin_expect(other->code == player->code, 0))
		loses = settle_tie(m, other, player);
	mask = -(uint64_t)loses;
	code = (other->code ^ player->code) & mask;
	who = (other->who ^ player->who) & mask;
	other->code ^= code;
	other->who ^= who;
	player->code ^= code;
	player->who ^= who;
}

/* Where who now plays first stands, above its source. */
static size_t node_above(const struct merge *m, uint64_t who)
{
	return (m->n + (size_t)(who & ~NODE_HIDDEN)) / 2;
}

/* The winner has moved on. */
static void play(struct merge *m)
{
	struct node player = m->nodes[0];

	for (size_t i = node_above(m, player.who); i > 0; i /= 2)
		match(m, &m->nodes[i], &player);
	m->nodes[0] = player;
}

/* The first time: up to where nobody has come yet. */
static void enter(struct merge *m, struct node player)
{
	size_t i = node_above(m, player.who);

	for (; i > 0 && m->nodes[i].who != NOBODY; i /= 2)
		match(m, &m->nodes[i], &player);
	m->nodes[i] = player;
}

static int nowhere(struct merge *m, int r)
{
	m->live = 0;
	return r;
}

/* Show the winner. */
static int show(struct merge *m)
{
	if (m->live == 0)
		return 0;
	m->it.e = source_of(m, &m->nodes[0])->e;
	return 1;
}

enum mover { FIRST, LAST, SEEK, SEEK_BEFORE };

static int move_source(struct iter *it, enum mover how, struct slice key,
		       struct store_error *err)
{
	switch (how) {
	case FIRST:
		return it->ops->first(it, err);
	case LAST:
		return it->ops->last(it, err);
	case SEEK:
		return it->ops->seek(it, key, err);
	default:
		return it->ops->seek_before(it, key, err);
	}
}

/* Position every source, and let each play against the others. */
static int position(struct merge *m, enum mover how, struct slice key,
		    struct store_error *err)
{
	m->forward = how == FIRST || how == SEEK;
	m->live = 0;
	m->ties = 0;
	buf_clear(&m->base);
	for (size_t i = 0; i < m->n; i++)
		m->nodes[i].who = NOBODY;
	for (size_t i = 0; i < m->n; i++) {
		struct node player = { CODE_END, i };
		int r = move_source(m->sources[i], how, key, err);

		if (r < 0)
			return nowhere(m, r);
		if (r > 0) {
			player.code = code_of(m, m->sources[i]->e.key);
			m->live++;
		}
		enter(m, player);
	}
	return 0;
}

static int position_and_show(struct iter *it, enum mover how, struct slice key,
			     struct store_error *err)
{
	struct merge *m = (struct merge *)it;
	int r = position(m, how, key, err);

	return r < 0 ? r : show(m);
}

/* Move the winner on with `move`, and let it play again. */
static inline int advance(struct merge *m, iter_move *move,
			  struct store_error *err)
{
	struct node *winner = &m->nodes[0];
	struct iter *it = source_of(m, winner);
	int r = move(it, err);

	if (r < 0)
		return r;
	winner->who &= ~NODE_HIDDEN;
	if (m->live == 1) { /* nobody is left to be compared with */
		m->live = (size_t)r;
		return 0;
	}
	winner->code = r ? code_of(m, it->e.key) : CODE_END;
	m->live -= r == 0;
	play(m);
	if ((winner->code & CODE_OTHER && m->live) ||
	    m->ties > TIES_MANY * m->n)
		return find_base(m, err);
	return 0;
}

static iter_move *mover_of(const struct merge *m)
{
	const struct iter_ops *ops = source_of(m, &m->nodes[0])->ops;

	return m->forward ? ops->next : ops->prev;
}

/* Past the shown key, its older entries included. */
static int move_on(struct merge *m, iter_move *move, struct store_error *err)
{
	int r = advance(m, move, err);

	while (r == 0 && m->live && m->nodes[0].who & NODE_HIDDEN) {
		m->hidden++;
		r = advance(m, mover_of(m), err);
	}
	return r < 0 ? nowhere(m, r) : show(m);
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
		r = move_on(m, mover_of(m), err);
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

	if (m->live == 0)
		return 0;
	return m->forward ? move_on(m, mover_of(m), err) : turn(m, true, err);
}

static int merge_prev(struct iter *it, struct store_error *err)
{
	struct merge *m = (struct merge *)it;

	if (m->live == 0)
		return 0;
	return m->forward ? turn(m, false, err) : move_on(m, mover_of(m), err);
}

static int merge_chunk(struct iter *it, uint64_t i, struct slice *out,
		       struct store_error *err)
{
	struct merge *m = (struct merge *)it;
	struct iter *top;

	if (m->live == 0)
		return store_fail(err, STORE_EBUG, "merge: no current entry");
	top = source_of(m, &m->nodes[0]);
	return top->ops->chunk(top, i, out, err);
}

/* Nobody else may have an entry up to its end: those it beat tell. */
static int merge_block(const struct iter *it, struct iter_block *b)
{
	const struct merge *m = (const struct merge *)it;
	const struct iter *top;

	if (m->live == 0 || !m->forward)
		return 0;
	top = source_of(m, &m->nodes[0]);
	if (!top->ops->block || !top->ops->block(top, b))
		return 0;
	for (size_t i = node_above(m, m->nodes[0].who); i > 0; i /= 2)
		if (m->nodes[i].code != CODE_END &&
		    slice_cmp(source_of(m, &m->nodes[i])->e.key, b->last) <= 0)
			return 0;
	return 1;
}

static int merge_skip(struct iter *it, struct store_error *err)
{
	struct merge *m = (struct merge *)it;

	if (m->live == 0)
		return 0;
	return move_on(m, source_of(m, &m->nodes[0])->ops->skip, err);
}

static void merge_close(struct iter *it)
{
	struct merge *m = (struct merge *)it;

	for (size_t i = 0; i < m->n; i++)
		iter_close(m->sources[i]);
	free(m->sources);
	free(m->nodes);
	buf_free(&m->base);
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
	.block = merge_block,
	.skip = merge_skip,
};

int merge_open(struct iter **out, struct iter **sources, size_t n,
	       struct store_error *err)
{
	struct merge *m = calloc(1, sizeof(*m));

	if (m) {
		m->it.ops = &merge_ops;
		m->sources = calloc(n + 1, sizeof(*m->sources));
		m->nodes = calloc(n + 1, sizeof(*m->nodes));
	}
	if (!m || !m->sources || !m->nodes) {
		for (size_t i = 0; i < n; i++)
			iter_close(sources[i]);
		if (m)
			merge_close(&m->it);
		return store_nomem(err);
	}
	for (size_t i = 0; i < n; i++)
		m->sources[i] = sources[i];
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
	const struct merge *m = (const struct merge *)merge;

	return (size_t)(m->nodes[0].who & ~NODE_HIDDEN);
}
