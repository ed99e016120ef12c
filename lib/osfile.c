/*
 * What every caller needs beside the calls of os.h: EINTR, short counts, and
 * an error with path and cause.
 */
#include "lib/os.h"

#include <errno.h>

static int not_regular(const struct dir *d, const char *name,
		       struct store_error *err)
{
	return store_corrupt(err, d->path, name, STORE_NO_OFFSET,
			     "not a regular file");
}

int os_open_stat(const struct dir *d, const char *name, int flags, mode_t mode,
		 struct stat *st, struct store_error *err)
{
	int fd;

	do
		/* O_NONBLOCK: a FIFO by this name must not hang us */
		fd = os.openat(d->fd, name,
			       flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY |
				       O_NONBLOCK,
			       mode);
	while (fd < 0 && errno == EINTR);
	/* a link; a directory; a FIFO or a device without the other end */
	if (fd < 0 && (errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return not_regular(d, name, err);
	if (fd < 0)
		return store_fail_errno(err, d->path, name,
					flags & O_CREAT ? "create" : "open",
					errno);
	memset(st, 0, sizeof(*st));
	if (flags & O_EXCL)
		return fd; /* new, and a file */
	if (os.fstat(fd, st) < 0) {
		int r = store_fail_errno(err, d->path, name, "fstat", errno);

		os_close(fd);
		return r;
	}
	if (!S_ISREG(st->st_mode)) {
		os_close(fd);
		return not_regular(d, name, err);
	}
	return fd;
}

int os_open(const struct dir *d, const char *name, int flags, mode_t mode,
	    struct store_error *err)
{
	struct stat st;

	return os_open_stat(d, name, flags, mode, &st, err);
}

void os_adopt(const struct dir *d, int fd, const char *like, mode_t mask)
{
	struct stat want, have;

	if (os.fstatat(d->fd, like, &want) < 0 || os.fstat(fd, &have) < 0)
		return;
	if ((have.st_uid != want.st_uid || have.st_gid != want.st_gid) &&
	    (os.fchown(fd, want.st_uid, want.st_gid) == 0 ||
	     os.fchown(fd, (uid_t)-1, want.st_gid) == 0))
		os.fchmod(fd, want.st_mode & mask);
}

void os_close(int fd)
{
	if (fd >= 0)
		os.close(fd);
}

int os_read_some(int fd, void *p, size_t n, uint64_t off, size_t *got,
		 const struct dir *d, const char *name, struct store_error *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = os.pread(fd, (uint8_t *)p + done, n - done,
				     (off_t)(off + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return store_fail_errno(err, d->path, name, "read",
						errno);
		if (r == 0)
			break;
		done += (size_t)r;
	}
	*got = done;
	return 0;
}

int os_read(int fd, void *p, size_t n, uint64_t off, const struct dir *d,
	    const char *name, struct store_error *err)
{
	size_t got;
	int r = os_read_some(fd, p, n, off, &got, d, name, err);

	if (r < 0)
		return r;
	if (got < n)
		return store_corrupt(err, d->path, name, off + got,
				     "the file ends early");
	return 0;
}

int os_write(int fd, const void *p, size_t n, uint64_t off, const struct dir *d,
	     const char *name, struct store_error *err)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = os.pwrite(fd, (const uint8_t *)p + done, n - done,
				      (off_t)(off + done));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return store_fail_errno(err, d->path, name, "write",
						errno);
		done += (size_t)r;
	}
	return 0;
}

int os_sync(int fd, bool data_only, const struct dir *d, const char *name,
	    struct store_error *err)
{
	if ((data_only ? os.fdatasync(fd) : os.fsync(fd)) == 0)
		return 0;
	/* Whatever the errno: the bytes are in doubt. */
	store_fail(err, STORE_EIO, "%s/%s: %s: %s", d->path, name,
		   data_only ? "fdatasync" : "fsync", strerror(errno));
	return STORE_EIO;
}

int os_size(int fd, uint64_t *size, const struct dir *d, const char *name,
	    struct store_error *err)
{
	off_t n = os.size(fd);

	if (n < 0)
		return store_fail_errno(err, d->path, name, "lseek", errno);
	*size = (uint64_t)n;
	return 0;
}

int os_rename(const struct dir *d, const char *from, const char *to,
	      struct store_error *err)
{
	if (os.renameat(d->fd, from, to) == 0)
		return 0;
	return store_fail_errno(err, d->path, to, "rename", errno);
}

int os_unlink(const struct dir *d, const char *name, struct store_error *err)
{
	if (os.unlinkat(d->fd, name) == 0 || errno == ENOENT)
		return 0;
	return store_fail_errno(err, d->path, name, "unlink", errno);
}

int os_read_file(const struct dir *d, const char *name, size_t max,
		 struct buf *out, struct store_error *err)
{
	struct stat st;
	size_t size, got;
	int fd, r;

	fd = os_open_stat(d, name, O_RDONLY, 0, &st, err);
	if (fd < 0)
		return fd;
	size = (size_t)st.st_size;
	if (size > max) {
		r = store_corrupt(err, d->path, name, max,
				  "the file is larger than it may be");
		goto out;
	}
	if (buf_reserve(out, size + 1) < 0) {
		r = store_nomem(err);
		goto out;
	}
	r = os_read_some(fd, out->data + out->len, size, 0, &got, d, name, err);
	if (r == 0)
		out->len += got;
out:
	os_close(fd);
	return r;
}
