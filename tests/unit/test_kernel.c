/*
 * test_kernel.c - what the kernel, a fork or another process does to a store
 * that is open, and what is counted.
 */
#include "lib/os.h"
#include "lib/store.h"
#include "tests/unit/scratch.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/wait.h>

static struct store_error err;

static struct store *open_with(const char *dir, int64_t timeout_ms)
{
	struct store_config c = { .flags = STORE_WRITE | STORE_CREATE,
				  .timeout_ms = timeout_ms };
	struct store *db;

	err = STORE_ERROR_INIT;
	CHECK_OK(store_open(&db, dir, &c, &err), err);
	return db;
}

static int put(struct store *db, const char *key, enum store_sync sync)
{
	err = STORE_ERROR_INIT;
	return store_put(db, slice_str(key), slice_str("value"), sync, &err);
}

/* ---- filesystems ---- */

static long fs_type;

static long fs_is(int fd)
{
	(void)fd;
	return fs_type;
}

TEST(a_store_on_a_network_filesystem_is_refused_and_one_in_memory_is_not)
{
	static const long network[] = { NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,
					CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
					CEPH_SUPER_MAGIC, V9FS_MAGIC,
					AFS_SUPER_MAGIC };
	long (*real)(int) = os.fs_type;
	const char *dir = scratch();
	struct store *db = open_with(dir, 0);
	int r = STORE_ECONFIG;
	size_t i;

	store_close(db);
	os.fs_type = fs_is;
	for (i = 0; i < sizeof(network) / sizeof(*network); i++) {
		fs_type = network[i];
		err = STORE_ERROR_INIT;
		r = store_open(&db, dir, NULL, &err);
		if (r != STORE_ECONFIG || db ||
		    !strstr(err.text, "network filesystem"))
			break;
	}
	fs_type = TMPFS_MAGIC;
	err = STORE_ERROR_INIT;
	CHECK_OK(store_open(&db, dir, NULL, &err), err);
	os.fs_type = real;
	store_close(db);
	printf("# of %zu\n", i);
	CHECK(i == sizeof(network) / sizeof(*network));
}

/* ---- forks ---- */

/* Has this process the LOCK of `dir` open? */
static bool has_lock_open(const char *dir)
{
	char link[64], name[300], path[200];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/LOCK", dir);
	for (int fd = 0; fd < 64; fd++) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, name, sizeof(name) - 1);
		if (n > 0 && (size_t)n == strlen(path) &&
		    !memcmp(name, path, (size_t)n))
			return true;
	}
	return false;
}

TEST(a_handle_is_dead_in_a_forked_child_which_keeps_no_lock)
{
	char dir[100];
	struct store_snapshot *snap;
	struct store *db;
	struct buf v = BUF_INIT;
	int status;
	pid_t p;

	snprintf(dir, sizeof(dir), "%s", scratch());
	db = open_with(dir, STORE_NO_WAIT);
	CHECK(put(db, "k", STORE_NOSYNC) == 0);
	CHECK_OK(store_snapshot(db, &snap, &err), err);
	CHECK(has_lock_open(dir));
	fflush(stdout);
	p = fork();
	if (p == 0)
		_exit(has_lock_open(dir)		    ? 1
		      : put(db, "child", STORE_NOSYNC) >= 0 ? 2
							    : 0);
	CHECK(waitpid(p, &status, 0) == p);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(put(db, "parent", STORE_NOSYNC) == 0);
	CHECK(store_get(db, slice_str("child"), &v, &err) == 0);
	CHECK(store_get(db, slice_str("parent"), &v, &err) == 1);
	store_snapshot_free(snap);
	store_close(db);
	buf_free(&v);
}

/* ---- LOCK ---- */

TEST(a_lock_that_is_removed_or_replaced_while_in_use_is_noticed)
{
	char lock[120], keep[120], dir[100];
	struct store *db;
	FILE *f;

	snprintf(dir, sizeof(dir), "%s", scratch());
	snprintf(lock, sizeof(lock), "%s/LOCK", dir);
	snprintf(keep, sizeof(keep), "%s/../kept", dir);
	db = open_with(dir, 0);
	CHECK(put(db, "k", STORE_NOSYNC) == 0);
	CHECK(rename(lock, keep) == 0);
	CHECK(put(db, "removed", STORE_NOSYNC) == STORE_ECORRUPT);
	CHECK(strstr(err.text, "LOCK: was removed or replaced"));
	f = fopen(lock, "w");
	CHECK(f && fclose(f) == 0);
	CHECK(put(db, "replaced", STORE_NOSYNC) == STORE_ECORRUPT);
	CHECK(rename(keep, lock) == 0);
	CHECK(put(db, "back", STORE_NOSYNC) == 0);
	store_close(db);
}

static int (*real_lock)(int, int, struct flock *);
static int interrupts, waits;

