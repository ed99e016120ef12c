/*
 * The room behind a log's last batch (formats/wal.md): who makes it, that it
 * is written over, and that anything else that lies there is cut.
 */
#include "lib/engine.h"
#include "lib/wal.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>

static struct store_error err = STORE_ERROR_INIT;
static const char *dir;
static char path[300];

/* The file of the active log, the last one. */
static const char *log_path(void)
{
	glob_t g;

	snprintf(path, sizeof(path), "%s/*.wal", dir);
	CHECK(glob(path, 0, NULL, &g) == 0);
	snprintf(path, sizeof(path), "%s", g.gl_pathv[g.gl_pathc - 1]);
	globfree(&g);
	return path;
}

static uint64_t log_size(void)
{
	struct stat st;

	CHECK(stat(log_path(), &st) == 0);
	return (uint64_t)st.st_size;
}

static struct store *open_it(void)
{
	struct store_config c = { .flags = STORE_CREATE | STORE_WRITE,
				  .tool = "test_wal" };
	struct store *db = NULL;

	CHECK_OK(store_open(&db, dir, &c, &err), err);
	return db;
}

static struct store *new_store(void)
{
	dir = scratch();
	return open_it();
}

static void put(struct store *db, const char *key, const char *value,
		enum store_sync sync)
{
	CHECK_OK(store_put(db, slice_str(key), slice_str(value), sync, &err),
		 err);
}

static void expect(struct store *db, const char *key, const char *value)
{
	struct buf got = BUF_INIT;

	CHECK(store_get(db, slice_str(key), &got, &err) == 1);
	CHECK(slice_eq(buf_slice(&got), slice_str(value)));
	buf_free(&got);
}

/* What the store publishes, all logs together: there is one. */
static uint64_t published(struct store *db)
{
	struct store_stat s;

	CHECK_OK(store_stat(db, &s, &err), err);
	CHECK(s.logs == 1);
	return s.log_bytes;
}

static void scribble(uint64_t at, const char *text)
{
	int fd = open(log_path(), O_WRONLY);

	CHECK(fd >= 0);
	CHECK(pwrite(fd, text, strlen(text), (off_t)at) ==
	      (ssize_t)strlen(text));
	close(fd);
}

TEST(only_who_syncs_small_batches_makes_room)
{
	static char large[WAL_ROOM];
	struct store *db = new_store();

	put(db, "a", "1", STORE_NOSYNC);
	CHECK(log_size() == published(db));
	put(db, "b", "2", STORE_SYNC);
	CHECK(log_size() == WAL_ROOM);
	memset(large, 'x', sizeof(large) - 1);
	put(db, "c", large, STORE_SYNC);
	CHECK(log_size() == published(db));
	store_close(db);
}

TEST(room_is_written_over_to_its_end_and_then_made_again)
{
	struct store *db = new_store();
	char key[20];

	put(db, "0", "some value of its own", STORE_SYNC);
	for (int i = 1; published(db) < WAL_ROOM; i++) {
		snprintf(key, sizeof(key), "%d", i);
		CHECK(log_size() == WAL_ROOM);
		put(db, key, "some value of its own", STORE_SYNC);
	}
	CHECK(log_size() == 2 * WAL_ROOM);
	store_close(db);
	db = open_it();
	expect(db, "0", "some value of its own");
	put(db, "last", "1", STORE_NOSYNC);
	CHECK(log_size() == 2 * WAL_ROOM);
	expect(db, "last", "1");
	store_close(db);
}

TEST(what_a_dead_writer_left_in_the_room_is_cut)
{
	struct store *db = new_store();

	put(db, "a", "1", STORE_SYNC);
	scribble(published(db), "the beginning of a batch");
	put(db, "b", "2", STORE_NOSYNC);
	CHECK(log_size() == published(db));
	expect(db, "a", "1");
	expect(db, "b", "2");
	store_close(db);
}

TEST(what_a_crash_left_anywhere_in_the_room_is_cut_by_the_next_to_open)
{
	struct store *db = new_store();

	put(db, "a", "1", STORE_SYNC);
	store_close(db);
	scribble(WAL_ROOM - 4, "torn");
	db = open_it();
	expect(db, "a", "1");
	put(db, "b", "2", STORE_NOSYNC);
	CHECK(log_size() == published(db));
	store_close(db);
}

TEST(more_zeros_than_a_writer_leaves_are_cut)
{
	struct store *db = new_store();

	put(db, "a", "1", STORE_NOSYNC);
	CHECK(truncate(log_path(), (off_t)(published(db) + WAL_ROOM + 1)) == 0);
	put(db, "b", "2", STORE_NOSYNC);
	CHECK(log_size() == published(db));
	store_close(db);
}

/* Until the handle is the tenant and has been for a while. */
static void fill_as_tenant(struct store *db, uint64_t upto)
{
	char key[20];

	for (int i = 0; published(db) < upto; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		put(db, key, "some value of its own", STORE_NOSYNC);
	}
}

