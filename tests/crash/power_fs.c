#include "tests/crash/power_fs.h"

#include "lib/os.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FD_BASE 1000
#define FD_COUNT 256
/* What a descriptor stands for, if not an inode. */
#define IS_DIR UINT32_MAX
#define IS_ROOT (UINT32_MAX - 1)

struct fs fs;
static struct os real; /* for plugins, which lie outside */
static uint8_t *arena;
static uint32_t fds[FD_COUNT]; /* 0: free */
static uint64_t random_state = 0x9e3779b97f4a7c15;
static uint64_t clock_ms = 1700000000000;

uint64_t fs_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

uint8_t *fs_bytes(uint32_t inode)
{
	return arena + (size_t)inode * FS_FILE_MAX;
}

void fs_reset(void)
{
	for (uint32_t i = 1; i < fs.next_inode; i++) {
		memset(fs_bytes(i), 0, fs.top[i]);
		fs.len[i] = fs.top[i] = 0;
		fs.warm[i] = false;
	}
	fs.there = false;
	fs.n_names = 0;
	fs.next_inode = 1;
	fs.trace = NULL;
}

uint32_t fs_find(const char *name)
{
	for (size_t i = 0; i < fs.n_names; i++)
		if (!strcmp(fs.names[i].name, name))
			return fs.names[i].inode;
	return 0;
}

void fs_unlink(const char *name)
{
	for (size_t i = 0; i < fs.n_names; i++)
		if (!strcmp(fs.names[i].name, name)) {
			fs.names[i] = fs.names[--fs.n_names];
			return;
		}
}

void fs_link(const char *name, uint32_t inode)
{
	struct fs_name *n;

	fs_unlink(name);
	if (fs.n_names == FS_NAMES) {
		fprintf(stderr, "power: too many files\n");
		exit(71);
	}
	n = &fs.names[fs.n_names++];
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->inode = inode;
}

static struct event *note(enum event_kind kind, const char *name,
			  uint32_t inode)
{
	struct event *e;

	if (!fs.trace)
		return NULL;
	e = trace_add(fs.trace, kind);
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->inode = inode;
	return e;
}

static int fail(int e)
{
	errno = e;
	return -1;
}

static uint32_t inode_of(int fd)
{
	if (fd < FD_BASE || fd >= FD_BASE + FD_COUNT)
		return 0;
	return fds[fd - FD_BASE];
}

/* Not one of ours. */
static bool is_real(int fd)
{
	return fd >= 0 && (fd < FD_BASE || fd >= FD_BASE + FD_COUNT);
}

static bool is_file(uint32_t inode)
{
	return inode && inode != IS_DIR && inode != IS_ROOT;
}

static int new_fd(uint32_t inode)
{
	for (int i = 0; i < FD_COUNT; i++)
		if (!fds[i]) {
			fds[i] = inode;
			return FD_BASE + i;
		}
	return fail(EMFILE);
}

size_t fs_open_count(void)
{
	size_t n = 0;

	for (int i = 0; i < FD_COUNT; i++)
		n += fds[i] != 0;
	return n;
}

static void set_len(uint32_t inode, uint64_t len)
{
	if (len < fs.len[inode])
		memset(fs_bytes(inode) + len, 0, fs.len[inode] - len);
	fs.len[inode] = len;
	if (fs.top[inode] < len)
		fs.top[inode] = len;
}

static int sim_ftruncate(int fd, off_t len)
{
	uint32_t i = inode_of(fd);
	struct event *e;

	if (!is_file(i))
		return fail(EBADF);
	if (len > (off_t)FS_FILE_MAX)
		return fail(ENOSPC);
	set_len(i, (uint64_t)len);
	fs.warm[i] = true;
	e = note(EV_TRUNC, "", i);
	if (e)
		e->len = (uint64_t)len;
	return 0;
}

static int open_dir(const char *path)
{
	if (!strcmp(path, "."))
		return new_fd(IS_ROOT);
	if (strcmp(path, FS_DIR) || !fs.there)
		return fail(ENOENT);
	return new_fd(IS_DIR);
}

