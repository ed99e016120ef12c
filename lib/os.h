/*
 * os.h - the seam to the operating system: the only room of libstore that
 * makes a system call.
 *
 * `os` is a table of function pointers, filled with the real calls; a test
 * replaces entries to fail, record or replay any call.  Each behaves as the
 * call it is named after (-1 and errno on failure).  The os_ functions below
 * add what every caller needs: EINTR, short counts, and a store_error with
 * path and cause.
 */
#ifndef LIB_OS_H
#define LIB_OS_H

#include "formats/bytes.h"
#include "formats/error.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What statx tells of the mount a file is reached through. */
struct os_place {
	uint64_t dev;
	uint64_t inode;
	uint64_t mount; /* mount id */
	bool unique;	/* the mount id is never reused (Linux 6.8) */
};

enum os_map {
	OS_MAP_READ,	 /* as it is touched: MADV_RANDOM */
	OS_MAP_POPULATE, /* to be read, all of it, now */
	OS_MAP_WRITE,	 /* to be read and written, as it is touched */
};

struct confines;

/* Called for each name of a directory but . and ..; non-zero stops. */
typedef int os_list_fn(void *ctx, const char *name);

struct os {
	int (*openat)(int dirfd, const char *name, int flags, mode_t mode);
	int (*close)(int fd);
	ssize_t (*pread)(int fd, void *p, size_t n, off_t off);
	/* preadv2(RWF_NOWAIT): EAGAIN unless the page cache has it all */
	ssize_t (*pread_cached)(int fd, void *p, size_t n, off_t off);
	ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t off);
	int (*ftruncate)(int fd, off_t len);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	/* begin to write these to the disk; promises nothing */
	int (*writeback)(int fd, off_t off, off_t n);
	/* take clean pages out of the page cache; n 0: to the end */
	int (*uncache)(int fd, off_t off, off_t n);
	int (*renameat)(int dirfd, const char *from, const char *to);
	int (*unlinkat)(int dirfd, const char *name);
	int (*mkdir)(const char *path, mode_t mode);
	int (*fstat)(int fd, struct stat *st);
	off_t (*size)(int fd); /* lseek; why: see os.c */
	int (*fstatat)(int dirfd, const char *name, struct stat *st);
	int (*place)(int fd, struct os_place *p); /* statx */
	long (*fs_type)(int fd);		  /* fstatfs: f_type, or -1 */
	int (*fchmod)(int fd, mode_t mode);
	int (*fchown)(int fd, uid_t uid, gid_t gid);
	int (*lock)(int fd, int cmd, struct flock *fl); /* fcntl */
	/* a shared map from the file's first byte on; NULL */
	void *(*map)(int fd, size_t len, enum os_map how);
	int (*unmap)(void *p, size_t len);
	/* take pages out of a map, which stays: what was stored is kept */
	int (*forget)(void *p, size_t len);
	/* store into such a map, at `to`, what pwrite would put at `off` */
	void (*poke)(int fd, off_t off, void *to, const void *p, size_t n);
	/* futex(2), shared: sleep while *word is `is`, for `ms` at most */
	void (*wait_while)(_Atomic uint32_t *word, uint32_t is, unsigned ms);
	void (*wake)(_Atomic uint32_t *word);
	int (*list)(int dirfd, os_list_fn *fn, void *ctx);
	int (*random)(void *p, size_t n);
	int (*procmask)(int how, const sigset_t *set, sigset_t *old);
	bool (*terminal)(void); /* have we one, that could stop us? */
	int (*boot_id)(uint8_t id[16]);
	int (*event)(void); /* an eventfd, non-blocking */
	int (*event_set)(int fd);
	int (*event_clear)(int fd);
	uid_t (*euid)(void);
	bool (*raised)(void); /* more rights than who started us: AT_SECURE */
	/* free for us on the filesystem; UINT64_MAX when unknown */
	uint64_t (*free_bytes)(int fd);
	uint64_t (*memory)(void);	/* bytes the machine has */
	unsigned (*processors)(void);	/* that this thread may run on */
	uint64_t (*now_ms)(void);	/* Unix time */
	uint64_t (*monotonic_ms)(void); /* for deadlines only */
	uint64_t (*monotonic_us)(void);
	void (*sleep_us)(uint64_t us);
	void (*yield)(void); /* sched_yield */
	/* zeroed memory that a forked child shares; or NULL */
	void *(*share)(size_t len);
	pid_t (*getpid)(void);
	pid_t (*fork)(void);
	int (*wait)(pid_t pid, int *status); /* waitpid */
	/* in a forked child: lib/confine.h */
	void (*confine)(pid_t parent, const struct confines *c);
	void (*quit)(void); /* _exit(0) */
};

