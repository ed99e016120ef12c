#include "lib/os.h"

#include "lib/confine.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a C library may not know yet of Linux, or not at all. */
#ifndef STATX_MNT_ID
#include <linux/stat.h>
#endif
#ifndef STATX_MNT_ID_UNIQUE /* 6.8 */
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

static int real_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return openat(dirfd, name, flags, mode);
}

static ssize_t real_pread_cached(int fd, void *p, size_t n, off_t off)
{
	struct iovec v = { p, n };

	return syscall(SYS_preadv2, fd, &v, 1, off, off >> 32, RWF_NOWAIT);
}

static int real_writeback(int fd, off_t off, off_t n)
{
	return sync_file_range(fd, off, n, SYNC_FILE_RANGE_WRITE);
}

static int real_uncache(int fd, off_t off, off_t n)
{
	return posix_fadvise(fd, off, n, POSIX_FADV_DONTNEED);
}

/*
 * Who asks fstat is told times, and a newer kernel then takes the next write
 * down to the nanosecond: an inode to write with each sync.
 */
static off_t real_size(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

static int real_renameat(int dirfd, const char *from, const char *to)
{
	return renameat(dirfd, from, dirfd, to);
}

static int real_unlinkat(int dirfd, const char *name)
{
	return unlinkat(dirfd, name, 0);
}

static int real_fstatat(int dirfd, const char *name, struct stat *st)
{
	return fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW);
}

static int real_place(int fd, struct os_place *p)
{
	struct statx x;

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH,
		    STATX_INO | STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &x) < 0)
		return -1;
	p->dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	p->inode = x.stx_ino;
	p->mount = x.stx_mnt_id;
	p->unique = x.stx_mask & STATX_MNT_ID_UNIQUE;
	return 0;
}

static bool real_raised(void)
{
	return getauxval(AT_SECURE) != 0;
}

static uint64_t real_free_bytes(int fd)
{
	struct statvfs s;

	if (fstatvfs(fd, &s) < 0)
		return UINT64_MAX;
	return (uint64_t)s.f_bavail * s.f_frsize;
}

static long real_fs_type(int fd)
{
	struct statfs s;

	return fstatfs(fd, &s) < 0 ? -1 : (long)s.f_type;
}

static int real_lock(int fd, int cmd, struct flock *fl)
{
	return fcntl(fd, cmd, fl);
}

static void *real_map(int fd, size_t len, enum os_map how)
{
	void *p = mmap(NULL, len,
		       PROT_READ | (how == OS_MAP_WRITE ? PROT_WRITE : 0),
		       MAP_SHARED | (how == OS_MAP_POPULATE ? MAP_POPULATE : 0),
		       fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (how != OS_MAP_POPULATE)
		madvise(p, len, MADV_RANDOM);
	return p;
}

static int real_forget(void *p, size_t len)
{
	return madvise(p, len, MADV_DONTNEED);
}

static void real_poke(int fd, off_t off, void *to, const void *p, size_t n)
{
	uint64_t *words = to;
	uint64_t word;

	(void)fd;
	(void)off;
	if (((uintptr_t)to | n) % sizeof(word) || n > 128) {
		memcpy(to, p, n);
		return;
	}
	/* Others may be reading: word by word, each after what was before it.
	 */
	for (size_t i = 0; i < n / sizeof(word); i++) {
		memcpy(&word, (const uint8_t *)p + i * sizeof(word),
		       sizeof(word));
		__atomic_store_n(&words[i], word, __ATOMIC_RELEASE);
	}
}

static void real_wait_while(_Atomic uint32_t *word, uint32_t is, unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	syscall(SYS_futex, word, FUTEX_WAIT, is, &t, NULL, 0);
}

static void real_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* As the kernel has it; by the call itself nothing is asked besides. */
struct entry64 {
	uint64_t inode, next;
	uint16_t len;
	uint8_t type;
	char name[];
};

static int list_piece(const char *at, long n, os_list_fn *fn, void *ctx)
{
	const char *end = at + n;
	int r = 0;

	while (r == 0 && at < end) {
		const struct entry64 *e = (const void *)at;

		if (strcmp(e->name, ".") && strcmp(e->name, ".."))
			r = fn(ctx, e->name);
		at += e->len;
	}
	return r;
}

static int real_list(int dirfd, os_list_fn *fn, void *ctx)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(8) char buf[4096];
	int r = 0, e;
	long n = 0;

	if (fd < 0)
		return -1;
	while (r == 0 && (n = syscall(SYS_getdents64, fd, buf, 4096)) > 0)
		r = list_piece(buf, n, fn, ctx);
	e = errno;
	close(fd);
	errno = e;
	return r == 0 && n < 0 ? -1 : r;
}

