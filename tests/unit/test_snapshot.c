/*
 * snapshot.h: who has a generation's tables open needs no pin, and reads on
 * when they have been replaced and removed; a value that is lent stays.
 */
#include "lib/snapshot.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <glob.h>

#define KEYS 300

static struct store_error err = STORE_ERROR_INIT;
static const char *dir;

static struct store *open_it(void)
{
	struct store_config c = { .flags = STORE_CREATE | STORE_WRITE,
				  .tool = "test_snapshot" };
	struct store *db = NULL;

	CHECK_OK(store_open(&db, dir, &c, &err), err);
	return db;
}

static struct slice key_of(int i)
{
	static char key[20];

	snprintf(key, sizeof(key), "key %03d", i);
	return slice_str(key);
}

static void put_all(struct store *db, const char *value)
{
	for (int i = 0; i < KEYS; i++)
		CHECK_OK(store_put(db, key_of(i), slice_str(value),
				   STORE_NOSYNC, &err),
			 err);
	CHECK_OK(store_flush(db, &err), err);
}

/* A store of two tables, one over the other. */
static struct store *two_tables(void)
{
	struct store *db;

	dir = scratch();
	db = open_it();
	put_all(db, "old");
	put_all(db, "new");
	return db;
}

/* Look up until all of it is kept open. */
static void look_up(struct store *db)
{
	struct buf value = BUF_INIT;

	for (int i = 0; i < KEYS; i++)
		CHECK(store_get(db, key_of(i), &value, &err) == 1);
	for (int i = 0; i < 100; i++)
		CHECK(store_get(db, slice_str("key 000 absent"), &value,
				&err) == 0);
	buf_free(&value);
}

static int count_all(struct store_iter *it, const char *value)
{
	struct slice v;
	int n = 0, r;

	for (r = store_iter_first(it, &err); r == 1;
	     r = store_iter_next(it, &err), n++) {
		CHECK(slice_eq(store_iter_key(it), key_of(n)));
		CHECK_OK(store_iter_value(it, &v, &err), err);
		CHECK(slice_eq(v, slice_str(value)));
	}
	CHECK_OK(r, err);
	return n;
}

static size_t tables(void)
{
	char pattern[200];
	glob_t g;
	size_t n;

	snprintf(pattern, sizeof(pattern), "%s/*.sst", dir);
	n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;
	if (n)
		globfree(&g);
	return n;
}

static int (*real_lock)(int fd, int cmd, struct flock *fl);
static int locks;

static int counting_lock(int fd, int cmd, struct flock *fl)
{
	locks++;
	return real_lock(fd, cmd, fl);
}

/* How many locks it takes to open an iterator and close it again. */
static int locks_of_an_iterator(struct store *db)
{
	struct store_iter *it;

	locks = 0;
	real_lock = os.lock;
	os.lock = counting_lock;
	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	store_iter_close(it);
	os.lock = real_lock;
	return locks;
}

TEST(an_iterator_pins_until_all_tables_are_open)
{
	struct store *db = two_tables();

	CHECK(locks_of_an_iterator(db) == 2);
	look_up(db);
	CHECK(locks_of_an_iterator(db) == 0);
	/* A newer generation has a table that is not. */
	put_all(db, "newest");
	CHECK(locks_of_an_iterator(db) == 2);
	store_close(db);
}

/* All is merged by another handle: how many tables are there then? */
static size_t compact_beside(void)
{
	struct store_compact_config how = { .all = true };
	struct store_compact_result result;
	struct store *db = open_it();
	size_t n;

	CHECK_OK(store_compact(db, &how, &result, &err), err);
	n = tables();
	store_close(db);
	return n;
}

TEST(without_a_pin_it_reads_what_was_removed_meanwhile)
{
	struct store *db = two_tables();
	struct store_iter *it;

	look_up(db);
	CHECK(tables() == 2);
	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	CHECK(compact_beside() == 1);
	CHECK(count_all(it, "new") == KEYS);
	store_iter_close(it);
	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	CHECK(count_all(it, "new") == KEYS);
	store_iter_close(it);
	store_close(db);
}

TEST(with_a_pin_nothing_is_removed)
{
	struct store *db = two_tables();
	struct store_iter *it;

	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	CHECK(compact_beside() == 3);
	CHECK(count_all(it, "new") == KEYS);
	store_iter_close(it);
	store_close(db);
}

static uint64_t blocks_read(struct store *db)
{
	struct store_stat s;

	CHECK_OK(store_stat(db, &s, &err), err);
	return s.blocks_read;
}

