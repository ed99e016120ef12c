/*
 * test_walk.c - iterators of a store: every move, against a plain count.
 *
 * What is walked is a log alone, one run of several tables alone, which needs
 * no merge, and both.
 */
#include "tests/unit/compacting.h"
#include "tests/unit/test.h"

#include <limits.h>

#define RECORDS 3000u
#define STEPS 20000u
#define NOWHERE UINT_MAX

static size_t key_of(char *k, size_t room, unsigned i)
{
	return (size_t)snprintf(k, room, "k%06u", i);
}

/* Every `every`-th record. */
static void fill(struct store *db, unsigned every)
{
	struct store_batch b = STORE_BATCH_INIT;
	struct store_error err = STORE_ERROR_INIT;
	char k[16], v[80];

	for (unsigned i = 0; i < RECORDS; i += every) {
		size_t n = key_of(k, sizeof(k), i);

		snprintf(v, sizeof(v), "%u %060u", every, i);
		CHECK_OK(store_batch_put(&b, slice_make(k, n), slice_str(v),
					 &err),
			 err);
	}
	CHECK_OK(store_write(db, &b, STORE_NOSYNC, &err), err);
	store_batch_free(&b);
}

/* A move that gave `r`: it stands on record `i`, or nowhere. */
static void check_at(struct store_iter *it, int r, unsigned i)
{
	struct store_error err = STORE_ERROR_INIT;
	struct slice value;
	char k[16];

	CHECK(r == (i != NOWHERE));
	if (r == 0)
		return;
	CHECK(slice_eq(store_iter_key(it),
		       slice_make(k, key_of(k, sizeof(k), i))));
	CHECK_OK(store_iter_value(it, &value, &err), err);
	CHECK(value.len > 60 && store_iter_value_len(it) == value.len &&
	      !memcmp(value.data + value.len - 6, k + 1, 6));
}

static void step(struct store_iter *it, unsigned *at, bool forward)
{
	struct store_error err = STORE_ERROR_INIT;
	int r = forward ? store_iter_next(it, &err) : store_iter_prev(it, &err);

	CHECK_OK(r, err);
	if (*at != NOWHERE && (forward ? *at + 1 < RECORDS : *at > 0))
		*at += forward ? 1u : -1u;
	else
		*at = NOWHERE;
	check_at(it, r, *at);
}

/* From one of the ends, or to the key of a record. */
static unsigned begin(struct store_iter *it, unsigned how, unsigned i)
{
	struct store_error err = STORE_ERROR_INIT;
	char k[16];
	struct slice key = slice_make(k, key_of(k, sizeof(k), i));
	int r;

	switch (how) {
	case 0:
		r = store_iter_first(it, &err);
		i = 0;
		break;
	case 1:
		r = store_iter_last(it, &err);
		i = RECORDS - 1;
		break;
	case 2:
		r = store_iter_seek(it, key, &err);
		break;
	default:
		r = store_iter_seek_before(it, key, &err);
		i = i > 0 ? i - 1 : NOWHERE;
	}
	CHECK_OK(r, err);
	check_at(it, r, i);
	return i;
}

/* Moves in no order, often back and forth. */
static void wander(struct store *db)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_iter *it;
	unsigned at = NOWHERE, x = 1;
	bool forward = true;

	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	step(it, &at, true); /* it was never positioned */
	step(it, &at, false);
	for (unsigned i = 0; i < STEPS; i++) {
		x = x * 1103515245u + 12345u;
		if ((x >> 16) % 4 == 0)
			forward = !forward;
		step(it, &at, forward);
		if (at != NOWHERE && (x >> 18) % 64)
			continue;
		if (at == NOWHERE) /* and stays so */
			step(it, &at, !forward);
		at = begin(it, (x >> 8) % 4, (x >> 16) % RECORDS);
	}
	store_iter_close(it);
}

/* From one end over the other, and what comes behind that. */
static void cross(struct store *db, bool forward)
{
	struct store_error err = STORE_ERROR_INIT;
	struct store_iter *it;
	unsigned at;

	CHECK_OK(store_iter_open(db, NULL, &it, &err), err);
	at = begin(it, !forward, 0);
	while (at != NOWHERE)
		step(it, &at, forward);
	step(it, &at, forward);
	step(it, &at, !forward);
	store_iter_close(it);
}

static void walk(struct store *db)
{
	cross(db, true);
	cross(db, false);
	wander(db);
	store_close(db);
	remove_store();
}

TEST(a_log_alone_is_walked_both_ways)
{
	struct store *db = new_store("leveled", "4");

	fill(db, 1);
	walk(db);
}

TEST(a_run_alone_is_walked_both_ways)
{
	struct store *db = new_store("leveled", "4");

	fill(db, 1);
	flush(db);
	compact(db, NULL, 1);
	walk(db);
}

TEST(a_log_over_runs_is_walked_both_ways)
{
	struct store *db = new_store("leveled", "4");

	fill(db, 1);
	flush(db);
	compact(db, NULL, 1);
	fill(db, 3);
	flush(db);
	fill(db, 5);
	walk(db);
}

TEST_MAIN()