static int sim_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	uint32_t i;
	int fd;

	if (is_real(dirfd) || *name == '/')
		return real.openat(dirfd, name, flags, mode);
	if (flags & O_DIRECTORY)
		return open_dir(name);
	if (inode_of(dirfd) != IS_DIR)
		return fail(EBADF);
	i = fs_find(name);
	if (i && flags & O_EXCL)
		return fail(EEXIST);
	if (!i && !(flags & O_CREAT))
		return fail(ENOENT);
	if (!i) {
		if (fs.next_inode == FS_INODES)
			return fail(ENOSPC);
		i = fs.next_inode++;
		fs_link(name, i);
		fs.warm[i] = true;
		note(EV_CREATE, name, i);
	}
	fd = new_fd(i);
	if (fd >= 0 && flags & O_TRUNC && fs.len[i])
		sim_ftruncate(fd, 0);
	return fd;
}

static int sim_close(int fd)
{
	if (is_real(fd))
		return real.close(fd);
	if (!inode_of(fd))
		return fail(EBADF);
	fds[fd - FD_BASE] = 0;
	return 0;
}

static ssize_t sim_pread(int fd, void *p, size_t n, off_t off)
{
	uint32_t i = inode_of(fd);
	uint64_t at = (uint64_t)off;

	if (!is_file(i))
		return fail(EBADF);
	fs.warm[i] = true;
	if (at >= fs.len[i])
		return 0;
	if (n > fs.len[i] - at)
		n = fs.len[i] - at;
	memcpy(p, fs_bytes(i) + at, n);
	return (ssize_t)n;
}

static ssize_t sim_pread_cached(int fd, void *p, size_t n, off_t off)
{
	uint32_t i = inode_of(fd);

	if (is_file(i) && fs.boot.cold && !fs.warm[i])
		return fail(EAGAIN);
	return sim_pread(fd, p, n, off);
}

static ssize_t sim_pwrite(int fd, const void *p, size_t n, off_t off)
{
	uint32_t i = inode_of(fd);
	struct event *e;

	if (!is_file(i))
		return fail(EBADF);
	if (n == 0)
		return 0;
	if ((uint64_t)off + n > FS_FILE_MAX)
		return fail(ENOSPC);
	if (fs.len[i] < (uint64_t)off + n)
		set_len(i, (uint64_t)off + n);
	memcpy(fs_bytes(i) + off, p, n);
	fs.warm[i] = true;
	e = note(EV_WRITE, "", i);
	if (e) {
		e->off = (uint64_t)off;
		e->len = n;
		e->data = xrealloc(NULL, n);
		memcpy(e->data, p, n);
	}
	return (ssize_t)n;
}

static int sim_fsync(int fd)
{
	uint32_t i = inode_of(fd);

	if (!i)
		return fail(EBADF);
	note(i == IS_DIR    ? EV_SYNC_DIR
	     : i == IS_ROOT ? EV_SYNC_ROOT
			    : EV_SYNC,
	     "", is_file(i) ? i : 0);
	return 0;
}

static int sim_renameat(int dirfd, const char *from, const char *to)
{
	uint32_t i = fs_find(from);
	struct event *e;

	if (inode_of(dirfd) != IS_DIR)
		return fail(EBADF);
	if (!i)
		return fail(ENOENT);
	fs_unlink(from);
	fs_link(to, i);
	e = note(EV_RENAME, from, i);
	if (e)
		snprintf(e->to, sizeof(e->to), "%s", to);
	return 0;
}

static int sim_unlinkat(int dirfd, const char *name)
{
	if (inode_of(dirfd) != IS_DIR)
		return fail(EBADF);
	if (!fs_find(name))
		return fail(ENOENT);
	note(EV_UNLINK, name, fs_find(name));
	fs_unlink(name);
	return 0;
}

static int sim_mkdir(const char *path, mode_t mode)
{
	(void)mode;
	if (strcmp(path, FS_DIR))
		return fail(ENOENT);
	if (fs.there)
		return fail(EEXIST);
	fs.there = true;
	note(EV_MKDIR, path, 0);
	return 0;
}

static int fill_stat(uint32_t i, struct stat *st)
{
	*st = (struct stat){ .st_mode = is_file(i) ? S_IFREG | 0644
						   : S_IFDIR | 0755,
			     .st_nlink = 1,
			     .st_ino = i,
			     .st_dev = 1 };
	if (is_file(i))
		st->st_size = (off_t)fs.len[i];
	return 0;
}

static int sim_fstat(int fd, struct stat *st)
{
	uint32_t i = inode_of(fd);

	if (is_real(fd))
		return real.fstat(fd, st);
	return i ? fill_stat(i, st) : fail(EBADF);
}

static off_t sim_size(int fd)
{
	struct stat st;

	return sim_fstat(fd, &st) < 0 ? -1 : st.st_size;
}