/* The first `interrupts` waits for a lock are interrupted by a signal. */
static int interrupted_lock(int fd, int cmd, struct flock *fl)
{
	if (cmd == F_OFD_SETLKW && waits++ < interrupts) {
		usleep(1000);
		errno = EINTR;
		return -1;
	}
	return real_lock(fd, cmd, fl);
}

TEST(a_signal_does_not_end_a_wait_for_a_lock_but_a_timeout_does)
{
	const char *dir = scratch();
	struct store *patient = open_with(dir, 0), *hasty = open_with(dir, 50);
	int r;

	real_lock = os.lock;
	os.lock = interrupted_lock;
	interrupts = 100;
	waits = 0;
	r = put(patient, "k", STORE_NOSYNC);
	os.lock = real_lock;
	CHECK(r == 0 && waits > 100);
	os.lock = interrupted_lock;
	interrupts = 1 << 30;
	waits = 0;
	r = put(hasty, "k", STORE_NOSYNC);
	os.lock = real_lock;
	CHECK(r == STORE_EBUSY && waits > 1);
	CHECK(put(hasty, "k", STORE_NOSYNC) == 0);
	store_close(hasty);
	store_close(patient);
}

/* ---- Ctrl-Z ---- */

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_renameat)(int, const char *, const char *);
static int unblocked_writes, blocked_writes, unblocked_renames, blocked_renames;

static bool stops_are_blocked(void)
{
	sigset_t now;

	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, SIGTSTP) == 1;
}

/* The log and its tree are written under WRITE; STATE under SYNC, too. */
static ssize_t watched_pwrite(int fd, const void *p, size_t n, off_t off)
{
	char link[64], name[300] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof(name) - 1) > 0 &&
	    !strstr(name, "/STATE"))
		*(stops_are_blocked() ? &blocked_writes : &unblocked_writes) +=
			1;
	return real_pwrite(fd, p, n, off);
}

static int watched_renameat(int dirfd, const char *from, const char *to)
{
	if (!strcmp(to, "MANIFEST.json"))
		*(stops_are_blocked() ? &blocked_renames
				      : &unblocked_renames) += 1;
	return real_renameat(dirfd, from, to);
}

TEST(nobody_is_stopped_by_the_terminal_while_he_has_write_or_manifest)
{
	struct store *db = open_with(scratch(), 0);
	int r;

	real_pwrite = os.pwrite;
	real_renameat = os.renameat;
	os.pwrite = watched_pwrite;
	os.renameat = watched_renameat;
	r = put(db, "k", STORE_SYNC);
	os.pwrite = real_pwrite;
	if (r == 0)
		r = store_flush(db, &err);
	os.renameat = real_renameat;
	CHECK(r == 1);
	CHECK(blocked_writes > 0 && unblocked_writes == 0);
	CHECK(blocked_renames > 0 && unblocked_renames == 0);
	CHECK(!stops_are_blocked());
	store_close(db);
}

/* ---- counters ---- */

static struct store_stat stat_of(struct store *db)
{
	struct store_stat s;

	CHECK_OK(store_stat(db, &s, &err), err);
	return s;
}

TEST(syncs_are_counted_one_a_durable_put_and_none_for_others)
{
	struct store *db = open_with(scratch(), 0);
	struct store_stat before = stat_of(db), after;

	for (int i = 0; i < 3; i++)
		CHECK(put(db, "k", STORE_SYNC) == 0);
	after = stat_of(db);
	CHECK(after.syncs == before.syncs + 3);
	CHECK(after.batches == before.batches + 3);
	CHECK(put(db, "k", STORE_NOSYNC) == 0);
	after = stat_of(db);
	CHECK(after.syncs == before.syncs + 3);
	CHECK(after.batches == before.batches + 4);
	store_close(db);
}

TEST(blocks_read_and_absent_keys_that_a_filter_answers_are_counted)
{
	struct store *db = open_with(scratch(), 0);
	struct store_stat before, after;
	struct buf v = BUF_INIT;
	char key[16];

	for (int i = 0; i < 1000; i += 2) {
		snprintf(key, sizeof(key), "k%04d", i);
		CHECK(put(db, key, STORE_NOSYNC) == 0);
	}
	CHECK_OK(store_flush(db, &err), err);
	before = stat_of(db);
	CHECK(store_get(db, slice_str("k0500"), &v, &err) == 1);
	after = stat_of(db);
	CHECK(after.blocks_read > before.blocks_read);
	CHECK(after.filter_negatives == before.filter_negatives);
	before = after;
	/* Between the keys that are there: outside nothing is asked. */
	for (int i = 1; i < 997; i += 2) {
		snprintf(key, sizeof(key), "k%04d", i);
		CHECK(store_get(db, slice_str(key), &v, &err) == 0);
	}
	after = stat_of(db);
	/* A filter is wrong now and then, and then a block is read. */
	CHECK(after.filter_probes == before.filter_probes + 498);
	CHECK(after.filter_negatives > before.filter_negatives + 450);
	store_close(db);
	buf_free(&v);
}

TEST_MAIN()
