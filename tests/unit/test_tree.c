/*
 * test_tree.c - the AVL tree over a log and its tail: batches of every size and
 * order give a balanced tree of the newest entries, behind them those that are
 * in no tree yet, and leave older roots as they were.
 */
#include "lib/engine.h"
#include "lib/tail.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#define KEYS 2000u

static struct store_error err;
static struct store *db;
static uint32_t newest[KEYS]; /* the value of each key; 0: none */

static void open_store(void)
{
	const struct store_setting_text settings[] = {
		{ "write_buffer", "64M" },
		{ "tree_buffer", "256M" },
	};

	err = STORE_ERROR_INIT;
	memset(newest, 0, sizeof(newest));
	CHECK_OK(store_open(&db, scratch(),
			    &(struct store_config){ .flags = STORE_WRITE |
							     STORE_CREATE,
						    .settings = settings,
						    .n_settings = 2 },
			    &err),
		 err);
}

static bool alike; /* all but a few keys begin alike */

static struct slice key_of(char *k, size_t n, unsigned i)
{
	/* Below, within, above and beyond what they begin with. */
	static const char *const others[] = { "a", "alik", "alike", "alike~",
					      "b" };

	if (alike && i < 5)
		return slice_str(others[i]);
	if (alike)
		return slice_make(
			k,
			(size_t)(i % 40 < 5 ? snprintf(k, n, "%s%u",
						       others[i % 40], i)
					    : snprintf(k, n, "alike-----%05u",
						       i)));
	/* Many that agree in eight bytes, and some short ones. */
	return slice_make(
		k, (size_t)snprintf(k, n, i % 3 ? "key-%c-%06u" : "%u",
				    i % 3 ? (int)('a' + i % 5) : (int)i, i));
}

/* One batch of the keys in `which`, each with a value of its own. */
static void write_batch(const unsigned *which, unsigned n)
{
	static uint32_t turn;
	struct store_batch b = STORE_BATCH_INIT;
	char k[48], v[16];

	for (unsigned i = 0; i < n; i++) {
		newest[which[i]] = ++turn;
		snprintf(v, sizeof(v), "%u", turn);
		CHECK_OK(store_batch_put(&b, key_of(k, sizeof(k), which[i]),
					 slice_str(v), &err),
			 err);
	}
	CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
	store_batch_free(&b);
}

static struct memtable *memtable(void)
{
	struct generation *g;
	struct memtable *m;

	CHECK_OK(generation_current(db, &g, &err), err);
	m = generation_active(g);
	generation_close(g);
	CHECK(m);
	return m;
}

/* Height and size of a part, each node of which must be as it says. */
static unsigned check_part(struct tree_reader *t, uint32_t i, unsigned under,
			   uint64_t *n)
{
	struct tree_node at;
	unsigned l, r;

	if (!i)
		return 0;
	CHECK_OK(tree_load(t, i, under, &at, &err), err);
	l = check_part(t, at.child[0], at.height, n);
	r = check_part(t, at.child[1], at.height, n);
	CHECK(l <= r + 1 && r <= l + 1);
	CHECK(at.height == (l > r ? l : r) + 1);
	CHECK((at.shape >> NODE_BALANCE_SHIFT) - 1 == (int)r - (int)l);
	++*n;
	return at.height;
}

static void check_entry(const struct entry *e, struct buf *last, int side)
{
	int c = slice_cmp(buf_slice(last), e->key);

	CHECK(last->len == 0 || (side ? c > 0 : c < 0));
	buf_assign(last, e->key);
}

/* In order, forwards and backwards: how many keys. */
static uint64_t check_order(const struct root *root, int side)
{
	struct buf last = BUF_INIT;
	struct iter *it;
	uint64_t n = 0;
	int r;

	CHECK_OK(memtable_iter(memtable(), root, &it, &err), err);
	for (r = side ? it->ops->last(it, &err) : it->ops->first(it, &err);
	     r > 0;
	     r = side ? it->ops->prev(it, &err) : it->ops->next(it, &err)) {
		check_entry(&it->e, &last, side);
		n++;
	}
	CHECK_OK(r, err);
	iter_close(it);
	buf_free(&last);
	return n;
}

/* In order, with the values of `values`, which has KEYS keys. */
static void check_tree(const struct root *root, const uint32_t *values)
{
	struct tree_reader t;
	struct wal_entry e;
	uint64_t n = 0, want = 0;
	int r;

	tree_reader_init(&t, memtable(), root);
	check_part(&t, (uint32_t)root->root, TREE_HEIGHT_MAX + 1, &n);
	CHECK(n == root->entries);
	CHECK(root->tail <= TAIL_NODES);
	for (unsigned i = 0; i < KEYS; i++) {
		struct tree_node at;
		uint64_t digest;
		char k[48], v[16];

		r = tail_or_tree_find(&t, key_of(k, sizeof(k), i), &at, &err);
		CHECK(r == (values[i] != 0));
		want += r > 0;
		if (r == 0)
			continue;
		CHECK_OK(
			tree_digest(&t, key_of(k, sizeof(k), i), &digest, &err),
			err);
		/* Those of the tail know nothing of a skip. */
		CHECK(at.prefix == digest ||
		      at.prefix == slice_prefix(key_of(k, sizeof(k), i)));
		CHECK_OK(tree_entry(&t, &at, &e, &err), err);
		snprintf(v, sizeof(v), "%u", values[i]);
		CHECK(slice_eq(e.value, slice_str(v)));
	}
	CHECK(check_order(root, 0) == want);
	CHECK(check_order(root, 1) == want);
	tree_reader_release(&t);
}