static int real_random(void *p, size_t n)
{
	return getrandom(p, n, 0) == (ssize_t)n ? 0 : -1;
}

static bool real_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return errno != ENXIO;
	close(fd);
	return true;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static int real_boot_id(uint8_t id[16])
{
	char text[37];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int digits = 0;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text));
	close(fd);
	for (ssize_t i = 0; i < n && digits < 32; i++) {
		int v = hex_digit(text[i]);

		if (v < 0)
			continue;
		id[digits / 2] =
			(uint8_t)(digits % 2 ? id[digits / 2] | v : v << 4);
		digits++;
	}
	if (digits == 32)
		return 0;
	errno = EIO;
	return -1;
}

static int real_event(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int real_event_set(int fd)
{
	return eventfd_write(fd, 1);
}

static int real_event_clear(int fd)
{
	eventfd_t v;

	return eventfd_read(fd, &v);
}

static uint64_t real_memory(void)
{
	struct sysinfo s;

	return sysinfo(&s) < 0 ? 0 : (uint64_t)s.totalram * s.mem_unit;
}

static unsigned real_processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0
		       ? 1
		       : (unsigned)CPU_COUNT(&set);
}

static uint64_t clock_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t real_now_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

/* A few milliseconds behind, but asked by some who have not one to spare. */
static uint64_t real_monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC_COARSE);
}

static uint64_t real_monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void real_sleep_us(uint64_t us)
{
	struct timespec t = { (time_t)(us / 1000000),
			      (long)(us % 1000000) * 1000 };

	nanosleep(&t, NULL);
}

static void real_yield(void)
{
	sched_yield();
}

static void *real_share(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int real_wait(pid_t pid, int *status)
{
	return waitpid(pid, status, 0) < 0 ? -1 : 0;
}

static void real_quit(void)
{
	_exit(0);
}

struct os os = {
	.openat = real_openat,
	.close = close,
	.pread = pread,
	.pread_cached = real_pread_cached,
	.pwrite = pwrite,
	.ftruncate = ftruncate,
	.fsync = fsync,
	.fdatasync = fdatasync,
	.writeback = real_writeback,
	.uncache = real_uncache,
	.renameat = real_renameat,
	.unlinkat = real_unlinkat,
	.mkdir = mkdir,
	.fstat = fstat,
	.size = real_size,
	.fstatat = real_fstatat,
	.place = real_place,
	.fs_type = real_fs_type,
	.fchmod = fchmod,
	.fchown = fchown,
	.lock = real_lock,
	.map = real_map,
	.unmap = munmap,
	.forget = real_forget,
	.poke = real_poke,
	.wait_while = real_wait_while,
	.wake = real_wake,
	.list = real_list,
	.random = real_random,
	.procmask = pthread_sigmask,
	.terminal = real_terminal,
	.boot_id = real_boot_id,
	.euid = geteuid,
	.raised = real_raised,
	.free_bytes = real_free_bytes,
	.event = real_event,
	.event_set = real_event_set,
	.event_clear = real_event_clear,
	.processors = real_processors,
	.memory = real_memory,
	.now_ms = real_now_ms,
	.monotonic_ms = real_monotonic_ms,
	.monotonic_us = real_monotonic_us,
	.sleep_us = real_sleep_us,
	.yield = real_yield,
	.share = real_share,
	.getpid = getpid,
	.fork = fork,
	.wait = real_wait,
	.confine = confine,
	.quit = real_quit,
};

void os_signals_hold(sigset_t *before)
{
	sigset_t held;

	sigfillset(&held);
	sigdelset(&held, SIGBUS);
	sigdelset(&held, SIGFPE);
	sigdelset(&held, SIGILL);
	sigdelset(&held, SIGSEGV);
	os.procmask(SIG_BLOCK, &held, before);
}

void os_signals_back(const sigset_t *before)
{
	os.procmask(SIG_SETMASK, before, NULL);
}

void os_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
}

struct timespec os_deadline(int64_t ms_from_now)
{
	uint64_t us = os.monotonic_us() + (uint64_t)ms_from_now * 1000;

	return (struct timespec){ .tv_sec = (time_t)(us / 1000000),
				  .tv_nsec = (long)(us % 1000000) * 1000 };
}