extern struct os os;

/*
 * A condition whose waits end by the monotonic clock: setting the wall clock
 * moves no timeout.  A deadline is for pthread_cond_timedwait().
 */
void os_cond_init(pthread_cond_t *c);
struct timespec os_deadline(int64_t ms_from_now);

/*
 * Hold signals back from this thread and from those it starts meanwhile:
 * signals are for the program's own threads.  Not so the faults that this
 * thread makes itself, SIGBUS from a map cut short among them: one that is
 * blocked ends the process without its handler.
 */
void os_signals_hold(sigset_t *before);
void os_signals_back(const sigset_t *before);

/* A directory held open; every file is opened relative to it. */
struct dir {
	int fd;
	char *path;    /* for messages */
	bool in_place; /* what is written over stays where it is on the disk */
};

#define DIR_INIT ((struct dir){ -1, NULL, false })

/*
 * Open `path`.  STORE_ENOSTORE when it is not there or not a directory;
 * STORE_ECONFIG on a network filesystem, whose caches are not coherent.
 */
int dir_open(struct dir *d, const char *path, struct store_error *err);
void dir_close(struct dir *d);
int dir_sync(const struct dir *d, struct store_error *err);

/*
 * Open `name` in the directory: O_CLOEXEC, O_NOFOLLOW and O_NOCTTY are added,
 * and anything but a regular file is STORE_ECORRUPT.  Returns the descriptor
 * (3 or above), STORE_EGONE when it is not there, or another error.
 */
int os_open(const struct dir *d, const char *name, int flags, mode_t mode,
	    struct store_error *err);
/* The same, and what fstat tells of it. */
int os_open_stat(const struct dir *d, const char *name, int flags, mode_t mode,
		 struct stat *st, struct store_error *err);
/* Close; -1 is fine. */
void os_close(int fd);
/*
 * Give a new file the owner, group and mode (& mask) of `like`, or, where we
 * may not, its group, or nothing: what root makes in somebody's store is his.
 */
void os_adopt(const struct dir *d, int fd, const char *like, mode_t mask);

/* Exactly `n` bytes, or STORE_ECORRUPT ("ends early") or STORE_EIO. */
int os_read(int fd, void *p, size_t n, uint64_t off, const struct dir *d,
	    const char *name, struct store_error *err);
/* Up to `n` bytes: *got is short only at the end of the file. */
int os_read_some(int fd, void *p, size_t n, uint64_t off, size_t *got,
		 const struct dir *d, const char *name,
		 struct store_error *err);
/* All `n` bytes; on a failure some of them may have been written. */
int os_write(int fd, const void *p, size_t n, uint64_t off, const struct dir *d,
	     const char *name, struct store_error *err);
int os_sync(int fd, bool data_only, const struct dir *d, const char *name,
	    struct store_error *err);
int os_size(int fd, uint64_t *size, const struct dir *d, const char *name,
	    struct store_error *err);
int os_rename(const struct dir *d, const char *from, const char *to,
	      struct store_error *err);
/* A name that is not there is fine. */
int os_unlink(const struct dir *d, const char *name, struct store_error *err);
/* The whole file, at most `max` bytes, appended to `out`. */
int os_read_file(const struct dir *d, const char *name, size_t max,
		 struct buf *out, struct store_error *err);

#endif