TEST(a_tenant_makes_more_room_each_time)
{
	struct store *db = new_store();
	struct store *other;
	uint64_t rooms = 0, size, last = 0;
	char key[20];

	for (int i = 0; rooms < 8; i++) {
		snprintf(key, sizeof(key), "%d", i);
		put(db, key, "some value of its own", STORE_NOSYNC);
		size = log_size();
		if (size == last || size == published(db))
			continue;
		rooms++;
		CHECK(size - published(db) <= WAL_ROOM_MAX);
		if (rooms > 4)
			CHECK(size % WAL_ROOM_MAX == 0);
		last = size;
	}
	/* Another leaves none of it, nor anything of what he finds lost. */
	fill_as_tenant(db, log_size() - WAL_ROOM_MAX / 2);
	CHECK(log_size() > published(db) + WAL_ROOM);
	other = open_it();
	put(other, "other", "1", STORE_NOSYNC);
	CHECK(log_size() == published(db));
	put(db, "again", "1", STORE_NOSYNC);
	CHECK(log_size() - published(db) <= WAL_ROOM);
	expect(other, "again", "1");
	expect(db, "other", "1");
	expect(db, "0", "some value of its own");
	store_close(other);
	store_close(db);
}

TEST(a_log_that_ends_in_room_is_recovered_to_its_last_batch)
{
	struct store *db = new_store();
	uint64_t before;

	put(db, "a", "1", STORE_SYNC);
	put(db, "b", "2", STORE_SYNC);
	before = published(db);
	store_close(db);
	snprintf(path, sizeof(path), "%s/STATE", dir);
	CHECK(unlink(path) == 0);
	db = open_it();
	CHECK(published(db) == before);
	expect(db, "a", "1");
	expect(db, "b", "2");
	put(db, "c", "3", STORE_SYNC);
	expect(db, "c", "3");
	store_close(db);
}

static ssize_t (*real_pwrite)(int fd, const void *p, size_t n, off_t off);

/* A disk with place for batches and for nothing else. */
static ssize_t full_pwrite(int fd, const void *p, size_t n, off_t off)
{
	if (n > 8192) {
		errno = ENOSPC;
		return -1;
	}
	return real_pwrite(fd, p, n, off);
}

TEST(a_disk_that_has_no_room_to_give_takes_the_batch_all_the_same)
{
	struct store *db = new_store();

	put(db, "a", "1", STORE_NOSYNC);
	real_pwrite = os.pwrite;
	os.pwrite = full_pwrite;
	put(db, "b", "2", STORE_SYNC);
	os.pwrite = real_pwrite;
	CHECK(log_size() == published(db));
	expect(db, "b", "2");
	store_close(db);
}

static int other_boot(uint8_t id[16])
{
	memset(id, 7, 16);
	return 0;
}

static int (*real_openat)(int dirfd, const char *name, int flags, mode_t mode);

static int read_only_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	if ((flags & O_ACCMODE) != O_RDONLY) {
		errno = EROFS;
		return -1;
	}
	return real_openat(dirfd, name, flags, mode);
}

/* Another boot's files, on a filesystem that cannot be written. */
static struct store *open_private(void)
{
	struct store_config c = { .tool = "test_wal" };
	int (*real_boot_id)(uint8_t id[16]) = os.boot_id;
	struct store *db = NULL;

	real_openat = os.openat;
	os.boot_id = other_boot;
	os.openat = read_only_openat;
	CHECK_OK(store_open(&db, dir, &c, &err), err);
	os.openat = real_openat;
	os.boot_id = real_boot_id;
	CHECK(db->private);
	return db;
}

TEST(a_reader_that_is_private_sees_what_is_written_into_room)
{
	struct store *db = new_store(), *alone;
	char value[16];

	put(db, "k", "0", STORE_SYNC);
	alone = open_private();
	/* Soon through a map, which leaves the file's time as it is. */
	for (int i = 1; i <= 600; i++) {
		snprintf(value, sizeof(value), "%d", i);
		put(db, "k", value, i % 100 ? STORE_NOSYNC : STORE_SYNC);
		expect(alone, "k", value);
	}
	store_close(alone);
	store_close(db);
}

/* What was asked of the kernel: w pwrite, b writeback, s fdatasync. */
static char asked[16];

static void note(char what)
{
	size_t n = strlen(asked);

	if (n < sizeof(asked) - 1)
		asked[n] = what;
}

static ssize_t note_pwrite(int fd, const void *p, size_t n, off_t off)
{
	note('w');
	return pwrite(fd, p, n, off);
}

static int note_writeback(int fd, off_t off, off_t n)
{
	(void)fd, (void)off, (void)n;
	note('b');
	return 0;
}

static int note_sync(int fd)
{
	note('s');
	return fdatasync(fd);
}

static const char *asked_by(struct store *db, size_t value,
			    enum store_sync sync)
{
	static uint8_t bytes[10000];
	struct os real = os;

	memset(asked, 0, sizeof(asked));
	os.pwrite = note_pwrite;
	os.writeback = note_writeback;
	os.fdatasync = note_sync;
	CHECK_OK(store_put(db, slice_str("k"), slice_make(bytes, value), sync,
			   &err),
		 err);
	os = real;
	return asked;
}

TEST(what_is_synced_is_written_around_the_map_and_if_large_is_on_its_way_at_once)
{
	struct store *db = new_store();

	put(db, "a", "1", STORE_NOSYNC);
	fill_as_tenant(db, 2 * (uint64_t)WAL_ROOM);
	put(db, "b", "2", STORE_SYNC);
	CHECK(strcmp(asked_by(db, 10, STORE_NOSYNC), "") == 0);
	CHECK(strcmp(asked_by(db, 10, STORE_SYNC), "ws") == 0);
	CHECK(strcmp(asked_by(db, 10000, STORE_SYNC), "wbs") == 0);
	store_close(db);
}

TEST_MAIN()
