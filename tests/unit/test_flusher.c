/*
 * test_flusher.c - flushes in the background: no write waits for one before
 * there are too many sealed logs, and none is forgotten.
 */
#include "lib/engine.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static struct store_error err;
static struct store *db;
static pthread_t writer;
static atomic_bool go;	 /* what others than the writer sync may end */
static atomic_bool held; /* one of them waits */
static __typeof__(os.fsync) real_fsync;

static void wait_ms(int ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* A disk that is slow, but not for the writer. */
static int held_fsync(int fd)
{
	while (!pthread_equal(pthread_self(), writer) && !go) {
		held = true;
		wait_ms(1);
	}
	return real_fsync(fd);
}

/* One that fails for all but the writer. */
static int failing_fsync(int fd)
{
	if (pthread_equal(pthread_self(), writer))
		return real_fsync(fd);
	errno = EIO;
	return -1;
}

static void open_store(const char *sealed_logs, int (*fsync)(int fd))
{
	const struct store_setting_text settings[] = {
		{ "write_buffer", "8K" },
		{ "sealed_logs", sealed_logs },
		{ "maintenance", "cron" },
	};
	struct store_config config = { .flags = STORE_WRITE | STORE_CREATE |
						STORE_BACKGROUND,
				       .settings = settings,
				       .n_settings = 3 };

	err = STORE_ERROR_INIT;
	writer = pthread_self();
	go = held = false;
	real_fsync = os.fsync;
	CHECK_OK(store_open(&db, scratch(), &config, &err), err);
	os.fsync = fsync;
}

static void close_store(void)
{
	go = true;
	store_close(db);
	os.fsync = real_fsync;
}

static struct slice key_of(char *k, size_t n, int i)
{
	return slice_make(k, (size_t)snprintf(k, n, "k%05d", i));
}

static void put(int i)
{
	char k[16], v[1000];

	memset(v, 'v', sizeof(v));
	CHECK_OK(store_put(db, key_of(k, sizeof(k), i),
			   slice_make(v, sizeof(v)), STORE_NOSYNC, &err),
		 err);
}

static bool has(int i)
{
	struct buf v = BUF_INIT;
	char k[16];
	int r = store_get(db, key_of(k, sizeof(k), i), &v, &err);

	buf_free(&v);
	return r == 1;
}

static struct store_stat stat_now(void)
{
	struct store_stat s;

	CHECK_OK(store_stat(db, &s, &err), err);
	return s;
}

TEST(a_write_that_fills_the_memtable_does_not_wait_for_its_flush)
{
	int n = 0;

	open_store("64", held_fsync);
	while (stat_now().logs < 5)
		put(n++);
	CHECK(stat_now().tables == 0);
	for (int i = 0; i < n; i++)
		CHECK(has(i));
	close_store();
}

static void *release(void *arg)
{
	(void)arg;
	wait_ms(50);
	go = true;
	return NULL;
}

TEST(with_too_many_sealed_logs_a_write_waits_for_the_flush_under_way)
{
	pthread_t t;
	int n = 0;

	open_store("2", held_fsync);
	while (stat_now().logs < 3)
		put(n++);
	while (!held)
		wait_ms(1);
	CHECK(!go);
	CHECK(pthread_create(&t, NULL, release, NULL) == 0);
	while (stat_now().logs == 3 && n < 100)
		put(n++);
	CHECK(go && n < 100);
	pthread_join(t, NULL);
	close_store();
}

TEST(closing_the_handle_waits_until_what_was_sealed_is_in_tables)
{
	struct store_stat s;
	char *dir;

	open_store("64", held_fsync);
	dir = strdup(db->dir.path);
	for (int i = 0; i < 100; i++)
		put(i);
	CHECK(stat_now().logs > 5);
	close_store();
	CHECK_OK(store_open(&db, dir, NULL, &err), err);
	s = stat_now();
	CHECK(s.logs <= 1 && s.tables > 5);
	for (int i = 0; i < 100; i++)
		CHECK(has(i));
	store_close(db);
	free(dir);
}

static void open_plain(const char *dir, unsigned flags)
{
	err = STORE_ERROR_INIT;
	CHECK_OK(store_open(&db, dir,
			    &(struct store_config){ .flags = STORE_WRITE |
							     STORE_CREATE |
							     flags },
			    &err),
		 err);
}

TEST(closing_brings_what_is_in_the_log_into_a_table_where_that_pays)
{
	char *dir = strdup(scratch());
	char k[16];

	/* Little of it, while level 0 has hardly any runs. */
	for (int i = 0; i < 5; i++) {
		open_plain(dir, STORE_BACKGROUND);
		CHECK(stat_now().log_entries == (i < 3 ? 0u : i - 2u));
		CHECK(stat_now().tables == (i < 2 ? (unsigned)i : 2u));
		put(i);
		store_close(db);
	}
	/* A quarter of the write buffer, whatever there is. */
	open_plain(dir, STORE_BACKGROUND);
	for (int i = 0; i < 17; i++) {
		static char large[1 << 20];

		CHECK_OK(store_put(db, key_of(k, sizeof(k), 100 + i),
				   slice_make(large, sizeof(large)),
				   STORE_NOSYNC, &err),
			 err);
	}
	store_close(db);
	open_plain(dir, STORE_BACKGROUND);
	CHECK(stat_now().log_entries == 0 && stat_now().tables == 3);
	for (int i = 0; i < 5; i++)
		CHECK(has(i));
	store_close(db);
	free(dir);
}

TEST(who_has_written_nothing_or_flushes_himself_leaves_the_log_as_it_is)
{
	char *dir = strdup(scratch());

	open_plain(dir, 0);
	put(1);
	store_close(db);
	open_plain(dir, STORE_BACKGROUND);
	CHECK(has(1));
	store_close(db);
	open_plain(dir, 0);
	CHECK(stat_now().log_entries == 1 && stat_now().tables == 0);
	store_close(db);
	free(dir);
}

TEST(a_flush_that_fails_is_a_warning_and_its_records_stay_readable)
{
	struct store_error warning = STORE_ERROR_INIT;
	int n = 0, warned = 0;

	open_store("64", failing_fsync);
	while (stat_now().logs < 3)
		put(n++);
	for (int i = 0; !warned && i < 5000; i++) {
		warned = store_warning(db, &warning);
		wait_ms(1);
	}
	CHECK(warned == 1);
	CHECK(warning.code == STORE_EIO);
	CHECK(stat_now().tables == 0);
	for (int i = 0; i < n; i++)
		CHECK(has(i));
	close_store();
}

static int count_one(void *ctx, const char *name)
{
	(void)name;
	(*(int *)ctx)++;
	return 0;
}

static int threads(void)
{
	int n = 0, fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0 && os.list(fd, count_one, &n) == 0);
	close(fd);
	return n;
}

TEST(the_thread_is_there_from_the_first_full_memtable_to_the_close)
{
	int before = threads(), n = 0;

	open_store("64", held_fsync);
	put(n++);
	CHECK(threads() == before);
	while (stat_now().logs < 3)
		put(n++);
	CHECK(threads() == before + 1);
	close_store();
	CHECK(threads() == before);
}

TEST_MAIN()
