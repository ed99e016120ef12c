/*
 * The directory of a store, held open: dir_open() and its like of os.h.
 */
#include "lib/os.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <unistd.h>

/* Their caches are not coherent between hosts: a lock would not be enough. */
static bool is_network(long type)
{
	switch (type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case 0xff534d42: /* CIFS */
	case 0xfe534d42: /* SMB2 */
	case V9FS_MAGIC:
	case AFS_SUPER_MAGIC:
	case 0x00c36400: /* Ceph */
	case 0x0bd00bd0: /* Lustre */
		return true;
	default:
		return false;
	}
}

int dir_open(struct dir *d, const char *path, struct store_error *err)
{
	long type;

	*d = DIR_INIT;
	d->fd = os.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			  0);
	if (d->fd < 0) {
		int e = errno;

		if (e == ENOENT || e == ENOTDIR)
			return store_fail(err, STORE_ENOSTORE,
					  "%s: no store here: %s", path,
					  strerror(e));
		return store_fail_errno(err, path, NULL, "open", e);
	}
	d->path = strdup(path);
	if (!d->path) {
		dir_close(d);
		return store_nomem(err);
	}
	type = os.fs_type(d->fd);
	/* ext2 and ext3 have the same magic */
	d->in_place = type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC ||
		      type == TMPFS_MAGIC;
	if (is_network(type)) {
		store_fail(err, STORE_ECONFIG,
			   "%s: on a network filesystem, whose caches are not "
			   "coherent between hosts; use a local one",
			   path);
		dir_close(d);
		return STORE_ECONFIG;
	}
	return 0;
}

void dir_close(struct dir *d)
{
	os_close(d->fd);
	free(d->path);
	*d = DIR_INIT;
}

int dir_sync(const struct dir *d, struct store_error *err)
{
#ifdef MUTANT_no_dir_fsync
	return 0;
#endif
	if (os.fsync(d->fd) == 0)
		return 0;
	store_fail_errno(err, d->path, NULL, "fsync", errno);
	return STORE_EIO;
}