static void check_now(void)
{
	struct root root;

	CHECK_OK(memtable_root(memtable(), &root, &err), err);
	check_tree(&root, newest);
}

/* All keys, `n` a batch, in the order of `step` around the circle. */
static void fill(unsigned n, unsigned step)
{
	unsigned which[KEYS];

	open_store();
	for (unsigned at = 0; at < KEYS; at += n) {
		unsigned some = KEYS - at < n ? KEYS - at : n;

		for (unsigned i = 0; i < some; i++)
			which[i] = (at + i) * step % KEYS;
		write_batch(which, some);
		if (at / n % 16 == 0)
			check_now();
	}
	check_now();
	store_close(db);
}

TEST(ascending_keys_make_a_balanced_tree)
{
	fill(1, 1);
	fill(7, 1);
	fill(1000, 1);
	fill(KEYS, 1);
}

TEST(so_do_descending_ones_and_those_in_no_order)
{
	fill(1, KEYS - 1);
	fill(100, KEYS - 1);
	fill(1, 1237);
	fill(3, 1237);
	fill(500, 1237);
}

TEST(batches_of_any_size_with_keys_that_are_there_and_keys_given_twice)
{
	unsigned seed = 11, which[300];

	open_store();
	for (unsigned round = 0; round < 300; round++) {
		unsigned n =
			1 + (unsigned)rand_r(&seed) % (round % 3 ? 12 : 300);
		unsigned from = (unsigned)rand_r(&seed) % KEYS;
		unsigned among = 1 + (unsigned)rand_r(&seed) % KEYS;

		for (unsigned i = 0; i < n; i++)
			which[i] =
				(from + (unsigned)rand_r(&seed) % among) % KEYS;
		write_batch(which, n);
		if (round % 20 == 0)
			check_now();
	}
	check_now();
	store_close(db);
}

TEST(keys_that_begin_alike_and_some_that_do_not)
{
	unsigned which[100];
	struct root root;

	alike = true;
	fill(1, 1);
	fill(100, 1237);
	fill(500, 1);
	open_store();
	for (unsigned i = 0; i < 100; i++)
		which[i] = 45 + 40 * (i / 30) + i % 30;
	write_batch(which, 100);
	for (unsigned i = 0; i < 1000; i++)
		write_batch(&(unsigned){ i * 1237 % KEYS }, 1);
	CHECK_OK(memtable_root(memtable(), &root, &err), err);
	CHECK(root.root && root.skip);
	check_now();
	store_close(db);
	alike = false;
}

TEST(a_root_stays_what_it_was_whatever_is_written_after_it)
{
	static uint32_t then[KEYS];
	unsigned seed = 5, which[50];
	struct root root;

	open_store();
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 50; i++)
			which[i] = (unsigned)rand_r(&seed) % KEYS;
		write_batch(which, 50);
		if (round == 20) {
			CHECK_OK(memtable_root(memtable(), &root, &err), err);
			memcpy(then, newest, sizeof(then));
		}
	}
	check_tree(&root, then);
	check_now();
	store_close(db);
}

TEST(a_batch_copies_no_more_nodes_than_it_must)
{
	unsigned which[1000];
	struct root before, after;

	open_store();
	for (unsigned i = 0; i < 1000; i++)
		which[i] = i * 2;
	write_batch(which, 1000);
	CHECK_OK(memtable_root(memtable(), &before, &err), err);
	/* A tree of nothing but a batch is its entries. */
	CHECK(before.nodes - NODE_FIRST == 1000);
	CHECK(before.tail == 0 && before.entries == 1000);
	/* In a tree that is there: one more is one node, of the tail. */
	which[0] = 501;
	write_batch(which, 1);
	CHECK_OK(memtable_root(memtable(), &after, &err), err);
	CHECK(after.nodes - before.nodes == 1);
	CHECK(after.tail == 1 && after.root == before.root);
	store_close(db);
}

TEST(small_batches_go_into_the_tree_when_the_tail_is_full)
{
	unsigned which[KEYS];
	struct root before, full, after;

	open_store();
	for (unsigned i = 0; i < KEYS; i++)
		which[i] = i * 1237 % KEYS;
	write_batch(which, 1000);
	CHECK_OK(memtable_root(memtable(), &before, &err), err);
	for (unsigned i = 0; i < TAIL_NODES; i++)
		write_batch(which + 1000 + i, 1);
	CHECK_OK(memtable_root(memtable(), &full, &err), err);
	CHECK(full.tail == TAIL_NODES && full.root == before.root);
	CHECK(full.nodes - before.nodes == TAIL_NODES);
	check_now();
	write_batch(which + 1000 + TAIL_NODES, 2);
	CHECK_OK(memtable_root(memtable(), &after, &err), err);
	CHECK(after.tail == 2 && after.entries == 1000 + TAIL_NODES);
	/* Some three nodes each; alone, each would have copied ten. */
	CHECK(after.nodes - full.nodes <= 4 * TAIL_NODES);
	check_now();
	/* What was there stays what it was. */
	for (unsigned i = 1000 + TAIL_NODES; i < 1002 + TAIL_NODES; i++)
		newest[which[i]] = 0;
	check_tree(&full, newest);
	store_close(db);
}

TEST(of_a_key_written_often_the_last_one_counts_in_tail_and_tree)
{
	unsigned which[2] = { 7, 7 };
	struct root root;

	open_store();
	for (unsigned i = 0; i < 2 * TAIL_NODES; i++) {
		write_batch(which, 1 + i % 2);
		if (i % 16 == 0)
			check_now();
	}
	CHECK_OK(memtable_root(memtable(), &root, &err), err);
	CHECK(root.entries == 1 && root.tail > 0);
	check_now();
	store_close(db);
}

TEST_MAIN()