TEST(a_walk_takes_from_the_cache_what_lookups_left_there_up_to_a_gap)
{
	static char value[1000];
	struct buf got = BUF_INIT;
	struct store *db;
	struct store_iter *it;
	uint64_t before;

	memset(value, 'x', sizeof(value) - 1);
	dir = scratch();
	db = open_it();
	put_all(db, value);
	/* All blocks but those of the last fifty keys, more than one each. */
	for (int i = 0; i < KEYS - 50; i++)
		CHECK(store_get(db, key_of(i), &got, &err) == 1);
	before = blocks_read(db);
	CHECK(before > 50);
	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	CHECK(store_iter_seek(it, key_of(0), &err) == 1);
	for (int i = 1; i < KEYS - 54; i++)
		CHECK(store_iter_next(it, &err) == 1);
	CHECK(blocks_read(db) == before);
	while (store_iter_next(it, &err) == 1)
		;
	CHECK(blocks_read(db) >= before + 10);
	store_iter_close(it);
	buf_free(&got);
	store_close(db);
}

TEST(a_seek_by_roster_finds_what_one_by_image_finds)
{
	struct store *db = two_tables();
	struct store_iter *image, *roster;
	struct store_snapshot *snap;

	CHECK_OK(store_snapshot(db, &snap, &err), err);
	CHECK_OK(store_iter_open(db, snap, &image, &err), err);
	look_up(db);
	CHECK_OK(store_iter_open(db, NULL, &roster, &err), err);
	for (int i = -1; i <= KEYS; i++) {
		struct slice key = i < 0 ? slice_str("a") : key_of(i);
		int a = store_iter_seek(image, key, &err);

		CHECK(a == store_iter_seek(roster, key, &err));
		CHECK(a == (i < KEYS));
		CHECK(!a ||
		      slice_eq(store_iter_key(image), store_iter_key(roster)));
		a = store_iter_seek_before(image, key, &err);
		CHECK(a == store_iter_seek_before(roster, key, &err));
		CHECK(a == (i > 0));
		CHECK(!a ||
		      slice_eq(store_iter_key(image), store_iter_key(roster)));
	}
	store_iter_close(roster);
	store_iter_close(image);
	store_snapshot_free(snap);
	store_close(db);
}

/* Values of all shapes: in a block, large, in chunks, none at all. */
static const size_t shapes[] = { 3, 60000, 100000, 0 };
#define SHAPES (sizeof(shapes) / sizeof(*shapes))

static void put_shapes(struct store *db, char byte)
{
	static uint8_t value[100000];

	memset(value, byte, sizeof(value));
	for (size_t i = 0; i < SHAPES; i++)
		CHECK_OK(store_put(db, key_of((int)i),
				   slice_make(value, shapes[i]), STORE_NOSYNC,
				   &err),
			 err);
}

static void check_shapes(const struct store_pin pins[SHAPES], uint8_t byte)
{
	for (size_t i = 0; i < SHAPES; i++) {
		CHECK(pins[i].value.len == shapes[i]);
		for (size_t j = 0; j < shapes[i]; j++)
			CHECK(pins[i].value.data[j] == byte);
	}
}

static void pin_shapes(struct store *db, struct store_pin pins[SHAPES])
{
	for (size_t i = 0; i < SHAPES; i++)
		CHECK(store_get_pinned(db, key_of((int)i), &pins[i], &err) ==
		      1);
}

TEST(a_pinned_value_stays_when_its_key_its_log_and_its_table_are_gone)
{
	struct store_pin in_log[SHAPES] = { 0 }, in_table[SHAPES] = { 0 };
	struct store_pin twice[SHAPES] = { 0 };
	struct store *db;

	dir = scratch();
	db = open_it();
	put_shapes(db, 'l');
	pin_shapes(db, in_log);
	CHECK_OK(store_flush(db, &err), err);
	for (int i = 0; i < 2; i++)
		pin_shapes(db, i ? in_table : twice);
	CHECK(in_table[0].value.data == twice[0].value.data);
	put_shapes(db, 'n');
	CHECK_OK(store_flush(db, &err), err);
	compact_beside();
	check_shapes(in_log, 'l');
	check_shapes(in_table, 'l');
	pin_shapes(db, twice);
	check_shapes(twice, 'n');
	CHECK(store_get_pinned(db, key_of(SHAPES), &twice[1], &err) == 0);
	CHECK(twice[1].value.len == 0);
	CHECK(store_get_pinned(db, SLICE_NULL, &twice[1], &err) ==
	      STORE_EINVAL);
	for (size_t i = 0; i < SHAPES; i++) {
		store_pin_release(&in_log[i]);
		store_pin_release(&in_table[i]);
		store_pin_release(&twice[i]);
	}
	store_close(db);
}

TEST_MAIN()