static int sim_fstatat(int dirfd, const char *name, struct stat *st)
{
	uint32_t i = fs_find(name);

	if (is_real(dirfd))
		return real.fstatat(dirfd, name, st);
	if (inode_of(dirfd) != IS_DIR)
		return fail(EBADF);
	return i ? fill_stat(i, st) : fail(ENOENT);
}

static int sim_place(int fd, struct os_place *p)
{
	uint32_t i = inode_of(fd);

	if (!i)
		return fail(EBADF);
	*p = (struct os_place){ .dev = 1,
				.inode = i,
				.mount = fs.boot.mount,
				.unique = fs.boot.unique };
	return 0;
}

static long sim_fs_type(int fd)
{
	(void)fd;
	return EXT4_SUPER_MAGIC;
}

static int sim_fchmod(int fd, mode_t mode)
{
	(void)mode;
	return inode_of(fd) ? 0 : fail(EBADF);
}

static int sim_fchown(int fd, uid_t uid, gid_t gid)
{
	(void)uid;
	(void)gid;
	return inode_of(fd) ? 0 : fail(EBADF);
}

static int sim_lock(int fd, int cmd, struct flock *fl)
{
	if (!is_file(inode_of(fd)))
		return fail(EBADF);
	if (cmd == F_OFD_GETLK)
		fl->l_type = F_UNLCK;
	return 0;
}

static void *sim_map(int fd, size_t len, enum os_map how)
{
	uint32_t i = inode_of(fd);

	(void)len;
	(void)how;
	/* Nobody reads a map beyond the file's bytes. */
	return is_file(i) ? fs_bytes(i) : NULL;
}

static void sim_poke(int fd, off_t off, void *to, const void *p, size_t n)
{
	(void)to;
	sim_pwrite(fd, p, n, off);
}

static int sim_unmap(void *p, size_t len)
{
	(void)p;
	(void)len;
	return 0;
}

static int sim_list(int dirfd, os_list_fn *fn, void *ctx)
{
	int r = 0;

	if (inode_of(dirfd) != IS_DIR)
		return fail(EBADF);
	for (size_t i = 0; r == 0 && i < fs.n_names; i++)
		r = fn(ctx, fs.names[i].name);
	return r;
}

static int sim_random(void *p, size_t n)
{
	uint8_t *b = p;

	while (n-- > 0)
		*b++ = (uint8_t)(fs_random() >> 32);
	return 0;
}

static int sim_procmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)how;
	(void)set;
	if (old)
		sigemptyset(old);
	return 0;
}

static int sim_boot_id(uint8_t id[16])
{
	memset(id, 0xb0, 16);
	memcpy(id, &fs.boot.boot, sizeof(fs.boot.boot));
	return 0;
}

static uint64_t sim_free_bytes(int fd)
{
	(void)fd;
	return UINT64_MAX;
}

static uint64_t sim_memory(void)
{
	return UINT64_C(8) << 30;
}

static uint64_t sim_now_ms(void)
{
	return clock_ms++;
}

static void sim_sleep_us(uint64_t us)
{
	(void)us;
}

void fs_install(void)
{
	arena = mmap(NULL, (size_t)FS_INODES * FS_FILE_MAX,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED) {
		perror("power: mmap");
		exit(71);
	}
	fs.next_inode = 1;
	real = os;
	os.openat = sim_openat;
	os.close = sim_close;
	os.pread = sim_pread;
	os.pread_cached = sim_pread_cached;
	os.pwrite = sim_pwrite;
	os.ftruncate = sim_ftruncate;
	os.fsync = sim_fsync;
	os.fdatasync = sim_fsync;
	os.renameat = sim_renameat;
	os.unlinkat = sim_unlinkat;
	os.mkdir = sim_mkdir;
	os.fstat = sim_fstat;
	os.size = sim_size;
	os.fstatat = sim_fstatat;
	os.place = sim_place;
	os.fs_type = sim_fs_type;
	os.fchmod = sim_fchmod;
	os.fchown = sim_fchown;
	os.lock = sim_lock;
	os.map = sim_map;
	os.unmap = sim_unmap;
	os.forget = sim_unmap;
	os.poke = sim_poke;
	os.list = sim_list;
	os.random = sim_random;
	os.procmask = sim_procmask;
	os.boot_id = sim_boot_id;
	os.free_bytes = sim_free_bytes;
	os.memory = sim_memory;
	os.now_ms = sim_now_ms;
	os.monotonic_ms = sim_now_ms;
	os.monotonic_us = sim_now_ms;
	os.sleep_us = sim_sleep_us;
}
